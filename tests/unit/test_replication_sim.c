/*
 * test_replication_sim.c -- two servers on one prefix of a bad object store,
 * for many seeds: shipper, keeper, start-up and restore against a fake clock.
 *
 *   test_replication_sim [first seed [count]]
 *
 * A server is a real SQLite database in WAL mode with a tap, an outbox, a
 * shipper and a keeper.  By seed it commits, reads, checkpoints (in part while
 * it reads), stalls (also in the middle of a step), is killed, started again,
 * and shut down; another one takes the prefix over while it is stalled or
 * alive.  With every fourth seed there is one server only, whose outbox is so
 * small that history is given up again and again: it must never find itself
 * fenced or refused.  The keeper merges from memory what was just shipped, by
 * seed: never, with so little memory that most is dropped, or all of it.
 *
 * Asserted all the time:
 *   - a new level-0 object is the successor of the newest one (B1), or comes,
 *     unacknowledged, from a server that was stalled until the true one went
 *   - no txid is acknowledged twice (B1)
 *   - frames are never overwritten before they were taken (B2): or the digests
 *     below would differ
 * and in the end, when the network is well again:
 *   - every acknowledged commit is in the newest state, and of each server's
 *     commits a prefix is there
 *   - restored to any txid that can be restored, the state is the one that was
 *     acknowledged with it
 *   - what was not taken over drains; then nothing is requested (B5)
 *
 * Long because one world's parts (servers, steps, judgement) share its state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/keeper.h"
#include "replication/layout.h"
#include "replication/recent.h"
#include "replication/restore.h"
#include "replication/shipper.h"
#include "replication/startup.h"
#include "replication/startupposition.h"
#include "replication/take.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/base/random.h"
#include "tests/fault/memstore.h"
#include "tests/unit/tempdir.h"

#define SEEDS 120 /* without an argument */
#define STEPS 500
#define SLOTS 2
#define LIVES_MAX 64
#define SEQ_MAX 512
#define TXID_MAX 4096
#define RETENTION_MS 300000
#define RECENT_SMALL 10000 /* bytes in memory: a few files */
#define RECENT_LARGE 10000000

/* One run of a server, from start to death. */
struct life {
    uint64_t digests[SEQ_MAX]; /* of the state after each commit */
    uint64_t seq;              /* commits */
    uint64_t acked_seq;
};

struct server {
    struct sim *sim;
    char folder[TEMPDIR_SIZE + 16], path[TEMPDIR_SIZE + 32];
    struct life *life; /* NULL: dead */
    int life_number;
    sqlite3 *db, *reader;
    sqlite3_stmt *read; /* under way: a checkpoint is partial meanwhile */
    struct tap *tap;
    struct outbox *outbox;
    struct unowned *mark;
    struct objectstore *store;
    struct recent *recent;
    struct shipper *shipper;
    struct keeper *keeper;
    struct take_image *image; /* of the keeper's snapshot */
    uint64_t image_txid;
    uint64_t shipped_txid;
    int64_t died_ms; /* of its last life */
    int64_t stalled_until_ms;
    int64_t stale_now_ms; /* the step it was stalled in; 0: none */
    bool is_urgent, has_rival;
    bool is_checkpointing, is_whole; /* the tap is not told of the end yet */
};

struct sim {
    uint64_t seed, random;
    char folder[TEMPDIR_SIZE];
    int64_t now_ms;
    struct memworld *world;
    struct memstore_faults faults;
    struct objectstore *clean;
    struct server servers[SLOTS];
    struct life lives[LIVES_MAX];
    int life_count;
    uint64_t newest0;
    bool deleted[TXID_MAX]; /* from level 0 */
    int acked_by[TXID_MAX]; /* life number + 1 */
    uint64_t acked_digest[TXID_MAX];
    struct shipper_options options;
    uint64_t acks, fences, conflicts;
    bool is_single;
    uint64_t recent_size; /* bytes in memory for the keeper; 0: none */
    uint64_t early_files;
    uint64_t rest; /* one in so many steps disturbs a server */
};

static uint64_t total_acks, total_fences, total_conflicts, total_compactions;
static uint64_t total_snapshots, total_deletes, total_restores;
static uint64_t total_gets[2]; /* of servers without and with all in memory */
static uint64_t total_ghosts;  /* objects that came where retention had been */
static uint64_t total_losses;  /* known at a start only by what the disk says */

