/*
 * committer.c -- the COMMIT thread.
 *
 *   LOOP --> inbox:   batches, wishes
 *   LOOP <-- reports: batches with their outcome, progress of the fold
 *
 * The thread's turn: all mail, then one slice of background work, and again;
 * it sleeps when there is neither.  Background work, most urgent first:
 *   checkpoint   the WAL has grown past checkpoint_size
 *   fold         a slice of the generation in progress; or begin one, because
 *                the journal has grown past journal_fold_size, somebody asked,
 *                or nothing was committed for fold_idle_ms
 *   garbage      a slice
 *   checkpoint   idle, and the WAL holds something
 * After that nothing is left to do, and an idle server writes nothing.
 *
 * While batches keep coming, a slice runs when it is due, not after every
 * commit: pace.c.
 *
 * Failures.  A commit that fails is told in its batch, and so is every batch
 * after it (D2); background work stops too, since after a failed fsync nothing
 * may be appended to the WAL (connection.c says why).  store_resume() opens
 * the connection anew and probes.  A fold, garbage or checkpoint step that
 * fails is rolled back and tried again later, with growing pauses; commits go
 * on meanwhile and succeed or fail on their own.  But if it was an I/O error,
 * a sync may have failed, and before anything more is committed the connection
 * is opened anew as for a resume.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "storage/connection.h"
#include "storage/database.h"
#include "storage/garbage.h"
#include "storage/mail.h"
#include "storage/pace.h"
#include "storage/placer.h"
#include "storage/walcheck.h"

#include "storage/committer.h"

/* Fold when so many rows were written directly: they are kept in memory. */
#define DIRECT_COUNT_MAX 65536
/* Pauses after background work that failed, doubling. */
#define RETRY_MIN_US (100 * 1000)
#define RETRY_MAX_US (10 * 1000 * 1000)
/* How soon after a checkpoint, whole or not, to try another. */
#define CHECKPOINT_RETRY_US (100 * 1000)
/* A slice while new commits have to wait for the journal to shrink. */
#define PRESSED_SLICE_US 5000
#define ERROR_SIZE 256

struct committer {
    /* Shared; each locks itself. */
    struct mailbox *inbox;
    struct mailbox *reports;
    pthread_mutex_t stats_lock;
    struct store_stats stats; /* under stats_lock */

    /* LOOP's. */
    struct mailbox_node *taken; /* reports taken, not yet given out */
    pthread_t thread;
    bool is_running;

    /* The thread's (before it runs: whoever opened). */
    struct connection connection;
    struct store_options options;
    char *path;
    char *vfs;
    struct store_counters counters;
    struct store_stats now; /* published as stats */
    uint64_t committed_seq;
    enum status failure; /* why batches are refused; STATUS_OK: they aren't */
    uint64_t fold_seq;   /* somebody wants everything up to it folded */
    uint64_t told_seq;   /* folded_seq last reported */
    struct mail *syncs;  /* waiting, oldest first */
    struct pace pace;
    struct placer placer;
    int64_t retry_us; /* background work pauses until then */
    int64_t retry_pause_us;
    int64_t checkpoint_retry_us;
    bool is_suspect;         /* an I/O error: open anew before committing */
    uint64_t suspect_frames; /* of a WAL whose sync may have failed */
    bool is_stopping;
    bool stop_with_fold;
};

/* ---- reports and figures ------------------------------------------------ */

static void
publish_stats(struct committer *committer)
{
    struct connection *connection = &committer->connection;
    struct store_stats *now = &committer->now;

    now->committed_seq = committer->committed_seq;
    now->folded_seq = committer->told_seq;
    if (connection->db != NULL) {
        now->journal_bytes = journal_bytes(connection->journal);
        now->journal_rows = journal_rows(connection->journal);
        now->fold_pending_rows = fold_pending_rows(connection->fold);
        now->wal_bytes = connection_wal_size(connection);
    }
    pthread_mutex_lock(&committer->stats_lock);
    committer->stats = *now;
    pthread_mutex_unlock(&committer->stats_lock);
}

/* Log what failed and keep it for INFO. */
static void
note_error(struct committer *committer, const char *what, enum status status)
{
    sqlite3 *db = committer->connection.db;

    snprintf(committer->now.last_error, sizeof(committer->now.last_error),
        "%s: %s (%s)", what, status_text(status),
        db == NULL ? "not open" : sqlite3_errmsg(db));
    log_warning("%s", committer->now.last_error);
}

