/*
 * client.c -- CLIENT: what a client asks about connections, and sets on its
 * own.  LIST and KILL are in client_filter.c.
 *
 * CLIENT DURABILITY is Walden's own: the level at which this connection's
 * replies are held back.
 *
 * Client-side caching is not there: TRACKING ON is refused, and the commands
 * that report it answer what Redis answers while it is off.
 */
#include "server/blocked.h"
#include "server/bucket.h"
#include "server/commands/client_filter.h"
#include "server/commands/connection.h"
#include "server/server.h"

#include "server/base/number.h"

static void
client_id(struct call *call)
{
    reply_int(call->reply, (int64_t)call->session->id);
}

static void
client_info(struct call *call)
{
    struct buf out = BUF_INIT;

    session_describe(call->session, &out);
    buf_append_byte(&out, '\n');
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

static void
client_setname(struct call *call)
{
    if (!connection_check_name(call->argv[2])) {
        reply_error(call->reply, CONNECTION_BAD_NAME);
        return;
    }
    connection_set_text(&call->session->name, call->argv[2]);
    reply_ok(call->reply);
}

static void
client_getname(struct call *call)
{
    if (call->session->name == NULL)
        reply_null(call->reply);
    else
        reply_bulk_text(call->reply, call->session->name);
}

static void
client_setinfo(struct call *call)
{
    struct slice option = call->argv[2];
    char **text;

    if (slice_is(option, "lib-name")) {
        text = &call->session->lib_name;
    } else if (slice_is(option, "lib-ver")) {
        text = &call->session->lib_version;
    } else {
        reply_error_format(call->reply, "ERR Unrecognized option '%.*s'",
            (int)(option.len < 128 ? option.len : 128), option.data);
        return;
    }
    if (!connection_check_name(call->argv[3])) {
        reply_error_format(call->reply,
            "ERR %.*s cannot contain spaces, newlines or special characters.",
            (int)option.len, option.data);
        return;
    }
    connection_set_text(text, call->argv[3]);
    reply_ok(call->reply);
}

/* ---- REPLY, NO-EVICT, NO-TOUCH, DURABILITY ------------------------------ */

static void
client_reply(struct call *call)
{
    struct session *session = call->session;

    if (call_arg_is(call, 2, "ON")) {
        session->flags &=
            ~(unsigned)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT |
                        SESSION_REPLY_SKIP);
        call->reply->is_muted = false;
        reply_ok(call->reply);
    } else if (call_arg_is(call, 2, "OFF")) {
        session->flags |= SESSION_REPLY_OFF;
        call->reply->is_muted = true;
    } else if (call_arg_is(call, 2, "SKIP")) {
        if (!(session->flags & SESSION_REPLY_OFF))
            session->flags |= SESSION_REPLY_SKIP_NEXT;
        call->reply->is_muted = true;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
    }
}

