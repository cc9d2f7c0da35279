/*
 * physical.h -- the databases and which of them SELECT's numbers stand for.
 *
 * A physical database has a number that is in the rows of its keys and is
 * never used again.  A logical number stands for itself until FLUSHDB gives it
 * a fresh physical one or SWAPDB another's; meta's "db.<logical>" says so from
 * then on.  Fresh numbers start at PHYSICAL_FRESH_FIRST, above every logical
 * one, so that a raised `databases` never meets a used one.
 *
 *   meta               value (decimal)
 *   db.<logical>       the physical number it stands for
 *   next_db            the next fresh physical number
 *   count.<physical>   keys in it, expired ones included
 *   expires.<physical> keys in it that expire
 *   next_id            the next key id
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_PHYSICAL_H
#define WALDEN_STORAGE_PHYSICAL_H

#include "storage/keyspace.h"

/* Logical numbers are below it. */
#define PHYSICAL_FRESH_FIRST 1000000
#define PHYSICAL_UNMAPPED (-1)

struct physical {
    struct map keys;      /* name -> struct key, live or tombstone */
    struct map_node node; /* in the keyspace's physicals, by number */
    uint32_t number;
    int logical;         /* or PHYSICAL_UNMAPPED */
    uint64_t map_seq;    /* batch that mapped it; a miss observes it */
    uint64_t live;       /* keys, in memory or not */
    uint64_t expiring;   /* of them, those that expire */
    uint64_t resident;   /* of them, those in memory */
    uint64_t unloaded;   /* of these, those whose object is not */
    uint64_t memory;     /* bytes of its keys and their objects */
    bool is_count_stale; /* meta does not know live and expiring yet */
    bool is_detached;    /* its keys are in no list any more: free them */
    struct physical *next_stale;
};

/* Read the mapping and the counters from meta, and map every logical number. */
/* Fails: STATUS_IO, STATUS_CORRUPT. */
MUST_CHECK enum status physical_open_all(struct keyspace *keyspace);
/* Lay a change of meta over what was read (reload); other names are ignored. */
/* value NULL: the row is not there. */
MUST_CHECK enum status physical_apply_meta(
    struct keyspace *keyspace, struct slice name, const struct slice *value);
/* After the last change: let go of what no logical number stands for. */
void physical_settle(struct keyspace *keyspace);

/* The one with this number, or NULL: nobody's. */
struct physical *physical_find(
    const struct keyspace *keyspace, uint32_t number);
/* The same, made if there is none: for reload, before physical_settle(). */
struct physical *physical_get(struct keyspace *keyspace, uint32_t number);
/* Is every key in memory? */
static inline bool
physical_is_resident(const struct physical *physical)
{
    return physical->resident == physical->live;
}

/* live or expiring changed: meta gets them with this batch. */
void physical_count_changed(
    struct keyspace *keyspace, struct physical *physical);
/* Write what changed since the last seal. */
void physical_write_counts(struct keyspace *keyspace);

/* Put a fresh database where logical's stood; that one is dropped. */
void physical_flush(struct keyspace *keyspace, int logical);
void physical_swap(struct keyspace *keyspace, int logical, int other);

/* Its map must be empty. */
void physical_free(struct physical *physical);
/* Detach every physical database and leave its keys to the reaper. */
void physical_drop_all(struct keyspace *keyspace);

#endif
