/*
 * server.c -- the server as a whole: its start, its end, and SAVE.
 *
 * Start: database, keyspace, loop, then the sockets: whoever can connect finds
 * everything there.  End: no more requests; what is open is committed and its
 * replies leave; the journal is folded into the tables, the WAL into the file.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/base/random.h"
#include "server/blocked_table.h"
#include "server/bucket.h"
#include "server/config_table.h"
#include "server/latency.h"
#include "server/listener.h"
#include "server/loop.h"
#include "server/run.h"
#include "server/slowlog.h"
#include "server/transport.h"
#include "server/watch.h"

#define ERROR_SIZE 512    /* bytes of a start-up error */
#define RESERVED_FILES 64 /* descriptors for other things than clients */
/* A journal may always have so much, however small maxmemory is. */
#define JOURNAL_SHARE_MIN (32 * 1024 * 1024) /* bytes */
#define TAKEOVER_TRIES 5
#define FOLD_SLICE_US 1000

struct server server;

/* ---- options of the parts ---------------------------------------------- */

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void
fill_store_options(const struct config *config, struct store_options *options)
{
    store_options_init(options);
    options->path = config->dbfilename;
    /* What is in the journal cannot leave memory: it is part of the cache. */
    uint64_t share = config->maxmemory / 2;
    if (config->maxmemory == 0)
        share = config->journal_size_max;
    else if (share < JOURNAL_SHARE_MIN)
        share = JOURNAL_SHARE_MIN;
    options->journal_size_max = least(config->journal_size_max, share);
    options->journal_fold_size = least(config->journal_fold_size, share / 2);
    options->checkpoint_size = config->checkpoint_size;
    options->fold_idle_ms = (int)config->fold_idle_ms;
    options->fold_slice_us = FOLD_SLICE_US;
}

static struct keyspace_options
make_keyspace_options(const struct config *config)
{
    return (struct keyspace_options){
        .databases = (int)config->databases,
        .memory_max = config->maxmemory,
        .is_lfu = config_is_lfu(config),
    };
}

void
server_apply_storage(void)
{
    if (server.store == NULL || server.keyspace == NULL)
        return;
    struct store_options store_options;
    fill_store_options(&server.config, &store_options);
    store_set_options(server.store, &store_options);
    struct keyspace_options options = make_keyspace_options(&server.config);
    keyspace_set_options(server.keyspace, &options);
}

/* ---- key changes ------------------------------------------------------- */

static void
on_key_changed(int db, struct slice name, enum key_type type, void *arg)
{
    watch_signal(arg, db, name);
    blocked_signal(arg, db, name, type);
}

void
server_update_watch(struct server *srv)
{
    static bool is_subscribed;
    bool is_needed =
        !watch_table_is_empty(srv->watches) || blocked_has_keys(srv->blocked);
    if (is_needed == is_subscribed)
        return;
    is_subscribed = is_needed;
    keyspace_set_watch(srv->keyspace, is_needed ? on_key_changed : NULL, srv);
}

/* ---- error statistics -------------------------------------------------- */

static bool
has_code(const struct map_node *node, const void *key)
{
    const struct slice *code = key;
    const struct server_error *error =
        MAP_ENTRY(node, const struct server_error, node);
    return strlen(error->code) == code->len &&
           memcmp(error->code, code->data, code->len) == 0;
}

void
server_count_error(struct slice text)
{
    struct slice code = { text.data, 0 };
    while (code.len < text.len && code.len < SERVER_ERROR_CODE_MAX - 1 &&
           text.data[code.len] != ' ' && text.data[code.len] != '\r' &&
           text.data[code.len] != '\0')
        code.len++;
    struct map_node *node =
        map_find(&server.errors, hash_slice(code), has_code, &code);
    if (node != NULL) {
        MAP_ENTRY(node, struct server_error, node)->count++;
        return;
    }
    if (server.errors.count >= SERVER_ERRORS_MAX)
        return;
    struct server_error *error = memory_zalloc(sizeof(*error));
    memcpy(error->code, code.data, code.len);
    error->count = 1;
    map_add(&server.errors, &error->node, hash_slice(code));
}

/* ---- SAVE -------------------------------------------------------------- */

/*
 * Each SAVE and BGSAVE is one token; a sync that is done answers all who asked
 * before it began.
 */
static struct {
    uint64_t token;     /* the newest given out */
    uint64_t done;      /* the newest answered */
    uint64_t *sessions; /* ids of those who wait, by token */
    uint64_t *tokens;
    size_t len, size;
    uint64_t reload_token; /* DEBUG RELOAD waits for it; 0: nobody does */
} saves;

