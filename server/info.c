/*
 * info.c -- INFO: the server's figures, a section a function.
 *
 * The sections and what "default", "all" and "everything" mean stand in the
 * table at the foot.  Names and order of Redis 7.2's fields are kept, since
 * programs read them; the figures of things Walden does not have are 0.
 * Section Storage is Walden's own.
 *
 * Keyspace figures tell of writes, so INFO with them waits for the open batch
 * as SCAN does (R1).
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/bucket.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/blocked.h"
#include "server/commands/transaction.h"
#include "server/info.h"
#include "server/latency.h"
#include "server/server.h"
#include "server/usage.h"
#include "server/version.h"
#include "server/watch.h"

#define LINE "\r\n"
#define HISTOGRAM_SLOTS 24

typedef unsigned long long ull; /* what %llu takes */

/* Keys expired until CONFIG RESETSTAT: the keyspace's counter only grows. */
static uint64_t expired_before;

static void
add(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s:%llu" LINE, name, (ull)value);
}

static void
add_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s:%s" LINE, name, value);
}

static void
add_human(struct buf *out, const char *name, uint64_t bytes)
{
    add(out, name, bytes);
    buf_printf(out, "%s_human:", name);
    usage_append_human(out, bytes);
    buf_append_text(out, LINE);
}

static void
add_ratio(struct buf *out, const char *name, uint64_t a, uint64_t b)
{
    buf_printf(out, "%s:%.2f" LINE, name, b > 0 ? (double)a / (double)b : 0.0);
}

/* Fields of Redis for what is not here: "name:0". */
static void
add_zeros(struct buf *out, const char *const *names)
{
    for (; *names != NULL; names++)
        add(out, *names, 0);
}

/* ---- Server, Clients ---------------------------------------------------- */

static void
write_listeners(struct buf *out)
{
    const struct config *config = &server.config;
    int count = 0;

    if (config->port != 0 && config->bind_count > 0) {
        buf_printf(out, "listener%d:name=tcp", count++);
        for (int i = 0; i < config->bind_count; i++)
            buf_printf(out, ",bind=%s", config->bind[i]);
        buf_printf(out, ",port=%lld" LINE, (long long)config->port);
    }
    if (config->unixsocket != NULL)
        buf_printf(out, "listener%d:name=unix,bind=%s" LINE, count,
            config->unixsocket);
}

static void
write_server(struct buf *out)
{
    struct utsname name;
    int64_t uptime_s = (clock_monotonic_us() - server.started_us) / 1000000;

    add_text(out, "redis_version", VERSION_REDIS);
    add_text(out, "walden_version", VERSION_WALDEN);
    add_text(out, "redis_git_sha1", "00000000");
    add(out, "redis_git_dirty", 0);
    add_text(out, "redis_build_id", "0");
    add_text(out, "redis_mode", "standalone");
    if (uname(&name) == 0)
        buf_printf(
            out, "os:%s %s %s" LINE, name.sysname, name.release, name.machine);
    add(out, "arch_bits", sizeof(long) * 8);
    add_text(out, "monotonic_clock", "POSIX clock_gettime");
    add_text(out, "multiplexing_api", "epoll");
    add_text(out, "gcc_version", __VERSION__);
    add(out, "process_id", (uint64_t)getpid());
    add_text(out, "process_supervised", "no");
    add_text(out, "run_id", server.run_id);
    add(out, "tcp_port", (uint64_t)server.config.port);
    add(out, "server_time_usec", (uint64_t)clock_wall_us());
    add(out, "uptime_in_seconds", (uint64_t)uptime_s);
    add(out, "uptime_in_days", (uint64_t)uptime_s / (3600 * 24));
    add(out, "hz", (uint64_t)server.config.hz);
    add(out, "configured_hz", (uint64_t)server.config.hz);
    add(out, "lru_clock", (uint64_t)(clock_wall_ms() / 1000) & 0xffffff);
    add_text(
        out, "executable", server.executable != NULL ? server.executable : "");
    add_text(out, "config_file", server.config_file);
    add(out, "io_threads_active", 0);
    write_listeners(out);
}

