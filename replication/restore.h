/*
 * restore.h -- a database file from the bucket.
 *
 * Newest snapshot + chain, parallel ranged GETs, every checksum verified,
 * written to "<path>-restoring" and renamed when whole; memory is bounded by
 * RESTORE_WINDOW_SIZE.  A gap or a mismatch names the object.
 */
#ifndef WALDEN_REPLICATION_RESTORE_H
#define WALDEN_REPLICATION_RESTORE_H

#include "replication/layout.h"
#include "replication/objectstore.h"

#define RESTORE_WINDOW_SIZE (64 * 1024 * 1024) /* bytes in memory */
#define RESTORE_PART_SIZE (4 * 1024 * 1024)    /* bytes of one GET */
#define RESTORE_PARALLEL 16                    /* GETs at once */

struct restore_options {
    uint64_t to_txid;      /* 0: newest */
    int64_t to_time_ms;    /* 0: newest; else newest header time <= it */
    bool with_quick_check; /* PRAGMA quick_check at the end */
    /* Called now and then: bytes fetched of total. May be NULL. */
    void (*progress)(uint64_t done, uint64_t total, void *arg);
    /*
     * Called when the file is whole and synced, before it gets its name.  What
     * fails ends the restore.  May be NULL.
     */
    enum status (*before_naming)(const char *temporary, void *arg);
    void *arg;
};
struct restore_result {
    uint64_t txid;
    int64_t timestamp_ms;
    uint64_t files, bytes, pages;
    /* Of the last level-0 file applied, if any: see shipper. */
    uint32_t wal_salt1, wal_salt2;
    int64_t wal_end;
    uint64_t checksum; /* database checksum, flagged; 0: none kept */
};

/*
 * Every LTX file under the prefix.  All pages of LIST; retries with back-off
 * up to deadline.  STATUS_OK with count 0 is a certain "empty" (B4); anything
 * unclear is another status.
 * Owns: the caller frees *files.
 */
MUST_CHECK enum status restore_list(struct objectstore *store,
    struct layout_file **files, size_t *count, struct buf *error);

/* One of SQLite's own checks ("quick_check" or "integrity_check") of a whole */
/* file that has no WAL. */
MUST_CHECK enum status restore_check_file(
    const char *path, const char *check, struct buf *error);

/* STATUS_NOT_FOUND: the prefix is empty, or no state at or before the time */
/* or txid.  STATUS_EXISTS: path is there already. */
MUST_CHECK enum status restore_run(struct objectstore *store, const char *path,
    const struct restore_options *options, struct restore_result *result,
    struct buf *error);

#endif
