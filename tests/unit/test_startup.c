/*
 * test_startup.c -- a start after a crash: do the database, its WAL, the outbox
 * and the bucket belong together?  Against a real SQLite database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/layout.h"
#include "replication/startup.h"
#include "replication/take.h"
#include "server/base/log.h"
#include "tests/fault/memstore.h"
#include "tests/unit/tempdir.h"

#define PAGE_SIZE 1024

struct fixture {
    char folder[TEMPDIR_SIZE];
    char path[TEMPDIR_SIZE + 8], wal[TEMPDIR_SIZE + 16];
    struct memworld *world;
    struct objectstore *store;
    sqlite3 *db;
    struct tap *tap;
    struct tap_position taken;
    struct outbox *outbox;
    uint64_t txid;
    struct startup_result result;
    const char *bucket; /* as the start is told */
    char error[1024];   /* of the last start */
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
    tap_publish(f->tap, (uint64_t)frames, 1, true);
    return SQLITE_OK;
}

static void
open_database(struct fixture *f)
{
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    execute(f, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL;"
               "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0");
    sqlite3_wal_hook(f->db, note_commit, f);
}

static void
close_database(struct fixture *f)
{
    sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    f->db = NULL;
}

static void
open_outbox(struct fixture *f)
{
    struct buf error = BUF_INIT;

    assert_int_equal(outbox_open(&f->outbox, f->path, &error), STATUS_OK);
    buf_fini(&error);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tempdir_make(f->folder, "startup");
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    snprintf(f->wal, sizeof(f->wal), "%s-wal", f->path);
    f->bucket = "here";
    f->world = memworld_new(1);
    f->store = memstore_open(f->world, NULL);
    f->tap = tap_new(f->path);
    open_database(f);
    open_outbox(f);
    execute(f, "CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)");
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    unowned_close(f->result.mark);
    outbox_close(f->outbox);
    tap_free(f->tap);
    sqlite3_close(f->db);
    objectstore_close(f->store);
    memworld_free(f->world);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

/* What was committed since the last take, as the next txid. */
static void
take(struct fixture *f, struct buf *out)
{
    struct take_header wanted = { .min_txid = ++f->txid,
        .max_txid = f->txid,
        .timestamp_ms = 1000,
        .node_id = 7 };
    struct tap_position to;

    tap_current(f->tap, &to);
    assert_int_equal(
        take_frames(f->tap, &f->taken, &to, &wanted, out), STATUS_OK);
    f->taken = to;
}

static void
take_to_bucket(struct fixture *f)
{
    struct objectstore_request request;
    struct buf out = BUF_INIT;
    char name[LAYOUT_NAME_SIZE];

    take(f, &out);
    layout_format_name(name, 0, f->txid, f->txid);
    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = buf_slice(&out);
    request.if_none_match = true;
    assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
    objectstore_request_fini(&request);
    buf_fini(&out);
}

static void
take_to_outbox(struct fixture *f)
{
    struct buf out = BUF_INIT;

    take(f, &out);
    assert_int_equal(
        outbox_add(f->outbox, f->txid, buf_slice(&out)), STATUS_OK);
    buf_fini(&out);
}

/* All of the WAL was taken: empty it, in the database file it stays. */
static void
empty_wal(struct fixture *f)
{
    assert_true(tap_may_reset(f->tap, 0));
    execute(f, "PRAGMA wal_checkpoint(TRUNCATE)");
    tap_end_reset(f->tap, true);
}

static void
crash(struct fixture *f)
{
    outbox_close(f->outbox);
    f->outbox = NULL;
    close_database(f);
}

static enum status
start(struct fixture *f)
{
    struct buf error = BUF_INIT;
    volatile int stop = 0;

    open_outbox(f);
    struct startup_options options = { .store = f->store,
        .bucket = f->bucket,
        .outbox = f->outbox,
        .database_path = f->path,
        .stop = &stop };
    enum status status = startup_run(&options, &f->result, &error);
    buf_append_byte(&error, '\0');
    snprintf(f->error, sizeof(f->error), "%s", error.data);
    if (status != STATUS_OK)
        print_message("%s\n", error.data);
    buf_fini(&error);
    return status;
}

/* Change every page of the database file but the first. */
static void
spoil_file(struct fixture *f)
{
    int fd = open(f->path, O_RDWR);
    off_t end = lseek(fd, 0, SEEK_END);

    assert_true(fd >= 0);
    for (off_t at = 2 * PAGE_SIZE; at <= end; at += PAGE_SIZE)
        assert_int_equal(pwrite(fd, "spoiled", 7, at - 8), 7);
    close(fd);
}

/* As a former process left it: without the WAL, and with a commit since. */
static void
begin_another_wal(struct fixture *f, const char *sql)
{
    assert_int_equal(unlink(f->wal), 0);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    execute(f, sql);
    close_database(f);
}

/* ---- a WAL that was started over ----------------------------------------- */

/*
 * Two rows in files of their own: the newest one has pages that later commits
 * change and pages that they do not.  Then the WAL is emptied so many times,
 * and a commit follows that nobody took.
 */
static void
start_wal_over(
    struct fixture *f, void (*take_newest)(struct fixture *), int times)
{
    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    execute(f, "INSERT INTO t VALUES(2, randomblob(3000))");
    take_newest(f);
    for (int i = 0; i < times; i++)
        empty_wal(f);
    execute(f, "INSERT INTO t VALUES(3, 'new')");
}

/* The shipper goes on at the beginning of the present WAL. */
static void
expect_new_wal(struct fixture *f)
{
    struct tap_position current;

    tap_current(f->tap, &current);
    assert_int_equal(f->result.start.txid, f->txid);
    assert_false(f->result.start.needs_image);
    assert_false(tap_is_same_wal(&f->result.start.taken, &current));
}

static void
test_wal_started_over_once(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_outbox, 1);
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    expect_new_wal(f);
    assert_int_equal(outbox_count(f->outbox), 1);
}

