/*
 * keyspace.h -- the databases as commands see them: names, keys, objects,
 * expiry, and which of it is in memory.
 *
 *   resident      the key is in memory and memory is right
 *   not resident  its rows in SQLite are complete and right
 *
 *   D4  A key with unfolded changes is resident; a deleted one as a tombstone.
 *
 * A key's own part (struct key) and its object are resident separately: a key
 * whose object is NULL has it in SQLite, complete and right.
 *
 * How a command runs (see server/executor.c):
 *   1. keyspace_prepare() for each of its keys: the one door through which
 *      rows become objects.  It may read SQLite, and may fail; then the
 *      command does not run.
 *   2. The handler: keyspace_find(), objects, keyspace_create(),
 *      keyspace_touch(), keyspace_delete().  No I/O, no failure.  A key that
 *      was not prepared is not found: DCHECKed.
 *   3. keyspace_observed_seq() is the batch the reply has to wait for (R1).
 *   4. Between commands: keyspace_evict(), keyspace_seal(), ...
 * Pointers to keys and objects are good within one command.
 *
 * Databases are physical here: a number that FLUSHDB replaces and is never
 * used again.  The map from logical numbers (SELECT) is kept here too.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_KEYSPACE_H
#define WALDEN_STORAGE_KEYSPACE_H

#include "server/base/map.h"
#include "storage/objects/edit.h"
#include "storage/store.h"

struct hash_object;
struct keyspace;
struct list;
struct physical;
struct string;

/* What a lookup reads stands together, next to the name. */
struct key {
    struct key *dirty_prev; /* unfolded keys, by enlisted_seq */
    struct key *dirty_next;
    uint64_t enlisted_seq; /* dirty_seq when it was put there, or later */
    uint64_t id;
    uint64_t version;
    uint64_t size;         /* elements or bytes, also when not loaded */
    size_t memory;         /* bytes accounted for */
    struct map_node node;  /* in its database, by name */
    struct physical *home; /* its physical database */
    union {
        void *object; /* NULL: not loaded (or a tombstone) */
        struct string *string;
        struct list *list;
        struct hash_object *hash;
    };
    int64_t expire_at_ms; /* -1: never.  Change by keyspace_set_expiry */
    uint64_t dirty_seq;   /* batch of its last change; 0: none known */
    uint32_t expiry_slot; /* in the expiry heap, or KEY_NO_SLOT */
    uint32_t access;      /* LRU: seconds; LFU: Redis's 24 bits */
    uint32_t name_len;
    uint8_t type;          /* enum key_type; KEY_NONE: a tombstone */
    uint8_t encoding;      /* enum key_encoding */
    bool is_touched : 1;   /* by the open batch */
    bool is_row_stale : 1; /* its row needs a ROW_PUT, not a ROW_TOUCH */
    bool is_fresh : 1;     /* its id is not known to be in the table */
    bool is_moved : 1;     /* renamed, and the table may not know */
    bool is_dirty : 1;     /* in the list of unfolded keys */
    bool is_pooled : 1;    /* a candidate for eviction */
    char name[];           /* name_len bytes, no NUL */
};

#define KEY_NO_SLOT UINT32_MAX

static inline struct slice
key_name(const struct key *key)
{
    return (struct slice){ key->name, key->name_len };
}

/* Called when a key changes or goes, if somebody watches: see */
/* keyspace_set_watch().  db is logical (-1: of a database no longer mapped). */
typedef void (*keyspace_changed_fn)(
    int db, struct slice name, enum key_type type, void *arg);

struct keyspace_options {
    int databases;       /* logical ones */
    uint64_t memory_max; /* bytes; evict above.  0: no limit */
    bool is_lfu;         /* access counts as Redis's LFU does */
};

/* store lent for the keyspace's life. */
MUST_CHECK enum status keyspace_new(struct keyspace **keyspace,
    struct store *store, const struct keyspace_options *options);
void keyspace_free(struct keyspace *keyspace);
void keyspace_set_options(
    struct keyspace *keyspace, const struct keyspace_options *options);

/* ---- one command -------------------------------------------------------- */

/* Begin a command: its time (wall clock, ms), and nothing observed yet. */
void keyspace_begin(struct keyspace *keyspace, int64_t now_ms);
/*
 * From now on keyspace_find() and _peek() hide an expired key without deleting
 * it (CLIENT PAUSE), or delete it again.  What is hidden is in the way of
 * keyspace_create(): only commands that read may run meanwhile.
 */
