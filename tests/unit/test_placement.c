/*
 * test_placement.c -- where COMMIT runs, on machines that are made up: so many
 * commands a millisecond with LOOP's processor shared, so many without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "storage/placement.h"

#define COMMIT_US 400

struct machine {
    struct placement placement;
    int64_t now_us;
    unsigned near_rate, far_rate; /* commands a millisecond */
    unsigned noise_percent;
    bool is_near;
    int64_t near_us; /* time spent so */
    unsigned changes;
};

/* Load for a while. */
static void
run(struct machine *machine, int64_t seconds)
{
    int64_t end_us = machine->now_us + seconds * 1000000;

    while (machine->now_us < end_us) {
        unsigned rate =
            machine->is_near ? machine->near_rate : machine->far_rate;
        uint64_t commands = rate * COMMIT_US / 1000;
        if (machine->noise_percent > 0)
            commands = commands *
                       (100 - machine->noise_percent +
                           (unsigned)rand() % (2 * machine->noise_percent)) /
                       100;
        machine->now_us += COMMIT_US;
        if (machine->is_near)
            machine->near_us += COMMIT_US;
        bool is_near =
            placement_note(&machine->placement, machine->now_us, commands);
        machine->changes += is_near != machine->is_near;
        machine->is_near = is_near;
    }
}

static void
test_sharing_is_found_where_it_pays(void **state)
{
    struct machine machine = { .near_rate = 75, .far_rate = 50 };

    (void)state;
    run(&machine, 1);
    assert_true(machine.is_near);
    machine.near_us = 0;
    run(&machine, 100);
    assert_true(machine.near_us > 98 * 1000000); /* a trial is short */
}

static void
test_nothing_is_shared_where_it_does_not(void **state)
{
    struct machine machine = { .near_rate = 50, .far_rate = 52 };

    (void)state;
    run(&machine, 100);
    assert_in_range(machine.near_us, 1, 1000000); /* tried, less and less */
    assert_in_range(machine.changes, 2, 20);
}

/* Nor for a difference that may be chance. */
static void
test_noise_moves_nobody(void **state)
{
    struct machine machine = {
        .near_rate = 50, .far_rate = 50, .noise_percent = 40
    };

    (void)state;
    srand(1);
    run(&machine, 1000);
    assert_in_range(machine.near_us, 1, 10 * 1000000);
}

static void
test_another_load_is_noticed(void **state)
{
    struct machine machine = { .near_rate = 75, .far_rate = 50 };

    (void)state;
    run(&machine, 10);
    assert_true(machine.is_near);
    machine.near_rate = 300;
    machine.far_rate = 400;
    run(&machine, 70);
    assert_false(machine.is_near);
}

/* What a fold takes away while it is tried, it must give back to count. */
static void
test_a_slower_moment_is_no_gain(void **state)
{
    struct machine machine = { .near_rate = 50, .far_rate = 50 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        bool is_folding = i / 7 % 2;
        machine.near_rate = machine.far_rate = is_folding ? 30 : 60;
        for (int64_t end_us = machine.now_us + 100000;
             machine.now_us < end_us;) {
            machine.now_us += COMMIT_US;
            bool is_near = placement_note(&machine.placement, machine.now_us,
                machine.near_rate * COMMIT_US / 1000);
            if (is_near)
                machine.near_us += COMMIT_US;
        }
    }
    assert_in_range(machine.near_us, 1, 10 * 1000000);
}

/* Few clients are left: each thread has a processor again, at once. */
static void
test_sharing_ends_with_the_load(void **state)
{
    struct machine machine = { .near_rate = 75, .far_rate = 50 };

    (void)state;
    run(&machine, 1);
    assert_true(machine.is_near);
    machine.near_rate = machine.far_rate = 4;
    run(&machine, 1);
    assert_false(machine.is_near);
    machine.near_rate = 75, machine.far_rate = 50;
    run(&machine, 1);
    assert_true(machine.is_near);
}

static void
test_little_load_is_let_alone(void **state)
{
    struct machine machine = { .near_rate = 75, .far_rate = 5 };

    (void)state;
    run(&machine, 20);
    assert_int_equal(machine.near_us, 0);
    /* Busy moments with pauses between: no window is ever full. */
    machine.far_rate = 50;
    for (int i = 0; i < 1000; i++) {
        for (int commit = 0; commit < 100; commit++) {
            machine.now_us += COMMIT_US;
            assert_false(
                placement_note(&machine.placement, machine.now_us, 20));
        }
        machine.now_us += 100000;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_is_found_where_it_pays),
        cmocka_unit_test(test_nothing_is_shared_where_it_does_not),
        cmocka_unit_test(test_noise_moves_nobody),
        cmocka_unit_test(test_another_load_is_noticed),
        cmocka_unit_test(test_a_slower_moment_is_no_gain),
        cmocka_unit_test(test_sharing_ends_with_the_load),
        cmocka_unit_test(test_little_load_is_let_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
