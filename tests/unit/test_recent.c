/*
 * test_recent.c -- what was just shipped, in memory: the oldest go first, gaps
 * are known, what was taken still counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>

#include "replication/recent.h"

#define SIZE_MAX_BYTES 400

static void
add(struct recent *recent, uint64_t txid, size_t len)
{
    char bytes[SIZE_MAX_BYTES];

    memset(bytes, (int)txid, sizeof(bytes));
    recent_add(recent, txid, (struct slice){ bytes, len });
}

static void
take(struct recent *recent, uint64_t txid, struct slice *file, size_t len)
{
    assert_true(recent_take(recent, txid, file));
    assert_int_equal(file->len, len);
    assert_int_equal(file->data[0], (char)txid);
    assert_int_equal(file->data[len - 1], (char)txid);
}

static void
test_the_oldest_are_dropped(void **state)
{
    struct recent *recent = recent_new(SIZE_MAX_BYTES);
    struct slice file;

    (void)state;
    for (uint64_t txid = 5; txid <= 14; txid++) {
        add(recent, txid, 50);
        assert_true(recent_size(recent) <= SIZE_MAX_BYTES);
    }
    assert_int_equal(recent_size(recent), SIZE_MAX_BYTES);
    assert_int_equal(recent_count_run(recent), 8);
    assert_int_equal(recent_count_from(recent, 6), 0);
    assert_int_equal(recent_count_from(recent, 7), 8);
    assert_int_equal(recent_count_from(recent, 14), 1);
    assert_int_equal(recent_count_from(recent, 15), 0);
    assert_false(recent_take(recent, 6, &file));
    recent_drop_to(recent, 13);
    assert_int_equal(recent_size(recent), 50);
    recent_drop_to(recent, UINT64_MAX);
    assert_int_equal(recent_size(recent), 0);
    assert_int_equal(recent_count_run(recent), 0);
    recent_free(recent);
}

static void
test_what_is_taken_still_counts(void **state)
{
    struct recent *recent = recent_new(SIZE_MAX_BYTES);
    struct slice files[4];

    (void)state;
    for (uint64_t txid = 1; txid <= 4; txid++)
        add(recent, txid, 100);
    for (uint64_t txid = 1; txid <= 4; txid++)
        take(recent, txid, &files[txid - 1], 100);
    assert_false(recent_take(recent, 1, &files[0]));
    assert_int_equal(recent_size(recent), SIZE_MAX_BYTES);
    add(recent, 5, 10); /* no room */
    assert_int_equal(recent_count_run(recent), 0);
    recent_give_back(recent, files[2]);
    add(recent, 6, 10);
    assert_int_equal(recent_count_from(recent, 6), 1);
    assert_int_equal(recent_size(recent), 310);
    recent_give_back(recent, files[0]);
    recent_give_back(recent, files[1]);
    recent_give_back(recent, files[3]);
    assert_int_equal(recent_size(recent), 10);
    recent_free(recent);
}

static void
test_a_run_ends_at_a_gap(void **state)
{
    struct recent *recent = recent_new(SIZE_MAX_BYTES);
    struct slice file;

    (void)state;
    add(recent, 1, 10);
    add(recent, 2, SIZE_MAX_BYTES / 4 + 1); /* too large: another's place */
    add(recent, 3, 10);
    add(recent, 4, 10);
    add(recent, 5, 10);
    assert_int_equal(recent_count_run(recent), 3);
    assert_int_equal(recent_count_from(recent, 1), 0);
    assert_int_equal(recent_count_from(recent, 3), 3);
    take(recent, 1, &file, 10);
    recent_give_back(recent, file);
    take(recent, 4, &file, 10);
    recent_give_back(recent, file);
    assert_int_equal(recent_count_from(recent, 3), 0);
    assert_int_equal(recent_count_from(recent, 5), 1);
    take(recent, 5, &file, 10);
    recent_give_back(recent, file);
    assert_int_equal(recent_count_run(recent), 0);
    add(recent, 6, 10);
    assert_int_equal(recent_count_run(recent), 1);
    recent_free(recent);
}

static void
test_files_are_read(void **state)
{
    struct recent *recent = recent_new(SIZE_MAX_BYTES);
    FILE *file = tmpfile();
    struct slice bytes;

    (void)state;
    assert_int_equal(fwrite("\1\1\1\1\1", 1, 5, file), 5);
    assert_int_equal(fflush(file), 0);
    recent_add_file(recent, 1, fileno(file), 5);
    take(recent, 1, &bytes, 5);
    recent_give_back(recent, bytes);
    recent_add_file(recent, 2, fileno(file), 6); /* has fewer */
    assert_int_equal(recent_count_run(recent), 0);
    assert_int_equal(recent_size(recent), 0);
    fclose(file);
    recent_free(recent);
}

static void
test_many_files_come_and_go(void **state)
{
    struct recent *recent = recent_new(1000000);
    struct slice file;
    uint64_t next = 1;

    (void)state;
    for (uint64_t txid = 1; txid <= 5000; txid++) {
        add(recent, txid, 1 + txid % 90);
        if (txid % 700 == 0)
            for (; next + 3 < txid; next++) {
                take(recent, next, &file, 1 + next % 90);
                recent_give_back(recent, file);
            }
        assert_int_equal(recent_count_run(recent), txid - next + 1);
    }
    recent_free(recent);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_are_dropped),
        cmocka_unit_test(test_what_is_taken_still_counts),
        cmocka_unit_test(test_a_run_ends_at_a_gap),
        cmocka_unit_test(test_files_are_read),
        cmocka_unit_test(test_many_files_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
