/*
 * test_store.c -- the store from outside: commit, fold, delete, big values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/reader.h"
#include "storage/schema.h"
#include "storage/store.h"
#include "tests/unit/storefixture.h"

/* ---- committing and folding --------------------------------------------- */

static void
test_new_database(void **state)
{
    struct storefixture *f = *state;
    const struct store_counters *counters = store_counters(f->store);
    char id[41];

    assert_int_equal(counters->seq, 0);
    assert_int_equal(counters->next_id, 1);
    assert_int_equal(strlen(counters->database_id), 40);
    strcpy(id, counters->database_id);
    store_close(f->store);
    storefixture_open(f);
    assert_string_equal(store_counters(f->store)->database_id, id);
    assert_int_equal(
        storefixture_query(f, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
}

static void
test_commit_then_fold(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct store_stats stats;

    storefixture_put_key(batch, 1, 0, "a", KEY_STRING, "one");
    storefixture_put_key(batch, 2, 0, "h", KEY_HASH, "");
    storefixture_put_field(batch, 2, "f", "v");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_assert_key(f, 0, "a", NULL); /* only in the journal */
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM journal"), 1);
    storefixture_sync(f);
    storefixture_assert_key(f, 0, "a", "one");
    storefixture_assert_key(f, 1, "a", NULL);
    storefixture_assert_field(f, 2, "f", "v");
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM journal"), 0);
    store_stats(f->store, &stats);
    assert_int_equal(stats.committed_seq, 1);
    assert_int_equal(stats.folded_seq, 1);
    assert_int_equal(stats.journal_bytes, 0);
}

static void
test_seq_survives_empty_journal(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);

    storefixture_put_key(batch, 1, 0, "a", KEY_STRING, "one");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    store_close(f->store);
    storefixture_open(f);
    assert_int_equal(f->seq, 1);
    assert_int_equal(store_counters(f->store)->next_id, 2);
    storefixture_assert_key(f, 0, "a", "one");
}

/* D3: what is only in the journal is there after a crash. */
static void
test_D3_recovery_folds_the_journal(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch;
    int i;

    for (i = 0; i < 50; i++) {
        char value[16];

        batch = storefixture_next_batch(f);
        snprintf(value, sizeof(value), "%d", i);
        storefixture_put_key(batch, 1, 0, "a", KEY_STRING, value);
        storefixture_put_key(
            batch, (uint64_t)(10 + i), 3, value, KEY_STRING, value);
        assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    }
    storefixture_reopen_after_crash(f);
    assert_int_equal(f->seq, 50);
    storefixture_assert_key(f, 0, "a", "49");
    storefixture_assert_key(f, 3, "0", "0");
    storefixture_assert_key(f, 3, "49", "49");
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM journal"), 0);
}

/* D1: commands of one batch are one transaction: one journal row. */
static void
test_D1_batch_is_one_transaction(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    char *big = malloc(100000);

    memset(big, 'x', 100000);
    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    storefixture_change(
        batch, ROW_PUT, ROW_HASH, 1, SLICE("big"), slice_make(big, 100000));
    storefixture_put_field(batch, 1, "small", "v");
    assert_true(batch->direct.len > 100000);
    assert_true(batch->changes.len < 200);
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(
        storefixture_query(f, "SELECT length(value) FROM hashes"), 100000);
    free(big);
}

static void
test_names_may_be_exchanged(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);

    storefixture_put_key(batch, 1, 0, "a", KEY_STRING, "one");
    storefixture_put_key(batch, 2, 0, "b", KEY_STRING, "two");
    storefixture_put_key(batch, 3, 0, "c", KEY_STRING, "three");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    batch = storefixture_next_batch(f);
    storefixture_put_key(batch, 1, 0, "b", KEY_STRING, "one");
    storefixture_put_key(batch, 2, 0, "c", KEY_STRING, "two");
    storefixture_put_key(batch, 3, 0, "a", KEY_STRING, "three");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    storefixture_assert_key(f, 0, "a", "three");
    storefixture_assert_key(f, 0, "b", "one");
    storefixture_assert_key(f, 0, "c", "two");
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM keys"), 3);
}

