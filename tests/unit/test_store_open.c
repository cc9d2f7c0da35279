/*
 * test_store_open.c -- the store from outside: open, refuse, read, rest.
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
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "storage/reader.h"
#include "storage/schema.h"
#include "storage/store.h"
#include "tests/unit/storefixture.h"

/* ---- opening ------------------------------------------------------------ */

static void
assert_refused(struct storefixture *f, enum status status, const char *words)
{
    char error[512] = "";
    struct store *store = NULL;

    assert_int_equal(
        store_open(&store, &f->options, error, sizeof(error)), status);
    assert_null(store);
    if (strstr(error, words) == NULL)
        fail_msg("\"%s\" in: %s", words, error);
}

static void
run_sql(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
test_second_instance_is_refused(void **state)
{
    assert_refused(*state, STATUS_BUSY, "in use");
}

static void
test_other_schemas_are_refused(void **state)
{
    struct storefixture *f = *state;

    store_close(f->store);
    f->store = NULL;
    run_sql(f->path, "PRAGMA user_version=999");
    assert_refused(f, STATUS_NEWER_VERSION, "newer");
    run_sql(f->path, "PRAGMA user_version=0"); /* there never was one */
    assert_refused(f, STATUS_CORRUPT, "schema 0");
}

static void
test_foreign_files_are_refused(void **state)
{
    struct storefixture *f = *state;
    FILE *file;
    int i;

    store_close(f->store);
    f->store = NULL;
    unlink(f->path);
    run_sql(f->path, "CREATE TABLE t(x)");
    assert_refused(f, STATUS_CORRUPT, "not one of Walden's");
    unlink(f->path);
    file = fopen(f->path, "w");
    for (i = 0; i < 10000; i++)
        fputs("not a database", file);
    fclose(file);
    assert_refused(f, STATUS_CORRUPT, "cannot");
    unlink(f->path);
    f->options.path = "/nonexistent/dir/x.db";
    assert_refused(f, STATUS_IO, "cannot open");
}

/* A damaged journal is refused, not half applied. */
static void
test_damaged_journal_is_refused(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);

    storefixture_put_key(batch, 1, 0, "a", KEY_STRING, "one");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    store_abandon(f->store);
    f->store = NULL;
    run_sql(f->path, "UPDATE journal SET changes = x'ff0102'");
    assert_refused(f, STATUS_CORRUPT, "cannot recover");
}

/* ---- reading ------------------------------------------------------------ */

static bool
collect(struct slice sub, struct slice value, void *arg)
{
    buf_append_slice(arg, sub);
    buf_append_byte(arg, '=');
    buf_append_slice(arg, value);
    buf_append_byte(arg, ' ');
    return true;
}

static void
test_reader_walks(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct reader *reader;
    struct buf out = BUF_INIT;
    char pos[8];
    struct key_row row;
    int64_t i;
    int held;

    for (i = 0; i < 10; i++) {
        char name[16];
        struct key_row key = { .id = (uint64_t)(i + 1),
            .db = (uint32_t)(i % 2),
            .type = KEY_STRING,
            .expire_at_ms = i < 4 ? 1000 + i / 2 : -1 };

        key.name = slice_make(
            name, (size_t)snprintf(name, sizeof(name), "k%d", (int)i));
        batch_add_key(batch, &key);
        rowchange_put_position(pos, i - 5);
        storefixture_change(
            batch, ROW_PUT, ROW_LIST, 1, slice_make(pos, 8), key.name);
    }
    storefixture_change(batch, ROW_PUT, ROW_META, 0, SLICE("db.0"), SLICE("1"));
    storefixture_change(batch, ROW_PUT, ROW_META, 0, SLICE("db.1"), SLICE("0"));
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    reader = store_reader(f->store);
    assert_int_equal(reader_last_id(reader), 10);
    assert_int_equal(reader_first_expiry(reader), 1000);
    for (held = 0; held < 2; held++) {
        uint64_t id = 0;
        int64_t at = 0;
        int count = 0;

        if (held)
            assert_int_equal(reader_hold(reader), STATUS_OK);
        while (reader_next_key(reader, id, &row) == STATUS_OK) {
            assert_int_equal(row.id, id + 1);
            id = row.id;
        }
        assert_int_equal(id, 10);
        id = 0;
        while (reader_next_expired(reader, at, id, 1001, &row) == STATUS_OK) {
            assert_int_equal(row.id, ++count);
            at = row.expire_at_ms;
            id = row.id;
        }
        assert_int_equal(count, 4);
        assert_int_equal(
            reader_next_expired(reader, 0, 0, 999, &row), STATUS_NOT_FOUND);
        reader_release(reader);
    }
    assert_int_equal(reader_each_meta(reader, "db.", collect, &out), STATUS_OK);
    assert_true(slice_equal(buf_slice(&out), SLICE("db.0=1 db.1=0 ")));
    buf_clear(&out, 0);
    assert_int_equal(
        reader_each_element(reader, ROW_LIST, 1, collect, &out), STATUS_OK);
    assert_int_equal(rowchange_get_position(out.data), -5);
    assert_memory_equal(out.data + 8, "=k0 ", 4);
    assert_int_equal(
        storefixture_query(f, "SELECT db FROM redis_keys WHERE name='k0'"), 1);
    buf_fini(&out);
}

