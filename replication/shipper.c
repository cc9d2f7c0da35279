/*
 * shipper.c -- every committed transaction, in order, into the bucket.
 *
 * One request is in flight at most.  What it is for is the phase:
 *
 *            +--------- nothing to ship -----------+
 *            v                                     |
 *   IDLE --take--> PUT --200--> shipped -----------+
 *     ^             |  \--lost answer, 5xx--> retry of the same PUT later
 *     |             +--409/412--> CHECK: GET the object back
 *     |                             ours ---> shipped
 *     |                             another's -> FENCED
 *     +-- stalled, in doubt -> HEAD: LIST what follows our newest
 *                                nothing --> go on;  something -> FENCED
 *
 * The file being shipped stands in memory (body) or, if the committer wanted
 * its WAL back or the bucket lags, in the outbox.  Once something is in the
 * outbox all that follows goes through it, in order.
 */
#include "server/base/memory.h"

#include "replication/shipper.h"
#include "replication/shipperjudge.h"
#include "replication/shippersend.h"
#include "replication/shipperstate.h"
#include "replication/shippertake.h"

/*
 * How long a wanted commit is waited for when others could be shipped.  It is
 * under way; only one that fails, or a slow disk, takes so long.
 */
#define COMMIT_PATIENCE_MS 10

/* ---- what is due -------------------------------------------------------- */

/* ms until the cap on uploads lets the next PUT go. */
static int64_t
cap_wait_ms(const struct shipper *shipper)
{
    int64_t cap = shipper->options.uploads_per_minute_max;

    if (cap <= 0 || shipper->last_put_ms == 0)
        return 0;
    return shipper->last_put_ms + 60000 / cap - shipper->now_ms;
}

/*
 * ms until the replies that wait want a take, -1: none do.  What they wait for
 * may not be committed yet: were a file made of what is there (another batch, a
 * slice of the fold), they would wait for two uploads.
 */
static int64_t
want_wait_ms(const struct shipper *shipper, const struct tap_position *current)
{
    if (shipper->wanted_seq <= shipper->status.shipped_seq)
        return -1;
    if (shipper->wanted_seq == SHIPPER_ALL ||
        current->seq >= shipper->wanted_seq)
        return 0;
    int64_t wait = shipper->wanted_ms + COMMIT_PATIENCE_MS - shipper->now_ms;
    return wait > 0 ? wait : 0;
}

/* ms until a take is due; -1: nothing was committed. */
static int64_t
take_wait_ms(struct shipper *shipper, const struct tap_position *current)
{
    if (!shippertake_has_frames(shipper, current) &&
        !(shipper->needs_image && current->offset > 0))
        return -1;
    int64_t wait = shipper->last_take_ms + shipper->options.sync_interval_ms -
                   shipper->now_ms;
    int64_t want_wait = want_wait_ms(shipper, current);
    if (want_wait >= 0 && want_wait < wait)
        wait = want_wait;
    return wait > 0 ? wait : 0;
}

static void
note_lag(struct shipper *shipper, const struct tap_position *current)
{
    struct shipper_status *status = &shipper->status;
    bool is_behind =
        shipper->span_count > 0 || shippertake_has_frames(shipper, current);

    if (!is_behind) {
        shipper->oldest_unshipped_ms = 0;
        status->lag_ms = 0;
        status->lag_bytes = 0;
        return;
    }
    if (shipper->span_count > 0)
        shipper->oldest_unshipped_ms = shipper->spans[0].taken_ms;
    else if (shipper->oldest_unshipped_ms == 0 ||
             shipper->oldest_unshipped_ms < shipper->last_take_ms)
        shipper->oldest_unshipped_ms = shipper->now_ms;
    status->lag_ms = shipper->now_ms - shipper->oldest_unshipped_ms;
    status->lag_bytes = outbox_size(shipper->outbox);
    if (outbox_count(shipper->outbox) == 0 && shipper->body_txid != 0)
        status->lag_bytes +=
            shipper->body_fd < 0 ? shipper->body.len : shipper->body_size;
    if (tap_is_same_wal(&shipper->taken, current))
        status->lag_bytes += current->offset - shipper->taken.offset;
    else
        status->lag_bytes += current->offset;
}

/* Nothing is in flight: send what is due.  Answer as shipper_step(). */
static int64_t
start_next(struct shipper *shipper)
{
    struct tap_position current;
    int64_t wait;

    if (shipper->retry_at_ms > shipper->now_ms)
        return shipper->retry_at_ms - shipper->now_ms;
    if (shipper->is_doubtful) {
        shippersend_head(shipper);
        return -1;
    }
    if (shipper->span_count == 0) {
        if (shipper->is_asked) {
            shipper->is_asked = false;
            return 0;
        }
        tap_current(shipper->tap, &current);
        wait = take_wait_ms(shipper, &current);
        if (wait != 0)
            return wait;
    }
    wait = cap_wait_ms(shipper);
    if (wait > 0)
        return wait;
    if (shipper->now_ms - shipper->verified_ms >
        shipperjudge_stall_limit_ms(shipper)) {
        shippersend_head(shipper);
        return -1;
    }
    if (shipper->span_count == 0 && shipper->needs_image) {
        shippertake_start_image(shipper);
        return shipper->phase == PHASE_IMAGE ? 0 : 100;
    }
    if (shipper->span_count == 0) {
        if (shippertake_encode(shipper, &current, &shipper->body) != STATUS_OK)
            return BACKOFF_FIRST_MS;
        shipperstate_push_span(
            shipper, shipper->status.taken_txid + 1, &current);
        shipper->body_txid = shipper->status.taken_txid;
    }
    if (!shippersend_load_outbox(shipper))
        return BACKOFF_FIRST_MS;
    shippersend_put(shipper);
    return -1;
}

