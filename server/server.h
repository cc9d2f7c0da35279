/*
 * server.h -- what the parts of server/ share: one struct, owned by LOOP.
 *
 * Parts keep their own state in structs of their own; what stands here is what
 * more than one of them needs.
 */
#ifndef WALDEN_SERVER_SERVER_H
#define WALDEN_SERVER_SERVER_H

#include "server/command.h"
#include "server/config.h"
#include "server/session.h"
#include "storage/keyspace.h"
#include "storage/store.h"

struct event_base;
struct listener;
struct blocked_table;
struct watch_table;
struct slowlog;
struct latency;

struct server {
    struct config config; /* the directives in force */
    struct event_base *base;
    struct store *store;
    struct keyspace *keyspace;

    struct session *sessions; /* all, newest first */
    size_t session_count;
    struct session *dirty; /* have bytes to write */
    struct map sessions_by_id;
    uint64_t next_session_id;
    size_t monitor_count;

    struct blocked_table *blocked;
    struct watch_table *watches;
    struct slowlog *slowlog;
    struct latency *latency;

    enum durability durability; /* of new sessions: to see it change */
    struct bucket *bucket;      /* NULL: none is configured */

    /* The output gate. */
    uint64_t shipped_seq;         /* everything up to it is in the bucket */
    uint64_t bucket_reported_seq; /* as SHIP said; may be ahead of LOOP */
    uint64_t durable_seq;         /* everything up to it is on disk */
    bool is_misconfigured;        /* D2: writes refused, reads served */
    char failure[256];            /* why */

    /* CLIENT PAUSE. */
    int64_t pause_until_ms; /* 0: none, and nothing expired is kept */
    bool pause_is_write_only;

    bool is_shutting_down;
    bool active_expire;     /* DEBUG SET-ACTIVE-EXPIRE */
    int64_t started_ms;     /* wall clock */
    int64_t started_us;     /* monotonic */
    int64_t last_save_ms;   /* wall clock, LASTSAVE */
    uint64_t saved_changes; /* keyspace_change_count() at that time */
    char run_id[41];
    const char *executable;
    char config_file[4096]; /* absolute; "" if none */

    struct server_stats {
        uint64_t connections, rejected_connections;
        uint64_t commands, net_in, net_out;
        uint64_t reads, writes; /* of sockets */
        uint64_t keyspace_hits, keyspace_misses;
        uint64_t error_replies, unexpected_errors;
        uint64_t peak_memory;
        uint64_t output_limit_disconnections, query_limit_disconnections;
        uint64_t passes;     /* of the loop */
        uint64_t held_bytes; /* replies held back now */
        double ops_per_second, net_in_per_second,
            net_out_per_second; /* bytes/s */
    } stats;
    struct map errors; /* error code -> count: errorstats */
};

/* An entry of server.errors. */
#define SERVER_ERROR_CODE_MAX 32 /* bytes, with the NUL; longer codes are cut */
#define SERVER_ERRORS_MAX 128    /* codes counted apart */
struct server_error {
    struct map_node node;
    uint64_t count;
    char code[SERVER_ERROR_CODE_MAX];
};

/* The process's only one. */
extern struct server server;

/* ---- executor.c -------------------------------------------------------- */

/* Run everything complete in session->in. */
void executor_run_input(struct session *session);
/* Run one request: admission, MULTI queueing, the handler, the gate. */
void executor_run(struct session *session, struct slice *argv, size_t argc);
/* The handler alone, replying into call->reply: for EXEC and retries.  Does */
/* prepare, statistics, slowlog, MONITOR. */
void executor_call(struct call *call);

/* ---- server.c ---------------------------------------------------------- */

/* Begin SHUTDOWN.  The loop ends after this pass; with_save false skips */
/* folding (the journal keeps everything; nothing is lost either way). */
void server_shutdown(bool with_save);
/* Count an error reply (its text without "-") in server.errors. */
void server_count_error(struct slice text);
/* Ask for SAVE; the session's reply waits until it is done (SAVE), or is */
/* sent at once (BGSAVE). */
void server_save(struct call *call, bool in_background);
/* DEBUG RELOAD: as SAVE; then everything leaves memory, before the reply. */
void server_reload(struct call *call);

/* Watches or blocked clients came or went: (un)subscribe to key changes. */
void server_update_watch(struct server *server);
/* The store_sync() with this token is done: answer those who wait. */
void server_saved(uint64_t token, enum status outcome);

/* ---- info.c ------------------------------------------------------------ */
/* INFO's text; sections: argv words, none: the default ones. */
void info_write(struct buf *out, struct slice *sections, size_t count);

/* ---- monitor.c, slowlog.c, latency.c ----------------------------------- */
void monitor_feed(const struct call *call, uint64_t seq);
void slowlog_add(
    struct slowlog *slowlog, const struct call *call, int64_t duration_us);
void latency_add(struct latency *latency, const char *event, int64_t ms);

#endif
