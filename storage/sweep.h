/*
 * sweep.h -- deleting keys whose time has come.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_SWEEP_H
#define WALDEN_STORAGE_SWEEP_H

#include "storage/keyspace.h"

/* See keyspace_sweep(). */
uint64_t sweep_run(
    struct keyspace *keyspace, int64_t now_ms, int64_t budget_us);
/* A live, expired key goes. */
void sweep_expire(struct keyspace *keyspace, struct key *key);
/* key is about to leave memory: its row counts from now on. */
void sweep_note_evicted(struct keyspace *keyspace, const struct key *key);

#endif
