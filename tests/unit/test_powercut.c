/*
 * test_powercut.c -- D1, D2 and D3 under power cuts and failing disks.
 *
 * A writer commits batches that a generator makes from their seq, so that the
 * right state after any batch can be computed.  Meanwhile the store folds,
 * collects garbage and checkpoints all the time, because its limits are tiny.
 * The disk (tests/fault/faultvfs.h) loses its power, or fails, at the Nth
 * write or sync, for many N.  Then the database is opened again, and must be
 * exactly the state after some batch S: not older than the last acknowledged
 * one, not newer than the last submitted one.
 *
 * WALDEN_POWERCUT_RUNS: how many N of each kind (default 15).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "storage/store.h"
#include "tests/fault/faultvfs.h"
#include "tests/unit/storefixture.h"

#define BATCHES 60
#define COUNTERS 8
#define FIELDS 16
#define HASH_ID 50
#define CHURN_ID 1000
#define CHURN_FIELDS 200
#define BIG_SIZE 9000

/* ---- what the batches do, and what must come of it ---------------------- */

struct model {
    uint64_t all; /* value of key "all" */
    uint64_t counters[COUNTERS];
    uint64_t fields[FIELDS]; /* last value; 0: not there */
    uint64_t churn;          /* id of the key called "churn" */
    bool is_swapped;         /* keys "x" and "y" */
};

static bool
deletes_field(uint64_t seq)
{
    return seq % 7 == 0;
}

static bool
is_big(uint64_t seq)
{
    return seq % 5 == 0;
}

static void
model_apply(struct model *model, uint64_t seq)
{
    model->all = seq;
    model->counters[seq % COUNTERS] = seq;
    model->fields[seq % FIELDS] = deletes_field(seq) ? 0 : seq;
    if (seq % 6 == 0)
        model->churn = CHURN_ID + seq;
    if (seq % 3 == 0)
        model->is_swapped = !model->is_swapped;
}

static struct model
model_after(uint64_t seq)
{
    struct model model = { .all = 0 };
    uint64_t i;

    for (i = 1; i <= seq; i++)
        model_apply(&model, i);
    return model;
}

static void
put_key(struct batch *batch, uint64_t id, const char *name, enum key_type type,
    uint64_t value)
{
    char text[24];
    struct key_row row = { .id = id,
        .type = (uint8_t)type,
        .encoding = type == KEY_STRING ? KEY_RAW : KEY_HASHTABLE,
        .expire_at_ms = -1,
        .version = batch->seq << 20,
        .name = slice_from_text(name) };

    row.value = slice_make(text, (size_t)snprintf(text, sizeof(text), "%llu",
                                     (unsigned long long)value));
    batch_add_key(batch, &row);
}

static void
put_field(
    struct batch *batch, uint64_t id, uint64_t field, uint64_t value, bool big)
{
    static char bytes[BIG_SIZE];
    char name[24];
    struct row_change change = { .op = ROW_PUT, .table = ROW_HASH, .id = id };

    memset(bytes, 'b', sizeof(bytes));
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)value);
    change.sub = slice_make(name, (size_t)snprintf(name, sizeof(name), "%llu",
                                      (unsigned long long)field));
    change.value = slice_make(bytes, big ? sizeof(bytes) : strlen(bytes));
    if (value == 0)
        change.op = ROW_DEL;
    batch_add(batch, &change);
}

/* A new key takes the name of an old one, which is deleted. */
static void
add_churn(struct batch *batch, uint64_t old)
{
    char type = KEY_HASH;
    struct row_change change = {
        .op = ROW_DEL, .table = ROW_KEY, .id = old, .sub = slice_make(&type, 1)
    };
    uint64_t i;

    if (old != 0)
        batch_add(batch, &change);
    put_key(batch, CHURN_ID + batch->seq, "churn", KEY_HASH, 0);
    for (i = 0; i < CHURN_FIELDS; i++)
        put_field(batch, CHURN_ID + batch->seq, i, 1, false);
}

static struct batch *
make_batch(uint64_t seq)
{
    struct batch *batch = batch_new();
    struct model before = model_after(seq - 1);
    char name[8];

    batch->seq = seq;
    put_key(batch, 1, "all", KEY_STRING, seq);
    snprintf(name, sizeof(name), "c%d", (int)(seq % COUNTERS));
    put_key(batch, 2 + seq % COUNTERS, name, KEY_STRING, seq);
    put_key(batch, HASH_ID, "hash", KEY_HASH, 0);
    put_field(batch, HASH_ID, seq % FIELDS, deletes_field(seq) ? 0 : seq,
        is_big(seq));
    if (seq % 6 == 0)
        add_churn(batch, before.churn);
    if (seq % 3 == 0) {
        put_key(batch, 20, before.is_swapped ? "x" : "y", KEY_STRING, 20);
        put_key(batch, 21, before.is_swapped ? "y" : "x", KEY_STRING, 21);
    }
    return batch;
}

