/*
 * test_upload.c -- large PUTs in parts, over networks of every kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "replication/keeper.h"
#include "replication/layout.h"
#include "replication/ltx.h"
#include "replication/upload.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "tests/fault/memstore.h"
#include "tests/unit/tempdir.h"

#define PART_SIZE 1000
#define FILE_SIZE 10500 /* eleven parts */
#define NAME "0009/0000000000000001-0000000000000007.ltx"
#define TIME_MS 123456789

struct fixture {
    struct memworld *world;
    struct objectstore *clean, *store;
    int64_t now_ms;
    int fd;
    char bytes[FILE_SIZE];
    struct objectstore_request request;
    int done_count;
};

static void
setup(struct fixture *f, uint64_t seed, const struct memstore_faults *faults)
{
    *f = (struct fixture){ .world = memworld_new(seed) };
    random_set_seed(seed);
    log_set_level(LOG_LEVEL_NOTHING);
    f->clean = memstore_open(f->world, NULL);
    f->store = memstore_open(f->world, faults);
    f->store->upload_size_min = PART_SIZE;
    f->store->put_size_max = 5 * PART_SIZE;
    for (size_t i = 0; i < FILE_SIZE; i++)
        f->bytes[i] = (char)random_u64();
    f->fd = memfd_create("body", 0);
    assert_true(f->fd >= 0);
    assert_int_equal(write(f->fd, f->bytes, FILE_SIZE), FILE_SIZE);
}

static void
teardown(struct fixture *f)
{
    objectstore_close(f->store);
    objectstore_close(f->clean);
    memworld_free(f->world);
    close(f->fd);
}

static void
note_done(struct objectstore_request *request)
{
    ((struct fixture *)request->arg)->done_count++;
}

static void
submit(struct fixture *f, uint64_t size, bool if_none_match)
{
    objectstore_request_init(&f->request, OBJECTSTORE_PUT, SLICE(NAME));
    f->request.body_fd = f->fd;
    f->request.body_size = size;
    f->request.timestamp_ms = TIME_MS;
    f->request.if_none_match = if_none_match;
    f->request.done = note_done;
    f->request.arg = f;
    f->done_count = 0;
    objectstore_submit(f->store, &f->request);
    assert_int_equal(f->done_count, 0);
}

static void
pass(struct fixture *f, int64_t ms)
{
    f->now_ms += ms;
    memworld_advance(f->world, f->now_ms);
    (void)objectstore_poll(f->store, 0, -1);
    (void)objectstore_poll(f->clean, 0, -1);
}

static enum status
finish(struct fixture *f)
{
    for (int i = 0; i < 10000000 && f->done_count == 0; i++)
        pass(f, 5);
    assert_int_equal(f->done_count, 1);
    return f->request.status;
}

/* STATUS_OK: the object is there, and is the file. */
static enum status
look(struct fixture *f, uint64_t size)
{
    struct objectstore_request request;
    enum status status;

    objectstore_request_init(&request, OBJECTSTORE_GET, SLICE(NAME));
    status = objectstore_run(f->clean, &request);
    if (status == STATUS_OK) {
        assert_int_equal(request.answer.len, size);
        assert_memory_equal(request.answer.data, f->bytes, size);
        assert_int_equal(request.meta_timestamp_ms, TIME_MS);
    }
    objectstore_request_fini(&request);
    return status;
}

static void
test_part_sizes(void **state)
{
    (void)state;
    assert_int_equal(upload_part_size(PART_SIZE, 10000 * PART_SIZE), PART_SIZE);
    for (uint64_t size = 1; size <= UPLOAD_OBJECT_SIZE_MAX;
         size = size * 3 + 7) {
        uint64_t part = upload_part_size(UPLOAD_PART_SIZE, size);
        assert_true(part >= UPLOAD_PART_SIZE && part <= UPLOAD_PUT_SIZE_MAX);
        assert_true((size + part - 1) / part <= UPLOAD_PARTS_MAX);
    }
    assert_true(upload_part_size(UPLOAD_PART_SIZE, UPLOAD_OBJECT_SIZE_MAX) *
                    UPLOAD_PARTS_MAX >=
                UPLOAD_OBJECT_SIZE_MAX);
}

