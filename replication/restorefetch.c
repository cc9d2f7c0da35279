/*
 * restorefetch.c -- the files of a chain, fetched side by side.
 *
 *   chain --cut--> ring of parts --GET, RESTORE_PARALLEL at once-->
 *         in order: restoreapply (a thread) --> the part's place is free again
 *
 * The bytes of large parts lie in buffers that go round: memory that is new
 * each time costs more than all that is done with it.
 */
#include <stdio.h>

#include "server/base/clock.h"
#include "server/base/memory.h"

#include "replication/backoff.h"
#include "replication/restoreapply.h"
#include "replication/restorefetch.h"

#define POLL_MS 100
#define SPARE_SIZE_MIN (256 * 1024) /* of a buffer worth keeping */
#define SPARES_MAX (RESTORE_WINDOW_SIZE / RESTORE_PART_SIZE)

_Static_assert(RESTORE_PART_SIZE <= RESTORE_WINDOW_SIZE, "one part fits");

enum part_state { PART_ASKED, PART_WAITING, PART_FETCHED, PART_GIVEN };

struct part {
    struct fetch *fetch;
    struct objectstore_request request;
    struct restoreapply_piece piece;
    enum part_state state;
    char name[LAYOUT_NAME_SIZE];
    uint64_t reserved;   /* bytes of its buffer */
    int64_t retry_at_us; /* monotonic; of PART_WAITING */
    int64_t give_up_us;
    struct backoff backoff;
};

struct fetch {
    struct objectstore *store;
    const struct restore_options *options;
    const struct layout_file *chain;
    size_t chain_len;
    struct part *ring;
    size_t oldest, given, count; /* of the ring; given: how many of count */
    size_t asked;                /* under way or waiting to be sent again */
    size_t next_file;            /* to cut the next part from */
    uint64_t next_offset;
    uint64_t memory; /* bytes of all buffers, the spare ones too */
    struct buf spares[SPARES_MAX];
    size_t spare_count;
    struct restoreapply *apply;
    uint64_t bytes_done, bytes_total;
    enum status status;
    struct buf *error;
};

static struct part *
part_at(struct fetch *fetch, size_t index)
{
    return &fetch->ring[(fetch->oldest + index) % RESTOREFETCH_RING];
}

/* ---- memory ------------------------------------------------------------- */

static void
drop_spare(struct fetch *fetch)
{
    struct buf *spare = &fetch->spares[--fetch->spare_count];

    fetch->memory -= spare->size;
    buf_fini(spare);
}

/* Room for a part of len bytes, within the window.  false: not now. */
static bool
take_room(struct fetch *fetch, size_t len, struct buf *room)
{
    *room = (struct buf)BUF_INIT;
    for (size_t i = 0; len >= SPARE_SIZE_MIN && i < fetch->spare_count; i++)
        if (fetch->spares[i].size >= len) {
            *room = fetch->spares[i];
            room->len = 0;
            fetch->spares[i] = fetch->spares[--fetch->spare_count];
            return true;
        }
    while (fetch->memory + len > RESTORE_WINDOW_SIZE && fetch->spare_count > 0)
        drop_spare(fetch);
    /* The first part is always asked for: a window too small is none. */
    if (fetch->memory + len > RESTORE_WINDOW_SIZE && fetch->count > 0)
        return false;
    if (buf_try_reserve(room, len) != STATUS_OK)
        return false;
    fetch->memory += room->size;
    return true;
}

static void
give_room(struct fetch *fetch, struct part *part)
{
    struct buf *room = &part->request.answer;

    if (room->size == part->reserved && room->size >= SPARE_SIZE_MIN &&
        fetch->spare_count < SPARES_MAX) {
        fetch->spares[fetch->spare_count++] = *room;
        *room = (struct buf)BUF_INIT;
    } else {
        fetch->memory -= part->reserved;
    }
    objectstore_request_fini(&part->request);
}

/* ---- asking ------------------------------------------------------------- */

static void
note_part(struct objectstore_request *request)
{
    struct part *part = request->arg;
    int64_t now = clock_monotonic_us();

    if (backoff_is_transient(request->status) && now < part->give_up_us) {
        part->state = PART_WAITING;
        part->retry_at_us =
            now +
            backoff_next_ms(&part->backoff, request->retry_after_ms) * 1000;
        return;
    }
    part->state = PART_FETCHED;
    part->fetch->asked--;
}