/* ---- comparing ---------------------------------------------------------- */

static uint64_t
value_of(struct store *store, const char *name, uint64_t *id)
{
    struct key_row row;
    char text[24];
    enum status status =
        reader_find_key(store_reader(store), 0, slice_from_text(name), &row);

    if (status == STATUS_NOT_FOUND)
        return 0;
    assert_int_equal(status, STATUS_OK);
    snprintf(text, sizeof(text), "%.*s", (int)row.value.len, row.value.data);
    if (id != NULL)
        *id = row.id;
    return strtoull(text, NULL, 10);
}

struct seen {
    uint64_t fields[FIELDS];
    uint64_t count;
};

static bool
see_field(struct slice sub, struct slice value, void *arg)
{
    struct seen *seen = arg;
    uint64_t field = strtoull(sub.data, NULL, 10);
    uint64_t number = strtoull(value.data, NULL, 10);

    if (field < FIELDS) {
        seen->fields[field] = number;
        assert_int_equal(value.len > 100, is_big(number));
        if (value.len > 100)
            assert_int_equal(value.len, BIG_SIZE);
    }
    seen->count++;
    return true;
}

static uint64_t
count_fields(struct store *store, uint64_t id, struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    assert_int_equal(
        reader_each_element(store_reader(store), ROW_HASH, id, see_field, seen),
        STATUS_OK);
    return seen->count;
}

/* The tables are exactly the state after batch seq (nothing unfolded). */
static void
assert_state(struct store *store, uint64_t seq)
{
    struct model model = model_after(seq);
    struct seen seen;
    uint64_t id = 0;
    char name[8];
    int i;

    assert_int_equal(value_of(store, "all", NULL), model.all);
    for (i = 0; i < COUNTERS; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(value_of(store, name, NULL), model.counters[i]);
    }
    count_fields(store, HASH_ID, &seen);
    for (i = 0; i < FIELDS; i++)
        assert_int_equal(seen.fields[i], model.fields[i]);
    value_of(store, "churn", &id);
    assert_int_equal(id, model.churn);
    if (id != 0)
        assert_int_equal(count_fields(store, id, &seen), CHURN_FIELDS);
    if (seq >= 3) {
        assert_int_equal(
            value_of(store, "x", NULL), model.is_swapped ? 21 : 20);
        assert_int_equal(
            value_of(store, "y", NULL), model.is_swapped ? 20 : 21);
    }
}

/* ---- running ------------------------------------------------------------ */

struct fixture {
    char dir[TEMPDIR_SIZE];
    char path[TEMPDIR_SIZE + 16];
    struct store_options options;
    struct store *store;
    uint64_t acknowledged;
    uint64_t submitted;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    log_set_level(LOG_LEVEL_NOTHING);
    faultvfs_register();
    tempdir_make(f->dir, "power");
    store_options_init(&f->options);
    f->options.vfs = FAULTVFS_NAME;
    f->options.journal_fold_size = 1500;
    f->options.journal_size_max = 100000;
    f->options.checkpoint_size = 200000;
    f->options.fold_slice_us = 50;
    f->options.fold_idle_ms = 1;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    tempdir_remove(f->dir);
    faultvfs_reset();
    free(f);
    return 0;
}

static int
run_count(void)
{
    const char *text = getenv("WALDEN_POWERCUT_RUNS");

    return text == NULL ? 15 : atoi(text);
}

/* A path that was not used before. */
static void
begin_run(struct fixture *f, int run)
{
    faultvfs_reset();
    snprintf(f->path, sizeof(f->path), "%s/%d.db", f->dir, run);
    f->options.path = f->path;
    /* Every other run cuts batches into parts, and folds in small pieces. */
    f->options.journal_row_size = run % 2 ? 64 * 1024 : 300;
    f->options.generation_size = run % 2 ? 64 * 1024 : 700;
    f->acknowledged = 0;
    f->submitted = 0;
    f->store = NULL;
}

static void
end_run(struct fixture *f)
{
    char command[TEMPDIR_SIZE + 32];

    store_close(f->store);
    snprintf(command, sizeof(command), "rm -f '%s'*", f->path);
    assert_int_equal(system(command), 0);
}

static enum status
try_open(struct fixture *f)
{
    char error[512];

    return store_open(&f->store, &f->options, error, sizeof(error));
}

static void
must_open(struct fixture *f)
{
    char error[512];

    if (store_open(&f->store, &f->options, error, sizeof(error)) != STATUS_OK)
        fail_msg("%s", error);
}

static enum status
commit_next(struct fixture *f)
{
    struct batch *batch = make_batch(f->acknowledged + 1);
    enum status outcome;

    f->submitted = batch->seq;
    store_submit(f->store, batch);
    outcome = storefixture_wait_report_of(f->store, STORE_BATCH).outcome;
    if (outcome == STATUS_OK)
        f->acknowledged = batch->seq;
    batch_free(batch);
    return outcome;
}