static void
add_waiter(uint64_t session_id, uint64_t token)
{
    if (saves.len == saves.size) {
        saves.size = saves.size > 0 ? 2 * saves.size : 4;
        saves.sessions = memory_realloc(
            saves.sessions, saves.size * sizeof(*saves.sessions));
        saves.tokens =
            memory_realloc(saves.tokens, saves.size * sizeof(*saves.tokens));
    }
    saves.sessions[saves.len] = session_id;
    saves.tokens[saves.len++] = token;
}

void
server_save(struct call *call, bool in_background)
{
    if (call->server->is_misconfigured) {
        reply_error(call->reply, call->server->failure);
        return;
    }
    uint64_t token = ++saves.token;
    if (in_background) {
        reply_simple(call->reply, call->is_in_exec
                                      ? "Background saving scheduled"
                                      : "Background saving started");
    } else if (call->is_in_exec) {
        reply_ok(call->reply);
    } else {
        add_waiter(call->session->id, token);
        blocked_on_task(call);
    }
    loop_sync(token);
}

void
server_reload(struct call *call)
{
    server_save(call, false);
    saves.reload_token = saves.token;
}

/* Everything is folded: forget what is in memory, if DEBUG RELOAD asked. */
static void
reload(uint64_t token)
{
    if (saves.reload_token == 0 || token < saves.reload_token)
        return;
    saves.reload_token = 0;
    (void)keyspace_evict_all(server.keyspace);
}

void
server_saved(uint64_t token, enum status outcome)
{
    if (token == UINT64_MAX)
        token = saves.token;
    if (token > saves.token)
        return; /* somebody else's */
    if (outcome == STATUS_OK) {
        server.last_save_ms = clock_wall_ms();
        server.saved_changes = keyspace_change_count(server.keyspace);
        reload(token);
        log_notice("DB saved on disk");
    } else if (saves.len > 0 || token > saves.done) {
        log_warning("Saving failed: %s", status_text(outcome));
    }
    saves.done = token;
    char error[ERROR_SIZE];
    (void)snprintf(error, sizeof(error),
        "ERR the database could not be saved: "
        "%s",
        status_text(outcome));
    size_t kept = 0;
    for (size_t i = 0; i < saves.len; i++) {
        if (saves.tokens[i] > token) {
            saves.sessions[kept] = saves.sessions[i];
            saves.tokens[kept++] = saves.tokens[i];
            continue;
        }
        struct session *session = session_find(&server, saves.sessions[i]);
        if (session != NULL)
            blocked_finish(session, outcome == STATUS_OK ? NULL : error);
    }
    saves.len = kept;
}

/* ---- start ------------------------------------------------------------- */

/* As Redis: as many clients as there are descriptors for. */
void
server_raise_file_limit(void)
{
    struct config *config = &server.config;
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->maxclients + RESERVED_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    struct rlimit raised = { wanted,
        limit.rlim_max > wanted ? limit.rlim_max : wanted };
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return;
    raised = (struct rlimit){ limit.rlim_max < wanted ? limit.rlim_max : wanted,
        limit.rlim_max };
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    if (limit.rlim_cur >= wanted)
        return;
    int64_t clients = (int64_t)limit.rlim_cur - RESERVED_FILES;
    if (clients < 1)
        clients = 1;
    log_warning("maxclients has been reduced to %lld: only %llu open files "
                "are allowed. Raise 'ulimit -n'.",
        (long long)clients, (unsigned long long)limit.rlim_cur);
    config->maxclients = clients;
}

/* A configuration made for Redis may name its snapshot as the database. */
static void
hint_at_rdb(const char *path)
{
    char magic[5] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return;
    if (fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
        memcmp(magic, "REDIS", sizeof(magic)) == 0)
        log_warning("%s is a snapshot made by Redis, which Walden does not "
                    "read. Give dbfilename another name.",
            path);
    (void)fclose(file);
}

