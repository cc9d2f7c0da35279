/*
 * memory.c -- MEMORY.
 *
 * USAGE answers what the keyspace accounts to the key: what evicting it would
 * free.  It is exact and O(1), so SAMPLES is read and changes nothing.
 */
#include "server/commands/admin.h"
#include "server/server.h"
#include "server/usage.h"

#define DOCTOR_SIZE_MIN (5 * 1024 * 1024) /* bytes allocated */

static void
memory_usage(struct call *call)
{
    int64_t samples;

    for (size_t at = 3; at < call->argc; at++) {
        if (!call_arg_is(call, at, "SAMPLES") || at + 1 >= call->argc) {
            reply_error(call->reply, ERROR_SYNTAX);
            return;
        }
        if (!call_get_i64(call, ++at, &samples, NULL))
            return;
        if (samples < 0) {
            reply_error(call->reply, ERROR_SYNTAX);
            return;
        }
    }
    struct key *key = keyspace_peek(call->keyspace, call->db, call->argv[2]);
    if (key == NULL)
        reply_null(call->reply);
    else
        reply_int(call->reply, (int64_t)key->memory);
}

static void
reply_figure(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_text(reply, name);
    reply_int(reply, (int64_t)value);
}

static void
reply_ratio(struct reply *reply, const char *name, double a, double b)
{
    reply_bulk_text(reply, name);
    reply_double(reply, b > 0 ? a / b : 0);
}

static uint64_t
count_keys(const struct server *srv)
{
    uint64_t count = 0;

    for (int db = 0; db < srv->config.databases; db++)
        count += keyspace_count(srv->keyspace, db);
    return count;
}

static uint64_t
count_session_memory(const struct server *srv)
{
    uint64_t bytes = 0;

    for (const struct session *session = srv->sessions; session != NULL;
         session = session->next)
        bytes += session_memory(session);
    return bytes;
}

static uint64_t
minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void
reply_allocator(struct reply *reply, const struct usage *u)
{
    reply_figure(reply, "allocator.allocated", u->allocated);
    reply_figure(reply, "allocator.active", u->active);
    reply_figure(reply, "allocator.resident", u->mapped_resident);
    reply_ratio(reply, "allocator-fragmentation.ratio", (double)u->active,
        (double)u->allocated);
    reply_figure(
        reply, "allocator-fragmentation.bytes", minus(u->active, u->allocated));
    reply_ratio(reply, "allocator-rss.ratio", (double)u->mapped_resident,
        (double)u->active);
    reply_figure(
        reply, "allocator-rss.bytes", minus(u->mapped_resident, u->active));
    reply_ratio(reply, "rss-overhead.ratio", (double)u->rss,
        (double)u->mapped_resident);
    reply_figure(
        reply, "rss-overhead.bytes", minus(u->rss, u->mapped_resident));
    reply_ratio(reply, "fragmentation", (double)u->rss, (double)u->allocated);
    reply_figure(reply, "fragmentation.bytes", minus(u->rss, u->allocated));
}

static void
memory_stats(struct call *call)
{
    struct reply *reply = call->reply;
    struct keyspace_stats stats;
    struct usage usage;

    keyspace_observe_all(call->keyspace);
    usage_read(&usage);
    keyspace_stats(call->keyspace, &stats);
    uint64_t keys = count_keys(call->server);
    uint64_t clients = count_session_memory(call->server);
    uint64_t overhead = minus(usage.allocated, stats.memory);
    uint64_t dataset = minus(usage.allocated, overhead);

    reply_map(reply, 28);
    reply_figure(reply, "peak.allocated", usage.peak);
    reply_figure(reply, "total.allocated", usage.allocated);
    reply_figure(reply, "startup.allocated", usage.startup);
    reply_figure(reply, "replication.backlog", 0);
    reply_figure(reply, "clients.slaves", 0);
    reply_figure(reply, "clients.normal", clients);
    reply_figure(reply, "cluster.links", 0);
    reply_figure(reply, "aof.buffer", 0);
    reply_figure(reply, "lua.caches", 0);
    reply_figure(reply, "functions.caches", 0);
    reply_figure(reply, "overhead.total", overhead);
    reply_figure(reply, "keys.count", keys);
    reply_figure(reply, "keys.bytes-per-key",
        stats.resident > 0 ? stats.memory / stats.resident : 0);
    reply_figure(reply, "dataset.bytes", dataset);
    reply_ratio(reply, "dataset.percentage", 100 * (double)dataset,
        (double)minus(usage.allocated, usage.startup));
    reply_ratio(reply, "peak.percentage", 100 * (double)usage.allocated,
        (double)usage.peak);
    reply_figure(reply, "storage.page-cache",
        reader_memory(keyspace_reader(call->keyspace)));
    reply_allocator(reply, &usage);
}

static void
memory_doctor(struct call *call)
{
    struct usage usage;
    const char *text =
        "Hi Sam, I can't find any memory issue in your instance. I can only "
        "account for what occurs on this base.\n";

    usage_read(&usage);
    if (usage.allocated < DOCTOR_SIZE_MIN)
        text = "Hi Sam, this instance is empty or is using very little "
               "memory, my issues detector can't be used in these "
               "conditions. Please, leave for your mission on Earth and fill "
               "it with some data. The new Sam and I will be back to our "
               "programming as soon as I finished rebooting.\n";
    reply_verbatim(call->reply, "txt", text, strlen(text));
}

static void
memory_malloc_stats(struct call *call)
{
    struct buf out = BUF_INIT;

    usage_write_report(&out);
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

static void
memory_purge(struct call *call)
{
    usage_purge();
    reply_ok(call->reply);
}

static void
memory_help(struct call *call)
{
    static const char *const lines[] = { "DOCTOR",
        "    Return memory problems reports.", "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS", "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested "
        "values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        NULL };

    call_reply_help(call, lines);
}

#define TIPS_SPECIAL                                     \
    "nondeterministic_output,request_policy:all_shards," \
    "response_policy:special"

struct command memory_subcommands[] = {
    { .name = "doctor",
        .run = memory_doctor,
        .arity = 2,
        .since = "4.0.0",
        .group = "server",
        .summary = "Outputs a memory problems report.",
        .complexity = "O(1)",
        .tips = TIPS_SPECIAL },
    { .name = "help",
        .run = memory_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .since = "4.0.0",
        .group = "server",
        .summary = ADMIN_HELP_SUMMARY,
        .complexity = "O(1)" },
    { .name = "malloc-stats",
        .run = memory_malloc_stats,
        .arity = 2,
        .since = "4.0.0",
        .group = "server",
        .summary = "Returns the allocator statistics.",
        .complexity = "Depends on how much memory is allocated, could be slow",
        .tips = TIPS_SPECIAL },
    { .name = "purge",
        .run = memory_purge,
        .arity = 2,
        .since = "4.0.0",
        .group = "server",
        .summary = "Asks the allocator to release memory.",
        .complexity = "Depends on how much memory is allocated, could be slow",
        .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "stats",
        .run = memory_stats,
        .arity = 2,
        .since = "4.0.0",
        .group = "server",
        .summary = "Returns details about memory usage.",
        .complexity = "O(1)",
        .tips = TIPS_SPECIAL },
    { .name = "usage",
        .run = memory_usage,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = { 2, 2, 1, 0, KEYS_RO },
        .since = "4.0.0",
        .group = "server",
        .summary = "Estimates the memory usage of a key.",
        .complexity = "O(N) where N is the number of samples.",
        .syntax = "key [SAMPLES count]" },
    { .name = NULL },
};
