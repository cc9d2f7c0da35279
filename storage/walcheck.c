/*
 * walcheck.c -- the checksums of a WAL, computed again; its pages, copied and
 * written again.
 *
 * SQLite verifies them when it recovers a WAL, and never again: while some
 * connection is open, a frame is believed to be what was written.  After an
 * fsync that failed that may be untrue on file systems that throw away pages
 * they could not write.
 *
 * A checkpoint that a reader keeps partial copies pages and does not sync them;
 * the one that ends it does.  If that sync fails, the pages of the first are
 * lost like those of the second, and SQLite copies only the latter again: the
 * WAL's index says how many frames are copied (nBackfill).  So we copy them:
 * of each page among those frames the newest, which is what SQLite wrote.  No
 * reader minds: one whose view is older than these frames would have kept them
 * from being copied.
 *
 * A process that dies after a failed sync leaves a WAL that the next one reads
 * from the kernel's cache, whole, and of which the disk may lack a part for
 * ever: the kernel takes those pages for written.  Writing the same bytes again
 * makes them pages to be written.
 *
 * The file is read through the connection's own handle.  Opening it once more
 * would do for the WAL, but not under a test's VFS.
 *
 * Formats: https://www.sqlite.org/fileformat2.html, sections 4.1 and 4.2;
 * https://www.sqlite.org/walformat.html, sections 2.1 and 2.3.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/bytes.h"
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/walcheck.h"

#define WAL_HEADER_SIZE 32
#define FRAME_HEADER_SIZE 24
#define FRAME_SIZE ((size_t)FRAME_HEADER_SIZE + DATABASE_PAGE_SIZE)
#define INDEX_SIZE 32768        /* bytes of the WAL's index mapped at once */
#define INDEX_FRAMES_AT 16      /* mxFrame, in native byte order */
#define INDEX_BACKFILL_AT 96    /* nBackfill, likewise */
#define INDEX_WRITE_LOCK 0      /* held by whoever writes */
#define INDEX_CHECKPOINT_LOCK 1 /* held by whoever checkpoints */
#define WAL_MAGIC 0x377f0682u   /* last bit: checksums are big-endian */
/*
 * Bytes written at once.  SQLite's VFS writes the size modulo 128 KiB, and says
 * SQLITE_FULL when that leaves nothing.
 */
#define WRITE_SIZE ((size_t)64 * 1024)

struct checksum {
    uint32_t s0;
    uint32_t s1;
    bool is_big_endian;
};

/* len is a multiple of 8. */
static void
add_bytes(struct checksum *sum, const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i += 8) {
        uint32_t a;
        uint32_t b;

        memcpy(&a, data + i, 4);
        memcpy(&b, data + i + 4, 4);
        if (sum->is_big_endian) {
            a = __builtin_bswap32(a);
            b = __builtin_bswap32(b);
        }
        sum->s0 += a + sum->s1;
        sum->s1 += b + sum->s0;
    }
}

static bool
is_sum(const struct checksum *sum, const char *stored)
{
    return bytes_get_be32(stored) == sum->s0 &&
           bytes_get_be32(stored + 4) == sum->s1;
}

static enum status
read_at(sqlite3_file *file, void *data, size_t len, uint64_t offset)
{
    int rc = file->pMethods->xRead(file, data, (int)len, (sqlite3_int64)offset);

    if (rc == SQLITE_IOERR_SHORT_READ)
        return STATUS_CORRUPT;
    return database_status(rc);
}

static enum status
check_header(const char *header, struct checksum *sum)
{
    if ((bytes_get_be32(header) & ~1u) != WAL_MAGIC ||
        bytes_get_be32(header + 8) != DATABASE_PAGE_SIZE)
        return STATUS_CORRUPT;
    *sum = (struct checksum){ .is_big_endian = (header[3] & 1) != 0 };
    add_bytes(sum, header, WAL_HEADER_SIZE - 8);
    return is_sum(sum, header + WAL_HEADER_SIZE - 8) ? STATUS_OK
                                                     : STATUS_CORRUPT;
}

static enum status
check_frame(const char *frame, const char *wal_header, struct checksum *sum)
{
    add_bytes(sum, frame, 8);
    add_bytes(sum, frame + FRAME_HEADER_SIZE, DATABASE_PAGE_SIZE);
    if (memcmp(frame + 8, wal_header + 16, 8) != 0 || !is_sum(sum, frame + 16))
        return STATUS_CORRUPT;
    return STATUS_OK;
}

static uint64_t
frame_offset(uint64_t frame)
{
    return WAL_HEADER_SIZE + frame * FRAME_SIZE;
}

static enum status
get_file(sqlite3 *db, int which, sqlite3_file **file)
{
    int rc = sqlite3_file_control(db, "main", which, file);

    return rc == SQLITE_OK && *file != NULL && (*file)->pMethods != NULL
               ? STATUS_OK
               : STATUS_IO;
}

