/*
 * bucket.c -- the server's side of replication/.
 *
 * The takeover transaction is an ordinary batch that writes two meta rows:
 * epoch, one more than the newest, and writer, the id of this run.  It is the
 * first thing shipped; its PUT, on a name that the former owner would use next,
 * decides who owns the prefix (B3).  Nobody is served before that.
 *
 * Fenced: another server has won.  What this one acknowledged stands in the
 * bucket as far as it was shipped; what it goes on to acknowledge would be
 * lost.  So the clients that wait are told, and the process ends with 1.
 */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "replication/replication.h"
#include "replication/unowned.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "server/blocked_table.h"
#include "server/bucket.h"
#include "server/gather.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/transport.h"
#include "storage/tap.h"

#define DEFAULT_INTERVALS "30 300 3600"
#define REPORT_WAIT_MS 1000
#define FENCED_TEXT                                                         \
    "MISCONF Another server has taken over the bucket prefix. This one no " \
    "longer accepts writes: %.160s"

struct bucket {
    struct replication *replication;
    struct tap *tap;
    struct event *report_event;
    char *database_path;
    uint64_t wanted_seq; /* SHIP was told, or has it */
    struct gather gather;
    int64_t ask_us; /* when to tell it of newer ones; INT64_MAX: not known */
    uint64_t epoch;
    bool is_owner; /* the takeover was won */
    bool is_lost;  /* ... or lost, before anybody was served */
};

/* ---- options ------------------------------------------------------------- */

