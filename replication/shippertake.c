/*
 * shippertake.c -- the files that are shipped, made.
 *
 * A file is encoded into memory and stays there until the bucket has it: the
 * WAL still has its frames.  When the committer wants the WAL back it goes to
 * the outbox instead, and so does all that follows until that is empty.  The
 * image of a whole database is made in slices, into an unnamed scratch file,
 * with the WAL held from its beginning until the bucket has it.
 */
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"

#include "replication/folder.h"
#include "replication/shipperstate.h"
#include "replication/shippertake.h"

#define IMAGE_SLICE_US 20000

/* ---- taking ------------------------------------------------------------- */

bool
shippertake_has_frames(
    const struct shipper *shipper, const struct tap_position *current)
{
    if (current->offset == 0)
        return false;
    return !tap_is_same_wal(&shipper->taken, current) ||
           shipper->taken.offset < current->offset;
}

static struct take_header
next_header(struct shipper *shipper)
{
    uint64_t txid = shipper->status.taken_txid + 1;
    int64_t wall_ms = clock_wall_ms();

    /* A search by time needs times that grow with txids. */
    if (wall_ms > shipper->last_timestamp_ms)
        shipper->last_timestamp_ms = wall_ms;
    return (struct take_header){ .min_txid = txid,
        .max_txid = txid,
        .timestamp_ms = shipper->last_timestamp_ms,
        .node_id = shipper->options.node_id };
}

enum status
shippertake_encode(
    struct shipper *shipper, const struct tap_position *to, struct buf *out)
{
    struct take_header header = next_header(shipper);
    enum status status = STATUS_OK;

    buf_clear(out, 1024 * 1024);
    if (!to->is_synced)
        status = tap_sync(shipper->tap);
    FAULT_POINT("ship.take");
    if (status == STATUS_OK)
        status = take_frames(shipper->tap, &shipper->taken, to, &header, out);
    if (status != STATUS_OK) {
        shipperstate_note_failure(
            shipper, "reading the WAL", status_text(status));
        shipperstate_retry_later(shipper, 0);
    }
    return status;
}

/* Is there no room for what a take would add? */
static bool
is_outbox_full(const struct shipper *shipper)
{
    return outbox_size(shipper->outbox) >= shipper->options.outbox_size_max;
}

void
shippertake_end_stall(struct shipper *shipper)
{
    if (!shipper->is_stalling || is_outbox_full(shipper))
        return;
    shipper->is_stalling = false;
    tap_set_stalled(shipper->tap, false);
}

/* Give up the unshipped files: the next one is the whole database. */
static void
lose_history(struct shipper *shipper)
{
    const struct outbox_file *first = outbox_first(shipper->outbox);
    uint64_t txid = shipper->status.shipped_txid;
    enum status status = STATUS_OK;
    struct tap_position current;

    /* Its PUT may still arrive, and so may our images. */
    if (first != NULL)
        status = outbox_lose(shipper->outbox, txid, first->header.node_id);
    if (status == STATUS_OK)
        status = outbox_lose(shipper->outbox, txid, shipper->options.node_id);
    if (status != STATUS_OK && outbox_find_loss(shipper->outbox) == NULL) {
        shipperstate_note_failure(
            shipper, "noting that history is lost", status_text(status));
        return;
    }
    log_warning("bucket: the outbox is full; what it holds is dropped and a "
                "new image of the database follows");
    shipperstate_drop_body(shipper);
    shipper->span_count = 0;
    shipper->status.taken_txid = shipper->status.shipped_txid;
    shipper->needs_image = true;
    shipper->status.state = SHIPPER_LOST;
    tap_current(shipper->tap, &current);
    shipper->taken = current;
    tap_set_taken(shipper->tap, &current);
}

/* Move the file in memory to the outbox: its frames are safe then. */
static enum status
save_body(struct shipper *shipper)
{
    const struct outbox_file *last = outbox_last(shipper->outbox);

    if (shipper->body_txid == 0 ||
        (last != NULL && last->txid >= shipper->body_txid))
        return STATUS_OK;
    return outbox_add(
        shipper->outbox, shipper->body_txid, buf_slice(&shipper->body));
}