/* ON sets flag, OFF clears it. */
static void
set_flag(struct call *call, unsigned flag)
{
    if (call_arg_is(call, 2, "ON")) {
        call->session->flags |= flag;
    } else if (call_arg_is(call, 2, "OFF")) {
        call->session->flags &= ~flag;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    reply_ok(call->reply);
}

static void
client_no_evict(struct call *call)
{
    set_flag(call, SESSION_NO_EVICT);
}

static void
client_no_touch(struct call *call)
{
    set_flag(call, SESSION_NO_TOUCH);
}

static void
client_durability(struct call *call)
{
    struct session *session = call->session;
    enum durability level = DURABILITY_MEMORY;

    if (call->argc == 2) {
        reply_bulk_text(
            call->reply, session_durability_text(session->durability));
        return;
    }
    if (call->argc > 3) {
        call_reply_subcommand_error(call);
        return;
    }
    while (level <= DURABILITY_BUCKET &&
           !call_arg_is(call, 2, session_durability_text(level)))
        level++;
    if (level > DURABILITY_BUCKET) {
        reply_error(call->reply, ERROR_SYNTAX);
    } else if (level == DURABILITY_BUCKET && call->server->bucket == NULL) {
        reply_error(call->reply, "ERR " BUCKET_MISSING);
    } else {
        session->durability = level;
        reply_ok(call->reply);
    }
}

/* ---- PAUSE, UNPAUSE, UNBLOCK -------------------------------------------- */

static void
client_pause(struct call *call)
{
    struct server *s = call->server;
    bool is_write_only = false;
    int64_t timeout_ms;

    if (call->argc == 4) {
        is_write_only = call_arg_is(call, 3, "WRITE");
        if (!is_write_only && !call_arg_is(call, 3, "ALL")) {
            reply_error(
                call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    } else if (call->argc > 4) {
        call_reply_subcommand_error(call);
        return;
    }
    if (!call_get_i64(call, 2, &timeout_ms,
            "ERR timeout is not an integer or out of range"))
        return;
    if (timeout_ms < 0 || timeout_ms > INT64_MAX - call->now_ms) {
        reply_error(call->reply, timeout_ms < 0
                                     ? "ERR timeout is negative"
                                     : "ERR timeout is out of range");
        return;
    }
    int64_t until_ms = call->now_ms + timeout_ms;
    /* A pause in force is never made weaker or shorter. */
    bool is_paused = s->pause_until_ms > call->now_ms;
    s->pause_is_write_only =
        is_write_only && (!is_paused || s->pause_is_write_only);
    if (!is_paused || until_ms > s->pause_until_ms)
        s->pause_until_ms = until_ms;
    reply_ok(call->reply);
}

static void
client_unpause(struct call *call)
{
    call->server->pause_until_ms = 0;
    keyspace_keep_expired(call->keyspace, false);
    reply_ok(call->reply);
}

static void
client_unblock(struct call *call)
{
    bool with_error = false;
    int64_t id;

    if (call->argc > 4) {
        call_reply_subcommand_error(call);
        return;
    }
    if (call->argc == 4) {
        with_error = call_arg_is(call, 3, "ERROR");
        if (!with_error && !call_arg_is(call, 3, "TIMEOUT")) {
            reply_error(call->reply,
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    if (!call_get_i64(call, 2, &id, ERROR_NOT_INTEGER))
        return;
    struct session *target = session_find(call->server, (uint64_t)id);
    bool was_blocked =
        target != NULL && (target->flags & SESSION_BLOCKED) &&
        blocked_cancel(
            target, with_error ? "UNBLOCKED client unblocked via CLIENT UNBLOCK"
                               : NULL);
    reply_int(call->reply, was_blocked);
}

/* ---- tracking ----------------------------------------------------------- */

static void
client_tracking(struct call *call)
{
    if (call_arg_is(call, 2, "ON"))
        reply_error(call->reply, "ERR client side caching is not supported");
    else if (call_arg_is(call, 2, "OFF"))
        reply_ok(call->reply);
    else
        reply_error(call->reply, ERROR_SYNTAX);
}

static void
client_caching(struct call *call)
{
    reply_error(call->reply,
        "ERR CLIENT CACHING can be called only when the client is in tracking "
        "mode with OPTIN or OPTOUT mode enabled");
}

static void
client_getredir(struct call *call)
{
    reply_int(call->reply, -1);
}

static void
client_trackinginfo(struct call *call)
{
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "flags");
    reply_set(call->reply, 1);
    reply_bulk_text(call->reply, "off");
    reply_bulk_text(call->reply, "redirect");
    reply_int(call->reply, -1);
    reply_bulk_text(call->reply, "prefixes");
    reply_array(call->reply, 0);
}

static void
client_help(struct call *call)
{
    static const char *const lines[] = { "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in "
        "OPTIN/OPTOUT modes.",
        "DURABILITY [MEMORY|DISK|BUCKET]",
        "    Set or return how durable a write is before its reply is sent "
        "to the current connection.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is "
        "enabled.",
        "GETNAME", "    Return the name of the current connection.", "ID",
        "    Return the ID of the current connection.", "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>", "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.", "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.", "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>", "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.", "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.", NULL };

    call_reply_help(call, lines);
}

/* ---- the table ---------------------------------------------------------- */

#define FLAGS_OWN (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define FLAGS_ADMIN (CMD_ADMIN | FLAGS_OWN)

static struct command client_subcommands[] = {
    { .name = "caching",
        .run = client_caching,
        .arity = 3,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Instructs the server whether to track the keys in the "
                   "next request.",
        .complexity = "O(1)",
        .syntax = "<YES | NO>" },
    { .name = "durability",
        .run = client_durability,
        .arity = -2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "7.2.0",
        .group = "connection",
        .summary = "Sets or returns how durable a write is before the reply.",
        .complexity = "O(1)",
        .syntax = "[MEMORY | DISK]" },
    { .name = "getname",
        .run = client_getname,
        .arity = 2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "2.6.9",
        .group = "connection",
        .summary = "Returns the name of the connection.",
        .complexity = "O(1)" },
    { .name = "getredir",
        .run = client_getredir,
        .arity = 2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Returns the client ID to which the connection's tracking "
                   "notifications are redirected.",
        .complexity = "O(1)" },
    { .name = "help",
        .run = client_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Returns helpful text about the different subcommands.",
        .complexity = "O(1)" },
    { .name = "id",
        .run = client_id,
        .arity = 2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Returns the unique client ID of the connection.",
        .complexity = "O(1)" },
    { .name = "info",
        .run = client_info,
        .arity = 2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Returns information about the connection.",
        .complexity = "O(1)",
        .tips = "nondeterministic_output" },
    { .name = "kill",
        .run = client_filter_kill,
        .arity = -3,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "2.4.0",
        .group = "connection",
        .summary = "Terminates open connections.",
        .complexity = "O(N) where N is the number of client connections",
        .syntax = "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | "
                  "SLAVE | REPLICA | PUBSUB>] | [USER username] | "
                  "[ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>]> "
                  "[...]>" },
    { .name = "list",
        .run = client_filter_list,
        .arity = -2,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "2.4.0",
        .group = "connection",
        .summary = "Lists open connections.",
        .complexity = "O(N) where N is the number of client connections",
        .syntax = "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] "
                  "[ID client-id [client-id ...]]",
        .tips = "nondeterministic_output" },
    { .name = "no-evict",
        .run = client_no_evict,
        .arity = 3,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "7.0.0",
        .group = "connection",
        .summary = "Sets the client eviction mode of the connection.",
        .complexity = "O(1)",
        .syntax = "<ON | OFF>" },
    { .name = "no-touch",
        .run = client_no_touch,
        .arity = 3,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "7.2.0",
        .group = "connection",
        .summary = "Controls whether commands sent by the client affect the "
                   "LRU/LFU of accessed keys.",
        .complexity = "O(1)",
        .syntax = "<ON | OFF>" },
    { .name = "pause",
        .run = client_pause,
        .arity = -3,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "2.9.50",
        .group = "connection",
        .summary = "Suspends commands processing.",
        .complexity = "O(1)",
        .syntax = "timeout [WRITE | ALL]" },
    { .name = "reply",
        .run = client_reply,
        .arity = 3,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "3.2.0",
        .group = "connection",
        .summary = "Instructs the server whether to reply to commands.",
        .complexity = "O(1)",
        .syntax = "<ON | OFF | SKIP>" },
    { .name = "setinfo",
        .run = client_setinfo,
        .arity = 4,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "7.2.0",
        .group = "connection",
        .summary = "Sets information specific to the client or connection.",
        .complexity = "O(1)",
        .syntax = "<LIB-NAME libname | LIB-VER libver>",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "setname",
        .run = client_setname,
        .arity = 3,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "2.6.9",
        .group = "connection",
        .summary = "Sets the connection name.",
        .complexity = "O(1)",
        .syntax = "connection-name",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "tracking",
        .run = client_tracking,
        .arity = -3,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Controls server-assisted client-side caching for the "
                   "connection.",
        .complexity = "O(1). Some options may introduce additional "
                      "complexity.",
        .syntax = "<ON | OFF> [REDIRECT client-id] "
                  "[PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] "
                  "[OPTOUT] [NOLOOP]" },
    { .name = "trackinginfo",
        .run = client_trackinginfo,
        .arity = 2,
        .flags = FLAGS_OWN,
        .acl = ACL_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Returns information about server-assisted client-side "
                   "caching for the connection.",
        .complexity = "O(1)" },
    { .name = "unblock",
        .run = client_unblock,
        .arity = -3,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Unblocks a client blocked by a blocking command from a "
                   "different connection.",
        .complexity = "O(log N) where N is the number of client connections",
        .syntax = "client-id [TIMEOUT | ERROR]" },
    { .name = "unpause",
        .run = client_unpause,
        .arity = 2,
        .flags = FLAGS_ADMIN,
        .acl = ACL_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Resumes processing commands from paused clients.",
        .complexity = "O(N) Where N is the number of paused clients" },
    { .name = NULL },
};

struct command commands_client[] = {
    { .name = "client",
        .arity = -2,
        .since = "2.4.0",
        .group = "connection",
        .summary = "A container for client connection commands.",
        .complexity = "Depends on subcommand.",
        .subcommands = client_subcommands },
    { .name = NULL },
};
