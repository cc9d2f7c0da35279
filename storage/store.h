/*
 * store.h -- the database file: open it, recover it, read it, commit to it.
 *
 * The file is SQLite's, in WAL mode, and is the only truth:
 *
 *   meta(name, value)          schema version, database id, counters, ...
 *   keys(id, db, name, type, encoding, expire_at, version, size, value)
 *   hashes(key, field, value)  lists(key, pos, value)
 *   sets(key, member)          zsets(key, member, score)
 *   blobs(key, chunk, data)
 *   garbage(kind, id)          rows of it are nobody's and go in slices
 *   journal(id, has_direct, changes) committed row changes not yet folded;
 *                              id = seq << 16 | part
 *
 *   D1  A batch is one transaction.
 *   D2  Batches commit in order; after a failed commit nothing commits over
 *       the hole until store_resume().
 *   D3  tables + journal are, after every commit, exactly the acknowledged
 *       state.  Folding never changes it.
 *
 * One writing connection, owned by the COMMIT thread; one read-only
 * connection (struct reader), owned by LOOP.
 */
#ifndef WALDEN_STORAGE_STORE_H
#define WALDEN_STORAGE_STORE_H

#include "storage/batch.h"

struct store;
struct reader;
struct tap;

struct store_options {
    const char *path;           /* of the database file */
    const char *vfs;            /* SQLite VFS name, NULL: the default */
    uint64_t journal_fold_size; /* bytes: start folding; default 128 MiB */
    uint64_t journal_size_max;  /* bytes: fold before new commits */
    uint64_t checkpoint_size;   /* bytes of WAL that call for a checkpoint */
    /* Both as they are when the store is opened; default 64 MiB. */
    uint64_t journal_row_size; /* a larger batch takes several rows */
    uint64_t generation_size;  /* bytes that a fold keeps in memory at once */
    int64_t fold_slice_us;     /* longest stretch of folding, microseconds */
    int fold_idle_ms;          /* fold when idle for so long; -1: never */
    bool is_synchronous;       /* false: no fsync at commits */
    struct tap *tap;           /* lent; told of every commit.  NULL: none */
};

void store_options_init(struct store_options *options);

/* What LOOP needs to know of a database it opens. */
struct store_counters {
    uint64_t next_id; /* the next key id to give out */
    uint64_t seq;     /* of the newest committed batch */
    uint8_t hash_seed[16];
    char database_id[41]; /* 40 hex digits and a NUL */
};

/*
 * Open or create the file, take its lock, check version and integrity basics,
 * recover (fold what the journal holds), start the COMMIT thread.
 * Fails:  STATUS_BUSY (another process has it), STATUS_NEWER_VERSION,
 *         STATUS_CORRUPT, STATUS_IO, STATUS_FULL, STATUS_DENIED; error then
 *         holds a sentence for the log.
 * Owns:   copies options.
 * Thread: LOOP.
 */
MUST_CHECK enum status store_open(struct store **store,
    const struct store_options *options, char *error, size_t error_size);

/* Fold, checkpoint, stop the thread, close.  No batch may be out. */
void store_close(struct store *store);
/* Stop without folding or checkpointing: for tests and fatal exits. */
void store_abandon(struct store *store);

const struct store_counters *store_counters(const struct store *store);
/* LOOP's connection; lent. */
struct reader *store_reader(struct store *store);
/* Becomes readable when a report is waiting (watch it in the loop). */
int store_report_fd(const struct store *store);

/* What came back from the COMMIT thread. */
enum store_report_kind {
    STORE_BATCH,  /* batch: its outcome is set; LOOP owns it again */
    STORE_FOLDED, /* folded_seq grew; nothing else */
    STORE_SYNCED, /* a store_sync() is done; token, outcome */
    STORE_RESUMED /* the probe after a failure: outcome */
};
struct store_report {
    enum store_report_kind kind;
    struct batch *batch;
    uint64_t folded_seq; /* rows of all batches up to it are in the tables */
    uint64_t token;
    enum status outcome;
};
/* Take the next report; false: none waiting.  Never blocks.  LOOP. */
bool store_next_report(struct store *store, struct store_report *report);

