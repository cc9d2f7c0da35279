/*
 * restore.c -- a database file from the bucket.
 *
 *   list -> plan (layout.c) -> parts -> GETs side by side -> decoder -> file
 *
 * The chain's files are cut into parts in the order in which they must be
 * applied.  Up to RESTORE_PARALLEL parts are under way or waiting their turn,
 * so memory is bounded by RESTORE_PARALLEL * RESTORE_PART_SIZE; the oldest is
 * fed to the decoder as soon as it is whole.
 *
 * The file is built under another name and gets its own only when it is whole,
 * checked and synced: a crash leaves "<path>-restoring", which the next
 * restore overwrites.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/backoff.h"
#include "replication/ltx.h"
#include "replication/restore.h"

#define PATIENCE_MS 60000 /* of retrying one request */
#define DENIALS_MAX 4
#define WAIT_SAID_MS 500
#define SUFFIX "-restoring"
#define PASSES_MAX 3 /* when compaction deletes files under our hands */

_Static_assert(
    RESTORE_PARALLEL *(uint64_t)RESTORE_PART_SIZE <= RESTORE_WINDOW_SIZE,
    "the parts under way fit the window");

struct part {
    struct objectstore_request request;
    struct restore *restore;
    char name[LAYOUT_NAME_SIZE];
    size_t file;         /* index into the chain */
    int64_t retry_at_us; /* monotonic; 0: under way or done */
    int64_t give_up_us;
    struct backoff backoff;
    bool is_used, is_done, is_last; /* of its file */
};

struct restore {
    struct objectstore *store;
    const struct restore_options *options;
    struct restore_result *result;
    struct buf *error;
    struct layout_file *chain;
    size_t chain_len;
    struct part parts[RESTORE_PARALLEL]; /* a ring */
    size_t oldest, in_ring;
    size_t next_file; /* to cut the next part from */
    uint64_t next_offset;
    struct ltx_decoder *decoder;
    uint32_t page_size, commit;
    uint64_t bytes_total;
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

/* ---- fetching ----------------------------------------------------------- */

static void
note_part(struct objectstore_request *request)
{
    struct part *part = request->arg;
    int64_t now = clock_monotonic_us();

    if (backoff_is_transient(request->status) && now < part->give_up_us) {
        part->retry_at_us =
            now +
            backoff_next_ms(&part->backoff, request->retry_after_ms) * 1000;
        return;
    }
    part->is_done = true;
}

/* Cut the next part off the chain and ask for it; false: nothing is left. */
static bool
start_part(struct restore *restore)
{
    if (restore->next_file == restore->chain_len ||
        restore->in_ring == RESTORE_PARALLEL)
        return false;
    const struct layout_file *file = &restore->chain[restore->next_file];
    size_t slot = (restore->oldest + restore->in_ring) % RESTORE_PARALLEL;
    struct part *part = &restore->parts[slot];
    uint64_t left = file->size - restore->next_offset;

    *part = (struct part){
        .restore = restore, .file = restore->next_file, .is_used = true
    };
    layout_format_name(part->name, file->level, file->min_txid, file->max_txid);
    objectstore_request_init(
        &part->request, OBJECTSTORE_GET, slice_from_text(part->name));
    part->request.range_from = restore->next_offset;
    part->request.range_len =
        left < RESTORE_PART_SIZE ? left : RESTORE_PART_SIZE;
    part->request.done = note_part;
    part->request.arg = part;
    part->give_up_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
    restore->next_offset += part->request.range_len;
    part->is_last = restore->next_offset >= file->size;
    if (part->is_last) {
        restore->next_file++;
        restore->next_offset = 0;
    }
    restore->in_ring++;
    objectstore_submit(restore->store, &part->request);
    return true;
}

static void
retry_parts(struct restore *restore)
{
    int64_t now = clock_monotonic_us();

    for (size_t i = 0; i < restore->in_ring; i++) {
        struct part *part =
            &restore->parts[(restore->oldest + i) % RESTORE_PARALLEL];
        if (part->retry_at_us == 0 || part->retry_at_us > now)
            continue;
        part->retry_at_us = 0;
        objectstore_submit(restore->store, &part->request);
    }
}

/* ---- applying ----------------------------------------------------------- */

static enum status
write_page(uint32_t page, const void *data, void *arg)
{
    struct restore *restore = arg;
    const struct ltx_header *header = ltx_decoder_header(restore->decoder);
    uint64_t offset = (uint64_t)(page - 1) * header->page_size;

    restore->result->pages++;
    if (pwrite(restore->fd, data, header->page_size, (off_t)offset) ==
        (ssize_t)header->page_size)
        return STATUS_OK;
    buf_printf(restore->error, "writing the database: %s", strerror(errno));
    return errno == ENOSPC ? STATUS_FULL : STATUS_IO;
}

static enum status
refuse(struct restore *restore, const char *name, const char *why)
{
    buf_printf(restore->error, "object %s: %s", name, why);
    return STATUS_CORRUPT;
}

/* The file is whole: is it the one its name says? */
static enum status
end_file(struct restore *restore, const struct part *part)
{
    const struct layout_file *file = &restore->chain[part->file];
    const struct ltx_header *header = ltx_decoder_header(restore->decoder);
    struct restore_result *result = restore->result;

    if (ltx_decoder_finish(restore->decoder) != STATUS_OK)
        return refuse(restore, part->name, ltx_decoder_error(restore->decoder));
    if (header->min_txid != file->min_txid ||
        header->max_txid != file->max_txid)
        return refuse(restore, part->name, "its header names other txids");
    if (restore->page_size != 0 && header->page_size != restore->page_size)
        return refuse(restore, part->name, "its page size differs");
    restore->page_size = header->page_size;
    restore->commit = header->commit;
    result->txid = header->max_txid;
    result->timestamp_ms = header->timestamp_ms;
    result->checksum = ltx_decoder_post_checksum(restore->decoder);
    result->wal_salt1 = header->wal_salt1;
    result->wal_salt2 = header->wal_salt2;
    result->wal_end = header->wal_offset + header->wal_size;
    result->files++;
    ltx_decoder_free(restore->decoder);
    restore->decoder = NULL;
    return STATUS_OK;
}

static enum status
apply_part(struct restore *restore, struct part *part)
{
    struct objectstore_request *request = &part->request;

    if (request->status != STATUS_OK) {
        buf_printf(restore->error, "object %s: %s", part->name, request->error);
        return request->status;
    }
    if (restore->decoder == NULL)
        restore->decoder = ltx_decoder_new(write_page, restore);
    enum status status = ltx_decoder_feed(
        restore->decoder, request->answer.data, request->answer.len);
    if (status == STATUS_CORRUPT)
        return refuse(restore, part->name, ltx_decoder_error(restore->decoder));
    if (status != STATUS_OK)
        return status;
    restore->result->bytes += request->answer.len;
    if (restore->options->progress != NULL)
        restore->options->progress(restore->result->bytes, restore->bytes_total,
            restore->options->arg);
    return part->is_last ? end_file(restore, part) : STATUS_OK;
}

static void
drop_parts(struct restore *restore)
{
    for (size_t i = 0; i < restore->in_ring; i++) {
        struct part *part =
            &restore->parts[(restore->oldest + i) % RESTORE_PARALLEL];
        part->give_up_us = 0;
        if (!part->is_done && part->retry_at_us == 0)
            objectstore_cancel(restore->store, &part->request);
        objectstore_request_fini(&part->request);
    }
    restore->in_ring = 0;
}

static enum status
fetch_all(struct restore *restore)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK) {
        while (start_part(restore))
            continue;
        if (restore->in_ring == 0)
            break;
        struct part *part = &restore->parts[restore->oldest];
        if (!part->is_done) {
            retry_parts(restore);
            (void)objectstore_poll(restore->store, 100, -1);
            continue;
        }
        status = apply_part(restore, part);
        objectstore_request_fini(&part->request);
        restore->oldest = (restore->oldest + 1) % RESTORE_PARALLEL;
        restore->in_ring--;
    }
    drop_parts(restore);
    ltx_decoder_free(restore->decoder);
    restore->decoder = NULL;
    return status;
}

