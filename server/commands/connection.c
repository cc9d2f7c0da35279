/*
 * connection.c -- PING, ECHO, QUIT, RESET, SELECT, AUTH, HELLO, WAIT, WAITAOF.
 *
 * What a client does to its own connection.  None of these touches a key; they
 * are allowed before authentication where Redis allows it.
 *
 * There is one user, "default", whose password is requirepass.  Passwords are
 * compared in a time that does not depend on where they differ.
 *
 * WAIT counts replicas, and there are none: it answers 0, after the timeout if
 * more were asked for.  WAITAOF's local count is real: 1 once everything this
 * connection has seen or written is on disk, which at the default durability
 * is so before the reply of the write itself.
 */
#include "server/bucket.h"
#include "server/blocked.h"
#include "server/commands/connection.h"
#include "server/server.h"
#include "server/commands/transaction.h"
#include "server/version.h"

#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/base/number.h"

static bool
password_fits(struct slice given, const char *password)
{
    size_t len = strlen(password);
    unsigned char difference = given.len == len ? 0 : 1;

    for (size_t i = 0; i < given.len; i++)
        difference |= (unsigned char)(given.data[i] ^ password[i % (len + 1)]);
    return difference == 0;
}

static bool
has_password(const struct config *config)
{
    return config->requirepass != NULL && config->requirepass[0] != '\0';
}

/* false: refused, and said so. */
static bool
authenticate(struct call *call, struct slice user, struct slice password)
{
    const struct config *config = &call->server->config;

    if (!slice_equal(user, SLICE("default")) ||
        (has_password(config) &&
            !password_fits(password, config->requirepass))) {
        reply_error(call->reply,
            "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    call->session->flags |= SESSION_AUTHENTICATED;
    return true;
}

bool
connection_check_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < '!' || name.data[i] > '~')
            return false;
    return true;
}

void
connection_set_text(char **text, struct slice value)
{
    memory_free(*text);
    *text = NULL;
    if (value.len == 0)
        return;
    *text = memory_alloc(value.len + 1);
    memcpy(*text, value.data, value.len);
    (*text)[value.len] = '\0';
}

/* ---- PING, ECHO, QUIT, SELECT, AUTH ------------------------------------- */

static void
ping(struct call *call)
{
    if (call->argc > 2)
        reply_error(
            call->reply, "ERR wrong number of arguments for 'ping' command");
    else if (call->argc == 2)
        reply_slice(call->reply, call->argv[1]);
    else
        reply_simple(call->reply, "PONG");
}

static void
echo(struct call *call)
{
    reply_slice(call->reply, call->argv[1]);
}

static void
quit(struct call *call)
{
    reply_ok(call->reply);
    call->session->flags |= SESSION_CLOSE_AFTER_REPLY;
}

static void
select_database(struct call *call)
{
    int64_t db;

    if (!call_get_i64_in(call, 1, INT32_MIN, INT32_MAX, &db, NULL))
        return;
    if (db < 0 || db >= call->server->config.databases) {
        reply_error(call->reply, "ERR DB index is out of range");
        return;
    }
    call->session->db = (int)db;
    reply_ok(call->reply);
}

static void
auth(struct call *call)
{
    struct slice user = SLICE("default");
    struct slice password = call->argv[call->argc - 1];

    if (call->argc > 3) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 3) {
        user = call->argv[1];
    } else if (!has_password(&call->server->config)) {
        reply_error(call->reply,
            "ERR AUTH <password> called without any password configured for "
            "the default user. Are you sure your configuration is correct?");
        return;
    }
    if (authenticate(call, user, password))
        reply_ok(call->reply);
}

/* ---- RESET -------------------------------------------------------------- */

static void
reset(struct call *call)
{
    struct session *session = call->session;

    transaction_discard(session);
    if (session->flags & SESSION_MONITOR)
        call->server->monitor_count--;
    session->flags &= ~(unsigned)(SESSION_MONITOR | SESSION_REPLY_OFF |
                                  SESSION_REPLY_SKIP_NEXT | SESSION_REPLY_SKIP |
                                  SESSION_NO_EVICT | SESSION_NO_TOUCH |
                                  SESSION_AUTHENTICATED);
    session->db = 0;
    session->resp = 2;
    session->durability = (enum durability)call->server->config.durability;
    connection_set_text(&session->name, SLICE(""));
    call->reply->version = 2;
    call->reply->is_muted = false;
    reply_simple(call->reply, "RESET");
}

