/*
 * test_hash_object.c -- the hash object against a plain array, and against the
 * rows that its changes make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/random.h"
#include "storage/objects/hash.h"

#define FIELDS 400

static int values[FIELDS]; /* -1: no such field */
static size_t fields;

static struct slice
text_of(char text[128], const char *format, int number, int pad)
{
    int len = snprintf(text, 128, format, number);

    while (len < pad)
        text[len++] = '.';
    return slice_make(text, (size_t)len);
}

static struct slice
field_of(char text[128], int number)
{
    return text_of(text, "field:%d", number, 0);
}

static struct slice
value_of(char text[128], int number)
{
    return text_of(text, "%d", number, number % 60);
}

static void
assert_same(const struct hash_object *hash)
{
    char field[128], value[128];
    struct slice have;

    hash_object_check(hash);
    assert_int_equal(hash_object_len(hash), fields);
    for (int i = 0; i < FIELDS; i++) {
        bool is_there = hash_object_get(hash, field_of(field, i), &have);
        assert_int_equal(is_there, values[i] >= 0);
        if (is_there)
            assert_true(slice_equal(have, value_of(value, values[i])));
    }
}

static void
apply_batch(struct hash_object *table, struct batch *batch)
{
    struct bytes bytes = bytes_from(buf_slice(&batch->changes));
    struct row_change change;

    while (rowchange_next(&bytes, &change) == STATUS_OK) {
        if (change.op == ROW_PUT)
            hash_object_apply_put(table, change.sub, change.value);
        else
            hash_object_apply_del(table, change.sub);
    }
    batch_clear(batch);
}

static void
test_matches_array_and_rows(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 20; round++) {
        struct batch *batch = batch_new();
        struct edit edit = { batch, 5 };
        struct hash_object *hash = hash_object_new(KEY_LISTPACK);
        struct hash_object *table = hash_object_new(KEY_HASHTABLE);
        int range = round % 2 ? FIELDS : 100;
        random_set_seed(round);
        memset(values, -1, sizeof(values));
        fields = 0;
        for (int i = 0; i < 3000; i++) {
            char field[128], value[128];
            int at = (int)random_below((uint64_t)range);
            struct slice name = field_of(field, at);
            if (random_below(3) > 0) {
                int number = (int)random_below(100000);
                bool is_new =
                    hash_object_put(hash, &edit, name, value_of(value, number));
                assert_int_equal(is_new, values[at] < 0);
                fields += is_new;
                values[at] = number;
            } else {
                bool was_there = hash_object_remove(hash, &edit, name);
                assert_int_equal(was_there, values[at] >= 0);
                fields -= was_there;
                values[at] = -1;
            }
            if (random_below(200) == 0) {
                apply_batch(table, batch);
                assert_same(hash);
                assert_same(table);
            }
        }
        assert_int_equal(hash_object_encoding(hash),
            round % 2 ? KEY_HASHTABLE : KEY_LISTPACK);
        hash_object_free(hash);
        while (!hash_object_free_step(table, 7))
            continue;
        batch_free(batch);
    }
}

struct order {
    char text[64];
};

static void
append_field(struct slice field, struct slice value, void *arg)
{
    struct order *order = arg;

    (void)value;
    strncat(order->text, field.data, field.len);
}

static void
test_listpack_keeps_insertion_order(void **state)
{
    struct hash_object *hash = hash_object_new(KEY_LISTPACK);
    struct order order = { "" };

    (void)state;
    (void)hash_object_put(hash, NULL, SLICE("c"), SLICE("1"));
    (void)hash_object_put(hash, NULL, SLICE("a"), SLICE("1"));
    (void)hash_object_put(hash, NULL, SLICE("b"), SLICE("1"));
    (void)hash_object_put(hash, NULL, SLICE("c"), SLICE("a longer value"));
    assert_true(hash_object_remove(hash, NULL, SLICE("a")));
    (void)hash_object_put(hash, NULL, SLICE("a"), SLICE("2"));
    hash_object_each(hash, append_field, &order);
    assert_string_equal(order.text, "cba");
    hash_object_free(hash);
}

static void
test_long_value_converts_for_good(void **state)
{
    struct hash_object *hash = hash_object_new(KEY_LISTPACK);
    char text[65] = { 0 };

    (void)state;
    (void)hash_object_put(hash, NULL, SLICE("f"), slice_make(text, 64));
    assert_int_equal(hash_object_encoding(hash), KEY_LISTPACK);
    (void)hash_object_put(hash, NULL, SLICE("f"), slice_make(text, 65));
    assert_int_equal(hash_object_encoding(hash), KEY_HASHTABLE);
    (void)hash_object_put(hash, NULL, SLICE("f"), SLICE(""));
    assert_int_equal(hash_object_encoding(hash), KEY_HASHTABLE);
    hash_object_check(hash);
    hash_object_free(hash);
}

static void
count_field(struct slice field, struct slice value, void *arg)
{
    (void)field;
    (void)value;
    ++*(size_t *)arg;
}

static void
test_scan_and_random(void **state)
{
    struct hash_object *hash = hash_object_new(KEY_LISTPACK);
    struct slice field, value;
    uint64_t cursor = 0;
    size_t visited = 0;
    char text[128];

    (void)state;
    for (int i = 0; i < 1000; i++)
        (void)hash_object_put(hash, NULL, field_of(text, i), SLICE("v"));
    do {
        cursor = hash_object_scan(hash, cursor, 10, count_field, &visited);
    } while (cursor != 0);
    assert_true(visited >= 1000);
    for (int i = 0; i < 100; i++) {
        hash_object_random(hash, &field, &value);
        assert_true(hash_object_get(hash, field, NULL));
    }
    hash_object_free(hash);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_array_and_rows),
        cmocka_unit_test(test_listpack_keeps_insertion_order),
        cmocka_unit_test(test_long_value_converts_for_good),
        cmocka_unit_test(test_scan_and_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
