/*
 * walcheck.c -- the checksums of a WAL, computed again.
 *
 * SQLite verifies them when it recovers a WAL, and never again: while some
 * connection is open, a frame is believed to be what was written.  After an
 * fsync that failed that may be untrue on file systems that throw away pages
 * they could not write.
 *
 * The file is read through the connection's own handle.  Opening it once more
 * would do for the WAL, but not under a test's VFS.
 *
 * Format: https://www.sqlite.org/fileformat2.html, sections 4.1 and 4.2.
 */
#include <stdbool.h>
#include <string.h>

#include "server/base/bytes.h"
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/walcheck.h"

#define WAL_HEADER_SIZE 32
#define FRAME_HEADER_SIZE 24
#define WAL_MAGIC 0x377f0682u /* last bit: checksums are big-endian */

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

enum status
walcheck_run(sqlite3 *db, uint64_t frames)
{
    const size_t frame_size = FRAME_HEADER_SIZE + DATABASE_PAGE_SIZE;
    char header[WAL_HEADER_SIZE];
    struct checksum sum;
    sqlite3_file *file = NULL;
    enum status status;
    uint64_t i;
    char *frame;
    int rc;

    if (frames == 0)
        return STATUS_OK;
    rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (rc != SQLITE_OK || file == NULL || file->pMethods == NULL)
        return STATUS_IO;
    status = read_at(file, header, sizeof(header), 0);
    if (status == STATUS_OK)
        status = check_header(header, &sum);
    frame = memory_alloc(frame_size);
    for (i = 0; i < frames && status == STATUS_OK; i++) {
        status =
            read_at(file, frame, frame_size, WAL_HEADER_SIZE + i * frame_size);
        if (status == STATUS_OK)
            status = check_frame(frame, header, &sum);
    }
    memory_free(frame);
    return status;
}