/* ---- HELLO -------------------------------------------------------------- */

struct hello {
    int64_t version; /* 0: not given */
    struct slice user, password, name;
    bool has_auth, has_name;
};

/* false: error replied. */
static bool
parse_hello(struct call *call, struct hello *hello)
{
    if (call->argc >= 2) {
        if (!call_get_i64(call, 1, &hello->version,
                "ERR Protocol version is not an integer or out of range"))
            return false;
        if (hello->version < 2 || hello->version > 3) {
            reply_error(call->reply, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (size_t at = 2; at < call->argc; at++) {
        size_t more = call->argc - 1 - at;

        if (call_arg_is(call, at, "AUTH") && more >= 2) {
            hello->user = call->argv[at + 1];
            hello->password = call->argv[at + 2];
            hello->has_auth = true;
            at += 2;
        } else if (call_arg_is(call, at, "SETNAME") && more >= 1) {
            hello->name = call->argv[++at];
            hello->has_name = true;
            if (!connection_check_name(hello->name)) {
                reply_error(call->reply, CONNECTION_BAD_NAME);
                return false;
            }
        } else {
            reply_error_format(call->reply,
                "ERR Syntax error in HELLO option '%.*s'",
                (int)(call->argv[at].len < 128 ? call->argv[at].len : 128),
                call->argv[at].data);
            return false;
        }
    }
    return true;
}

static void
hello(struct call *call)
{
    struct hello asked = { 0 };
    struct session *session = call->session;
    struct reply *reply = call->reply;

    if (!parse_hello(call, &asked))
        return;
    if (asked.has_auth && !authenticate(call, asked.user, asked.password))
        return;
    if (session_needs_auth(session)) {
        reply_error(reply,
            "NOAUTH HELLO must be called with the client already "
            "authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
            "option can be used to authenticate the client and select the "
            "RESP protocol version at the same time");
        return;
    }
    if (asked.has_name)
        connection_set_text(&session->name, asked.name);
    if (asked.version != 0)
        session->resp = (uint8_t)asked.version;
    reply->version = session->resp;

    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, VERSION_REDIS);
    reply_bulk_text(reply, "proto");
    reply_int(reply, session->resp);
    reply_bulk_text(reply, "id");
    reply_int(reply, (int64_t)session->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, "standalone");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, "master");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

/* ---- WAIT, WAITAOF ------------------------------------------------------ */

/* A timeout in milliseconds; 0: for ever.  false: error replied. */
static bool
get_wait_deadline(struct call *call, size_t at, int64_t *deadline_us)
{
    int64_t timeout_ms;

    if (!call_get_i64(call, at, &timeout_ms,
            "ERR timeout is not an integer or out of range"))
        return false;
    if (timeout_ms < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    if (timeout_ms == 0) {
        *deadline_us = INT64_MAX;
        return true;
    }
    int64_t now_us = clock_monotonic_us();
    if (timeout_ms > (INT64_MAX - now_us) / 1000) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    *deadline_us = now_us + timeout_ms * 1000;
    return true;
}

static void
wait_for_replicas(struct call *call)
{
    int64_t replicas, deadline_us;

    if (!call_get_i64(call, 1, &replicas, ERROR_NOT_INTEGER) ||
        !get_wait_deadline(call, 2, &deadline_us))
        return;
    bool has_all = bucket_has_all(call->session);
    if (replicas <= 0 || call->is_in_exec || (replicas == 1 && has_all)) {
        reply_int(call->reply, has_all);
        return;
    }
    bucket_want(call->server, call->session->observed_seq);
    blocked_on_durable(
        call, call->is_retry ? call->block_deadline_us : deadline_us);
}

static void
wait_timed_out(struct session *session, struct reply *reply)
{
    reply_int(reply, bucket_has_all(session));
}

/* Is everything session saw or wrote on disk? */
static bool
is_session_durable(const struct session *session)
{
    return session->server->durable_seq >= session->observed_seq;
}

static void
reply_waitaof(const struct session *session, struct reply *reply)
{
    reply_array(reply, 2);
    reply_int(reply, is_session_durable(session));
    reply_int(reply, bucket_has_all(session));
}

static void
waitaof(struct call *call)
{
    int64_t local, replicas, deadline_us;

    if (!call_get_i64_in(call, 1, 0, 1, &local, NULL) ||
        !call_get_i64_in(call, 2, 0, INT64_MAX, &replicas, NULL) ||
        !get_wait_deadline(call, 3, &deadline_us))
        return;
    bool is_met =
        (local == 0 || is_session_durable(call->session)) &&
        (replicas == 0 || (replicas == 1 && bucket_has_all(call->session)));
    if (is_met || call->is_in_exec) {
        reply_waitaof(call->session, call->reply);
        return;
    }
    bucket_want(call->server, call->session->observed_seq);
    blocked_on_durable(
        call, call->is_retry ? call->block_deadline_us : deadline_us);
}

static void
waitaof_timed_out(struct session *session, struct reply *reply)
{
    reply_waitaof(session, reply);
}

/* ---- the table ---------------------------------------------------------- */

#define FLAGS_EARLY                                                    \
    (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | \
        CMD_ALLOW_BUSY)

struct command commands_connection[] = {
    { .name = "ping",
        .run = ping,
        .arity = -1,
        .flags = CMD_FAST,
        .acl = ACL_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Returns the server's liveliness response.",
        .complexity = "O(1)",
        .syntax = "[message]",
        .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "echo",
        .run = echo,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .acl = ACL_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Returns the given string.",
        .complexity = "O(1)",
        .syntax = "message" },
    { .name = "quit",
        .run = quit,
        .arity = -1,
        .flags = FLAGS_EARLY | CMD_NOT_QUEUED,
        .acl = ACL_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Closes the connection.",
        .complexity = "O(1)" },
    { .name = "reset",
        .run = reset,
        .arity = 1,
        .flags = FLAGS_EARLY | CMD_NOT_QUEUED,
        .acl = ACL_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Resets the connection.",
        .complexity = "O(1)" },
    { .name = "select",
        .run = select_database,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .acl = ACL_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Changes the selected database.",
        .complexity = "O(1)",
        .syntax = "index" },
    { .name = "auth",
        .run = auth,
        .arity = -2,
        .flags = FLAGS_EARLY,
        .acl = ACL_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Authenticates the connection.",
        .complexity =
            "O(N) where N is the number of passwords defined for the user",
        .syntax = "[username] password" },
    { .name = "hello",
        .run = hello,
        .arity = -1,
        .flags = FLAGS_EARLY,
        .acl = ACL_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Handshakes with the Redis server.",
        .complexity = "O(1)",
        .syntax = "[protover [AUTH username password] [SETNAME clientname]]" },
    { .name = "wait",
        .run = wait_for_replicas,
        .arity = 3,
        .flags = CMD_BLOCKING,
        .acl = ACL_CONNECTION,
        .since = "3.0.0",
        .group = "generic",
        .summary = "Blocks until the asynchronous replication of all "
                   "preceding write commands sent by the connection is "
                   "completed.",
        .complexity = "O(1)",
        .syntax = "numreplicas timeout",
        .tips = "request_policy:all_shards,response_policy:agg_min",
        .timed_out = wait_timed_out },
    { .name = "waitaof",
        .run = waitaof,
        .arity = 4,
        .flags = CMD_BLOCKING,
        .acl = ACL_CONNECTION,
        .since = "7.2.0",
        .group = "generic",
        .summary = "Blocks until all of the preceding write commands sent by "
                   "the connection are written to the append-only file of the "
                   "master and/or replicas.",
        .complexity = "O(1)",
        .syntax = "numlocal numreplicas timeout",
        .tips = "request_policy:all_shards,response_policy:agg_min",
        .timed_out = waitaof_timed_out },
    { .name = NULL },
};
