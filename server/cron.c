/*
 * cron.c -- the server's periodic work.
 *
 * Each task has a budget, so that no client waits long for it.  What was not
 * finished goes on at the next call.
 */
#include "server/base/log.h"
#include "server/cron.h"
#include "server/failure.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/transport.h"

#define SWEEP_BUDGET_US 5000 /* of a call, for expired keys */
#define REAP_BUDGET_US 2000  /* for objects dropped */
#define EVICT_BUDGET_US 2000
#define SECOND_US 1000000
#define SHRINK_AFTER_MS 2000 /* idle for so long: give memory back */
#define SAMPLE_WEIGHT 4      /* of older samples, in quarters to one new */

/* Let rate follow what was counted since the last sample.  CONFIG RESETSTAT */
/* begins to count at 0 again. */
static void
follow(double *rate, uint64_t count, uint64_t *last_count, double seconds)
{
    uint64_t since = count >= *last_count ? count - *last_count : count;
    *rate += ((double)since / seconds - *rate) / SAMPLE_WEIGHT;
    *last_count = count;
}

static void
sample(struct server *srv, int64_t now_us)
{
    static int64_t last_us;
    static uint64_t commands, net_in, net_out;
    struct server_stats *stats = &srv->stats;
    double seconds = (double)(now_us - last_us) / SECOND_US;
    if (last_us != 0 && seconds <= 0)
        return;
    last_us = now_us;
    follow(&stats->ops_per_second, stats->commands, &commands, seconds);
    follow(&stats->net_in_per_second, stats->net_in, &net_in, seconds);
    follow(&stats->net_out_per_second, stats->net_out, &net_out, seconds);
}

static void
look_after(struct session *session, int64_t now_ms)
{
    int64_t idle_ms = now_ms - session->last_used_ms;
    int64_t timeout_s = session->server->config.timeout_s;
    if (timeout_s > 0 && idle_ms > timeout_s * 1000 &&
        !(session->flags &
            (SESSION_BLOCKED | SESSION_MONITOR | SESSION_PUSHES))) {
        log_verbose("Closing idle client");
        session_close(session);
        return;
    }
    transport_check_limits(session);
    if (idle_ms > SHRINK_AFTER_MS)
        transport_shrink(session);
}

static void
each_second(struct server *srv)
{
    int64_t now_ms = loop_wall_ms();
    for (struct session *session = srv->sessions; session != NULL;
         session = session->next)
        look_after(session, now_ms);
    failure_retry(srv);
}

static bool
is_paused(const struct server *srv)
{
    return loop_wall_ms() < srv->pause_until_ms;
}

void
cron_run(struct server *srv)
{
    static int64_t second_us;
    int64_t now_us = loop_now_us();
    sample(srv, now_us);
    if (now_us - second_us >= SECOND_US) {
        second_us = now_us;
        each_second(srv);
    }
#ifdef WALDEN_DEBUG
    release_check_held(srv);
#endif
    if (srv->active_expire && !srv->is_misconfigured && !is_paused(srv))
        (void)keyspace_sweep(srv->keyspace, loop_wall_ms(), SWEEP_BUDGET_US);
    (void)keyspace_reap(srv->keyspace, REAP_BUDGET_US);
    if (keyspace_evict(srv->keyspace, EVICT_BUDGET_US))
        loop_request_fold();
}