static void
write_clients(struct buf *out)
{
    size_t in_max = 0, out_max = 0, watching = 0;

    for (const struct session *session = server.sessions; session != NULL;
         session = session->next) {
        if (session->in.size > in_max)
            in_max = session->in.size;
        if (session->out.size > out_max)
            out_max = session->out.size;
        watching += session->watches != NULL;
    }
    add(out, "connected_clients", server.session_count);
    add(out, "cluster_connections", 0);
    add(out, "maxclients", (uint64_t)server.config.maxclients);
    add(out, "client_recent_max_input_buffer", in_max);
    add(out, "client_recent_max_output_buffer", out_max);
    add(out, "blocked_clients", blocked_count(&server));
    add(out, "tracking_clients", 0);
    add(out, "pubsub_clients", 0);
    add(out, "watching_clients", watching);
    add(out, "clients_in_timeout_table", blocked_deadline_count(&server));
    add(out, "total_watched_keys", watch_key_count(server.watches));
    add(out, "total_blocking_keys", blocked_key_count(&server));
    add(out, "total_blocking_keys_on_nokey", 0);
}

/* ---- Memory ------------------------------------------------------------- */

/* The word of a directive, as CONFIG GET says it. */
static void
append_value(const char *name, struct slice value, void *arg)
{
    (void)name;
    buf_append_slice(arg, value);
}

static void
add_directive(struct buf *out, const char *field, const char *directive)
{
    buf_printf(out, "%s:", field);
    config_get(&server.config, slice_from_text(directive), append_value, out);
    buf_append_text(out, LINE);
}

static uint64_t
minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void
write_allocator(struct buf *out, const struct usage *u)
{
    add_ratio(out, "allocator_frag_ratio", u->active, u->allocated);
    add(out, "allocator_frag_bytes", minus(u->active, u->allocated));
    add_ratio(out, "allocator_rss_ratio", u->mapped_resident, u->active);
    add(out, "allocator_rss_bytes", minus(u->mapped_resident, u->active));
    add_ratio(out, "rss_overhead_ratio", u->rss, u->mapped_resident);
    add(out, "rss_overhead_bytes", minus(u->rss, u->mapped_resident));
    add_ratio(out, "mem_fragmentation_ratio", u->rss, u->allocated);
    add(out, "mem_fragmentation_bytes", minus(u->rss, u->allocated));
}

static void
write_memory(struct buf *out)
{
    static const char *const zeros[] = { "mem_not_counted_for_evict",
        "mem_replication_backlog", "mem_total_replication_buffers",
        "mem_clients_slaves", NULL };
    struct keyspace_stats stats;
    struct usage usage;
    uint64_t clients = 0;

    usage_read(&usage);
    keyspace_stats(server.keyspace, &stats);
    for (const struct session *session = server.sessions; session != NULL;
         session = session->next)
        clients += session_memory(session);
    uint64_t overhead = minus(usage.allocated, stats.memory);

    add_human(out, "used_memory", usage.allocated);
    add_human(out, "used_memory_rss", usage.rss);
    add_human(out, "used_memory_peak", usage.peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%" LINE,
        100.0 * (double)usage.allocated / (double)(usage.peak + 1));
    add(out, "used_memory_overhead", overhead);
    add(out, "used_memory_startup", usage.startup);
    add(out, "used_memory_dataset", stats.memory);
    buf_printf(out, "used_memory_dataset_perc:%.2f%%" LINE,
        100.0 * (double)stats.memory / (double)(usage.allocated + 1));
    add(out, "allocator_allocated", usage.allocated);
    add(out, "allocator_active", usage.active);
    add(out, "allocator_resident", usage.mapped_resident);
    add_human(out, "total_system_memory", usage.machine);
    add_human(out, "used_memory_lua", 0);
    add_human(out, "used_memory_scripts", 0);
    add(out, "number_of_cached_scripts", 0);
    add_human(out, "maxmemory", server.config.maxmemory);
    add_directive(out, "maxmemory_policy", "maxmemory-policy");
    write_allocator(out, &usage);
    add_zeros(out, zeros);
    add(out, "mem_clients_normal", clients);
    add(out, "mem_cluster_links", 0);
    add(out, "mem_aof_buffer", keyspace_batch_size(server.keyspace));
    add_text(out, "mem_allocator", "jemalloc-5.3.0");
    add(out, "active_defrag_running", 0);
    add(out, "lazyfree_pending_objects", 0);
    add(out, "lazyfreed_objects", 0);
}

