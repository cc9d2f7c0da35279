/*
 * replication.c -- the SHIP thread.
 *
 * One thread owns the object store, the shipper and the keeper, and sleeps in
 * the store's poll.  Others reach it through a few atomics and the store's
 * wake:
 *
 *   COMMIT   tap's wake: something was committed, or hurry
 *   LOOP     replication_want(seq), drain, stop
 *
 * A commit wakes SHIP only if it changes what is due (shipper_awaits_commit()):
 * not while an upload is under way, and not while the sync interval runs, or
 * every commit would cost a system call and a pass.  SHIP says that it wants to
 * be woken before it looks for work, so nothing falls between.
 *
 * and it answers LOOP through a mailbox, one report for each change of what
 * LOOP cares for: the shipped seq and the state.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mailbox.h"
#include "server/base/memory.h"
#include "server/base/random.h"

#include "replication/recent.h"
#include "replication/replication.h"
#include "replication/startup.h"
#include "replication/startupposition.h"
#include "replication/take.h"
#include "storage/tap.h"

#define POLL_MAX_MS 60000
#define SNAPSHOT_SLICE_US 20000
#define LAG_WARNING_EVERY_MS 60000
#define LAG_LOOK_MS 100
#define DRAIN_PATIENCE_MS 100
/* Bytes of shipped files in memory: some seconds of durability bucket, in */
/* which the keeper may be busy with something else. */
#define RECENT_SIZE_MAX (32 * 1024 * 1024)

struct report_node {
    struct mailbox_node node;
    struct replication_report report;
};

struct replication {
    struct replication_options options;
    char *database_path, *scratch;
    struct objectstore *store;
    struct outbox *outbox;
    struct startup_result startup;
    struct recent *recent;
    struct shipper *shipper;
    struct keeper *keeper;
    struct tap *tap;
    struct mailbox *reports;     /* to LOOP */
    struct mailbox_node *unread; /* LOOP's */

    pthread_t thread;
    bool is_running;
    atomic_bool is_stopping, is_draining, is_hurried;
    atomic_bool wants_wake;    /* SHIP is about to sleep */
    atomic_bool wants_commits; /* ... and a commit shall wake it */
    _Atomic uint64_t wanted_seq;

    pthread_mutex_t mutex;
    pthread_cond_t drained_changed;
    bool is_drained;                /* under mutex */
    uint64_t drained_txid;          /* under mutex */
    struct replication_stats stats; /* under mutex */

    /* SHIP's. */
    uint64_t reported_seq;
    enum shipper_state reported_state;
    uint64_t noted_txid;      /* told to the keeper */
    struct take_image *image; /* a snapshot in the making */
    uint64_t image_txid;
    int64_t last_warning_ms;
};

/* ---- preparing ---------------------------------------------------------- */

static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder;

    if (slash == NULL)
        return memory_copy_text(".");
    if (slash == path)
        return memory_copy_text("/");
    folder = memory_copy_text(path);
    folder[slash - path] = '\0';
    return folder;
}

static enum status
look(struct replication *replication, volatile int *stop, struct buf *error)
{
    const struct objectstore_options *store = &replication->options.store;
    struct buf bucket = BUF_INIT;

    buf_append_text(&bucket, store->url);
    if (store->endpoint != NULL)
        buf_printf(&bucket, " at %s", store->endpoint);
    buf_append_byte(&bucket, '\0');
    struct startup_options options = { .store = replication->store,
        .bucket = bucket.data,
        .outbox = replication->outbox,
        .database_path = replication->database_path,
        .unsafe_no_fencing = replication->options.unsafe_no_fencing,
        .stop = stop };
    enum status status = startup_run(&options, &replication->startup, error);
    buf_fini(&bucket);
    return status;
}

enum status
replication_prepare(struct replication **answer,
    const struct replication_options *options, volatile int *stop,
    struct buf *error)
{
    struct replication *replication = memory_zalloc(sizeof(*replication));
    pthread_condattr_t attributes;
    enum status status;