/* Tell LOOP how far the tables are, if that changed. */
static void
tell_folded(struct committer *committer)
{
    struct store_report report = { .kind = STORE_FOLDED };

    report.folded_seq = fold_folded_seq(committer->connection.fold);
    if (report.folded_seq <= committer->told_seq)
        return;
    committer->told_seq = report.folded_seq;
    mail_send_report(committer->reports, &report);
}

/* ---- opening anew ------------------------------------------------------- */

/*
 * A new connection, an empty WAL, a durable transaction: connection.c says
 * why all of it.
 */
static enum status
reopen(struct committer *committer)
{
    struct connection *connection = &committer->connection;
    struct store_counters counters;
    char error[ERROR_SIZE];
    enum status status;

    /* Zero if all of it is in the database file already: then the failed */
    /* transaction may have begun a new WAL. */
    if (connection_wal_size(connection) > 0)
        committer->suspect_frames = connection->wal_frames;
    connection_close(connection);
    status =
        connection_open(connection, &committer->options, error, sizeof(error));
    if (status != STATUS_OK) {
        log_warning("%s", error);
        return status;
    }
    status = connection_read_counters(connection, &counters);
    /* Had the failed batch survived, LOOP would not know of it. */
    if (status == STATUS_OK && counters.seq != committer->committed_seq)
        status = STATUS_CONFLICT;
    if (status == STATUS_OK)
        status = walcheck_run(connection->db, committer->suspect_frames);
    if (status == STATUS_OK && committer->suspect_frames > 0)
        status = walcheck_copy_again(connection->db);
    if (status == STATUS_OK)
        status = connection_checkpoint(connection, SQLITE_CHECKPOINT_TRUNCATE);
    if (status != STATUS_OK)
        return status;
    committer->suspect_frames = 0;
    status = connection_probe(connection);
    if (status == STATUS_OK)
        committer->is_suspect = false;
    return status;
}

/* ---- background work ---------------------------------------------------- */

static void
note_retry(struct committer *committer, const char *what, enum status status)
{
    note_error(committer, what, status);
    if (status == STATUS_IO)
        committer->is_suspect = true;
    committer->retry_pause_us *= 2;
    if (committer->retry_pause_us < RETRY_MIN_US)
        committer->retry_pause_us = RETRY_MIN_US;
    if (committer->retry_pause_us > RETRY_MAX_US)
        committer->retry_pause_us = RETRY_MAX_US;
    committer->retry_us = clock_monotonic_us() + committer->retry_pause_us;
}

static void
fail_syncs(struct committer *committer, enum status outcome)
{
    mail_answer_all(
        &committer->syncs, committer->reports, committer->told_seq, outcome);
}

/* A slice of the fold.  The rows it writes may be the ones LOOP waits for. */
static enum status
fold_slice(struct committer *committer, int64_t budget_us)
{
    struct connection *connection = &committer->connection;
    uint64_t rows = table_rows_written(connection->tables);
    uint64_t count = fold_count(connection->fold);
    enum status status = fold_step(connection->fold, budget_us);

    if (status != STATUS_OK) {
        note_retry(committer, "folding the journal failed", status);
        fail_syncs(committer, status);
        return status;
    }
    committer->retry_pause_us = 0;
    committer->now.fold_rows += table_rows_written(connection->tables) - rows;
    connection->has_garbage |= fold_take_garbage(connection->fold);
    if (fold_count(connection->fold) > count) {
        committer->now.folds++;
        committer->now.last_fold_end_ms = clock_wall_ms();
    }
    tell_folded(committer);
    return STATUS_OK;
}

static void
start_fold(struct committer *committer)
{
    fold_start(committer->connection.fold, committer->committed_seq);
    committer->pace.fold_written = committer->now.journal_bytes_written;
}

