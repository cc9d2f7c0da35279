/*
 * test_keyspace.c -- single promises of the keyspace over a real store.  The
 * sum of them, under random changes, is in test_keyspace_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/objects/hash.h"
#include "tests/unit/fixture.h"

/* What left memory is on disk, but perhaps not in the bucket yet. */
static void
test_observed_batch_of_what_is_folded_R1(void **state)
{
    uint64_t first = keyspace_open_seq(fixture_keyspace);

    (void)state;
    fixture_set(0, "a", "1");
    fixture_commit();
    fixture_set(0, "b", "1");
    fixture_commit();
    keyspace_delete(fixture_keyspace, fixture_find(0, "b"));
    fixture_fold();
    assert_int_equal(keyspace_evict_all(fixture_keyspace), 1);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "a", "1");
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), first);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "b", NULL);
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), first + 2);
}

static void
test_observed_batch_R1(void **state)
{
    uint64_t open = keyspace_open_seq(fixture_keyspace);

    (void)state;
    fixture_set(0, "a", "1");
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), open);
    fixture_set(0, "b", "1");
    keyspace_delete(fixture_keyspace, fixture_find(0, "b"));
    fixture_spare = keyspace_seal(fixture_keyspace, NULL);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "a", "1");
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), open);
    assert_true(keyspace_observed_seq(fixture_keyspace) <
                keyspace_open_seq(fixture_keyspace));
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(
        0, "b", NULL); /* that it is gone must be durable too */
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), open);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "never", NULL);
    assert_int_equal(keyspace_observed_seq(fixture_keyspace), 0);
    keyspace_flush(fixture_keyspace, 0);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(
        0, "never", NULL); /* flushed by the open batch, for all */
    assert_int_equal(keyspace_observed_seq(fixture_keyspace),
        keyspace_open_seq(fixture_keyspace));
    store_submit(fixture_store, fixture_spare);
    fixture_spare = fixture_next_report().batch;
    fixture_commit();
}

static void
test_unfolded_stays_resident_D4(void **state)
{
    struct keyspace_stats stats;

    (void)state;
    fixture_set(0, "a", "1");
    fixture_set(0, "b", "1");
    assert_int_equal(keyspace_evict_all(fixture_keyspace), 0);
    fixture_commit();
    assert_int_equal(keyspace_evict_all(fixture_keyspace), 0);
    keyspace_delete(fixture_keyspace, fixture_find(0, "b"));
    fixture_fold();
    fixture_set(0, "c", "1");
    assert_int_equal(keyspace_evict_all(fixture_keyspace), 1);
    keyspace_stats(fixture_keyspace, &stats);
    assert_int_equal(stats.resident, 1);
    keyspace_check(fixture_keyspace);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "a", "1");
    fixture_assert_value(0, "b", NULL);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 2);
}

static void
test_expired_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(0, name, "1");
        keyspace_set_expiry(
            fixture_keyspace, fixture_find(0, name), FIXTURE_NOW_MS + i);
    }
    fixture_fold();
    (void)keyspace_evict_all(fixture_keyspace);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 300);
    fixture_assert_value(0, "k299", "1"); /* resident again */
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS, 1000000), 0);
    assert_false(keyspace_has_batch(fixture_keyspace));
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS + 100, 1000000), 100);
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS + 100, 1000000), 0);
    fixture_fold();
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS + 1000, 1000000), 200);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 0);
    keyspace_check(fixture_keyspace);
    fixture_fold();
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS + 2000, 1000000), 0);
    assert_false(keyspace_has_batch(fixture_keyspace));
}

static void
test_expired_is_kept_while_told_so(void **state)
{
    struct keyspace_stats stats;

    (void)state;
    fixture_set(0, "a", "1");
    keyspace_set_expiry(
        fixture_keyspace, fixture_find(0, "a"), FIXTURE_NOW_MS + 10);
    fixture_commit();
    keyspace_keep_expired(fixture_keyspace, true);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS + 11);
    assert_null(fixture_find(0, "a"));
    assert_false(keyspace_has_changed(fixture_keyspace));
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 1);
    keyspace_keep_expired(fixture_keyspace, false);
    assert_null(fixture_find(0, "a"));
    assert_true(keyspace_has_changed(fixture_keyspace));
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 0);
    keyspace_stats(fixture_keyspace, &stats);
    assert_int_equal(stats.expired, 1);
}