static void
test_only_what_is_large_goes_in_parts(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 1, NULL);
    submit(&f, PART_SIZE, false);
    assert_int_equal(finish(&f), STATUS_OK);
    assert_int_equal(f.store->requests[OBJECTSTORE_PUT], 1);
    submit(&f, FILE_SIZE, false);
    assert_int_equal(finish(&f), STATUS_OK);
    assert_int_equal(f.store->requests[OBJECTSTORE_PUT], 1 + 11 + 2);
    assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
    /* The fence: one piece, as long as the store takes it. */
    submit(&f, 5 * PART_SIZE, true);
    assert_int_equal(finish(&f), STATUS_CONFLICT);
    assert_int_equal(f.store->requests[OBJECTSTORE_PUT], 14 + 1);
    assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
    assert_int_equal(memworld_uploads(f.world), 0);
    teardown(&f);
}

static void
test_more_than_an_object_can_hold(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 2, NULL);
    submit(&f, UPLOAD_OBJECT_SIZE_MAX + 1, false);
    assert_int_equal(finish(&f), STATUS_INVALID);
    assert_non_null(strstr(f.request.error, "5 TiB"));
    assert_int_equal(f.store->requests[OBJECTSTORE_PUT], 0);
    teardown(&f);
}

/* Whatever happens: the object is whole or not there, and success is true. */
static void
test_any_network(void **state)
{
    struct memstore_faults faults = { .lost_request = 40,
        .lost_answer = 60,
        .busy = 30,
        .broken = 60,
        .denied = 10,
        .delay_ms_max = 50,
        .late_ms_max = 90000 };
    int successes = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture f;
        /* Of an upload that was begun twice by one request nobody knows. */
        faults.late = faults.doubled = seed % 2 == 0 ? 40 : 0;
        setup(&f, seed, &faults);
        submit(&f, FILE_SIZE, false);
        enum status status = finish(&f);
        if (status == STATUS_OK) {
            assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
            successes++;
        } else {
            assert_true(look(&f, FILE_SIZE) == STATUS_OK ||
                        look(&f, FILE_SIZE) == STATUS_NOT_FOUND);
        }
        /* What it left behind it knows of. */
        if (memworld_uploads(f.world) > 0 && faults.doubled == 0)
            assert_true(f.store->uploads_left > 0);
        teardown(&f);
    }
    assert_true(successes > 280);
}

static void
test_a_store_that_stays_away_is_given_up(void **state)
{
    static struct memstore_faults faults = { .delay_ms_max = 5 };
    struct fixture f;

    (void)state;
    setup(&f, 3, &faults);
    submit(&f, FILE_SIZE, false);
    for (int i = 0; memworld_uploads(f.world) == 0 && i < 1000; i++)
        pass(&f, 1);
    assert_int_equal(memworld_uploads(f.world), 1);
    faults.broken = 1000;
    assert_int_equal(finish(&f), STATUS_IO);
    assert_true(f.now_ms >= UPLOAD_PATIENCE_MS);
    assert_int_equal(look(&f, FILE_SIZE), STATUS_NOT_FOUND);
    /* The abort did not arrive either. */
    assert_int_equal(f.store->uploads_left, 1);
    faults.broken = 0;
    teardown(&f);
}

