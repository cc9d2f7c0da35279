/*
 * test_list.c -- the list object against a plain array, and against the rows
 * that its changes make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/number.h"
#include "server/base/random.h"
#include "storage/objects/list.h"

#define MODEL_LEN_MAX 4000

static int64_t model[MODEL_LEN_MAX];
static size_t model_len;

static void
model_insert(size_t index, int64_t value)
{
    memmove(model + index + 1, model + index,
        (model_len - index) * sizeof(model[0]));
    model[index] = value;
    model_len++;
}

static void
model_remove(size_t index, size_t count)
{
    memmove(model + index, model + index + count,
        (model_len - index - count) * sizeof(model[0]));
    model_len -= count;
}

static void
assert_same(const struct list *list)
{
    struct list_iter iter;
    struct slice value;
    char text[NUMBER_I64_SIZE];
    size_t at = 0;

    list_check(list);
    assert_int_equal(list_len(list), model_len);
    list_iter_start(&iter, list, 0, LIST_HEAD);
    while (list_iter_next(&iter, &value)) {
        struct slice want =
            slice_make(text, number_format_i64(text, model[at++]));
        assert_true(slice_equal(value, want));
    }
    assert_int_equal(at, model_len);
    if (model_len == 0)
        return;
    list_iter_start(&iter, list, model_len - 1, LIST_TAIL);
    while (list_iter_next(&iter, &value))
        at--;
    assert_int_equal(at, 0);
}

/* Lay a batch over the list that stands for the table, and empty it. */
static void
apply_batch(struct list *table, struct batch *batch)
{
    struct bytes bytes = bytes_from(buf_slice(&batch->changes));
    struct row_change change;

    while (rowchange_next(&bytes, &change) == STATUS_OK) {
        int64_t position = rowchange_get_position(change.sub.data);
        if (change.op == ROW_PUT)
            list_apply_put(table, position, change.value);
        else
            list_apply_del(table, position);
    }
    batch_clear(batch);
}

static void
random_step(struct list *list, const struct edit *edit)
{
    char text[NUMBER_I64_SIZE];
    int64_t number = (int64_t)random_below(50);
    struct slice value = slice_make(text, number_format_i64(text, number));
    size_t index = random_below(model_len + 1), count;

    switch (random_below(10)) {
    case 0:
    case 1:
        list_push(list, edit, LIST_TAIL, value);
        model_insert(model_len, number);
        break;
    case 2:
        list_push(list, edit, LIST_HEAD, value);
        model_insert(0, number);
        break;
    case 3:
    case 4:
    case 5:
        list_insert(list, edit, index, value);
        model_insert(index, number);
        break;
    case 6:
        if (model_len == 0)
            break;
        list_pop(list, edit, number % 2 ? LIST_HEAD : LIST_TAIL, NULL);
        model_remove(number % 2 ? 0 : model_len - 1, 1);
        break;
    case 7:
        if (index == model_len)
            break;
        list_set(list, edit, index, value);
        model[index] = number;
        break;
    case 8:
        count = random_below(10);
        if (index + count > model_len)
            break;
        list_remove(list, edit, index, count);
        model_remove(index, count);
        break;
    case 9: {
        enum list_end end = random_below(2) ? LIST_HEAD : LIST_TAIL;
        size_t limit = random_below(4);
        size_t removed = list_remove_equal(list, edit, end, limit, value);
        size_t want = 0;
        for (size_t i = 0; i < model_len && (limit == 0 || want < limit);) {
            size_t at = end == LIST_HEAD ? i : model_len - 1 - i;
            if (model[at] == number) {
                model_remove(at, 1);
                want++;
            } else {
                i++;
            }
        }
        assert_int_equal(removed, want);
        break;
    }
    }
}

static void
test_matches_array_and_rows(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 20; round++) {
        struct batch *batch = batch_new();
        struct edit edit = { batch, 5 };
        struct list *list = list_new(), *table = list_new();
        random_set_seed(round);
        model_len = 0;
        for (int i = 0; i < 1500; i++) {
            random_step(list, &edit);
            if (random_below(30) == 0) {
                apply_batch(table, batch);
                assert_same(table);
                assert_same(list);
            }
        }
        list_free(list);
        list_free(table);
        batch_free(batch);
    }
}

/* Insert at one place until gaps are used up again and again. */
static void
test_gaps_are_renumbered(void **state)
{
    struct batch *batch = batch_new();
    struct edit edit = { batch, 5 };
    struct list *list = list_new(), *table = list_new();

    (void)state;
    model_len = 0;
    list_push(list, &edit, LIST_TAIL, SLICE("0"));
    list_push(list, &edit, LIST_TAIL, SLICE("1"));
    model_insert(0, 0);
    model_insert(1, 1);
    for (size_t i = 0; i < 3000; i++) {
        char text[NUMBER_I64_SIZE];
        size_t at = i % 3 == 2 ? model_len - 1 : 1;
        size_t len = number_format_i64(text, (int64_t)i);
        list_insert(list, &edit, at, slice_make(text, len));
        model_insert(at, (int64_t)i);
    }
    apply_batch(table, batch);
    assert_same(list);
    assert_same(table);
    list_free(list);
    list_free(table);
    batch_free(batch);
}

