/*
 * test_shipper.c -- when the shipper takes and sends, against a real SQLite
 * database, a store in memory without faults, and a clock of the test's own.
 * What becomes of failures is the simulation's subject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/layout.h"
#include "replication/recent.h"
#include "replication/shipper.h"
#include "server/base/log.h"
#include "tests/fault/memstore.h"
#include "tests/unit/tempdir.h"

#define SYNC_INTERVAL_MS 60000

struct fixture {
    char folder[TEMPDIR_SIZE], path[TEMPDIR_SIZE + 32];
    sqlite3 *db;
    struct tap *tap;
    struct outbox *outbox;
    struct memworld *world;
    struct objectstore *store;
    struct recent *recent;
    struct shipper *shipper;
    uint64_t seq; /* of the newest commit */
    int64_t now_ms;
};

static void
execute(struct fixture *f, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(f->db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static int
note_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct fixture *f = arg;

    (void)db;
    (void)name;
    tap_publish(f->tap, (uint64_t)frames, f->seq, true);
    return SQLITE_OK;
}

/* A batch. */
static void
commit(struct fixture *f)
{
    f->seq++;
    execute(f, "INSERT INTO t DEFAULT VALUES");
}

/* Frames that no reply waits for: a slice of the fold. */
static void
fold(struct fixture *f)
{
    execute(f, "INSERT INTO t DEFAULT VALUES");
}

static int64_t
step(struct fixture *f)
{
    return shipper_step(f->shipper, f->now_ms);
}

static uint64_t
puts_sent(struct fixture *f)
{
    return f->store->requests[OBJECTSTORE_PUT];
}

static uint64_t
shipped_seq(struct fixture *f)
{
    struct shipper_status status;

    shipper_status(f->shipper, &status);
    return status.shipped_seq;
}

/* The request under way arrives and is answered. */
static void
answer(struct fixture *f)
{
    memworld_advance(f->world, f->now_ms);
    (void)objectstore_poll(f->store, 0, -1);
}

/* Until nothing is due at once. */
static void
run(struct fixture *f)
{
    for (int i = 0; i < 100; i++) {
        answer(f);
        if (step(f) != 0 && memworld_wait_ms(f->world) < 0)
            return;
    }
    fail_msg("the shipper does not come to rest");
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct buf error = BUF_INIT;
    struct shipper_start start = { 0 };

    tempdir_make(f->folder, "shipper");
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    f->now_ms = 1000000;
    f->world = memworld_new(1);
    memworld_advance(f->world, f->now_ms);
    f->store = memstore_open(f->world, NULL);
    assert_int_equal(outbox_open(&f->outbox, f->path, &error), STATUS_OK);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    execute(f, "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
               "PRAGMA wal_autocheckpoint=0");
    f->tap = tap_new(f->path);
    sqlite3_wal_hook(f->db, note_commit, f);
    execute(f, "CREATE TABLE t(k INTEGER PRIMARY KEY)");
    struct shipper_options options = {
        .sync_interval_ms = SYNC_INTERVAL_MS,
        .outbox_size_max = 1 << 20,
        .level0_retention_ms = 300000,
        .node_id = 1,
        .can_fence = true,
        .scratch = f->folder,
        .database_path = f->path,
    };
    f->recent = recent_new(1 << 20);
    options.recent = f->recent;
    f->shipper = shipper_new(f->store, f->tap, f->outbox, &options, &start);
    /* The first file is the image of the database; from then on, frames. */
    commit(f);
    shipper_want(f->shipper, f->seq);
    run(f);
    assert_int_equal(shipped_seq(f), f->seq);
    assert_int_equal(puts_sent(f), 1);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    shipper_free(f->shipper);
    recent_free(f->recent);
    objectstore_close(f->store);
    memworld_free(f->world);
    outbox_close(f->outbox);
    sqlite3_close(f->db);
    tap_free(f->tap);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

/* ---- replies that wait -------------------------------------------------- */

static void
test_what_is_wanted_is_sent_at_once(void **state)
{
    struct fixture *f = *state;

    commit(f);
    assert_true(step(f) > 1000); /* nobody waits: the interval */
    assert_int_equal(puts_sent(f), 1);
    shipper_want(f->shipper, f->seq);
    assert_int_equal(step(f), -1);
    assert_int_equal(puts_sent(f), 2);
    run(f);
    assert_int_equal(shipped_seq(f), f->seq);
}

/* Else the reply would wait for the upload of what it does not wait for. */
static void
test_what_is_wanted_is_waited_for(void **state)
{
    struct fixture *f = *state;

    fold(f);
    shipper_want(f->shipper, f->seq + 1);
    int64_t wait = step(f);
    assert_in_range(wait, 1, 100);
    assert_int_equal(puts_sent(f), 1);
    commit(f);
    assert_int_equal(step(f), -1);
    run(f);
    assert_int_equal(puts_sent(f), 2);
    assert_int_equal(shipped_seq(f), f->seq);
}

static void
test_an_older_commit_waits_for_the_wanted_one(void **state)
{
    struct fixture *f = *state;

    commit(f);
    shipper_want(f->shipper, f->seq + 1);
    assert_true(step(f) > 0);
    assert_int_equal(puts_sent(f), 1);
    commit(f);
    assert_int_equal(step(f), -1);
    run(f);
    assert_int_equal(puts_sent(f), 2);
    assert_int_equal(shipped_seq(f), f->seq);
}

/* Its commit failed, or the disk is slow: others need not wait for it. */
static void
test_a_wanted_commit_that_does_not_come(void **state)
{
    struct fixture *f = *state;

    commit(f);
    shipper_want(f->shipper, f->seq + 1);
    f->now_ms += step(f);
    run(f);
    assert_int_equal(puts_sent(f), 2);
    assert_int_equal(shipped_seq(f), f->seq);
    /* It comes after all. */
    commit(f);
    run(f);
    assert_int_equal(shipped_seq(f), f->seq);
}

static void
test_everything_is_wanted(void **state)
{
    struct fixture *f = *state;

    fold(f);
    shipper_want(f->shipper, SHIPPER_ALL);
    run(f);
    assert_int_equal(puts_sent(f), 2);
}

/* Making the next file takes time in which replies could leave. */
static void
test_news_come_before_the_next_file(void **state)
{
    struct fixture *f = *state;

    commit(f);
    shipper_want(f->shipper, f->seq);
    assert_int_equal(step(f), -1);
    commit(f);
    shipper_want(f->shipper, f->seq);
    answer(f);
    assert_int_equal(step(f), 0);
    assert_int_equal(shipped_seq(f), f->seq - 1);
    assert_int_equal(puts_sent(f), 2);
    assert_int_equal(step(f), -1);
    assert_int_equal(puts_sent(f), 3);
}

/* Each time it is woken costs a system call of the committer's. */
static void
test_which_commits_matter(void **state)
{
    struct fixture *f = *state;

    (void)step(f);
    assert_true(shipper_awaits_commit(f->shipper)); /* the next one */
    commit(f);
    (void)step(f);
    assert_false(shipper_awaits_commit(f->shipper)); /* the interval runs */
    shipper_want(f->shipper, f->seq + 1);
    (void)step(f);
    assert_true(shipper_awaits_commit(f->shipper)); /* that one */
    commit(f);
    (void)step(f);
    assert_false(shipper_awaits_commit(f->shipper)); /* an upload runs */
    run(f);
    assert_true(shipper_awaits_commit(f->shipper));
}

/* ---- another writer ----------------------------------------------------- */

static void
put_other(struct fixture *f, const char *name)
{
    struct objectstore *other = memstore_open(f->world, NULL);
    struct objectstore_request request;

    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = SLICE("another's");
    assert_int_equal(objectstore_run(other, &request), STATUS_OK);
    objectstore_request_fini(&request);
    objectstore_close(other);
}

static enum shipper_state
state_of(struct fixture *f)
{
    struct shipper_status status;

    shipper_status(f->shipper, &status);
    return status.state;
}

/* Idle, it would not learn it before its next upload. */
static void
test_a_doubt_is_looked_into_while_idle(void **state)
{
    struct fixture *f = *state;

    put_other(f, "0000/0000000000000002-0000000000000002.ltx");
    put_other(f, "0000/0000000000000003-0000000000000003.ltx");
    run(f);
    assert_int_equal(state_of(f), SHIPPER_RUNNING);
    shipper_doubt(f->shipper);
    run(f);
    assert_int_equal(state_of(f), SHIPPER_FENCED);
}

static void
test_a_doubt_is_looked_into_once(void **state)
{
    struct fixture *f = *state;
    uint64_t lists = f->store->requests[OBJECTSTORE_LIST];

    shipper_doubt(f->shipper);
    run(f);
    run(f);
    assert_int_equal(state_of(f), SHIPPER_RUNNING);
    assert_int_equal(f->store->requests[OBJECTSTORE_LIST], lists + 1);
    commit(f);
    shipper_want(f->shipper, f->seq);
    run(f);
    assert_int_equal(shipped_seq(f), f->seq);
}

/* ---- what the keeper is lent -------------------------------------------- */

/* Is the file of txid in memory, and the same as in the bucket? */
static bool
is_lent(struct fixture *f, uint64_t txid)
{
    struct objectstore_request request;
    struct objectstore *other;
    char name[LAYOUT_NAME_SIZE];
    struct slice file;

    if (!recent_take(f->recent, txid, &file))
        return false;
    other = memstore_open(f->world, NULL);
    layout_format_name(name, 0, txid, txid);
    objectstore_request_init(&request, OBJECTSTORE_GET, slice_from_text(name));
    assert_int_equal(objectstore_run(other, &request), STATUS_OK);
    assert_true(slice_equal(buf_slice(&request.answer), file));
    objectstore_request_fini(&request);
    objectstore_close(other);
    recent_give_back(f->recent, file);
    return true;
}

static void
test_what_was_shipped_is_lent(void **state)
{
    struct fixture *f = *state;

    assert_false(is_lent(f, 1)); /* the image */
    commit(f);
    shipper_want(f->shipper, f->seq);
    (void)step(f);
    assert_int_equal(puts_sent(f), 2);
    assert_int_equal(recent_size(f->recent), 0); /* no answer yet */
    run(f);
    assert_true(is_lent(f, 2));
    commit(f);
    shipper_hurry(f->shipper); /* through the outbox */
    run(f);
    assert_int_equal(puts_sent(f), 3);
    assert_true(is_lent(f, 3));
}

/* Another's object in the way: whatever comes of it, the bytes are not its. */
static void
test_what_was_refused_is_not_lent(void **state)
{
    struct fixture *f = *state;

    commit(f);
    put_other(f, "0000/0000000000000002-0000000000000002.ltx");
    shipper_want(f->shipper, f->seq);
    run(f);
    assert_int_equal(state_of(f), SHIPPER_FENCED);
    assert_int_equal(recent_size(f->recent), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_is_wanted_is_sent_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_is_wanted_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_an_older_commit_waits_for_the_wanted_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_wanted_commit_that_does_not_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_everything_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_news_come_before_the_next_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_which_commits_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_doubt_is_looked_into_while_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_doubt_is_looked_into_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_was_shipped_is_lent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_was_refused_is_not_lent, set_up, tear_down),
    };

    log_set_level(LOG_LEVEL_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
