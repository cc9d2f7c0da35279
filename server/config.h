/*
 * config.h -- redis.conf: the directives, in one table.
 *
 * The table (config_table.c) says for each directive: name, kind, where in
 * struct config it lives, default, limits, whether CONFIG SET may change it,
 * and what to do after a change.  Parsing, CONFIG GET/SET/REWRITE, --directive
 * arguments and the test that redis.conf.example is complete read the table.
 */
#ifndef WALDEN_SERVER_CONFIG_H
#define WALDEN_SERVER_CONFIG_H

#include "server/base/buf.h"

#include <stdint.h>

#define CONFIG_BIND_MAX 16
#define CONFIG_CLIENT_CLASSES 3 /* normal, replica, pubsub */

/* As enum durability. */
enum config_durability {
    CONFIG_DURABILITY_MEMORY,
    CONFIG_DURABILITY_DISK,
    CONFIG_DURABILITY_BUCKET
};

/* Who may DEBUG; local: through a unix socket or the loopback interface. */
enum config_debug { CONFIG_DEBUG_NO, CONFIG_DEBUG_YES, CONFIG_DEBUG_LOCAL };

struct config_output_limit {
    uint64_t hard, soft; /* bytes, 0: none */
    int64_t soft_seconds;
};

struct config {
    /* network */
    char *bind[CONFIG_BIND_MAX];
    int bind_count;
    int64_t port;           /* 0: no TCP */
    char *unixsocket;       /* NULL: none */
    int64_t unixsocketperm; /* octal mode, 0: leave */
    bool protected_mode;
    int64_t tcp_backlog, tcp_keepalive_s, timeout_s;
    int64_t maxclients;
    char *requirepass;            /* NULL or "": none */
    int64_t enable_debug_command; /* enum config_debug */
    /* files and process */
    char *dir, *dbfilename, *logfile, *pidfile;
    bool daemonize;
    int64_t loglevel; /* enum log_level */
    int64_t databases;
    int64_t hz;
    /* limits */
    uint64_t maxmemory;       /* bytes; a cache size */
    int64_t maxmemory_policy; /* index into its words */
    int64_t maxmemory_samples;
    uint64_t client_query_buffer_limit, proto_max_bulk_len;
    struct config_output_limit output_limits[CONFIG_CLIENT_CLASSES];
    uint64_t held_replies_max; /* bytes of all replies held: R3 */
    /* durability and storage */
    int64_t durability; /* enum config_durability */
    int64_t appendfsync;
    uint64_t journal_fold_size, journal_size_max, checkpoint_size;
    int64_t fold_idle_ms;
    /* bucket */
    char *bucket_url; /* NULL: none */
    char *bucket_endpoint, *bucket_region, *bucket_ca_file;
    char *bucket_access_key, *bucket_secret_key, *bucket_session_token;
    bool bucket_path_style, unsafe_no_fencing;
    int64_t bucket_sync_interval_ms;
    char *bucket_compaction_intervals; /* seconds, for levels 1 to 3 */
    int64_t bucket_snapshot_interval_s, bucket_retention_s;
    int64_t bucket_level0_retention_s;
    uint64_t bucket_outbox_limit;
    int64_t bucket_outbox_full; /* enum shipper_full */
    int64_t bucket_uploads_per_minute;
    int64_t bucket_shutdown_timeout_s, bucket_lag_warning_s;
    /* objects */
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t list_max_listpack_size, list_compress_depth;
    int64_t set_max_intset_entries, set_max_listpack_entries;
    int64_t set_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    /* observing */
    int64_t slowlog_log_slower_than_us, slowlog_max_len;
    int64_t latency_monitor_threshold_ms;
    bool latency_tracking;
    int64_t lfu_log_factor, lfu_decay_time_min;
    bool active_expire_enabled;
    /* What redis.conf files say that means nothing here: kept, so that */
    /* CONFIG GET answers and CONFIG REWRITE does not lose it. */
    struct config_ignored *ignored;
};

/* Defaults. */
void config_init(struct config *config);
void config_fini(struct config *config);
/*
 * Read a file (path; NULL: none), standard input if has_stdin, and then the
 * --directive arguments.
 * Fails: STATUS_INVALID, STATUS_NOT_FOUND, STATUS_IO; error then holds Redis's
 * "FATAL CONFIG FILE ERROR" lines with file and line number.
 */
MUST_CHECK enum status config_load(struct config *config, const char *path,
    bool has_stdin, char *const *arguments, int argument_count,
    struct buf *error);

/* CONFIG GET: visit name and value of each directive matching the glob. */
typedef void (*config_visit_fn)(
    const char *name, struct slice value, void *arg);
void config_get(const struct config *config, struct slice pattern,
    config_visit_fn visit, void *arg);
/*
 * CONFIG SET: all pairs or none.  error: the text after "ERR CONFIG SET failed
 * (possibly related to argument '...') - ".
 */
MUST_CHECK enum status config_set(struct config *config, struct slice *pairs,
    size_t count, const char **failed_name, struct buf *error);
/* CONFIG REWRITE, keeping comments and order, atomically. */
MUST_CHECK enum status config_rewrite(
    const struct config *config, const char *path);

#endif