/* Is the fold in nobody's way, waited for, or behind? */
static bool
is_fold_due(const struct committer *committer, int64_t now_us)
{
    const struct connection *connection = &committer->connection;
    uint64_t size = fold_size(connection->fold);

    /* Else a generation that is smaller than that falls behind. */
    if (size > committer->options.journal_fold_size)
        size = committer->options.journal_fold_size;
    return pace_is_quiet(&committer->pace, now_us) ||
           committer->syncs != NULL ||
           fold_folded_seq(connection->fold) < committer->fold_seq ||
           direct_count(connection->direct) > DIRECT_COUNT_MAX ||
           pace_is_behind(&committer->pace,
               committer->now.journal_bytes_written,
               fold_progress(connection->fold), size);
}

static void
garbage_slice(struct committer *committer)
{
    struct connection *connection = &committer->connection;
    int64_t start_us = clock_monotonic_us();
    enum status status;
    bool is_done = false;

    status = garbage_step(connection->transaction, connection->tables,
        committer->options.fold_slice_us, &committer->now.garbage_rows_deleted,
        &is_done);
    if (status != STATUS_OK) {
        note_retry(committer, "collecting garbage failed", status);
        return;
    }
    if (is_done)
        connection->has_garbage = false;
    pace_count_garbage(&committer->pace, start_us, clock_monotonic_us());
}

static enum status
run_checkpoint(struct committer *committer)
{
    enum status status = connection_checkpoint(
        &committer->connection, SQLITE_CHECKPOINT_PASSIVE);

    committer->checkpoint_retry_us = clock_monotonic_us() + CHECKPOINT_RETRY_US;
    if (status == STATUS_OK) {
        committer->now.checkpoints++;
    } else if (status != STATUS_BUSY) {
        note_retry(committer, "checkpoint failed", status);
    }
    return status;
}

static bool
is_idle(const struct committer *committer, int64_t now_us)
{
    return committer->options.fold_idle_ms >= 0 &&
           now_us - committer->pace.batch_us >=
               (int64_t)committer->options.fold_idle_ms * 1000;
}

static bool
should_fold(const struct committer *committer, int64_t now_us)
{
    const struct connection *connection = &committer->connection;
    const struct store_options *options = &committer->options;

    if (journal_rows(connection->journal) == 0)
        return false;
    return journal_bytes(connection->journal) > options->journal_fold_size ||
           direct_count(connection->direct) > DIRECT_COUNT_MAX ||
           fold_folded_seq(connection->fold) < committer->fold_seq ||
           is_idle(committer, now_us);
}

/* Answer the syncs that are fulfilled. */
static void
finish_syncs(struct committer *committer)
{
    struct connection *connection = &committer->connection;

    while (committer->syncs != NULL) {
        struct mail *mail = committer->syncs;
        enum status outcome = STATUS_OK;

        if (fold_is_active(connection->fold) ||
            (journal_rows(connection->journal) > 0 &&
                fold_folded_seq(connection->fold) < mail->seq))
            return;
        if (mail->flag) {
            connection->is_tap_asked = true; /* somebody waits */
            outcome = run_checkpoint(committer);
        }
        /* A reader or the shipper was in the way; the tables are level. */
        if (outcome == STATUS_BUSY)
            outcome = STATUS_OK;
        mail_answer_first(&committer->syncs, committer->reports,
            committer->told_seq, outcome);
    }
}

/* Nothing to fold or collect: see to the WAL.  How long to sleep, in ms. */
static int
rest(struct committer *committer, int64_t now_us)
{
    struct connection *connection = &committer->connection;
    bool has_journal = journal_rows(connection->journal) > 0;

    if (!has_journal && connection_wal_size(connection) == 0)
        return -1;
    if (committer->options.fold_idle_ms < 0)
        return -1;
    if (!is_idle(committer, now_us))
        return pace_wait_ms(
            now_us, committer->pace.batch_us +
                        (int64_t)committer->options.fold_idle_ms * 1000);
    if (now_us < committer->checkpoint_retry_us)
        return pace_wait_ms(now_us, committer->checkpoint_retry_us);
    return run_checkpoint(committer) == STATUS_OK ? 0 : 1;
}