    replication->options = *options;
    replication->database_path = memory_copy_text(options->database_path);
    replication->scratch = folder_of(options->database_path);
    replication->reports = mailbox_new(true);
    pthread_mutex_init(&replication->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&replication->drained_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    status = objectstore_open(&replication->store, &options->store, error);
    if (status == STATUS_OK)
        status =
            outbox_open(&replication->outbox, options->database_path, error);
    if (status == STATUS_OK)
        status = look(replication, stop, error);
    if (status != STATUS_OK) {
        replication_free(replication);
        return status;
    }
    *answer = replication;
    return STATUS_OK;
}

/* ---- the thread --------------------------------------------------------- */

static int64_t
now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

static void
wake(struct replication *replication)
{
    if (atomic_exchange(&replication->wants_wake, false))
        objectstore_wake(replication->store);
}

/* COMMIT. */
static void
note_commit(bool is_urgent, void *arg)
{
    struct replication *replication = arg;

    if (is_urgent)
        atomic_store(&replication->is_hurried, true);
    if (is_urgent || atomic_load(&replication->wants_commits))
        wake(replication);
}

/* keeper_snapshot_fn: the state the bucket already has, as one file. */
static enum status
make_snapshot(int fd, uint64_t *size, uint64_t *txid, void *arg)
{
    struct replication *replication = arg;
    enum status status;

    if (replication->image == NULL) {
        struct tap_position at;
        if (!tap_try_hold(replication->tap))
            return STATUS_BUSY;
        if (!shipper_position(
                replication->shipper, false, &replication->image_txid, &at)) {
            tap_release(replication->tap);
            return STATUS_BUSY;
        }
        struct take_header header = { .min_txid = 1,
            .max_txid = replication->image_txid,
            .timestamp_ms = clock_wall_ms(),
            .node_id = replication->options.shipper.node_id };
        status = take_image_start(&replication->image, replication->tap,
            replication->database_path, &at, &header, fd);
        if (status != STATUS_OK) {
            tap_release(replication->tap);
            return status;
        }
    }
    status = take_image_step(replication->image, SNAPSHOT_SLICE_US);
    if (status == STATUS_BUSY)
        return status;
    *size = take_image_size(replication->image);
    *txid = replication->image_txid;
    take_image_free(replication->image);
    replication->image = NULL;
    tap_release(replication->tap);
    return status;
}

static void
report(struct replication *replication, const struct shipper_status *status)
{
    if (status->shipped_seq == replication->reported_seq &&
        status->state == replication->reported_state)
        return;
    replication->reported_seq = status->shipped_seq;
    replication->reported_state = status->state;
    struct report_node *node = memory_zalloc(sizeof(*node));
    node->report.shipped_seq = status->shipped_seq;
    node->report.state = status->state;
    memcpy(node->report.error, status->error, sizeof(status->error));
    mailbox_send(replication->reports, &node->node);
}

static void
warn_of_lag(
    struct replication *replication, const struct shipper_status *status)
{
    int64_t limit = replication->options.lag_warning_ms;
    int64_t now = now_ms();

    if (limit <= 0 || status->lag_ms < limit ||
        (replication->last_warning_ms != 0 &&
            now - replication->last_warning_ms < LAG_WARNING_EVERY_MS))
        return;
    replication->last_warning_ms = now;
    log_warning("bucket: %.1f s and %llu bytes behind%s%s",
        (double)status->lag_ms / 1e3, (unsigned long long)status->lag_bytes,
        status->error[0] != '\0' ? ": " : "", status->error);
}

static void
publish_stats(
    struct replication *replication, const struct shipper_status *status)
{
    struct replication_stats *stats = &replication->stats;
    bool is_drained =
        status->lag_bytes == 0 && status->taken_txid == status->shipped_txid;