enum status
walcheck_run(sqlite3 *db, uint64_t frames)
{
    char header[WAL_HEADER_SIZE];
    struct checksum sum;
    sqlite3_file *file = NULL;
    enum status status;
    uint64_t i;
    char *frame;

    if (frames == 0)
        return STATUS_OK;
    status = get_file(db, SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (status == STATUS_OK)
        status = read_at(file, header, sizeof(header), 0);
    if (status == STATUS_OK)
        status = check_header(header, &sum);
    frame = memory_alloc(FRAME_SIZE);
    for (i = 0; i < frames && status == STATUS_OK; i++) {
        status = read_at(file, frame, FRAME_SIZE, frame_offset(i));
        if (status == STATUS_OK)
            status = check_frame(frame, header, &sum);
    }
    memory_free(frame);
    return status;
}

/* ---- copying again ------------------------------------------------------- */

struct copied {
    uint32_t page;
    uint32_t frame;
};

/* By page, the newest frame of each last. */
static int
compare_copied(const void *left, const void *right)
{
    const struct copied *a = left, *b = right;

    if (a->page != b->page)
        return a->page < b->page ? -1 : 1;
    return a->frame < b->frame ? -1 : 1;
}

/* Which pages the first count frames hold. */
static enum status
list_copied(sqlite3_file *wal, struct copied *copied, uint32_t count)
{
    enum status status = STATUS_OK;
    char page[4];

    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        status = read_at(wal, page, sizeof(page), frame_offset(i));
        copied[i] = (struct copied){ bytes_get_be32(page), i };
        if (status == STATUS_OK && copied[i].page == 0)
            status = STATUS_CORRUPT;
    }
    qsort(copied, count, sizeof(*copied), compare_copied);
    return status;
}

static enum status
copy_page(sqlite3_file *wal, sqlite3_file *file, const struct copied *copied)
{
    char page[DATABASE_PAGE_SIZE];
    enum status status = read_at(wal, page, sizeof(page),
        frame_offset(copied->frame) + FRAME_HEADER_SIZE);

    if (status != STATUS_OK)
        return status;
    return database_status(file->pMethods->xWrite(file, page, sizeof(page),
        (sqlite3_int64)(copied->page - 1) * DATABASE_PAGE_SIZE));
}

static enum status
copy_frames(sqlite3_file *wal, sqlite3_file *file, uint32_t count)
{
    struct copied *copied = memory_alloc((count + 1) * sizeof(*copied));
    enum status status = list_copied(wal, copied, count);

    for (uint32_t i = 0; i < count && status == STATUS_OK; i++)
        if (i + 1 == count || copied[i + 1].page != copied[i].page)
            status = copy_page(wal, file, &copied[i]);
    memory_free(copied);
    if (status == STATUS_OK)
        status =
            database_status(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL));
    return status;
}

/* The files, and a lock that stops whoever might change what we write. */
struct held {
    sqlite3_file *wal, *file;
    volatile void *index;
    int lock;
};

static enum status
hold(sqlite3 *db, int lock, struct held *held)
{
    enum status status = get_file(db, SQLITE_FCNTL_JOURNAL_POINTER, &held->wal);

    if (status == STATUS_OK)
        status = get_file(db, SQLITE_FCNTL_FILE_POINTER, &held->file);
    if (status == STATUS_OK)
        status = database_status(held->file->pMethods->xShmMap(
            held->file, 0, INDEX_SIZE, 0, &held->index));
    if (status == STATUS_OK && held->index == NULL)
        status = STATUS_IO;
    if (status != STATUS_OK)
        return status;
    held->lock = lock;
    return database_status(held->file->pMethods->xShmLock(
        held->file, lock, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE));
}

static void
release(const struct held *held)
{
    (void)held->file->pMethods->xShmLock(
        held->file, held->lock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
}

/* A number of the WAL's index. */
static uint32_t
index_number(const struct held *held, size_t at)
{
    uint32_t number;

    memcpy(&number, (const char *)(uintptr_t)held->index + at, sizeof(number));
    return number;
}

enum status
walcheck_copy_again(sqlite3 *db)
{
    struct held held = { NULL, NULL, NULL, 0 };
    enum status status = hold(db, INDEX_CHECKPOINT_LOCK, &held);
    uint32_t count;

    if (status != STATUS_OK)
        return status;
    count = index_number(&held, INDEX_BACKFILL_AT);
    if (count > 0)
        status = copy_frames(held.wal, held.file, count);
    release(&held);
    return status;
}

/* ---- writing again ------------------------------------------------------- */

/* Write what the first size bytes of wal are. */
static enum status
write_bytes(sqlite3_file *wal, uint64_t size)
{
    char *bytes = memory_alloc(WRITE_SIZE);
    enum status status = STATUS_OK;
    uint64_t at = 0;

    while (at < size && status == STATUS_OK) {
        size_t len = size - at < WRITE_SIZE ? size - at : WRITE_SIZE;

        status = read_at(wal, bytes, len, at);
        if (status == STATUS_OK)
            status = database_status(
                wal->pMethods->xWrite(wal, bytes, (int)len, (sqlite3_int64)at));
        at += len;
    }
    memory_free(bytes);
    if (status == STATUS_OK)
        status = database_status(wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL));
    return status;
}

enum status
walcheck_write_again(sqlite3 *db)
{
    struct held held = { NULL, NULL, NULL, 0 };
    enum status status = hold(db, INDEX_WRITE_LOCK, &held);
    uint32_t count;

    if (status != STATUS_OK)
        return status;
    count = index_number(&held, INDEX_FRAMES_AT);
    if (count > 0)
        status = write_bytes(held.wal, frame_offset(count));
    release(&held);
    return status;
}
