/*
 * test_rowchange.c -- row changes, written down and read back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "storage/rowchange.h"

static void
assert_round_trip(const struct row_change *change)
{
    struct buf out = BUF_INIT;
    struct row_change got;
    struct bytes bytes;
    size_t len;

    rowchange_append(&out, change);
    bytes = bytes_from(buf_slice(&out));
    assert_int_equal(rowchange_next(&bytes, &got), STATUS_OK);
    assert_int_equal(got.op, change->op);
    assert_int_equal(got.table, change->table);
    assert_int_equal(got.id, change->id);
    assert_true(slice_equal(got.sub, change->sub));
    assert_true(slice_equal(got.value, change->value));
    assert_int_equal(rowchange_next(&bytes, &got), STATUS_NOT_FOUND);
    for (len = 1; len < out.len; len++) { /* cut short anywhere */
        bytes = bytes_from(slice_make(out.data, len));
        assert_int_equal(rowchange_next(&bytes, &got), STATUS_CORRUPT);
    }
    buf_fini(&out);
}

static void
test_round_trips(void **state)
{
    char big[300] = { 0 };
    struct row_change changes[] = {
        { ROW_PUT, ROW_META, 0, SLICE("name"), SLICE("value") },
        { ROW_DEL, ROW_META, 0, SLICE("name"), SLICE("") },
        { ROW_PUT, ROW_HASH, 1, SLICE(""), SLICE("") },
        { ROW_PUT, ROW_HASH, UINT64_C(1) << 59, SLICE("f"),
            slice_make(big, 300) },
        { ROW_DEL, ROW_HASH, 127, slice_make(big, 200), SLICE("") },
        { ROW_DIRECT, ROW_HASH, 128, SLICE("f"), SLICE("") },
        { ROW_PUT, ROW_LIST, 1, SLICE("12345678"), SLICE("x") },
        { ROW_PUT, ROW_BLOB, 1, SLICE("1234"), SLICE("x") },
        { ROW_PUT, ROW_SET, 1, SLICE("m"), SLICE("") },
        { ROW_PUT, ROW_ZSET, 1, SLICE("m"), SLICE("12345678") },
        { ROW_DEL, ROW_KEY, 9, SLICE("\x05"), SLICE("") },
        { ROW_TOUCH, ROW_KEY, 9, SLICE(""), SLICE("\x01\x02") },
        { ROW_DROP, ROW_DB, 3, SLICE(""), SLICE("") },
    };
    size_t i;

    (void)state;
    memset(big, 'b', sizeof(big));
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        assert_round_trip(&changes[i]);
}

static void
test_key_rows(void **state)
{
    struct key_row rows[] = {
        { 1, 0, KEY_STRING, KEY_INT, -1, 1, 2, SLICE("n"), SLICE("12") },
        { UINT64_C(1) << 59, UINT32_MAX, KEY_STREAM, KEY_STREAM_TREE,
            INT64_MAX - 1, UINT64_MAX >> 1, UINT64_MAX >> 1, SLICE(""),
            SLICE("") },
        { 7, 3, KEY_STRING, KEY_RAW, 0, 1, 0, SLICE("a\0b"), SLICE("\0") },
    };
    struct buf out = BUF_INIT;
    struct row_change change;
    struct bytes bytes;
    struct key_row got;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        buf_clear(&out, 0);
        rowchange_append_key(&out, &rows[i]);
        bytes = bytes_from(buf_slice(&out));
        assert_int_equal(rowchange_next(&bytes, &change), STATUS_OK);
        assert_int_equal(rowchange_decode_key(&change, &got), STATUS_OK);
        assert_int_equal(got.id, rows[i].id);
        assert_int_equal(got.db, rows[i].db);
        assert_int_equal(got.type, rows[i].type);
        assert_int_equal(got.encoding, rows[i].encoding);
        assert_int_equal(got.expire_at_ms, rows[i].expire_at_ms);
        assert_int_equal(got.version, rows[i].version);
        assert_int_equal(got.size, rows[i].size);
        assert_true(slice_equal(got.name, rows[i].name));
        assert_true(slice_equal(got.value, rows[i].value));
    }
    buf_fini(&out);
}

static void
test_touch(void **state)
{
    struct row_change change = { ROW_TOUCH, ROW_KEY, 1, SLICE(""),
        SLICE("\x80\x01\x05") };
    uint64_t version;
    uint64_t size;

    (void)state;
    assert_int_equal(
        rowchange_decode_touch(&change, &version, &size), STATUS_OK);
    assert_int_equal(version, 128);
    assert_int_equal(size, 5);
    change.value.len = 1;
    assert_int_equal(
        rowchange_decode_touch(&change, &version, &size), STATUS_CORRUPT);
}

static void
assert_refused(const char *data, size_t len)
{
    struct bytes bytes = bytes_from(slice_make(data, len));
    struct row_change change;

    assert_int_equal(rowchange_next(&bytes, &change), STATUS_CORRUPT);
}

static void
test_what_means_nothing_is_refused(void **state)
{
    (void)state;
    assert_refused("\x01\x01\x00\x00", 4);             /* no op */
    assert_refused("\x6f\x01\x00\x00", 4);             /* no table */
    assert_refused("\x17\x01\x00\x00", 4);             /* put of a database */
    assert_refused("\x52\x01\x00", 3);                 /* drop of a hash */
    assert_refused("\x41\x01\x00", 3);                 /* direct of a key */
    assert_refused("\x10\x00\x00\x00", 4);             /* meta without a name */
    assert_refused("\x13\x01\x01x\x00", 5);            /* a short position */
    assert_refused("\x16\x01\x01x\x01x", 6);           /* a short score */
    assert_refused("\x21\x01\x01\x63", 4);             /* no such type */
    assert_refused("\x31\x01\x00\x01\x05", 5);         /* a short touch */
    assert_refused("\x31\x01\x00\x03\x05\x05\x05", 7); /* a long one */
    /* An id, then a length, beyond what there can be. */
    assert_refused("\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", 11);
    assert_refused("\x22\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7fx", 12);
}

static void
test_positions_sort_as_numbers(void **state)
{
    int64_t positions[] = { INT64_MIN, -2, -1, 0, 1, 255, 256, INT64_MAX };
    char before[8];
    char at[8];
    size_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        rowchange_put_position(at, positions[i]);
        assert_int_equal(rowchange_get_position(at), positions[i]);
        if (i > 0)
            assert_true(memcmp(before, at, 8) < 0);
        memcpy(before, at, 8);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_key_rows),
        cmocka_unit_test(test_touch),
        cmocka_unit_test(test_what_means_nothing_is_refused),
        cmocka_unit_test(test_positions_sort_as_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
