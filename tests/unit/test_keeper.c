/*
 * test_keeper.c -- what is merged and what is deleted, and a keeper at work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "replication/keeper.h"
#include "replication/ltx.h"
#include "replication/recent.h"
#include "replication/restore.h"
#include "replication/retention.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "tests/fault/memstore.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE_SIZE 512

static const struct retention_rules rules = { .snapshot_ms = 1000,
    .level0_ms = 100 };

static void
test_inputs_continue_the_level(void **state)
{
    static const struct layout_file files[] = {
        { .level = 0, .min_txid = 1, .max_txid = 1 },
        { .level = 0, .min_txid = 2, .max_txid = 2 },
        { .level = 0, .min_txid = 3, .max_txid = 3 },
        { .level = 0, .min_txid = 4, .max_txid = 4 },
        { .level = 0, .min_txid = 6, .max_txid = 6 },
        { .level = 1, .min_txid = 2, .max_txid = 2 },
    };
    struct layout_file inputs[8];

    (void)state;
    assert_int_equal(
        retention_pick_inputs(files, COUNT(files), 1, inputs, 8), 2);
    assert_int_equal(inputs[0].max_txid, 3);
    assert_int_equal(inputs[1].max_txid, 4); /* a gap ends it */
    assert_int_equal(
        retention_pick_inputs(files, COUNT(files), 1, inputs, 1), 1);
    /* An empty level begins after the whole database. */
    assert_int_equal(retention_pick_inputs(files, 5, 1, inputs, 8), 3);
    assert_int_equal(inputs[0].min_txid, 2);
    assert_int_equal(
        retention_pick_inputs(files, COUNT(files), 2, inputs, 8), 1);
    assert_int_equal(
        retention_pick_inputs(files, COUNT(files), 3, inputs, 8), 0);
}

static void
test_only_what_is_covered_and_old_is_deleted(void **state)
{
    struct layout_file files[] = {
        { .level = 0, .min_txid = 1, .max_txid = 1, .modified_ms = 1 },
        { .level = 0, .min_txid = 2, .max_txid = 2, .modified_ms = 2 },
        { .level = 0, .min_txid = 3, .max_txid = 3, .modified_ms = 3 },
        { .level = 0, .min_txid = 4, .max_txid = 4, .modified_ms = 104 },
        { .level = 1, .min_txid = 2, .max_txid = 3, .modified_ms = 5 },
    };
    struct layout_file out[8];

    (void)state;
    assert_int_equal(
        retention_pick_deletes(files, COUNT(files), &rules, out), 0);
    files[3].modified_ms = 105;
    assert_int_equal(
        retention_pick_deletes(files, COUNT(files), &rules, out), 2);
    assert_int_equal(out[0].max_txid, 2);
    assert_int_equal(out[1].max_txid, 3);
    /* The newest level-0 file stays, covered or not. */
    files[4].max_txid = 4;
    assert_int_equal(
        retention_pick_deletes(files, COUNT(files), &rules, out), 2);
    /* Nothing goes where what is left would be no whole path. */
    files[4].min_txid = 3;
    files[0].min_txid = 7;
    files[0].max_txid = 7;
    assert_int_equal(
        retention_pick_deletes(files, COUNT(files), &rules, out), 0);
}

static void
test_snapshots_behind_the_base_are_deleted(void **state)
{
    static const struct layout_file files[] = {
        { .level = 9, .min_txid = 1, .max_txid = 5, .modified_ms = 100 },
        { .level = 9, .min_txid = 1, .max_txid = 9, .modified_ms = 900 },
        { .level = 9, .min_txid = 1, .max_txid = 15, .modified_ms = 1500 },
        { .level = 1, .min_txid = 2, .max_txid = 9, .modified_ms = 950 },
        { .level = 1, .min_txid = 8, .max_txid = 15, .modified_ms = 1500 },
        { .level = 0, .min_txid = 16, .max_txid = 16, .modified_ms = 2000 },
    };
    struct layout_file out[8];

    (void)state;
    /* 9 is the newest that is older than 1000 ms: the base. */
    assert_int_equal(
        retention_pick_deletes(files, COUNT(files), &rules, out), 2);
    assert_int_equal(out[0].max_txid, 5);
    assert_int_equal(out[1].level, 1);
    assert_int_equal(out[1].max_txid, 9);
    assert_true(retention_is_snapshot_due(files, COUNT(files), 500));
    assert_false(retention_is_snapshot_due(files, COUNT(files), 501));
    assert_false(retention_is_snapshot_due(files, 3, 1));
}

