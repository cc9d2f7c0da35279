/*
 * connection.h -- the writing connection with everything that hangs on it:
 * its statements, the journal, the direct index, the fold, the WAL's size.
 *
 * Private to storage/.  Thread: COMMIT (before it runs: whoever opens).
 */
#ifndef WALDEN_STORAGE_CONNECTION_H
#define WALDEN_STORAGE_CONNECTION_H

#include "storage/committer.h"
#include "storage/fold.h"

struct connection {
    sqlite3 *db; /* NULL: not open */
    struct transaction *transaction;
    struct table_writer *tables;
    struct journal *journal;
    struct direct_index *direct;
    struct fold *fold;
    bool has_garbage;
    uint64_t wal_frames;    /* in the WAL */
    uint64_t copied_frames; /* of them, checkpointed */
    struct tap *tap;        /* told of every commit; NULL: none.  Lent */
    bool is_tap_asked;      /* asked to hurry, before a checkpoint */
    uint64_t seq;           /* of the newest batch committed, or being so */
    bool is_synced;         /* does the transaction being committed sync? */
};

/*
 * Open options->path and read what it says of itself.  Nothing is recovered
 * yet.  connection must be zero; the tap in it is kept.
 * Fails with a sentence in error; connection is then closed.
 */
MUST_CHECK enum status connection_open(struct connection *connection,
    const struct store_options *options, char *error, size_t error_size);
/* Forgets a fold in progress.  May be called again. */
void connection_close(struct connection *connection);

/* Fold all that the journal holds, checkpointing above wal_size_max bytes. */
MUST_CHECK enum status connection_fold_all(
    struct connection *connection, uint64_t seq, uint64_t wal_size_max);

/* mode: SQLITE_CHECKPOINT_*. STATUS_BUSY: not all of the WAL was copied. */
MUST_CHECK enum status connection_checkpoint(
    struct connection *connection, int mode);
/*
 * Wait while the outbox is full and the WAL has reached its size: whatever is
 * committed then only adds to what a lost machine would lose, and to the disk.
 */
void connection_wait_for_taker(
    struct connection *connection, uint64_t wal_size_max);
/* Bytes of the WAL that a checkpoint would copy. */
uint64_t connection_wal_size(const struct connection *connection);

/* D1: batch as one transaction. */
MUST_CHECK enum status connection_commit(struct connection *connection,
    const struct batch *batch, bool is_synchronous);
/* A small durable transaction, to see whether the disk takes one. */
MUST_CHECK enum status connection_probe(struct connection *connection);

/* What LOOP needs to know. */
MUST_CHECK enum status connection_read_counters(
    struct connection *connection, struct store_counters *counters);

#endif
