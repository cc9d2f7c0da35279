/*
 * shipperstate.h -- what the parts of the shipper share, and the small steps
 * that more than one of them takes.
 *
 * Private to the shipper: shipper.c (what is due), shippertake.c (files made),
 * shippersend.c (requests sent), shipperjudge.c (answers).  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_SHIPPERSTATE_H
#define WALDEN_REPLICATION_SHIPPERSTATE_H

#include "replication/backoff.h"
#include "replication/layout.h"
#include "replication/shipper.h"
#include "replication/take.h"

#define SHIPPERSTATE_CHECK_SIZE_MAX (64 * 1024 * 1024) /* compared of objects */

enum shipper_phase {
    PHASE_IDLE,
    PHASE_IMAGE,
    PHASE_PUT,
    PHASE_CHECK,
    PHASE_HEAD
};

/* What a txid covers. */
struct shipper_span {
    uint64_t txid;
    struct tap_position end;
    int64_t taken_ms; /* monotonic */
};

struct shipper {
    struct objectstore *store;
    struct tap *tap;
    struct outbox *outbox;
    struct shipper_options options;
    struct shipper_status status;

    struct tap_position taken;  /* end of the newest take */
    struct shipper_span *spans; /* taken, not shipped; oldest first */
    size_t span_count, span_size;

    enum shipper_phase phase;
    struct objectstore_request request;
    char name[LAYOUT_NAME_SIZE];
    struct buf body;    /* the file, unless it is in the outbox */
    uint64_t body_txid; /* 0: nothing in body */
    int body_fd;        /* the outbox's or the image's; -1: none */
    uint64_t body_size;
    struct take_image *image;
    struct tap_position image_end;
    bool needs_image; /* the next txid holds the whole database */
    bool is_stalling; /* the outbox is full: the tap is told */

    struct backoff backoff;
    int64_t retry_at_ms; /* monotonic; nothing is sent before */
    int64_t last_take_ms, last_put_ms;
    int64_t verified_ms;       /* at which the head was last known to be ours */
    int64_t last_timestamp_ms; /* of the newest header: they never go back */
    int64_t sent_ms;           /* of the request in flight */
    int64_t now_ms;
    int64_t oldest_unshipped_ms;
    uint64_t wanted_seq, noted_want; /* noted_want: since wanted_ms */
    int64_t wanted_ms;
    bool awaits_commit;           /* see shipper_awaits_commit() */
    bool is_hurried, is_done;     /* is_done: the request has completed */
    bool has_stepped, is_holding; /* is_holding: the tap, for an image */
    bool is_doubtful;             /* see shipper_doubt() */
    bool is_asked; /* for a position: let a step pass without a take */
};

/* ---- spans ---- */

/* txid was taken up to end. */
void shipperstate_push_span(
    struct shipper *shipper, uint64_t txid, const struct tap_position *end);
/* The oldest one is shipped, or given up. */
void shipperstate_drop_first_span(struct shipper *shipper);

/*
 * The WAL stays as it is while an image is made and sent.  false: a checkpoint
 * is under way.
 */
bool shipperstate_hold_wal(struct shipper *shipper);
void shipperstate_release_wal(struct shipper *shipper);

/* ---- the file being shipped ---- */

/* Forget it; what the outbox has stays there. */
void shipperstate_drop_body(struct shipper *shipper);
bool shipperstate_read_header(
    const struct shipper *shipper, struct ltx_header *header);

/* ---- failures ---- */

/* Logs the first of several. */
void shipperstate_note_failure(
    struct shipper *shipper, const char *what, const char *why);
/* Nothing is sent for a while.  retry_after_ms: what the server asked, or 0. */
void shipperstate_retry_later(struct shipper *shipper, int64_t retry_after_ms);
/* Another writer owns the prefix: the end. */
void shipperstate_fence(struct shipper *shipper, const char *why);

#endif
