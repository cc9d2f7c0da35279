/*
 * startuplocal.c -- what the local database and its WAL say of a shipped file.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/bytes.h"
#include "server/base/memory.h"

#include "replication/startuplocal.h"
#include "replication/take.h"

/*
 * How often a WAL may have been started over without a frame that was taken.
 * Each failed try to go on after a full disk does it, up to twice; and a WAL
 * begun by another database has its salt in this range once in 65,536 times.
 */
#define EMPTY_WALS_MAX 65535

struct startuplocal_hold {
    uint32_t *pages; /* that the WAL has, sorted */
    size_t count;
    uint32_t commit; /* size in pages after the WAL; 0: it holds nothing */
    struct ltx_decoder *decoder;
    int fd; /* the database file */
    char *page;
    enum status status;
};

struct startuplocal_match {
    struct buf again; /* the frames encoded again */
    uint64_t fed;
    bool is_same; /* so far */
    struct ltx_header header;
    struct ltx_decoder *decoder;
    enum status status; /* of decoding */
    uint32_t pages;
};

bool
startuplocal_has_wal(const char *database_path)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s-wal", database_path);
    return stat(path, &st) == 0 && st.st_size >= TAP_WAL_HEADER_SIZE;
}

bool
startuplocal_does_wal_continue(const char *database_path,
    const struct ltx_header *file, struct tap_position *taken,
    bool *is_same_wal)
{
    char path[PATH_MAX], header[TAP_WAL_HEADER_SIZE];
    char frame[TAP_FRAME_HEADER_SIZE];
    bool does_continue = false;

    *is_same_wal = false;
    if (file->wal_size == 0)
        return false;
    snprintf(path, sizeof(path), "%s-wal", database_path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    *taken = (struct tap_position){ .salt1 = file->wal_salt1,
        .salt2 = file->wal_salt2,
        .offset = (uint64_t)(file->wal_offset + file->wal_size),
        .is_synced = true };
    if (pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header)) {
        uint32_t salt1 = bytes_get_be32(header + 16);
        uint32_t salt2 = bytes_get_be32(header + 20);
        /* The last frame taken must be there, and end a transaction. */
        off_t last =
            (off_t)(taken->offset - file->page_size - TAP_FRAME_HEADER_SIZE);
        *is_same_wal = salt1 == taken->salt1 && salt2 == taken->salt2;
        if (*is_same_wal)
            does_continue = pread(fd, frame, sizeof(frame), last) ==
                                (ssize_t)sizeof(frame) &&
                            bytes_get_be32(frame + 4) != 0 &&
                            bytes_get_be32(frame + 8) == salt1 &&
                            bytes_get_be32(frame + 12) == salt2;
        else
            does_continue = salt1 - taken->salt1 - 1 <= EMPTY_WALS_MAX;
    }
    close(fd);
    return does_continue;
}

/* ---- what the file holds ------------------------------------------------- */

/* Note the pages of the WAL's frames, up to the first of an earlier WAL. */
static void
read_wal_pages(struct startuplocal_hold *hold, int fd)
{
    char header[TAP_WAL_HEADER_SIZE], frame[TAP_FRAME_HEADER_SIZE];
    size_t room = 0;

    if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return;
    off_t step = TAP_FRAME_HEADER_SIZE + (off_t)bytes_get_be32(header + 8);
    for (off_t at = sizeof(header);
         pread(fd, frame, sizeof(frame), at) == (ssize_t)sizeof(frame) &&
         memcmp(frame + 8, header + 16, 8) == 0;
         at += step) {
        if (hold->count == room) {
            room = room == 0 ? 256 : 2 * room;
            hold->pages =
                memory_realloc(hold->pages, room * sizeof(hold->pages[0]));
        }
        hold->pages[hold->count++] = bytes_get_be32(frame);
        if (bytes_get_be32(frame + 4) != 0)
            hold->commit = bytes_get_be32(frame + 4);
    }
}

static int
compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static enum status
compare_page(uint32_t page, const void *data, void *arg)
{
    struct startuplocal_hold *hold = arg;
    uint32_t size = ltx_decoder_header(hold->decoder)->page_size;

    if (hold->page == NULL)
        hold->page = memory_alloc(size);
    /* What the WAL has written or cut off since need not be in the file. */
    if (hold->commit > 0 &&
        (page > hold->commit || bsearch(&page, hold->pages, hold->count,
                                    sizeof(page), compare_numbers) != NULL))
        return STATUS_OK;
    return pread(hold->fd, hold->page, size, (off_t)(page - 1) * size) ==
                       (ssize_t)size &&
                   memcmp(hold->page, data, size) == 0
               ? STATUS_OK
               : STATUS_CONFLICT;
}

