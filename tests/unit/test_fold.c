/*
 * test_fold.c -- the fold's index: latest change of each row, in order; and
 * the index of rows written directly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "storage/direct.h"
#include "storage/generation.h"

static void
add(struct buf *out, enum row_op op, enum row_table table, uint64_t id,
    struct slice sub, struct slice value)
{
    struct row_change change = { op, table, id, sub, value };

    rowchange_append(out, &change);
}

/* A generation of these changes, sorted. */
static struct generation *
make(struct buf *changes)
{
    struct generation *generation = generation_new();
    bool is_done = false;

    generation_add(generation, buf_slice(changes));
    assert_int_equal(
        generation_index(generation, INT64_MAX, &is_done), STATUS_OK);
    assert_true(is_done);
    assert_true(generation_sort(generation, INT64_MAX));
    buf_fini(changes);
    return generation;
}

static void
assert_row(struct generation *generation, enum row_op op, enum row_table table,
    uint64_t id, const char *sub, const char *value)
{
    struct generation_row *row = generation_next(generation);

    assert_non_null(row);
    assert_int_equal(row->op, op);
    assert_int_equal(row->table, table);
    assert_int_equal(row->id, id);
    assert_true(
        slice_equal(slice_make(row->sub, row->sub_len), slice_from_text(sub)));
    assert_true(slice_equal(
        slice_make(row->value, row->value_len), slice_from_text(value)));
}

static void
test_latest_change_wins(void **state)
{
    struct buf changes = BUF_INIT;
    struct generation *generation;

    (void)state;
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("a"), SLICE("1"));
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("b"), SLICE("1"));
    add(&changes, ROW_PUT, ROW_SET, 1, SLICE("a"), SLICE(""));
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("a"), SLICE("2"));
    add(&changes, ROW_DEL, ROW_HASH, 1, SLICE("b"), SLICE(""));
    generation = make(&changes);
    assert_int_equal(generation_count(generation), 3);
    assert_row(generation, ROW_PUT, ROW_HASH, 1, "a", "2");
    assert_row(generation, ROW_DEL, ROW_HASH, 1, "b", "");
    assert_row(generation, ROW_PUT, ROW_SET, 1, "a", "");
    assert_null(generation_next(generation));
    generation_free(generation);
}

/* What cannot be read is not passed over when it is tried again. */
static void
test_damaged_change_stops_the_index(void **state)
{
    struct generation *generation = generation_new();
    struct buf changes = BUF_INIT;
    bool is_done = false;

    (void)state;
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("a"), SLICE("1"));
    buf_append(&changes, "\x21\x01\x01\x63", 4); /* no such type */
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("b"), SLICE("1"));
    generation_add(generation, buf_slice(&changes));
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            generation_index(generation, INT64_MAX, &is_done), STATUS_CORRUPT);
    assert_false(is_done);
    buf_fini(&changes);
    generation_free(generation);
}

static void
test_direct_voids_what_is_older(void **state)
{
    struct buf changes = BUF_INIT;
    struct generation *generation;

    (void)state;
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("a"), SLICE("1"));
    add(&changes, ROW_DIRECT, ROW_HASH, 1, SLICE("a"), SLICE(""));
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("b"), SLICE("1"));
    add(&changes, ROW_DIRECT, ROW_HASH, 1, SLICE("b"), SLICE(""));
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("b"), SLICE("2"));
    generation = make(&changes);
    assert_row(generation, ROW_PUT, ROW_HASH, 1, "b", "2");
    assert_null(generation_next(generation));
    generation_free(generation);
}

