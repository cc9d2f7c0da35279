/*
 * test_walcheck.c -- a WAL read, and written, past SQLite, through SQLite's own
 * VFS: it takes what SQLite hands to it, and not any size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "storage/database.h"
#include "storage/walcheck.h"
#include "tests/unit/tempdir.h"

#define WAL_HEADER_SIZE 32
#define FRAME_SIZE (24 + DATABASE_PAGE_SIZE)

struct fixture {
    char folder[TEMPDIR_SIZE];
    char path[TEMPDIR_SIZE + 8], wal[TEMPDIR_SIZE + 16];
    sqlite3 *db;
    int frames; /* in the WAL */
};

static void
execute(sqlite3 *db, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

static int
note_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct fixture *f = arg;

    (void)db;
    (void)name;
    f->frames = frames;
    return SQLITE_OK;
}

static sqlite3 *
open_database(struct fixture *f)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    execute(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL;"
                "PRAGMA synchronous=OFF");
    sqlite3_wal_hook(db, note_commit, f);
    return db;
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tempdir_make(f->folder, "walcheck");
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    snprintf(f->wal, sizeof(f->wal), "%s-wal", f->path);
    f->db = open_database(f);
    execute(f->db, "CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)");
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    sqlite3_close(f->db);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

static void
insert(struct fixture *f, int bytes)
{
    char sql[64];

    snprintf(
        sql, sizeof(sql), "INSERT INTO t(v) VALUES(randomblob(%d))", bytes);
    execute(f->db, sql);
}

static size_t
wal_size(const struct fixture *f)
{
    return WAL_HEADER_SIZE + (size_t)f->frames * FRAME_SIZE;
}

/* The caller frees it. */
static char *
read_file(const char *path, size_t size)
{
    char *bytes = memory_alloc(size);
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, 0), (ssize_t)size);
    close(fd);
    return bytes;
}

static void
spoil(const char *path, size_t offset)
{
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "spoiled", 7, (off_t)offset), 7);
    close(fd);
}

static int64_t
modified_s(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_mtim.tv_sec;
}

/* ---- writing again ------------------------------------------------------- */

static void
expect_write_again(struct fixture *f)
{
    static const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };
    char *before = read_file(f->wal, wal_size(f)), *after;

    assert_int_equal(utimensat(AT_FDCWD, f->wal, long_ago, 0), 0);
    assert_int_equal(walcheck_write_again(f->db), STATUS_OK);
    assert_true(modified_s(f->wal) > 1);
    after = read_file(f->wal, wal_size(f));
    assert_memory_equal(before, after, wal_size(f));
    memory_free(before);
    memory_free(after);
    assert_int_equal(walcheck_run(f->db, (uint64_t)f->frames), STATUS_OK);
}

/* The VFS writes the size modulo 128 KiB: each size up to some of those. */
static void
test_a_wal_of_any_size_is_written_again(void **state)
{
    struct fixture *f = *state;

    expect_write_again(f);
    while (wal_size(f) < 600 * 1024) {
        insert(f, 100 + f->frames * 100);
        expect_write_again(f);
    }
}

static void
test_a_wal_that_is_written_to_is_not_written_again(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other = open_database(f);

    execute(other, "BEGIN IMMEDIATE");
    assert_int_equal(walcheck_write_again(f->db), STATUS_BUSY);
    execute(other, "COMMIT");
    assert_int_equal(walcheck_write_again(f->db), STATUS_OK);
    sqlite3_close(other);
}

/* ---- reading ------------------------------------------------------------- */

static void
test_a_frame_that_is_not_what_was_written(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        insert(f, 10000);
    uint64_t frames = (uint64_t)f->frames;
    assert_int_equal(walcheck_run(f->db, frames), STATUS_OK);
    assert_int_equal(walcheck_run(f->db, frames + 1), STATUS_CORRUPT);
    spoil(f->wal, wal_size(f) - 1000);
    assert_int_equal(walcheck_run(f->db, frames - 1), STATUS_OK);
    assert_int_equal(walcheck_run(f->db, frames), STATUS_CORRUPT);
}

/* ---- copying again ------------------------------------------------------- */

static void
test_what_was_checkpointed_is_copied_again(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    for (int i = 0; i < 100; i++)
        insert(f, 10000);
    execute(f->db, "DELETE FROM t WHERE k % 3 = 0");
    execute(f->db, "PRAGMA wal_checkpoint(PASSIVE)");
    assert_int_equal(stat(f->path, &st), 0);
    size_t size = (size_t)st.st_size;
    assert_true(size > 600 * 1024);
    char *before = read_file(f->path, size);
    for (size_t at = 100; at < size; at += DATABASE_PAGE_SIZE)
        spoil(f->path, at);
    assert_int_equal(walcheck_copy_again(f->db), STATUS_OK);
    char *after = read_file(f->path, size);
    assert_memory_equal(before, after, size);
    memory_free(before);
    memory_free(after);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_wal_of_any_size_is_written_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_wal_that_is_written_to_is_not_written_again, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_frame_that_is_not_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_was_checkpointed_is_copied_again, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
