/*
 * restore.c -- a database file from the bucket.
 *
 *   list -> plan (layout.c) -> GETs side by side (restorefetch.c) -> decoder,
 *   in a thread of its own (restoreapply.c) -> file -> fsync, quick_check
 *
 * The file is built under another name and gets its own only when it is whole,
 * checked and synced: a crash leaves "<path>-restoring", which the next
 * restore overwrites.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/backoff.h"
#include "replication/folder.h"
#include "replication/ltx.h"
#include "replication/restore.h"
#include "replication/restorefetch.h"

#define PATIENCE_MS 60000 /* of retrying one request */
#define DENIALS_MAX 4
#define WAIT_SAID_MS 500
#define SUFFIX "-restoring"
/* Every page is read once: mapped, it is not copied.  Bytes. */
#define CHECK_MMAP_SIZE "2147418112"
#define PASSES_MAX 3 /* when compaction deletes files under our hands */

struct restore {
    struct objectstore *store;
    const struct restore_options *options;
    struct restore_result *result;
    struct buf *error;
    struct layout_file *chain; /* NULL: there was no plan */
    size_t chain_len;
    uint64_t size; /* of the database, bytes */
    int fd;
};

/* ---- asking ------------------------------------------------------------- */

/*
 * objectstore_run() with retries, up to PATIENCE_MS; refused keys are tried
 * DENIALS_MAX times, since they are read again in between.  What takes long is
 * said, or a start that waits would look dead.
 */
static enum status
run_patiently(struct objectstore *store, struct objectstore_request *request,
    struct buf *error)
{
    int64_t give_up = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
    struct backoff backoff = { 0 };
    unsigned denials = 0;
    enum status status;

    for (;;) {
        status = objectstore_run(store, request);
        if (status == STATUS_OK || status == STATUS_NOT_FOUND)
            return status;
        if (!backoff_is_transient(status) || clock_monotonic_us() > give_up ||
            (status == STATUS_DENIED && ++denials == DENIALS_MAX))
            break;
        int64_t wait = backoff_next_ms(&backoff, request->retry_after_ms);
        if (wait >= WAIT_SAID_MS)
            log_warning("bucket: %s; trying again", request->error);
        usleep((useconds_t)wait * 1000);
    }
    buf_printf(error, "%s", request->error);
    return status;
}

struct file_list {
    struct layout_file *files;
    size_t count, size;
};

static void
append_page(struct file_list *list, const struct objectstore_request *request)
{
    for (size_t i = 0; i < request->entry_count; i++) {
        const struct objectstore_entry *entry = &request->entries[i];
        struct layout_file file;
        if (!layout_parse_name(slice_from_text(entry->name), &file))
            continue;
        file.size = entry->size;
        file.modified_ms = entry->modified_ms;
        if (list->count == list->size) {
            list->size = list->size == 0 ? 256 : 2 * list->size;
            list->files =
                memory_realloc(list->files, list->size * sizeof(*list->files));
        }
        list->files[list->count++] = file;
    }
}

enum status
restore_list(struct objectstore *store, struct layout_file **files,
    size_t *count, struct buf *error)
{
    struct file_list list = { 0 };
    struct buf after = BUF_INIT;
    enum status status;
    bool has_more;

    do {
        struct objectstore_request request;
        objectstore_request_init(&request, OBJECTSTORE_LIST, SLICE(""));
        request.list_after = buf_slice(&after);
        status = run_patiently(store, &request, error);
        has_more = status == STATUS_OK && request.has_more;
        if (status == STATUS_OK) {
            append_page(&list, &request);
            buf_clear(&after, after.size);
            if (request.entry_count > 0)
                buf_append_text(
                    &after, request.entries[request.entry_count - 1].name);
            else if (has_more)
                status = STATUS_CORRUPT; /* would ask the same again */
        }
        objectstore_request_fini(&request);
    } while (status == STATUS_OK && has_more);
    buf_fini(&after);
    if (status != STATUS_OK) {
        memory_free(list.files);
        return status == STATUS_NOT_FOUND ? STATUS_INVALID : status;
    }
    *files = list.files;
    *count = list.count;
    return STATUS_OK;
}

/* ---- point in time ------------------------------------------------------ */

static enum status
fetch_timestamp(
    struct objectstore *store, struct layout_file *file, struct buf *error)
{
    struct objectstore_request request;
    struct ltx_header header;
    char name[LAYOUT_NAME_SIZE];
    enum status status;

    if (file->timestamp_ms != 0)
        return STATUS_OK;
    layout_format_name(name, file->level, file->min_txid, file->max_txid);
    objectstore_request_init(&request, OBJECTSTORE_GET, slice_from_text(name));
    request.range_len = LTX_HEADER_SIZE;
    status = run_patiently(store, &request, error);
    if (status == STATUS_OK)
        status =
            ltx_decode_header(request.answer.data, request.answer.len, &header);
    if (status == STATUS_OK)
        file->timestamp_ms = header.timestamp_ms;
    else
        buf_printf(error, " (object %s)", name);
    objectstore_request_fini(&request);
    return status;
}

static int
compare_max_txid(const void *a, const void *b)
{
    const struct layout_file *x = a, *y = b;

    return x->max_txid < y->max_txid ? -1 : x->max_txid > y->max_txid;
}