/* Changes of one row share a place, whatever came between them. */
static void
test_place_is_used_again(void **state)
{
    struct generation *generation = generation_new();
    uint64_t kept = 0;
    bool is_done = false;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct buf changes = BUF_INIT;
        char value[16];
        /* One row of one length; one that shrinks, goes and comes back. */
        snprintf(value, sizeof(value), "%012d", i);
        add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("a"), slice_from_text(value));
        add(&changes, i % 3 == 0 ? ROW_DEL : ROW_PUT, ROW_HASH, 2, SLICE("b"),
            i % 3 == 0 ? SLICE("") : slice_make(value, 12 - (size_t)i % 5));
        add(&changes, i % 2 == 0 ? ROW_DIRECT : ROW_PUT, ROW_LIST, 3,
            SLICE("12345678"), i % 2 == 0 ? SLICE("") : SLICE("list"));
        generation_add(generation, buf_slice(&changes));
        buf_fini(&changes); /* nothing may point into it */
        assert_int_equal(
            generation_index(generation, INT64_MAX, &is_done), STATUS_OK);
        if (i == 10)
            kept = generation_kept(generation);
    }
    assert_in_range(kept, 1, 100);
    assert_int_equal(generation_kept(generation), kept);
    assert_true(generation_size(generation) > 20000);
    assert_true(generation_sort(generation, INT64_MAX));
    assert_row(generation, ROW_PUT, ROW_HASH, 1, "a", "000000000999");
    assert_row(generation, ROW_DEL, ROW_HASH, 2, "b", "");
    assert_row(generation, ROW_PUT, ROW_LIST, 3, "12345678", "list");
    assert_null(generation_next(generation));
    generation_free(generation);
}

/* A value that grows and grows gets new places, and is whole. */
static void
test_value_outgrows_its_place(void **state)
{
    struct generation *generation = generation_new();
    struct buf value = BUF_INIT;
    bool is_done = false;

    (void)state;
    for (int i = 0; i < 500; i++) {
        struct buf changes = BUF_INIT;
        buf_append_byte(&value, (char)('a' + i % 26));
        add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("f"), buf_slice(&value));
        add(&changes, ROW_PUT, ROW_HASH, 2, SLICE("f"), SLICE("between"));
        generation_add(generation, buf_slice(&changes));
        buf_fini(&changes);
        assert_int_equal(
            generation_index(generation, INT64_MAX, &is_done), STATUS_OK);
    }
    /* Places grow by a share, so all of them together are a few values. */
    assert_in_range(generation_kept(generation), 500, 500 * 8);
    assert_true(generation_sort(generation, INT64_MAX));
    struct generation_row *row = generation_next(generation);
    assert_true(
        slice_equal(slice_make(row->value, row->value_len), buf_slice(&value)));
    assert_row(generation, ROW_PUT, ROW_HASH, 2, "f", "between");
    buf_fini(&value);
    generation_free(generation);
}

static void
test_keys_first_databases_last(void **state)
{
    struct buf changes = BUF_INIT;
    struct generation *generation;
    struct generation_row *row;

    (void)state;
    add(&changes, ROW_DROP, ROW_DB, 1, SLICE(""), SLICE(""));
    add(&changes, ROW_PUT, ROW_META, 0, SLICE("m"), SLICE("v"));
    add(&changes, ROW_PUT, ROW_HASH, 5, SLICE("f"), SLICE("v"));
    add(&changes, ROW_PUT, ROW_HASH, 4, SLICE("z"), SLICE("v"));
    add(&changes, ROW_PUT, ROW_KEY, 9, SLICE(""), SLICE("put"));
    add(&changes, ROW_TOUCH, ROW_KEY, 9, SLICE(""), SLICE("tt"));
    add(&changes, ROW_DEL, ROW_KEY, 5, SLICE("\x05"), SLICE(""));
    generation = make(&changes);
    assert_true(generation_deletes_key(generation, 5));
    assert_false(generation_deletes_key(generation, 9));
    assert_false(generation_deletes_key(generation, 4));
    assert_row(generation, ROW_DEL, ROW_KEY, 5, "", "\x05");
    row = generation_next(generation);
    assert_int_equal(row->op, ROW_PUT);
    assert_memory_equal(row->touch, "t", 1);
    assert_row(generation, ROW_PUT, ROW_HASH, 4, "z", "v");
    assert_row(generation, ROW_PUT, ROW_HASH, 5, "f", "v");
    assert_row(generation, ROW_PUT, ROW_META, 0, "m", "v");
    assert_row(generation, ROW_DROP, ROW_DB, 1, "", "");
    assert_null(generation_next(generation));
    generation_free(generation);
}