static enum status
open_storage(struct server *srv)
{
    char error[ERROR_SIZE] = "";
    struct store_options store_options;
    fill_store_options(&srv->config, &store_options);
    enum status status = bucket_prepare(srv, &store_options);
    if (status != STATUS_OK)
        return status;
    status = store_open(&srv->store, &store_options, error, sizeof(error));
    if (status != STATUS_OK) {
        log_warning("Cannot open the database %s in %s: %s",
            srv->config.dbfilename, srv->config.dir,
            error[0] != '\0' ? error : status_text(status));
        hint_at_rdb(srv->config.dbfilename);
        return status;
    }
    const struct store_counters *counters = store_counters(srv->store);
    hash_set_seed(counters->hash_seed);
    srv->durable_seq = counters->seq;
    struct keyspace_options options = make_keyspace_options(&srv->config);
    status = keyspace_new(&srv->keyspace, srv->store, &options);
    if (status != STATUS_OK)
        log_warning("Cannot read the database: %s", status_text(status));
    return status;
}

/*
 * Open the database and, with a bucket, take its prefix over.  A server that
 * died a moment ago may still have an upload under way, which then wins: what
 * was restored here is behind by one; the next try throws it away and restores
 * that too.
 */
static enum status
open_and_own(struct server *srv)
{
    for (int left = TAKEOVER_TRIES;; left--) {
        enum status status = open_storage(srv);
        if (status == STATUS_OK)
            status = bucket_take_over(srv);
        if (status != STATUS_CONFLICT || srv->bucket == NULL)
            return status;
        bool may_retry = bucket_is_disposable(srv) && left > 1;
        keyspace_free(srv->keyspace);
        srv->keyspace = NULL;
        store_abandon(srv->store);
        srv->store = NULL;
        bucket_close(srv, false);
        if (!may_retry)
            return status;
        log_notice("bucket: starting over");
    }
}

static enum status
open_base(struct server *srv)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return STATUS_NO_MEMORY;
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    srv->base = event_base_new_with_config(config);
    event_config_free(config);
    return srv->base != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status
server_start(void)
{
    struct server *srv = &server;
    char error[ERROR_SIZE] = "";
    srv->started_ms = clock_wall_ms();
    srv->started_us = clock_monotonic_us();
    srv->last_save_ms = srv->started_ms;
    srv->active_expire = true;
    srv->durability = (enum durability)srv->config.durability;
    random_hex(srv->run_id, 40);
    server_raise_file_limit();
    map_init(&srv->sessions_by_id);
    map_init(&srv->errors);
    srv->blocked = blocked_table_new();
    srv->watches = watch_table_new();
    srv->slowlog = slowlog_new();
    srv->latency = latency_new();
    enum status status = open_base(srv);
    if (status == STATUS_OK)
        status = open_and_own(srv);
    if (status != STATUS_OK)
        return status;
    /* Maps are used from here on: the hash's key came from the database. */
    command_init();
    status = loop_start(srv);
    if (status == STATUS_OK)
        status = bucket_watch(srv);
    if (status == STATUS_OK)
        status = listener_open(srv, error, sizeof(error));
    if (status != STATUS_OK)
        log_warning("%s", error[0] != '\0' ? error : status_text(status));
    return status;
}

/* ---- end --------------------------------------------------------------- */

static bool must_fold = true;

void
server_shutdown(bool with_save)
{
    must_fold = with_save;
    server.is_shutting_down = true;
}

static void
free_error(struct map_node *node, void *arg)
{
    (void)arg;
    memory_free(MAP_ENTRY(node, struct server_error, node));
}

/* Fold first: what folding writes is shipped too, and nothing after it. */
static void
ship_rest(struct server *srv)
{
    if (must_fold)
        loop_fold(srv);
    bucket_drain(srv);
}

void
server_stop(void)
{
    struct server *srv = &server;
    bool is_sound = true;
    listener_close();
    bucket_begin_stop(srv);
    if (srv->keyspace != NULL && srv->blocked != NULL)
        is_sound = loop_drain(srv);
    if (is_sound && srv->bucket != NULL && srv->store != NULL)
        ship_rest(srv);
    while (srv->sessions != NULL)
        session_free(srv->sessions);
    loop_stop(srv);
    keyspace_free(srv->keyspace);
    if (srv->store != NULL) {
        if (must_fold && is_sound)
            store_close(srv->store);
        else
            store_abandon(srv->store);
    }
    bucket_close(srv, must_fold && is_sound);
    blocked_table_free(srv->blocked);
    watch_table_free(srv->watches);
    slowlog_free(srv->slowlog);
    latency_free(srv->latency);
    map_clear(&srv->errors, free_error, NULL);
    map_fini(&srv->errors);
    map_fini(&srv->sessions_by_id);
    if (srv->base != NULL)
        event_base_free(srv->base);
    memory_free(saves.sessions);
    memory_free(saves.tokens);
}