static void
test_expired_is_hidden_until_resume(void **state)
{
    (void)state;
    fixture_set(0, "a", "1");
    keyspace_set_expiry(
        fixture_keyspace, fixture_find(0, "a"), FIXTURE_NOW_MS + 5);
    fixture_commit();
    assert_int_equal(keyspace_reload(fixture_keyspace), STATUS_OK);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS + 10);
    fixture_assert_value(0, "a", NULL);
    assert_false(keyspace_has_batch(fixture_keyspace));
    assert_int_equal(
        keyspace_sweep(fixture_keyspace, FIXTURE_NOW_MS + 10, 1000), 0);
    keyspace_resume(fixture_keyspace);
    fixture_assert_value(0, "a", NULL);
    assert_true(keyspace_has_batch(fixture_keyspace));
    fixture_commit();
}

static void
test_failed_changes_are_gone_D2(void **state)
{
    uint64_t open;

    (void)state;
    fixture_set(0, "a", "committed");
    fixture_set(1, "x", "x");
    fixture_commit();
    open = keyspace_open_seq(fixture_keyspace);
    fixture_set(0, "a", "lost");
    fixture_set(0, "b", "lost");
    keyspace_flush(fixture_keyspace, 1);
    assert_int_equal(keyspace_reload(fixture_keyspace), STATUS_OK);
    keyspace_resume(fixture_keyspace);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "a", "committed");
    fixture_assert_value(0, "b", NULL);
    fixture_assert_value(1, "x", "x");
    assert_int_equal(keyspace_open_seq(fixture_keyspace), open);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 1);
    assert_int_equal(keyspace_count(fixture_keyspace, 1), 1);
    keyspace_check(fixture_keyspace);
}

static bool
mark_name(struct slice name, enum key_type type, void *arg)
{
    int *visits = arg;
    int number = 0;

    assert_int_equal(type, KEY_STRING);
    for (size_t i = 1; i < name.len; i++)
        number = number * 10 + (name.data[i] - '0');
    visits[number]++;
    return true;
}

/* After a reload it is no longer known which batch emptied a database. */
static void
test_observed_batch_after_reload_R1(void **state)
{
    (void)state;
    fixture_set(0, "a", "1");
    fixture_commit();
    keyspace_flush(fixture_keyspace, 0);
    fixture_commit();
    fixture_set(1, "b", "lost");
    assert_int_equal(keyspace_reload(fixture_keyspace), STATUS_OK);
    keyspace_resume(fixture_keyspace);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    fixture_assert_value(0, "a", NULL);
    assert_int_equal(keyspace_observed_seq(fixture_keyspace),
        keyspace_open_seq(fixture_keyspace) - 1);
}

static void
put_field(int db, const char *name, const char *field)
{
    struct slice slice = slice_from_text(name);
    struct key *key = fixture_find(db, name);
    struct edit edit;

    if (key == NULL)
        key = keyspace_create(fixture_keyspace, db, slice, KEY_HASH,
            hash_object_new(KEY_LISTPACK));
    edit = keyspace_edit(fixture_keyspace, key);
    hash_object_put(key->hash, &edit, slice_from_text(field), SLICE("v"));
    assert_true(keyspace_touch(fixture_keyspace, key));
}

/* Until as much is folded as calls for it, and garbage, if any, collected. */
static void
wait_for_background_work(void)
{
    struct store_stats stats = { .journal_bytes = UINT64_MAX };

    while (stats.journal_bytes > fixture_options.journal_fold_size) {
        usleep(1000);
        store_stats(fixture_store, &stats);
    }
    assert_true(stats.journal_bytes > 0);
    usleep(50000);
}

/*
 * A key is moved out of a database that is then dropped, all in one batch, of
 * which the journal's first rows are folded and the others are not yet: when
 * the drop is, the key must have been moved, or it is collected with the rest.
 */
static void
test_moved_key_outlives_the_drop_of_a_huge_batch(void **state)
{
    char name[16];

    (void)state;
    put_field(0, "moved", "field");
    fixture_fold();
    fixture_options.journal_row_size = 1000;
    fixture_options.generation_size = 1;
    fixture_options.journal_fold_size = 6000;
    fixture_restart(true);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "%d", i);
        fixture_set(2, name, "value");
    }
    (void)fixture_find(1, "moved");
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(0, "moved"), 1, SLICE("moved"));
    fixture_set(0, "dropped", "value");
    keyspace_flush(fixture_keyspace, 0);
    fixture_commit();
    wait_for_background_work();
    fixture_restart(true);
    assert_non_null(fixture_find(1, "moved"));
    assert_int_equal(fixture_find(1, "moved")->size, 1);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 0);
}