    pthread_mutex_lock(&replication->mutex);
    stats->shipper = *status;
    memcpy(
        stats->requests, replication->store->requests, sizeof(stats->requests));
    stats->bytes_sent = replication->store->bytes_sent;
    stats->bytes_received = replication->store->bytes_received;
    stats->recent_bytes = recent_size(replication->recent);
    stats->can_fence = replication->startup.can_fence;
    keeper_counts(replication->keeper, &stats->compactions, &stats->snapshots,
        &stats->deletes);
    if (atomic_load(&replication->is_draining) &&
        (is_drained || status->state == SHIPPER_FENCED)) {
        replication->is_drained = true;
        replication->drained_txid = status->shipped_txid;
        pthread_cond_broadcast(&replication->drained_changed);
    }
    pthread_mutex_unlock(&replication->mutex);
}

static int
shorter(int64_t a, int64_t b)
{
    int64_t wait = a < 0 || (b >= 0 && b < a) ? b : a;

    return wait < 0 || wait > POLL_MAX_MS ? POLL_MAX_MS : (int)wait;
}

/* One pass; answer: ms to sleep. */
static int
run_once(struct replication *replication)
{
    struct shipper_status status;
    int64_t ship_wait, keep_wait = -1;
    uint64_t wanted = atomic_load(&replication->wanted_seq);

    if (atomic_exchange(&replication->is_hurried, false))
        shipper_hurry(replication->shipper);
    if (atomic_load(&replication->is_draining))
        wanted = SHIPPER_ALL;
    shipper_want(replication->shipper, wanted);
    ship_wait = shipper_step(replication->shipper, now_ms());
    shipper_status(replication->shipper, &status);
    /* First: whose reply the report releases shall find it in INFO. */
    publish_stats(replication, &status);
    report(replication, &status);
    if (status.shipped_txid != replication->noted_txid) {
        replication->noted_txid = status.shipped_txid;
        keeper_note_shipped(
            replication->keeper, status.shipped_txid, 0, now_ms());
    }
    if (status.state == SHIPPER_RUNNING &&
        !atomic_load(&replication->is_draining))
        keep_wait = keeper_step(replication->keeper, now_ms());
    if (keeper_take_sighting(replication->keeper)) {
        shipper_doubt(replication->shipper);
        ship_wait = 0;
    }
    publish_stats(replication, &status); /* the keeper's part */
    warn_of_lag(replication, &status);
    /* Commits need not wake us, and INFO shall not lag behind the lag. */
    if (status.lag_bytes > 0)
        ship_wait = shorter(ship_wait, LAG_LOOK_MS);
    return shorter(ship_wait, keep_wait);
}

static void *
run(void *arg)
{
    struct replication *replication = arg;

    while (!atomic_load(&replication->is_stopping)) {
        /* Ask to be woken first, then look: nothing falls between. */
        atomic_store(&replication->wants_commits, true);
        atomic_store(&replication->wants_wake, true);
        int wait = run_once(replication);
        if (!shipper_awaits_commit(replication->shipper))
            atomic_store(&replication->wants_commits, false);
        if (!atomic_load(&replication->is_stopping))
            (void)objectstore_poll(replication->store, wait, -1);
    }
    return NULL;
}

/* ---- the interface ------------------------------------------------------ */

void
replication_start(struct replication *replication, struct tap *tap)
{
    struct shipper_options *options = &replication->options.shipper;
    struct keeper_options keeper = replication->options.keeper;

    replication->tap = tap;
    random_bytes(&options->node_id, sizeof(options->node_id));
    options->can_fence = replication->startup.can_fence;
    options->scratch = replication->scratch;
    options->database_path = replication->database_path;
    /* Without level 1 nothing would be merged. */
    replication->recent =
        recent_new(keeper.level_interval_ms[0] > 0 ? RECENT_SIZE_MAX : 0);
    options->recent = replication->recent;
    keeper.scratch = replication->scratch;
    keeper.recent = replication->recent;
    keeper.early_files = KEEPER_EARLY_FILES;
    replication->shipper = shipper_new(replication->store, tap,
        replication->outbox, options, &replication->startup.start);
    replication->keeper =
        keeper_new(replication->store, &keeper, make_snapshot, replication);
    tap_set_wake(tap, note_commit, replication);
    CHECK(pthread_create(&replication->thread, NULL, run, replication) == 0);
    replication->is_running = true;
}

bool
replication_was_restored(const struct replication *replication)
{
    return replication->startup.was_restored;
}

bool
replication_is_disposable(const struct replication *replication)
{
    return replication->startup.mark != NULL;
}

enum status
replication_settle(struct replication *replication)
{
    struct unowned *mark = replication->startup.mark;

    replication->startup.mark = NULL;
    if (mark != NULL)
        return unowned_remove(mark);
    /* One that another start made after ours had looked, and left behind. */
    struct buf error = BUF_INIT;
    enum status status = unowned_forget(replication->database_path, &error);
    if (status != STATUS_OK)
        log_warning("bucket: %.*s", (int)error.len, error.data);
    buf_fini(&error);
    return status;
}

int
replication_report_fd(const struct replication *replication)
{
    return mailbox_fd(replication->reports);
}

bool
replication_next_report(
    struct replication *replication, struct replication_report *report)
{
    if (replication->unread == NULL && mailbox_has_mail(replication->reports))
        replication->unread = mailbox_take_all(replication->reports);
    if (replication->unread == NULL)
        return false;
    struct report_node *node = (struct report_node *)replication->unread;
    replication->unread = node->node.next;
    *report = node->report;
    memory_free(node);
    return true;
}

void
replication_want(struct replication *replication, uint64_t seq)
{
    if (seq <= atomic_load(&replication->wanted_seq))
        return;
    atomic_store(&replication->wanted_seq, seq);
    wake(replication);
}

enum status
replication_drain(struct replication *replication)
{
    int64_t limit = replication->options.shutdown_timeout_ms;
    int64_t give_up = limit > 0 ? now_ms() + limit : INT64_MAX;
    struct timespec until;
    bool is_drained;

    atomic_store(&replication->is_draining, true);
    objectstore_wake(replication->store);
    pthread_mutex_lock(&replication->mutex);
    while (!replication->is_drained && now_ms() < give_up) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += DRAIN_PATIENCE_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(
            &replication->drained_changed, &replication->mutex, &until);
    }
    is_drained = replication->is_drained &&
                 replication->stats.shipper.state == SHIPPER_RUNNING;
    pthread_mutex_unlock(&replication->mutex);
    return is_drained ? STATUS_OK : STATUS_TIMEOUT;
}