/* ---- the file ----------------------------------------------------------- */

static enum status
quick_check(const char *path, struct buf *error)
{
    char uri[PATH_MAX + 32];
    sqlite3_stmt *statement = NULL;
    enum status status = STATUS_CORRUPT;
    sqlite3 *db = NULL;

    /* No WAL belongs to it yet, and none must be made. */
    snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
    if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
            NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA quick_check", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (answer != NULL && strcmp(answer, "ok") == 0)
            status = STATUS_OK;
        else
            buf_printf(error, "quick_check: %s", answer == NULL ? "" : answer);
    } else {
        buf_printf(error, "quick_check: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return status;
}

static enum status
sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    char *slash;

    snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        strcpy(folder, ".");
    else if (slash == folder)
        slash[1] = '\0';
    else
        *slash = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return STATUS_IO;
    int rc = fsync(fd);
    close(fd);
    return rc == 0 ? STATUS_OK : STATUS_IO;
}

static enum status
finish_file(struct restore *restore, const char *temporary, const char *path)
{
    off_t size = (off_t)restore->commit * restore->page_size;
    enum status status;

    if (ftruncate(restore->fd, size) != 0 || fsync(restore->fd) != 0) {
        buf_printf(restore->error, "%s: %s", temporary, strerror(errno));
        return STATUS_IO;
    }
    if (restore->options->with_quick_check) {
        status = quick_check(temporary, restore->error);
        if (status != STATUS_OK)
            return status;
    }
    if (link(temporary, path) != 0) {
        buf_printf(restore->error, "%s: %s", path, strerror(errno));
        return errno == EEXIST ? STATUS_EXISTS : STATUS_IO;
    }
    unlink(temporary);
    return sync_folder_of(path);
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
    if (options->to_time_ms != 0 && count > 0)
        status = find_txid_at(restore->store, files, count, options->to_time_ms,
            &target, restore->error);
    if (status == STATUS_OK)
        status = layout_plan(files, count, target, &restore->chain,
            &restore->chain_len, restore->error);
    memory_free(files);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < restore->chain_len; i++)
        restore->bytes_total += restore->chain[i].size;
    restore->fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (restore->fd < 0) {
        buf_printf(restore->error, "%s: %s", temporary, strerror(errno));
        memory_free(restore->chain);
        return STATUS_IO;
    }
    status = fetch_all(restore);
    if (status == STATUS_OK)
        status = finish_file(restore, temporary, path);
    close(restore->fd);
    memory_free(restore->chain);
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
        bool has_started = restore->bytes_total > 0;
        memory_free(restore);
        /* An object of the plan was deleted by a compaction: plan again. */
        if (status != STATUS_NOT_FOUND || !has_started)
            break;
    }
    return status;
}