/* k0-k99 are there all the time; others come, go and move between steps. */
static void
test_scan_visits_all(void **state)
{
    int visits[1000] = { 0 };
    uint64_t cursor = 0;
    char name[32];
    int next = 100;

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(i % 2, name, "1");
        if (i == 50)
            fixture_fold();
    }
    do {
        assert_int_equal(
            keyspace_scan(fixture_keyspace, 0, &cursor, 3, mark_name, visits),
            STATUS_OK);
        snprintf(name, sizeof(name), "k%d", next++);
        fixture_set(0, name, "1");
        if (next % 5 == 0)
            fixture_fold();
        if (next % 7 == 0)
            (void)keyspace_evict_all(fixture_keyspace);
        if (next % 3 == 0 && next > 110) {
            snprintf(name, sizeof(name), "k%d", next - 8);
            if (fixture_find(0, name) != NULL)
                keyspace_delete(fixture_keyspace, fixture_find(0, name));
        }
    } while (cursor != 0 && next < 990);
    assert_int_equal(cursor, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(visits[i], i % 2 == 0);
    for (int i = 100; i < next; i++)
        assert_true(visits[i] <= 1);
}

static void
test_scan_follows_renames(void **state)
{
    int visits[1000] = { 0 };
    uint64_t cursor = 0;

    (void)state;
    fixture_set(0, "k1", "1");
    fixture_set(0, "k2", "2");
    fixture_set(1, "k9", "9");
    fixture_fold();
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(0, "k1"), 0, SLICE("k5"));
    fixture_set(0, "k1", "new");
    (void)fixture_find(1, "k2");
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(0, "k2"), 1, SLICE("k2"));
    (void)fixture_find(0, "k9");
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(1, "k9"), 0, SLICE("k9"));
    assert_int_equal(
        keyspace_scan(fixture_keyspace, 0, &cursor, 100, mark_name, visits),
        STATUS_OK);
    assert_int_equal(cursor, 0);
    assert_int_equal(visits[1], 1);
    assert_int_equal(visits[2], 0);
    assert_int_equal(visits[5], 1);
    assert_int_equal(visits[9], 1);
    fixture_commit();
}

/* Names that a whole scan of db 0 in steps of three ids visits. */
static void
scan_all(int *visits)
{
    uint64_t cursor = 0;

    do {
        assert_int_equal(
            keyspace_scan(fixture_keyspace, 0, &cursor, 3, mark_name, visits),
            STATUS_OK);
    } while (cursor != 0);
}

/* A new key is renamed by a batch after the one that is folded. */
static void
test_scan_finds_new_key_renamed_after_fold(void **state)
{
    int visits[10] = { 0 };
    uint64_t seq;

    (void)state;
    fixture_set(0, "k1", "1");
    fixture_set(1, "k8", "8");
    seq = keyspace_open_seq(fixture_keyspace);
    fixture_commit();
    store_request_fold(fixture_store);
    while (fixture_next_report().folded_seq < seq)
        continue;
    fixture_set(0, "k2", "1");
    seq = keyspace_open_seq(fixture_keyspace);
    fixture_commit();
    (void)fixture_find(0, "k5");
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(0, "k2"), 0, SLICE("k5"));
    store_request_fold(fixture_store);
    while (fixture_next_report().folded_seq < seq)
        continue;
    /* The row says k2, the renaming is not even committed. */
    (void)keyspace_evict_all(fixture_keyspace);
    scan_all(visits);
    assert_int_equal(visits[1], 1);
    assert_int_equal(visits[2], 0);
    assert_int_equal(visits[5], 1);
    fixture_commit();
}

/* Key k<number> is k<number + 1> from now on. */
static void
rename_one_up(int number)
{
    char name[32], next[32];

    snprintf(name, sizeof(name), "k%d", number);
    snprintf(next, sizeof(next), "k%d", number + 1);
    assert_null(fixture_find(0, next));
    (void)keyspace_rename(
        fixture_keyspace, fixture_find(0, name), 0, slice_from_text(next));
}

/* Every key takes the name of another while slices of the fold go on. */
static void
test_scan_between_slices_misses_nobody(void **state)
{
    enum { KEYS = 400 };
    struct store_report report = { .folded_seq = 0 };
    static int visits[1000];
    char name[32];
    uint64_t seq;

    (void)state;
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(0, name, "1");
    }
    fixture_fold();
    for (int i = KEYS - 1; i >= 0; i--)
        rename_one_up(i);
    seq = keyspace_open_seq(fixture_keyspace);
    fixture_commit();
    store_request_fold(fixture_store);
    do {
        memset(visits, 0, sizeof(visits));
        scan_all(visits);
        for (int i = 0; i <= KEYS; i++)
            assert_int_equal(visits[i], i > 0);
        if (store_next_report(fixture_store, &report) &&
            report.kind == STORE_FOLDED)
            keyspace_set_folded(fixture_keyspace, report.folded_seq);
    } while (report.folded_seq < seq);
}

