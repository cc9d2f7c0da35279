/*
 * filestore.c -- a directory as an object store.
 *
 * A PUT writes "<name>.<random>.tmp", fsyncs it, and gives it its name by
 * link(2), which fails where something is (If-None-Match), or by rename(2);
 * then the folder is fsynced.  Names ending in ".tmp" are never listed.
 *
 * A process that is killed in the middle leaves its ".tmp".  To the keeper that
 * is an upload that was never ended, as another store's parts are: the random
 * part is the upload's id, and it began when the file was last touched.
 *
 * Requests run in submit; their completions wait for the poll, so that callers
 * see one behaviour from every kind of store.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"
#include "server/base/random.h"

#include "replication/filestore.h"
#include "replication/folder.h"

#define LIST_COUNT_MAX 1000
#define COPY_SIZE 65536
#define TEMPORARY ".tmp"
#define RANDOM_SIZE 16 /* digits */

struct filestore {
    struct objectstore base; /* first */
    char *root;
    int wake_fd;
    struct objectstore_request *finished, **finished_end;
};

static enum status
status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_CONFLICT;
    case ENOSPC:
    case EDQUOT:
        return STATUS_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_DENIED;
    default:
        return STATUS_IO;
    }
}

static void
fail(struct objectstore_request *request, const char *what)
{
    request->status = status_of_errno(errno);
    snprintf(request->error, sizeof(request->error), "%s: %s", what,
        strerror(errno));
}

/* root/name; a name may not climb out of the root. */
static bool
make_path(const struct filestore *files, struct slice name, char path[PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%s/%.*s", files->root, (int)name.len,
        name.data == NULL ? "" : name.data);

    return len < PATH_MAX - 32 &&
           strstr(path + strlen(files->root), "/../") == NULL;
}

static enum status
make_folders(char *path, size_t root_len)
{
    for (char *at = path + root_len + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        int rc = mkdir(path, 0777);
        *at = '/';
        if (rc != 0 && errno != EEXIST)
            return STATUS_IO;
    }
    return STATUS_OK;
}

static bool
write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool
write_body(int fd, const struct objectstore_request *request)
{
    char block[COPY_SIZE];

    if (request->body_fd < 0)
        return write_all(fd, request->body.data, request->body.len);
    for (uint64_t at = 0; at < request->body_size;) {
        uint64_t left = request->body_size - at;
        ssize_t got = pread(request->body_fd, block,
            left < sizeof(block) ? (size_t)left : sizeof(block), (off_t)at);
        if (got <= 0 || !write_all(fd, block, (size_t)got))
            return false;
        at += (uint64_t)got;
    }
    return true;
}

/* The body in a new file, synced, its modification time the timestamp. */
static bool
write_temporary(const char *path, const struct objectstore_request *request)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
        { .tv_nsec = UTIME_NOW } };
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return false;
    if (request->timestamp_ms > 0)
        times[1] = (struct timespec){ .tv_sec = request->timestamp_ms / 1000,
            .tv_nsec = request->timestamp_ms % 1000 * 1000000 };
    bool is_written =
        write_body(fd, request) && futimens(fd, times) == 0 && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return is_written;
}

static void
run_put(struct filestore *files, struct objectstore_request *request)
{
    char path[PATH_MAX], temporary[PATH_MAX], random[RANDOM_SIZE + 1];

    if (!make_path(files, request->name, path)) {
        request->status = STATUS_INVALID;
        return;
    }
    random_hex(random, RANDOM_SIZE);
    snprintf(temporary, sizeof(temporary), "%.*s.%s" TEMPORARY, PATH_MAX - 32,
        path, random);
    if (make_folders(path, strlen(files->root)) != STATUS_OK) {
        fail(request, "making the folder");
        return;
    }
    if (!write_temporary(temporary, request)) {
        fail(request, "writing");
        unlink(temporary);
        return;
    }
    int rc = request->if_none_match ? link(temporary, path)
                                    : rename(temporary, path);
    if (rc != 0)
        fail(request, "naming the object");
    if (rc != 0 || request->if_none_match)
        unlink(temporary);
    if (rc == 0 && folder_sync(path) != STATUS_OK)
        fail(request, "syncing the folder");
    files->base.bytes_sent +=
        request->body_fd >= 0 ? request->body_size : request->body.len;
}

