/*
 * shipperjudge.c -- what the bucket's answers mean.
 *
 * A retried PUT whose first try did arrive is answered 412 and so goes through
 * CHECK; a lost answer needs no other care.
 *
 * Ghosts.  A PUT that was given up may arrive later, and a file that was lost
 * on purpose (an image, an outbox that was dropped) may have arrived.  So an
 * object that is in the way and carries the node id of this start, or that can
 * be made again byte for byte from our own WAL, is no other writer's: its txid
 * is used up, what it holds is history, and the next txid goes on from there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/recent.h"
#include "replication/shipperjudge.h"
#include "replication/shippersend.h"
#include "replication/shipperstate.h"
#include "replication/shippertake.h"

#define REFUSED_IMAGE_WAIT_MS 600000

/* ---- judging ------------------------------------------------------------ */

/*
 * The bucket has the file, and nobody can replace it: the keeper need not fetch
 * it to merge it.  Images are never merged.
 */
static void
lend_to_keeper(struct shipper *shipper)
{
    struct recent *recent = shipper->options.recent;
    uint64_t txid = shipper->body_txid;

    if (recent == NULL || !shipper->options.can_fence || shipper->needs_image ||
        txid != shipper->spans[0].txid)
        return;
    if (shipper->body_fd < 0)
        recent_add(recent, txid, buf_slice(&shipper->body));
    else
        recent_add_file(recent, txid, shipper->body_fd, shipper->body_size);
}

static void
finish_shipped(struct shipper *shipper)
{
    struct shipper_status *status = &shipper->status;
    struct shipper_span span = shipper->spans[0];
    const struct outbox_file *first = outbox_first(shipper->outbox);

    FAULT_POINT("ship.shipped");
    status->shipped_txid = span.txid;
    if (span.end.seq > status->shipped_seq)
        status->shipped_seq = span.end.seq;
    status->last_shipped_ms = clock_wall_ms();
    status->error[0] = '\0';
    shipper->verified_ms = shipper->sent_ms;
    backoff_reset(&shipper->backoff);
    shipper->retry_at_ms = 0;
    if (first != NULL && first->txid == span.txid &&
        outbox_remove_first(shipper->outbox) != STATUS_OK)
        log_warning("outbox: a shipped file could not be removed");
    lend_to_keeper(shipper);
    shipperstate_drop_body(shipper);
    shipperstate_drop_first_span(shipper);
    if (shipper->needs_image) {
        /* Until it can be removed the outbox takes nothing, and the next */
        /* start makes another image. */
        if (outbox_end_loss(shipper->outbox) != STATUS_OK)
            log_warning("outbox: the file \"lost\" could not be removed");
        shipper->needs_image = false;
        status->state = SHIPPER_RUNNING;
        shipperstate_release_wal(shipper);
    }
    /* All up to here is in the bucket; what follows is safe too if it is in */
    /* the outbox, and was reported when it went there. */
    if (shipper->span_count == 0)
        tap_set_taken(shipper->tap, &shipper->taken);
    shipper->phase = PHASE_IDLE;
}

/* Do the bytes at [0, len) of the file being shipped equal data? */
static bool
is_own_body(struct shipper *shipper, struct slice data, uint64_t size)
{
    bool is_equal;

    uint64_t own_size =
        shipper->body_fd < 0 ? shipper->body.len : shipper->body_size;

    /* Of a large object only the beginning was read: node id, timestamp and */
    /* so many pages are proof enough. */
    if (size != own_size || data.len > own_size ||
        data.len < (size < SHIPPERSTATE_CHECK_SIZE_MAX
                           ? size
                           : SHIPPERSTATE_CHECK_SIZE_MAX))
        return false;
    if (shipper->body_fd < 0)
        return memcmp(data.data, shipper->body.data, data.len) == 0;
    char *own = memory_alloc(data.len + 1);
    is_equal = pread(shipper->body_fd, own, data.len, 0) == (ssize_t)data.len &&
               memcmp(own, data.data, data.len) == 0;
    memory_free(own);
    return is_equal;
}

int64_t
shipperjudge_stall_limit_ms(const struct shipper *shipper)
{
    return shipper->options.level0_retention_ms / 2;
}

/*
 * Our object is there.  It may have gone where another's had been and was
 * deleted meanwhile: after a long stall look at the head before believing it.
 */
static void
believe_put(struct shipper *shipper)
{
    int64_t stalled_ms = shipper->now_ms - shipper->verified_ms;

    if (stalled_ms > shipperjudge_stall_limit_ms(shipper) +
                         shipperjudge_stall_limit_ms(shipper) / 2)
        shippersend_head(shipper);
    else
        finish_shipped(shipper);
}

static void
judge_put(struct shipper *shipper)
{
    struct objectstore_request *request = &shipper->request;

    switch (request->status) {
    case STATUS_OK:
        believe_put(shipper);
        return;
    case STATUS_CONFLICT:
        shippersend_check(shipper);
        return;
    default:
        break;
    }
    shipper->status.retries++;
    shipperstate_note_failure(shipper, "PUT", request->error);
    shipperstate_retry_later(shipper, request->retry_after_ms);
    /* Refused for what it is: an image is a lot of work for another no. */
    if (request->status == STATUS_INVALID && shipper->needs_image)
        shipper->retry_at_ms = shipper->now_ms + REFUSED_IMAGE_WAIT_MS;
    shipper->phase = PHASE_IDLE;
    if (shipper->needs_image)
        shippertake_drop_image(shipper);
}