/* ---- Persistence, Storage ----------------------------------------------- */

static void
write_persistence(struct buf *out)
{
    static const char *const zeros[] = { "async_loading", "current_cow_peak",
        "current_cow_size", "current_cow_size_age", NULL };
    struct store_stats stats;

    store_stats(server.store, &stats);
    const char *outcome = server.is_misconfigured ? "err" : "ok";
    add(out, "loading", 0);
    add_zeros(out, zeros);
    add_text(out, "current_fork_perc", "0.00");
    add(out, "current_save_keys_processed", 0);
    add(out, "current_save_keys_total", 0);
    add(out, "rdb_changes_since_last_save",
        keyspace_change_count(server.keyspace) - server.saved_changes);
    add(out, "rdb_bgsave_in_progress", 0);
    add(out, "rdb_last_save_time", (uint64_t)server.last_save_ms / 1000);
    add_text(out, "rdb_last_bgsave_status", outcome);
    add_text(out, "rdb_last_bgsave_time_sec", "-1");
    add_text(out, "rdb_current_bgsave_time_sec", "-1");
    add(out, "rdb_saves", stats.checkpoints);
    add(out, "rdb_last_cow_size", 0);
    add(out, "rdb_last_load_keys_expired", 0);
    add(out, "rdb_last_load_keys_loaded", 0);
    add(out, "aof_enabled", 1);
    add(out, "aof_rewrite_in_progress", 0);
    add(out, "aof_rewrite_scheduled", 0);
    add_text(out, "aof_last_rewrite_time_sec", "-1");
    add_text(out, "aof_current_rewrite_time_sec", "-1");
    add_text(out, "aof_last_bgrewrite_status", outcome);
    add(out, "aof_rewrites", stats.folds);
    add(out, "aof_rewrites_consecutive_failures", 0);
    add_text(out, "aof_last_write_status", outcome);
    add(out, "aof_last_cow_size", 0);
    add(out, "module_fork_in_progress", 0);
    add(out, "module_fork_last_cow_size", 0);
    add(out, "aof_current_size", stats.journal_bytes);
    add(out, "aof_base_size", 0);
    add(out, "aof_pending_rewrite", 0);
    add(out, "aof_buffer_length", keyspace_batch_size(server.keyspace));
    add(out, "aof_pending_bio_fsync", 0);
    add(out, "aof_delayed_fsync", 0);
}

/* The value below which percent of the counted lie: the top of its slot. */
static uint64_t
slot_percentile(const uint64_t *slots, double percent)
{
    uint64_t total = 0, count = 0;

    for (int i = 0; i < HISTOGRAM_SLOTS; i++)
        total += slots[i];
    for (int i = 0; i < HISTOGRAM_SLOTS && total > 0; i++) {
        count += slots[i];
        if ((double)count >= percent / 100 * (double)total)
            return (UINT64_C(2) << i) - 1;
    }
    return 0;
}

/* "1=12,2=40,4=7": how many of up to 1, 3, 7, ... */
static void
add_slots(struct buf *out, const char *name, const uint64_t *slots)
{
    const char *comma = "";

    buf_printf(out, "%s:", name);
    for (int i = 0; i < HISTOGRAM_SLOTS; i++) {
        if (slots[i] == 0)
            continue;
        buf_printf(out, "%s%llu=%llu", comma, (ull)1 << i, (ull)slots[i]);
        comma = ",";
    }
    buf_append_text(out, LINE);
}

static void
write_commits(struct buf *out, const struct store_stats *stats)
{
    add(out, "commits", stats->commits);
    add(out, "commit_failures", stats->commit_failures);
    if (stats->last_error[0] != '\0')
        add_text(out, "last_commit_error", stats->last_error);
    add_slots(out, "batch_commands_hist", stats->batch_commands_hist);
    add(out, "batch_commands_p50",
        slot_percentile(stats->batch_commands_hist, 50));
    add(out, "batch_commands_p99",
        slot_percentile(stats->batch_commands_hist, 99));
    add_slots(out, "commit_usec_hist", stats->commit_us_hist);
    add(out, "commit_usec_p50", slot_percentile(stats->commit_us_hist, 50));
    add(out, "commit_usec_p99", slot_percentile(stats->commit_us_hist, 99));
    add(out, "commit_usec_p99.9", slot_percentile(stats->commit_us_hist, 99.9));
}