/* ---- a keeper at work --------------------------------------------------- */

static void
make_file(struct buf *file, uint64_t min_txid, uint64_t max_txid)
{
    struct ltx_header header = { .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = PAGE_SIZE,
        .commit = 3,
        .min_txid = min_txid,
        .max_txid = max_txid,
        .timestamp_ms = (int64_t)max_txid };
    struct ltx_encoder *encoder;
    char page[PAGE_SIZE] = { (char)max_txid };

    assert_int_equal(ltx_encoder_new(&encoder, &header, file), STATUS_OK);
    for (uint32_t i = 1; i <= 3; i++)
        if (min_txid == 1 || i == 1 + max_txid % 3)
            assert_int_equal(ltx_encoder_add_page(encoder, i, page), STATUS_OK);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_OK);
    ltx_encoder_free(encoder);
}

static void
put(struct objectstore *store, unsigned level, uint64_t min_txid,
    uint64_t max_txid)
{
    struct objectstore_request request;
    struct buf file = BUF_INIT;
    char name[LAYOUT_NAME_SIZE];

    make_file(&file, min_txid, max_txid);
    layout_format_name(name, level, min_txid, max_txid);
    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = buf_slice(&file);
    assert_int_equal(objectstore_run(store, &request), STATUS_OK);
    objectstore_request_fini(&request);
    buf_fini(&file);
}

static void
put_file(struct objectstore *store, uint64_t txid)
{
    put(store, 0, txid, txid);
}

static uint64_t
count_requests(const struct objectstore *store)
{
    uint64_t sum = 0;

    for (int op = 0; op < 5; op++)
        sum += store->requests[op];
    return sum;
}

static void
test_history_stays_small_and_whole(void **state)
{
    static const struct memstore_faults faults = {
        .busy = 2, .broken = 20, .delay_ms_max = 2
    };
    struct keeper_options options = { .level_interval_ms = { 1000, 5000 },
        .level0_retention_ms = 20000,
        .retention_ms = 100000,
        .deletes = true,
        .scratch = "/tmp" };
    struct memworld *world = memworld_new(1);
    struct objectstore *clean = memstore_open(world, NULL);
    struct objectstore *store = memstore_open(world, &faults);
    struct keeper *keeper = keeper_new(store, &options, NULL, NULL);
    uint64_t txid = 0, compactions, snapshots, deletes;
    struct layout_file *files, *chain;
    struct buf error = BUF_INIT;
    size_t count, chain_len;

    (void)state;
    log_set_level(LOG_LEVEL_NOTHING);
    for (int64_t now = 0; now < 400000; now += 10) {
        memworld_advance(world, now);
        if (now % 200 == 0 && now < 120000) {
            put_file(clean, ++txid);
            keeper_note_shipped(keeper, txid, 0, now);
        }
        (void)objectstore_poll(store, 0, -1);
        (void)keeper_step(keeper, now);
    }
    keeper_counts(keeper, &compactions, &snapshots, &deletes);
    assert_true(compactions > 10);
    assert_true(deletes > 300);
    assert_int_equal(snapshots, 0);
    assert_int_equal(restore_list(clean, &files, &count, &error), STATUS_OK);
    assert_true(count < 400);
    assert_int_equal(
        layout_plan(files, count, txid, &chain, &chain_len, &error), STATUS_OK);
    memory_free(files);
    memory_free(chain);
    /* B5 */
    uint64_t before = count_requests(store);
    for (int64_t now = 400000; now < 90000000; now += 10000) {
        memworld_advance(world, now);
        (void)objectstore_poll(store, 0, -1);
        assert_int_equal(keeper_step(keeper, now), -1);
    }
    assert_int_equal(count_requests(store), before);
    keeper_free(keeper);
    objectstore_close(store);
    objectstore_close(clean);
    memworld_free(world);
}

/* ---- snapshots ---------------------------------------------------------- */

#define INTERVAL_MS 1000
#define EARLY_FILES 10

struct fixture {
    struct memworld *world;
    struct objectstore *others, *store; /* store: the keeper's */
    struct recent *recent;
    struct keeper *keeper;
    uint64_t txid; /* of the snapshots it makes */
    int64_t now_ms;
};

