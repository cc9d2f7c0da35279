/*
 * unowned.c -- the mark of a local database that nobody was ever served from.
 *
 * The file is known again by its inode and its time of birth: both stay when it
 * is renamed, and a copy has others.  An inode alone is given to the next file
 * as soon as the first one is deleted.  Both also stay when something else is
 * copied over the file; so one that was restored must have the size and the
 * time of modification that it was named with: a start that does not come to
 * own the prefix writes to the WAL only.  One that begins a history is written
 * to, but it is in nobody's way while the bucket is empty, and goes on.
 *
 * The mark is written in place, under the lock: whatever a crash leaves of it
 * was not synced, so the database did not get its name, and half a mark is
 * about nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/faultpoint.h"
#include "server/base/memory.h"

#include "replication/folder.h"
#include "replication/unowned.h"

#define SUFFIX "-unowned"
#define TEXT_SIZE_MAX 4096 /* bytes, with the NUL */
#define NS_A_SECOND INT64_C(1000000000)

struct identity {
    uint64_t inode;
    int64_t born_ns, modified_ns;
    uint64_t size;
};

struct unowned {
    char database_path[PATH_MAX];
    char path[PATH_MAX];
    int fd;
    uint64_t txid;
    struct identity file;
    char bucket[TEXT_SIZE_MAX]; /* "": the mark is about nothing */
    bool is_kept;               /* there is something in it */
};

static int64_t
ns_of(const struct statx_timestamp *time)
{
    return (int64_t)time->tv_sec * NS_A_SECOND + time->tv_nsec;
}

/* false: there is no such file. */
static bool
identify(const char *path, struct identity *file)
{
    unsigned wanted = STATX_INO | STATX_SIZE | STATX_MTIME | STATX_BTIME;
    struct statx st;

    if (statx(AT_FDCWD, path, 0, wanted, &st) != 0)
        return false;
    *file = (struct identity){ .inode = st.stx_ino,
        .modified_ns = ns_of(&st.stx_mtime),
        .size = st.stx_size };
    if ((st.stx_mask & STATX_BTIME) != 0)
        file->born_ns = ns_of(&st.stx_btime);
    return true;
}

/* ---- opening ------------------------------------------------------------ */

static void
parse(struct unowned *mark)
{
    char text[TEXT_SIZE_MAX];
    ssize_t got = pread(mark->fd, text, sizeof(text) - 1, 0);
    int used = 0;

    if (got <= 0)
        return;
    mark->is_kept = true;
    text[got] = '\0';
    if (sscanf(text,
            "walden-unowned 1\ntxid %" SCNu64 "\nfile %" SCNu64 " %" SCNd64
            " %" SCNd64 " %" SCNu64 "\nbucket %n",
            &mark->txid, &mark->file.inode, &mark->file.born_ns,
            &mark->file.modified_ns, &mark->file.size, &used) != 5 ||
        used == 0)
        return;
    size_t len = strlen(text + used);
    if (len < 2 || text[used + (int)len - 1] != '\n')
        return;
    memcpy(mark->bucket, text + used, len - 1);
}