static void
test_touch(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct buf value = BUF_INIT;
    struct key_row row;

    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    batch = storefixture_next_batch(f);
    buf_append_varint(&value, 99);
    buf_append_varint(&value, 5);
    storefixture_change(
        batch, ROW_TOUCH, ROW_KEY, 1, slice_make(NULL, 0), buf_slice(&value));
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    batch = storefixture_next_batch(f);
    storefixture_put_key(batch, 2, 0, "g", KEY_HASH, "");
    storefixture_change(
        batch, ROW_TOUCH, ROW_KEY, 2, slice_make(NULL, 0), buf_slice(&value));
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    assert_int_equal(
        reader_get_key(store_reader(f->store), 1, &row), STATUS_OK);
    assert_int_equal(row.version, 99);
    assert_int_equal(row.size, 5);
    assert_int_equal(
        reader_get_key(store_reader(f->store), 2, &row), STATUS_OK);
    assert_int_equal(row.version, 99);
    assert_int_equal(row.size, 5);
    assert_true(slice_equal(row.name, SLICE("g")));
    buf_fini(&value);
}

/* ---- deleting ----------------------------------------------------------- */

static void
test_delete_collects_elements(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct store_stats stats;
    int i;

    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    storefixture_put_key(batch, 2, 0, "small", KEY_HASH, "");
    storefixture_put_field(batch, 2, "f", "v");
    for (i = 0; i < 5000; i++) {
        char field[16];

        snprintf(field, sizeof(field), "%d", i);
        storefixture_put_field(batch, 1, field, "v");
    }
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    assert_int_equal(
        storefixture_query(f, "SELECT count(*) FROM hashes"), 5001);
    batch = storefixture_next_batch(f);
    storefixture_put_field(batch, 1, "late", "v");
    storefixture_delete_key(batch, 1, KEY_HASH);
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    for (i = 0; i < 1000; i++) {
        store_stats(f->store, &stats);
        if (storefixture_query(f, "SELECT count(*) FROM garbage") == 0)
            break;
        usleep(5000);
    }
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM hashes"), 1);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM keys"), 1);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM garbage"), 0);
}

/* A key that was moved out of a database before it was dropped stays whole. */
static void
test_drop_database(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    int i;

    for (i = 1; i <= 300; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        storefixture_put_key(batch, (uint64_t)i, 3, name, KEY_HASH, "");
        storefixture_put_field(batch, (uint64_t)i, "f", name);
    }
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    batch = storefixture_next_batch(f);
    storefixture_put_key(batch, 77, 4, "moved", KEY_HASH, "");
    storefixture_change(
        batch, ROW_DROP, ROW_DB, 3, slice_make(NULL, 0), slice_make(NULL, 0));
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    for (i = 0;
         i < 1000 && storefixture_query(f, "SELECT count(*) FROM garbage") > 0;
         i++)
        usleep(5000);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM keys"), 1);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM hashes"), 1);
    storefixture_assert_field(f, 77, "f", "77");
}

/* ---- big values --------------------------------------------------------- */

static void
put_big(struct batch *batch, const char *field, char fill)
{
    char *big = malloc(20000);

    memset(big, fill, 20000);
    storefixture_change(batch, ROW_PUT, ROW_HASH, 1, slice_from_text(field),
        slice_make(big, 20000));
    free(big);
}

static void
test_direct_voids_older_changes(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch = storefixture_next_batch(f);
    struct slice got;

    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    storefixture_put_field(batch, 1, "a", "old");
    storefixture_put_field(batch, 1, "b", "old");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    batch = storefixture_next_batch(f);
    put_big(batch, "a", 'A');
    put_big(batch, "b", 'B');
    put_big(batch, "c", 'C');
    storefixture_put_field(batch, 1, "b", "new");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    batch = storefixture_next_batch(f);
    storefixture_change(
        batch, ROW_DEL, ROW_HASH, 1, SLICE("c"), slice_make(NULL, 0));
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_sync(f);
    assert_int_equal(reader_find_element(
                         store_reader(f->store), ROW_HASH, 1, SLICE("a"), &got),
        STATUS_OK);
    assert_int_equal(got.len, 20000);
    assert_int_equal(got.data[0], 'A');
    storefixture_assert_field(f, 1, "b", "new");
    storefixture_assert_field(f, 1, "c", NULL);
}

/* Open anew with journal rows and generations of about so many bytes. */
static void
reopen_in_pieces(struct storefixture *f, uint64_t size)
{
    store_close(f->store);
    f->options.journal_row_size = size;
    f->options.generation_size = size;
    f->options.journal_fold_size = UINT64_MAX;
    f->options.journal_size_max = UINT64_MAX;
    storefixture_open(f);
}