static void
note_stat(struct objectstore_request *request, const struct stat *st)
{
    request->object_size = (uint64_t)st->st_size;
    request->modified_ms =
        (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    request->meta_timestamp_ms = request->modified_ms;
}

static bool
read_range(int fd, struct objectstore_request *request)
{
    uint64_t from = request->range_from;
    uint64_t left =
        from < request->object_size ? request->object_size - from : 0;

    if (request->range_len > 0 && request->range_len < left)
        left = request->range_len;
    if (buf_try_reserve(&request->answer, left) != STATUS_OK)
        return false;
    while (left > 0) {
        ssize_t got = pread(fd, request->answer.data + request->answer.len,
            (size_t)left, (off_t)from);
        if (got <= 0)
            return false;
        request->answer.len += (size_t)got;
        from += (uint64_t)got;
        left -= (uint64_t)got;
    }
    return true;
}

static void
run_get(struct filestore *files, struct objectstore_request *request)
{
    char path[PATH_MAX];
    struct stat st;

    if (!make_path(files, request->name, path)) {
        request->status = STATUS_INVALID;
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail(request, "opening");
        return;
    }
    if (fstat(fd, &st) != 0)
        fail(request, "reading");
    else
        note_stat(request, &st);
    if (request->status == STATUS_OK && request->op == OBJECTSTORE_GET &&
        !read_range(fd, request))
        fail(request, "reading");
    files->base.bytes_received += request->answer.len;
    close(fd);
}

static void
run_delete(struct filestore *files, struct objectstore_request *request)
{
    char path[PATH_MAX];

    if (!make_path(files, request->name, path))
        request->status = STATUS_INVALID;
    else if (unlink(path) != 0 && errno != ENOENT)
        fail(request, "deleting");
}

/* ---- listing ------------------------------------------------------------ */

struct listing {
    struct objectstore_request *request;
    bool is_of_uploads; /* what killed processes left */
    size_t size;
    const char *root;
};

static void
add_entry(struct listing *listing, const char *name, const struct stat *st)
{
    struct objectstore_request *request = listing->request;

    if (request->entry_count == listing->size) {
        listing->size = listing->size == 0 ? 64 : 2 * listing->size;
        request->entries = memory_realloc(
            request->entries, listing->size * sizeof(*request->entries));
    }
    request->entries[request->entry_count++] =
        (struct objectstore_entry){ .name = memory_copy_text(name),
            .size = (uint64_t)st->st_size,
            .modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 +
                           st->st_mtim.tv_nsec / 1000000 };
}

static bool
is_wanted(const struct listing *listing, const char *name)
{
    const struct objectstore_request *request = listing->request;
    struct slice text = slice_from_text(name);
    size_t suffix = strlen(TEMPORARY);

    if (text.len >= suffix && strcmp(name + text.len - suffix, TEMPORARY) == 0)
        return false;
    if (text.len < request->name.len ||
        (request->name.len > 0 &&
            memcmp(name, request->name.data, request->name.len) != 0))
        return false;
    return request->list_after.len == 0 ||
           slice_compare(text, request->list_after) > 0;
}

/* "<object>.<random>.tmp": cut name short to the object's, and say the rest. */
static bool
split_temporary(char *name, char id[RANDOM_SIZE + 1])
{
    size_t len = strlen(name), tail = 1 + RANDOM_SIZE + strlen(TEMPORARY);
    char *dot;

    if (len <= tail || name[len - tail] != '.')
        return false;
    dot = name + len - tail;
    if (strspn(dot + 1, "0123456789abcdef") != RANDOM_SIZE ||
        strcmp(dot + 1 + RANDOM_SIZE, TEMPORARY) != 0)
        return false;
    memcpy(id, dot + 1, RANDOM_SIZE);
    id[RANDOM_SIZE] = '\0';
    *dot = '\0';
    return true;
}

static void
add_upload(struct listing *listing, char *name, const struct stat *st)
{
    struct objectstore_request *request = listing->request;
    char id[RANDOM_SIZE + 1];

    if (request->entry_count == LIST_COUNT_MAX || !split_temporary(name, id))
        return;
    add_entry(listing, name, st);
    struct objectstore_entry *entry =
        &request->entries[request->entry_count - 1];
    entry->upload = memory_copy_text(id);
    /* Its modification time may be the one that the object is to have. */
    entry->modified_ms =
        (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
}

/* folder: relative to the root, "" or "a/b/". */
static enum status
list_folder(struct listing *listing, const char *folder)
{
    char path[PATH_MAX], name[PATH_MAX];
    enum status status = STATUS_OK;
    struct dirent *entry;
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", listing->root, folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return errno == ENOENT ? STATUS_OK : status_of_errno(errno);
    while (status == STATUS_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(name, sizeof(name), "%s%s", folder, entry->d_name) >=
            PATH_MAX - 2)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) != 0)
            continue; /* deleted meanwhile */
        if (S_ISDIR(st.st_mode)) {
            strcat(name, "/");
            status = list_folder(listing, name);
        } else if (listing->is_of_uploads) {
            add_upload(listing, name, &st);
        } else if (is_wanted(listing, name)) {
            add_entry(listing, name, &st);
        }
    }
    if (entry == NULL && errno != 0)
        status = STATUS_IO;
    closedir(dir);
    return status;
}

