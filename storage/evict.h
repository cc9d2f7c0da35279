/*
 * evict.h -- keeping memory under maxmemory: nothing is lost by it, what is
 * evicted stands in SQLite.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_EVICT_H
#define WALDEN_STORAGE_EVICT_H

#include "storage/keyspace.h"

/* key was used now. */
void evict_count_access(struct keyspace *keyspace, struct key *key);
/* See keyspace_idle_s(), keyspace_frequency(). */
uint64_t evict_idle_s(const struct keyspace *keyspace, const struct key *key);
unsigned evict_frequency(
    const struct keyspace *keyspace, const struct key *key);
/* See keyspace_evict(), keyspace_evict_all(). */
bool evict_run(struct keyspace *keyspace, int64_t budget_us);
uint64_t evict_all(struct keyspace *keyspace);

#endif
