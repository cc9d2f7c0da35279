/*
 * executor.c -- one request from its arguments to its reply.
 *
 *   parse -> admission -> prepare (rows become objects) -> handler
 *         -> statistics, slow log, MONITOR -> the gate (session_end_reply)
 *         -> clients that this request woke
 *
 * All complete requests of a session run in one go, so a pipeline costs one
 * read and one write.  It stops where the session blocks or ends, and when
 * the server holds too many replies (R3): then the session's socket is not
 * read until some are released.
 *
 * The clocks are read once a request: the end of one is the start of the next.
 */
#include "resp/peek.h"
#include "server/admission.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/blocked_table.h"
#include "server/executor.h"
#include "server/latency.h"
#include "server/latency.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/transport.h"
#include "server/watch.h"

#define EVICT_EVERY 8       /* requests between two looks at the memory */
#define EVICT_BUDGET_US 500 /* of one such look */

/* The keys of the request at hand; kept, so as not to allocate each time. */
static struct command_key *keys;
static size_t keys_size;

enum status
executor_prepare(struct call *call)
{
    const struct command *command = call->command;
    if (command->keys.first == 0 && command->keys.count_at == 0 &&
        command->keys2.first == 0 && command->keys2.count_at == 0)
        return STATUS_OK;
    if (keyspace_is_all_loaded(call->keyspace, call->db))
        return STATUS_OK;
    int count =
        command_get_keys(command, call->argv, call->argc, &keys, &keys_size);
    bool with_object = !(command->flags & CMD_NO_OBJECT);
    for (int i = 0; i < count; i++) {
        if (keys[i].flags & KEYS_NOT_KEY)
            continue;
        enum status status = keyspace_prepare(
            call->keyspace, call->db, call->argv[keys[i].at], with_object);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* The error replies since errors_before: count the newest by its code. */
static void
count_errors(struct call *call, uint64_t errors_before)
{
    const struct buf *out = call->reply->out;
    uint64_t count = call->reply->errors - errors_before;
    call->server->stats.error_replies += count;
    if (call->command != NULL && call->command->stats != NULL)
        call->command->stats->failed++;
    if (call->reply->error_at + 1 < out->len)
        server_count_error(slice_make(out->data + call->reply->error_at + 1,
            out->len - call->reply->error_at - 1));
}

/* Admission replied an error. */
static void
count_refusal(struct call *call)
{
    const struct command *command = call->command;
    uint64_t failed =
        command != NULL && command->stats != NULL ? command->stats->failed : 0;
    count_errors(call, 0);
    if (command == NULL || command->stats == NULL)
        return;
    command->stats->failed = failed;
    command->stats->rejected++;
}

static void
note_duration(struct call *call, int64_t duration_us)
{
    struct server *srv = call->server;
    const struct command *command = call->command;
    if (!call->is_retry)
        command->stats->calls++;
    command->stats->usec += (uint64_t)duration_us;
    if (srv->config.latency_tracking && !call->is_retry)
        latency_record(command->stats, duration_us);
    if (srv->config.slowlog_log_slower_than_us >= 0 &&
        duration_us >= srv->config.slowlog_log_slower_than_us &&
        !(command->flags & CMD_SKIP_SLOWLOG))
        slowlog_add(srv->slowlog, call, duration_us);
    int64_t threshold_ms = srv->config.latency_monitor_threshold_ms;
    if (threshold_ms > 0 && duration_us / 1000 >= threshold_ms)
        latency_add(srv->latency,
            command->flags & CMD_FAST ? "fast-command" : "command",
            duration_us / 1000);
}

void
executor_call(struct call *call)
{
    struct server *srv = call->server;
    uint64_t errors = call->reply->errors;
    int64_t start_us = loop_now_us();
    /* A request that waited and is run again is still the same one. */
    if (!call->is_retry)
        srv->stats.commands++;
    enum status status = executor_prepare(call);
    if (status == STATUS_OK) {
        if (call->command->flags & CMD_SEES_ALL)
            keyspace_observe_all(call->keyspace);
        call->command->run(call);
    } else {
        call_reply_status(call, status);
    }
    loop_update_clocks();
    note_duration(call, loop_now_us() - start_us);
    if (call->reply->errors != errors)
        count_errors(call, errors);
    if (srv->monitor_count > 0 && !call->is_retry &&
        !(call->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)))
        monitor_feed(call, keyspace_observed_seq(call->keyspace));
}

/* What a request observed decides when its reply may leave. */
static void
end_reply(struct call *call)
{
    struct session *session = call->session;
    uint64_t seq = keyspace_observed_seq(call->keyspace);
    if (seq > session->observed_seq)
        session->observed_seq = seq;
    bool is_silent =
        call->reply->is_muted || (session->flags & SESSION_BLOCKED) != 0;
    session_end_reply(session,
        session->durability == DURABILITY_MEMORY ? 0 : seq, is_silent ? 0 : 1);
    session->flags &= ~(unsigned)SESSION_REPLY_SKIP;
    if (session->flags & SESSION_REPLY_SKIP_NEXT) {
        session->flags &= ~(unsigned)SESSION_REPLY_SKIP_NEXT;
        session->flags |= SESSION_REPLY_SKIP;
    }
}

/* Keep the memory within its limit. */
static void
evict(struct server *srv)
{
    static unsigned requests;
    if (++requests % EVICT_EVERY != 0)
        return;
    if (keyspace_evict(srv->keyspace, EVICT_BUDGET_US))
        loop_request_fold();
}

void
executor_run(struct session *session, struct slice *argv, size_t argc)
{
    struct server *srv = session->server;
    struct reply reply;
    struct call call = {
        .server = srv,
        .session = session,
        .argv = argv,
        .argc = argc,
        .keyspace = srv->keyspace,
        .db = session->db,
        .now_ms = loop_wall_ms(),
        .reply = &reply,
    };
    session_begin_reply(session, &reply);
    keyspace_begin(srv->keyspace, call.now_ms);
    if (admission_judge(&call) == VERDICT_PASS)
        executor_call(&call);
    else if (reply.errors > 0)
        count_refusal(&call);
    watch_settle(srv);
    end_reply(&call);
    transport_check_limits(session);
    if (blocked_has_keys(srv->blocked))
        blocked_serve(srv);
    evict(srv);
}

static bool
must_stop(struct session *session)
{
    if (session->flags &
        (SESSION_BLOCKED | SESSION_CLOSE_AFTER_REPLY | SESSION_CLOSE_NOW))
        return true;
    if (session->server->is_shutting_down)
        return true;
    if (!release_is_full(session->server))
        return false;
    transport_pause(session);
    return true;
}

static void
refuse_protocol(struct session *session)
{
    struct reply reply;
    session_begin_reply(session, &reply);
    reply.is_muted = false;
    reply_error_format(&reply, "ERR %s", session->parser.error);
    session->server->stats.error_replies++;
    session_end_reply(session, 0, 1);
    session->flags |= SESSION_CLOSE_AFTER_REPLY;
    session_mark_dirty(session);
    log_verbose("Protocol error (%s) from client: id=%llu addr=%s",
        session->parser.error, (unsigned long long)session->id,
        session->address != NULL ? session->address : "");
}

/*
 * Keys in memory are hit at random, and one request after another would wait
 * for each of them: have those of the next requests of a pipeline fetched side
 * by side.  Answers how far that reaches; a lone request gains nothing.
 */
static size_t
fetch_ahead(struct session *session, struct slice input)
{
    struct slice names[KEYSPACE_PREFETCH_MAX];
    size_t used;
    size_t count = peek_keys(input, names, KEYSPACE_PREFETCH_MAX, &used);
    if (count > 1)
        keyspace_prefetch(session->server->keyspace, session->db, names, count);
    return count > 1 ? used : input.len;
}

size_t
executor_run_bytes(struct session *session, struct slice input)
{
    struct parser *parser = &session->parser;
    size_t used = 0, fetched = 0;
    session->is_running = true;
    parser->bulk_size_max = session->server->config.proto_max_bulk_len;
    while (used < input.len && !must_stop(session)) {
        parser->is_unauthenticated = session_needs_auth(session);
        enum parser_result result = parser_read(
            parser, slice_make(input.data + used, input.len - used));
        if (result == PARSER_INCOMPLETE)
            break;
        if (result == PARSER_ERROR) {
            refuse_protocol(session);
            used = input.len;
            break;
        }
        if (used >= fetched && input.len - used > parser->consumed)
            fetched = used + fetch_ahead(session, slice_make(input.data + used,
                                                      input.len - used));
        used += parser->consumed;
        if (parser->argc > 0)
            executor_run(session, parser->argv, parser->argc);
    }
    session->is_running = false;
    return used;
}

void
executor_run_input(struct session *session)
{
    if (session->in.len == 0)
        return;
    size_t used = executor_run_bytes(session, buf_slice(&session->in));
    if (used == session->in.len)
        buf_clear(&session->in, 0);
    else if (used > 0)
        buf_consume(&session->in, used);
}