static void
write_storage(struct buf *out)
{
    struct store_stats store;
    struct keyspace_stats keys;

    store_stats(server.store, &store);
    keyspace_stats(server.keyspace, &keys);
    add_directive(out, "durability", "durability");
    add_text(out, "storage_status", server.is_misconfigured ? "failing" : "ok");
    add(out, "durable_seq", server.durable_seq);
    add(out, "open_seq", keyspace_open_seq(server.keyspace));
    add(out, "committed_seq", store.committed_seq);
    add(out, "folded_seq", store.folded_seq);
    add(out, "journal_bytes", store.journal_bytes);
    add(out, "journal_rows", store.journal_rows);
    add(out, "journal_bytes_written", store.journal_bytes_written);
    add(out, "fold_pending_rows", store.fold_pending_rows);
    add(out, "folds", store.folds);
    add(out, "fold_rows", store.fold_rows);
    add(out, "last_fold_time", (uint64_t)store.last_fold_end_ms / 1000);
    add(out, "direct_rows", store.direct_rows);
    add(out, "garbage_rows_deleted", store.garbage_rows_deleted);
    add(out, "checkpoints", store.checkpoints);
    add(out, "wal_bytes", store.wal_bytes);
    write_commits(out, &store);
    add(out, "held_replies_bytes", server.stats.held_bytes);
    add(out, "resident_keys", keys.resident);
    add(out, "dirty_keys", keys.dirty);
    add(out, "resident_bytes", keys.memory);
    add(out, "evicted_from_memory", keys.evicted);
    add(out, "loaded_keys", keys.loaded);
    add(out, "page_cache_bytes",
        reader_memory(keyspace_reader(server.keyspace)));
}

/* ---- Stats, Replication, CPU -------------------------------------------- */

static void
write_stats(struct buf *out)
{
    static const char *const zeros[] = { "evicted_clients",
        "total_eviction_exceeded_time", "current_eviction_exceeded_time",
        NULL };
    static const char *const more_zeros[] = { "pubsub_channels",
        "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec",
        "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
        "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
        "active_defrag_key_misses", "total_active_defrag_time",
        "current_active_defrag_time", "tracking_total_keys",
        "tracking_total_items", "tracking_total_prefixes", NULL };
    const struct server_stats *stats = &server.stats;
    struct keyspace_stats keys;

    keyspace_stats(server.keyspace, &keys);
    add(out, "total_connections_received", stats->connections);
    add(out, "total_commands_processed", stats->commands);
    add(out, "instantaneous_ops_per_sec", (uint64_t)stats->ops_per_second);
    add(out, "total_net_input_bytes", stats->net_in);
    add(out, "total_net_output_bytes", stats->net_out);
    add(out, "total_net_repl_input_bytes", 0);
    add(out, "total_net_repl_output_bytes", 0);
    buf_printf(out, "instantaneous_input_kbps:%.2f" LINE,
        stats->net_in_per_second / 1024);
    buf_printf(out, "instantaneous_output_kbps:%.2f" LINE,
        stats->net_out_per_second / 1024);
    add_text(out, "instantaneous_input_repl_kbps", "0.00");
    add_text(out, "instantaneous_output_repl_kbps", "0.00");
    add(out, "rejected_connections", stats->rejected_connections);
    add(out, "sync_full", 0);
    add(out, "sync_partial_ok", 0);
    add(out, "sync_partial_err", 0);
    add(out, "expired_keys", keys.expired - expired_before);
    add_text(out, "expired_stale_perc", "0.00");
    add(out, "expired_time_cap_reached_count", 0);
    add(out, "expire_cycle_cpu_milliseconds",
        keys.expired_stale_sweep_us / 1000);
    /* No key is ever lost by eviction; see evicted_from_memory. */
    add(out, "evicted_keys", 0);
    add_zeros(out, zeros);
    add(out, "keyspace_hits", stats->keyspace_hits);
    add(out, "keyspace_misses", stats->keyspace_misses);
    add_zeros(out, more_zeros);
    add(out, "unexpected_error_replies", stats->unexpected_errors);
    add(out, "total_error_replies", stats->error_replies);
    add(out, "dump_payload_sanitizations", 0);
    add(out, "total_reads_processed", stats->reads);
    add(out, "total_writes_processed", stats->writes);
    add(out, "total_loop_passes", stats->passes);
    add(out, "io_threaded_reads_processed", 0);
    add(out, "io_threaded_writes_processed", 0);
    add(out, "client_query_buffer_limit_disconnections",
        stats->query_limit_disconnections);
    add(out, "client_output_buffer_limit_disconnections",
        stats->output_limit_disconnections);
}

