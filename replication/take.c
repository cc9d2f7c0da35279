/*
 * take.c -- frames of the WAL, or the whole database, as an LTX file.
 *
 * A page that changed a hundred times since the last take is in the WAL a
 * hundred times; a map from page to the offset of its newest frame leaves one.
 * The pages are then sorted and read again: the frames are in the page cache,
 * they were written a moment ago.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/memory.h"

#include "replication/take.h"

#define SLOTS_MIN 256
#define DRAIN_SIZE (1024 * 1024)

struct place {
    uint32_t page;   /* 0: the slot is free */
    uint64_t offset; /* of its data in the WAL */
};

/* Page -> newest place; open addressing, at most half full. */
struct places {
    struct place *slots;
    size_t size, count;
};

struct take_image {
    struct tap *tap;
    struct places places;
    struct ltx_encoder *encoder;
    struct buf out;
    char *page;
    uint32_t page_size, commit, next;
    int database_fd, fd;
    uint64_t written;
    bool is_finished;
};

static struct place *
find_slot(const struct places *places, uint32_t page)
{
    size_t mask = places->size - 1;
    size_t at = (size_t)hash_u64(page) & mask;

    while (places->slots[at].page != 0 && places->slots[at].page != page)
        at = (at + 1) & mask;
    return &places->slots[at];
}

static void
grow(struct places *places)
{
    struct places larger = { .size = places->size == 0 ? SLOTS_MIN
                                                       : 2 * places->size };

    larger.slots = memory_zalloc(larger.size * sizeof(*larger.slots));
    larger.count = places->count;
    for (size_t i = 0; i < places->size; i++)
        if (places->slots[i].page != 0)
            *find_slot(&larger, places->slots[i].page) = places->slots[i];
    memory_free(places->slots);
    *places = larger;
}

static enum status
note_frame(uint32_t page, uint64_t offset, const void *data, void *arg)
{
    struct places *places = arg;

    (void)data;
    if (2 * (places->count + 1) > places->size)
        grow(places);
    struct place *slot = find_slot(places, page);
    if (slot->page == 0)
        places->count++;
    *slot = (struct place){ page, offset };
    return STATUS_OK;
}

static int
compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->page < y->page ? -1 : x->page > y->page;
}

/* Squeeze the free slots out and sort: the map is only a list from here on. */
static void
sort_places(struct places *places)
{
    size_t len = 0;

    for (size_t i = 0; i < places->size; i++)
        if (places->slots[i].page != 0)
            places->slots[len++] = places->slots[i];
    if (len > 1)
        qsort(places->slots, len, sizeof(*places->slots), compare_places);
}

static struct ltx_header
make_header(
    const struct take_header *wanted, uint32_t page_size, uint32_t commit)
{
    return (struct ltx_header){ .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = page_size,
        .commit = commit,
        .min_txid = wanted->min_txid,
        .max_txid = wanted->max_txid,
        .timestamp_ms = wanted->timestamp_ms,
        .node_id = wanted->node_id };
}

static enum status
encode_places(struct tap *tap, const struct places *places,
    const struct ltx_header *header, struct buf *out)
{
    struct ltx_encoder *encoder;
    enum status status = ltx_encoder_new(&encoder, header, out);

    if (status != STATUS_OK)
        return status;
    char *page = memory_alloc(header->page_size);
    for (size_t i = 0; i < places->count && status == STATUS_OK; i++) {
        const struct place *place = &places->slots[i];
        /* A page beyond the end: the database shrank after it was written. */
        if (place->page > header->commit ||
            place->page == ltx_lock_page(header->page_size))
            continue;
        status = tap_read_page(tap, place->offset, page, header->page_size);
        if (status == STATUS_OK)
            status = ltx_encoder_add_page(encoder, place->page, page);
    }
    if (status == STATUS_OK)
        status = ltx_encoder_finish(encoder, 0);
    memory_free(page);
    ltx_encoder_free(encoder);
    return status;
}

enum status
take_frames(struct tap *tap, const struct tap_position *from,
    const struct tap_position *to, const struct take_header *wanted,
    struct buf *out)
{
    uint64_t start = tap_is_same_wal(from, to) && from->offset > 0
                         ? from->offset
                         : TAP_WAL_HEADER_SIZE;
    struct places places = { 0 };
    uint32_t page_size, commit;
    enum status status = tap_read(
        tap, start, to->offset, &page_size, &commit, note_frame, &places);

    if (status == STATUS_OK) {
        struct ltx_header header = make_header(wanted, page_size, commit);
        header.wal_offset = (int64_t)start;
        header.wal_size = (int64_t)(to->offset - start);
        header.wal_salt1 = to->salt1;
        header.wal_salt2 = to->salt2;
        sort_places(&places);
        status = encode_places(tap, &places, &header, out);
    }
    memory_free(places.slots);
    return status;
}

/* ---- the whole database ------------------------------------------------- */