void keyspace_keep_expired(struct keyspace *keyspace, bool keep);
int64_t keyspace_now_ms(const struct keyspace *keyspace);
/*
 * The batch that must be durable, and for some in the bucket, before what the
 * command saw may be told; 0: it saw nothing that ever changed.
 */
uint64_t keyspace_observed_seq(const struct keyspace *keyspace);
/* The command saw everything (SCAN, KEYS, DBSIZE, ...): it waits for all */
/* that happened so far. */
void keyspace_observe_all(struct keyspace *keyspace);
/* Did this command change anything? */
bool keyspace_has_changed(const struct keyspace *keyspace);
/* Number of changes since the start, for INFO's rdb_changes and EXEC. */
uint64_t keyspace_change_count(const struct keyspace *keyspace);

/* Nothing is outside memory: keyspace_prepare() would do nothing. Cheap. */
bool keyspace_is_all_loaded(const struct keyspace *keyspace, int db);
/*
 * Make name's key resident if it exists, and its object too if with_object
 * (a chunked string's chunks stay outside).
 * Fails: STATUS_IO, STATUS_CORRUPT, STATUS_NO_MEMORY.
 */
MUST_CHECK enum status keyspace_prepare(
    struct keyspace *keyspace, int db, struct slice name, bool with_object);

#define KEYSPACE_PREFETCH_MAX 16
/*
 * A hint: these names, count at most KEYSPACE_PREFETCH_MAX, are looked up soon.
 * What is in memory is brought near the processor; nothing else happens.
 */
void keyspace_prefetch(const struct keyspace *keyspace, int db,
    const struct slice *names, size_t count);

/* The live key or NULL.  An expired one is deleted, unless they are kept. */
/* Counts as an access. */
struct key *keyspace_find(struct keyspace *keyspace, int db, struct slice name);
/* As keyspace_find() without counting as an access (OBJECT, TTL, TYPE...). */
struct key *keyspace_peek(struct keyspace *keyspace, int db, struct slice name);

/*
 * A new key; no live key of that name exists.  object is given; its chunks or
 * elements are added by the caller with keyspace_edit() afterwards, then
 * keyspace_touch().  For a chunked string use keyspace_set_string().
 */
struct key *keyspace_create(struct keyspace *keyspace, int db,
    struct slice name, enum key_type type, void *object);
/* SET: name holds this string from now on, whatever it held before; the */
/* expiry is dropped unless keep_expiry. Done, touched. */
struct key *keyspace_set_string(struct keyspace *keyspace, int db,
    struct slice name, struct slice value, bool keep_expiry);
/*
 * key, which was just set to a flat string, prints as embstr although it reads
 * as a number: what INCRBYFLOAT leaves.
 */
void keyspace_mark_text(struct keyspace *keyspace, struct key *key);
/* The edit to pass to object functions for this key. */
struct edit keyspace_edit(struct keyspace *keyspace, struct key *key);
/*
 * The key or its object changed: version, dirty, accounting, watchers.  Call
 * once a command and key, after the object functions.  An empty list or hash
 * is deleted here (key is gone then: false).
 */
bool keyspace_touch(struct keyspace *keyspace, struct key *key);
void keyspace_delete(struct keyspace *keyspace, struct key *key);
/* at_ms -1: never expires.  Touches. */
void keyspace_set_expiry(
    struct keyspace *keyspace, struct key *key, int64_t at_ms);
/* Move to another name and/or database; what is there must be deleted */
/* before.  One row changes. */
struct key *keyspace_rename(
    struct keyspace *keyspace, struct key *key, int db, struct slice name);
/* A copy of the object under a new key, which must not exist. key loaded. */
/* Fails: as keyspace_prepare() (chunks are read). */
MUST_CHECK enum status keyspace_copy(
    struct keyspace *keyspace, struct key *key, int db, struct slice name);

/* ---- everything --------------------------------------------------------- */

uint64_t keyspace_count(const struct keyspace *keyspace, int db);
/* Keys with an expiry; exact for resident ones, from the table otherwise. */
uint64_t keyspace_expiring_count(const struct keyspace *keyspace, int db);
void keyspace_flush(struct keyspace *keyspace, int db); /* -1: all; O(1) */
void keyspace_swap(struct keyspace *keyspace, int db, int other); /* O(1) */

