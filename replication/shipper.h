/*
 * shipper.h -- every committed transaction, in order, into the bucket.
 *
 * A state machine without a thread of its own: replication.c runs it on SHIP,
 * the simulation runs it with a fake clock, a store in memory and a tap made of
 * numbers.
 *
 *   take    frames [taken, committed) of the WAL -> one LTX file, the next txid
 *   put     If-None-Match: *, one in flight; the name is known beforehand (B1)
 *   judge   200: shipped.  409, 412, 500, timeout: read the object back; if its
 *           bytes are ours it was our own first try; if they are another
 *           writer's the prefix is lost: SHIPPER_FENCED, for good.
 *
 * A take happens when the sync interval has passed since the last one, or at
 * once when the commit that replies wait for (durability bucket) is there and
 * no PUT is in flight, or when the committer needs its WAL back (then through
 * the outbox).
 *
 *   B1  Level-0 txids are contiguous; each is PUT once.
 *   B2  taken is reported to the tap only when the bucket or the synced outbox
 *       has the frames.
 *   B5  While nothing is committed nothing is requested.
 *
 * A writer that did not hear from the bucket for longer than half of the
 * level-0 retention (its objects may have been compacted away by a new owner,
 * so that its If-None-Match would succeed) reads the head of the history before
 * it PUTs, and again before it believes a PUT that took as long.
 */
#ifndef WALDEN_REPLICATION_SHIPPER_H
#define WALDEN_REPLICATION_SHIPPER_H

#include "replication/objectstore.h"
#include "replication/outbox.h"
#include "storage/tap.h"

struct recent;

enum shipper_state {
    SHIPPER_RUNNING,
    SHIPPER_FENCED, /* another writer owns the prefix: stop acknowledging */
    SHIPPER_LOST    /* frames are gone that were not shipped (outbox limit */
                    /* with "resnapshot", or damage): a new snapshot is due */
};

enum shipper_full { SHIPPER_STALL, SHIPPER_RESNAPSHOT };

struct shipper_options {
    int64_t sync_interval_ms; /* 1000 */
    uint64_t outbox_size_max; /* bytes */
    enum shipper_full when_full;
    int64_t level0_retention_ms;    /* 300,000 */
    int64_t uploads_per_minute_max; /* 0: no cap */
    uint64_t node_id;               /* of this start: random */
    bool can_fence;                 /* false: PUT without If-None-Match */
    const char *scratch; /* folder for the image of a whole database */
    const char *database_path;
    struct recent *recent; /* lent; gets what was shipped; NULL: none */
};

/* Where the history stands when the shipper starts. */
struct shipper_start {
    uint64_t txid;             /* newest known to be in bucket or outbox */
    struct tap_position taken; /* WAL position it ends at; offset 0: at */
                               /* the beginning of the present WAL */
    bool needs_image;          /* history was lost (outbox.h): the next txid */
                               /* holds the whole database */
};

struct shipper;
struct shipper *shipper_new(struct objectstore *store, struct tap *tap,
    struct outbox *outbox, const struct shipper_options *options,
    const struct shipper_start *start);
void shipper_free(struct shipper *shipper);

/*
 * Do what is due at now_ms (monotonic).  Answer: ms until something is due by
 * itself, -1: only when woken or when a request completes.
 */
int64_t shipper_step(struct shipper *shipper, int64_t now_ms);
/*
 * Somebody waits for seq: ship up to it without waiting for the interval, as
 * soon as it is committed.  SHIPPER_ALL: whatever there is.
 */
#define SHIPPER_ALL UINT64_MAX
void shipper_want(struct shipper *shipper, uint64_t seq);
/*
 * As of the last step: may a commit make something due sooner than that step
 * has answered?
 */
bool shipper_awaits_commit(const struct shipper *shipper);
/*
 * Something says that another writer owns the prefix: look at the head of the
 * history, whether anything is to be shipped or not.
 */
void shipper_doubt(struct shipper *shipper);
/* The committer needs its WAL back. */
void shipper_hurry(struct shipper *shipper);

/* Where the newest file that the bucket has ends; false: something is taken */
/* and not shipped yet, or the next file is an image. */
/* with_outbox: what waits there, whole and synced, counts as shipped. */
bool shipper_position(struct shipper *shipper, bool with_outbox, uint64_t *txid,
    struct tap_position *position);

struct shipper_status {
    enum shipper_state state;
    uint64_t taken_txid, shipped_txid;
    uint64_t shipped_seq;    /* newest batch the bucket has */
    uint64_t lag_bytes;      /* of WAL and outbox not yet shipped */
    int64_t lag_ms;          /* age of the oldest commit not shipped */
    int64_t last_shipped_ms; /* wall clock; 0: never */
    uint64_t outbox_bytes;
    uint64_t puts, retries, failures;
    char error[256]; /* newest failure; "" after a success */
};
void shipper_status(
    const struct shipper *shipper, struct shipper_status *status);

#endif
