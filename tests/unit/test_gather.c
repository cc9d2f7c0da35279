/*
 * test_gather.c -- when the next upload is asked for, with a clock of the
 * test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/gather.h"

#define UPLOAD_US 2000

/*
 * An upload is over at now_us, before waited for it, left still wait; uploads
 * have taken UPLOAD_US for a while.
 */
static struct gather
after_upload(int64_t now_us, size_t before, size_t left)
{
    struct gather gather = { 0 };

    for (int i = 0; i < 100; i++) {
        gather_note_asked(&gather, now_us - UPLOAD_US);
        gather_note_released(&gather, now_us, 1, 0);
    }
    gather_note_asked(&gather, now_us - UPLOAD_US);
    gather_note_released(&gather, now_us, before, left);
    return gather;
}

static void
test_a_lone_client_is_not_delayed(void **state)
{
    struct gather gather = { 0 };

    (void)state;
    assert_int_equal(gather_wait_us(&gather, 1000, 1), 0);
    gather = after_upload(10000, 1, 0);
    assert_int_equal(gather_wait_us(&gather, 10001, 1), 0);
}

static void
test_those_who_were_released_are_waited_for(void **state)
{
    struct gather gather = after_upload(10000, 50, 0);

    (void)state;
    for (size_t came = 1; came < 50; came++)
        assert_true(
            gather_wait_us(&gather, 10000 + (int64_t)came * 10, came) > 0);
    assert_int_equal(gather_wait_us(&gather, 10500, 50), 0);
}

/* Two groups that take turns become one. */
static void
test_groups_are_joined(void **state)
{
    struct gather gather = after_upload(10000, 50, 25);

    (void)state;
    assert_true(gather_wait_us(&gather, 10010, 25) > 0);
    assert_true(gather_wait_us(&gather, 10200, 40) > 0);
    assert_int_equal(gather_wait_us(&gather, 10300, 50), 0);
}

static void
test_nobody_waits_longer_than_an_upload(void **state)
{
    struct gather gather = after_upload(10000, 50, 0);
    size_t came = 0;
    int64_t now_us = 10000;

    (void)state;
    /* They come, so slowly that not all will be there in time. */
    while (gather_wait_us(&gather, now_us, came) > 0 || came == 0) {
        came += (now_us - 10000) % 60 == 0;
        now_us += 10;
    }
    assert_in_range(now_us, 10000, 10000 + UPLOAD_US + UPLOAD_US / 10);
    assert_true(came > 10);
}

static void
test_who_does_not_come_is_not_waited_for(void **state)
{
    struct gather gather = after_upload(10000, 50, 25);
    int64_t wait_us = gather_wait_us(&gather, 10000, 25);

    (void)state;
    assert_in_range(wait_us, 1, UPLOAD_US / 4);
    assert_int_equal(gather_wait_us(&gather, 10000 + wait_us, 25), 0);
}

/* Clients that think between requests: the wait is soon given up. */
static void
test_waiting_in_vain_is_given_up(void **state)
{
    struct gather gather = after_upload(10000, 10, 5);
    int64_t now_us = 10000;
    int waits = 0;

    (void)state;
    for (int i = 0; i < 640; i++) {
        int64_t wait_us = gather_wait_us(&gather, now_us, 5);
        waits += wait_us > 0;
        now_us += wait_us;
        assert_int_equal(gather_wait_us(&gather, now_us, 5), 0);
        gather_note_asked(&gather, now_us);
        now_us += UPLOAD_US;
        gather_note_released(&gather, now_us, 10, 5);
    }
    assert_in_range(waits, 5, 20);
}

/* And taken up again when they have changed their ways. */
static void
test_waiting_is_tried_again(void **state)
{
    struct gather gather = after_upload(10000, 10, 5);
    int64_t now_us = 10000;
    int waits = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        now_us += gather_wait_us(&gather, now_us, 5);
        gather_note_asked(&gather, now_us);
        now_us += UPLOAD_US;
        gather_note_released(&gather, now_us, 10, 5);
    }
    for (int i = 0; i < 164; i++) {
        waits += gather_wait_us(&gather, now_us, 5) > 0;
        assert_int_equal(gather_wait_us(&gather, now_us + 100, 10), 0);
        gather_note_asked(&gather, now_us + 100);
        now_us += UPLOAD_US + 100;
        gather_note_released(&gather, now_us, 10, 5);
    }
    assert_true(waits >= 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lone_client_is_not_delayed),
        cmocka_unit_test(test_those_who_were_released_are_waited_for),
        cmocka_unit_test(test_groups_are_joined),
        cmocka_unit_test(test_nobody_waits_longer_than_an_upload),
        cmocka_unit_test(test_who_does_not_come_is_not_waited_for),
        cmocka_unit_test(test_waiting_in_vain_is_given_up),
        cmocka_unit_test(test_waiting_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