static enum status
make_snapshot(int fd, uint64_t *size, uint64_t *txid, void *arg)
{
    struct fixture *f = arg;
    struct buf file = BUF_INIT;

    make_file(&file, 1, f->txid);
    assert_int_equal(pwrite(fd, file.data, file.len, 0), (ssize_t)file.len);
    *size = file.len;
    *txid = f->txid;
    buf_fini(&file);
    return STATUS_OK;
}

static int
set_up(void **state)
{
    struct keeper_options options = { .level_interval_ms = { INTERVAL_MS },
        .snapshot_interval_ms = 10 * INTERVAL_MS,
        .level0_retention_ms = 100 * INTERVAL_MS,
        .retention_ms = 1000 * INTERVAL_MS,
        .deletes = true,
        .scratch = "/tmp" };
    struct fixture *f = memory_zalloc(sizeof(*f));

    f->world = memworld_new(1);
    f->others = memstore_open(f->world, NULL);
    f->store = memstore_open(f->world, NULL);
    f->recent = recent_new(1000000);
    options.recent = f->recent;
    options.early_files = EARLY_FILES;
    f->keeper = keeper_new(f->store, &options, make_snapshot, f);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    keeper_free(f->keeper);
    recent_free(f->recent);
    objectstore_close(f->store);
    objectstore_close(f->others);
    memworld_free(f->world);
    memory_free(f);
    return 0;
}

static void
run_for(struct fixture *f, int64_t ms)
{
    for (int64_t until = f->now_ms + ms; f->now_ms < until; f->now_ms += 10) {
        memworld_advance(f->world, f->now_ms);
        (void)objectstore_poll(f->store, 0, -1);
        (void)keeper_step(f->keeper, f->now_ms);
    }
}

static void
note_shipped(struct fixture *f, uint64_t txid)
{
    f->txid = txid;
    keeper_note_shipped(f->keeper, txid, 0, f->now_ms);
}

static void
test_a_snapshot_is_made_once_it_is_due(void **state)
{
    struct fixture *f = *state;
    uint64_t compactions, snapshots, deletes;

    put_file(f->others, 1);
    run_for(f, 20 * INTERVAL_MS);
    put_file(f->others, 2);
    note_shipped(f, 2);
    run_for(f, 5 * INTERVAL_MS);
    put_file(f->others, 3);
    note_shipped(f, 3);
    run_for(f, 5 * INTERVAL_MS);
    keeper_counts(f->keeper, &compactions, &snapshots, &deletes);
    assert_int_equal(snapshots, 1);
    assert_int_equal(compactions, 1);
    assert_false(keeper_take_sighting(f->keeper));
}

/*
 * The next txid is on its way when the LIST is answered, and the newest
 * snapshot is old: another one of the same txid does not make it younger.
 */
static void
test_a_snapshot_that_is_there_is_not_made_again(void **state)
{
    struct fixture *f = *state;

    put_file(f->others, 1);
    put_file(f->others, 2);
    put(f->others, 9, 1, 2);
    run_for(f, 20 * INTERVAL_MS);
    put_file(f->others, 3);
    note_shipped(f, 2);
    run_for(f, 50 * INTERVAL_MS);
    assert_in_range(f->store->requests[OBJECTSTORE_PUT], 1, 2);
    assert_false(keeper_take_sighting(f->keeper));
}

/*
 * Another server took the prefix over, and this one was idle.  Its snapshots
 * would be older than the other's, however many it makes.
 */
static void
test_a_history_that_goes_on_without_us_is_left_alone(void **state)
{
    struct fixture *f = *state;

    put_file(f->others, 1);
    put_file(f->others, 2);
    note_shipped(f, 2);
    put_file(f->others, 3);
    put(f->others, 9, 1, 3);
    run_for(f, INTERVAL_MS / 2);
    f->now_ms += 20 * INTERVAL_MS; /* a stall */
    memworld_advance(f->world, f->now_ms);
    put_file(f->others, 4);
    keeper_want_snapshot(f->keeper);
    run_for(f, 50 * INTERVAL_MS);
    assert_true(keeper_take_sighting(f->keeper));
    assert_int_equal(count_requests(f->store), 1);
    assert_int_equal(f->store->requests[OBJECTSTORE_LIST], 1);
    run_for(f, 1000 * INTERVAL_MS);
    assert_int_equal(count_requests(f->store), 1);
    assert_false(keeper_take_sighting(f->keeper)); /* told once */
}

/* ---- merging from memory ------------------------------------------------ */