/* One piece of background work.  How long to sleep afterwards, in ms. */
static int
work(struct committer *committer)
{
    struct connection *connection = &committer->connection;
    int64_t now_us = clock_monotonic_us();
    enum status status;

    if (committer->failure != STATUS_OK ||
        pace_is_quiet(&committer->pace, now_us))
        placer_rest(&committer->placer);
    if (committer->failure != STATUS_OK)
        return -1;
    if (now_us < committer->retry_us)
        return pace_wait_ms(now_us, committer->retry_us);
    if (committer->is_suspect) {
        status = reopen(committer);
        if (status != STATUS_OK) {
            note_retry(committer, "opening the database anew failed", status);
            fail_syncs(committer, status);
        }
        return 0;
    }
    if (connection_wal_size(connection) > committer->options.checkpoint_size &&
        now_us >= committer->checkpoint_retry_us) {
        status = run_checkpoint(committer);
        (void)status; /* logged, and tried again later */
        return 0;
    }
    if (!fold_is_active(connection->fold) && should_fold(committer, now_us))
        start_fold(committer);
    if (fold_is_active(connection->fold)) {
        if (!is_fold_due(committer, now_us))
            return pace_wait_ms(now_us, pace_quiet_us(&committer->pace));
        status = fold_slice(
            committer, pace_slice_us(&committer->pace,
                           committer->options.fold_slice_us, now_us));
        (void)status; /* likewise */
        return 0;
    }
    finish_syncs(committer);
    if (connection->has_garbage) {
        if (now_us < committer->pace.garbage_us)
            return pace_wait_ms(now_us, committer->pace.garbage_us);
        garbage_slice(committer);
        return 0;
    }
    return rest(committer, now_us);
}

/* ---- batches ------------------------------------------------------------ */

/*
 * The journal is at its limit: fold before taking more.  If the fold fails the
 * batch is tried all the same; a full disk will say so itself.
 */
static void
press_fold(struct committer *committer)
{
    struct connection *connection = &committer->connection;

    while (journal_bytes(connection->journal) >
               committer->options.journal_size_max &&
           clock_monotonic_us() >= committer->retry_us) {
        if (!fold_is_active(connection->fold))
            start_fold(committer);
        if (fold_slice(committer, PRESSED_SLICE_US) != STATUS_OK)
            return;
        if (connection_wal_size(connection) >
                committer->options.checkpoint_size &&
            clock_monotonic_us() >= committer->checkpoint_retry_us &&
            run_checkpoint(committer) != STATUS_OK)
            continue; /* noted by run_checkpoint() */
    }
}

static void
handle_batch(struct committer *committer, struct batch *batch, int loop_cpu)
{
    struct store_report report = { .kind = STORE_BATCH, .batch = batch };
    uint64_t served = batch->served;

    if (committer->failure == STATUS_OK && !committer->is_suspect)
        press_fold(committer);
    if (committer->failure == STATUS_OK)
        connection_wait_for_taker(
            &committer->connection, committer->options.checkpoint_size);
    int64_t start_us = clock_monotonic_us();
    batch->outcome = committer->failure; /* D2 */
    if (batch->outcome == STATUS_OK && committer->is_suspect)
        batch->outcome = reopen(committer);
    if (batch->outcome == STATUS_OK) {
        CHECK(batch->seq == committer->committed_seq + 1); /* D2 */
        batch->outcome = connection_commit(
            &committer->connection, batch, committer->options.is_synchronous);
    }
    if (batch->outcome == STATUS_OK) {
        committer->committed_seq = batch->seq;
        committer->pace.batch_us = clock_monotonic_us();
        mail_count_commit(
            &committer->now, batch, committer->pace.batch_us - start_us);
    } else {
        committer->now.commit_failures++;
        if (committer->failure == STATUS_OK) {
            committer->failure = batch->outcome;
            note_error(committer, "a commit failed", batch->outcome);
            fail_syncs(committer, batch->outcome);
        }
    }
    report.outcome = batch->outcome;
    publish_stats(committer); /* before LOOP can ask */
    mail_send_report(committer->reports, &report);
    placer_note(&committer->placer, committer->pace.batch_us, served, loop_cpu);
}

/* ---- after a failure ---------------------------------------------------- */

static void
handle_resume(struct committer *committer)
{
    struct store_report report = { .kind = STORE_RESUMED };

    if (committer->failure != STATUS_OK) {
        report.outcome = reopen(committer);
        if (report.outcome == STATUS_OK) {
            log_notice("The disk takes commits again");
            committer->failure = STATUS_OK;
            committer->retry_us = 0;
        } else {
            note_error(committer, "the disk still fails", report.outcome);
        }
    }
    report.folded_seq = committer->told_seq;
    publish_stats(committer);
    mail_send_report(committer->reports, &report);
}

