/*
 * test_take.c -- WAL frames and whole databases as LTX files, against a real
 * SQLite database: what a copy has after the files were applied to it must be
 * what the database has after a checkpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replication/take.h"
#include "tests/unit/tempdir.h"

#define PAGE_SIZE 512
#define LOCK_PAGE (0x40000000 / PAGE_SIZE + 1)

struct fixture {
    char folder[TEMPDIR_SIZE], path[TEMPDIR_SIZE + 32], copy[TEMPDIR_SIZE + 32];
    sqlite3 *db;
    struct tap *tap;
    struct tap_position taken;
    uint64_t txid;
    int copy_fd;
    uint64_t pages; /* of the newest file */
    struct ltx_header header;
};

static void
execute(struct fixture *f, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(f->db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static int
note_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct fixture *f = arg;

    (void)db;
    (void)name;
    tap_publish(f->tap, (uint64_t)frames, 1, true);
    return SQLITE_OK;
}

static void
open_database(struct fixture *f)
{
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    execute(f, "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL;"
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
               "PRAGMA wal_autocheckpoint=0");
    f->tap = tap_new(f->path);
    sqlite3_wal_hook(f->db, note_commit, f);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tempdir_make(f->folder, "take");
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    snprintf(f->copy, sizeof(f->copy), "%s/copy.db", f->folder);
    f->copy_fd = open(f->copy, O_RDWR | O_CREAT, 0666);
    assert_true(f->copy_fd >= 0);
    open_database(f);
    execute(f, "CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)");
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    tap_free(f->tap);
    sqlite3_close(f->db);
    close(f->copy_fd);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

/* ---- applying ----------------------------------------------------------- */

static enum status
write_page(uint32_t page, const void *data, void *arg)
{
    struct fixture *f = arg;

    f->pages++;
    return pwrite(f->copy_fd, data, PAGE_SIZE, (off_t)(page - 1) * PAGE_SIZE) ==
                   PAGE_SIZE
               ? STATUS_OK
               : STATUS_IO;
}

static void
apply(struct fixture *f, const void *data, size_t len)
{
    struct ltx_decoder *decoder = ltx_decoder_new(write_page, f);

    f->pages = 0;
    assert_int_equal(ltx_decoder_feed(decoder, data, len), STATUS_OK);
    assert_int_equal(ltx_decoder_finish(decoder), STATUS_OK);
    f->header = *ltx_decoder_header(decoder);
    assert_int_equal(f->header.page_size, PAGE_SIZE);
    assert_int_equal(
        ftruncate(f->copy_fd, (off_t)f->header.commit * PAGE_SIZE), 0);
    ltx_decoder_free(decoder);
}

/* Take what was committed since the last time, onto the copy. */
static void
take(struct fixture *f)
{
    struct take_header wanted = { .min_txid = ++f->txid,
        .max_txid = f->txid,
        .timestamp_ms = 1000,
        .node_id = 7 };
    struct buf out = BUF_INIT;
    struct tap_position to;

    tap_current(f->tap, &to);
    assert_int_equal(
        take_frames(f->tap, &f->taken, &to, &wanted, &out), STATUS_OK);
    apply(f, out.data, out.len);
    assert_int_equal(f->header.min_txid, f->txid);
    assert_int_equal(f->header.node_id, 7);
    assert_int_equal(f->header.wal_salt1, to.salt1);
    assert_int_equal(f->header.wal_offset + f->header.wal_size, to.offset);
    buf_fini(&out);
    f->taken = to;
}

/* The whole database as of now, onto an empty copy; slices: made in several. */
static void
take_whole(struct fixture *f, const struct tap_position *at, bool slices)
{
    struct take_header wanted = { .min_txid = 1, .max_txid = ++f->txid };
    char path[TEMPDIR_SIZE + 64];
    struct take_image *image;
    enum status status;
    int rounds = 0;

    snprintf(path, sizeof(path), "%s/image.ltx", f->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_int_equal(
        take_image_start(&image, f->tap, f->path, at, &wanted, fd), STATUS_OK);
    do {
        status = take_image_step(image, slices ? -1 : 10000000);
        rounds++;
    } while (status == STATUS_BUSY);
    assert_int_equal(status, STATUS_OK);
    assert_true(slices ? rounds > 1 : rounds == 1);
    uint64_t size = take_image_size(image);
    take_image_free(image);
    char *data = malloc(size);
    assert_int_equal(pread(fd, data, size, 0), size);
    assert_int_equal(ftruncate(f->copy_fd, 0), 0);
    apply(f, data, size);
    free(data);
    close(fd);
}

static void
checkpoint(struct fixture *f, int mode)
{
    int frames, copied;

    assert_true(tap_may_reset(f->tap, 0));
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(f->db, NULL, mode, &frames, &copied),
        SQLITE_OK);
    assert_int_equal(frames, copied);
    tap_end_reset(f->tap, true);
}

static void
assert_same_files(struct fixture *f)
{
    int fd = open(f->path, O_RDONLY);
    char a[PAGE_SIZE], b[PAGE_SIZE];
    struct stat x, y;

    assert_int_equal(fstat(fd, &x), 0);
    assert_int_equal(fstat(f->copy_fd, &y), 0);
    assert_int_equal(x.st_size, y.st_size);
    for (off_t at = 0; at < x.st_size; at += PAGE_SIZE) {
        assert_int_equal(pread(fd, a, PAGE_SIZE, at), PAGE_SIZE);
        assert_int_equal(pread(f->copy_fd, b, PAGE_SIZE, at), PAGE_SIZE);
        assert_memory_equal(a, b, PAGE_SIZE);
    }
    close(fd);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_frames_make_the_checkpointed_file(void **state)
{
    struct fixture *f = *state;

    take(f);
    for (int round = 0; round < 20; round++) {
        char sql[256];
        snprintf(sql, sizeof(sql),
            "REPLACE INTO t VALUES(%d, randomblob(%d));"
            "REPLACE INTO t VALUES(%d, randomblob(100));"
            "UPDATE t SET v = v || 'x' WHERE k %% 3 = %d",
            round, round * 97, round / 2, round % 3);
        execute(f, sql);
        if (round % 3 == 0)
            take(f);
    }
    take(f);
    checkpoint(f, SQLITE_CHECKPOINT_PASSIVE);
    assert_same_files(f);
}

static void
test_a_page_that_changed_often_is_taken_once(void **state)
{
    struct fixture *f = *state;

    take(f);
    for (int i = 0; i < 50; i++)
        execute(f, "REPLACE INTO t VALUES(1, randomblob(20))");
    take(f);
    assert_true(f->pages <= 3);
    assert_true(f->header.wal_size >= 50 * (PAGE_SIZE + 24));
    checkpoint(f, SQLITE_CHECKPOINT_PASSIVE);
    assert_same_files(f);
}

static void
test_a_database_that_shrank(void **state)
{
    struct fixture *f = *state;
    uint32_t large;

    execute(f, "INSERT INTO t VALUES(1, randomblob(60000))");
    take(f);
    large = f->header.commit;
    execute(f, "UPDATE t SET v = randomblob(70000)");
    execute(f, "DELETE FROM t");
    take(f);
    assert_true(f->header.commit < large / 4);
    assert_true(f->pages <= f->header.commit);
    checkpoint(f, SQLITE_CHECKPOINT_PASSIVE);
    assert_same_files(f);
}

/* The WAL is started over: from stands at the end of the one before. */
static void
test_the_wal_is_started_over(void **state)
{
    struct fixture *f = *state;
    struct tap_position before;

    for (int round = 0; round < 6; round++) {
        execute(f, "INSERT INTO t(v) VALUES(randomblob(3000))");
        take(f);
        before = f->taken;
        checkpoint(f, round % 2 == 0 ? SQLITE_CHECKPOINT_PASSIVE
                                     : SQLITE_CHECKPOINT_TRUNCATE);
        assert_same_files(f);
        execute(f, "INSERT INTO t(v) VALUES(randomblob(5))");
        take(f);
        assert_false(tap_is_same_wal(&before, &f->taken));
        assert_int_equal(f->taken.salt1, before.salt1 + 1);
        assert_int_equal(f->header.wal_offset, TAP_WAL_HEADER_SIZE);
        assert_true(f->taken.offset < before.offset);
    }
    checkpoint(f, SQLITE_CHECKPOINT_PASSIVE);
    assert_same_files(f);
}

/* What was published cannot be taken twice, nor beyond, nor in between. */
static void
test_positions_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    struct take_header wanted = { .min_txid = 1, .max_txid = 1 };
    struct tap_position to;
    struct buf out = BUF_INIT;

    take(f);
    tap_current(f->tap, &to);
    assert_int_not_equal(
        take_frames(f->tap, &to, &to, &wanted, &out), STATUS_OK);
    to.offset += PAGE_SIZE + TAP_FRAME_HEADER_SIZE;
    assert_int_not_equal(
        take_frames(f->tap, &f->taken, &to, &wanted, &out), STATUS_OK);
    to.offset = f->taken.offset - 1;
    struct tap_position none = { 0 };
    assert_int_not_equal(
        take_frames(f->tap, &none, &to, &wanted, &out), STATUS_OK);
    buf_fini(&out);
}

static void
test_an_image_of_wal_and_file(void **state)
{
    struct fixture *f = *state;
    struct tap_position at;

    execute(f, "INSERT INTO t(v) VALUES(randomblob(60000))");
    tap_current(f->tap, &at);
    take_whole(f, &at, true); /* all in the WAL */
    assert_int_equal(f->pages, f->header.commit);
    checkpoint(f, SQLITE_CHECKPOINT_PASSIVE);
    assert_same_files(f);
    tap_current(f->tap, &at);
    take_whole(f, &at, false); /* all in the file; its frames are there too */
    assert_same_files(f);
    execute(f, "UPDATE t SET v = randomblob(20000)");
    execute(f, "INSERT INTO t(v) VALUES(randomblob(4000))");
    tap_current(f->tap, &at);
    execute(f, "INSERT INTO t(v) VALUES('later')");
    take_whole(f, &at, false); /* some here, some there, not the newest */
    f->taken = at;
    take(f);
    checkpoint(f, SQLITE_CHECKPOINT_TRUNCATE);
    assert_same_files(f);
    tap_current(f->tap, &at);
    take_whole(f, &at, false); /* the WAL is empty */
    assert_same_files(f);
}

/*
 * A WAL made by hand around the page of byte 2^30: SQLite leaves it alone, and
 * so does LTX.
 */
static void
test_the_lock_page_is_left_out(void **state)
{
    static const uint32_t sizes[] = { 512, 1024, 4096, 65536 };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(
            ltx_lock_page(sizes[i]), UINT32_C(0x40000000) / sizes[i] + 1);

    char frame[TAP_FRAME_HEADER_SIZE + PAGE_SIZE] = { 0 };
    char wal[TAP_WAL_HEADER_SIZE] = { 0 }, path[256];
    uint32_t numbers[] = { LOCK_PAGE - 1, LOCK_PAGE, LOCK_PAGE + 1 };
    struct take_header wanted = { .min_txid = 3, .max_txid = 3 };
    struct tap_position none = { 0 }, to;
    struct buf out = BUF_INIT;

    snprintf(path, sizeof(path), "%s/made.db-wal", f->folder);
    FILE *file = fopen(path, "w");
    wal[10] = PAGE_SIZE >> 8;
    wal[19] = 5; /* salt1 */
    assert_int_equal(fwrite(wal, sizeof(wal), 1, file), 1);
    for (size_t i = 0; i < 3; i++) {
        for (int byte = 0; byte < 4; byte++) {
            frame[byte] = (char)(numbers[i] >> (24 - 8 * byte));
            frame[4 + byte] = (char)((LOCK_PAGE + 1) >> (24 - 8 * byte));
        }
        frame[11] = 5;
        assert_int_equal(fwrite(frame, sizeof(frame), 1, file), 1);
    }
    fclose(file);
    path[strlen(path) - 4] = '\0';
    struct tap *tap = tap_new(path);
    tap_publish(tap, 3, 1, true);
    tap_current(tap, &to);
    assert_int_equal(take_frames(tap, &none, &to, &wanted, &out), STATUS_OK);
    apply(f, out.data, out.len);
    assert_int_equal(f->pages, 2);
    assert_int_equal(f->header.commit, LOCK_PAGE + 1);
    buf_fini(&out);
    tap_free(tap);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_frames_make_the_checkpointed_file),
        TEST(test_a_page_that_changed_often_is_taken_once),
        TEST(test_a_database_that_shrank),
        TEST(test_the_wal_is_started_over),
        TEST(test_positions_that_are_none_are_refused),
        TEST(test_an_image_of_wal_and_file),
        TEST(test_the_lock_page_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