struct startuplocal_hold *
startuplocal_hold_new(const char *database_path)
{
    struct startuplocal_hold *hold = memory_zalloc(sizeof(*hold));
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s-wal", database_path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        read_wal_pages(hold, fd);
        close(fd);
    }
    if (hold->count > 1)
        qsort(
            hold->pages, hold->count, sizeof(hold->pages[0]), compare_numbers);
    hold->fd = open(database_path, O_RDONLY | O_CLOEXEC);
    hold->status = hold->fd >= 0 ? STATUS_OK : STATUS_IO;
    hold->decoder = ltx_decoder_new(compare_page, hold);
    return hold;
}

void
startuplocal_hold_feed(struct startuplocal_hold *hold, struct slice piece)
{
    if (hold->status == STATUS_OK)
        hold->status = ltx_decoder_feed(hold->decoder, piece.data, piece.len);
}

bool
startuplocal_hold_end(struct startuplocal_hold *hold)
{
    struct stat st;

    if (hold->status == STATUS_OK)
        hold->status = ltx_decoder_finish(hold->decoder);
    if (hold->status == STATUS_OK && hold->commit == 0) {
        const struct ltx_header *header = ltx_decoder_header(hold->decoder);
        if (fstat(hold->fd, &st) != 0 ||
            (uint64_t)st.st_size !=
                (uint64_t)header->commit * header->page_size)
            hold->status = STATUS_CONFLICT;
    }
    bool does_hold = hold->status == STATUS_OK;
    if (hold->fd >= 0)
        close(hold->fd);
    ltx_decoder_free(hold->decoder);
    memory_free(hold->page);
    memory_free(hold->pages);
    memory_free(hold);
    return does_hold;
}

bool
startuplocal_does_file_hold(const char *database_path, struct outbox *outbox)
{
    struct startuplocal_hold *hold;
    char block[65536];
    ssize_t got;
    int fd;

    if (outbox_read_last(outbox, &fd) != STATUS_OK)
        return false;
    hold = startuplocal_hold_new(database_path);
    while ((got = read(fd, block, sizeof(block))) > 0)
        startuplocal_hold_feed(hold, slice_make(block, (size_t)got));
    close(fd);
    return startuplocal_hold_end(hold);
}

/* ---- matching ----------------------------------------------------------- */

static enum status
count_page(uint32_t page, const void *data, void *arg)
{
    (void)page;
    (void)data;
    ++*(uint32_t *)arg;
    return STATUS_OK;
}

struct startuplocal_match *
startuplocal_match_new(const char *database_path, const struct ltx_header *file,
    const struct tap_position *end)
{
    struct startuplocal_match *match = memory_zalloc(sizeof(*match));
    struct take_header wanted = { .min_txid = file->min_txid,
        .max_txid = file->max_txid,
        .timestamp_ms = file->timestamp_ms,
        .node_id = file->node_id };
    struct tap_position from = { .salt1 = end->salt1,
        .salt2 = end->salt2,
        .offset = (uint64_t)file->wal_offset };
    struct tap *tap = tap_new(database_path);

    tap_publish(tap,
        (end->offset - TAP_WAL_HEADER_SIZE) /
            (TAP_FRAME_HEADER_SIZE + file->page_size),
        0, true);
    match->is_same =
        take_frames(tap, &from, end, &wanted, &match->again) == STATUS_OK;
    tap_free(tap);
    match->header = *file;
    match->decoder = ltx_decoder_new(count_page, &match->pages);
    return match;
}

void
startuplocal_match_feed(struct startuplocal_match *match, struct slice piece)
{
    match->is_same =
        match->is_same && match->fed + piece.len <= match->again.len &&
        memcmp(match->again.data + match->fed, piece.data, piece.len) == 0;
    match->fed += piece.len;
    if (match->status == STATUS_OK)
        match->status = ltx_decoder_feed(match->decoder, piece.data, piece.len);
}

bool
startuplocal_match_end(struct startuplocal_match *match)
{
    bool is_same = match->is_same && match->fed == match->again.len;
    bool has_lock_page =
        ltx_lock_page(match->header.page_size) <= match->header.commit;

    if (match->status == STATUS_OK)
        match->status = ltx_decoder_finish(match->decoder);
    bool is_image = match->status == STATUS_OK &&
                    match->pages + has_lock_page == match->header.commit;
    ltx_decoder_free(match->decoder);
    buf_fini(&match->again);
    memory_free(match);
    return is_same || is_image;
}