/* So many keys are folded at once that they leave the lists later. */
static void
test_scan_finds_keys_evicted_at_once(void **state)
{
    struct keyspace_options limits = { .databases = FIXTURE_DATABASES,
        .memory_max = 1 };
    static int visits[9000];
    char name[32];

    (void)state;
    memset(visits, 0, sizeof(visits));
    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(0, name, "1");
    }
    fixture_fold();
    keyspace_set_options(fixture_keyspace, &limits);
    (void)keyspace_evict(fixture_keyspace, 1000000);
    scan_all(visits);
    for (int i = 0; i < 9000; i++)
        assert_int_equal(visits[i], 1);
}

static void
test_random_key(void **state)
{
    struct buf out = BUF_INIT;
    char name[32];

    (void)state;
    assert_int_equal(
        keyspace_random(fixture_keyspace, 0, &out), STATUS_NOT_FOUND);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(0, name, "1");
    }
    fixture_fold();
    (void)keyspace_evict_all(fixture_keyspace);
    for (int i = 0; i < 50; i++) {
        buf_clear(&out, 100);
        assert_int_equal(keyspace_random(fixture_keyspace, 0, &out), STATUS_OK);
        buf_append_byte(&out, 0);
        assert_non_null(fixture_find(0, out.data));
    }
    buf_fini(&out);
}

static void
test_eviction_keeps_to_the_limit(void **state)
{
    struct keyspace_options limits = { .databases = FIXTURE_DATABASES,
        .memory_max = 64 * 1024 };
    struct keyspace_stats stats;
    char name[32];

    (void)state;
    keyspace_set_options(fixture_keyspace, &limits);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_set(0, name, "some value or other");
    }
    assert_true(keyspace_evict(fixture_keyspace, 1000000)); /* fold first */
    fixture_fold();
    while (keyspace_reap(fixture_keyspace, 1000))
        continue;
    assert_false(keyspace_evict(fixture_keyspace, 1000000));
    keyspace_stats(fixture_keyspace, &stats);
    assert_true(stats.memory <= 64 * 1024);
    assert_true(stats.evicted > 500);
    assert_int_equal(keyspace_count(fixture_keyspace, 0), 2000);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        fixture_assert_value(0, name, "some value or other");
    }
    keyspace_check(fixture_keyspace);
}

static int watched;

static void
count_change(int db, struct slice name, enum key_type type, void *arg)
{
    (void)arg;
    (void)type;
    watched +=
        db == 0 && (name.len == SIZE_MAX || slice_equal(name, SLICE("a")));
}

static void
test_watch_hears_changes(void **state)
{
    (void)state;
    watched = 0;
    keyspace_set_watch(fixture_keyspace, count_change, NULL);
    fixture_set(0, "a", "1");
    fixture_set(0, "b", "1");
    fixture_set(1, "a", "1");
    assert_int_equal(watched, 1);
    keyspace_delete(fixture_keyspace, fixture_find(0, "a"));
    assert_int_equal(watched, 2);
    keyspace_swap(fixture_keyspace, 0, 1);
    assert_int_equal(watched, 3);
    keyspace_flush(fixture_keyspace, -1);
    assert_int_equal(watched, 4);
    keyspace_set_watch(fixture_keyspace, NULL, NULL);
    fixture_commit();
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_observed_batch_R1),
        TEST(test_observed_batch_of_what_is_folded_R1),
        TEST(test_unfolded_stays_resident_D4),
        TEST(test_expired_goes),
        TEST(test_expired_is_kept_while_told_so),
        TEST(test_expired_is_hidden_until_resume),
        TEST(test_failed_changes_are_gone_D2),
        TEST(test_observed_batch_after_reload_R1),
        TEST(test_moved_key_outlives_the_drop_of_a_huge_batch),
        TEST(test_scan_visits_all),
        TEST(test_scan_follows_renames),
        TEST(test_scan_finds_new_key_renamed_after_fold),
        TEST(test_scan_between_slices_misses_nobody),
        TEST(test_scan_finds_keys_evicted_at_once),
        TEST(test_random_key),
        TEST(test_eviction_keeps_to_the_limit),
        TEST(test_watch_hears_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
