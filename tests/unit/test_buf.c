/*
 * test_buf.c -- growing, consuming, formatting, and sizes nobody can have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/buf.h"

static void
test_appends_grow(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_append_byte(&buf, (char)i);
    assert_int_equal(buf.len, 100000);
    assert_true(buf.size < 400000);
    for (int i = 0; i < 100000; i++)
        assert_true(buf.data[i] == (char)i);
    buf_fini(&buf);
    assert_null(buf.data);
}

static void
test_appends_nothing(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    buf_append(&buf, NULL, 0);
    buf_append_slice(&buf, (struct slice){ NULL, 0 });
    buf_consume(&buf, 0);
    assert_int_equal(buf.len, 0);
    assert_null(buf.data);
    buf_fini(&buf);
}

static void
test_consume_and_clear(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    buf_append_text(&buf, "hello world");
    buf_consume(&buf, 6);
    assert_true(slice_equal(buf_slice(&buf), SLICE("world")));
    buf_consume(&buf, 5);
    assert_int_equal(buf.len, 0);
    buf_clear(&buf, buf.size);
    assert_non_null(buf.data);
    buf_clear(&buf, buf.size - 1);
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
}

static void
test_printf_beyond_room(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    /* Every length around the first allocation. */
    for (int width = 1; width < 300; width++) {
        buf_fini(&buf);
        buf_printf(&buf, "%*d|", width, 7);
        assert_int_equal(buf.len, width + 1);
        assert_int_equal(buf.data[width - 1], '7');
        assert_int_equal(buf.data[width], '|');
        buf_printf(&buf, "%s", "tail");
        assert_memory_equal(buf.data + width + 1, "tail", 4);
    }
    buf_fini(&buf);
}

static void
test_try_refuses_impossible_sizes(void **state)
{
    struct buf buf = BUF_INIT;

    (void)state;
    buf_append_text(&buf, "x");
    assert_int_equal(buf_try_reserve(&buf, SIZE_MAX), STATUS_NO_MEMORY);
    assert_int_equal(
        buf_try_reserve(&buf, (size_t)PTRDIFF_MAX), STATUS_NO_MEMORY);
    assert_int_equal(buf_try_reserve(&buf, 1 << 20), STATUS_OK);
    assert_true(buf.size > 1 << 20);
    assert_int_equal(buf.data[0], 'x');
    buf_fini(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_grow),
        cmocka_unit_test(test_appends_nothing),
        cmocka_unit_test(test_consume_and_clear),
        cmocka_unit_test(test_printf_beyond_room),
        cmocka_unit_test(test_try_refuses_impossible_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