/* Queue batch for commit.  Takes batch; it comes back in a report.  LOOP. */
void store_submit(struct store *store, struct batch *batch);

/* Fold everything committed so far and, if asked, checkpoint; a STORE_SYNCED */
/* report with token follows. */
void store_sync(struct store *store, uint64_t token, bool with_checkpoint);

/* Start folding now (memory pressure): reports STORE_FOLDED as it goes. */
void store_request_fold(struct store *store);

/* After a failed commit: try whether the disk takes a commit again.  A */
/* STORE_RESUMED report follows; on STATUS_OK batches are taken again, from */
/* seq on the one after the newest committed. */
void store_resume(struct store *store);

/* Change tunables while running (CONFIG SET). Copies options. */
void store_set_options(
    struct store *store, const struct store_options *options);

/* For INFO; a consistent-enough copy.  Any thread. */
struct store_stats {
    uint64_t committed_seq;
    uint64_t folded_seq;
    uint64_t commits, commit_failures;
    uint64_t journal_bytes, journal_rows;
    uint64_t journal_bytes_written; /* since start */
    uint64_t folds, fold_rows;      /* generations folded; rows written */
    uint64_t fold_pending_rows;
    uint64_t garbage_rows_deleted;
    uint64_t checkpoints;
    uint64_t wal_bytes;
    uint64_t direct_rows;
    int64_t last_fold_end_ms;         /* wall clock */
    uint64_t batch_commands_hist[24]; /* [i]: batches of 2^i.. commands */
    uint64_t commit_us_hist[24];      /* [i]: commits of 2^i.. microseconds */
    char last_error[256];
};
void store_stats(const struct store *store, struct store_stats *stats);

/* ---- reader: LOOP's view of the tables (not of the journal) ------------ */

/* Slices are lent until the next call on the reader. */
MUST_CHECK enum status reader_find_key(
    struct reader *reader, uint32_t db, struct slice name, struct key_row *row);
MUST_CHECK enum status reader_get_key(
    struct reader *reader, uint64_t id, struct key_row *row);
/* The key row with the smallest id > after. STATUS_NOT_FOUND: none.  */
/* Consecutive calls walk a cursor. value is not filled in. */
MUST_CHECK enum status reader_next_key(
    struct reader *reader, uint64_t after, struct key_row *row);
uint64_t reader_last_id(struct reader *reader); /* largest id, 0 if none */
/* The key row with the smallest (expire_at, id) > (after_ms, after_id) and */
/* expire_at <= until_ms.  value is not filled in. */
MUST_CHECK enum status reader_next_expired(struct reader *reader,
    int64_t after_ms, uint64_t after_id, int64_t until_ms, struct key_row *row);
/* The smallest expire_at in the table; -1: no key expires. */
int64_t reader_first_expiry(struct reader *reader);

/* Every element of collection id in table, in sub order; visit answers false */
/* to stop.  Slices are lent during the call. */
typedef bool (*reader_visit_fn)(
    struct slice sub, struct slice value, void *arg);
MUST_CHECK enum status reader_each_element(struct reader *reader,
    enum row_table table, uint64_t id, reader_visit_fn visit, void *arg);
/* One element. */
MUST_CHECK enum status reader_find_element(struct reader *reader,
    enum row_table table, uint64_t id, struct slice sub, struct slice *value);
MUST_CHECK enum status reader_get_meta(
    struct reader *reader, const char *name, struct slice *value);
/* Each meta row whose name starts with prefix. */
MUST_CHECK enum status reader_each_meta(struct reader *reader,
    const char *prefix, reader_visit_fn visit, void *arg);
/* The committed, unfolded journal, oldest first; value of visit: changes. */
typedef bool (*reader_journal_fn)(
    uint64_t seq, struct slice changes, void *arg);
MUST_CHECK enum status reader_each_journal(
    struct reader *reader, reader_journal_fn visit, void *arg);
/* Bytes of SQLite's page cache in use by this connection. */
size_t reader_memory(const struct reader *reader);

#endif