static void
give_up(const struct sim *sim, const char *why)
{
    fprintf(stderr, "seed %" PRIu64 ": %s\n", sim->seed, why);
    fflush(stderr);
    abort();
}

/* With SIM_LOG in the environment: what happens, for one seed. */
static void __attribute__((format(printf, 3, 4))) trace(
    const struct sim *sim, const struct server *server, const char *format, ...)
{
    va_list args;

    if (getenv("SIM_LOG") == NULL)
        return;
    fprintf(stderr, "%9" PRId64 " ", sim->now_ms);
    if (server != NULL)
        fprintf(stderr, "server %d life %d: ", (int)(server - sim->servers),
            server->life_number);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static uint64_t
draw(struct sim *sim, uint64_t bound)
{
    uint64_t z = (sim->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

/* ---- the database ------------------------------------------------------- */

static void
execute(sqlite3 *db, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, error);
        abort();
    }
}

static void
hash_bytes(uint64_t *hash, const void *data, size_t len)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ at[i]) * UINT64_C(0x100000001b3);
}

/* What the database says, whatever its pages look like. */
static uint64_t
take_digest(sqlite3 *db)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    sqlite3_stmt *statement;

    CHECK(sqlite3_prepare_v2(db,
              "SELECT id, 0 FROM log UNION ALL SELECT k, v FROM kv", -1,
              &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);
        hash_bytes(&hash, &id, sizeof(id));
        const void *value = sqlite3_column_blob(statement, 1);
        hash_bytes(&hash, value, (size_t)sqlite3_column_bytes(statement, 1));
    }
    sqlite3_finalize(statement);
    return hash == 0 ? 1 : hash;
}

static int
note_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct server *server = arg;

    (void)db;
    (void)name;
    server->is_checkpointing = false;
    tap_publish(server->tap, (uint64_t)frames, server->life->seq,
        draw(server->sim, 2) == 0);
    return SQLITE_OK;
}

static void
commit(struct server *server)
{
    struct sim *sim = server->sim;
    struct life *life = server->life;
    char sql[512];
    int writes = (int)draw(sim, 4);

    if (life->seq + 1 >= SEQ_MAX)
        return;
    life->seq++;
    execute(server->db, "BEGIN IMMEDIATE");
    snprintf(sql, sizeof(sql),
        "INSERT INTO log VALUES(%d * 1000000 + %" PRIu64 ")",
        server->life_number, life->seq);
    execute(server->db, sql);
    for (int i = 0; i < writes; i++) {
        if (draw(sim, 8) == 0)
            snprintf(sql, sizeof(sql), "DELETE FROM kv WHERE k < %d",
                (int)draw(sim, 16));
        else
            snprintf(sql, sizeof(sql),
                "REPLACE INTO kv VALUES(%d, zeroblob(%d) || '%" PRIu64 "')",
                (int)draw(sim, 16), (int)draw(sim, 3000), draw(sim, 1 << 30));
        execute(server->db, sql);
    }
    execute(server->db, "COMMIT");
    life->digests[life->seq] = take_digest(server->db);
    if (draw(sim, 3) == 0)
        /* Its own, or one that is not committed yet. */
        shipper_want(server->shipper, life->seq + draw(sim, 2));
}

