/*
 * reload.h -- memory built anew from what was committed (D2).
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_RELOAD_H
#define WALDEN_STORAGE_RELOAD_H

#include "storage/keyspace.h"

/* See keyspace_reload(). */
MUST_CHECK enum status reload_run(struct keyspace *keyspace);
/* Let go of everything in memory; the reaper frees it. */
void reload_drop(struct keyspace *keyspace);

#endif
