/*
 * expiry.h -- the resident keys that expire, soonest first: a binary heap.
 *
 * Each key knows its slot (key->expiry_slot), so that taking one out of the
 * middle needs no search.
 *
 * Private to storage/.  Thread: LOOP.  Cost: O(log n) each, first O(1).
 */
#ifndef WALDEN_STORAGE_EXPIRY_H
#define WALDEN_STORAGE_EXPIRY_H

#include "storage/keyspace.h"

struct expiry {
    struct key **keys; /* heap by expire_at_ms; lent */
    size_t count, size;
};

void expiry_init(struct expiry *expiry);
void expiry_fini(struct expiry *expiry);

/* The key that expires first, or NULL. */
struct key *expiry_first(const struct expiry *expiry);
/* Put key where its expire_at_ms (not -1) belongs; it may be there already. */
void expiry_put(struct expiry *expiry, struct key *key);
/* Nothing if key is not there. */
void expiry_remove(struct expiry *expiry, struct key *key);
/* fresh takes the place of stale; both expire at the same time. */
void expiry_replace(
    struct expiry *expiry, struct key *stale, struct key *fresh);

void expiry_check(const struct expiry *expiry);

#endif
