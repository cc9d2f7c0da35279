/*
 * loop.c -- the LOOP thread's passes.
 *
 * One pass:
 *
 *   events     sockets are read and their requests run; timers
 *   reports    what the COMMIT thread gave back: release, failures
 *   resumed    input of sessions whose wait is over
 *   seal       perhaps give the open batch to the COMMIT thread
 *   write      one write() for each session with something released
 *
 * Sealing.  One batch is out at a time; while it is being fsynced the next one
 * fills, so a batch is sealed when the COMMIT thread is free:
 *
 *   - nobody waits for it (durability memory): OPEN_MAX_US after its first
 *     change;
 *   - it is larger than SEAL_SIZE: at once;
 *   - somebody waits: at once, unless clients that were released a moment ago
 *     are likely to send more.  A commit costs the same for one change as for
 *     fifty, so the loop then makes a few more passes that do not wait, as
 *     long as each brings another waiting client and no more time goes by than
 *     GATHER_SHARE of a commit.  How many may come is known: those the last
 *     batch released.  A lone client is therefore never delayed;
 *   - somebody waits for the bucket, and nobody only for the disk: when the
 *     upload that it will ride in is asked for (gather.h).
 */
#include <poll.h>

#include <event2/event.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/blocked_table.h"
#include "server/bucket.h"
#include "server/cron.h"
#include "server/failure.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/transport.h"

#define SEAL_SIZE (4 * 1024 * 1024) /* bytes */
#define OPEN_MAX_US (200 * 1000)    /* of a batch nobody waits for */
#define GATHER_PASSES_MAX 8
#define GATHER_SHARE_PERCENT 100 /* of the recent commit time */
#define GATHER_MAX_US 2000
#define DRAIN_STEP_MS 1000

static struct {
    struct event *report_event;
    struct event *cron_event;
    struct event *deadline_event;
    int64_t deadline_us; /* of deadline_event; INT64_MAX: not set */
    int64_t cron_period_us;
    int64_t now_us, wall_offset_us;
    struct session *resumed; /* their input is to be run */

    bool is_out;              /* a batch is with the COMMIT thread */
    int64_t sealed_us;        /* when it went there */
    uint64_t sealed_commands; /* run until then */
    int64_t open_since_us;    /* the open batch's first change; 0: none */
    struct batch *spare;

    size_t expected;   /* sessions that may soon wait for the batch */
    size_t gathered;   /* that waited at the last look */
    int gather_passes; /* made before this seal */
    int64_t gather_start_us;
    int64_t commit_us; /* recent commits took, average */

    bool has_sync; /* store_sync() once all is committed */
    uint64_t sync_token;
    bool is_fold_requested;
    uint64_t folded_seq; /* the tables have everything up to it */
} loop;

/* ---- clocks ------------------------------------------------------------ */

void
loop_update_clocks(void)
{
    loop.now_us = clock_monotonic_us();
}

static void
update_wall(void)
{
    loop.now_us = clock_monotonic_us();
    loop.wall_offset_us = clock_wall_us() - loop.now_us;
}

int64_t
loop_now_us(void)
{
    return loop.now_us;
}

int64_t
loop_wall_ms(void)
{
    return (loop.now_us + loop.wall_offset_us) / 1000;
}

/* ---- sessions whose wait is over --------------------------------------- */

void
loop_resume(struct session *session)
{
    if (session->is_resumed)
        return;
    session->is_resumed = true;
    session->next_resumed = loop.resumed;
    loop.resumed = session;
}

void
loop_forget(struct session *session)
{
    if (!session->is_resumed)
        return;
    struct session **at = &loop.resumed;
    while (*at != session)
        at = &(*at)->next_resumed;
    *at = session->next_resumed;
    session->is_resumed = false;
}

static void
run_resumed(void)
{
    struct session *session = loop.resumed;
    loop.resumed = NULL;
    while (session != NULL) {
        struct session *next = session->next_resumed;
        session->is_resumed = false;
        if (!(session->flags & (SESSION_BLOCKED | SESSION_CLOSE_NOW)))
            executor_run_input(session);
        session = next;
    }
}

/* ---- reports ----------------------------------------------------------- */

static void
take_batch(struct server *srv, struct batch *batch)
{
    loop.is_out = false;
    loop.commit_us += (loop.now_us - loop.sealed_us - loop.commit_us) / 8;
    enum status outcome = batch->outcome;
    uint64_t seq = batch->seq;
    batch_clear(batch);
    if (loop.spare == NULL)
        loop.spare = batch;
    else
        batch_free(batch);
    if (outcome != STATUS_OK) {
        loop.open_since_us = 0;
        loop.has_sync = false;
        failure_begin(srv, outcome);
        return;
    }
    loop.expected = release_count(srv, seq);
    release_advance(srv, seq);
    loop.expected += release_count(srv, seq + 1);
    loop.gather_passes = 0;
    loop.gather_start_us = loop.now_us;
    blocked_serve_durable(srv);
}