/* Open and lock it; whoever had it before may have removed it meanwhile. */
static enum status
open_locked(struct unowned *mark, bool shall_make)
{
    int flags = O_RDWR | O_CLOEXEC | (shall_make ? O_CREAT : 0);
    struct stat ours, named;

    for (;;) {
        mark->fd = open(mark->path, flags, 0666);
        if (mark->fd < 0)
            return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
        if (flock(mark->fd, LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK ? STATUS_BUSY : STATUS_IO;
        if (fstat(mark->fd, &ours) == 0 && stat(mark->path, &named) == 0 &&
            ours.st_ino == named.st_ino)
            return STATUS_OK;
        close(mark->fd);
    }
}

enum status
unowned_open(struct unowned **mark, const char *database_path, bool shall_make,
    struct buf *error)
{
    struct unowned *out = memory_zalloc(sizeof(*out));
    enum status status;

    snprintf(
        out->database_path, sizeof(out->database_path), "%s", database_path);
    int len =
        snprintf(out->path, sizeof(out->path), "%s" SUFFIX, database_path);
    out->fd = -1;
    errno = ENAMETOOLONG;
    status = len < PATH_MAX ? open_locked(out, shall_make) : STATUS_IO;
    if (status == STATUS_OK) {
        parse(out);
        *mark = out;
        return STATUS_OK;
    }
    if (status == STATUS_BUSY)
        buf_printf(
            error, "%s is locked: another Walden is starting there", out->path);
    else if (status != STATUS_NOT_FOUND)
        buf_printf(error, "%s: %s", out->path, strerror(errno));
    if (out->fd >= 0)
        close(out->fd);
    memory_free(out);
    return status;
}

/* Is that what the mark was made for, as far as a start may change it? */
static bool
is_same_file(const struct unowned *mark, const struct identity *file)
{
    const struct identity *marked = &mark->file;

    if (file->inode != marked->inode || file->born_ns != marked->born_ns)
        return false;
    if (mark->txid == 0)
        return file->born_ns != 0;
    return file->modified_ns == marked->modified_ns &&
           file->size == marked->size;
}

bool
unowned_is_about(
    const struct unowned *mark, const char *bucket, uint64_t newest)
{
    struct identity file;

    if (mark->bucket[0] == '\0' || strcmp(mark->bucket, bucket) != 0 ||
        mark->txid > newest)
        return false;
    /* Without the file the rest of it is worth nothing. */
    return !identify(mark->database_path, &file) || file.size == 0 ||
           (newest > 0 && is_same_file(mark, &file));
}

uint64_t
unowned_txid(const struct unowned *mark)
{
    return mark->txid;
}

/* ---- writing ------------------------------------------------------------ */

enum status
unowned_write(
    struct unowned *mark, const char *bucket, uint64_t txid, const char *path)
{
    char text[TEXT_SIZE_MAX];

    if (!identify(path, &mark->file))
        return STATUS_IO;
    int len = snprintf(text, sizeof(text),
        "walden-unowned 1\ntxid %" PRIu64 "\nfile %" PRIu64 " %" PRId64
        " %" PRId64 " %" PRIu64 "\nbucket %s\n",
        txid, mark->file.inode, mark->file.born_ns, mark->file.modified_ns,
        mark->file.size, bucket);
    if (len >= (int)sizeof(text))
        return STATUS_INVALID;
    mark->is_kept = true;
    mark->bucket[0] = '\0';
    if (ftruncate(mark->fd, 0) != 0 ||
        pwrite(mark->fd, text, (size_t)len, 0) != len || fsync(mark->fd) != 0 ||
        folder_sync(mark->path) != STATUS_OK)
        return STATUS_IO;
    mark->txid = txid;
    snprintf(mark->bucket, sizeof(mark->bucket), "%s", bucket);
    FAULT_POINT("unowned.marked");
    return STATUS_OK;
}

enum status
unowned_remove(struct unowned *mark)
{
    enum status status = STATUS_OK;

    FAULT_POINT("unowned.owned");
    if ((unlink(mark->path) != 0 && errno != ENOENT) ||
        folder_sync(mark->path) != STATUS_OK)
        status = STATUS_IO;
    FAULT_POINT("unowned.removed");
    mark->is_kept = true;
    unowned_close(mark);
    return status;
}

void
unowned_close(struct unowned *mark)
{
    if (mark == NULL)
        return;
    if (!mark->is_kept)
        (void)unlink(mark->path);
    close(mark->fd);
    memory_free(mark);
}

enum status
unowned_forget(const char *database_path, struct buf *error)
{
    struct unowned *mark;
    enum status status = unowned_open(&mark, database_path, false, error);

    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    status = unowned_remove(mark);
    if (status != STATUS_OK)
        buf_printf(error, "%s" SUFFIX " cannot be removed", database_path);
    return status;
}