/*
 * Can the object be made again from our own WAL?  Then an earlier run of this
 * server sent it and died before it heard the answer.
 */
static bool
is_made_of_own_wal(struct shipper *shipper, const struct ltx_header *header,
    struct tap_position *end)
{
    const struct buf *answer = &shipper->request.answer;
    struct take_header wanted = { .min_txid = header->min_txid,
        .max_txid = header->max_txid,
        .timestamp_ms = header->timestamp_ms,
        .node_id = header->node_id };
    struct tap_position current, from;
    struct ltx_header own;
    struct buf again = BUF_INIT;

    tap_current(shipper->tap, &current);
    from = current;
    from.offset = (uint64_t)header->wal_offset;
    *end = current;
    end->offset = from.offset + (uint64_t)header->wal_size;
    end->seq = 0; /* not known: nobody is told that it was shipped */
    if (outbox_count(shipper->outbox) > 0 || shipper->body_fd >= 0 ||
        header->wal_size == 0 || header->wal_salt1 != current.salt1 ||
        header->wal_salt2 != current.salt2 || end->offset > current.offset ||
        !shipperstate_read_header(shipper, &own) ||
        own.wal_offset != header->wal_offset ||
        own.wal_salt2 != header->wal_salt2)
        return false;
    bool is_same =
        take_frames(shipper->tap, &from, end, &wanted, &again) == STATUS_OK &&
        slice_equal(buf_slice(&again), buf_slice(answer));
    buf_fini(&again);
    return is_same;
}

/*
 * The object in the way is a file that we sent once and gave up: its txid is
 * history, and what we had for that txid is made anew as the next.
 */
static bool
adopt_ghost(struct shipper *shipper)
{
    const struct buf *answer = &shipper->request.answer;
    struct shipper_status *status = &shipper->status;
    struct tap_position end = shipper->taken;
    struct ltx_header header;

    if (ltx_decode_header(answer->data, answer->len, &header) != STATUS_OK)
        return false;
    bool is_own = header.node_id == shipper->options.node_id ||
                  outbox_is_lost_node(shipper->outbox, header.node_id);
    if (shipper->needs_image ? !is_own
                             : !is_made_of_own_wal(shipper, &header, &end))
        return false;
    log_notice("bucket: %s is an earlier try of this server", shipper->name);
    status->shipped_txid = header.max_txid;
    status->taken_txid = header.max_txid;
    shipper->taken = end;
    shipper->span_count = 0;
    shipper->verified_ms = shipper->sent_ms;
    shipperstate_drop_body(shipper);
    shipperstate_release_wal(shipper);
    shipper->last_take_ms = INT64_MIN / 2;
    shipper->phase = PHASE_IDLE;
    return true;
}

static void
judge_check(struct shipper *shipper)
{
    struct objectstore_request *request = &shipper->request;
    char why[256];

    if (request->status == STATUS_OK &&
        is_own_body(
            shipper, buf_slice(&request->answer), request->object_size)) {
        believe_put(shipper);
        return;
    }
    if (request->status == STATUS_OK && adopt_ghost(shipper))
        return;
    if (request->status == STATUS_OK) {
        snprintf(why, sizeof(why), "another writer has written %s before us",
            shipper->name);
        shipperstate_fence(shipper, why);
        return;
    }
    /* Not there, or unclear: the PUT is repeated and judged anew. */
    if (request->status != STATUS_NOT_FOUND)
        shipperstate_note_failure(shipper, "GET", request->error);
    shipperstate_retry_later(shipper, request->retry_after_ms);
    shipper->phase = PHASE_IDLE;
}

static void
judge_head(struct shipper *shipper)
{
    struct objectstore_request *request = &shipper->request;
    struct layout_file file;

    if (request->status != STATUS_OK) {
        shipperstate_note_failure(shipper, "LIST", request->error);
        shipperstate_retry_later(shipper, request->retry_after_ms);
        shipper->phase = PHASE_IDLE;
        return;
    }
    for (size_t i = 0; i < request->entry_count; i++) {
        const char *name = request->entries[i].name;
        if (!layout_parse_name(slice_from_text(name), &file) ||
            file.max_txid <= shipper->status.shipped_txid)
            continue;
        /* One file in the place of our next may be our own try of before: */
        /* the PUT will be refused, and the CHECK tells. */
        if (file.max_txid == shipper->status.shipped_txid + 1 &&
            request->entry_count == 1)
            break;
        shipperstate_fence(
            shipper, "while this server was stalled another one wrote on");
        return;
    }
    shipper->is_doubtful = false;
    shipper->verified_ms = shipper->sent_ms;
    backoff_reset(&shipper->backoff);
    shipper->phase = PHASE_IDLE;
}

void
shipperjudge_run(struct shipper *shipper)
{
    static void (*const judges[])(struct shipper *) = {
        [PHASE_PUT] = judge_put,
        [PHASE_CHECK] = judge_check,
        [PHASE_HEAD] = judge_head,
    };

    shipper->is_done = false;
    judges[shipper->phase](shipper);
}