static void
write_replication(struct buf *out)
{
    add_text(out, "role", "master");
    add(out, "connected_slaves", 0);
    add_text(out, "master_failover_state", "no-failover");
    add_text(out, "master_replid", server.run_id);
    add_text(out, "master_replid2", "0000000000000000000000000000000000000000");
    add(out, "master_repl_offset", 0);
    add_text(out, "second_repl_offset", "-1");
    add(out, "repl_backlog_active", 0);
    add(out, "repl_backlog_size", 1048576);
    add(out, "repl_backlog_first_byte_offset", 0);
    add(out, "repl_backlog_histlen", 0);
}

static void
add_cpu(struct buf *out, const char *name, const struct timeval *time)
{
    buf_printf(out, "%s:%ld.%06ld" LINE, name, (long)time->tv_sec,
        (long)time->tv_usec);
}

static void
write_cpu(struct buf *out)
{
    struct rusage self, children, thread;

    (void)getrusage(RUSAGE_SELF, &self);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    (void)getrusage(RUSAGE_THREAD, &thread);
    add_cpu(out, "used_cpu_sys", &self.ru_stime);
    add_cpu(out, "used_cpu_user", &self.ru_utime);
    add_cpu(out, "used_cpu_sys_children", &children.ru_stime);
    add_cpu(out, "used_cpu_user_children", &children.ru_utime);
    add_cpu(out, "used_cpu_sys_main_thread", &thread.ru_stime);
    add_cpu(out, "used_cpu_user_main_thread", &thread.ru_utime);
}

static void
write_nothing(struct buf *out)
{
    (void)out;
}

/* ---- Commandstats, Errorstats, Latencystats ----------------------------- */

typedef void (*command_visit_fn)(
    const struct command *command, const char *name, struct buf *out);

/* Every row that ran or was refused, and its subcommands. */
static void
each_command(command_visit_fn visit, struct buf *out)
{
    for (const struct command *command = command_next(NULL); command != NULL;
         command = command_next(command)) {
        if (command->stats != NULL)
            visit(command, command->name, out);
        for (const struct command *sub = command->subcommands;
             sub != NULL && sub->name != NULL; sub++) {
            struct buf name = BUF_INIT;

            if (sub->stats == NULL)
                continue;
            buf_printf(&name, "%s|%s", command->name, sub->name);
            buf_append_byte(&name, '\0');
            visit(sub, name.data, out);
            buf_fini(&name);
        }
    }
}

static void
add_command_stats(
    const struct command *command, const char *name, struct buf *out)
{
    const struct command_stats *stats = command->stats;

    if (stats->calls == 0 && stats->failed == 0 && stats->rejected == 0)
        return;
    buf_printf(out,
        "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,"
        "rejected_calls=%llu,failed_calls=%llu" LINE,
        name, (ull)stats->calls, (ull)stats->usec,
        stats->calls > 0 ? (double)stats->usec / (double)stats->calls : 0.0,
        (ull)stats->rejected, (ull)stats->failed);
}

static void
write_commandstats(struct buf *out)
{
    each_command(add_command_stats, out);
}

static void
add_command_latency(
    const struct command *command, const char *name, struct buf *out)
{
    const struct command_stats *stats = command->stats;

    if (latency_count(stats) == 0)
        return;
    buf_printf(out,
        "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f" LINE, name,
        latency_percentile(stats, 50), latency_percentile(stats, 99),
        latency_percentile(stats, 99.9));
}

static void
write_latencystats(struct buf *out)
{
    each_command(add_command_latency, out);
}

