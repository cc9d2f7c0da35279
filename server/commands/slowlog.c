/*
 * slowlog.c -- SLOWLOG.
 */
#include "server/commands/admin.h"
#include "server/server.h"
#include "server/slowlog.h"

#include "server/base/number.h"

#define ENTRIES_DEFAULT 10

static void
reply_entry(struct reply *reply, const struct slowlog_entry *entry)
{
    reply_array(reply, 6);
    reply_int(reply, entry->id);
    reply_int(reply, entry->time_s);
    reply_int(reply, entry->duration_us);
    reply_array(reply, entry->argc);
    for (size_t i = 0; i < entry->argc; i++)
        reply_slice(reply, entry->argv[i]);
    reply_bulk_text(reply, entry->address);
    reply_bulk_text(reply, entry->name);
}

static void
slowlog_get(struct call *call)
{
    const struct slowlog *slowlog = call->server->slowlog;
    int64_t count = ENTRIES_DEFAULT;

    if (call->argc > 3) {
        call_reply_subcommand_error(call);
        return;
    }
    if (call->argc == 3 &&
        !call_get_i64_in(call, 2, -1, INT64_MAX, &count,
            "ERR count should be greater than or equal to -1"))
        return;
    if (count == -1 || (uint64_t)count > slowlog_len(slowlog))
        count = (int64_t)slowlog_len(slowlog);
    reply_array(call->reply, (size_t)count);
    for (const struct slowlog_entry *entry = slowlog_newest(slowlog); count > 0;
         entry = entry->next, count--)
        reply_entry(call->reply, entry);
}

static void
slowlog_get_len(struct call *call)
{
    reply_int(call->reply, (int64_t)slowlog_len(call->server->slowlog));
}

static void
slowlog_reset(struct call *call)
{
    slowlog_clear(call->server->slowlog);
    reply_ok(call->reply);
}

static void
slowlog_help(struct call *call)
{
    static const char *const lines[] = { "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 "
        "mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP "
        "and port,",
        "    client name", "LEN", "    Return the length of the slowlog.",
        "RESET", "    Reset the slowlog.", NULL };

    call_reply_help(call, lines);
}

struct command slowlog_subcommands[] = {
    { .name = "get",
        .run = slowlog_get,
        .arity = -2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .since = "2.2.12",
        .group = "server",
        .summary = "Returns the slow log's entries.",
        .complexity = "O(N) where N is the number of entries returned",
        .syntax = "[count]",
        .tips = "request_policy:all_nodes,nondeterministic_output" },
    { .name = "help",
        .run = slowlog_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .since = "6.2.0",
        .group = "server",
        .summary = "Show helpful text about the different "
                   "subcommands",
        .complexity = "O(1)" },
    { .name = "len",
        .run = slowlog_get_len,
        .arity = 2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .since = "2.2.12",
        .group = "server",
        .summary = "Returns the number of entries in the slow log.",
        .complexity = "O(1)",
        .tips = "request_policy:all_nodes,response_policy:agg_sum,"
                "nondeterministic_output" },
    { .name = "reset",
        .run = slowlog_reset,
        .arity = 2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .since = "2.2.12",
        .group = "server",
        .summary = "Clears all entries from the slow log.",
        .complexity = "O(N) where N is the number of entries in the slowlog",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = NULL },
};
