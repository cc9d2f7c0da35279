/*
 * startupposition.c -- the note that the database file alone is at a txid.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/log.h"

#include "replication/crc64.h"
#include "replication/startupposition.h"

#define SUFFIX "-position"

struct fingerprint {
    uint64_t size, modified_ns, first_page;
};

static bool
take_fingerprint(const char *path, struct fingerprint *print)
{
    char page[4096];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return false;
    got = pread(fd, page, sizeof(page), 0);
    bool is_taken = got > 0 && fstat(fd, &st) == 0;
    close(fd);
    if (!is_taken)
        return false;
    print->size = (uint64_t)st.st_size;
    print->modified_ns =
        (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    print->first_page = crc64_update(0, page, (size_t)got);
    return true;
}

enum status
startupposition_write(const char *database_path, uint64_t txid)
{
    char path[PATH_MAX], temporary[PATH_MAX], text[256];
    struct fingerprint print;

    if (!take_fingerprint(database_path, &print))
        return STATUS_IO;
    snprintf(path, sizeof(path), "%s" SUFFIX, database_path);
    int len = snprintf(text, sizeof(text),
        "walden-position 1\ntxid %" PRIu64 "\nsize %" PRIu64
        "\nmodified %" PRIu64 "\npage1 %016" PRIx64 "\n",
        txid, print.size, print.modified_ns, print.first_page);
    snprintf(temporary, sizeof(temporary), "%s" SUFFIX ".tmp", database_path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return STATUS_IO;
    bool is_written = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    close(fd);
    if (is_written && rename(temporary, path) == 0)
        return STATUS_OK;
    unlink(temporary);
    return STATUS_IO;
}

/* false: nothing was noted. */
static bool
read_position(
    const char *database_path, uint64_t *txid, struct fingerprint *print)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s" SUFFIX, database_path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    int fields = fscanf(file,
        "walden-position 1 txid %" SCNu64 " size %" SCNu64 " modified %" SCNu64
        " page1 %" SCNx64,
        txid, &print->size, &print->modified_ns, &print->first_page);
    fclose(file);
    return fields == 4;
}

uint64_t
startupposition_find(const char *database_path)
{
    struct fingerprint noted;
    uint64_t txid;

    return read_position(database_path, &txid, &noted) ? txid : 0;
}

bool
startupposition_holds(const char *database_path, uint64_t txid)
{
    struct fingerprint noted, now;
    uint64_t noted_txid;

    return read_position(database_path, &noted_txid, &noted) &&
           noted_txid == txid && take_fingerprint(database_path, &now) &&
           now.size == noted.size && now.modified_ns == noted.modified_ns &&
           now.first_page == noted.first_page;
}

void
startupposition_set(
    const char *database_path, const struct shipper_start *start)
{
    char path[PATH_MAX];

    if (start->txid > 0 && start->taken.offset == 0 && !start->needs_image) {
        if (!startupposition_holds(database_path, start->txid) &&
            startupposition_write(database_path, start->txid) != STATUS_OK)
            log_warning("bucket: the position could not be noted; a start "
                        "after a crash may not find it");
        return;
    }
    snprintf(path, sizeof(path), "%s" SUFFIX, database_path);
    unlink(path);
}