/* A queue whose positions have come near an end of the numbers. */
static void
test_the_last_position_is_not_reached(void **state)
{
    static const enum list_end ends[] = { LIST_TAIL, LIST_HEAD };

    (void)state;
    for (size_t way = 0; way < 2; way++) {
        struct batch *batch = batch_new();
        struct edit edit = { batch, 5 };
        struct list *list = list_new(), *table = list_new();
        int64_t first =
            ends[way] == LIST_TAIL ? INT64_MAX / 2 - 2 : INT64_MIN / 2 + 1;

        model_len = 0;
        for (int i = 0; i < 3; i++) {
            char text[NUMBER_I64_SIZE];
            struct slice value = slice_make(text, number_format_i64(text, i));

            list_apply_put(list, first + i, value);
            list_apply_put(table, first + i, value);
            model_insert(model_len, i);
        }
        for (int i = 0; i < 10; i++) {
            list_push(list, &edit, ends[way], SLICE("7"));
            model_insert(ends[way] == LIST_TAIL ? model_len : 0, 7);
            apply_batch(table, batch);
            assert_same(list);
            assert_same(table);
        }
        list_free(list);
        list_free(table);
        batch_free(batch);
    }
}

/* Redis 7.2: 8 KiB as one listpack, back at half of it. */
static void
test_encoding_flips_as_redis(void **state)
{
    struct batch *batch = batch_new();
    struct edit edit = { batch, 5 };
    struct list *list = list_new();
    char data[100];
    struct slice value = slice_make(data, sizeof(data));
    size_t pushed = 0;

    (void)state;
    memset(data, 'x', sizeof(data));
    while (list_encoding(list) == KEY_LISTPACK) {
        list_push(list, &edit, LIST_TAIL, value);
        pushed++;
    }
    /* 7 bytes around 103 for each; the last did not fit with its 100. */
    assert_int_equal(pushed, (8192 - 7 - 100) / 103 + 2);
    while (list_encoding(list) == KEY_QUICKLIST) {
        list_pop(list, &edit, LIST_HEAD, NULL);
        pushed--;
    }
    assert_int_equal(pushed, (4096 - 7) / 103);
    list_limits.listpack_size = 3;
    while (list_len(list) > 0)
        list_pop(list, &edit, LIST_HEAD, NULL);
    for (int i = 0; i < 3; i++) {
        list_push(list, &edit, LIST_TAIL, SLICE("a"));
        assert_int_equal(list_encoding(list), KEY_LISTPACK);
    }
    list_push(list, &edit, LIST_TAIL, SLICE("a"));
    assert_int_equal(list_encoding(list), KEY_QUICKLIST);
    list_limits.listpack_size = -2;
    assert_int_equal(list_value_size(list), 4);
    list_free(list);
    batch_free(batch);
}

static void
test_freed_in_steps(void **state)
{
    struct list *list = list_new();
    int steps = 0;

    (void)state;
    for (int i = 0; i < 10000; i++)
        list_push(list, NULL, LIST_TAIL, SLICE("element"));
    while (!list_free_step(list, 64))
        steps++;
    assert_true(steps >= 10000 / 64);
}

/* Redis asks once for all that a command pushes, by the length of its text. */
static void
test_encoding_of_many_pushed_at_once(void **state)
{
    enum { COUNT = 1000 };
    struct batch *batch = batch_new();
    struct edit edit = { batch, 5 };
    struct list *list = list_new(), *other = list_new();
    static struct slice values[COUNT];

    (void)state;
    for (int i = 0; i < COUNT; i++) /* 9 bytes of text, 6 as an entry */
        values[i] = SLICE("123456789");
    list_push_all(list, &edit, LIST_TAIL, values, COUNT);
    assert_int_equal(list_encoding(list), KEY_QUICKLIST);
    assert_int_equal(list_len(list), COUNT);
    for (int i = 0; i < COUNT; i++)
        list_push_all(other, &edit, LIST_HEAD, values, 1);
    assert_int_equal(list_encoding(other), KEY_LISTPACK);
    list_free(list);
    list_free(other);
    batch_free(batch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_array_and_rows),
        cmocka_unit_test(test_gaps_are_renumbered),
        cmocka_unit_test(test_the_last_position_is_not_reached),
        cmocka_unit_test(test_encoding_flips_as_redis),
        cmocka_unit_test(test_encoding_of_many_pushed_at_once),
        cmocka_unit_test(test_freed_in_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
