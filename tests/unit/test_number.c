/*
 * test_number.c -- reading and printing numbers as Redis 7.2 does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "server/base/number.h"
#include "server/base/random.h"

static void
check_double(double value, const char *expected)
{
    char text[NUMBER_DOUBLE_SIZE];

    size_t len = number_format_double(text, value);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void
test_formats_doubles(void **state)
{
    (void)state;
    check_double(0.0, "0");
    check_double(-0.0, "-0");
    check_double(3, "3");
    check_double(-3, "-3");
    check_double(5.67, "5.67");
    check_double(-5.67, "-5.67");
    check_double(0.1, "0.1");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(100.5, "100.5");
    check_double(17179869184, "17179869184");
    check_double(4611686018427387904.0, "4611686018427387904");
    check_double(9223372036854775808.0, "9223372036854776000");
    check_double(1e18, "1000000000000000000");
    check_double(1e19, "1e+19");
    check_double(1e21, "1e+21");
    check_double(1.5e300, "1.5e+300");
    check_double(0.000001, "0.000001");
    check_double(0.0000001, "1e-7");
    check_double(1.5e-9, "1.5e-9");
    check_double(12345.123456789, "1.2345123456789e+4");
    check_double(1234.123456789, "1234.123456789");
    check_double(12345.123456, "12345.123456");
    check_double(5e-324, "5e-324");
    check_double(DBL_MAX, "1.7976931348623157e+308");
    check_double(-DBL_MIN, "-2.2250738585072014e-308");
    check_double(INFINITY, "inf");
    check_double(-INFINITY, "-inf");
    check_double(NAN, "nan");
    check_double(-NAN, "nan");
}

static void
check_round_trip(double value)
{
    char text[NUMBER_DOUBLE_SIZE];
    double back;

    size_t len = number_format_double(text, value);
    assert_true(len < NUMBER_DOUBLE_SIZE - 8);
    assert_true(number_parse_double(slice_make(text, len), &back));
    assert_memory_equal(&back, &value, sizeof(value));
    assert_true(strtod(text, NULL) == value);
}

static void
test_doubles_round_trip(void **state)
{
    (void)state;
    random_set_seed(1);
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = random_u64();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isnan(value) && !isinf(value))
            check_round_trip(value);
        /* Prices, measures, and neighbours of them. */
        value = (double)random_below(100000000) / 1000;
        check_round_trip(value);
        check_round_trip(-nextafter(value, 1e9));
        check_round_trip((double)(int64_t)bits);
    }
}

static bool
parses_double(const char *text, double *value)
{
    return number_parse_double(slice_from_text(text), value);
}

static void
test_parses_doubles(void **state)
{
    static const char *const wrong[] = { "", " 1", "1 ", "a", "1a", "nan",
        "-nan", "1e400", "-1e400", "1e-400", "--1", "1.2.3", ".", "-", "+", "e",
        "0x", "\t1" };
    static const struct {
        const char *text;
        double value;
    } right[] = {
        { "1", 1 },
        { "-1.5", -1.5 },
        { "+1.5", 1.5 },
        { ".5", 0.5 },
        { "5.", 5 },
        { "007", 7 },
        { "0x10", 16 },
        { "1e3", 1000 },
        { "inf", INFINITY },
        { "-inf", -INFINITY },
        { "+Infinity", INFINITY },
        { "5e-324", 5e-324 },
        { "3.14159265358979", 3.14159265358979 },
        { "0.30000000000000004", 0.1 + 0.2 },
        { "123456789012345", 123456789012345.0 },
        { "9007199254740993", 9007199254740992.0 },
    };
    double value = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(parses_double(wrong[i], &value));
    assert_false(number_parse_double(slice_make("1\0", 2), &value));
    assert_true(value == 7);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(parses_double(right[i].text, &value));
        assert_true(value == right[i].value);
    }
    /* Longer than the copy on the stack. */
    char zeros[400];
    memset(zeros, '0', sizeof(zeros));
    zeros[1] = '.';
    zeros[399] = '1';
    assert_false(number_parse_double(slice_make(zeros, 400), &value));
    zeros[250] = '1';
    assert_true(number_parse_double(slice_make(zeros, 300), &value));
    assert_true(value == 1e-249);
}