/* Emptying an empty WAL gives it the next salt too. */
static void
test_wal_started_over_again_while_empty(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_outbox, 2);
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    expect_new_wal(f);
    assert_int_equal(outbox_count(f->outbox), 1);
}

static void
test_wal_started_over_again_with_all_in_the_bucket(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_bucket, 3);
    /* The file alone is not the bucket's newest state any more. */
    execute(f, "PRAGMA wal_checkpoint(PASSIVE)");
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    expect_new_wal(f);
}

/* The database shrank after the newest take: its last pages are nowhere. */
static void
test_wal_that_shrinks_the_database(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_outbox, 2);
    execute(f, "DELETE FROM t; VACUUM");
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    expect_new_wal(f);
}

/* A part of the new WAL is in the database file already. */
static void
test_wal_that_was_copied_to_the_file(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_outbox, 2);
    execute(f, "PRAGMA wal_checkpoint(PASSIVE)");
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    expect_new_wal(f);
}

/* The file must hold what was taken of the WALs before. */
static void
test_wal_started_over_on_another_file(void **state)
{
    struct fixture *f = *state;

    for (int in_bucket = 0; in_bucket < 2; in_bucket++) {
        if (in_bucket > 0) {
            tear_down(state);
            set_up(state);
            f = *state;
        }
        start_wal_over(f, in_bucket > 0 ? take_to_bucket : take_to_outbox, 1);
        spoil_file(f);
        crash(f);
        assert_int_not_equal(start(f), STATUS_OK);
    }
}

/* A WAL that was begun by somebody else has other salts. */
static void
test_wal_of_another_history(void **state)
{
    struct fixture *f = *state;

    start_wal_over(f, take_to_outbox, 1);
    crash(f);
    begin_another_wal(f, "INSERT INTO t VALUES(4, 'other')");
    assert_int_equal(start(f), STATUS_CONFLICT);
}

/* ---- comparing with the bucket's state ----------------------------------- */

/* The WAL proves nothing, but with it the database is the bucket's. */
static void
test_state_that_is_the_buckets_with_its_wal(void **state)
{
    struct fixture *f = *state;
    const char *newest = "INSERT INTO t VALUES(2, zeroblob(3000))";

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    empty_wal(f);
    /* A connection that has written before counts its changes in page 1. */
    close_database(f);
    open_database(f);
    execute(f, newest);
    take_to_bucket(f);
    crash(f);
    begin_another_wal(f, newest);
    assert_int_equal(start(f), STATUS_OK);
    assert_int_equal(f->result.start.txid, 2);
    assert_int_equal(f->result.start.taken.offset, 0);
    /* Nothing is left that would be shipped again. */
    assert_int_equal(access(f->wal, F_OK), -1);
}