/* ---- mail --------------------------------------------------------------- */

static void
handle_sync(struct committer *committer, struct mail *mail)
{
    mail_append(&committer->syncs, mail);
    if (committer->failure != STATUS_OK) {
        fail_syncs(committer, committer->failure);
        return;
    }
    committer->retry_us = 0; /* somebody waits: try now */
    mail->seq = committer->committed_seq;
    committer->fold_seq = committer->committed_seq;
}

static void
handle_mail(struct committer *committer, struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_BATCH:
        handle_batch(committer, mail->batch, mail->cpu);
        break;
    case MAIL_SYNC:
        handle_sync(committer, mail);
        return; /* kept */
    case MAIL_FOLD:
        committer->fold_seq = committer->committed_seq;
        break;
    case MAIL_RESUME:
        handle_resume(committer);
        break;
    case MAIL_OPTIONS:
        committer->options = mail->options;
        break;
    case MAIL_STOP:
        committer->is_stopping = true;
        committer->stop_with_fold = mail->flag;
        break;
    }
    memory_free(mail);
}

static void
handle_all(struct committer *committer, struct mailbox_node *node)
{
    while (node != NULL) {
        struct mailbox_node *next = node->next;

        handle_mail(committer, mail_of(node));
        node = next;
    }
}

/* ---- the thread --------------------------------------------------------- */