/* The tables have everything up to seq. */
static void
take_folded(struct server *srv, uint64_t seq)
{
    if (seq > loop.folded_seq)
        loop.folded_seq = seq;
    keyspace_set_folded(srv->keyspace, seq);
}

static void
take_reports(struct server *srv)
{
    struct store_report report;
    while (store_next_report(srv->store, &report)) {
        switch (report.kind) {
        case STORE_BATCH:
            take_batch(srv, report.batch);
            take_folded(srv, report.folded_seq);
            break;
        case STORE_FOLDED:
            loop.is_fold_requested = false;
            take_folded(srv, report.folded_seq);
            break;
        case STORE_SYNCED:
            take_folded(srv, report.folded_seq);
            server_saved(report.token, report.outcome);
            break;
        case STORE_RESUMED:
            loop.is_fold_requested = false;
            failure_end(srv, report.outcome);
            break;
        }
    }
}

void
loop_request_fold(void)
{
    /* With nothing to fold there would be no answer, and no other request. */
    if (loop.is_fold_requested || server.is_misconfigured ||
        loop.folded_seq >= server.durable_seq)
        return;
    loop.is_fold_requested = true;
    store_request_fold(server.store);
}

/* ---- sealing ----------------------------------------------------------- */

/*
 * Of what was given to the COMMIT thread.  Not only when no batch is open:
 * under load there always is one.
 */
static void
send_sync(struct server *srv)
{
    if (!loop.has_sync)
        return;
    loop.has_sync = false;
    store_sync(srv->store, loop.sync_token, true);
}

static void
seal(struct server *srv)
{
    struct batch *batch = keyspace_seal(srv->keyspace, loop.spare);
    loop.spare = NULL;
    loop.is_out = true;
    loop.open_since_us = 0;
    loop.sealed_us = loop.now_us;
    batch->sealed_us = loop.now_us;
    batch->served = srv->stats.commands - loop.sealed_commands;
    loop.sealed_commands = srv->stats.commands;
    CHECK(batch->seq == srv->durable_seq + 1); /* one batch is out at a time */
    store_submit(srv->store, batch);
    send_sync(srv);
}

static bool
is_awaited(const struct server *srv)
{
    uint64_t seq = keyspace_open_seq(srv->keyspace);
    if (blocked_awaits_durable(srv) || loop.has_sync)
        return true;
    /* What will ride in the next upload need not be committed before those */
    /* that will ride with it are here. */
    if (bucket_is_gathering(srv))
        return release_is_awaited_on_disk(seq);
    return release_is_awaited(srv, seq);
}

/* Is another pass likely to bring clients that can share the commit? */
static bool
should_gather(const struct server *srv)
{
    size_t waiting = release_count(srv, keyspace_open_seq(srv->keyspace));
    int64_t limit_us = loop.commit_us * GATHER_SHARE_PERCENT / 100;
    if (limit_us > GATHER_MAX_US)
        limit_us = GATHER_MAX_US;
    if (waiting >= loop.expected || loop.gather_passes >= GATHER_PASSES_MAX ||
        loop.now_us - loop.gather_start_us > limit_us)
        return false;
    if (loop.gather_passes > 0 && waiting == loop.gathered)
        return false;
    loop.gathered = waiting;
    loop.gather_passes++;
    return true;
}

/* Seal if it is time.  true: the next pass must not wait for events. */
static bool
consider_seal(struct server *srv)
{
    if (loop.is_out || srv->is_misconfigured)
        return false;
    if (!keyspace_has_batch(srv->keyspace)) {
        send_sync(srv);
        return false;
    }
    if (loop.open_since_us == 0)
        loop.open_since_us = loop.now_us;
    if (keyspace_batch_size(srv->keyspace) < SEAL_SIZE) {
        if (is_awaited(srv)) {
            if (should_gather(srv))
                return true;
        } else if (loop.now_us - loop.open_since_us < OPEN_MAX_US) {
            return false;
        }
    }
    seal(srv);
    return false;
}

void
loop_sync(uint64_t token)
{
    loop.has_sync = true;
    loop.sync_token = token;
}

/* ---- timers ------------------------------------------------------------ */

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
    /* Reports are taken in every pass; this only ends the wait. */
    (void)fd;
    (void)what;
    (void)arg;
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    loop.deadline_us = INT64_MAX;
}

