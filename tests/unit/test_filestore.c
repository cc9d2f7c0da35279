/*
 * test_filestore.c -- a directory as an object store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replication/keeper.h"
#include "replication/objectstore.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "tests/unit/tempdir.h"

struct fixture {
    char folder[TEMPDIR_SIZE], url[TEMPDIR_SIZE + 32];
    struct objectstore *store;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct objectstore_options options = { .url = f->url };
    struct buf error = BUF_INIT;

    tempdir_make(f->folder, "files");
    snprintf(f->url, sizeof(f->url), "file://%s/prefix", f->folder);
    assert_int_equal(objectstore_open(&f->store, &options, &error), STATUS_OK);
    buf_fini(&error);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    objectstore_close(f->store);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

static enum status
put(struct fixture *f, const char *name, const char *body, bool if_none_match)
{
    struct objectstore_request request;

    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = slice_from_text(body);
    request.if_none_match = if_none_match;
    request.timestamp_ms = 1700000000123;
    enum status status = objectstore_run(f->store, &request);
    objectstore_request_fini(&request);
    return status;
}

static enum status
run_plain(struct fixture *f, enum objectstore_op op, const char *name)
{
    struct objectstore_request request;

    objectstore_request_init(&request, op, slice_from_text(name));
    enum status status = objectstore_run(f->store, &request);
    objectstore_request_fini(&request);
    return status;
}

static void
test_put_get_delete(void **state)
{
    struct fixture *f = *state;
    struct objectstore_request request;

    assert_int_equal(put(f, "0000/a", "hello world", false), STATUS_OK);
    objectstore_request_init(&request, OBJECTSTORE_GET, SLICE("0000/a"));
    request.range_from = 6;
    request.range_len = 100;
    assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
    assert_true(slice_equal(buf_slice(&request.answer), SLICE("world")));
    assert_int_equal(request.object_size, 11);
    assert_int_equal(request.meta_timestamp_ms, 1700000000123);
    objectstore_request_fini(&request);
    assert_int_equal(run_plain(f, OBJECTSTORE_HEAD, "0000/a"), STATUS_OK);
    assert_int_equal(run_plain(f, OBJECTSTORE_DELETE, "0000/a"), STATUS_OK);
    assert_int_equal(run_plain(f, OBJECTSTORE_DELETE, "0000/a"), STATUS_OK);
    assert_int_equal(run_plain(f, OBJECTSTORE_GET, "0000/a"), STATUS_NOT_FOUND);
}

static void
test_if_none_match_has_one_winner(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, "0000/a", "first", true), STATUS_OK);
    assert_int_equal(put(f, "0000/a", "second", true), STATUS_CONFLICT);
    assert_int_equal(put(f, "0000/a", "third", false), STATUS_OK);
}

static void
test_body_from_a_file(void **state)
{
    struct fixture *f = *state;
    struct objectstore_request request;
    char path[TEMPDIR_SIZE + 64];

    snprintf(path, sizeof(path), "%s/body", f->folder);
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    objectstore_request_init(&request, OBJECTSTORE_PUT, SLICE("b"));
    request.body_fd = fd;
    request.body_size = 10;
    assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
    objectstore_request_fini(&request);
    close(fd);
    objectstore_request_init(&request, OBJECTSTORE_GET, SLICE("b"));
    assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
    assert_true(slice_equal(buf_slice(&request.answer), SLICE("0123456789")));
    objectstore_request_fini(&request);
}

/* Page by page as the callers do it; answer: names seen. */
static size_t
count_listed(struct fixture *f, const char *prefix)
{
    struct buf after = BUF_INIT;
    size_t seen = 0;
    bool has_more;

    do {
        struct objectstore_request request;
        objectstore_request_init(
            &request, OBJECTSTORE_LIST, slice_from_text(prefix));
        request.list_after = buf_slice(&after);
        assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
        has_more = request.has_more;
        for (size_t i = 1; i < request.entry_count; i++)
            assert_true(strcmp(request.entries[i - 1].name,
                            request.entries[i].name) < 0);
        seen += request.entry_count;
        if (has_more) {
            buf_clear(&after, 64);
            buf_append_text(
                &after, request.entries[request.entry_count - 1].name);
        }
        objectstore_request_fini(&request);
    } while (has_more);
    buf_fini(&after);
    return seen;
}

static void
test_list_in_order_over_pages(void **state)
{
    struct fixture *f = *state;
    char name[32], path[TEMPDIR_SIZE + 64];

    for (int i = 0; i < 1203; i++) {
        snprintf(name, sizeof(name), "%04d/%04x", i % 3, i);
        assert_int_equal(put(f, name, "x", true), STATUS_OK);
    }
    /* What a crash in the middle of a PUT leaves is no object. */
    snprintf(path, sizeof(path), "%s/prefix/0000/zz.0123.tmp", f->folder);
    close(open(path, O_WRONLY | O_CREAT, 0666));
    assert_int_equal(count_listed(f, ""), 1203);
    assert_int_equal(count_listed(f, "0001/"), 401);
    assert_int_equal(count_listed(f, "0007/"), 0);
}

