/*
 * test_store_failure.c -- single failures of the disk, and what the store does
 * next.  Failures at every operation are in test_powercut.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/reader.h"
#include "storage/store.h"
#include "storage/tap.h"
#include "tests/fault/faultvfs.h"
#include "tests/unit/storefixture.h"

#define MANY 2000

static int
set_up(void **state)
{
    struct storefixture *f;

    faultvfs_register();
    faultvfs_reset();
    assert_int_equal(storefixture_set_up(state), 0);
    f = *state;
    store_close(f->store);
    f->options.vfs = FAULTVFS_NAME;
    storefixture_open(f);
    return 0;
}

static int
tear_down(void **state)
{
    int answer = storefixture_tear_down(state);

    faultvfs_reset();
    return answer;
}

static enum status
put(struct storefixture *f, uint64_t id, const char *name, const char *value)
{
    struct batch *batch = storefixture_next_batch(f);

    storefixture_put_key(batch, id, 0, name, KEY_STRING, value);
    return storefixture_commit(f, batch);
}

static enum status
sync_outcome(struct storefixture *f)
{
    store_sync(f->store, 1, true);
    return storefixture_wait_report(f, STORE_SYNCED).outcome;
}

static void
fail_writes(void)
{
    faultvfs_fail(1, UINT64_MAX, SQLITE_IOERR_WRITE);
}

static void
resume(struct storefixture *f)
{
    store_resume(f->store);
    assert_int_equal(
        storefixture_wait_report(f, STORE_RESUMED).outcome, STATUS_OK);
}

/* The fold fails, opening the file anew fails, and then the server stops. */
static void
test_stops_while_the_file_cannot_be_opened(void **state)
{
    struct storefixture *f = *state;

    assert_int_equal(put(f, 1, "a", "one"), STATUS_OK);
    fail_writes();
    assert_int_equal(sync_outcome(f), STATUS_IO);
    faultvfs_fail_open(true);
    assert_int_not_equal(sync_outcome(f), STATUS_OK);
    store_close(f->store);
    f->store = NULL;
    faultvfs_reset();
    storefixture_open(f);
    storefixture_assert_key(f, 0, "a", "one");
}

/* Who waits for a fold is told when the disk cannot even be opened anew. */
static void
test_sync_is_answered_while_the_disk_fails(void **state)
{
    struct storefixture *f = *state;

    assert_int_equal(put(f, 1, "a", "one"), STATUS_OK);
    fail_writes();
    for (int i = 0; i < 3; i++)
        assert_int_equal(sync_outcome(f), STATUS_IO);
    faultvfs_fail(0, 0, 0);
    assert_int_equal(sync_outcome(f), STATUS_OK);
    storefixture_assert_key(f, 0, "a", "one");
}

/* What is folded stays folded when the file is opened anew. */
static void
test_folded_seq_never_goes_back(void **state)
{
    struct storefixture *f = *state;
    struct store_stats stats;

    assert_int_equal(put(f, 1, "a", "one"), STATUS_OK);
    storefixture_sync(f);
    faultvfs_fail_sync_of("-wal", 1);
    assert_int_equal(put(f, 1, "a", "two"), STATUS_IO);
    resume(f);
    store_stats(f->store, &stats);
    assert_int_equal(stats.committed_seq, 1);
    assert_int_equal(stats.folded_seq, 1);
    storefixture_reopen_after_crash(f);
    store_stats(f->store, &stats);
    assert_int_equal(stats.folded_seq, 1);
    storefixture_assert_key(f, 0, "a", "one");
}

/* Many keys: pages that a change of another key does not touch. */
static void
put_many(struct storefixture *f)
{
    struct batch *batch = storefixture_next_batch(f);
    char name[16];

    for (uint64_t id = 1; id <= MANY; id++) {
        snprintf(name, sizeof(name), "k%d", (int)id);
        storefixture_put_key(batch, id, 0, name, KEY_STRING, name);
    }
    assert_int_equal(storefixture_commit(f, batch), STATUS_OK);
}

static void
assert_many(struct storefixture *f)
{
    char name[16];

    for (uint64_t id = 1; id <= MANY; id++) {
        snprintf(name, sizeof(name), "k%d", (int)id);
        storefixture_assert_key(f, 0, name, name);
    }
}

static void
cut_power(struct storefixture *f)
{
    faultvfs_cut_now();
    store_abandon(f->store);
    faultvfs_cut(1);
    storefixture_open(f);
}

/*
 * A reader keeps a checkpoint partial; the sync at the end of the next one
 * fails, and the pages that the first one copied are gone with the others.
 */
static void
test_D3_pages_of_a_partial_checkpoint_are_copied_again(void **state)
{
    struct storefixture *f = *state;
    struct reader *reader = store_reader(f->store);
    struct store_stats stats;

    put_many(f);
    store_sync(f->store, 1, false);
    storefixture_wait_report(f, STORE_SYNCED);
    assert_int_equal(reader_hold(reader), STATUS_OK);
    assert_many(f);
    assert_int_equal(put(f, MANY + 1, "last", "value"), STATUS_OK);
    storefixture_sync(f);
    store_stats(f->store, &stats);
    assert_true(stats.wal_bytes > 0); /* it was partial */
    reader_release(reader);
    faultvfs_fail_sync_of("test.db", 1);
    assert_int_equal(sync_outcome(f), STATUS_IO);
    assert_true(faultvfs_has_fired());
    assert_int_equal(put(f, MANY + 2, "after", "value"), STATUS_OK);
    cut_power(f);
    assert_many(f);
    storefixture_assert_key(f, 0, "last", "value");
    storefixture_assert_key(f, 0, "after", "value");
}

static void
wake_nobody(bool is_urgent, void *arg)
{
    (void)is_urgent;
    (void)arg;
}

/* Somebody yet has to take the WAL's frames: no checkpoint until then. */
static void
open_with_tap(struct storefixture *f)
{
    f->options.tap = tap_new(f->path);
    tap_set_wake(f->options.tap, wake_nobody, NULL);
    storefixture_open(f);
}

static void
abandon_with_tap(struct storefixture *f)
{
    store_abandon(f->store);
    tap_free(f->options.tap);
    f->options.tap = NULL;
}

/*
 * A sync fails and the process dies: the next one is shown by the kernel what
 * the disk does not hold, and must not build on it.
 */
static void
test_D2_nothing_commits_behind_what_a_dead_process_lost(void **state)
{
    struct storefixture *f = *state;

    store_close(f->store);
    open_with_tap(f);
    for (int i = 0; i < 10; i++) /* more than can be written at once */
        put_many(f);
    assert_int_equal(put(f, MANY + 1, "a", "one"), STATUS_OK);
    faultvfs_fail_sync_of("-wal", 1);
    assert_int_equal(put(f, MANY + 2, "b", "two"), STATUS_IO);
    abandon_with_tap(f);
    open_with_tap(f);
    assert_int_equal(put(f, MANY + 3, "c", "three"), STATUS_OK);
    faultvfs_cut_now();
    abandon_with_tap(f);
    faultvfs_cut(1);
    storefixture_open(f);
    storefixture_assert_key(f, 0, "a", "one");
    storefixture_assert_key(f, 0, "c", "three");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stops_while_the_file_cannot_be_opened),
        TEST(test_sync_is_answered_while_the_disk_fails),
        TEST(test_folded_seq_never_goes_back),
        TEST(test_D3_pages_of_a_partial_checkpoint_are_copied_again),
        TEST(test_D2_nothing_commits_behind_what_a_dead_process_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
