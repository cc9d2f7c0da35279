/*
 * reap.h -- what was dropped and is too big to be freed at once.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_REAP_H
#define WALDEN_STORAGE_REAP_H

#include "storage/keyspace.h"

struct reap_item;

struct reap {
    struct reap_item *first; /* freed from here */
};

/* Free object, now or later.  Takes object; NULL is accepted. */
void reap_object(struct reap *reap, uint8_t type, void *object);
/* Free a physical database and its keys later.  Takes physical. */
void reap_physical(struct reap *reap, struct physical *physical);
/*
 * Free for about budget_us.  Keys are let go by resident_free().
 * true: there is more.
 */
bool reap_run(struct reap *reap, struct keyspace *keyspace, int64_t budget_us);
/* The keyspace's lists are about to be thrown away: see is_detached. */
void reap_detach(struct reap *reap);
/* Free all of it. */
void reap_fini(struct reap *reap, struct keyspace *keyspace);

#endif
