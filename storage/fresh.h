/*
 * fresh.h -- the ids given out since the last fold, in order: a ring.
 *
 * SCAN goes by id.  The table gives the ids it knows; the ring gives the ones
 * it may not know yet, which are larger.  A deleted key leaves a hole (key
 * NULL); entries leave at the front when their batch has been folded.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_FRESH_H
#define WALDEN_STORAGE_FRESH_H

#include "storage/keyspace.h"

struct fresh_entry {
    uint64_t id;
    uint64_t seq;    /* the batch that made the key */
    struct key *key; /* NULL: gone again; lent */
};

struct fresh {
    struct fresh_entry *entries; /* a ring, ascending ids */
    size_t first, count, size;   /* size: 0 or a power of two */
};

void fresh_init(struct fresh *fresh);
void fresh_fini(struct fresh *fresh);

/* id is larger than all before. */
void fresh_push(
    struct fresh *fresh, uint64_t id, uint64_t seq, struct key *key);
/* The entry of this id, which is there. O(log n). */
struct fresh_entry *fresh_get(struct fresh *fresh, uint64_t id);
/* The first entry with an id above this one, or NULL. O(log n). */
const struct fresh_entry *fresh_find_above(
    const struct fresh *fresh, uint64_t id);
/* The oldest entry, or NULL, and dropping it. */
struct fresh_entry *fresh_first(const struct fresh *fresh);
void fresh_pop(struct fresh *fresh);

#endif
