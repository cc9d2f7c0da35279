/*
 * test_reply.c -- the bytes of every kind of reply, in RESP2 and RESP3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "resp/reply.h"

static struct buf out;
static struct reply reply;

static void
start(uint8_t version)
{
    buf_clear(&out, 1 << 20);
    reply_init(&reply, &out, version);
}

static void
expect(const char *text)
{
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, text);
    start(reply.version);
}

static int
release(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static void
test_same_in_both(void **state)
{
    (void)state;
    for (uint8_t version = 2; version <= 3; version++) {
        start(version);
        reply_ok(&reply);
        expect("+OK\r\n");
        reply_simple(&reply, "PO\r\nNG");
        expect("+PO  NG\r\n");
        reply_int(&reply, 9);
        reply_int(&reply, -1);
        reply_int(&reply, INT64_MIN);
        expect(":9\r\n:-1\r\n:-9223372036854775808\r\n");
        reply_bulk(&reply, "hello", 5);
        reply_bulk(&reply, NULL, 0);
        reply_bulk_text(&reply, "0123456789");
        expect("$5\r\nhello\r\n$0\r\n\r\n$10\r\n0123456789\r\n");
        reply_bulk_i64(&reply, -12);
        expect("$3\r\n-12\r\n");
        reply_bulk_begin(&reply, 4);
        reply_bulk_part(&reply, "ab", 2);
        reply_bulk_part(&reply, "cd", 2);
        reply_bulk_end(&reply);
        expect("$4\r\nabcd\r\n");
        reply_long_double(&reply, 10.5L);
        expect("$4\r\n10.5\r\n");
        reply_array(&reply, 12);
        expect("*12\r\n");
    }
}

static void
test_resp2(void **state)
{
    (void)state;
    start(2);
    reply_null(&reply);
    reply_null_array(&reply);
    expect("$-1\r\n*-1\r\n");
    reply_bool(&reply, true);
    reply_bool(&reply, false);
    expect(":1\r\n:0\r\n");
    reply_double(&reply, 5.67);
    reply_double(&reply, -INFINITY);
    expect("$4\r\n5.67\r\n$4\r\n-inf\r\n");
    reply_big_number(&reply, "123");
    expect("$3\r\n123\r\n");
    reply_verbatim(&reply, "txt", "hi", 2);
    expect("$2\r\nhi\r\n");
    reply_map(&reply, 2);
    reply_set(&reply, 2);
    reply_push(&reply, 3);
    expect("*4\r\n*2\r\n*3\r\n");
}

static void
test_resp3(void **state)
{
    (void)state;
    start(3);
    reply_null(&reply);
    reply_null_array(&reply);
    expect("_\r\n_\r\n");
    reply_bool(&reply, true);
    reply_bool(&reply, false);
    expect("#t\r\n#f\r\n");
    reply_double(&reply, 5.67);
    reply_double(&reply, INFINITY);
    expect(",5.67\r\n,inf\r\n");
    reply_big_number(&reply, "123");
    expect("(123\r\n");
    reply_verbatim(&reply, "txt", "hi", 2);
    expect("=6\r\ntxt:hi\r\n");
    reply_map(&reply, 2);
    reply_set(&reply, 2);
    reply_push(&reply, 3);
    reply_attribute(&reply, 1);
    expect("%2\r\n~2\r\n>3\r\n|1\r\n");
}

static void
test_errors(void **state)
{
    char text[3000];

    (void)state;
    start(2);
    reply_ok(&reply);
    reply_error(&reply, "ERR one\r\ntwo");
    assert_int_equal(reply.errors, 1);
    assert_int_equal(reply.error_at, 5);
    expect("+OK\r\n-ERR one  two\r\n");
    reply_error_format(&reply, "ERR '%s' %d", "x\n", 7);
    expect("-ERR 'x ' 7\r\n");
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    reply_error_format(&reply, "%s", text);
    assert_int_equal(out.len, sizeof(text) - 1 + 3);
    /* A header put before an error moves it. */
    start(2);
    size_t deferred = reply_defer(&reply);
    reply_int(&reply, 1);
    reply_error(&reply, "ERR x");
    reply_array_end(&reply, deferred, 2);
    assert_int_equal(out.data[reply.error_at], '-');
}

static void
test_deferred(void **state)
{
    (void)state;
    start(3);
    reply_ok(&reply);
    size_t outer = reply_defer(&reply);
    reply_int(&reply, 1);
    size_t inner = reply_defer(&reply);
    reply_int(&reply, 2);
    reply_int(&reply, 3);
    reply_map_end(&reply, inner, 1);
    size_t empty = reply_defer(&reply);
    reply_set_end(&reply, empty, 0);
    reply_array_end(&reply, outer, 3);
    expect("+OK\r\n*3\r\n:1\r\n%1\r\n:2\r\n:3\r\n~0\r\n");
}

static void
test_muted(void **state)
{
    (void)state;
    start(3);
    reply.is_muted = true;
    reply_ok(&reply);
    reply_simple(&reply, "x");
    reply_error(&reply, "ERR x");
    reply_int(&reply, 1);
    reply_bulk_text(&reply, "x");
    reply_bulk_begin(&reply, 1);
    reply_bulk_part(&reply, "x", 1);
    reply_bulk_end(&reply);
    reply_null(&reply);
    reply_null_array(&reply);
    reply_bool(&reply, true);
    reply_double(&reply, 1.5);
    reply_long_double(&reply, 1.5L);
    reply_big_number(&reply, "1");
    reply_verbatim(&reply, "txt", "x", 1);
    size_t deferred = reply_defer(&reply);
    reply_map(&reply, 1);
    reply_array_end(&reply, deferred, 1);
    assert_int_equal(out.len, 0);
    assert_int_equal(reply.errors, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_same_in_both, release),
        cmocka_unit_test_teardown(test_resp2, release),
        cmocka_unit_test_teardown(test_resp3, release),
        cmocka_unit_test_teardown(test_errors, release),
        cmocka_unit_test_teardown(test_deferred, release),
        cmocka_unit_test_teardown(test_muted, release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
