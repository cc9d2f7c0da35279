/*
 * startupmark.c -- the mark of a database that nobody was served from.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/faultpoint.h"
#include "server/base/log.h"

#include "replication/folder.h"
#include "replication/startupmark.h"

/* What an earlier start has made, and nobody was served from. */
static enum status
remove_local(struct startup *startup)
{
    static const char *const suffixes[] = { "-wal", "-shm", "-position", "" };
    enum status status = outbox_clear(startup->outbox);
    char path[PATH_MAX];

    if (status == STATUS_OK)
        status = outbox_end_loss(startup->outbox);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", startup->path, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            status = STATUS_IO;
    }
    if (status == STATUS_OK)
        status = folder_sync(startup->path);
    if (status != STATUS_OK)
        buf_printf(startup->error,
            "%s came from the bucket, nobody was served from it, and it "
            "cannot be removed",
            startup->path);
    FAULT_POINT("startup.removed");
    return status;
}

enum status
startupmark_end_earlier(struct startup *startup)
{
    enum status status =
        unowned_open(&startup->mark, startup->path, false, startup->error);

    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    if (!unowned_is_about(startup->mark, startup->bucket, startup->newest))
        return STATUS_OK;
    log_notice("bucket: the local database was made from txid %" PRIu64
               " by a start that never came to own the prefix; nobody was "
               "served from it, it is removed",
        unowned_txid(startup->mark));
    return remove_local(startup);
}

enum status
startupmark_begin(struct startup *startup)
{
    return startup->mark != NULL ? STATUS_OK
                                 : unowned_open(&startup->mark, startup->path,
                                       true, startup->error);
}

static enum status
write_mark(struct startup *startup, uint64_t txid, const char *path)
{
    enum status status =
        unowned_write(startup->mark, startup->bucket, txid, path);

    startup->is_marked = status == STATUS_OK;
    if (status != STATUS_OK)
        buf_printf(
            startup->error, "%s-unowned cannot be written", startup->path);
    return status;
}

enum status
startupmark_write_restored(const char *path, void *arg)
{
    struct startup *startup = arg;

    return write_mark(startup, startup->newest, path);
}

enum status
startupmark_begin_database(struct startup *startup)
{
    enum status status = startupmark_begin(startup);
    struct stat st;

    if (status != STATUS_OK)
        return status;
    int fd = open(startup->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &st) != 0) {
        buf_printf(startup->error, "%s: %s", startup->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return STATUS_IO;
    }
    close(fd);
    if (st.st_size > 0) {
        buf_printf(
            startup->error, "%s has just been made by another", startup->path);
        return STATUS_BUSY;
    }
    return write_mark(startup, 0, startup->path);
}

enum status
startupmark_settle(struct startup *startup)
{
    enum status status;

    if (startup->mark == NULL || startup->is_marked)
        return STATUS_OK;
    status = unowned_remove(startup->mark);
    startup->mark = NULL;
    if (status != STATUS_OK)
        buf_printf(
            startup->error, "%s-unowned cannot be removed", startup->path);
    return status;
}
