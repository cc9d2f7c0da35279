/*
 * startup.c -- do the local file and the bucket belong together?
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/backoff.h"
#include "replication/layout.h"
#include "replication/restore.h"
#include "replication/startup.h"
#include "replication/startuplocal.h"
#include "replication/startupmark.h"
#include "replication/startupposition.h"
#include "replication/startuprefuse.h"

#define PROBE_BODY                                              \
    "Walden writes this object with If-None-Match: * to learn " \
    "whether the store refuses a second writer.\n"
#define COMPARE_BLOCK_SIZE (1024 * 1024)
#define FETCH_SIZE (8 * 1024 * 1024) /* of an object at once */
#define COMPARE_SUFFIX "-compare"

/* ---- asking the bucket, patiently --------------------------------------- */

static enum status
wait_before_retry(struct startup *startup, struct backoff *backoff,
    const char *what, struct buf *why)
{
    int64_t wait = backoff_next_ms(backoff, 1000);

    buf_append_byte(why, '\0');
    log_warning("bucket: %s: %s; waiting for it", what, why->data);
    buf_clear(why, 256);
    for (; wait > 0 && !*startup->stop; wait -= 100)
        usleep(100000);
    if (!*startup->stop)
        return STATUS_OK;
    buf_append_text(startup->error, "stopped while waiting for the bucket");
    return STATUS_TIMEOUT;
}

static enum status
list_files(struct startup *startup)
{
    struct backoff backoff = { 0 };
    struct buf why = BUF_INIT;
    enum status status;

    for (;;) {
        status = restore_list(
            startup->store, &startup->files, &startup->count, &why);
        if (status == STATUS_OK || !backoff_is_transient(status))
            break;
        status = wait_before_retry(startup, &backoff, "LIST", &why);
        if (status != STATUS_OK)
            break;
    }
    if (status != STATUS_OK && why.len > 0)
        buf_append_slice(startup->error, buf_slice(&why));
    buf_fini(&why);
    for (size_t i = 0; status == STATUS_OK && i < startup->count; i++) {
        const struct layout_file *file = &startup->files[i];
        if (file->max_txid > startup->newest)
            startup->newest = file->max_txid;
        if (file->level == 0 && file->max_txid > startup->newest0.max_txid)
            startup->newest0 = *file;
    }
    return status;
}

/*
 * 200 then 412, or 412 at once where the probe object is from before: the store
 * refuses a second writer.  200 twice: it ignores the condition.  501: it
 * refuses conditions.
 */
static enum status
probe_fence(struct startup *startup, bool *can_fence)
{
    struct backoff backoff = { 0 };
    struct buf why = BUF_INIT;
    enum status status = STATUS_OK;
    int successes = 0;

    while (status == STATUS_OK && successes < 2) {
        struct objectstore_request request;
        objectstore_request_init(
            &request, OBJECTSTORE_PUT, SLICE(LAYOUT_PROBE_NAME));
        request.body = SLICE(PROBE_BODY);
        request.if_none_match = true;
        status = objectstore_run(startup->store, &request);
        if (status == STATUS_OK)
            successes++;
        else
            buf_append_text(&why, request.error);
        objectstore_request_fini(&request);
        if (backoff_is_transient(status))
            status = wait_before_retry(startup, &backoff, "probe", &why);
    }
    *can_fence = status == STATUS_CONFLICT;
    if (status == STATUS_CONFLICT || status == STATUS_UNSUPPORTED)
        status = STATUS_OK;
    else if (status != STATUS_OK)
        buf_append_slice(startup->error, buf_slice(&why));
    buf_fini(&why);
    return status;
}

static enum status
fetch(struct startup *startup, const char *name, uint64_t from, uint64_t len,
    struct buf *answer)
{
    struct backoff backoff = { 0 };
    struct buf why = BUF_INIT;
    enum status status;

    for (;;) {
        struct objectstore_request request;
        objectstore_request_init(
            &request, OBJECTSTORE_GET, slice_from_text(name));
        request.range_from = from;
        request.range_len = len;
        status = objectstore_run(startup->store, &request);
        if (status == STATUS_OK)
            buf_append_slice(answer, buf_slice(&request.answer));
        else
            buf_append_text(&why, request.error);
        objectstore_request_fini(&request);
        if (!backoff_is_transient(status))
            break;
        status = wait_before_retry(startup, &backoff, name, &why);
        if (status != STATUS_OK)
            break;
    }
    buf_fini(&why);
    return status;
}

/* ---- comparing everything ----------------------------------------------- */

/*
 * Bring the WAL into the file, so that the file is the whole state.  A
 * connection that has read nothing yet does not know of the WAL, and would
 * checkpoint nothing.
 */
