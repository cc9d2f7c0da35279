/*
 * replication.h -- the database's second home: the SHIP thread, and what the
 * server says to it and hears from it.
 *
 * Start-up, in the server's main thread, before the database is opened:
 *   replication_prepare()   looks at the bucket and at the local files and
 *                           decides (B3, B4): restore, continue, start a new
 *                           history, or refuse with a reason
 * then the store is opened with the tap, the takeover transaction is committed,
 * and
 *   replication_start()     ships it; who wins that PUT owns the prefix
 *   replication_settle()    once it is won, and before anybody is served
 */
#ifndef WALDEN_REPLICATION_REPLICATION_H
#define WALDEN_REPLICATION_REPLICATION_H

#include "replication/keeper.h"
#include "replication/objectstore.h"
#include "replication/shipper.h"

struct replication;

struct replication_options {
    struct objectstore_options store;
    struct shipper_options shipper;
    struct keeper_options keeper;
    const char *database_path;
    bool unsafe_no_fencing;      /* start though the store cannot fence */
    int64_t shutdown_timeout_ms; /* of the final shipping; 0: no limit */
    int64_t lag_warning_ms;      /* 0: never */
};

/*
 * Look and decide; restores the local file if it is absent and the bucket has
 * a history.  While the bucket does not answer: waits with back-off, logging,
 * until *stop becomes non-zero.
 * Fails: STATUS_CONFLICT (local file and bucket disagree; error says how and
 *        names the two ways out), STATUS_UNSUPPORTED (no fencing),
 *        STATUS_INVALID (options), STATUS_CORRUPT (names the object).
 */
MUST_CHECK enum status replication_prepare(struct replication **replication,
    const struct replication_options *options, volatile int *stop,
    struct buf *error);

/* Was the local file made from the bucket just now? */
bool replication_was_restored(const struct replication *replication);

/*
 * Was it made by this start, with nobody served from it?  Then, if the prefix
 * is not won, the next replication_prepare() removes it (unowned.h).
 */
bool replication_is_disposable(const struct replication *replication);
/*
 * The prefix is owned: from now on the local database counts.
 * Fails: STATUS_IO; nobody may be served.
 */
MUST_CHECK enum status replication_settle(struct replication *replication);

/* Start SHIP on this tap (whose store is open). */
void replication_start(struct replication *replication, struct tap *tap);
/* Readable when a report waits. */
int replication_report_fd(const struct replication *replication);

struct replication_report {
    uint64_t shipped_seq; /* the bucket has all batches up to it */
    enum shipper_state state;
    char error[256];
};
/* false: none. LOOP. */
bool replication_next_report(
    struct replication *replication, struct replication_report *report);
/* Replies wait for seq.  LOOP; cheap. */
void replication_want(struct replication *replication, uint64_t seq);
/* Ship everything committed, then report; for SHUTDOWN.  Gives up after */
/* shutdown_timeout_ms: STATUS_TIMEOUT. */
MUST_CHECK enum status replication_drain(struct replication *replication);
/* Stop SHIP.  After a drain and the store's clean close this notes where the */
/* local file stands, so that the next start need not compare. */
void replication_stop(struct replication *replication, bool is_clean);
void replication_free(struct replication *replication);

struct replication_stats {
    struct shipper_status shipper;
    uint64_t requests[5]; /* by enum objectstore_op */
    uint64_t bytes_sent, bytes_received;
    uint64_t compactions, snapshots, deletes;
    uint64_t recent_bytes; /* shipped files in memory, to be merged */
    bool can_fence;
};
/* Any thread. */
void replication_stats(
    struct replication *replication, struct replication_stats *stats);

#endif