/* The WAL proves nothing, but the file is the bucket's: all of it is new. */
static void
test_state_that_is_the_buckets_without_its_wal(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    empty_wal(f);
    crash(f);
    begin_another_wal(f, "INSERT INTO t VALUES(2, 'new')");
    assert_int_equal(start(f), STATUS_OK);
    assert_int_equal(f->result.start.txid, 1);
    assert_int_equal(f->result.start.taken.offset, 0);
    assert_int_equal(stat(f->wal, &st), 0);
    assert_true(st.st_size > PAGE_SIZE);
}

static void
test_state_that_is_not_the_buckets(void **state)
{
    struct fixture *f = *state;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    empty_wal(f);
    execute(f, "INSERT INTO t VALUES(2, zeroblob(3000))");
    take_to_bucket(f);
    crash(f);
    begin_another_wal(f, "INSERT INTO t VALUES(2, zeroblob(3001))");
    assert_int_equal(start(f), STATUS_CONFLICT);
}

/* ---- refusing ------------------------------------------------------------ */

/* Whoever reads it must be able to choose. */
static void
test_refusal_says_where_both_stand(void **state)
{
    struct fixture *f = *state;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    empty_wal(f);
    crash(f);
    assert_int_equal(start(f), STATUS_OK); /* notes the position */
    outbox_close(f->outbox);
    open_database(f);
    execute(f, "INSERT INTO t VALUES(2, zeroblob(3000))");
    take_to_bucket(f);
    execute(f, "INSERT INTO t VALUES(3, zeroblob(3000))");
    take_to_bucket(f);
    close_database(f);
    begin_another_wal(f, "INSERT INTO t VALUES(2, zeroblob(3001))");
    assert_int_equal(start(f), STATUS_CONFLICT);
    assert_non_null(strstr(f->error,
        "The bucket's newest txid is 3, written 1970-01-01T00:00:01Z by node "
        "0000000000000007 (0000/0000000000000003-0000000000000003.ltx)."));
    assert_non_null(strstr(f->error,
        "The local database was at txid 1 when that was last noted."));
    assert_non_null(strstr(f->error, "point bucket-url at an empty prefix"));
}

static void
test_refusal_says_what_waits(void **state)
{
    struct fixture *f = *state;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    f->txid += 5;
    execute(f, "INSERT INTO t VALUES(2, zeroblob(3000))");
    take_to_outbox(f);
    execute(f, "INSERT INTO t VALUES(3, zeroblob(3000))");
    take_to_outbox(f);
    crash(f);
    assert_int_equal(start(f), STATUS_CONFLICT);
    assert_non_null(strstr(f->error, "The bucket's newest txid is 1,"));
    assert_non_null(strstr(f->error,
        "The local outbox has txid 7 to 8, the last one made by node "
        "0000000000000007."));
}

/* ---- a WAL that is gone -------------------------------------------------- */

static void
test_wal_emptied_after_the_last_take(void **state)
{
    struct fixture *f = *state;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    execute(f, "INSERT INTO t VALUES(2, randomblob(3000))");
    take_to_outbox(f);
    empty_wal(f);
    crash(f);
    assert_int_equal(start(f), STATUS_OK);
    assert_int_equal(f->result.start.txid, 2);
    assert_int_equal(f->result.start.taken.offset, 0);
}

static void
test_wal_gone_with_what_was_taken(void **state)
{
    struct fixture *f = *state;

    execute(f, "INSERT INTO t VALUES(1, zeroblob(3000))");
    take_to_bucket(f);
    empty_wal(f);
    execute(f, "INSERT INTO t VALUES(2, randomblob(3000))");
    take_to_outbox(f);
    crash(f);
    assert_int_equal(unlink(f->wal), 0);
    assert_int_equal(start(f), STATUS_CONFLICT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_wal_started_over_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_started_over_again_while_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_started_over_again_with_all_in_the_bucket, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_that_shrinks_the_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_that_was_copied_to_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_started_over_on_another_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_of_another_history, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_that_is_the_buckets_with_its_wal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_that_is_the_buckets_without_its_wal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_that_is_not_the_buckets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_refusal_says_where_both_stand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_refusal_says_what_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_emptied_after_the_last_take, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_wal_gone_with_what_was_taken, set_up, tear_down),
    };

    log_set_level(LOG_LEVEL_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