static void
check_long_double(const char *in, const char *expected)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];
    long double value;

    assert_true(number_parse_long_double(slice_from_text(in), &value));
    size_t len = number_format_long_double(text, value);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void
test_long_doubles(void **state)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];
    long double value;

    (void)state;
    check_long_double("3.0", "3");
    check_long_double("10.50", "10.5");
    check_long_double("5.0e3", "5000");
    check_long_double("-0.0", "0");
    check_long_double("0.1", "0.1");
    check_long_double("1e-30", "0");
    check_long_double("inf", "inf");
    check_long_double("-inf", "-inf");
    assert_true(number_format_long_double(text, LDBL_MAX) > 4900);
    assert_false(number_parse_long_double(SLICE("nan"), &value));
    assert_false(number_parse_long_double(SLICE(" 1"), &value));
    assert_false(number_parse_long_double(SLICE("1 "), &value));
    assert_false(number_parse_long_double(SLICE(""), &value));
    assert_false(number_parse_long_double(SLICE("1e5000"), &value));
    memset(text, '1', sizeof(text));
    assert_false(
        number_parse_long_double(slice_make(text, sizeof(text)), &value));
}

static void
test_integers(void **state)
{
    static const char *const wrong[] = { "", "-", "+1", "01", "-0", "-01", "1 ",
        " 1", "1a", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "99999999999999999999",
        "000000000000000000000000" };
    static const int64_t right[] = { 0, 1, -1, 9, 10, 99, 100, 101, 9999, 10000,
        -10000, 123456789, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
    int64_t value = 7;
    uint64_t unsigned_value;
    char text[NUMBER_I64_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(number_parse_i64(slice_from_text(wrong[i]), &value));
    assert_true(value == 7);
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        size_t len = number_format_i64(text, right[i]);
        assert_true(number_parse_i64(slice_make(text, len), &value));
        assert_true(value == right[i]);
    }
    for (int64_t power = 1; power < INT64_MAX / 10; power *= 10) {
        for (int64_t v = power - 1; v <= power + 1; v++) {
            size_t len = number_format_i64(text, -v);
            if (v == 0)
                continue;
            assert_true(number_parse_i64(slice_make(text, len), &value));
            assert_true(value == -v);
        }
    }
    assert_true(
        number_parse_u64(SLICE("18446744073709551615"), &unsigned_value));
    assert_true(unsigned_value == UINT64_MAX);
    assert_false(number_parse_u64(SLICE("-1"), &unsigned_value));
}

static void
test_memory_units(void **state)
{
    uint64_t bytes;

    (void)state;
    assert_true(number_parse_memory(SLICE("0"), &bytes) && bytes == 0);
    assert_true(number_parse_memory(SLICE("10b"), &bytes) && bytes == 10);
    assert_true(number_parse_memory(SLICE("1k"), &bytes) && bytes == 1000);
    assert_true(number_parse_memory(SLICE("1kB"), &bytes) && bytes == 1024);
    assert_true(number_parse_memory(SLICE("2M"), &bytes) && bytes == 2000000);
    assert_true(number_parse_memory(SLICE("2mb"), &bytes) && bytes == 2 << 20);
    assert_true(
        number_parse_memory(SLICE("3g"), &bytes) && bytes == 3000000000);
    assert_true(number_parse_memory(SLICE("3gb"), &bytes) &&
                bytes == UINT64_C(3) << 30);
    assert_false(number_parse_memory(SLICE(""), &bytes));
    assert_false(number_parse_memory(SLICE("kb"), &bytes));
    assert_false(number_parse_memory(SLICE("-1"), &bytes));
    assert_false(number_parse_memory(SLICE("1tb"), &bytes));
    assert_false(number_parse_memory(SLICE("1 kb"), &bytes));
    assert_false(number_parse_memory(SLICE("99999999999999999999"), &bytes));
    assert_false(number_parse_memory(SLICE("18446744073709551615k"), &bytes));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_doubles),
        cmocka_unit_test(test_doubles_round_trip),
        cmocka_unit_test(test_parses_doubles),
        cmocka_unit_test(test_long_doubles),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_memory_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
