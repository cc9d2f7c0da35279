/*
 * test_bytes.c -- varints and slices, whole, cut short, and too long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/buf.h"
#include "server/base/bytes.h"

static void
check_varint(uint64_t value)
{
    struct buf buf = BUF_INIT;

    buf_append_varint(&buf, value);
    struct bytes bytes = bytes_from(buf_slice(&buf));
    assert_true(bytes_take_varint(&bytes) == value);
    assert_false(bytes.has_failed);
    assert_int_equal(bytes_left(&bytes), 0);
    /* Every shorter piece of it fails. */
    for (size_t len = 0; len < buf.len; len++) {
        bytes = bytes_from(slice_make(buf.data, len));
        assert_true(bytes_take_varint(&bytes) == 0);
        assert_true(bytes.has_failed);
    }
    buf_fini(&buf);
}

static void
test_varint_round_trip(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        check_varint(UINT64_C(1) << bit);
        check_varint((UINT64_C(1) << bit) - 1);
        check_varint((UINT64_C(1) << bit) + 1);
    }
    check_varint(UINT64_MAX);
}

static void
test_varint_too_long(void **state)
{
    static const char eleven[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00";
    static const char big[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";

    (void)state;
    struct bytes bytes = bytes_from(slice_make(eleven, 11));
    assert_true(bytes_take_varint(&bytes) == 0);
    assert_true(bytes.has_failed);
    bytes = bytes_from(slice_make(big, 10));
    assert_true(bytes_take_varint(&bytes) == 0);
    assert_true(bytes.has_failed);
}

static void
test_first_failure_stays(void **state)
{
    (void)state;
    struct bytes bytes = bytes_from(SLICE("abc"));
    assert_true(slice_equal(bytes_take_slice(&bytes, 2), SLICE("ab")));
    assert_int_equal(bytes_take_slice(&bytes, 2).len, 0);
    assert_true(bytes.has_failed);
    assert_int_equal(bytes_take_u8(&bytes), 0);
    assert_int_equal(bytes_take_slice(&bytes, SIZE_MAX).len, 0);
    assert_int_equal(bytes_left(&bytes), 0);
}

static void
test_empty_input(void **state)
{
    (void)state;
    struct bytes bytes = bytes_from((struct slice){ NULL, 0 });
    assert_int_equal(bytes_take_slice(&bytes, 0).len, 0);
    assert_false(bytes.has_failed);
    assert_int_equal(bytes_take_u8(&bytes), 0);
    assert_true(bytes.has_failed);
}

static void
test_big_endian(void **state)
{
    char data[8];

    (void)state;
    bytes_put_be64(data, UINT64_C(0x0102030405060708));
    assert_memory_equal(data, "\1\2\3\4\5\6\7\10", 8);
    assert_true(bytes_get_be64(data) == UINT64_C(0x0102030405060708));
    assert_true(bytes_get_be32(data) == 0x01020304);
    bytes_put_be32(data, 0xfffefdfc);
    assert_true(bytes_get_be32(data) == 0xfffefdfc);
}

static void
test_numbers_of_any_width(void **state)
{
    struct bytes bytes = bytes_from(SLICE("\1\2\3\1\2\3\xff\xfe"));

    (void)state;
    assert_int_equal(bytes_take_be(&bytes, 3), 0x010203);
    assert_int_equal(bytes_take_le(&bytes, 3), 0x030201);
    assert_int_equal(bytes_take_le(&bytes, 0), 0);
    assert_int_equal(bytes_take_be(&bytes, 3), 0); /* one is missing */
    assert_true(bytes.has_failed);
    bytes = bytes_from(SLICE("\xff\xff\xff\xff\xff\xff\xff\xfe"));
    assert_true(bytes_take_be(&bytes, 8) == UINT64_MAX - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint_round_trip),
        cmocka_unit_test(test_varint_too_long),
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_empty_input),
        cmocka_unit_test(test_big_endian),
        cmocka_unit_test(test_numbers_of_any_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
