/*
 * test_peek.c -- the keys of a pipeline, and input cut or broken anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "resp/peek.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nvalue\r\n"
#define GET_BC "*2\r\n$3\r\nGET\r\n$2\r\nbc\r\n"
#define PING "*1\r\n$4\r\nPING\r\n"

/* In memory of its own size, so that reading past it is noticed. */
static size_t
peek(const char *text, size_t len, size_t count_max, size_t *used)
{
    struct slice keys[8];
    char *copy = malloc(len > 0 ? len : 1);
    size_t count;

    assert_true(count_max <= 8);
    memcpy(copy, text, len);
    count = peek_keys(slice_make(copy, len), keys, count_max, used);
    for (size_t i = 0; i < count; i++)
        assert_true(
            keys[i].data >= copy && keys[i].data + keys[i].len <= copy + *used);
    free(copy);
    return count;
}

static void
test_finds_the_keys(void **state)
{
    static const char text[] = SET_A GET_BC SET_A;
    struct slice keys[3];
    size_t used;

    (void)state;
    assert_int_equal(
        peek_keys(slice_make(text, sizeof(text) - 1), keys, 3, &used), 3);
    assert_int_equal(used, sizeof(text) - 1);
    assert_true(slice_equal(keys[0], SLICE("a")));
    assert_true(slice_equal(keys[1], SLICE("bc")));
    assert_true(slice_equal(keys[2], SLICE("a")));
    assert_int_equal(peek(text, sizeof(text) - 1, 2, &used), 2);
    assert_int_equal(used, strlen(SET_A GET_BC));
}

static void
test_stops_at_what_is_not_whole(void **state)
{
    static const char text[] = SET_A GET_BC;
    size_t used;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        size_t count = len < strlen(SET_A) ? 0 : 1;

        assert_int_equal(peek(text, len, 8, &used), count);
        assert_int_equal(used, count * strlen(SET_A));
    }
}

static void
test_stops_at_what_it_does_not_know(void **state)
{
    static const char *const odd[] = { "PING\r\n", PING, "*0\r\n", "*-1\r\n",
        "*2\r\n$-1\r\n$1\r\na\r\n", "*2\r\n:3\r\n$1\r\na\r\n",
        "*99999999999999999999\r\n$1\r\na\r\n",
        "*2\r\n$99999999999999999999\r\n", "*2\r\n$3x\r\nGET\r\n", "*\r\n",
        "\r\n", "*2x\r\n$3\r\nGET\r\n$1\r\na\r\n" };
    char text[256];
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        strcpy(text, SET_A);
        strcat(text, odd[i]);
        strcat(text, GET_BC);
        assert_int_equal(peek(text, strlen(text), 8, &used), 1);
        assert_int_equal(used, strlen(SET_A));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_keys),
        cmocka_unit_test(test_stops_at_what_is_not_whole),
        cmocka_unit_test(test_stops_at_what_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