/* Cut the next part off the chain and ask for it.  false: nothing is left, */
/* or there is no room. */
static bool
start_part(struct fetch *fetch)
{
    if (fetch->next_file == fetch->chain_len ||
        fetch->asked == RESTORE_PARALLEL || fetch->count == RESTOREFETCH_RING)
        return false;
    const struct layout_file *file = &fetch->chain[fetch->next_file];
    uint64_t left = file->size - fetch->next_offset;
    size_t len = left < RESTORE_PART_SIZE ? (size_t)left : RESTORE_PART_SIZE;
    struct part *part = part_at(fetch, fetch->count);
    struct buf room;

    if (!take_room(fetch, len, &room))
        return false;
    *part = (struct part){ .fetch = fetch, .reserved = room.size };
    layout_format_name(part->name, file->level, file->min_txid, file->max_txid);
    objectstore_request_init(
        &part->request, OBJECTSTORE_GET, slice_from_text(part->name));
    part->request.answer = room;
    part->request.range_from = fetch->next_offset;
    part->request.range_len = len;
    part->request.done = note_part;
    part->request.arg = part;
    part->give_up_us =
        clock_monotonic_us() + RESTOREFETCH_PATIENCE_MS * INT64_C(1000);
    fetch->next_offset += len;
    part->piece.file = file;
    part->piece.is_last = fetch->next_offset >= file->size;
    if (part->piece.is_last) {
        fetch->next_file++;
        fetch->next_offset = 0;
    }
    fetch->count++;
    fetch->asked++;
    objectstore_submit(fetch->store, &part->request);
    return true;
}

static void
retry_parts(struct fetch *fetch)
{
    int64_t now = clock_monotonic_us();

    for (size_t i = fetch->given; i < fetch->count; i++) {
        struct part *part = part_at(fetch, i);
        if (part->state != PART_WAITING || part->retry_at_us > now)
            continue;
        part->state = PART_ASKED;
        objectstore_submit(fetch->store, &part->request);
    }
}

/* ---- handing on --------------------------------------------------------- */

/* What has come, in order. */
static void
give_parts(struct fetch *fetch)
{
    while (fetch->given < fetch->count && fetch->status == STATUS_OK) {
        struct part *part = part_at(fetch, fetch->given);
        if (part->state != PART_FETCHED)
            return;
        if (part->request.status != STATUS_OK) {
            fetch->status = part->request.status;
            buf_printf(
                fetch->error, "object %s: %s", part->name, part->request.error);
            return;
        }
        part->state = PART_GIVEN;
        part->piece.bytes = buf_slice(&part->request.answer);
        restoreapply_give(fetch->apply, &part->piece);
        fetch->given++;
    }
}

static void
take_applied(struct fetch *fetch)
{
    while (fetch->given > 0) {
        struct part *part = part_at(fetch, 0);
        if (!atomic_load(&part->piece.is_applied))
            return;
        fetch->bytes_done += part->piece.bytes.len;
        give_room(fetch, part);
        fetch->oldest = (fetch->oldest + 1) % RESTOREFETCH_RING;
        fetch->given--;
        fetch->count--;
        if (fetch->options->progress != NULL &&
            !restoreapply_has_failed(fetch->apply))
            fetch->options->progress(
                fetch->bytes_done, fetch->bytes_total, fetch->options->arg);
    }
}

static void
fetch_all(struct fetch *fetch)
{
    for (;;) {
        take_applied(fetch);
        while (start_part(fetch))
            continue;
        give_parts(fetch);
        if (fetch->status != STATUS_OK || fetch->count == 0 ||
            restoreapply_has_failed(fetch->apply))
            break;
        if (fetch->asked == 0) {
            restoreapply_wait(fetch->apply, &part_at(fetch, 0)->piece);
            continue;
        }
        retry_parts(fetch);
        (void)objectstore_poll(fetch->store, POLL_MS, -1);
    }
    if (fetch->status == STATUS_OK && fetch->count == 0 &&
        fetch->next_file < fetch->chain_len) {
        fetch->status = STATUS_NO_MEMORY;
        buf_append_text(fetch->error, "no memory for a part of an object");
    }
}

/* The thread has ended: nothing is read any more. */
static void
drop_all(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->count; i++) {
        struct part *part = part_at(fetch, i);
        part->give_up_us = 0;
        if (part->state == PART_ASKED)
            objectstore_cancel(fetch->store, &part->request);
        objectstore_request_fini(&part->request);
    }
    while (fetch->spare_count > 0)
        drop_spare(fetch);
}

static void
wake(void *arg)
{
    objectstore_wake(arg);
}

enum status
restorefetch_run(struct objectstore *store, const struct layout_file *chain,
    size_t chain_len, int fd, const struct restore_options *options,
    struct restore_result *result, uint64_t *size, struct buf *error)
{
    struct fetch *fetch = memory_zalloc(sizeof(*fetch));
    struct buf apply_error = BUF_INIT;
    enum status status;

    fetch->store = store;
    fetch->options = options;
    fetch->chain = chain;
    fetch->chain_len = chain_len;
    fetch->error = error;
    fetch->ring = memory_zalloc(RESTOREFETCH_RING * sizeof(*fetch->ring));
    for (size_t i = 0; i < chain_len; i++)
        fetch->bytes_total += chain[i].size;
    fetch->apply = restoreapply_start(fd, wake, store);
    fetch_all(fetch);
    status = restoreapply_finish(fetch->apply, result, size, &apply_error);
    if (fetch->status != STATUS_OK)
        status = fetch->status;
    else
        buf_append_slice(error, buf_slice(&apply_error));
    drop_all(fetch);
    buf_fini(&apply_error);
    memory_free(fetch->ring);
    memory_free(fetch);
    return status;
}