static const char *
environment(const char *configured, const char *name)
{
    const char *value = getenv(name);
    if (configured != NULL)
        return configured;
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* "30 300 3600": seconds for levels 1 to 3; fewer words: fewer levels. */
static bool
parse_intervals(const char *text, int64_t intervals_ms[KEEPER_LEVELS])
{
    const char *at = text != NULL ? text : DEFAULT_INTERVALS;
    for (int i = 0; i < KEEPER_LEVELS; i++) {
        char *end;
        at += strspn(at, " ");
        if (*at == '\0')
            return true;
        long long seconds = strtoll(at, &end, 10);
        if (end == at || seconds < 0 || seconds > INT32_MAX)
            return false;
        intervals_ms[i] = (int64_t)seconds * 1000;
        at = end;
    }
    return at[strspn(at, " ")] == '\0';
}

static bool
fill_options(const struct config *config, struct replication_options *options)
{
    const char *endpoint =
        environment(config->bucket_endpoint, "AWS_ENDPOINT_URL_S3");
    *options = (struct replication_options){
        .store = {
            .url = config->bucket_url,
            .endpoint = endpoint,
            .region = environment(config->bucket_region, "AWS_REGION"),
            /* A store of one's own has no host name for each bucket. */
            .path_style = config->bucket_path_style || endpoint != NULL,
            .access_key = config->bucket_access_key,
            .secret_key = config->bucket_secret_key,
            .session_token = config->bucket_session_token,
            .ca_file = config->bucket_ca_file,
        },
        .shipper = {
            .sync_interval_ms = config->bucket_sync_interval_ms,
            .outbox_size_max = config->bucket_outbox_limit,
            .when_full = (enum shipper_full)config->bucket_outbox_full,
            .level0_retention_ms = config->bucket_level0_retention_s * 1000,
            .uploads_per_minute_max = config->bucket_uploads_per_minute,
        },
        .keeper = {
            .snapshot_interval_ms = config->bucket_snapshot_interval_s * 1000,
            .retention_ms = config->bucket_retention_s * 1000,
            .level0_retention_ms = config->bucket_level0_retention_s * 1000,
            .deletes = config->bucket_retention_s > 0,
        },
        .unsafe_no_fencing = config->unsafe_no_fencing,
        .shutdown_timeout_ms = config->bucket_shutdown_timeout_s * 1000,
        .lag_warning_ms = config->bucket_lag_warning_s * 1000,
    };
    return parse_intervals(
        config->bucket_compaction_intervals, options->keeper.level_interval_ms);
}

/* ---- start -------------------------------------------------------------- */

static volatile int never_stop; /* a signal ends the process while we wait */

/* Without a bucket what lies here is served as it is, wherever it came from. */
static enum status
keep_local(const char *database_path)
{
    struct buf error = BUF_INIT;
    enum status status = unowned_forget(database_path, &error);
    if (status != STATUS_OK)
        log_warning("%.*s", (int)error.len, error.data);
    buf_fini(&error);
    return status;
}

enum status
bucket_prepare(struct server *srv, struct store_options *store_options)
{
    struct config *config = &srv->config;
    struct replication_options options;
    struct buf error = BUF_INIT;
    if (config->bucket_url == NULL) {
        if (config->durability != CONFIG_DURABILITY_BUCKET)
            return STATUS_OK;
        log_warning("%s", BUCKET_MISSING);
        return STATUS_INVALID;
    }
    if (!fill_options(config, &options)) {
        log_warning("bucket-compaction-intervals: up to %d numbers of seconds "
                    "are wanted",
            KEEPER_LEVELS);
        return STATUS_INVALID;
    }
    struct bucket *bucket = memory_zalloc(sizeof(*bucket));
    /* The paths of threads and files must survive a change of folder. */
    char folder[PATH_MAX];
    if (getcwd(folder, sizeof(folder)) == NULL)
        folder[0] = '\0';
    size_t size = strlen(folder) + strlen(config->dbfilename) + 2;
    bucket->database_path = memory_alloc(size);
    (void)snprintf(
        bucket->database_path, size, "%s/%s", folder, config->dbfilename);
    options.database_path = bucket->database_path;
    enum status status = replication_prepare(
        &bucket->replication, &options, &never_stop, &error);
    if (status != STATUS_OK) {
        log_warning("bucket: %.*s", (int)error.len,
            error.len > 0 ? error.data : status_text(status));
        memory_free(bucket->database_path);
        memory_free(bucket);
    } else {
        bucket->tap = tap_new(bucket->database_path);
        bucket->ask_us = INT64_MAX;
        /* Until SHIP has taken its place no frame may go (B2), and until the */
        /* prefix is owned the database file must stay as it is (unowned.h). */
        CHECK(tap_try_hold(bucket->tap));
        store_options->tap = bucket->tap;
        srv->bucket = bucket;
    }
    buf_fini(&error);
    return status;
}

static uint64_t
read_epoch(struct server *srv)
{
    struct slice value;
    uint64_t epoch;
    if (reader_get_meta(store_reader(srv->store), "epoch", &value) ==
            STATUS_OK &&
        number_parse_u64(value, &epoch))
        return epoch;
    return 0;
}

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
    /* Reports are taken in every pass; this only ends the wait. */
    (void)fd;
    (void)what;
    (void)arg;
}

/* Commit the takeover transaction. */
static enum status
commit_takeover(struct server *srv)
{
    struct bucket *bucket = srv->bucket;
    char text[NUMBER_I64_SIZE];
    bucket->epoch = read_epoch(srv) + 1;
    size_t len = number_format_i64(text, (int64_t)bucket->epoch);
    keyspace_put_meta(srv->keyspace, SLICE("epoch"), slice_make(text, len));
    keyspace_put_meta(srv->keyspace, SLICE("writer"),
        slice_make(srv->run_id, strlen(srv->run_id)));
    if (loop_drain(srv))
        return STATUS_OK;
    log_warning("bucket: the takeover transaction could not be committed");
    return STATUS_IO;
}

enum status
bucket_take_over(struct server *srv)
{
    struct bucket *bucket = srv->bucket;
    /* The database is locked by now: no other start can mark it any more. */
    if (bucket == NULL)
        return keep_local(srv->config.dbfilename);
    enum status status = commit_takeover(srv);
    if (status != STATUS_OK)
        return status;
    uint64_t seq = srv->durable_seq;
    replication_start(bucket->replication, bucket->tap);
    int fd = replication_report_fd(bucket->replication);
    log_notice("bucket: taking over with epoch %" PRIu64, bucket->epoch);
    while (srv->shipped_seq < seq) {
        struct pollfd report = { fd, POLLIN, 0 };
        replication_want(bucket->replication, seq);
        (void)poll(&report, 1, REPORT_WAIT_MS);
        bucket_take_reports(srv);
        if (bucket->is_lost)
            return STATUS_CONFLICT;
    }
    status = replication_settle(bucket->replication);
    if (status != STATUS_OK) {
        log_warning(
            "bucket: %s-unowned cannot be removed", bucket->database_path);
        return status;
    }
    tap_release(bucket->tap);
    bucket->is_owner = true;
    log_notice("bucket: this server owns the prefix");
    return STATUS_OK;
}