static void
on_cron(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    update_wall();
    cron_run(arg);
}

static struct timeval
timeval_from_us(int64_t us)
{
    return (struct timeval){ us / 1000000, us % 1000000 };
}

/*
 * Wake up for what ends next: a blocked client's wait, an unawaited batch, the
 * wait for clients who might share an upload.
 */
static void
set_deadline(struct server *srv)
{
    int64_t next_us = blocked_next_deadline_us(srv);
    int64_t ask_us = bucket_next_ask_us(srv);
    if (ask_us < next_us)
        next_us = ask_us;
    if (loop.open_since_us != 0 && !loop.is_out &&
        loop.open_since_us + OPEN_MAX_US < next_us)
        next_us = loop.open_since_us + OPEN_MAX_US;
    if (next_us == loop.deadline_us)
        return;
    loop.deadline_us = next_us;
    if (next_us == INT64_MAX) {
        (void)event_del(loop.deadline_event);
        return;
    }
    int64_t left_us = next_us - clock_monotonic_us();
    struct timeval left = timeval_from_us(left_us > 0 ? left_us : 0);
    CHECK(event_add(loop.deadline_event, &left) == 0);
}

void
loop_set_hz(int64_t hz)
{
    int64_t period_us = 1000000 / hz;
    if (loop.cron_event == NULL || period_us == loop.cron_period_us)
        return;
    loop.cron_period_us = period_us;
    struct timeval period = timeval_from_us(period_us);
    CHECK(event_add(loop.cron_event, &period) == 0);
}

/* ---- the loop ---------------------------------------------------------- */

enum status
loop_start(struct server *srv)
{
    update_wall();
    loop.deadline_us = INT64_MAX;
    loop.report_event = event_new(srv->base, store_report_fd(srv->store),
        EV_READ | EV_PERSIST, on_report, srv);
    loop.cron_event = event_new(srv->base, -1, EV_PERSIST, on_cron, srv);
    loop.deadline_event = evtimer_new(srv->base, on_deadline, srv);
    if (loop.report_event == NULL || loop.cron_event == NULL ||
        loop.deadline_event == NULL || event_add(loop.report_event, NULL) != 0)
        return STATUS_NO_MEMORY;
    loop_set_hz(srv->config.hz);
    return STATUS_OK;
}

/* What follows the events in a pass.  true: there is more to do at once. */
static bool
finish_pass(struct server *srv)
{
    update_wall();
    keyspace_end_reads(srv->keyspace);
    take_reports(srv);
    bucket_take_reports(srv);
    blocked_serve_time(srv, loop.now_us);
    transport_resume_all(srv);
    run_resumed();
    bucket_ask(srv);
    bool must_hurry = consider_seal(srv);
    keyspace_end_reads(srv->keyspace);
    transport_flush_all(srv);
    set_deadline(srv);
    srv->stats.passes++;
    return must_hurry || loop.resumed != NULL;
}

void
loop_run(struct server *srv)
{
    bool must_hurry = false;
    while (!srv->is_shutting_down) {
        /* NONBLOCK alone would go on for as long as anything is ready, and */
        /* the report descriptor stays ready until finish_pass() reads it. */
        int how = EVLOOP_ONCE | (must_hurry ? EVLOOP_NONBLOCK : 0);
        if (event_base_loop(srv->base, how) < 0)
            log_warning("The event loop failed");
        must_hurry = finish_pass(srv);
    }
}

bool
loop_drain(struct server *srv)
{
    while (!srv->is_misconfigured &&
           (loop.is_out || keyspace_has_batch(srv->keyspace))) {
        update_wall();
        if (!loop.is_out)
            seal(srv);
        struct pollfd report = { store_report_fd(srv->store), POLLIN, 0 };
        (void)poll(&report, 1, DRAIN_STEP_MS);
        take_reports(srv);
    }
    transport_flush_all(srv);
    return !srv->is_misconfigured;
}

void
loop_fold(struct server *srv)
{
    struct store_report report = { .kind = STORE_BATCH };
    store_sync(srv->store, UINT64_MAX, false);
    while (report.kind != STORE_SYNCED) {
        struct pollfd waiting = { store_report_fd(srv->store), POLLIN, 0 };
        (void)poll(&waiting, 1, DRAIN_STEP_MS);
        while (report.kind != STORE_SYNCED &&
               store_next_report(srv->store, &report))
            continue;
    }
}

void
loop_stop(struct server *srv)
{
    (void)srv;
    struct event *events[] = { loop.report_event, loop.cron_event,
        loop.deadline_event };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (events[i] != NULL)
            event_free(events[i]);
    batch_free(loop.spare);
    memset(&loop, 0, sizeof(loop));
}
