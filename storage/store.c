/*
 * store.c -- the database file as the server sees it: a lock, a committer, a
 * reader.
 *
 * The lock is flock(2) on a file of its own beside the database: SQLite takes
 * and drops POSIX locks on the database itself, and closing any descriptor of
 * a file drops those.  The lock file is never removed, since whoever removes
 * it could remove one that somebody else has just locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"
#include "storage/committer.h"
#include "storage/reader.h"

#include "storage/store.h"

#define JOURNAL_FOLD_SIZE (128 * 1024 * 1024)
#define JOURNAL_SIZE_MAX (384 * 1024 * 1024)
/* The next commit waits for a checkpoint: about 5 ms for 4 MiB, 100 for 32. */
#define CHECKPOINT_SIZE (4 * 1024 * 1024)
#define JOURNAL_ROW_SIZE (64 * 1024 * 1024)
#define GENERATION_SIZE (64 * 1024 * 1024)
#define FOLD_SLICE_US 1000
#define FOLD_IDLE_MS 1000
#define LOCK_FILE_MODE 0644

struct store {
    struct committer *committer;
    struct reader *reader;
    int lock_fd;
};

void
store_options_init(struct store_options *options)
{
    *options = (struct store_options){
        .journal_fold_size = JOURNAL_FOLD_SIZE,
        .journal_size_max = JOURNAL_SIZE_MAX,
        .checkpoint_size = CHECKPOINT_SIZE,
        .journal_row_size = JOURNAL_ROW_SIZE,
        .generation_size = GENERATION_SIZE,
        .fold_slice_us = FOLD_SLICE_US,
        .fold_idle_ms = FOLD_IDLE_MS,
        .is_synchronous = true,
    };
}

static enum status
status_of_errno(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_DENIED;
    case ENOSPC:
    case EDQUOT:
        return STATUS_FULL;
    default:
        return STATUS_IO;
    }
}

/* Take the lock of the database at path. */
static enum status
take_lock(const char *path, int *fd, char *error, size_t error_size)
{
    struct buf name = BUF_INIT;
    enum status status = STATUS_OK;
    int out;

    buf_printf(&name, "%s-lock", path);
    buf_append_byte(&name, '\0');
    out = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_FILE_MODE);
    if (out < 0) {
        status = status_of_errno(errno);
        snprintf(error, error_size, "cannot open %s: %s", name.data,
            strerror(errno));
    } else if (flock(out, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? STATUS_BUSY : STATUS_IO;
        if (status == STATUS_BUSY)
            snprintf(error, error_size,
                "%s is in use by another Walden (%s is locked)", path,
                name.data);
        else
            snprintf(error, error_size, "cannot lock %s: %s", name.data,
                strerror(errno));
        close(out);
    }
    buf_fini(&name);
    if (status == STATUS_OK)
        *fd = out;
    return status;
}

/* What stops last and goes first. */
static void
stop(struct store *store, bool with_fold)
{
    if (store == NULL)
        return;
    /* First: an open reader would keep the WAL's last checkpoint partial. */
    reader_close(store->reader);
    committer_stop(store->committer, with_fold);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    memory_free(store);
}

enum status
store_open(struct store **store, const struct store_options *options,
    char *error, size_t error_size)
{
    struct store *out = memory_zalloc(sizeof(*out));
    enum status status;

    out->lock_fd = -1;
    status = take_lock(options->path, &out->lock_fd, error, error_size);
    if (status == STATUS_OK)
        status = committer_open(&out->committer, options, error, error_size);
    if (status == STATUS_OK)
        status = reader_open(
            &out->reader, options->path, options->vfs, error, error_size);
    if (status == STATUS_OK) {
        status = committer_start(out->committer);
        if (status != STATUS_OK)
            snprintf(error, error_size, "cannot start a thread");
    }
    if (status != STATUS_OK) {
        stop(out, false);
        return status;
    }
    *store = out;
    return STATUS_OK;
}

void
store_close(struct store *store)
{
    stop(store, true);
}

void
store_abandon(struct store *store)
{
    stop(store, false);
}

const struct store_counters *
store_counters(const struct store *store)
{
    return committer_counters(store->committer);
}

struct reader *
store_reader(struct store *store)
{
    return store->reader;
}

int
store_report_fd(const struct store *store)
{
    return committer_report_fd(store->committer);
}

bool
store_next_report(struct store *store, struct store_report *report)
{
    return committer_next_report(store->committer, report);
}

void
store_submit(struct store *store, struct batch *batch)
{
    committer_submit(store->committer, batch);
}

void
store_sync(struct store *store, uint64_t token, bool with_checkpoint)
{
    committer_sync(store->committer, token, with_checkpoint);
}

void
store_request_fold(struct store *store)
{
    committer_request_fold(store->committer);
}

void
store_resume(struct store *store)
{
    committer_resume(store->committer);
}

void
store_set_options(struct store *store, const struct store_options *options)
{
    committer_set_options(store->committer, options);
}

void
store_stats(const struct store *store, struct store_stats *stats)
{
    committer_stats(store->committer, stats);
}