static enum status
checkpoint_local(struct startup *startup)
{
    sqlite3 *db = NULL;
    enum status status = STATUS_IO;

    if (sqlite3_open_v2(startup->path, &db, SQLITE_OPEN_READWRITE, NULL) ==
            SQLITE_OK &&
        sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL) ==
            SQLITE_OK &&
        sqlite3_wal_checkpoint_v2(
            db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        status = STATUS_OK;
    else
        buf_printf(startup->error, "%s: %s", startup->path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return status;
}

static bool
are_files_equal(const char *a, const char *b)
{
    char *x = memory_alloc(COMPARE_BLOCK_SIZE);
    char *y = memory_alloc(COMPARE_BLOCK_SIZE);
    FILE *f = fopen(a, "re"), *g = fopen(b, "re");
    bool are_equal = f != NULL && g != NULL;
    size_t n = 1, m;

    while (are_equal && n > 0) {
        n = fread(x, 1, COMPARE_BLOCK_SIZE, f);
        m = fread(y, 1, COMPARE_BLOCK_SIZE, g);
        are_equal = n == m && memcmp(x, y, n) == 0;
    }
    are_equal = are_equal && !ferror(f) && !ferror(g);
    if (f != NULL)
        fclose(f);
    if (g != NULL)
        fclose(g);
    memory_free(x);
    memory_free(y);
    return are_equal;
}

/*
 * Is the file alone the newest state?  Then all of the WAL, whatever it is,
 * follows.  Or is the file with its WAL?  Then nothing follows.
 */
static enum status
compare_with_bucket(struct startup *startup)
{
    struct restore_options options = { .to_txid = startup->newest };
    struct restore_result result;
    char path[PATH_MAX];
    enum status status;

    log_notice("bucket: comparing the local database with the bucket's");
    snprintf(path, sizeof(path), "%s" COMPARE_SUFFIX, startup->path);
    unlink(path);
    status =
        restore_run(startup->store, path, &options, &result, startup->error);
    bool is_equal = status == STATUS_OK && are_files_equal(path, startup->path);
    if (status == STATUS_OK && !is_equal)
        status = checkpoint_local(startup);
    if (status == STATUS_OK && !is_equal &&
        !are_files_equal(path, startup->path))
        status = startuprefuse(startup,
            "neither is what the other was at its newest transaction; the "
            "local one is behind or has gone another way");
    unlink(path);
    if (status == STATUS_OK)
        startup->result->start =
            (struct shipper_start){ .txid = startup->newest };
    return status;
}

/* ---- deciding ----------------------------------------------------------- */

/*
 * The oldest outbox files may have reached the bucket before a crash: those
 * are dropped, after a look that they are the same.
 */
static enum status
drop_shipped_outbox(struct startup *startup)
{
    const struct outbox_file *first;

    while ((first = outbox_first(startup->outbox)) != NULL &&
           first->txid <= startup->newest) {
        char name[LAYOUT_NAME_SIZE];
        struct buf answer = BUF_INIT;
        struct ltx_header header;

        layout_format_name(name, 0, first->txid, first->txid);
        enum status status = fetch(startup, name, 0, LTX_HEADER_SIZE, &answer);
        bool is_same =
            status == STATUS_OK &&
            ltx_decode_header(answer.data, answer.len, &header) == STATUS_OK &&
            header.node_id == first->header.node_id &&
            header.timestamp_ms == first->header.timestamp_ms &&
            header.wal_size == first->header.wal_size &&
            header.wal_salt2 == first->header.wal_salt2;
        buf_fini(&answer);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
        if (!is_same)
            return startuprefuse(startup,
                "another server has written on while this one had "
                "transactions to ship");
        status = outbox_remove_first(startup->outbox);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status
decide_with_outbox(struct startup *startup)
{
    const struct outbox_file *first = outbox_first(startup->outbox);
    const struct outbox_file *last = outbox_last(startup->outbox);
    struct shipper_start *start = &startup->result->start;
    bool is_same_wal;

    if (first->txid != startup->newest + 1)
        return startuprefuse(
            startup, "the bucket lacks transactions that were shipped to it");
    start->txid = last->txid;
    if (startupposition_holds(startup->path, last->txid))
        return STATUS_OK;
    bool does_continue = startuplocal_does_wal_continue(
        startup->path, &last->header, &start->taken, &is_same_wal);
    if (does_continue && is_same_wal)
        return STATUS_OK;
    if (!does_continue)
        start->taken = (struct tap_position){ 0 };
    if ((!does_continue && startuplocal_has_wal(startup->path)) ||
        !startuplocal_does_file_hold(startup->path, startup->outbox))
        return startuprefuse(startup,
            "the outbox and the local write-ahead log do not fit together");
    return STATUS_OK;
}

/*
 * The newest level-0 file, said to end at taken in the local WAL or in an
 * earlier one: do the WAL's frames, or the database file, hold what it holds?
 */
static enum status
match_newest(struct startup *startup, const char *name,
    const struct ltx_header *header, bool is_same_wal, bool *does_match)
{
    const struct tap_position *taken = &startup->result->start.taken;
    uint64_t size = startup->newest0.size;
    struct startuplocal_match *match = NULL;
    struct startuplocal_hold *hold = NULL;
    enum status status = STATUS_OK;
    struct buf piece = BUF_INIT;

    if (is_same_wal)
        match = startuplocal_match_new(startup->path, header, taken);
    else
        hold = startuplocal_hold_new(startup->path);
    for (uint64_t at = 0; at < size && status == STATUS_OK; at += FETCH_SIZE) {
        uint64_t len = size - at < FETCH_SIZE ? size - at : FETCH_SIZE;
        buf_clear(&piece, FETCH_SIZE);
        status = fetch(startup, name, at, len, &piece);
        if (is_same_wal)
            startuplocal_match_feed(match, buf_slice(&piece));
        else
            startuplocal_hold_feed(hold, buf_slice(&piece));
    }
    *does_match = is_same_wal ? startuplocal_match_end(match)
                              : startuplocal_hold_end(hold);
    buf_fini(&piece);
    return status;
}

/* Can the newest level-0 file be found again in the local WAL? */
static enum status
look_into_wal(struct startup *startup, bool *does_continue)
{
    struct tap_position *taken = &startup->result->start.taken;
    struct buf answer = BUF_INIT;
    char name[LAYOUT_NAME_SIZE];
    struct ltx_header header;
    bool is_same_wal = false;
    enum status status;

    *does_continue = false;
    if (startup->newest0.max_txid != startup->newest ||
        !startuplocal_has_wal(startup->path))
        return STATUS_OK;
    layout_format_name(name, 0, startup->newest, startup->newest);
    status = fetch(startup, name, 0, LTX_HEADER_SIZE, &answer);
    if (status == STATUS_OK)
        status = ltx_decode_header(answer.data, answer.len, &header);
    if (status == STATUS_CORRUPT)
        buf_printf(startup->error, "object %s: not an LTX header", name);
    if (status == STATUS_OK)
        *does_continue = startuplocal_does_wal_continue(
            startup->path, &header, taken, &is_same_wal);
    if (*does_continue)
        status =
            match_newest(startup, name, &header, is_same_wal, does_continue);
    buf_fini(&answer);
    if (!*does_continue)
        *taken = (struct tap_position){ 0 };
    return status;
}

static enum status
decide_with_history(struct startup *startup)
{
    struct shipper_start *start = &startup->result->start;
    bool does_continue;
    enum status status;

    start->txid = startup->newest;
    start->taken = (struct tap_position){ 0 };
    if (startupposition_holds(startup->path, startup->newest))
        return STATUS_OK;
    status = look_into_wal(startup, &does_continue);
    if (status != STATUS_OK || does_continue)
        return status;
    return compare_with_bucket(startup);
}

static void
log_progress(uint64_t done, uint64_t total, void *arg)
{
    struct startup *startup = arg;
    int now = total == 0 ? 100 : (int)(done * 100 / total);

    if (now / 10 == startup->percent / 10)
        return;
    startup->percent = now;
    log_notice("bucket: restoring, %d%% of %" PRIu64 " bytes", now, total);
}

static enum status
restore_local(struct startup *startup)
{
    struct restore_options options = { .to_txid = startup->newest,
        .with_quick_check = true,
        .progress = log_progress,
        .before_naming = startupmark_write_restored,
        .arg = startup };
    struct restore_result result;
    int64_t started = clock_monotonic_us();
    char wal[PATH_MAX];
    struct stat st;
    enum status status;

    if (outbox_count(startup->outbox) > 0)
        return startuprefuse(startup,
            "the database file is gone but its outbox holds transactions "
            "that the bucket lacks");
    snprintf(wal, sizeof(wal), "%s-wal", startup->path);
    if (stat(wal, &st) == 0 && st.st_size > 0)
        return startuprefuse(startup,
            "the database file is gone but its write-ahead log is there");
    /* A file without a byte was only about to become one. */
    if (lstat(startup->path, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size == 0)
        (void)unlink(startup->path);
    status = startupmark_begin(startup);
    if (status != STATUS_OK)
        return status;
    log_notice(
        "bucket: restoring the database at txid %" PRIu64, startup->newest);
    status = restore_run(
        startup->store, startup->path, &options, &result, startup->error);
    /* What was lost is lost with the database file. */
    if (status == STATUS_OK)
        status = outbox_end_loss(startup->outbox);
    if (status != STATUS_OK)
        return status;
    startup->result->start = (struct shipper_start){ .txid = result.txid };
    startup->result->was_restored = true;
    log_notice("bucket: restored txid %" PRIu64 " (%" PRIu64 " files, %" PRIu64
               " bytes) in %.1f s",
        result.txid, result.files, result.bytes,
        (double)(clock_monotonic_us() - started) / 1e6);
    return STATUS_OK;
}

/*
 * History was given up (or is to begin), and the image that was to follow is
 * not known to have arrived.  If all that the bucket has since is ours the
 * image goes on top.
 */
static enum status
decide_with_loss(struct startup *startup)
{
    const struct outbox_loss *loss = outbox_find_loss(startup->outbox);
    enum status status = STATUS_OK;

    if (startup->newest < loss->txid)
        return startuprefuse(
            startup, "the bucket lacks transactions that were shipped to it");
    for (uint64_t txid = loss->txid + 1;
         txid <= startup->newest && status == STATUS_OK; txid++) {
        char name[LAYOUT_NAME_SIZE];
        struct buf answer = BUF_INIT;
        struct ltx_header header;

        layout_format_name(name, 0, txid, txid);
        status = fetch(startup, name, 0, LTX_HEADER_SIZE, &answer);
        bool is_own =
            status == STATUS_OK &&
            ltx_decode_header(answer.data, answer.len, &header) == STATUS_OK &&
            outbox_is_lost_node(startup->outbox, header.node_id);
        buf_fini(&answer);
        if ((status == STATUS_OK || status == STATUS_NOT_FOUND) && !is_own)
            status = startuprefuse(startup,
                "another server has written on while this one had an image "
                "of its database to ship");
    }
    if (status != STATUS_OK)
        return status;
    log_warning("bucket: the upload of the whole database was not finished%s; "
                "it begins anew",
        loss->txid > 0 ? " after history had been dropped" : "");
    startup->result->start =
        (struct shipper_start){ .txid = startup->newest, .needs_image = true };
    return STATUS_OK;
}

static enum status
begin_history(struct startup *startup)
{
    const struct outbox_loss *loss = outbox_find_loss(startup->outbox);
    enum status status = outbox_clear(startup->outbox);

    startup->result->start = (struct shipper_start){ 0 };
    /* The first image of an earlier start may yet arrive: it is known then. */
    if (status == STATUS_OK && loss != NULL && loss->txid > 0)
        status = outbox_end_loss(startup->outbox);
    return status;
}

static enum status
decide(struct startup *startup)
{
    struct stat st;
    bool is_present = stat(startup->path, &st) == 0 && st.st_size > 0;
    enum status status;

    if (!is_present && startup->newest > 0)
        return restore_local(startup);
    if (startup->newest == 0) {
        if (is_present)
            log_notice("bucket: the prefix is empty; a new history begins "
                       "with the local database");
        status = begin_history(startup);
        return status == STATUS_OK && !is_present
                   ? startupmark_begin_database(startup)
                   : status;
    }
    if (outbox_find_loss(startup->outbox) != NULL)
        return decide_with_loss(startup);
    status = drop_shipped_outbox(startup);
    if (status != STATUS_OK)
        return status;
    if (outbox_count(startup->outbox) > 0)
        return decide_with_outbox(startup);
    return decide_with_history(startup);
}

static enum status
probe(struct startup *startup, bool unsafe_no_fencing)
{
    bool *can_fence = &startup->result->can_fence;
    enum status status = probe_fence(startup, can_fence);

    if (status != STATUS_OK || *can_fence || unsafe_no_fencing)
        return status;
    buf_append_text(startup->error,
        "the object store does not honour If-None-Match, so two servers "
        "could write to one prefix without noticing. Use another store, "
        "or set 'unsafe-no-fencing yes' and make sure of it yourself.");
    return STATUS_UNSUPPORTED;
}

enum status
startup_run(const struct startup_options *options,
    struct startup_result *result, struct buf *error)
{
    struct startup startup = { .store = options->store,
        .bucket = options->bucket,
        .outbox = options->outbox,
        .path = options->database_path,
        .stop = options->stop,
        .result = result,
        .error = error };
    enum status status = list_files(&startup);

    *result = (struct startup_result){ 0 };
    if (status == STATUS_OK)
        status = probe(&startup, options->unsafe_no_fencing);
    if (status == STATUS_OK)
        status = startupmark_end_earlier(&startup);
    if (status == STATUS_OK)
        status = decide(&startup);
    if (status == STATUS_OK)
        status = startupmark_settle(&startup);
    if (status == STATUS_OK) {
        startupposition_set(startup.path, &result->start);
        result->mark = startup.mark;
    } else {
        unowned_close(startup.mark);
    }
    memory_free(startup.files);
    return status;
}
