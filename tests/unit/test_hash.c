/*
 * test_hash.c -- SipHash-1-3 against values of independent implementations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/hash.h"

/* Key 00 01 .. 0f, message 00 01 .. of the length of the index. */
static const uint64_t expected[] = {
    UINT64_C(0xabac0158050fc4dc),
    UINT64_C(0xc9f49bf37d57ca93),
    UINT64_C(0x82cb9b024dc7d44d),
    UINT64_C(0x8bf80ab8e7ddf7fb),
    UINT64_C(0xcf75576088d38328),
    UINT64_C(0xdef9d52f49533b67),
    UINT64_C(0xc50d2b50c59f22a7),
    UINT64_C(0xd3927d989bb11140),
};

static void
test_known_answers(void **state)
{
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    hash_set_seed(bytes);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(hash_bytes(bytes, i) == expected[i]);
}

static void
test_seed_and_every_byte_count(void **state)
{
    uint8_t seed[HASH_SEED_SIZE] = { 1 };
    char text[40] = { 0 };

    (void)state;
    hash_set_seed(seed);
    uint64_t plain = hash_bytes(text, sizeof(text));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = 1;
        assert_true(hash_bytes(text, sizeof(text)) != plain);
        text[i] = 0;
    }
    for (size_t len = 0; len < sizeof(text); len++)
        assert_true(hash_bytes(text, len) != plain);
    seed[15] = 1;
    hash_set_seed(seed);
    assert_true(hash_bytes(text, sizeof(text)) != plain);
    assert_true(hash_slice((struct slice){ NULL, 0 }) == hash_bytes(text, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_seed_and_every_byte_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
