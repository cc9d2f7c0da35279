/*
 * admin.c -- TIME, LASTSAVE, SAVE and its kin, SHUTDOWN, INFO, MONITOR, ROLE,
 * REPLICAOF, LOLWUT, and the containers whose subcommands have files of their
 * own (SLOWLOG, LATENCY, MEMORY, ACL).
 *
 * Nothing acknowledged ever waits for SAVE: it folds the journal into the
 * tables and checkpoints, so that the file is level and the next start quick.
 * BGREWRITEAOF is the nearest thing to that under its old name: it folds.
 */
#include "server/base/clock.h"
#include "server/commands/admin.h"
#include "server/server.h"
#include "server/version.h"

static void
admin_time(struct call *call)
{
    int64_t now_us = clock_wall_us();

    reply_array(call->reply, 2);
    reply_bulk_i64(call->reply, now_us / 1000000);
    reply_bulk_i64(call->reply, now_us % 1000000);
}

static void
info(struct call *call)
{
    struct buf out = BUF_INIT;

    info_write(&out, call->argv + 1, call->argc - 1);
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

/* ---- saving ------------------------------------------------------------- */

static void
lastsave(struct call *call)
{
    reply_int(call->reply, call->server->last_save_ms / 1000);
}

static void
save(struct call *call)
{
    server_save(call, false);
}

static void
bgsave(struct call *call)
{
    if (call->argc > 2 ||
        (call->argc == 2 && !call_arg_is(call, 1, "SCHEDULE"))) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    server_save(call, true);
}

static void
bgrewriteaof(struct call *call)
{
    store_request_fold(call->server->store);
    reply_simple(call->reply, "Background append only file rewriting started");
}

enum shutdown_flag {
    SHUTDOWN_NOSAVE = 1 << 0,
    SHUTDOWN_SAVE = 1 << 1,
    SHUTDOWN_NOW = 1 << 2,
    SHUTDOWN_FORCE = 1 << 3,
    SHUTDOWN_ABORT = 1 << 4
};

/* enum shutdown_flag; -1: error replied. */
static int
parse_shutdown(struct call *call)
{
    static const char *const words[] = { "NOSAVE", "SAVE", "NOW", "FORCE",
        "ABORT" };
    int flags = 0;

    for (size_t at = 1; at < call->argc; at++) {
        size_t i = 0;
        while (i < 5 && !call_arg_is(call, at, words[i]))
            i++;
        flags |= 1 << i;
    }
    bool is_contrary = (flags & SHUTDOWN_NOSAVE) && (flags & SHUTDOWN_SAVE);
    bool is_abort_with_more =
        (flags & SHUTDOWN_ABORT) && flags != SHUTDOWN_ABORT;
    if (flags < 1 << 5 && !is_contrary && !is_abort_with_more)
        return flags;
    reply_error(call->reply, ERROR_SYNTAX);
    return -1;
}

static void
admin_shutdown(struct call *call)
{
    int flags = parse_shutdown(call);

    if (flags < 0)
        return;
    if (flags & SHUTDOWN_ABORT) {
        reply_error(call->reply, "ERR No shutdown in progress.");
        return;
    }
    if (call->server->is_misconfigured &&
        !(flags & (SHUTDOWN_NOSAVE | SHUTDOWN_FORCE))) {
        reply_error(call->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    server_shutdown(!(flags & SHUTDOWN_NOSAVE));
}

/* ---- MONITOR ------------------------------------------------------------ */

static void
monitor(struct call *call)
{
    if (call->is_in_exec) {
        reply_error(
            call->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (!(call->session->flags & SESSION_MONITOR)) {
        call->session->flags |= SESSION_MONITOR;
        call->server->monitor_count++;
    }
    reply_ok(call->reply);
}

/* ---- replication: there is none of Redis's kind ------------------------- */

static void
role(struct call *call)
{
    reply_array(call->reply, 3);
    reply_bulk_text(call->reply, "master");
    reply_int(call->reply, 0);
    reply_array(call->reply, 0);
}

static void
replicaof(struct call *call)
{
    if (call_arg_is(call, 1, "NO") && call_arg_is(call, 2, "ONE"))
        reply_ok(call->reply);
    else
        reply_error(call->reply,
            "ERR Redis replication is not supported: this server cannot be "
            "a replica");
}

static void
lolwut(struct call *call)
{
    static const char text[] =
        "     ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
        "   ~    everything acknowledged    ~\n"
        "  ~     is at the bottom of the      ~\n"
        "   ~            pond               ~\n"
        "     ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
        "\nRedis ver. " VERSION_REDIS " (Walden " VERSION_WALDEN ")\n";

    reply_verbatim(call->reply, "txt", text, sizeof(text) - 1);
}

/* ---- the table ---------------------------------------------------------- */

#define FLAGS_SAVE (CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING)
#define CONTAINER(NAME, SINCE, SUMMARY, SUBCOMMANDS)                  \
    {                                                                 \
        .name = NAME, .arity = -2, .since = SINCE, .group = "server", \
        .summary = SUMMARY, .complexity = "Depends on subcommand.",   \
        .subcommands = SUBCOMMANDS                                    \
    }

struct command commands_admin[] = {
    CONTAINER("acl", "6.0.0", "A container for Access List Control commands.",
        acl_subcommands),
    { .name = "bgrewriteaof",
        .run = bgrewriteaof,
        .arity = 1,
        .flags = FLAGS_SAVE,
        .since = "1.0.0",
        .group = "server",
        .summary = "Asynchronously rewrites the append-only file to disk.",
        .complexity = "O(1)" },
    { .name = "bgsave",
        .run = bgsave,
        .arity = -1,
        .flags = FLAGS_SAVE,
        .since = "1.0.0",
        .group = "server",
        .summary = "Asynchronously saves the database(s) to disk.",
        .complexity = "O(1)",
        .syntax = "[SCHEDULE]" },
    { .name = "info",
        .run = info,
        .arity = -1,
        .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_DANGEROUS,
        .since = "1.0.0",
        .group = "server",
        .summary = "Returns information and statistics about the server.",
        .complexity = "O(1)",
        .syntax = "[section [section ...]]",
        .tips = "nondeterministic_output,request_policy:all_shards,"
                "response_policy:special" },
    { .name = "lastsave",
        .run = lastsave,
        .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .acl = ACL_ADMIN | ACL_DANGEROUS,
        .since = "1.0.0",
        .group = "server",
        .summary =
            "Returns the Unix timestamp of the last successful save to disk.",
        .complexity = "O(1)",
        .tips = "nondeterministic_output" },
    CONTAINER("latency", "2.8.13",
        "A container for latency diagnostics commands.", latency_subcommands),
    { .name = "lolwut",
        .run = lolwut,
        .arity = -1,
        .flags = CMD_READONLY | CMD_FAST,
        .since = "5.0.0",
        .group = "server",
        .summary = "Displays computer art and the Redis version",
        .syntax = "[VERSION version]" },
    CONTAINER("memory", "4.0.0", "A container for memory diagnostics commands.",
        memory_subcommands),
    { .name = "monitor",
        .run = monitor,
        .arity = 1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
        .since = "1.0.0",
        .group = "server",
        .summary = "Listens for all requests received by the server in "
                   "real-time." },
    { .name = "replicaof",
        .run = replicaof,
        .arity = 3,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .since = "5.0.0",
        .group = "server",
        .summary = "Configures a server as replica of another, or promotes "
                   "it to a master.",
        .complexity = "O(1)",
        .syntax = "<host port | NO ONE>" },
    { .name = "role",
        .run = role,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST,
        .acl = ACL_ADMIN | ACL_DANGEROUS,
        .since = "2.8.12",
        .group = "server",
        .summary = "Returns the replication role.",
        .complexity = "O(1)" },
    { .name = "save",
        .run = save,
        .arity = 1,
        .flags = FLAGS_SAVE | CMD_NO_MULTI,
        .since = "1.0.0",
        .group = "server",
        .summary = "Synchronously saves the database(s) to disk.",
        .complexity =
            "O(N) where N is the total number of keys in all databases" },
    { .name = "shutdown",
        .run = admin_shutdown,
        .arity = -1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE |
                 CMD_NO_MULTI | CMD_ALLOW_BUSY,
        .since = "1.0.0",
        .group = "server",
        .summary = "Synchronously saves the database(s) to disk and shuts "
                   "down the Redis server.",
        .complexity = "O(N) when saving, where N is the total number of keys "
                      "in all databases when saving data, otherwise O(1)",
        .syntax = "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]" },
    { .name = "slaveof",
        .run = replicaof,
        .arity = 3,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .since = "1.0.0",
        .deprecated_since = "5.0.0",
        .replaced_by = "`REPLICAOF`",
        .group = "server",
        .summary = "Sets a Redis server as a replica of another, or "
                   "promotes it to being a master.",
        .complexity = "O(1)",
        .syntax = "<host port | NO ONE>" },
    CONTAINER("slowlog", "2.2.12", "A container for slow log commands.",
        slowlog_subcommands),
    { .name = "time",
        .run = admin_time,
        .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .since = "2.6.0",
        .group = "server",
        .summary = "Returns the server time.",
        .complexity = "O(1)",
        .tips = "nondeterministic_output" },
    { .name = NULL },
};