/*
 * The marker may lie in a later generation than the older change: folding the
 * first must not write over the row.
 */
static void
test_D3_direct_in_a_later_generation(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch;
    struct slice got;

    reopen_in_pieces(f, 1);
    batch = storefixture_next_batch(f);
    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    storefixture_put_field(batch, 1, "a", "old");
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    batch = storefixture_next_batch(f);
    put_big(batch, "a", 'A');
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    storefixture_reopen_after_crash(f);
    assert_int_equal(reader_find_element(
                         store_reader(f->store), ROW_HASH, 1, SLICE("a"), &got),
        STATUS_OK);
    assert_int_equal(got.len, 20000);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM hashes"), 1);
}

/* A generation smaller than the journal must not fall behind it. */
static void
test_small_generations_keep_up(void **state)
{
    struct storefixture *f = *state;
    uint64_t largest = 0;
    char value[4096] = "";

    memset(value, 'v', sizeof(value) - 1);
    reopen_in_pieces(f, 250000);
    f->options.journal_fold_size = 1000000;
    f->options.is_synchronous = false;
    store_set_options(f->store, &f->options);
    for (int i = 0; i < 600; i++) {
        struct batch *batch = storefixture_next_batch(f);
        struct store_stats stats;
        storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
        for (int k = 0; k < 5; k++) {
            char field[16];
            snprintf(field, sizeof(field), "%d", (i * 5 + k) % 500);
            storefixture_put_field(batch, 1, field, value);
        }
        assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
        store_stats(f->store, &stats);
        if (stats.journal_bytes > largest)
            largest = stats.journal_bytes;
    }
    assert_in_range(largest, 1000000, 6000000);
}

/* Next to nothing is kept of a deletion, but what finds it takes memory. */
static void
test_generation_of_deletions_is_bounded(void **state)
{
    struct storefixture *f = *state;
    struct store_stats stats;

    reopen_in_pieces(f, 4096);
    for (uint64_t id = 1; id <= 5000; id += 50) {
        struct batch *batch = storefixture_next_batch(f);
        for (uint64_t i = 0; i < 50; i++)
            storefixture_change(batch, ROW_DEL, ROW_KEY, id + i, SLICE(""),
                slice_make(NULL, 0));
        assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    }
    storefixture_sync(f);
    store_stats(f->store, &stats);
    assert_in_range(stats.folds, 10, 100);
}

/* The first of them is as large as may be, the last has what is left. */
static void
test_huge_batch_takes_several_rows(void **state)
{
    struct storefixture *f = *state;
    struct batch *batch;
    char field[16];

    reopen_in_pieces(f, 10000);
    batch = storefixture_next_batch(f);
    storefixture_put_key(batch, 1, 0, "h", KEY_HASH, "");
    for (int i = 0; i < 2000; i++) {
        snprintf(field, sizeof(field), "%d", i);
        storefixture_put_field(batch, 1, field, "value");
    }
    put_big(batch, "0", 'A'); /* its marker is in the last row */
    assert_in_range(batch->changes.len, 21000, 29000);
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
    assert_int_equal(storefixture_query(f, "SELECT count(*) FROM journal"), 3);
    assert_in_range(
        storefixture_query(f, "SELECT max(length(changes)) FROM journal"), 9900,
        10000);
    assert_int_equal(
        storefixture_query(f, "SELECT count(DISTINCT id >> 16) FROM journal"),
        1);
    storefixture_reopen_after_crash(f);
    assert_int_equal(f->seq, 1);
    assert_int_equal(
        storefixture_query(f, "SELECT count(*) FROM hashes"), 2000);
    assert_int_equal(
        storefixture_query(f, "SELECT max(length(value)) FROM hashes"), 20000);
}

#define TEST(name)                   \
    cmocka_unit_test_setup_teardown( \
        name, storefixture_set_up, storefixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_database),
        TEST(test_commit_then_fold),
        TEST(test_seq_survives_empty_journal),
        TEST(test_D3_recovery_folds_the_journal),
        TEST(test_D1_batch_is_one_transaction),
        TEST(test_names_may_be_exchanged),
        TEST(test_touch),
        TEST(test_delete_collects_elements),
        TEST(test_drop_database),
        TEST(test_direct_voids_older_changes),
        TEST(test_D3_direct_in_a_later_generation),
        TEST(test_small_generations_keep_up),
        TEST(test_generation_of_deletions_is_bounded),
        TEST(test_huge_batch_takes_several_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