/* txid goes to the bucket, and into memory. */
static void
ship(struct fixture *f, uint64_t txid)
{
    struct buf file = BUF_INIT;

    put_file(f->others, txid);
    make_file(&file, txid, txid);
    recent_add(f->recent, txid, buf_slice(&file));
    buf_fini(&file);
    note_shipped(f, txid);
}

/* Level 1 from txid on, a file for each of the counts; 0 ends them. */
static void
check_level1(struct fixture *f, uint64_t txid, const size_t *counts)
{
    struct buf error = BUF_INIT;
    struct layout_file *files;
    size_t count;

    assert_int_equal(
        restore_list(f->others, &files, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        if (files[i].level != 1)
            continue;
        assert_int_equal(files[i].min_txid, txid);
        assert_int_equal(files[i].max_txid, txid + *counts - 1);
        txid += *counts++;
    }
    assert_int_equal(*counts, 0);
    memory_free(files);
}

/* Ten are merged at once; what is left is, when the interval has passed. */
static void
test_what_is_in_memory_is_merged_early(void **state)
{
    struct fixture *f = *state;
    uint64_t *requests = f->store->requests;

    put_file(f->others, 1);
    ship(f, 2);
    run_for(f, 2 * INTERVAL_MS); /* where level 1 ends is known now */
    check_level1(f, 2, (size_t[]){ 1, 0 });
    uint64_t lists = requests[OBJECTSTORE_LIST];
    for (uint64_t txid = 3; txid <= 25; txid++) {
        ship(f, txid);
        run_for(f, 10);
    }
    run_for(f, 20);
    check_level1(f, 2, (size_t[]){ 1, 10, 10, 0 });
    assert_int_equal(requests[OBJECTSTORE_LIST], lists);
    run_for(f, 2 * INTERVAL_MS);
    check_level1(f, 2, (size_t[]){ 1, 10, 10, 3, 0 });
    assert_int_equal(requests[OBJECTSTORE_GET], 0);
    assert_int_equal(recent_size(f->recent), 0);
}

/* After a start: many at once are reason enough for a LIST. */
static void
test_where_level_1_ends_is_looked_up_early(void **state)
{
    struct fixture *f = *state;

    put_file(f->others, 1);
    put_file(f->others, 2);
    put_file(f->others, 3);
    run_for(f, 10);
    for (uint64_t txid = 4; txid <= 13; txid++)
        ship(f, txid);
    run_for(f, INTERVAL_MS / 4);
    check_level1(f, 2, (size_t[]){ 12, 0 });
    assert_int_equal(f->store->requests[OBJECTSTORE_GET], 2);
}

/* A gap is for the round with its LIST, and is fetched. */
static void
test_what_is_not_in_memory_is_fetched(void **state)
{
    struct fixture *f = *state;

    put_file(f->others, 1);
    ship(f, 2);
    run_for(f, 2 * INTERVAL_MS);
    put_file(f->others, 3);
    for (uint64_t txid = 4; txid <= 15; txid++)
        ship(f, txid);
    run_for(f, INTERVAL_MS / 2);
    check_level1(f, 2, (size_t[]){ 1, 0 });
    run_for(f, INTERVAL_MS);
    check_level1(f, 2, (size_t[]){ 1, 13, 0 });
    assert_int_equal(f->store->requests[OBJECTSTORE_GET], 1);
}

/* What the LIST contradicts is not believed. */
static void
test_another_size_is_fetched(void **state)
{
    struct fixture *f = *state;

    put_file(f->others, 1);
    put_file(f->others, 2);
    recent_add(f->recent, 2, SLICE("something else"));
    note_shipped(f, 2);
    run_for(f, 2 * INTERVAL_MS);
    check_level1(f, 2, (size_t[]){ 1, 0 });
    assert_int_equal(f->store->requests[OBJECTSTORE_GET], 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs_continue_the_level),
        cmocka_unit_test(test_only_what_is_covered_and_old_is_deleted),
        cmocka_unit_test(test_snapshots_behind_the_base_are_deleted),
        cmocka_unit_test(test_history_stays_small_and_whole),
        cmocka_unit_test_setup_teardown(
            test_a_snapshot_is_made_once_it_is_due, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_snapshot_that_is_there_is_not_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_history_that_goes_on_without_us_is_left_alone, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_is_in_memory_is_merged_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_where_level_1_ends_is_looked_up_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_is_not_in_memory_is_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_another_size_is_fetched, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