static void
test_giving_up_aborts(void **state)
{
    static const struct memstore_faults slow = { .delay_ms_max = 20 };
    struct fixture f;

    (void)state;
    setup(&f, 4, &slow);
    submit(&f, FILE_SIZE, false);
    for (int i = 0; memworld_uploads(f.world) == 0 && i < 1000; i++)
        pass(&f, 1);
    for (int i = 0; i < 60; i++)
        pass(&f, 1);
    objectstore_cancel(f.store, &f.request);
    assert_int_equal(f.done_count, 1);
    assert_int_equal(f.request.status, STATUS_TIMEOUT);
    for (int i = 0; i < 1000; i++)
        pass(&f, 1);
    assert_int_equal(memworld_uploads(f.world), 0);
    assert_int_equal(look(&f, FILE_SIZE), STATUS_NOT_FOUND);
    assert_null(f.store->uploads);
    teardown(&f);
}

static void
test_the_time_allowed_ends_it(void **state)
{
    static const struct memstore_faults slow = { .delay_ms_max = 2000 };
    struct fixture f;

    (void)state;
    setup(&f, 5, &slow);
    submit(&f, FILE_SIZE, false);
    objectstore_cancel(f.store, &f.request);
    f.done_count = 0;
    f.request.timeout_ms = 3000;
    objectstore_submit(f.store, &f.request);
    assert_int_equal(finish(&f), STATUS_TIMEOUT);
    assert_true(f.now_ms < 20000);
    teardown(&f);
}

/* Above put_size_max the fence is the condition at the end, if it holds. */
static void
test_a_condition_is_obeyed_or_refused(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 6, NULL);
    submit(&f, FILE_SIZE, true);
    assert_int_equal(finish(&f), STATUS_OK);
    assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
    assert_true(f.store->is_condition_obeyed);
    f.bytes[0]++; /* what is there is not what comes */
    assert_int_equal(pwrite(f.fd, f.bytes, 1, 0), 1);
    submit(&f, FILE_SIZE, true);
    assert_int_equal(finish(&f), STATUS_CONFLICT);
    f.bytes[0]--;
    assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
    assert_int_equal(memworld_uploads(f.world), 0);
    teardown(&f);

    setup(&f, 7, NULL);
    memworld_ignore_end_condition(f.world);
    submit(&f, FILE_SIZE, true);
    assert_int_equal(finish(&f), STATUS_INVALID);
    assert_non_null(strstr(f.request.error, "If-None-Match"));
    assert_int_equal(look(&f, FILE_SIZE), STATUS_NOT_FOUND);
    assert_int_equal(memworld_uploads(f.world), 0);
    teardown(&f);
}

/* The winner is told so, or that it cannot be known; never the loser. */
static void
test_one_of_two_writers_wins(void **state)
{
    static const struct memstore_faults faults = {
        .lost_answer = 80, .doubled = 40, .broken = 60, .delay_ms_max = 50
    };

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct fixture f;
        struct objectstore_request other;
        int others_done = 0;
        setup(&f, seed, &faults);
        submit(&f, FILE_SIZE, true);
        /* The other's is as large, and nothing but zeroes. */
        int zeroes = memfd_create("zeroes", 0);
        assert_int_equal(ftruncate(zeroes, FILE_SIZE), 0);
        struct fixture counter = { .done_count = 0 };
        struct objectstore *rival = memstore_open(f.world, &faults);
        rival->upload_size_min = PART_SIZE;
        rival->put_size_max = 5 * PART_SIZE;
        other = f.request;
        other.body_fd = zeroes;
        other.arg = &counter;
        objectstore_submit(rival, &other);
        for (int i = 0; i < 1000000 && f.done_count + others_done < 2; i++) {
            pass(&f, 5);
            (void)objectstore_poll(rival, 0, -1);
            others_done = counter.done_count;
        }
        assert_int_equal(f.done_count + others_done, 2);
        assert_false(
            f.request.status == STATUS_OK && other.status == STATUS_OK);
        if (f.request.status == STATUS_OK)
            assert_int_equal(look(&f, FILE_SIZE), STATUS_OK);
        objectstore_close(rival);
        close(zeroes);
        teardown(&f);
    }
}

/* ---- what a killed process leaves behind -------------------------------- */