/* Commit until all is done or one fails; leave the fold some time. */
static enum status
write_batches(struct fixture *f)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK && f->acknowledged < BATCHES) {
        status = commit_next(f);
        if (f->acknowledged % 8 == 0)
            usleep(1500);
    }
    return status;
}

/* Open what is there, and check it. */
static void
check_after(struct fixture *f)
{
    uint64_t seq;

    must_open(f);
    seq = store_counters(f->store)->seq;
    assert_in_range(seq, f->acknowledged, f->submitted);
    assert_state(f->store, seq);
    f->acknowledged = seq;
}

/* Number of operations of a run without faults. */
static uint64_t
measure(struct fixture *f)
{
    uint64_t count;

    begin_run(f, 0);
    must_open(f);
    assert_int_equal(write_batches(f), STATUS_OK);
    store_close(f->store);
    count = faultvfs_count();
    must_open(f);
    assert_state(f->store, BATCHES);
    end_run(f);
    return count;
}

/* The power goes at many different operations, then again while recovering. */
static void
test_D1_D3_power_cut(void **state)
{
    struct fixture *f = *state;
    uint64_t count = measure(f);
    int runs = run_count();
    int run;

    for (run = 1; run <= runs; run++) {
        begin_run(f, run);
        faultvfs_arm_cut(
            1 + count * (uint64_t)run / (uint64_t)(runs + 1), (uint64_t)run);
        if (try_open(f) == STATUS_OK) {
            if (write_batches(f) == STATUS_OK)
                faultvfs_cut_now();
            store_abandon(f->store);
        }
        faultvfs_cut((uint64_t)run);
        /* While recovering, after as many operations as the run's number. */
        faultvfs_arm_cut(1 + (uint64_t)run % 37, (uint64_t)run);
        if (try_open(f) == STATUS_OK)
            store_abandon(f->store);
        faultvfs_cut_now();
        faultvfs_cut((uint64_t)run + 1000);
        check_after(f);
        assert_int_equal(write_batches(f), STATUS_OK);
        end_run(f);
    }
}

/* Resume until the disk takes commits again. */
static void
heal(struct fixture *f)
{
    enum status outcome = STATUS_IO;
    int i;

    for (i = 0; i < 100 && outcome != STATUS_OK; i++) {
        store_resume(f->store);
        outcome = storefixture_wait_report_of(f->store, STORE_RESUMED).outcome;
    }
    assert_int_equal(outcome, STATUS_OK);
}

/*
 * After a failure batches are refused until a resume; the failed one is not
 * there, and takes its place again afterwards.
 */
static void
write_through_failures(struct fixture *f)
{
    while (write_batches(f) != STATUS_OK) {
        /* D2: nothing commits over the hole. */
        assert_int_not_equal(commit_next(f), STATUS_OK);
        heal(f);
    }
    store_sync(f->store, 1, false);
    while (storefixture_wait_report_of(f->store, STORE_SYNCED).outcome !=
           STATUS_OK)
        store_sync(f->store, 1, false);
    assert_state(f->store, BATCHES);
}

/* One operation fails, or a few; then the disk is well again. */
static void
fail_runs(struct fixture *f, uint64_t times, int code, bool only_syncs)
{
    uint64_t count = measure(f);
    int runs = run_count();
    int run;

    if (only_syncs)
        count /= 12;
    for (run = 1; run <= runs; run++) {
        uint64_t nth = 1 + count * (uint64_t)run / (uint64_t)(runs + 1);

        begin_run(f, run);
        if (only_syncs)
            faultvfs_fail_sync(nth, times);
        else
            faultvfs_fail(nth, times, code);
        while (try_open(f) != STATUS_OK)
            assert_true(faultvfs_has_fired());
        write_through_failures(f);
        /* What was acknowledged after healing outlives a power cut. */
        faultvfs_cut_now();
        store_abandon(f->store);
        faultvfs_cut((uint64_t)run);
        check_after(f);
        assert_int_equal(f->acknowledged, BATCHES);
        end_run(f);
    }
}

static void
test_D2_failed_write(void **state)
{
    fail_runs(*state, 1, SQLITE_IOERR_WRITE, false);
}

static void
test_D2_full_disk(void **state)
{
    fail_runs(*state, 6, SQLITE_FULL, false);
}

static void
test_D2_failed_sync(void **state)
{
    fail_runs(*state, 1, 0, true);
}

static void
test_D2_failed_syncs(void **state)
{
    fail_runs(*state, 3, 0, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_D1_D3_power_cut),
        TEST(test_D2_failed_write),
        TEST(test_D2_full_disk),
        TEST(test_D2_failed_sync),
        TEST(test_D2_failed_syncs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