/* Many runs, indexed and sorted in the smallest slices. */
static void
test_order_of_many(void **state)
{
    struct generation *generation = generation_new();
    struct buf changes = BUF_INIT;
    struct generation_row *row;
    bool is_done = false;
    uint64_t last = 0;
    uint32_t i;
    int rounds = 0;

    (void)state;
    for (i = 0; i < 10000; i++) {
        char sub[16];

        snprintf(sub, sizeof(sub), "%u", i % 7);
        add(&changes, ROW_PUT, ROW_HASH, 1 + i * 2654435761u % 3000,
            slice_from_text(sub), SLICE("v"));
    }
    generation_add(generation, buf_slice(&changes));
    buf_fini(&changes);
    while (!is_done) {
        assert_int_equal(generation_index(generation, 0, &is_done), STATUS_OK);
        rounds++;
    }
    assert_true(rounds > 100);
    while (!generation_sort(generation, 0))
        ;
    i = 0;
    while ((row = generation_next(generation)) != NULL) {
        assert_true(row->id >= last);
        last = row->id;
        i++;
    }
    assert_int_equal(generation_count(generation), 0);
    assert_in_range(i, 3000, 10000);
    generation_free(generation);
}

static void
test_corrupt_changes_are_refused(void **state)
{
    struct generation *generation = generation_new();
    bool is_done;

    (void)state;
    generation_add(generation, SLICE("\xff\x01"));
    assert_int_equal(
        generation_index(generation, INT64_MAX, &is_done), STATUS_CORRUPT);
    generation_free(generation);
}

static void
test_direct_index(void **state)
{
    struct direct_index *direct = direct_new();
    struct buf changes = BUF_INIT;

    (void)state;
    add(&changes, ROW_DIRECT, ROW_HASH, 1, SLICE("a"), SLICE(""));
    add(&changes, ROW_PUT, ROW_HASH, 1, SLICE("b"), SLICE("v"));
    assert_int_equal(direct_add(direct, 10, buf_slice(&changes)), STATUS_OK);
    assert_int_equal(direct_find(direct, ROW_HASH, 1, SLICE("a")), 10);
    assert_int_equal(direct_find(direct, ROW_HASH, 1, SLICE("b")), 0);
    assert_int_equal(direct_find(direct, ROW_LIST, 1, SLICE("a")), 0);
    buf_clear(&changes, 0);
    add(&changes, ROW_DIRECT, ROW_HASH, 1, SLICE("c"), SLICE(""));
    assert_int_equal(direct_add(direct, 11, buf_slice(&changes)), STATUS_OK);
    buf_clear(&changes, 0);
    add(&changes, ROW_DIRECT, ROW_HASH, 1, SLICE("a"), SLICE(""));
    assert_int_equal(direct_add(direct, 12, buf_slice(&changes)), STATUS_OK);
    assert_int_equal(direct_count(direct), 2);
    direct_forget(direct, 11);
    assert_int_equal(direct_find(direct, ROW_HASH, 1, SLICE("c")), 0);
    assert_int_equal(direct_find(direct, ROW_HASH, 1, SLICE("a")), 12);
    direct_free(direct);
    buf_fini(&changes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latest_change_wins),
        cmocka_unit_test(test_damaged_change_stops_the_index),
        cmocka_unit_test(test_direct_voids_what_is_older),
        cmocka_unit_test(test_place_is_used_again),
        cmocka_unit_test(test_value_outgrows_its_place),
        cmocka_unit_test(test_keys_first_databases_last),
        cmocka_unit_test(test_order_of_many),
        cmocka_unit_test(test_corrupt_changes_are_refused),
        cmocka_unit_test(test_direct_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
