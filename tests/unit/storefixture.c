/*
 * storefixture.c -- a store in a temporary folder, for tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/log.h"
#include "storage/reader.h"
#include "storage/store.h"
#include "tests/unit/storefixture.h"

void
storefixture_open(struct storefixture *f)
{
    char error[512] = "";

    if (store_open(&f->store, &f->options, error, sizeof(error)) != STATUS_OK)
        fail_msg("%s", error);
    f->seq = store_counters(f->store)->seq;
}

int
storefixture_set_up(void **state)
{
    struct storefixture *f = calloc(1, sizeof(*f));

    log_set_level(LOG_LEVEL_NOTHING);
    tempdir_make(f->dir, "store");
    snprintf(f->path, sizeof(f->path), "%s/test.db", f->dir);
    store_options_init(&f->options);
    f->options.path = f->path;
    f->options.fold_idle_ms = -1;
    storefixture_open(f);
    *state = f;
    return 0;
}

int
storefixture_tear_down(void **state)
{
    struct storefixture *f = *state;

    if (f->store != NULL)
        store_close(f->store);
    tempdir_remove(f->dir);
    free(f);
    return 0;
}

struct store_report
storefixture_wait_report_of(struct store *store, enum store_report_kind kind)
{
    struct pollfd pfd = { .fd = store_report_fd(store), .events = POLLIN };
    struct store_report report;

    for (;;) {
        while (store_next_report(store, &report))
            if (report.kind == kind)
                return report;
        assert_int_equal(poll(&pfd, 1, 20000), 1);
    }
}

struct store_report
storefixture_wait_report(struct storefixture *f, enum store_report_kind kind)
{
    return storefixture_wait_report_of(f->store, kind);
}

struct batch *
storefixture_next_batch(struct storefixture *f)
{
    struct batch *batch = batch_new();

    batch->seq = ++f->seq;
    batch->commands = 1;
    return batch;
}

/* Commit batch and free it. */
enum status
storefixture_commit(struct storefixture *f, struct batch *batch)
{
    struct store_report report;
    enum status outcome;

    store_submit(f->store, batch);
    report = storefixture_wait_report(f, STORE_BATCH);
    assert_ptr_equal(report.batch, batch);
    outcome = batch->outcome;
    assert_int_equal(outcome, report.outcome);
    if (outcome != STATUS_OK)
        f->seq--;
    batch_free(batch);
    return outcome;
}

void
storefixture_sync(struct storefixture *f)
{
    struct store_report report;

    store_sync(f->store, 7, true);
    report = storefixture_wait_report(f, STORE_SYNCED);
    assert_int_equal(report.token, 7);
    assert_int_equal(report.outcome, STATUS_OK);
}

void
storefixture_put_key(struct batch *batch, uint64_t id, uint32_t db,
    const char *name, enum key_type type, const char *value)
{
    struct key_row row = { .id = id,
        .db = db,
        .type = (uint8_t)type,
        .encoding = type == KEY_STRING ? KEY_RAW : KEY_HASHTABLE,
        .expire_at_ms = -1,
        .version = batch->seq << 20,
        .size = strlen(value),
        .name = slice_from_text(name),
        .value = slice_from_text(value) };

    batch_add_key(batch, &row);
}

void
storefixture_change(struct batch *batch, enum row_op op, enum row_table table,
    uint64_t id, struct slice sub, struct slice value)
{
    struct row_change c = { op, table, id, sub, value };

    batch_add(batch, &c);
}

void
storefixture_delete_key(struct batch *batch, uint64_t id, enum key_type type)
{
    char byte = (char)type;

    storefixture_change(
        batch, ROW_DEL, ROW_KEY, id, slice_make(&byte, 1), slice_make(NULL, 0));
}

void
storefixture_put_field(
    struct batch *batch, uint64_t id, const char *field, const char *value)
{
    storefixture_change(batch, ROW_PUT, ROW_HASH, id, slice_from_text(field),
        slice_from_text(value));
}

void
storefixture_assert_key(
    struct storefixture *f, uint32_t db, const char *name, const char *value)
{
    struct key_row row;

    assert_int_equal(reader_find_key(store_reader(f->store), db,
                         slice_from_text(name), &row),
        value == NULL ? STATUS_NOT_FOUND : STATUS_OK);
    if (value == NULL)
        return;
    assert_true(slice_equal(row.value, slice_from_text(value)));
    assert_true(slice_equal(row.name, slice_from_text(name)));
    assert_int_equal(row.expire_at_ms, -1);
}

void
storefixture_assert_field(
    struct storefixture *f, uint64_t id, const char *field, const char *value)
{
    struct slice got;

    assert_int_equal(reader_find_element(store_reader(f->store), ROW_HASH, id,
                         slice_from_text(field), &got),
        value == NULL ? STATUS_NOT_FOUND : STATUS_OK);
    if (value != NULL)
        assert_true(slice_equal(got, slice_from_text(value)));
}

/* One number from the file, through a connection of the test's own. */
int64_t
storefixture_query(struct storefixture *f, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t number;
    sqlite3 *db;

    assert_int_equal(
        sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

void
storefixture_reopen_after_crash(struct storefixture *f)
{
    store_abandon(f->store);
    f->store = NULL;
    storefixture_open(f);
}