enum status
bucket_watch(struct server *srv)
{
    struct bucket *bucket = srv->bucket;
    if (bucket == NULL)
        return STATUS_OK;
    bucket->report_event =
        event_new(srv->base, replication_report_fd(bucket->replication),
            EV_READ | EV_PERSIST, on_report, NULL);
    if (bucket->report_event == NULL ||
        event_add(bucket->report_event, NULL) != 0)
        return STATUS_NO_MEMORY;
    return STATUS_OK;
}

bool
bucket_is_disposable(const struct server *srv)
{
    return replication_is_disposable(srv->bucket->replication);
}

/* ---- running ------------------------------------------------------------ */

/* The prefix is another's: tell who waits, and go. */
static _Noreturn void
end_fenced(struct server *srv, const char *why)
{
    char text[256];
    (void)snprintf(text, sizeof(text), FENCED_TEXT, why);
    release_fail_bucket(text);
    transport_flush_all(srv);
    log_warning("Exiting: another server has taken over the bucket prefix "
                "(%s). What it does not have of this server's last moments is "
                "in %s.",
        why, srv->bucket->database_path);
    exit(1);
}

void
bucket_take_reports(struct server *srv)
{
    struct replication_report report;
    if (srv->bucket == NULL)
        return;
    uint64_t shipped_seq = srv->shipped_seq;
    while (replication_next_report(srv->bucket->replication, &report)) {
        /* The bucket may have a commit of which LOOP was not told yet. */
        if (report.shipped_seq > shipped_seq)
            shipped_seq = report.shipped_seq;
        if (report.state != SHIPPER_FENCED)
            continue;
        if (srv->bucket->is_owner)
            end_fenced(srv, report.error);
        log_warning("bucket: the takeover was lost: %s", report.error);
        srv->bucket->is_lost = true;
    }
    if (shipped_seq > srv->bucket->wanted_seq)
        srv->bucket->wanted_seq = shipped_seq;
    if (shipped_seq > srv->bucket_reported_seq)
        srv->bucket_reported_seq = shipped_seq;
    uint64_t reached = srv->bucket_reported_seq < srv->durable_seq
                           ? srv->bucket_reported_seq
                           : srv->durable_seq;
    if (reached <= srv->shipped_seq)
        return;
    size_t before = release_bucket_count();
    release_advance_bucket(srv, reached);
    gather_note_released(
        &srv->bucket->gather, loop_now_us(), before, release_bucket_count());
    if (srv->blocked != NULL)
        blocked_serve_durable(srv);
}

void
bucket_ask(struct server *srv)
{
    struct bucket *bucket = srv->bucket;
    uint64_t seq = release_bucket_seq();
    if (bucket == NULL)
        return;
    bucket->ask_us = INT64_MAX;
    /* While an upload is under way its end is waited for. */
    if (seq <= bucket->wanted_seq ||
        bucket->wanted_seq > srv->bucket_reported_seq)
        return;
    int64_t now_us = loop_now_us();
    int64_t wait_us =
        gather_wait_us(&bucket->gather, now_us, release_bucket_count());
    if (wait_us > 0) {
        bucket->ask_us = now_us + wait_us;
        return;
    }
    gather_note_asked(&bucket->gather, now_us);
    bucket_want(srv, seq);
}

int64_t
bucket_next_ask_us(const struct server *srv)
{
    return srv->bucket != NULL ? srv->bucket->ask_us : INT64_MAX;
}

bool
bucket_is_gathering(const struct server *srv)
{
    return bucket_next_ask_us(srv) != INT64_MAX;
}