static void
leave_behind(struct fixture *f, const char *name)
{
    struct objectstore_request request;

    objectstore_request_init(
        &request, OBJECTSTORE_UPLOAD_BEGIN, slice_from_text(name));
    assert_int_equal(objectstore_run(f->clean, &request), STATUS_OK);
    objectstore_request_fini(&request);
}

static void
put_file(struct fixture *f, uint64_t txid)
{
    struct objectstore_request request;
    char name[LAYOUT_NAME_SIZE];

    layout_format_name(name, 0, txid, txid);
    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = SLICE("what is in it is not read here");
    assert_int_equal(objectstore_run(f->clean, &request), STATUS_OK);
    objectstore_request_fini(&request);
}

static void
run_keeper(struct fixture *f, struct keeper *keeper, int64_t until_ms)
{
    while (f->now_ms < until_ms) {
        pass(f, 10);
        (void)keeper_step(keeper, f->now_ms);
    }
}

static void
test_old_uploads_are_aborted(void **state)
{
    char folder[TEMPDIR_SIZE];
    struct keeper_options options = { .level_interval_ms = { 0, 5000, 0 },
        .level0_retention_ms = 1000000,
        .retention_ms = 60000,
        .deletes = true,
        .scratch = folder };
    struct fixture f;

    (void)state;
    tempdir_make(folder, "upload");
    setup(&f, 8, NULL);
    leave_behind(&f, NAME);
    leave_behind(&f, "somebody-else's");
    f.now_ms = 50000;
    memworld_advance(f.world, f.now_ms);
    leave_behind(&f, "0001/0000000000000001-0000000000000002.ltx");
    memworld_advance(f.world, 70000);
    f.now_ms = 70000;
    put_file(&f, 1);
    struct keeper *keeper = keeper_new(f.store, &options, NULL, NULL);
    keeper_note_shipped(keeper, 1, 0, f.now_ms);
    run_keeper(&f, keeper, 90000);
    /* The second is too young, the other one not ours. */
    assert_int_equal(memworld_uploads(f.world), 2);
    uint64_t lists = f.store->requests[OBJECTSTORE_LIST];
    /* Not again before one retention has passed; then it is old. */
    put_file(&f, 2);
    keeper_note_shipped(keeper, 2, 0, f.now_ms);
    run_keeper(&f, keeper, 120000);
    assert_int_equal(f.store->requests[OBJECTSTORE_LIST], lists + 1);
    assert_int_equal(memworld_uploads(f.world), 2);
    run_keeper(&f, keeper, 140000);
    put_file(&f, 3);
    keeper_note_shipped(keeper, 3, 0, f.now_ms);
    run_keeper(&f, keeper, 150000);
    assert_int_equal(memworld_uploads(f.world), 1);
    /* The round's own, the look, and whether they are gone. */
    assert_int_equal(f.store->requests[OBJECTSTORE_LIST], lists + 4);
    /* After one of our own that may be left there is a look at once. */
    f.store->uploads_left++;
    put_file(&f, 4);
    keeper_note_shipped(keeper, 4, 0, f.now_ms);
    run_keeper(&f, keeper, 160000);
    assert_int_equal(f.store->requests[OBJECTSTORE_LIST], lists + 6);
    keeper_free(keeper);
    teardown(&f);
    tempdir_remove(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_sizes),
        cmocka_unit_test(test_only_what_is_large_goes_in_parts),
        cmocka_unit_test(test_more_than_an_object_can_hold),
        cmocka_unit_test(test_any_network),
        cmocka_unit_test(test_a_store_that_stays_away_is_given_up),
        cmocka_unit_test(test_giving_up_aborts),
        cmocka_unit_test(test_the_time_allowed_ends_it),
        cmocka_unit_test(test_a_condition_is_obeyed_or_refused),
        cmocka_unit_test(test_one_of_two_writers_wins),
        cmocka_unit_test(test_old_uploads_are_aborted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