/* A clean stop leaves one file: tables level, nothing in the WAL. */
static void
finish(struct committer *committer)
{
    struct connection *connection = &committer->connection;
    enum status status = STATUS_OK;

    if (!committer->stop_with_fold || committer->failure != STATUS_OK)
        return;
    if (committer->is_suspect)
        status = reopen(committer);
    if (status == STATUS_OK)
        status = connection_fold_all(connection, committer->committed_seq,
            committer->options.checkpoint_size);
    if (status == STATUS_OK)
        status = connection_checkpoint(connection, SQLITE_CHECKPOINT_TRUNCATE);
    if (status == STATUS_OK)
        /* Lets SQLite remove the empty -wal and -shm files. */
        sqlite3_db_config(
            connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    else
        note_error(
            committer, "closing without bringing the tables level", status);
}

static void *
run(void *arg)
{
    struct committer *committer = arg;
    int wait_ms = 0;

    while (!committer->is_stopping) {
        if (wait_ms == 0)
            handle_all(committer, mailbox_take_all(committer->inbox));
        else
            handle_all(committer, mailbox_wait(committer->inbox, wait_ms));
        if (committer->is_stopping)
            break;
        wait_ms = placer_wait_ms(&committer->placer, work(committer));
        publish_stats(committer);
    }
    placer_rest(&committer->placer);
    fail_syncs(committer, STATUS_BUSY);
    finish(committer);
    return NULL;
}

/* ---- public ------------------------------------------------------------- */

static char *
copy_or_null(const char *text)
{
    return text == NULL ? NULL : memory_copy_text(text);
}

/*
 * A former process may have failed to sync a part of the WAL: the kernel may
 * show us what the disk does not hold.  Leave nothing in it, or write it again.
 */
static enum status
secure_wal(struct connection *connection)
{
    enum status status;

    /* SHIP has yet to take its frames (B2). */
    if (connection->tap != NULL)
        return walcheck_write_again(connection->db);
    status = connection_checkpoint(connection, SQLITE_CHECKPOINT_TRUNCATE);
    if (status != STATUS_BUSY)
        return status;
    log_notice("Somebody reads the database: its WAL could not be emptied");
    return walcheck_write_again(connection->db);
}

/* Fold what the journal holds: the state is then wholly in the tables. */
static enum status
recover(struct committer *committer, char *error, size_t error_size)
{
    struct connection *connection = &committer->connection;
    uint64_t seq = journal_last_seq(connection->journal);
    enum status status;

    if (journal_rows(connection->journal) > 0)
        log_notice("Recovering %llu batches (%llu bytes) from the journal",
            (unsigned long long)journal_rows(connection->journal),
            (unsigned long long)journal_bytes(connection->journal));
    status = FAULT_FAILS("recover.before")
                 ? STATUS_IO
                 : connection_fold_all(
                       connection, seq, committer->options.checkpoint_size);
    if (status == STATUS_OK)
        status = secure_wal(connection);
    if (status == STATUS_OK)
        status = connection_read_counters(connection, &committer->counters);
    if (status != STATUS_OK)
        snprintf(error, error_size, "cannot recover %s: %s (%s)",
            committer->path, status_text(status),
            sqlite3_errmsg(connection->db));
    FAULT_POINT("recover.after");
    return status;
}

enum status
committer_open(struct committer **committer,
    const struct store_options *options, char *error, size_t error_size)
{
    struct committer *out = memory_zalloc(sizeof(*out));
    enum status status;

    pthread_mutex_init(&out->stats_lock, NULL);
    out->options = *options;
    out->path = memory_copy_text(options->path);
    out->vfs = copy_or_null(options->vfs);
    out->options.path = out->path;
    out->options.vfs = out->vfs;
    out->connection.tap = options->tap;
    out->inbox = mailbox_new(false);
    out->reports = mailbox_new(true);
    out->pace.batch_us = clock_monotonic_us();
    placer_init(&out->placer);
    status =
        connection_open(&out->connection, &out->options, error, error_size);
    if (status == STATUS_OK)
        status = recover(out, error, error_size);
    if (status != STATUS_OK) {
        committer_stop(out, false);
        return status;
    }
    out->committed_seq = out->counters.seq;
    out->told_seq = out->counters.seq;
    publish_stats(out);
    *committer = out;
    return STATUS_OK;
}

const struct store_counters *
committer_counters(const struct committer *committer)
{
    return &committer->counters;
}

enum status
committer_start(struct committer *committer)
{
    if (pthread_create(&committer->thread, NULL, run, committer) != 0)
        return STATUS_NO_MEMORY;
    committer->is_running = true;
    return STATUS_OK;
}

/* What nobody took before the end. */
static void
free_reports(struct committer *committer)
{
    struct store_report report;

    while (committer_next_report(committer, &report))
        if (report.kind == STORE_BATCH)
            batch_free(report.batch);
}

void
committer_stop(struct committer *committer, bool with_fold)
{
    struct mail *mail;

    if (committer == NULL)
        return;
    if (committer->is_running) {
        mail = mail_new(MAIL_STOP);
        mail->flag = with_fold;
        mailbox_send(committer->inbox, &mail->node);
        pthread_join(committer->thread, NULL);
    }
    connection_close(&committer->connection);
    free_reports(committer);
    mailbox_free(committer->inbox);
    mailbox_free(committer->reports);
    pthread_mutex_destroy(&committer->stats_lock);
    memory_free(committer->path);
    memory_free(committer->vfs);
    memory_free(committer);
}

void
committer_submit(struct committer *committer, struct batch *batch)
{
    struct mail *mail = mail_new(MAIL_BATCH);

    mail->batch = batch;
    mail->cpu = sched_getcpu();
    mailbox_send(committer->inbox, &mail->node);
}

void
committer_sync(
    struct committer *committer, uint64_t token, bool with_checkpoint)
{
    struct mail *mail = mail_new(MAIL_SYNC);

    mail->token = token;
    mail->flag = with_checkpoint;
    mailbox_send(committer->inbox, &mail->node);
}

void
committer_request_fold(struct committer *committer)
{
    mailbox_send(committer->inbox, &mail_new(MAIL_FOLD)->node);
}

void
committer_resume(struct committer *committer)
{
    mailbox_send(committer->inbox, &mail_new(MAIL_RESUME)->node);
}

void
committer_set_options(
    struct committer *committer, const struct store_options *options)
{
    struct mail *mail = mail_new(MAIL_OPTIONS);

    mail->options = *options;
    mail->options.path = committer->path; /* not for changing */
    mail->options.vfs = committer->vfs;
    mailbox_send(committer->inbox, &mail->node);
}

int
committer_report_fd(const struct committer *committer)
{
    return mailbox_fd(committer->reports);
}

bool
committer_next_report(struct committer *committer, struct store_report *report)
{
    return mail_take_report(committer->reports, &committer->taken, report);
}

void
committer_stats(struct committer *committer, struct store_stats *stats)
{
    pthread_mutex_lock(&committer->stats_lock);
    *stats = committer->stats;
    pthread_mutex_unlock(&committer->stats_lock);
}
