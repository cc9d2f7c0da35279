/*
 * resident.h -- what is in memory: the keyspace's insides, and the life of a
 * struct key.
 *
 *   struct key     KEY_NONE: a tombstone, says "not there" over a row that may
 *                  still stand in the table; else a live key.
 *
 *   dirty list     keys whose last change is not known to be in the tables, in
 *                  the order in which they got there (enlisted_seq).  A key
 *                  that changes again stays where it is, so that a hot key
 *                  costs nothing; when it gets to the head and is still dirty,
 *                  it goes to the tail.
 *   touched        keys that the open batch has changed, once each: their rows
 *                  are written when it is sealed.
 *
 *   D4  Only keys outside this list are ever evicted, and a tombstone goes
 *       when it leaves the list.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_RESIDENT_H
#define WALDEN_STORAGE_RESIDENT_H

#include "storage/expiry.h"
#include "storage/fresh.h"
#include "storage/physical.h"
#include "storage/reap.h"

#define RESIDENT_ORDER_BITS 20 /* of a version: order in its batch */
#define RESIDENT_POOL_SIZE 16  /* best candidates for eviction seen so far */

struct keyspace {
    struct store *store;   /* lent */
    struct reader *reader; /* lent */
    bool is_reading;       /* it is held for the pass: keyspace_end_reads() */
    struct keyspace_options options;
    struct physical **databases; /* by logical number */
    int databases_count;
    struct map physicals; /* by number */
    uint32_t next_db;

    /* The command. */
    int64_t now_ms;
    uint64_t observed_seq;
    uint64_t changes; /* since start */
    struct key *last; /* found by the last lookup, or NULL */
    bool has_changed;
    bool is_frozen;     /* between reload and resume */
    bool keeps_expired; /* a lookup deletes nothing */

    /* The open batch. */
    struct batch *batch;
    uint64_t open_seq;
    uint32_t order;       /* of the next change in it */
    struct key **touched; /* an array; lent */
    size_t touched_count, touched_capacity;
    size_t touched_size; /* bytes their rows will take, about */
    uint64_t next_id;
    bool is_next_id_stale;
    struct physical *first_stale; /* their counts changed */
    struct buf scratch;

    /* Not yet folded. */
    struct key *dirty_head, *dirty_tail;
    size_t dirty_count;
    uint64_t folded_seq;
    struct fresh fresh;
    struct map moved; /* id -> struct resident_moved */

    /* Expiry; see sweep.c. */
    struct expiry expiry;
    int64_t table_next_ms;  /* no row outside memory expires before it */
    int64_t table_after_ms; /* rows up to (ms, id) have been looked at */
    uint64_t table_after_id;

    /* Eviction; see evict.c. */
    struct key *pool[RESIDENT_POOL_SIZE]; /* longest idle last */
    size_t pool_count;

    struct reap reap;
    keyspace_changed_fn changed;
    void *changed_arg;
    struct keyspace_stats stats;
    uint64_t memory; /* of keys and objects of mapped databases */

    /* Debug builds: what the command has prepared. */
    uint64_t *prepared;
    size_t prepared_count, prepared_size;
};

/* A key that was renamed since its row was last folded. */
struct resident_moved {
    struct map_node node; /* by id */
    uint64_t id;
    struct key *key; /* lent */
};

static inline struct key *
resident_key_of(struct map_node *node)
{
    return MAP_ENTRY(node, struct key, node);
}

/* The batch of the change that a version stands for. */
static inline uint64_t
resident_version_seq(uint64_t version)
{
    return version >> RESIDENT_ORDER_BITS;
}

static inline bool
resident_is_live(const struct key *key)
{
    return key->type != KEY_NONE;
}

static inline bool
resident_is_expired(const struct key *key, int64_t now_ms)
{
    return key->expire_at_ms >= 0 && now_ms > key->expire_at_ms;
}

/* Live or tombstone, or NULL.  Observes nothing. */
struct key *resident_find(
    struct keyspace *keyspace, struct physical *home, struct slice name);
/* As keyspace_prefetch(). */
void resident_prefetch(
    const struct physical *home, const struct slice *names, size_t count);

/* A key as its row in the table says, clean.  Its name is not resident yet. */
/* A string comes with its value, or without chunks; others without object. */
struct key *resident_add_row(struct keyspace *keyspace, struct physical *home,
    const struct key_row *row);
/* Read the object of a key from its table. Fails: as keyspace_prepare(). */
MUST_CHECK enum status resident_load(
    struct keyspace *keyspace, struct key *key);

/* A new live key under a new id; see keyspace_create().  stale, not touched. */
struct key *resident_create(struct keyspace *keyspace, struct physical *home,
    struct slice name, enum key_type type, uint64_t id, void *object);
uint64_t resident_new_id(struct keyspace *keyspace);
/* An empty struct key for name (a tombstone); it is in home's map. */
struct key *resident_add_name(
    struct keyspace *keyspace, struct physical *home, struct slice name);
/* Where the key of a row is now, if it was renamed and the table may not */
/* know; or NULL. */
struct key *resident_find_moved(struct keyspace *keyspace, uint64_t id);
/* Say so of key's id, or that the table may not know that id at all (made by */
/* batch seq; ids in ascending order). */
void resident_remember_moved(struct keyspace *keyspace, struct key *key);
void resident_remember_fresh(
    struct keyspace *keyspace, struct key *key, uint64_t seq);
/* key, whose fields are set, is live from now on: enter all it has to be in. */
void resident_attach(struct keyspace *keyspace, struct key *key);
/* Turn a live key into a tombstone; its rows go. */
void resident_delete(struct keyspace *keyspace, struct key *key);
/* The same for a key that moved to fresh's struct: its rows stay. */
void resident_move(
    struct keyspace *keyspace, struct key *key, struct key *fresh);

/* Count key as changed by the open batch. */
void resident_touch(struct keyspace *keyspace, struct key *key);
/* Take over size, encoding and memory from the object. */
void resident_measure(struct keyspace *keyspace, struct key *key);
void resident_set_expiry(
    struct keyspace *keyspace, struct key *key, int64_t at_ms);
/* Tell the watcher. */
void resident_notify(struct keyspace *keyspace, const struct key *key);

/* Write the rows of the touched keys. */
void resident_write_rows(struct keyspace *keyspace);
/* Up to limit keys that have been folded leave the lists.  true: more. */
bool resident_settle(struct keyspace *keyspace, size_t limit);
/* Changed by batch seq, the newest so far: enter the dirty list. */
void resident_mark_dirty(
    struct keyspace *keyspace, struct key *key, uint64_t seq);

static inline bool
resident_is_clean(const struct keyspace *keyspace, const struct key *key)
{
    return key->dirty_seq <= keyspace->folded_seq && !key->is_touched;
}

/* Take a clean live key out of memory. */
void resident_evict(struct keyspace *keyspace, struct key *key);
/* Take key, which is in no map any more, out of everything; free it. */
void resident_free(struct keyspace *keyspace, struct key *key);

/* D4 and the accounting; debug. */
void resident_check(const struct keyspace *keyspace);

#endif