static void
test_names_stay_inside(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, "../escaped", "x", false), STATUS_INVALID);
    assert_int_equal(put(f, "a/../../escaped", "x", false), STATUS_INVALID);
}

/* ---- what killed processes leave ----------------------------------------- */

#define LTX_1 "0000/0000000000000001-0000000000000001.ltx"
#define LTX_2 "0000/0000000000000002-0000000000000002.ltx"
#define HOUR_MS INT64_C(3600000)

static const char *const left[] = { LTX_1 ".0123456789abcdef.tmp",
    "0009/0000000000000001-0000000000000002.ltx.00000000000000ff.tmp",
    "walden-fence-probe.0123456789abcdef.tmp" };
/* Not what a PUT of ours leaves. */
static const char *const strange[] = { LTX_1 ".tmp",
    LTX_1 ".0123456789abcdeg.tmp", "letter.0123456789abcdef.tmp",
    LTX_1 "-0123456789abcdef.tmp" };

static void
touch(struct fixture *f, const char *name)
{
    char path[2 * TEMPDIR_SIZE];

    snprintf(path, sizeof(path), "%s/prefix/%s", f->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    assert_true(fd >= 0);
    close(fd);
}

static bool
is_there(struct fixture *f, const char *name)
{
    char path[2 * TEMPDIR_SIZE];

    snprintf(path, sizeof(path), "%s/prefix/%s", f->folder, name);
    return access(path, F_OK) == 0;
}

/* An object of that time, and a round of a keeper that finds it. */
static void
run_round(struct fixture *f, const char *name, int64_t timestamp_ms)
{
    struct keeper_options options = { .level_interval_ms = { 0, 5000, 0 },
        .level0_retention_ms = 1000 * HOUR_MS,
        .retention_ms = HOUR_MS,
        .deletes = true,
        .scratch = f->folder };
    struct objectstore_request request;

    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = SLICE("what is in it is not read here");
    request.timestamp_ms = timestamp_ms;
    assert_int_equal(objectstore_run(f->store, &request), STATUS_OK);
    objectstore_request_fini(&request);
    struct keeper *keeper = keeper_new(f->store, &options, NULL, NULL);
    keeper_note_shipped(keeper, 1, 0, 0);
    for (int64_t now_ms = 0; now_ms < 60000; now_ms += 100) {
        (void)keeper_step(keeper, now_ms);
        (void)objectstore_poll(f->store, 0, -1);
    }
    keeper_free(keeper);
}

static void
test_what_was_left_is_removed_when_it_is_old(void **state)
{
    struct fixture *f = *state;
    int64_t now_ms = clock_wall_ms();

    assert_int_equal(put(f, "0009/a", "x", false), STATUS_OK);
    assert_int_equal(put(f, "0000/a", "x", false), STATUS_OK);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        touch(f, left[i]);
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        touch(f, strange[i]);
    run_round(f, LTX_1, now_ms + HOUR_MS - 60000);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        assert_true(is_there(f, left[i]));
    run_round(f, LTX_2, now_ms + HOUR_MS + 60000);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        assert_false(is_there(f, left[i]));
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        assert_true(is_there(f, strange[i]));
    assert_true(is_there(f, LTX_1));
    assert_true(is_there(f, LTX_2));
    assert_true(is_there(f, "0009/a"));
}

static void
test_abort_removes_one_temporary_only(void **state)
{
    struct fixture *f = *state;
    struct objectstore_request request;

    assert_int_equal(put(f, "0000/a", "x", false), STATUS_OK);
    touch(f, "0000/a.0123456789abcdef.tmp");
    for (int i = 0; i < 3; i++) {
        static const char *const ids[] = { "../a", "0123456789abcdef",
            "0123456789abcdef" };
        static const enum status expected[] = { STATUS_INVALID, STATUS_OK,
            STATUS_NOT_FOUND };
        objectstore_request_init(
            &request, OBJECTSTORE_UPLOAD_ABORT, SLICE("0000/a"));
        request.upload = slice_from_text(ids[i]);
        assert_int_equal(objectstore_run(f->store, &request), expected[i]);
        objectstore_request_fini(&request);
    }
    assert_true(is_there(f, "0000/a"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_if_none_match_has_one_winner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_body_from_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_list_in_order_over_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_names_stay_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_was_left_is_removed_when_it_is_old, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_abort_removes_one_temporary_only, setup, teardown),
    };

    log_set_level(LOG_LEVEL_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
