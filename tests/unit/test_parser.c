/*
 * test_parser.c -- requests whole, in pieces, and wrong; every case is read
 * at once and byte by byte, and both must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "resp/parser.h"

static struct parser parser;

static int
start(void **state)
{
    (void)state;
    parser_init(&parser);
    return 0;
}

static int
finish(void **state)
{
    (void)state;
    parser_fini(&parser);
    return 0;
}

/* Read input in growing prefixes, each in memory of its own. */
static enum parser_result
read_in_steps(struct slice input, size_t step)
{
    enum parser_result result = PARSER_INCOMPLETE;
    static char *copy;

    for (size_t len = step < input.len ? step : input.len;; len += step) {
        if (len > input.len)
            len = input.len;
        free(copy);
        copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, input.data, len);
        result = parser_read(&parser, slice_make(copy, len));
        if (result != PARSER_INCOMPLETE || len == input.len)
            return result;
    }
}

/* input must hold one request with these arguments, in consumed bytes. */
static void
expect_request(
    struct slice input, size_t consumed, size_t argc, const char *const argv[])
{
    static const size_t steps[] = { 1, 2, 3, 7, 1 << 20 };

    for (size_t s = 0; s < 5; s++) {
        assert_int_equal(read_in_steps(input, steps[s]), PARSER_REQUEST);
        assert_int_equal(parser.consumed, consumed);
        assert_int_equal(parser.argc, argc);
        for (size_t i = 0; i < argc; i++)
            assert_true(slice_equal(parser.argv[i], slice_from_text(argv[i])));
    }
}

#define REQUEST(text, ...)                                        \
    expect_request(SLICE(text), sizeof(text) - 1,                 \
        sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), \
        (const char *[]){ __VA_ARGS__ })

static void
expect_error(struct slice input, const char *error)
{
    static const size_t steps[] = { 1, 3, 1 << 20 };

    for (size_t s = input.len > 1000 ? 2 : 0; s < 3; s++) {
        assert_int_equal(read_in_steps(input, steps[s]), PARSER_ERROR);
        assert_string_equal(parser.error, error);
        parser_fini(&parser);
    }
}