static void
write_errorstats(struct buf *out)
{
    struct map_iter iter;
    struct map_node *node;

    map_iter_start(&iter, &server.errors);
    while ((node = map_iter_next(&iter)) != NULL) {
        const struct server_error *error =
            MAP_ENTRY(node, struct server_error, node);
        buf_printf(out, "errorstat_%s:count=%llu" LINE, error->code,
            (ull)error->count);
    }
}

/* ---- Cluster, Keyspace -------------------------------------------------- */

static void
write_cluster(struct buf *out)
{
    add(out, "cluster_enabled", 0);
}

static void
write_keyspace(struct buf *out)
{
    keyspace_observe_all(server.keyspace);
    for (int db = 0; db < server.config.databases; db++) {
        uint64_t keys = keyspace_count(server.keyspace, db);

        if (keys > 0)
            buf_printf(out, "db%d:keys=%llu,expires=%llu,avg_ttl=0" LINE, db,
                (ull)keys, (ull)keyspace_expiring_count(server.keyspace, db));
    }
}

/* ---- the table ---------------------------------------------------------- */

enum section_set {
    SECTION_DEFAULT = 1 << 0,
    SECTION_ALL = 1 << 1,
    SECTION_EVERYTHING = 1 << 2
};
#define IN_ALL (SECTION_ALL | SECTION_EVERYTHING)
#define IN_DEFAULT (SECTION_DEFAULT | IN_ALL)

static const struct section {
    const char *title;
    void (*write)(struct buf *out);
    unsigned sets;
} sections[] = {
    { "Server", write_server, IN_DEFAULT },
    { "Clients", write_clients, IN_DEFAULT },
    { "Memory", write_memory, IN_DEFAULT },
    { "Persistence", write_persistence, IN_DEFAULT },
    { "Storage", write_storage, IN_DEFAULT },
    { "Bucket", bucket_write_info, IN_DEFAULT },
    { "Stats", write_stats, IN_DEFAULT },
    { "Replication", write_replication, IN_DEFAULT },
    { "CPU", write_cpu, IN_DEFAULT },
    { "Modules", write_nothing, IN_DEFAULT },
    { "Commandstats", write_commandstats, IN_ALL },
    { "Errorstats", write_errorstats, IN_DEFAULT },
    { "Latencystats", write_latencystats, IN_ALL },
    { "Cluster", write_cluster, IN_DEFAULT },
    { "Keyspace", write_keyspace, IN_DEFAULT },
};

static bool
is_wanted(
    const struct section *section, const struct slice *words, size_t count)
{
    if (count == 0)
        return (section->sets & SECTION_DEFAULT) != 0;
    for (size_t i = 0; i < count; i++) {
        if (slice_is(words[i], section->title))
            return true;
        if ((slice_is(words[i], "default") &&
                (section->sets & SECTION_DEFAULT)) ||
            (slice_is(words[i], "all") && (section->sets & SECTION_ALL)) ||
            (slice_is(words[i], "everything") &&
                (section->sets & SECTION_EVERYTHING)))
            return true;
    }
    return false;
}

void
info_write(struct buf *out, struct slice *words, size_t count)
{
    bool is_first = true;

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!is_wanted(&sections[i], words, count))
            continue;
        if (!is_first)
            buf_append_text(out, LINE);
        is_first = false;
        buf_printf(out, "# %s" LINE, sections[i].title);
        sections[i].write(out);
    }
}

static void
free_error(struct map_node *node, void *arg)
{
    (void)arg;
    memory_free(MAP_ENTRY(node, struct server_error, node));
}

static void
reset_command(const struct command *command, const char *name, struct buf *out)
{
    (void)name;
    (void)out;
    latency_forget(command->stats);
    *command->stats = (struct command_stats){ 0 };
}

void
info_reset(void)
{
    struct keyspace_stats keys;
    struct server_stats *stats = &server.stats;

    keyspace_stats(server.keyspace, &keys);
    expired_before = keys.expired;
    *stats = (struct server_stats){
        .peak_memory = stats->peak_memory,
        .held_bytes = stats->held_bytes,
        .passes = stats->passes,
    };
    map_clear(&server.errors, free_error, NULL);
    each_command(reset_command, NULL);
}