int64_t
shipper_step(struct shipper *shipper, int64_t now_ms)
{
    struct tap_position current;
    int64_t wait = -1;

    shipper->now_ms = now_ms;
    if (shipper->noted_want != shipper->wanted_seq) {
        shipper->noted_want = shipper->wanted_seq;
        shipper->wanted_ms = now_ms;
    }
    /* Files of an earlier run are as old as this one, for all we know. */
    for (size_t i = 0; i < shipper->span_count && !shipper->has_stepped; i++)
        shipper->spans[i].taken_ms = now_ms;
    shipper->has_stepped = true;
    if (shipper->status.state == SHIPPER_FENCED)
        return -1;
    uint64_t shipped_seq = shipper->status.shipped_seq;
    if (shipper->is_done)
        shipperjudge_run(shipper);
    bool has_news = shipper->status.shipped_seq != shipped_seq;
    if (shipper->is_hurried) {
        shipper->is_hurried = false;
        shippertake_to_outbox(shipper);
    }
    if (shipper->phase == PHASE_IMAGE) {
        shippertake_step_image(shipper);
        wait = 0;
    }
    /* News first: making the next file takes a while, and replies wait. */
    if (has_news)
        wait = 0;
    else if (shipper->phase == PHASE_IDLE &&
             shipper->status.state != SHIPPER_FENCED)
        wait = start_next(shipper);
    shippertake_end_stall(shipper);
    tap_current(shipper->tap, &current);
    note_lag(shipper, &current);
    shipper->awaits_commit = shipper->phase == PHASE_IDLE &&
                             shipper->span_count == 0 &&
                             (!shippertake_has_frames(shipper, &current) ||
                                 want_wait_ms(shipper, &current) > 0);
    shipper->status.outbox_bytes = outbox_size(shipper->outbox);
    return wait;
}

/* ---- the interface ------------------------------------------------------ */

struct shipper *
shipper_new(struct objectstore *store, struct tap *tap, struct outbox *outbox,
    const struct shipper_options *options, const struct shipper_start *start)
{
    struct shipper *shipper = memory_zalloc(sizeof(*shipper));
    const struct outbox_file *first = outbox_first(outbox);
    const struct outbox_file *last = outbox_last(outbox);

    shipper->store = store;
    shipper->tap = tap;
    shipper->outbox = outbox;
    shipper->options = *options;
    shipper->body_fd = -1;
    shipper->taken = start->taken;
    shipper->status.taken_txid = start->txid;
    shipper->status.shipped_txid =
        first != NULL ? first->txid - 1 : start->txid;
    shipper->needs_image = start->txid == 0 || start->needs_image;
    if (start->needs_image)
        shipper->status.state = SHIPPER_LOST;
    shipper->verified_ms = INT64_MIN / 2; /* look at the head first */
    shipper->last_take_ms = INT64_MIN / 2;
    /* Files of an earlier run: what they cover ends at start->taken. */
    if (first != NULL)
        for (uint64_t txid = first->txid; txid <= last->txid; txid++) {
            shipperstate_push_span(shipper, txid, &start->taken);
            shipper->spans[shipper->span_count - 1].end.seq = 0;
        }
    shipper->last_take_ms = INT64_MIN / 2;
    return shipper;
}

void
shipper_free(struct shipper *shipper)
{
    if (shipper == NULL)
        return;
    if (shipper->phase == PHASE_PUT || shipper->phase == PHASE_CHECK ||
        shipper->phase == PHASE_HEAD)
        if (!shipper->is_done)
            objectstore_cancel(shipper->store, &shipper->request);
    objectstore_request_fini(&shipper->request);
    take_image_free(shipper->image);
    shipperstate_release_wal(shipper);
    shipperstate_drop_body(shipper);
    buf_fini(&shipper->body);
    memory_free(shipper->spans);
    memory_free(shipper);
}

void
shipper_want(struct shipper *shipper, uint64_t seq)
{
    if (seq > shipper->wanted_seq)
        shipper->wanted_seq = seq;
}

bool
shipper_awaits_commit(const struct shipper *shipper)
{
    return shipper->awaits_commit;
}

void
shipper_doubt(struct shipper *shipper)
{
    shipper->is_doubtful = true;
}

void
shipper_hurry(struct shipper *shipper)
{
    shipper->is_hurried = true;
}

void
shipper_status(const struct shipper *shipper, struct shipper_status *status)
{
    *status = shipper->status;
}

bool
shipper_position(struct shipper *shipper, bool with_outbox, uint64_t *txid,
    struct tap_position *position)
{
    size_t waiting = with_outbox ? outbox_count(shipper->outbox) : 0;

    if (shipper->span_count > waiting || shipper->needs_image) {
        /* Under load there is always something under way: make a gap. */
        shipper->is_asked = true;
        return false;
    }
    shipper->is_asked = false;
    *txid = shipper->status.taken_txid;
    *position = shipper->taken;
    return true;
}
