/*
 * object.h -- what OBJECT and DEBUG OBJECT both say of a key.
 */
#ifndef WALDEN_SERVER_COMMANDS_OBJECT_H
#define WALDEN_SERVER_COMMANDS_OBJECT_H

#include "server/command.h"

/* OBJECT ENCODING's word. */
const char *object_encoding(const struct key *key);
/* Seconds since key was last used; the policy is not LFU. */
int64_t object_idle_s(const struct call *call, const struct key *key);

#endif
