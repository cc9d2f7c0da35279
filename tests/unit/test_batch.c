/*
 * test_batch.c -- what goes into a batch's journal row and what beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "storage/batch.h"

static char big[BATCH_DIRECT_SIZE_MIN + 1];

static void
test_small_values_go_through_the_journal(void **state)
{
    struct batch *batch = batch_new();
    struct row_change change = { ROW_PUT, ROW_HASH, 1, SLICE("f"),
        slice_make(big, BATCH_DIRECT_SIZE_MIN) };

    (void)state;
    assert_true(batch_is_empty(batch));
    batch_add(batch, &change);
    assert_false(batch_is_empty(batch));
    assert_true(batch->changes.len > BATCH_DIRECT_SIZE_MIN);
    assert_int_equal(batch->direct.len, 0);
    batch_free(batch);
}

static void
test_big_values_leave_a_marker(void **state)
{
    struct batch *batch = batch_new();
    struct row_change change = { ROW_PUT, ROW_HASH, 1, SLICE("f"),
        slice_make(big, sizeof(big)) };
    struct row_change got;
    struct bytes bytes;

    (void)state;
    batch_add(batch, &change);
    bytes = bytes_from(buf_slice(&batch->changes));
    assert_int_equal(rowchange_next(&bytes, &got), STATUS_OK);
    assert_int_equal(got.op, ROW_DIRECT);
    assert_int_equal(got.id, 1);
    assert_true(slice_equal(got.sub, SLICE("f")));
    assert_int_equal(rowchange_next(&bytes, &got), STATUS_NOT_FOUND);
    bytes = bytes_from(buf_slice(&batch->direct));
    assert_int_equal(rowchange_next(&bytes, &got), STATUS_OK);
    assert_int_equal(got.op, ROW_PUT);
    assert_int_equal(got.value.len, sizeof(big));
    batch_free(batch);
}

/* A key's row is never written ahead of the journal: see batch.c. */
static void
test_keys_are_never_direct(void **state)
{
    struct batch *batch = batch_new();
    struct key_row row = { .id = 1,
        .type = KEY_STRING,
        .expire_at_ms = -1,
        .name = slice_make(big, sizeof(big)) };

    (void)state;
    batch_add_key(batch, &row);
    assert_int_equal(batch->direct.len, 0);
    assert_true(batch->changes.len > sizeof(big));
    batch_free(batch);
}

static void
test_clear(void **state)
{
    struct batch *batch = batch_new();
    struct row_change change = { ROW_PUT, ROW_HASH, 1, SLICE("f"),
        slice_make(big, sizeof(big)) };

    (void)state;
    batch_add(batch, &change);
    batch->seq = 7;
    batch->commands = 3;
    batch->outcome = STATUS_IO;
    batch_clear(batch);
    assert_true(batch_is_empty(batch));
    assert_int_equal(batch->direct.len, 0);
    assert_int_equal(batch->seq, 0);
    assert_int_equal(batch->commands, 0);
    assert_int_equal(batch->outcome, STATUS_OK);
    batch_free(batch);
    batch_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_values_go_through_the_journal),
        cmocka_unit_test(test_big_values_leave_a_marker),
        cmocka_unit_test(test_keys_are_never_direct),
        cmocka_unit_test(test_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