void
bucket_want(struct server *srv, uint64_t seq)
{
    if (srv->bucket == NULL || seq <= srv->bucket->wanted_seq)
        return;
    srv->bucket->wanted_seq = seq;
    replication_want(srv->bucket->replication, seq);
}

bool
bucket_has_all(const struct session *session)
{
    return session->server->bucket != NULL &&
           session->server->shipped_seq >= session->observed_seq;
}

/* ---- end ---------------------------------------------------------------- */

void
bucket_begin_stop(struct server *srv)
{
    if (srv->bucket != NULL)
        tap_end_stalls(srv->bucket->tap);
}

void
bucket_drain(struct server *srv)
{
    if (srv->bucket == NULL)
        return;
    if (replication_drain(srv->bucket->replication) == STATUS_OK)
        log_notice("bucket: everything is shipped");
    else
        log_warning("bucket: not everything could be shipped in time; the "
                    "next start on this machine ships the rest");
}

void
bucket_close(struct server *srv, bool is_clean)
{
    struct bucket *bucket = srv->bucket;
    if (bucket == NULL)
        return;
    replication_stop(bucket->replication, is_clean);
    replication_free(bucket->replication);
    if (bucket->report_event != NULL)
        event_free(bucket->report_event);
    tap_free(bucket->tap);
    memory_free(bucket->database_path);
    memory_free(bucket);
    srv->bucket = NULL;
}

/* ---- INFO --------------------------------------------------------------- */

static const char *
state_text(enum shipper_state state)
{
    static const char *const texts[] = { "running", "fenced", "resnapshot" };
    return texts[state];
}

void
bucket_write_info(struct buf *out)
{
    static const char *const ops[] = { "put", "get", "head", "delete", "list" };
    struct replication_stats stats;
    const struct shipper_status *shipper = &stats.shipper;
    if (server.bucket == NULL) {
        buf_append_text(out, "bucket_enabled:0\r\n");
        return;
    }
    replication_stats(server.bucket->replication, &stats);
    buf_printf(out,
        "bucket_enabled:1\r\nbucket_url:%s\r\nbucket_state:%s\r\n"
        "bucket_epoch:%" PRIu64 "\r\nbucket_fencing:%d\r\n",
        server.config.bucket_url, state_text(shipper->state),
        server.bucket->epoch, stats.can_fence);
    buf_printf(out,
        "bucket_taken_txid:%" PRIu64 "\r\nbucket_shipped_txid:%" PRIu64
        "\r\nbucket_shipped_seq:%" PRIu64 "\r\nbucket_lag_txids:%" PRIu64
        "\r\nbucket_lag_bytes:%" PRIu64 "\r\nbucket_lag_seconds:%.3f\r\n",
        shipper->taken_txid, shipper->shipped_txid, server.shipped_seq,
        shipper->taken_txid - shipper->shipped_txid, shipper->lag_bytes,
        (double)shipper->lag_ms / 1e3);
    buf_printf(out,
        "bucket_outbox_bytes:%" PRIu64 "\r\nbucket_last_shipped_time:%lld\r\n"
        "bucket_retries:%" PRIu64 "\r\nbucket_failures:%" PRIu64
        "\r\nbucket_last_error:%s\r\n",
        shipper->outbox_bytes, (long long)(shipper->last_shipped_ms / 1000),
        shipper->retries, shipper->failures, shipper->error);
    buf_printf(out,
        "bucket_compactions:%" PRIu64 "\r\nbucket_snapshots:%" PRIu64
        "\r\nbucket_deletes:%" PRIu64 "\r\nbucket_bytes_sent:%" PRIu64
        "\r\nbucket_bytes_received:%" PRIu64 "\r\nbucket_recent_bytes:%" PRIu64
        "\r\n",
        stats.compactions, stats.snapshots, stats.deletes, stats.bytes_sent,
        stats.bytes_received, stats.recent_bytes);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        buf_printf(out, "bucket_requests_%s:%" PRIu64 "\r\n", ops[i],
            stats.requests[i]);
}