static int
compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct objectstore_entry *)a)->name,
        ((const struct objectstore_entry *)b)->name);
}

static void
run_list(struct filestore *files, struct objectstore_request *request)
{
    struct listing listing = { .request = request,
        .is_of_uploads = request->op == OBJECTSTORE_UPLOAD_LIST,
        .root = files->root };

    request->status = list_folder(&listing, "");
    if (request->status != STATUS_OK) {
        fail(request, "listing");
        return;
    }
    if (request->entry_count > 1)
        qsort(request->entries, request->entry_count, sizeof(*request->entries),
            compare_entries);
    request->has_more = request->entry_count > LIST_COUNT_MAX;
    while (request->entry_count > LIST_COUNT_MAX)
        memory_free(request->entries[--request->entry_count].name);
}

static void
run_abort(struct filestore *files, struct objectstore_request *request)
{
    char path[PATH_MAX], temporary[PATH_MAX];

    if (!make_path(files, request->name, path) ||
        request->upload.len != RANDOM_SIZE) {
        request->status = STATUS_INVALID;
        return;
    }
    snprintf(temporary, sizeof(temporary), "%.*s.%.*s" TEMPORARY, PATH_MAX - 32,
        path, RANDOM_SIZE, request->upload.data);
    if (unlink(temporary) != 0)
        fail(request, "deleting");
}

static void
refuse_upload(struct filestore *files, struct objectstore_request *request)
{
    (void)files;
    request->status = STATUS_UNSUPPORTED;
    snprintf(request->error, sizeof(request->error),
        "a folder knows no uploads in parts");
}

/* ---- the interface ------------------------------------------------------ */