void
replication_stop(struct replication *replication, bool is_clean)
{
    struct tap_position position, current;
    uint64_t txid;

    if (replication == NULL || !replication->is_running)
        return;
    atomic_store(&replication->is_stopping, true);
    objectstore_wake(replication->store);
    pthread_join(replication->thread, NULL);
    replication->is_running = false;
    tap_set_wake(replication->tap, NULL, NULL);
    tap_current(replication->tap, &current);
    if (is_clean &&
        shipper_position(replication->shipper, true, &txid, &position) &&
        tap_is_same_wal(&position, &current) &&
        position.offset == current.offset &&
        startupposition_write(replication->database_path, txid) != STATUS_OK)
        log_warning("bucket: the position could not be noted; the next start "
                    "compares the database with the bucket");
}

void
replication_free(struct replication *replication)
{
    struct replication_report report;

    if (replication == NULL)
        return;
    replication_stop(replication, false);
    if (replication->image != NULL)
        take_image_free(replication->image);
    keeper_free(replication->keeper);
    shipper_free(replication->shipper);
    recent_free(replication->recent);
    outbox_close(replication->outbox);
    unowned_close(replication->startup.mark);
    objectstore_close(replication->store);
    while (replication_next_report(replication, &report))
        continue;
    mailbox_free(replication->reports);
    pthread_cond_destroy(&replication->drained_changed);
    pthread_mutex_destroy(&replication->mutex);
    memory_free(replication->database_path);
    memory_free(replication->scratch);
    memory_free(replication);
}

void
replication_stats(
    struct replication *replication, struct replication_stats *stats)
{
    pthread_mutex_lock(&replication->mutex);
    *stats = replication->stats;
    pthread_mutex_unlock(&replication->mutex);
}