static void
test_arrays(void **state)
{
    (void)state;
    REQUEST("*1\r\n$4\r\nPING\r\n", "PING");
    REQUEST("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "SET", "k", "");
    REQUEST("*2\r\n$4\r\nECHO\r\n$11\r\nhello\r\nworl\r\n", "ECHO",
        "hello\r\nworl");
    /* The bytes behind a bulk string and a CR are not looked at. */
    REQUEST("*1\rx$1\rxaxx", "a");
}

static void
test_empty_requests(void **state)
{
    (void)state;
    expect_request(SLICE("*0\r\n"), 4, 0, NULL);
    expect_request(SLICE("*-1\r\n"), 5, 0, NULL);
    expect_request(SLICE("*-7\r\nPING\r\n"), 5, 0, NULL);
    expect_request(SLICE("\r\n"), 2, 0, NULL);
    expect_request(SLICE("\n"), 1, 0, NULL);
    expect_request(SLICE("  \t \r\n"), 6, 0, NULL);
}

static void
test_inline(void **state)
{
    (void)state;
    REQUEST("PING\r\n", "PING");
    REQUEST("PING\n", "PING");
    REQUEST("  set  a\tb \r\n", "set", "a", "b");
    REQUEST("set \"a b\" 'c d'\r\n", "set", "a b", "c d");
    REQUEST("x \"\\n\\r\\t\\b\\a\\\\\\\"\\x41\\xzz\"\r\n", "x",
        "\n\r\t\b\a\\\"Axzz");
    REQUEST("x 'it\\'s' '\\n'\r\n", "x", "it's", "\\n");
    REQUEST("x a\"b c\"\r\n", "x", "ab c");
    REQUEST("x \"\" ''\r\n", "x", "", "");
    REQUEST("a b c d e f g h i j\r\n", "a", "b", "c", "d", "e", "f", "g", "h",
        "i", "j");
    expect_request(
        slice_make("PING\0 x\r\n", 9), 9, 1, (const char *[]){ "PING" });
}

static void
test_pipeline(void **state)
{
    static const char text[] =
        "*1\r\n$4\r\nPING\r\nECHO hi\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    struct slice input = SLICE("");
    size_t requests = 0;

    (void)state;
    input = slice_make(text, sizeof(text) - 1);
    while (parser_read(&parser, input) == PARSER_REQUEST) {
        requests++;
        input = slice_make(
            input.data + parser.consumed, input.len - parser.consumed);
    }
    assert_int_equal(requests, 3);
    assert_int_equal(input.len, 0);
    assert_int_equal(parser.argc, 2);
}

static void
test_many_arguments(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    buf_printf(&buf, "*100000\r\n");
    for (int i = 0; i < 100000; i++)
        buf_printf(&buf, "$%d\r\n%0*d\r\n", i % 9 + 1, i % 9 + 1, i % 10);
    assert_int_equal(read_in_steps(buf_slice(&buf), 100003), PARSER_REQUEST);
    assert_int_equal(parser.argc, 100000);
    assert_int_equal(parser.consumed, buf.len);
    for (size_t i = 0; i < parser.argc; i++) {
        assert_int_equal(parser.argv[i].len, i % 9 + 1);
        assert_int_equal(parser.argv[i].data[i % 9], '0' + (int)(i % 10));
    }
    buf_fini(&buf);
}

static void
test_wanted(void **state)
{
    (void)state;
    struct slice input = SLICE("*1\r\n$100\r\nabc");
    assert_int_equal(parser_read(&parser, input), PARSER_INCOMPLETE);
    assert_int_equal(parser.wanted, 99);
    input.len = 5;
    parser_fini(&parser);
    assert_int_equal(parser_read(&parser, input), PARSER_INCOMPLETE);
    assert_int_equal(parser.wanted, 0);
}

static void
test_errors(void **state)
{
    static const char count[] = "Protocol error: invalid multibulk length";
    static const char bulk[] = "Protocol error: invalid bulk length";
    static const char quotes[] = "Protocol error: unbalanced quotes in request";

    (void)state;
    expect_error(SLICE("*x\r\n"), count);
    expect_error(SLICE("*\r\n"), count);
    expect_error(SLICE("*+1\r\n"), count);
    expect_error(SLICE("*01\r\n"), count);
    expect_error(SLICE("*2147483648\r\n"), count);
    expect_error(SLICE("*99999999999999999999\r\n"), count);
    expect_error(SLICE("*1\r\n$x\r\n"), bulk);
    expect_error(SLICE("*1\r\n$-1\r\n"), bulk);
    expect_error(SLICE("*1\r\n$\r\n"), bulk);
    expect_error(SLICE("*1\r\n$536870913\r\n"), bulk);
    expect_error(SLICE("*1\r\n$99999999999999999999\r\n"), bulk);
    expect_error(
        SLICE("*1\r\nPING\r\n"), "Protocol error: expected '$', got 'P'");
    expect_error(SLICE("*1\r\n\r\n"), "Protocol error: expected '$', got '\r'");
    expect_error(SLICE("x \"a\r\n"), quotes);
    expect_error(SLICE("x 'a\r\n"), quotes);
    expect_error(SLICE("x \"a\"b\r\n"), quotes);
    expect_error(SLICE("x 'a'b\r\n"), quotes);
    expect_error(SLICE("x \"a\\\r\n"), quotes);
}

static void
test_endless_lines(void **state)
{
    static char text[PARSER_INLINE_SIZE_MAX + 100];

    (void)state;
    memset(text, '1', sizeof(text));
    expect_error(slice_make(text, sizeof(text)),
        "Protocol error: too big inline request");
    text[0] = '*';
    expect_error(slice_make(text, sizeof(text)),
        "Protocol error: too big mbulk count string");
    memcpy(text, "*1\r\n$", 5);
    expect_error(slice_make(text, sizeof(text)),
        "Protocol error: too big bulk count string");
    memset(text, 'a', sizeof(text));
    text[PARSER_INLINE_SIZE_MAX] = '\n';
    assert_int_equal(
        read_in_steps(slice_make(text, sizeof(text)), 4096), PARSER_REQUEST);
    assert_int_equal(parser.consumed, PARSER_INLINE_SIZE_MAX + 1);
}

static void
test_unauthenticated(void **state)
{
    (void)state;
    parser.is_unauthenticated = true;
    assert_int_equal(parser_read(&parser, SLICE("*11\r\n")), PARSER_ERROR);
    assert_string_equal(
        parser.error, "Protocol error: unauthenticated multibulk length");
    parser_fini(&parser);
    parser.is_unauthenticated = true;
    assert_int_equal(
        parser_read(&parser, SLICE("*10\r\n$16384\r\n")), PARSER_INCOMPLETE);
    parser_fini(&parser);
    parser.is_unauthenticated = true;
    assert_int_equal(
        parser_read(&parser, SLICE("*1\r\n$16385\r\n")), PARSER_ERROR);
    assert_string_equal(
        parser.error, "Protocol error: unauthenticated bulk length");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_arrays),
        TEST(test_empty_requests),
        TEST(test_inline),
        TEST(test_pipeline),
        TEST(test_many_arguments),
        TEST(test_wanted),
        TEST(test_errors),
        TEST(test_endless_lines),
        TEST(test_unauthenticated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
