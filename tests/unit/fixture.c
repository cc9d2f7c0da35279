/*
 * fixture.c -- a keyspace over a real store in a temporary file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/base/hash.h"
#include "storage/objects/string.h"

#include "tests/unit/fixture.h"
#include "tests/unit/tempdir.h"

#define WAIT_MS 10000

static char dir[TEMPDIR_SIZE];
static char path[TEMPDIR_SIZE + 16];
struct store_options fixture_options;
struct store *fixture_store;
struct keyspace *fixture_keyspace;
struct batch *fixture_spare;

static void
open_all(void)
{
    struct keyspace_options limits = { .databases = FIXTURE_DATABASES };
    char error[256];

    assert_int_equal(
        store_open(&fixture_store, &fixture_options, error, sizeof(error)),
        STATUS_OK);
    hash_set_seed(store_counters(fixture_store)->hash_seed);
    assert_int_equal(
        keyspace_new(&fixture_keyspace, fixture_store, &limits), STATUS_OK);
    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
}

int
fixture_set_up(void **state)
{
    (void)state;
    tempdir_make(dir, "keyspace");
    snprintf(path, sizeof(path), "%s/test.db", dir);
    store_options_init(&fixture_options);
    fixture_options.path = path;
    fixture_options.fold_idle_ms = -1;
    fixture_options.fold_slice_us = 1; /* so that much happens between */
    open_all();
    return 0;
}

int
fixture_tear_down(void **state)
{
    (void)state;
    keyspace_free(fixture_keyspace);
    store_close(fixture_store);
    batch_free(fixture_spare);
    fixture_spare = NULL;
    tempdir_remove(dir);
    return 0;
}

struct store_report
fixture_next_report(void)
{
    struct store_report report;

    while (!store_next_report(fixture_store, &report)) {
        struct pollfd waiting = { store_report_fd(fixture_store), POLLIN, 0 };
        assert_int_equal(poll(&waiting, 1, WAIT_MS), 1);
    }
    if (report.kind == STORE_FOLDED)
        keyspace_set_folded(fixture_keyspace, report.folded_seq);
    return report;
}

void
fixture_commit(void)
{
    struct batch *batch, *done = NULL;

    if (!keyspace_has_batch(fixture_keyspace))
        return;
    batch = keyspace_seal(fixture_keyspace, fixture_spare);
    fixture_spare = NULL;
    store_submit(fixture_store, batch);
    while (done == NULL) {
        struct store_report report = fixture_next_report();
        if (report.kind == STORE_BATCH) {
            assert_int_equal(report.outcome, STATUS_OK);
            done = report.batch;
        }
    }
    fixture_spare = done;
}

void
fixture_fold(void)
{
    static uint64_t token;
    struct store_report report;

    fixture_commit();
    store_sync(fixture_store, ++token, false);
    do {
        report = fixture_next_report();
    } while (report.kind != STORE_SYNCED || report.token != token);
    assert_int_equal(report.outcome, STATUS_OK);
    keyspace_set_folded(
        fixture_keyspace, keyspace_open_seq(fixture_keyspace) - 1);
}

void
fixture_restart(bool with_fold)
{
    fixture_commit();
    keyspace_free(fixture_keyspace);
    if (with_fold)
        store_close(fixture_store);
    else
        store_abandon(fixture_store);
    open_all();
}

struct key *
fixture_find(int db, const char *name)
{
    struct slice slice = slice_from_text(name);

    assert_int_equal(
        keyspace_prepare(fixture_keyspace, db, slice, true), STATUS_OK);
    return keyspace_find(fixture_keyspace, db, slice);
}

void
fixture_set(int db, const char *name, const char *value)
{
    (void)fixture_find(db, name);
    (void)keyspace_set_string(fixture_keyspace, db, slice_from_text(name),
        slice_from_text(value), false);
}

void
fixture_assert_value(int db, const char *name, const char *value)
{
    struct key *key = fixture_find(db, name);

    if (value == NULL) {
        assert_null(key);
        return;
    }
    assert_non_null(key);
    assert_int_equal(key->type, KEY_STRING);
    assert_true(slice_equal(string_flat(key->string), slice_from_text(value)));
}