/* Begin to read, or end. */
static void
turn_reader(struct server *server)
{
    if (server->read != NULL) {
        sqlite3_finalize(server->read);
        server->read = NULL;
        return;
    }
    CHECK(sqlite3_prepare_v2(server->reader, "SELECT k FROM kv, log", -1,
              &server->read, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(server->read) != SQLITE_BUSY);
}

/* Seen by the tap here, or at the next commit. */
static void
end_checkpoint(struct server *server)
{
    if (server->is_checkpointing)
        tap_end_reset(server->tap, server->is_whole);
    server->is_checkpointing = false;
}

static void
checkpoint(struct server *server)
{
    int frames = 0, copied = 0;
    int mode = draw(server->sim, 4) == 0 ? SQLITE_CHECKPOINT_TRUNCATE
                                         : SQLITE_CHECKPOINT_PASSIVE;

    if (!tap_may_reset(server->tap, 0))
        return;
    int rc =
        sqlite3_wal_checkpoint_v2(server->db, NULL, mode, &frames, &copied);
    CHECK(rc == SQLITE_OK || (rc == SQLITE_BUSY && server->read != NULL));
    server->is_checkpointing = true;
    server->is_whole = rc == SQLITE_OK && copied == frames;
    if (draw(server->sim, 4) != 0)
        end_checkpoint(server);
}

static void
note_wake(bool is_urgent, void *arg)
{
    struct server *server = arg;

    server->is_urgent = server->is_urgent || is_urgent;
}

static void
open_database(struct server *server)
{
    CHECK(sqlite3_open_v2(server->path, &server->db,
              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK);
    execute(server->db, "PRAGMA page_size=1024; PRAGMA auto_vacuum=FULL;"
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
                        "PRAGMA wal_autocheckpoint=0");
    server->tap = tap_new(server->path);
    tap_set_wake(server->tap, note_wake, server);
    sqlite3_wal_hook(server->db, note_commit, server);
    execute(server->db,
        "CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY);"
        "CREATE TABLE IF NOT EXISTS kv(k INTEGER PRIMARY KEY, v BLOB)");
    CHECK(sqlite3_open_v2(server->path, &server->reader, SQLITE_OPEN_READONLY,
              NULL) == SQLITE_OK);
}

/* ---- a server's life ---------------------------------------------------- */

static enum status
make_snapshot(int fd, uint64_t *size, uint64_t *txid, void *arg)
{
    struct server *server = arg;
    struct tap_position position;
    enum status status;

    if (server->image == NULL) {
        if (!tap_try_hold(server->tap))
            return STATUS_BUSY;
        if (!shipper_position(
                server->shipper, false, &server->image_txid, &position)) {
            tap_release(server->tap);
            return STATUS_BUSY;
        }
        struct take_header header = { .min_txid = 1,
            .max_txid = server->image_txid,
            .timestamp_ms = server->sim->now_ms };
        status = take_image_start(
            &server->image, server->tap, server->path, &position, &header, fd);
        if (status != STATUS_OK)
            give_up(server->sim, "a snapshot could not be started");
    }
    status = take_image_step(server->image, draw(server->sim, 2) ? 0 : 10000);
    if (status == STATUS_BUSY)
        return status;
    if (status != STATUS_OK)
        give_up(server->sim, "a snapshot could not be made");
    *size = take_image_size(server->image);
    *txid = server->image_txid;
    take_image_free(server->image);
    server->image = NULL;
    tap_release(server->tap);
    return status;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void
wipe(struct server *server)
{
    (void)nftw(server->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    CHECK(mkdir(server->folder, 0777) == 0);
}

static enum status
look_around(struct server *server, struct startup_result *result)
{
    struct buf error = BUF_INIT;
    volatile int stop = 0;
    enum status status;

    CHECK(outbox_open(&server->outbox, server->path, &error) == STATUS_OK);
    struct startup_options options = { .store = server->sim->clean,
        .bucket = "the world",
        .outbox = server->outbox,
        .database_path = server->path,
        .stop = &stop };
    status = startup_run(&options, result, &error);
    buf_append_byte(&error, '\0');
    if (status != STATUS_OK) {
        if (status != STATUS_CONFLICT)
            give_up(server->sim, error.data);
        if (!server->has_rival)
            give_up(server->sim, error.data);
        outbox_close(server->outbox);
    }
    buf_fini(&error);
    return status;
}

static void
start_server(struct server *server)
{
    struct sim *sim = server->sim;
    struct startup_result result;
    struct keeper_options keeping = {
        .level_interval_ms = { 30000, 120000, 600000 },
        .snapshot_interval_ms = 900000,
        .retention_ms = 1200000,
        .level0_retention_ms = RETENTION_MS,
        .deletes = true,
        .scratch = sim->folder,
    };

    if (sim->life_count == LIVES_MAX)
        return;
    memworld_advance(sim->world, sim->now_ms);
    if (look_around(server, &result) != STATUS_OK) {
        trace(sim, server, "finds that it has diverged");
        sim->conflicts++;
        wipe(server);
        CHECK(look_around(server, &result) == STATUS_OK);
    }
    total_losses += result.start.needs_image ? 1 : 0;
    server->mark = result.mark;
    server->life_number = sim->life_count++;
    server->life = &sim->lives[server->life_number];
    open_database(server);
    server->store = memstore_open(sim->world, &sim->faults);
    sim->options.node_id = draw(sim, UINT64_C(1) << 62) + 1;
    sim->options.can_fence = result.can_fence;
    sim->options.scratch = sim->folder;
    sim->options.database_path = server->path;
    server->recent = sim->recent_size > 0 ? recent_new(sim->recent_size) : NULL;
    sim->options.recent = server->recent;
    keeping.recent = server->recent;
    keeping.early_files = sim->early_files;
    server->shipper = shipper_new(server->store, server->tap, server->outbox,
        &sim->options, &result.start);
    server->keeper = keeper_new(server->store, &keeping, make_snapshot, server);
    struct shipper_status status;
    shipper_status(server->shipper, &status);
    server->shipped_txid = status.shipped_txid;
    server->stalled_until_ms = 0;
    server->stale_now_ms = 0;
    server->is_urgent = false;
    server->has_rival = false;
    server->is_checkpointing = false;
    for (int i = 0; i < SLOTS; i++) {
        struct server *other = &sim->servers[i];
        /* Requests of the dead, also its own, may still be on their way. */
        if (sim->now_ms < other->died_ms + 60000)
            server->has_rival = true;
        if (other == server)
            continue;
        other->has_rival = true;
        if (other->life != NULL)
            server->has_rival = true;
    }
    trace(sim, server, "starts at txid %" PRIu64 " (outbox from %" PRIu64 ")",
        result.start.txid, server->shipped_txid + 1);
    commit(server); /* the takeover */
}

static void
end_life(struct server *server, bool is_clean)
{
    uint64_t compactions, snapshots, deletes;

    trace(server->sim, server, is_clean ? "stops" : "dies");
    keeper_counts(server->keeper, &compactions, &snapshots, &deletes);
    total_compactions += compactions;
    total_snapshots += snapshots;
    total_deletes += deletes;
    if (server->image != NULL) {
        take_image_free(server->image);
        server->image = NULL;
        tap_release(server->tap);
    }
    keeper_free(server->keeper);
    shipper_free(server->shipper);
    recent_free(server->recent);
    if (server->sim->recent_size != RECENT_SMALL)
        total_gets[server->recent != NULL] +=
            server->store->requests[OBJECTSTORE_GET];
    objectstore_close(server->store);
    outbox_close(server->outbox);
    unowned_close(server->mark);
    server->mark = NULL;
    if (server->read != NULL)
        turn_reader(server);
    CHECK(sqlite3_close(server->reader) == SQLITE_OK);
    if (!is_clean)
        sqlite3_db_config(
            server->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    CHECK(sqlite3_close(server->db) == SQLITE_OK);
    tap_free(server->tap);
    if (is_clean)
        CHECK(startupposition_write(server->path, server->shipped_txid) ==
              STATUS_OK);
    server->life = NULL;
    server->died_ms = server->sim->now_ms;
}

/* ---- steps -------------------------------------------------------------- */

static void
note_acks(struct server *server)
{
    struct sim *sim = server->sim;
    struct shipper_status status;

    shipper_status(server->shipper, &status);
    if (status.state == SHIPPER_LOST)
        keeper_want_snapshot(server->keeper);
    if (status.shipped_txid < server->shipped_txid)
        give_up(sim, "the shipped position went back");
    if (status.shipped_txid == server->shipped_txid)
        return;
    if (server->mark != NULL) {
        CHECK(unowned_remove(server->mark) == STATUS_OK);
        server->mark = NULL;
    }
    for (uint64_t t = server->shipped_txid + 1; t <= status.shipped_txid; t++) {
        CHECK(t < TXID_MAX);
        if (sim->acked_by[t] != 0)
            give_up(sim, "a txid was acknowledged twice");
        sim->acked_by[t] = server->life_number + 1;
        sim->acks++;
    }
    trace(sim, server, "shipped txid %" PRIu64 " seq %" PRIu64,
        status.shipped_txid, status.shipped_seq);
    server->shipped_txid = status.shipped_txid;
    if (status.shipped_seq > server->life->acked_seq) {
        server->life->acked_seq = status.shipped_seq;
        sim->acked_digest[status.shipped_txid] =
            server->life->digests[status.shipped_seq];
    }
    keeper_note_shipped(server->keeper, status.shipped_txid, 1000, sim->now_ms);
}

/* false: it was fenced. */
static bool
step_server(struct server *server)
{
    struct sim *sim = server->sim;
    struct shipper_status status;
    int64_t now = server->stale_now_ms;

    /* Stopped in the middle of a step: it still has the old time in hand. */
    if (now == 0) {
        now = sim->now_ms;
        (void)objectstore_poll(server->store, 0, -1);
    }
    server->stale_now_ms = 0;
    if (server->is_urgent)
        shipper_hurry(server->shipper);
    server->is_urgent = false;
    for (int i = 0; i < 50 && shipper_step(server->shipper, now) == 0; i++)
        continue;
    note_acks(server);
    (void)keeper_step(server->keeper, now);
    if (keeper_take_sighting(server->keeper))
        shipper_doubt(server->shipper);
    shipper_status(server->shipper, &status);
    if (status.state != SHIPPER_FENCED)
        return true;
    if (!server->has_rival) {
        fprintf(stderr, "%s\n", status.error);
        give_up(sim, "fenced without a rival");
    }
    return false;
}

static bool
is_drained(const struct server *server)
{
    struct shipper_status status;

    shipper_status(server->shipper, &status);
    return status.state == SHIPPER_RUNNING && status.shipped_txid > 0 &&
           status.shipped_seq == server->life->seq;
}

static void
disturb(struct server *server)
{
    struct sim *sim = server->sim;

    switch (draw(sim, sim->rest)) {
    case 0:
    case 1:
        if (draw(sim, 2) == 0) {
            (void)objectstore_poll(server->store, 0, -1);
            server->stale_now_ms = sim->now_ms + (int64_t)draw(sim, 2000);
        }
        server->stalled_until_ms =
            sim->now_ms + 2000 +
            (int64_t)draw(
                sim, !sim->is_single && draw(sim, 3) == 0 ? 1500000 : 20000);
        break;
    case 2:
        end_life(server, false);
        break;
    case 3:
        if (is_drained(server))
            end_life(server, true);
        break;
    default:
        break;
    }
}

static void
run_server(struct server *server)
{
    struct sim *sim = server->sim;

    if (sim->is_single && server != &sim->servers[0])
        return;
    if (server->life == NULL) {
        if (sim->is_single && sim->now_ms < server->died_ms + 60000) {
            sim->now_ms = server->died_ms + 60000;
            return;
        }
        bool is_alone = sim->servers[0].life == NULL &&
                        sim->servers[SLOTS - 1].life == NULL;
        if (draw(sim, is_alone ? 5 : sim->rest) == 0)
            start_server(server);
        return;
    }
    if (sim->now_ms < server->stalled_until_ms)
        return;
    if (server->stale_now_ms == 0) {
        if (draw(sim, 3) == 0)
            commit(server);
        if (draw(sim, 16) == 0)
            turn_reader(server);
        if (draw(sim, 8) == 0)
            checkpoint(server);
    }
    if (!step_server(server)) {
        sim->fences++;
        end_life(server, false);
        return;
    }
    disturb(server);
}

/* ---- judging the history ------------------------------------------------ */

static void
watch(enum objectstore_op op, const char *name, void *arg)
{
    struct sim *sim = arg;
    struct layout_file file;

    if (!layout_parse_name(slice_from_text(name), &file) || file.level != 0)
        return;
    if (op == OBJECTSTORE_PUT) {
        trace(sim, NULL, "%s arrives", name);
        /* What a stalled server had begun, where retention has been. */
        if (file.max_txid < sim->newest0 && sim->deleted[file.max_txid])
            total_ghosts++;
        else if (file.max_txid != sim->newest0 + 1)
            give_up(sim, "a level-0 object is not the next one");
        else
            sim->newest0 = file.max_txid;
    } else if (file.max_txid == sim->newest0) {
        give_up(sim, "the newest level-0 object was deleted");
    } else {
        sim->deleted[file.max_txid] = true;
    }
}

static void
check_prefixes(struct sim *sim, sqlite3 *db)
{
    sqlite3_stmt *statement;

    CHECK(sqlite3_prepare_v2(db,
              "SELECT id / 1000000, count(*), max(id % 1000000) FROM log "
              "GROUP BY 1",
              -1, &statement, NULL) == SQLITE_OK);
    uint64_t seen[LIVES_MAX] = { 0 };
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int life = sqlite3_column_int(statement, 0);
        if (sqlite3_column_int(statement, 1) !=
            sqlite3_column_int(statement, 2))
            give_up(sim, "a commit is there without an earlier one");
        seen[life] = (uint64_t)sqlite3_column_int(statement, 1);
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < sim->life_count; i++)
        if (seen[i] < sim->lives[i].acked_seq)
            give_up(sim, "an acknowledged commit is gone");
}

/* Restore to txid (0: newest) and compare; false: it cannot be restored. */
static bool
check_state(struct sim *sim, uint64_t txid)
{
    struct restore_options options = { .to_txid = txid };
    struct restore_result result;
    struct buf error = BUF_INIT;
    char path[TEMPDIR_SIZE + 32], uri[TEMPDIR_SIZE + 64];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/restored.db", sim->folder);
    unlink(path);
    enum status status =
        restore_run(sim->clean, path, &options, &result, &error);
    buf_append_byte(&error, '\0');
    if (status != STATUS_OK && txid == 0)
        give_up(sim, error.data);
    buf_fini(&error);
    if (status != STATUS_OK)
        return false;
    total_restores++;
    snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
    CHECK(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
              NULL) == SQLITE_OK);
    uint64_t expected = sim->acked_digest[result.txid];
    if (expected != 0 && take_digest(db) != expected)
        give_up(sim, "a restored state is not the acknowledged one");
    if (txid == 0)
        check_prefixes(sim, db);
    sqlite3_close(db);
    return true;
}

static uint64_t
count_requests(const struct sim *sim)
{
    uint64_t sum = 0;

    for (int i = 0; i < SLOTS; i++)
        for (int op = 0; sim->servers[i].life != NULL && op < 5; op++)
            sum += sim->servers[i].store->requests[op];
    return sum;
}

/* Without commits until nothing is under way. */
static void
settle(struct sim *sim, int64_t ms, int64_t step_ms)
{
    for (int64_t until = sim->now_ms + ms; sim->now_ms < until;) {
        sim->now_ms += step_ms;
        memworld_advance(sim->world, sim->now_ms);
        for (int i = 0; i < SLOTS; i++) {
            struct server *server = &sim->servers[i];
            if (server->life != NULL && !step_server(server)) {
                sim->fences++;
                end_life(server, false);
            }
        }
    }
}

static void
end_well(struct sim *sim)
{
    sim->faults = (struct memstore_faults){ .delay_ms_max = 5 };
    for (int i = 0; i < SLOTS; i++) {
        if (sim->servers[i].life == NULL)
            continue;
        end_checkpoint(&sim->servers[i]);
        if (sim->servers[i].stale_now_ms == 0)
            commit(&sim->servers[i]);
    }
    settle(sim, 120000, 50);
    int survivors = 0;
    for (int i = 0; i < SLOTS; i++) {
        struct server *server = &sim->servers[i];
        if (server->life == NULL)
            continue;
        survivors++;
        if (!is_drained(server))
            give_up(sim, "what was committed is not shipped");
    }
    if (survivors > 1 && sim->servers[0].has_rival) {
        /* Both went quiet; whoever is behind learns it at the next commit. */
        commit(&sim->servers[0]);
        settle(sim, 400000, 50);
        for (int i = 0; i < SLOTS; i++)
            if (sim->servers[i].life != NULL)
                commit(&sim->servers[i]);
        settle(sim, 120000, 50);
        if (sim->servers[0].life != NULL && sim->servers[1].life != NULL)
            give_up(sim, "two servers own the prefix");
    }
    settle(sim, 3600000, 500);
    uint64_t requests = count_requests(sim);
    settle(sim, 40 * 3600000, 600000);
    if (count_requests(sim) != requests)
        give_up(sim, "something is requested though nothing changes");
}

static void
set_up(struct sim *sim)
{
    random_set_seed(sim->seed);
    sim->random = sim->seed * 77777;
    sim->world = memworld_new(sim->seed);
    memworld_watch(sim->world, watch, sim);
    sim->clean = memstore_open(sim->world, NULL);
    sim->now_ms = 1000000;
    memworld_advance(sim->world, sim->now_ms);
    sim->rest = 30 + 60 * draw(sim, 5);
    unsigned bad = (unsigned)draw(sim, 4) * 20;
    sim->faults = (struct memstore_faults){ bad, bad, bad, bad, bad, bad, 400,
        bad / 4, (int64_t)draw(sim, 300), 20000 };
    sim->options = (struct shipper_options){
        .sync_interval_ms = (int64_t)draw(sim, 1000),
        .outbox_size_max = draw(sim, 2) == 0 ? 30000 : 1000000,
        .when_full = draw(sim, 2) == 0 ? SHIPPER_STALL : SHIPPER_RESNAPSHOT,
        .level0_retention_ms = RETENTION_MS,
        .uploads_per_minute_max = draw(sim, 5) == 0 ? 120 : 0,
    };
    sim->recent_size =
        (const uint64_t[]){ 0, RECENT_SMALL, RECENT_LARGE }[sim->seed % 3];
    sim->early_files = draw(sim, 12);
    sim->is_single = sim->seed % 4 == 0;
    if (sim->is_single) {
        sim->options.outbox_size_max = 2000;
        sim->options.when_full = SHIPPER_RESNAPSHOT;
        sim->faults.broken = 300;
        sim->rest = 40;
    }
    for (int i = 0; i < SLOTS; i++) {
        struct server *server = &sim->servers[i];
        server->sim = sim;
        snprintf(
            server->folder, sizeof(server->folder), "%s/%d", sim->folder, i);
        snprintf(server->path, sizeof(server->path), "%s/%d/data.db",
            sim->folder, i);
        wipe(server);
    }
}

static void
run_seed(uint64_t seed, const char *folder)
{
    struct sim *sim = memory_zalloc(sizeof(*sim));

    sim->seed = seed;
    snprintf(sim->folder, sizeof(sim->folder), "%s", folder);
    set_up(sim);
    for (int step = 0; step < STEPS; step++) {
        uint64_t leap = draw(sim, 200);
        sim->now_ms += (int64_t)draw(sim, leap < 2    ? 400000
                                          : leap < 40 ? 5000
                                                      : 200);
        memworld_advance(sim->world, sim->now_ms);
        for (int i = 0; i < SLOTS; i++)
            run_server(&sim->servers[i]);
        if (step % 100 == 99 && sim->newest0 > 0)
            (void)check_state(sim, 0);
    }
    end_well(sim);
    if (sim->newest0 > 0) {
        (void)check_state(sim, 0);
        for (int i = 0; i < 6; i++)
            (void)check_state(sim, 1 + draw(sim, sim->newest0));
    }
    for (int i = 0; i < SLOTS; i++)
        if (sim->servers[i].life != NULL)
            end_life(&sim->servers[i], false);
    total_acks += sim->acks;
    total_fences += sim->fences;
    total_conflicts += sim->conflicts;
    objectstore_close(sim->clean);
    memworld_free(sim->world);
    memory_free(sim);
}

static uint64_t first_seed = 1, seed_count = SEEDS;

static void
test_two_servers_one_prefix(void **state)
{
    /* In memory where there is such a folder: each seed syncs a lot. */
    char folder[TEMPDIR_SIZE] = "/dev/shm/walden-sim-XXXXXX";

    (void)state;
    log_set_level(
        getenv("SIM_LOG") != NULL ? LOG_LEVEL_NOTICE : LOG_LEVEL_NOTHING);
    if (mkdtemp(folder) == NULL)
        tempdir_make(folder, "sim");
    for (uint64_t i = 0; i < seed_count; i++)
        run_seed(first_seed + i, folder);
    tempdir_remove(folder);
    print_message("acks %" PRIu64 " fences %" PRIu64 " conflicts %" PRIu64
                  " compactions %" PRIu64 " snapshots %" PRIu64
                  " deletes %" PRIu64 " restores %" PRIu64 " losses %" PRIu64
                  " ghosts %" PRIu64 " gets %" PRIu64 " %" PRIu64 "\n",
        total_acks, total_fences, total_conflicts, total_compactions,
        total_snapshots, total_deletes, total_restores, total_losses,
        total_ghosts, total_gets[0], total_gets[1]);
    assert_true(total_acks > 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_servers_one_prefix),
    };

    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 1)
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
