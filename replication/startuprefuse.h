/*
 * startuprefuse.h -- a start is refused, and says what a person needs to choose
 * a way out: where either side stands, and since when.  Private to startup.c.
 */
#ifndef WALDEN_REPLICATION_STARTUPREFUSE_H
#define WALDEN_REPLICATION_STARTUPREFUSE_H

#include "replication/startupstate.h"

/* Answers STATUS_CONFLICT; the start's error says it all.  Asks the bucket. */
MUST_CHECK enum status startuprefuse(struct startup *startup, const char *why);

#endif
