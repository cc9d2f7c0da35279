/*
 * keys.h -- what the commands on keys of any type share.
 */
#ifndef WALDEN_SERVER_COMMANDS_KEYS_H
#define WALDEN_SERVER_COMMANDS_KEYS_H

#include "storage/rowchange.h"

/* What TYPE says: "string", "list", ..., "none" for KEY_NONE. */
const char *keys_type_name(enum key_type type);

#endif
