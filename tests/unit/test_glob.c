/*
 * test_glob.c -- patterns, with the answers of redis-server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/glob.h"

static const struct {
    const char *pattern;
    const char *text;
    bool is_match;
} cases[] = {
    { "", "", true },
    { "", "a", false },
    { "a", "", false },
    { "*", "", false },
    { "*", "a", true },
    { "**", "abc", true },
    { "a*", "a", true },
    { "a**", "a", true },
    { "*a", "ba", true },
    { "*a", "ab", false },
    { "*a*", "bab", true },
    { "a*c*e", "abcde", true },
    { "a*c*e", "abcdf", false },
    { "?", "a", true },
    { "?", "", false },
    { "??", "a", false },
    { "h?llo", "hello", true },
    { "h[ae]llo", "hallo", true },
    { "h[ae]llo", "hillo", false },
    { "h[^e]llo", "hallo", true },
    { "h[^e]llo", "hello", false },
    { "h[a-b]llo", "hbllo", true },
    { "h[b-a]llo", "hallo", true },
    { "[a-", "a", true },
    { "[a-", "-", true },
    { "[abc", "b", true },
    { "[", "[", false },
    { "[]", "]", false },
    { "[^]", "x", true },
    { "[]a]", "]", false },
    { "[\\]]", "]", true },
    { "[\\-]", "-", true },
    { "\\*", "*", true },
    { "\\*", "a", false },
    { "\\", "\\", true },
    { "a\\", "a\\", true },
    { "\\\\", "\\", true },
    { "foo:*:bar", "foo:1:2:bar", true },
    { "A", "a", false },
    { "[A-C]", "b", false },
};

static void
test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_match = glob_match(
            slice_from_text(cases[i].pattern), slice_from_text(cases[i].text));
        if (is_match != cases[i].is_match)
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
    }
}

static void
test_case(void **state)
{
    (void)state;
    assert_true(glob_match_nocase(SLICE("HeL*"), SLICE("hElLo")));
    assert_true(glob_match_nocase(SLICE("[A-C]x"), SLICE("bX")));
    assert_true(glob_match_nocase(SLICE("[abc]"), SLICE("B")));
    assert_false(glob_match_nocase(SLICE("[^abc]"), SLICE("B")));
    assert_true(glob_match_nocase(SLICE("\\A"), SLICE("a")));
}

static void
test_binary(void **state)
{
    (void)state;
    assert_true(glob_match(slice_make("a\0*", 3), slice_make("a\0b", 3)));
    assert_false(glob_match(slice_make("a\0c", 3), slice_make("a\0b", 3)));
    assert_true(glob_match(SLICE("\xff?"), SLICE("\xff\x80")));
}

/* Both would run for ever if every star tried every length. */
static void
test_many_stars_end(void **state)
{
    char pattern[20000];
    char text[5000];

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < 60; i += 2)
        memcpy(pattern + i, "a*", 2);
    pattern[60] = 'b';
    assert_false(
        glob_match(slice_make(pattern, 61), slice_make(text, sizeof(text))));
    for (size_t i = 0; i < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    assert_false(glob_match(
        slice_make(pattern, sizeof(pattern)), slice_make(text, sizeof(text))));
    memset(pattern, '*', sizeof(pattern));
    assert_true(glob_match(
        slice_make(pattern, sizeof(pattern)), slice_make(text, sizeof(text))));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_many_stars_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