/* Microseconds to walk count rows of the expiry index, each on its own. */
static int64_t
walk_expired(struct reader *reader, int64_t at, uint64_t id, int count)
{
    int64_t start_us = clock_monotonic_us();
    struct key_row row;

    while (count-- > 0) {
        assert_int_equal(
            reader_next_expired(reader, at, id, INT64_MAX, &row), STATUS_OK);
        assert_int_equal(row.id, id + 1);
        at = row.expire_at_ms;
        id = row.id;
    }
    return clock_monotonic_us() - start_us;
}

/* Many keys expire at the same moment: EXPIREAT counts in seconds. */
static void
test_rows_that_expire_together_are_found_at_once(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    int64_t apart_us, together_us;
    char name[16];

    for (uint64_t id = 1; id <= 40000; id++) {
        struct key_row key = { .id = id, .type = KEY_STRING };
        key.expire_at_ms = id <= 20000 ? (int64_t)id : 20001;
        key.name = slice_make(
            name, (size_t)snprintf(name, sizeof(name), "k%d", (int)id));
        batch_add_key(batch, &key);
    }
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    apart_us = walk_expired(store_reader(f->store), 19000, 19000, 500);
    together_us = walk_expired(store_reader(f->store), 20001, 39000, 500);
    assert_true(together_us < 20 * apart_us);
}

static void
test_scores_keep_their_bits(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    double scores[] = { 0.0, -0.0, 1.0, -1.5, 1.0 / 0.0, -1.0 / 0.0, 1e300 };
    struct slice got;
    size_t i;

    for (i = 0; i < 7; i++) {
        char member = (char)('a' + i);
        uint64_t bits;
        char value[8];

        memcpy(&bits, &scores[i], 8);
        bytes_put_be64(value, bits);
        storefixture_change(batch, ROW_PUT, ROW_ZSET, 1, slice_make(&member, 1),
            slice_make(value, 8));
    }
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    for (i = 0; i < 7; i++) {
        char member = (char)('a' + i);
        uint64_t bits;

        memcpy(&bits, &scores[i], 8);
        assert_int_equal(reader_find_element(store_reader(f->store), ROW_ZSET,
                             1, slice_make(&member, 1), &got),
            STATUS_OK);
        assert_int_equal(bytes_get_be64(got.data), bits);
    }
}

static void
test_views(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);

    storefixture_put_key(batch, 1, 0, "s", KEY_STRING, "12");
    storefixture_put_key(batch, 2, 0, "h", KEY_HASH, "");
    storefixture_put_field(batch, 2, "f", "13");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    assert_int_equal(
        storefixture_query(f, "SELECT value FROM redis_strings WHERE name='s'"),
        12);
    assert_int_equal(storefixture_query(f, "SELECT value FROM redis_hashes"
                                           " WHERE name='h' AND field='f'"),
        13);
    assert_int_equal(
        storefixture_query(f, "SELECT count(*) FROM redis_lists"), 0);
    assert_int_equal(
        storefixture_query(f, "SELECT count(*) FROM redis_sets"), 0);
    assert_int_equal(
        storefixture_query(f, "SELECT count(*) FROM redis_zsets"), 0);
}

/* While somebody reads the WAL cannot start again; later it shrinks. */
static void
test_wal_shrinks_after_a_long_read(void **state)
{
    struct storefixture *f = *state;
    struct reader *reader = store_reader(f->store);
    size_t size = 9 * 1000 * 1000;
    char *big = calloc(1, size);
    char wal[sizeof(f->path) + 8];
    struct stat st;

    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    assert_int_equal(reader_hold(reader), STATUS_OK);
    assert_int_equal(reader_last_id(reader), 0);
    for (int i = 0; i < 10; i++) {
        struct batch *batch = storefixture_next_batch(f);
        char chunk[4];
        bytes_put_be32(chunk, (uint32_t)(i < 8 ? i : 0));
        storefixture_change(batch, ROW_PUT, ROW_BLOB, 1, slice_make(chunk, 4),
            slice_make(big, i < 8 ? size : 1));
        if (i == 8) {
            assert_int_equal(stat(wal, &st), 0);
            assert_true(st.st_size > 70 * 1000 * 1000);
            reader_release(reader);
            storefixture_sync(f);
        }
        assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    }
    assert_int_equal(stat(wal, &st), 0);
    assert_in_range(st.st_size, 1, 64 * 1024 * 1024);
    free(big);
}

/* ---- idle --------------------------------------------------------------- */

static void
test_idle_store_folds_and_rests(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct store_stats stats;
    struct stat before;
    struct stat after;
    char wal[sizeof(f->path) + 8];

    f->options.fold_idle_ms = 20;
    store_set_options(f->store, &f->options);
    storefixture_put_key(batch, 1, 0, "a", KEY_STRING, "one");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    assert_int_equal(storefixture_wait_report(f, STORE_FOLDED).folded_seq, 1);
    usleep(300000);
    storefixture_assert_key(f, 0, "a", "one");
    store_stats(f->store, &stats);
    assert_int_equal(stats.journal_rows, 0);
    assert_int_equal(stats.wal_bytes, 0);
    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    assert_int_equal(stat(wal, &before), 0);
    usleep(200000);
    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
}

#define TEST(name)                   \
    cmocka_unit_test_setup_teardown( \
        name, storefixture_set_up, storefixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_second_instance_is_refused),
        TEST(test_other_schemas_are_refused),
        TEST(test_foreign_files_are_refused),
        TEST(test_damaged_journal_is_refused),
        TEST(test_reader_walks),
        TEST(test_rows_that_expire_together_are_found_at_once),
        TEST(test_scores_keep_their_bits),
        TEST(test_views),
        TEST(test_wal_shrinks_after_a_long_read),
        TEST(test_idle_store_folds_and_rests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