/*
 * The newest txid whose file says it existed at time_ms.  Timestamps grow with
 * txids, so a binary search reads few headers.
 */
static enum status
find_txid_at(struct objectstore *store, struct layout_file *files, size_t count,
    int64_t time_ms, uint64_t *txid, struct buf *error)
{
    size_t low = 0, high = count;

    qsort(files, count, sizeof(*files), compare_max_txid);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        enum status status = fetch_timestamp(store, &files[middle], error);
        if (status != STATUS_OK)
            return status;
        if (files[middle].timestamp_ms <= time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) {
        buf_append_text(error, "the history begins after that time");
        return STATUS_NOT_FOUND;
    }
    *txid = files[low - 1].max_txid;
    return STATUS_OK;
}

/* ---- the file ----------------------------------------------------------- */

enum status
restore_check_file(const char *path, const char *check, struct buf *error)
{
    char uri[PATH_MAX + 32], pragma[64];
    sqlite3_stmt *statement = NULL;
    enum status status = STATUS_CORRUPT;
    sqlite3 *db = NULL;

    snprintf(pragma, sizeof(pragma), "PRAGMA %s", check);
    /* It has no WAL, and none must be made. */
    snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
    if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
            NULL) == SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA mmap_size=" CHECK_MMAP_SIZE, NULL, NULL,
            NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, pragma, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (answer != NULL && strcmp(answer, "ok") == 0)
            status = STATUS_OK;
        else
            buf_printf(error, "%s: %s", check, answer == NULL ? "" : answer);
    } else {
        buf_printf(error, "%s: %s", check, sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

/* fsync, beside the check. */
static void *
run_sync(void *arg)
{
    return fsync(*(int *)arg) == 0 ? NULL : arg;
}

static enum status
finish_file(struct restore *restore, const char *temporary, const char *path)
{
    enum status status = STATUS_OK;
    void *failed = NULL;
    pthread_t syncer;

    if (ftruncate(restore->fd, (off_t)restore->size) != 0) {
        buf_printf(restore->error, "%s: %s", temporary, strerror(errno));
        return STATUS_IO;
    }
    CHECK(pthread_create(&syncer, NULL, run_sync, &restore->fd) == 0);
    if (restore->options->with_quick_check)
        status = restore_check_file(temporary, "quick_check", restore->error);
    pthread_join(syncer, &failed);
    if (status != STATUS_OK)
        return status;
    if (failed != NULL) {
        buf_printf(restore->error, "%s: it cannot be synced", temporary);
        return STATUS_IO;
    }
    if (restore->options->before_naming != NULL)
        status =
            restore->options->before_naming(temporary, restore->options->arg);
    if (status != STATUS_OK)
        return status;
    if (link(temporary, path) != 0) {
        buf_printf(restore->error, "%s: %s", path, strerror(errno));
        return errno == EEXIST ? STATUS_EXISTS : STATUS_IO;
    }
    FAULT_POINT("restore.named");
    unlink(temporary);
    return folder_sync(path);
}

/* One try with the files that are there now. */
static enum status
run_pass(struct restore *restore, const char *temporary, const char *path)
{
    const struct restore_options *options = restore->options;
    struct layout_file *files;
    uint64_t target = options->to_txid;
    size_t count;
    enum status status =
        restore_list(restore->store, &files, &count, restore->error);

    if (status != STATUS_OK)
        return status;
    layout_drop_ghosts(files, &count);
    if (options->to_time_ms != 0 && count > 0)
        status = find_txid_at(restore->store, files, count, options->to_time_ms,
            &target, restore->error);
    if (status == STATUS_OK)
        status = layout_plan(files, count, target, &restore->chain,
            &restore->chain_len, restore->error);
    memory_free(files);
    if (status != STATUS_OK)
        return status;
    restore->fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (restore->fd < 0) {
        buf_printf(restore->error, "%s: %s", temporary, strerror(errno));
        return STATUS_IO;
    }
    status = restorefetch_run(restore->store, restore->chain,
        restore->chain_len, restore->fd, options, restore->result,
        &restore->size, restore->error);
    if (status == STATUS_OK)
        status = finish_file(restore, temporary, path);
    close(restore->fd);
    if (status != STATUS_OK)
        unlink(temporary);
    return status;
}

enum status
restore_run(struct objectstore *store, const char *path,
    const struct restore_options *options, struct restore_result *result,
    struct buf *error)
{
    char temporary[PATH_MAX];
    enum status status = STATUS_OK;

    if (access(path, F_OK) == 0) {
        buf_printf(error, "%s is there already", path);
        return STATUS_EXISTS;
    }
    snprintf(temporary, sizeof(temporary), "%s" SUFFIX, path);
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        struct restore *restore = memory_zalloc(sizeof(*restore));
        *result = (struct restore_result){ 0 };
        buf_clear(error, 256);
        restore->store = store;
        restore->options = options;
        restore->result = result;
        restore->error = error;
        status = run_pass(restore, temporary, path);
        bool has_started = restore->chain != NULL;
        memory_free(restore->chain);
        memory_free(restore);
        /* An object of the plan was deleted by a compaction: plan again. */
        if (status != STATUS_NOT_FOUND || !has_started)
            break;
    }
    return status;
}