static void
filestore_submit(struct objectstore *store, struct objectstore_request *request)
{
    static void (*const runs[])(
        struct filestore *, struct objectstore_request *) = {
        [OBJECTSTORE_PUT] = run_put,
        [OBJECTSTORE_GET] = run_get,
        [OBJECTSTORE_HEAD] = run_get,
        [OBJECTSTORE_DELETE] = run_delete,
        [OBJECTSTORE_LIST] = run_list,
        /* upload_size_min is 0: none is begun. */
        [OBJECTSTORE_UPLOAD_BEGIN] = refuse_upload,
        [OBJECTSTORE_UPLOAD_PART] = refuse_upload,
        [OBJECTSTORE_UPLOAD_END] = refuse_upload,
        [OBJECTSTORE_UPLOAD_ABORT] = run_abort,
        [OBJECTSTORE_UPLOAD_LIST] = run_list,
    };
    struct filestore *files = (struct filestore *)store;

    request->status = STATUS_OK;
    request->error[0] = '\0';
    request->http_status = 0;
    request->retry_after_ms = 0;
    buf_clear(&request->answer, request->answer.size);
    runs[request->op](files, request);
    objectstore_count(store, request->op);
    request->next = NULL;
    *files->finished_end = request;
    files->finished_end = &request->next;
}

static struct objectstore_request *
pop_finished(struct filestore *files)
{
    struct objectstore_request *request = files->finished;

    if (request == NULL)
        return NULL;
    files->finished = request->next;
    if (files->finished == NULL)
        files->finished_end = &files->finished;
    return request;
}

/* What was submitted has run: there is nothing left to give up. */
static void
filestore_cancel(struct objectstore *store, struct objectstore_request *request)
{
    (void)request;
    (void)objectstore_poll(store, 0, -1);
}

static bool
filestore_poll(struct objectstore *store, int timeout_ms, int extra_fd)
{
    struct filestore *files = (struct filestore *)store;
    struct pollfd fds[2] = { { .fd = files->wake_fd, .events = POLLIN },
        { .fd = extra_fd, .events = POLLIN } };
    struct objectstore_request *request = pop_finished(files);
    uint64_t count;

    if (request == NULL) {
        if (poll(fds, extra_fd >= 0 ? 2 : 1, timeout_ms) <= 0)
            return false;
        if (fds[0].revents != 0 && read(files->wake_fd, &count, 8) < 0)
            CHECK(errno == EAGAIN);
        return true;
    }
    for (; request != NULL; request = pop_finished(files))
        request->done(request);
    return true;
}

static void
filestore_wake(struct objectstore *store)
{
    uint64_t one = 1;

    if (write(((struct filestore *)store)->wake_fd, &one, 8) < 0)
        CHECK(errno == EAGAIN);
}

static void
filestore_close(struct objectstore *store)
{
    struct filestore *files = (struct filestore *)store;

    while (files->finished != NULL)
        (void)filestore_poll(store, 0, -1);
    if (files->wake_fd >= 0)
        close(files->wake_fd);
    memory_free(files->root);
    memory_free(files);
}

static const struct objectstore_ops filestore_ops = { .submit =
                                                          filestore_submit,
    .cancel = filestore_cancel,
    .poll = filestore_poll,
    .wake = filestore_wake,
    .close = filestore_close };

enum status
filestore_open(struct objectstore **store,
    const struct objectstore_options *options, struct buf *error)
{
    const char *root = options->url + strlen("file://");
    size_t len = strlen(root);
    struct stat st;

    while (len > 1 && root[len - 1] == '/')
        len--;
    if (root[0] != '/' || len < 2 || len > PATH_MAX / 2) {
        buf_printf(error, "'%s' is not of the form file:///path", options->url);
        return STATUS_INVALID;
    }
    struct filestore *files = memory_zalloc(sizeof(*files));
    files->base.ops = &filestore_ops;
    files->base.leaves_files = true;
    files->root = memory_alloc(len + 1);
    memcpy(files->root, root, len);
    files->root[len] = '\0';
    files->finished_end = &files->finished;
    files->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(files->wake_fd >= 0);
    if (mkdir(files->root, 0777) != 0 && errno != EEXIST) {
        buf_printf(error, "%s: %s", files->root, strerror(errno));
        filestore_close(&files->base);
        return STATUS_IO;
    }
    if (stat(files->root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        buf_printf(error, "%s is not a folder", files->root);
        filestore_close(&files->base);
        return STATUS_INVALID;
    }
    *store = &files->base;
    return STATUS_OK;
}