/* Size of the database as of the position, from the WAL or page 1. */
static enum status
find_size(struct take_image *image, const struct tap_position *at)
{
    char head[100];

    if (at->offset > TAP_WAL_HEADER_SIZE)
        return tap_read(image->tap, TAP_WAL_HEADER_SIZE, at->offset,
            &image->page_size, &image->commit, note_frame, &image->places);
    if (pread(image->database_fd, head, sizeof(head), 0) !=
        (ssize_t)sizeof(head))
        return STATUS_IO;
    image->page_size =
        (uint32_t)(unsigned char)head[16] << 8 | (unsigned char)head[17];
    if (image->page_size == 1)
        image->page_size = 65536;
    image->commit = (uint32_t)(unsigned char)head[28] << 24 |
                    (uint32_t)(unsigned char)head[29] << 16 |
                    (uint32_t)(unsigned char)head[30] << 8 |
                    (unsigned char)head[31];
    return STATUS_OK;
}

enum status
take_image_start(struct take_image **answer, struct tap *tap,
    const char *database_path, const struct tap_position *at,
    const struct take_header *wanted, int fd)
{
    struct take_image *image = memory_zalloc(sizeof(*image));
    struct tap_position current;
    enum status status = STATUS_IO;

    image->tap = tap;
    image->fd = fd;
    image->next = 1;
    image->database_fd = open(database_path, O_RDONLY | O_CLOEXEC);
    /* A position at the end of an earlier WAL: all of it is in the file. So */
    /* it is after a checkpoint, when frames are about to be overwritten. */
    tap_current(tap, &current);
    struct tap_position none = { 0 };
    bool is_current = tap_is_same_wal(at, &current);
    if (image->database_fd >= 0)
        status =
            find_size(image, is_current && !current.is_in_file ? at : &none);
    if (status == STATUS_OK) {
        struct ltx_header header =
            make_header(wanted, image->page_size, image->commit);
        /* A level-0 file says where it stands in the WAL; so does an image */
        /* that is one. */
        if (wanted->min_txid == wanted->max_txid && is_current &&
            at->offset > 0) {
            header.wal_offset = TAP_WAL_HEADER_SIZE;
            header.wal_size = (int64_t)(at->offset - TAP_WAL_HEADER_SIZE);
            header.wal_salt1 = at->salt1;
            header.wal_salt2 = at->salt2;
        }
        status = ltx_encoder_new(&image->encoder, &header, &image->out);
    }
    if (status != STATUS_OK) {
        take_image_free(image);
        return status;
    }
    image->page = memory_alloc(image->page_size);
    *answer = image;
    return STATUS_OK;
}

static enum status
read_page(struct take_image *image, uint32_t page)
{
    const struct place *place =
        image->places.size > 0 ? find_slot(&image->places, page) : NULL;

    if (place != NULL && place->page != 0)
        return tap_read_page(
            image->tap, place->offset, image->page, image->page_size);
    off_t offset = (off_t)(page - 1) * image->page_size;
    return pread(image->database_fd, image->page, image->page_size, offset) ==
                   (ssize_t)image->page_size
               ? STATUS_OK
               : STATUS_IO;
}

static enum status
drain(struct take_image *image)
{
    for (size_t at = 0; at < image->out.len;) {
        ssize_t n = pwrite(image->fd, image->out.data + at, image->out.len - at,
            (off_t)(image->written + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == ENOSPC ? STATUS_FULL : STATUS_IO;
        at += (size_t)n;
    }
    image->written += image->out.len;
    buf_clear(&image->out, image->out.size);
    return STATUS_OK;
}

static enum status
finish_image(struct take_image *image)
{
    enum status status = ltx_encoder_finish(image->encoder, 0);

    if (status == STATUS_OK)
        status = drain(image);
    image->is_finished = status == STATUS_OK;
    return status;
}

enum status
take_image_step(struct take_image *image, int64_t budget_us)
{
    int64_t until = clock_monotonic_us() + budget_us;

    if (image->is_finished)
        return STATUS_OK;
    while (image->next <= image->commit) {
        uint32_t page = image->next++;
        if (page == ltx_lock_page(image->page_size))
            continue;
        enum status status = read_page(image, page);
        if (status == STATUS_OK)
            status = ltx_encoder_add_page(image->encoder, page, image->page);
        if (status == STATUS_OK && image->out.len >= DRAIN_SIZE)
            status = drain(image);
        if (status != STATUS_OK)
            return status;
        if (page % 64 == 0 && clock_monotonic_us() > until)
            return STATUS_BUSY;
    }
    return finish_image(image);
}

uint64_t
take_image_size(const struct take_image *image)
{
    return image->written;
}

void
take_image_free(struct take_image *image)
{
    if (image == NULL)
        return;
    if (image->database_fd >= 0)
        close(image->database_fd);
    ltx_encoder_free(image->encoder);
    buf_fini(&image->out);
    memory_free(image->places.slots);
    memory_free(image->page);
    memory_free(image);
}