void
shippertake_to_outbox(struct shipper *shipper)
{
    struct tap_position current;
    struct buf file = BUF_INIT;
    enum status status;

    if (shipper->is_holding)
        return; /* the image needs the WAL: the committer waits for it */
    /*
     * A try of an earlier run may be in the way of our first PUT; adopting it
     * takes the WAL.  So the committer waits, if the bucket is well.
     */
    if (shipper->status.last_shipped_ms == 0 && shipper->status.failures == 0 &&
        outbox_count(shipper->outbox) == 0)
        return;
    if (shipper->needs_image) {
        /* The image that is to come will hold all of it. */
        tap_current(shipper->tap, &current);
        tap_set_taken(shipper->tap, &current);
        return;
    }
    if (is_outbox_full(shipper)) {
        if (shipper->options.when_full == SHIPPER_RESNAPSHOT &&
            shipper->phase == PHASE_IDLE)
            lose_history(shipper);
        if (shipper->options.when_full == SHIPPER_STALL) {
            shipper->is_stalling = true;
            tap_set_stalled(shipper->tap, true);
        }
        return;
    }
    status = save_body(shipper);
    tap_current(shipper->tap, &current);
    if (status == STATUS_OK && shippertake_has_frames(shipper, &current)) {
        status = shippertake_encode(shipper, &current, &file);
        if (status == STATUS_OK)
            status = outbox_add(shipper->outbox, shipper->status.taken_txid + 1,
                buf_slice(&file));
        if (status == STATUS_OK)
            shipperstate_push_span(
                shipper, shipper->status.taken_txid + 1, &current);
    }
    buf_fini(&file);
    if (status != STATUS_OK) {
        shipperstate_note_failure(
            shipper, "writing the outbox", status_text(status));
        return;
    }
    tap_set_taken(shipper->tap, &shipper->taken);
}

/* ---- the image: txid 1, or after frames were lost ----------------------- */

/*
 * A start after a crash must know that the image is due, and which one that
 * arrived late is its own: while it is made and sent nothing keeps the WAL.
 */
static bool
note_image(struct shipper *shipper)
{
    enum status status = outbox_lose(shipper->outbox,
        shipper->status.shipped_txid, shipper->options.node_id);

    if (status == STATUS_OK)
        return true;
    shipperstate_note_failure(
        shipper, "noting that an image is due", status_text(status));
    shipperstate_retry_later(shipper, 0);
    return false;
}

void
shippertake_start_image(struct shipper *shipper)
{
    struct take_header header = next_header(shipper);
    enum status status = STATUS_IO;

    if (!note_image(shipper))
        return;
    if (!shipperstate_hold_wal(shipper))
        return; /* a checkpoint is under way */
    tap_current(shipper->tap, &shipper->image_end);
    if (shipper->image_end.offset == 0) {
        shipperstate_release_wal(shipper);
        return; /* nothing was committed yet */
    }
    shipper->body_fd = folder_open_unnamed(shipper->options.scratch);
    if (shipper->body_fd >= 0)
        status =
            shipper->image_end.is_synced ? STATUS_OK : tap_sync(shipper->tap);
    if (status == STATUS_OK)
        status = take_image_start(&shipper->image, shipper->tap,
            shipper->options.database_path, &shipper->image_end, &header,
            shipper->body_fd);
    if (status == STATUS_OK) {
        shipper->phase = PHASE_IMAGE;
        return;
    }
    shipperstate_note_failure(
        shipper, "reading the database", status_text(status));
    if (shipper->body_fd >= 0)
        close(shipper->body_fd);
    shipper->body_fd = -1;
    shipperstate_release_wal(shipper);
    shipperstate_retry_later(shipper, 0);
}

void
shippertake_step_image(struct shipper *shipper)
{
    enum status status = take_image_step(shipper->image, IMAGE_SLICE_US);

    if (status == STATUS_BUSY)
        return;
    shipper->body_size = take_image_size(shipper->image);
    take_image_free(shipper->image);
    shipper->image = NULL;
    shipper->phase = PHASE_IDLE;
    if (status != STATUS_OK) {
        shipperstate_note_failure(
            shipper, "reading the database", status_text(status));
        close(shipper->body_fd);
        shipper->body_fd = -1;
        shipperstate_release_wal(shipper);
        shipperstate_retry_later(shipper, 0);
        return;
    }
    /* The WAL stays held until the bucket has the image. */
    shipperstate_push_span(
        shipper, shipper->status.taken_txid + 1, &shipper->image_end);
    shipper->body_txid = shipper->status.taken_txid;
}

void
shippertake_drop_image(struct shipper *shipper)
{
    shipperstate_drop_body(shipper);
    shipperstate_drop_first_span(shipper);
    shipper->status.taken_txid--;
    shipper->taken = (struct tap_position){ 0 };
    if (shipper->status.state == SHIPPER_LOST) {
        tap_current(shipper->tap, &shipper->taken);
        tap_set_taken(shipper->tap, &shipper->taken);
    }
    shipperstate_release_wal(shipper);
    shipper->verified_ms = INT64_MIN / 2;
}