/* Answer false to stop.  name is lent. */
typedef bool (*keyspace_visit_fn)(
    struct slice name, enum key_type type, void *arg);
/*
 * Visit keys of db with ids above *cursor in the order of ids, until wanted
 * ids were looked at (of any database, so that a step is bounded).  *cursor:
 * the last id looked at, 0 at the end.  Expired keys are not visited.
 */
MUST_CHECK enum status keyspace_scan(struct keyspace *keyspace, int db,
    uint64_t *cursor, size_t wanted, keyspace_visit_fn visit, void *arg);
/* A random live key's name, appended to out.  STATUS_NOT_FOUND: empty. */
MUST_CHECK enum status keyspace_random(
    struct keyspace *keyspace, int db, struct buf *out);

/* WATCH and blocked clients: have changed called for each change.  NULL: no */
/* longer. FLUSH and SWAP call it for every key that may be affected: once */
/* with name of length SIZE_MAX standing for "all of db". */
void keyspace_set_watch(
    struct keyspace *keyspace, keyspace_changed_fn changed, void *arg);

/*
 * A pass of the loop is over, or reports of the store are about to be taken:
 * what is read from SQLite next is read anew.  During a pass all reads share
 * one read transaction, which halves the cost of a cold key.  It is never too
 * old: what LOOP knows to be folded was folded before the pass began.
 */
void keyspace_end_reads(struct keyspace *keyspace);

/* ---- between commands --------------------------------------------------- */

/* Write a meta row with the open batch, and have it changed thereby. Copies. */
void keyspace_put_meta(
    struct keyspace *keyspace, struct slice name, struct slice value);
/* Has the open batch anything to commit? */
bool keyspace_has_batch(const struct keyspace *keyspace);
size_t keyspace_batch_size(const struct keyspace *keyspace); /* bytes */
uint64_t keyspace_open_seq(const struct keyspace *keyspace);
/* Write the touched keys' rows and counters, and give the batch away; the */
/* next one is open.  spare (may be NULL) is taken for it. */
struct batch *keyspace_seal(struct keyspace *keyspace, struct batch *spare);
/* Rows up to seq are in the tables: those keys may be evicted. */
void keyspace_set_folded(struct keyspace *keyspace, uint64_t seq);
/* Evict clean keys by sampled LRU until under memory_max or time is up. */
/* true: still above, and more could be evicted if more were folded. */
bool keyspace_evict(struct keyspace *keyspace, int64_t budget_us);
/* Seconds since key was used (0 under LFU), and its LFU counter (0 under */
/* LRU): OBJECT IDLETIME and FREQ. */
uint64_t keyspace_idle_s(
    const struct keyspace *keyspace, const struct key *key);
unsigned keyspace_frequency(
    const struct keyspace *keyspace, const struct key *key);
/* DEBUG EVICT: everything that may go, goes.  Answer: keys evicted. */
uint64_t keyspace_evict_all(struct keyspace *keyspace);
/* Delete expired keys for up to budget_us; wall time now_ms.  Answer: keys */
/* deleted. */
uint64_t keyspace_sweep(
    struct keyspace *keyspace, int64_t now_ms, int64_t budget_us);
/* Free what was dropped, for up to budget_us.  true: more to do. */
bool keyspace_reap(struct keyspace *keyspace, int64_t budget_us);
/*
 * D2: after a failed commit.  Drop everything in memory and build again what
 * the tables and the committed journal say.  Until keyspace_resume() nothing
 * may change (DCHECKed); expired keys are hidden, not deleted.
 */
MUST_CHECK enum status keyspace_reload(struct keyspace *keyspace);
void keyspace_resume(struct keyspace *keyspace);
/* D4 and the accounting, checked key by key; debug. */
void keyspace_check(const struct keyspace *keyspace);

struct keyspace_stats {
    uint64_t memory;          /* bytes accounted to keys and objects */
    uint64_t resident, dirty; /* keys */
    uint64_t evicted, loaded; /* keys, since start */
    uint64_t expired;         /* keys, since start */
    uint64_t expired_stale_sweep_us;
};
void keyspace_stats(
    const struct keyspace *keyspace, struct keyspace_stats *stats);
struct reader *keyspace_reader(struct keyspace *keyspace);

#endif
