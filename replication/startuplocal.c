/*
 * startuplocal.c -- what the local database and its WAL say of a shipped file.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/bytes.h"
#include "server/base/memory.h"

#include "replication/startuplocal.h"
#include "replication/take.h"

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
            does_continue = salt1 == taken->salt1 + 1;
    }
    close(fd);
    return does_continue;
}

struct page_check {
    struct ltx_decoder *decoder;
    int fd;
    char *page;
};

static enum status
compare_page(uint32_t page, const void *data, void *arg)
{
    struct page_check *check = arg;
    uint32_t size = ltx_decoder_header(check->decoder)->page_size;

    if (check->page == NULL)
        check->page = memory_alloc(size);
    return pread(check->fd, check->page, size, (off_t)(page - 1) * size) ==
                       (ssize_t)size &&
                   memcmp(check->page, data, size) == 0
               ? STATUS_OK
               : STATUS_CONFLICT;
}

bool
startuplocal_does_file_hold(const char *database_path, struct outbox *outbox)
{
    const struct outbox_file *last = outbox_last(outbox);
    struct page_check check = { .fd = -1 };
    char wal[PATH_MAX], block[65536];
    enum status status = STATUS_IO;
    struct stat st;
    ssize_t got;
    int fd;

    snprintf(wal, sizeof(wal), "%s-wal", database_path);
    if (stat(wal, &st) == 0 && st.st_size > 0)
        return false;
    if (outbox_read_last(outbox, &fd) != STATUS_OK)
        return false;
    check.fd = open(database_path, O_RDONLY | O_CLOEXEC);
    check.decoder = ltx_decoder_new(compare_page, &check);
    if (check.fd >= 0 && fstat(check.fd, &st) == 0 &&
        (uint64_t)st.st_size ==
            (uint64_t)last->header.commit * last->header.page_size)
        status = STATUS_OK;
    while (status == STATUS_OK && (got = read(fd, block, sizeof(block))) > 0)
        status = ltx_decoder_feed(check.decoder, block, (size_t)got);
    if (status == STATUS_OK)
        status = ltx_decoder_finish(check.decoder);
    ltx_decoder_free(check.decoder);
    memory_free(check.page);
    if (check.fd >= 0)
        close(check.fd);
    close(fd);
    return status == STATUS_OK;
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
