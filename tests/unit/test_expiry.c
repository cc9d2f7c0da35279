/*
 * test_expiry.c -- the heap of expiries against a search through an array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/random.h"
#include "storage/expiry.h"

#define KEYS 500

static struct key keys[KEYS];

static void
test_first_is_the_soonest(void **state)
{
    struct expiry expiry;

    (void)state;
    random_set_seed(1);
    expiry_init(&expiry);
    for (int i = 0; i < KEYS; i++) {
        keys[i].expiry_slot = KEY_NO_SLOT;
        keys[i].expire_at_ms = -1;
    }
    for (int i = 0; i < 20000; i++) {
        struct key *key = &keys[random_below(KEYS)];
        struct key *other = &keys[random_below(KEYS)];
        int64_t soonest = INT64_MAX;
        if (random_below(3) > 0) {
            key->expire_at_ms = (int64_t)random_below(1000);
            expiry_put(&expiry, key);
        } else if (other->expiry_slot == KEY_NO_SLOT &&
                   key->expiry_slot != KEY_NO_SLOT) {
            other->expire_at_ms = key->expire_at_ms;
            expiry_replace(&expiry, key, other);
            key->expire_at_ms = -1;
        } else {
            expiry_remove(&expiry, key);
            key->expire_at_ms = -1;
        }
        if (i % 50 != 0)
            continue;
        expiry_check(&expiry);
        for (int k = 0; k < KEYS; k++)
            if (keys[k].expire_at_ms >= 0 && keys[k].expire_at_ms < soonest)
                soonest = keys[k].expire_at_ms;
        if (soonest == INT64_MAX)
            assert_null(expiry_first(&expiry));
        else
            assert_int_equal(expiry_first(&expiry)->expire_at_ms, soonest);
    }
    expiry_fini(&expiry);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_is_the_soonest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
