/*
 * test_unowned.c -- a start that dies before it owns the prefix leaves a
 * database that nobody was served from; the next start throws it away (U1, U2),
 * and nothing else (U3).
 *
 * A machine is what a server does up to its first client: start, open the
 * database, commit a takeover, ship it, remove the mark.  Two of them share one
 * bucket, a folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replication/layout.h"
#include "replication/startup.h"
#include "replication/startupmark.h"
#include "replication/take.h"
#include "server/base/log.h"
#include "tests/unit/tempdir.h"

#define PATH_SIZE (TEMPDIR_SIZE + 64)

struct machine {
    struct objectstore *store; /* lent */
    const char *bucket;        /* what it is called in the configuration */
    char path[PATH_SIZE];
    sqlite3 *db;
    struct tap *tap;
    struct tap_position taken;
    struct outbox *outbox;
    struct startup_result result;
    uint64_t txid;
};

struct fixture {
    char folder[TEMPDIR_SIZE];
    struct objectstore *store, *empty;
    struct machine here, there;
};

/* How far a machine gets before it is killed. */
enum stage { COMMITTED, SERVING };

/* ---- a machine ---------------------------------------------------------- */

static char *
beside(const struct machine *m, const char *suffix)
{
    static char path[PATH_SIZE + 16];

    snprintf(path, sizeof(path), "%s%s", m->path, suffix);
    return path;
}

static bool
is_there(const struct machine *m, const char *suffix)
{
    return access(beside(m, suffix), F_OK) == 0;
}

static bool
execute(struct machine *m, const char *sql)
{
    return sqlite3_exec(m->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int
note_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct machine *m = arg;

    (void)db;
    (void)name;
    tap_publish(m->tap, (uint64_t)frames, 1, true);
    return SQLITE_OK;
}

static enum status
look(struct machine *m)
{
    struct buf error = BUF_INIT;
    volatile int stop = 0;

    if (outbox_open(&m->outbox, m->path, &error) != STATUS_OK)
        return STATUS_CORRUPT;
    struct startup_options options = { .store = m->store,
        .bucket = m->bucket,
        .outbox = m->outbox,
        .database_path = m->path,
        .stop = &stop };
    enum status status = startup_run(&options, &m->result, &error);
    if (status != STATUS_OK && status != STATUS_CONFLICT)
        print_message("%.*s\n", (int)error.len, error.data);
    buf_fini(&error);
    m->txid = m->result.start.txid;
    return status;
}

static bool
open_database(struct machine *m)
{
    m->tap = tap_new(m->path);
    if (sqlite3_open(m->path, &m->db) != SQLITE_OK)
        return false;
    /* The hook comes after the PRAGMA, which removes it. */
    if (!execute(m, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL;"
                    "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0"))
        return false;
    sqlite3_wal_hook(m->db, note_commit, m);
    return execute(m, "CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v)");
}

/* What was committed since the last time, as the next txid. */
static enum status
take(struct machine *m, struct buf *out)
{
    struct take_header wanted = { .min_txid = m->txid + 1,
        .max_txid = m->txid + 1,
        .timestamp_ms = 1000,
        .node_id = 7 };
    struct tap_position to;

    tap_current(m->tap, &to);
    enum status status = take_frames(m->tap, &m->taken, &to, &wanted, out);
    m->taken = to;
    m->txid++;
    return status;
}

static enum status
ship(struct machine *m)
{
    struct objectstore_request request;
    struct buf out = BUF_INIT;
    char name[LAYOUT_NAME_SIZE];
    enum status status = take(m, &out);

    layout_format_name(name, 0, m->txid, m->txid);
    objectstore_request_init(&request, OBJECTSTORE_PUT, slice_from_text(name));
    request.body = buf_slice(&out);
    request.if_none_match = true;
    if (status == STATUS_OK)
        status = objectstore_run(m->store, &request);
    objectstore_request_fini(&request);
    buf_fini(&out);
    return status;
}

static enum status
begin(struct machine *m, enum stage stage)
{
    enum status status = look(m);

    if (status != STATUS_OK)
        return status;
    if (!open_database(m) || !execute(m, "INSERT INTO t(v) VALUES('mine')"))
        return STATUS_IO;
    if (stage == COMMITTED)
        return STATUS_OK;
    status = ship(m);
    if (status == STATUS_OK && m->result.mark != NULL) {
        status = unowned_remove(m->result.mark);
        m->result.mark = NULL;
    }
    return status;
}

/* As SIGKILL does it: the files stay as they are. */
static void
end(struct machine *m)
{
    unowned_close(m->result.mark);
    outbox_close(m->outbox);
    if (m->db != NULL) {
        sqlite3_db_config(m->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_close(m->db);
    }
    tap_free(m->tap);
    m->result = (struct startup_result){ 0 };
    m->outbox = NULL;
    m->db = NULL;
    m->tap = NULL;
    m->taken = (struct tap_position){ 0 };
}

/* A row that clients of the other machine were told of. */
static enum status
acknowledge(struct machine *m)
{
    return execute(m, "INSERT INTO t(v) VALUES('acknowledged')") ? ship(m)
                                                                 : STATUS_IO;
}

static int
count(struct machine *m, const char *value)
{
    sqlite3_stmt *statement = NULL;
    int rows = -1;

    if (sqlite3_prepare_v2(m->db, "SELECT count(*) FROM t WHERE v = ?", -1,
            &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, value, -1, SQLITE_STATIC) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        rows = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return rows;
}

/* ---- two of them -------------------------------------------------------- */

static struct objectstore *
open_store(const char *folder, const char *name)
{
    struct objectstore *store = NULL;
    struct buf error = BUF_INIT;
    char url[PATH_SIZE];

    snprintf(url, sizeof(url), "file://%s/%s", folder, name);
    struct objectstore_options options = { .url = url };
    assert_int_equal(objectstore_open(&store, &options, &error), STATUS_OK);
    buf_fini(&error);
    return store;
}

/* The bucket has a history, and its owner is alive. */
static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tempdir_make(f->folder, "unowned");
    f->store = open_store(f->folder, "store");
    f->empty = open_store(f->folder, "empty");
    f->here.store = f->there.store = f->store;
    f->here.bucket = f->there.bucket = "s3://this one";
    snprintf(f->here.path, PATH_SIZE, "%s/here.db", f->folder);
    snprintf(f->there.path, PATH_SIZE, "%s/there.db", f->folder);
    *state = f;
    return 0;
}

static int
set_up_with_history(void **state)
{
    set_up(state);
    struct fixture *f = *state;
    assert_true(open_database(&f->there));
    assert_true(execute(&f->there, "INSERT INTO t(v) VALUES('mine')"));
    assert_int_equal(ship(&f->there), STATUS_OK);
    assert_int_equal(acknowledge(&f->there), STATUS_OK);
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    end(&f->here);
    end(&f->there);
    objectstore_close(f->store);
    objectstore_close(f->empty);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

/* It has restored and committed, and is killed; then the other one ships. */
static void
leave_unowned(struct fixture *f)
{
    struct buf out = BUF_INIT;

    assert_int_equal(begin(&f->here, COMMITTED), STATUS_OK);
    assert_true(is_there(&f->here, "-unowned"));
    assert_true(is_there(&f->here, "-wal"));
    assert_int_equal(take(&f->here, &out), STATUS_OK);
    assert_int_equal(
        outbox_add(f->here.outbox, f->here.txid, buf_slice(&out)), STATUS_OK);
    buf_fini(&out);
    end(&f->here);
    assert_int_equal(acknowledge(&f->there), STATUS_OK);
}

/* It serves all that was ever acknowledged, and nothing of its failed try. */
static void
expect_whole(struct fixture *f, int acknowledged)
{
    assert_int_equal(begin(&f->here, SERVING), STATUS_OK);
    assert_int_equal(count(&f->here, "acknowledged"), acknowledged);
    assert_int_equal(count(&f->here, "mine"), 2);
    assert_int_equal(outbox_count(f->here.outbox), 0);
    assert_false(is_there(&f->here, "-unowned"));
}

/* ---- what is thrown away ------------------------------------------------ */

static void
test_marked_until_owned(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(look(&f->here), STATUS_OK);
    assert_true(f->here.result.was_restored);
    assert_non_null(f->here.result.mark);
    assert_true(is_there(&f->here, "-unowned"));
    end(&f->here);
    assert_int_equal(begin(&f->here, SERVING), STATUS_OK);
    assert_false(is_there(&f->here, "-unowned"));
    end(&f->here);
    assert_int_equal(look(&f->here), STATUS_OK);
    assert_null(f->here.result.mark);
    assert_false(f->here.result.was_restored);
}

static void
test_lost_race_is_thrown_away(void **state)
{
    struct fixture *f = *state;

    leave_unowned(f);
    expect_whole(f, 2);
}

/* A power cut may give the WAL back, or the outbox, but not the database. */
static void
test_rest_of_a_removal_is_thrown_away(void **state)
{
    struct fixture *f = *state;

    leave_unowned(f);
    assert_int_equal(unlink(f->here.path), 0);
    expect_whole(f, 2);
}

/* Nobody had begun a history, then a dead server's first upload arrives. */
static void
test_new_history_is_thrown_away(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(begin(&f->here, COMMITTED), STATUS_OK);
    assert_true(is_there(&f->here, "-unowned"));
    assert_int_equal(outbox_lose(f->here.outbox, 0, 9), STATUS_OK);
    end(&f->here);
    assert_int_equal(begin(&f->there, SERVING), STATUS_OK);
    assert_int_equal(acknowledge(&f->there), STATUS_OK);
    expect_whole(f, 1);
    assert_null(outbox_find_loss(f->here.outbox));
}

/* Killed between the making of the file and the mark. */
static void
test_file_without_a_byte_is_absent(void **state)
{
    struct fixture *f = *state;

    close(open(f->here.path, O_CREAT | O_WRONLY, 0666));
    expect_whole(f, 1);
}

/* ---- what stays --------------------------------------------------------- */

/* It must be refused as if there had never been a mark, and untouched. */
static void
expect_kept(struct fixture *f)
{
    assert_int_equal(look(&f->here), STATUS_CONFLICT);
    end(&f->here);
    assert_true(open_database(&f->here));
    assert_int_equal(count(&f->here, "acknowledged"), 1);
    assert_int_equal(count(&f->here, "mine"), 2);
}

static void
test_owned_is_kept(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(begin(&f->here, SERVING), STATUS_OK);
    end(&f->here);
    f->there.txid++; /* not its own: as a third machine would */
    assert_int_equal(acknowledge(&f->there), STATUS_OK);
    expect_kept(f);
}

/* Served without a bucket meanwhile. */
static void
test_forgotten_is_kept(void **state)
{
    struct fixture *f = *state;
    struct buf error = BUF_INIT;

    leave_unowned(f);
    assert_int_equal(unowned_forget(f->here.path, &error), STATUS_OK);
    assert_false(is_there(&f->here, "-unowned"));
    assert_int_equal(unowned_forget(f->here.path, &error), STATUS_OK);
    expect_kept(f);
}

static void
test_of_another_bucket_is_kept(void **state)
{
    struct fixture *f = *state;

    leave_unowned(f);
    f->here.bucket = "s3://that one";
    expect_kept(f);
    end(&f->here);
    /* A mistake in the configuration, undone, has spoiled nothing. */
    f->here.bucket = f->there.bucket;
    expect_whole(f, 2);
}

static void
test_moves_into_an_empty_prefix(void **state)
{
    struct fixture *f = *state;

    leave_unowned(f);
    f->here.bucket = "s3://that one";
    f->here.store = f->empty;
    assert_int_equal(look(&f->here), STATUS_OK);
    assert_false(f->here.result.was_restored);
    assert_null(f->here.result.mark);
    assert_false(is_there(&f->here, "-unowned"));
    assert_true(open_database(&f->here));
    assert_int_equal(count(&f->here, "acknowledged"), 1);
}

/* The bucket lost what was restored: here is the only copy. */
static void
test_prefix_that_was_emptied(void **state)
{
    struct fixture *f = *state;

    leave_unowned(f);
    f->here.store = f->empty;
    assert_int_equal(look(&f->here), STATUS_OK);
    assert_false(f->here.result.was_restored);
    assert_true(open_database(&f->here));
    assert_int_equal(count(&f->here, "acknowledged"), 1);
}

/* A copy under the same name is somebody's: a backup that was put there. */
static void
test_another_file_is_kept(void **state)
{
    struct fixture *f = *state;
    char command[6 * PATH_SIZE];

    leave_unowned(f);
    (void)snprintf(command, sizeof(command),
        "cd '%.191s' && cp here.db copy && mv copy here.db", f->folder);
    assert_int_equal(system(command), 0);
    expect_kept(f);
}

/* So is one that was copied over it: the inode and its birth stay. */
static void
test_what_is_copied_over_it_is_kept(void **state)
{
    struct fixture *f = *state;
    char command[6 * PATH_SIZE];

    leave_unowned(f);
    (void)snprintf(command, sizeof(command),
        "cd '%.191s' && cp here.db copy && cat copy >here.db", f->folder);
    assert_int_equal(system(command), 0);
    expect_kept(f);
}

/* And where there is no history yet, what lies here begins it. */
static void
test_new_history_goes_on(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(begin(&f->here, COMMITTED), STATUS_OK);
    assert_true(is_there(&f->here, "-unowned"));
    end(&f->here);
    assert_int_equal(look(&f->here), STATUS_OK);
    assert_null(f->here.result.mark);
    assert_false(is_there(&f->here, "-unowned"));
    assert_true(open_database(&f->here));
    assert_int_equal(count(&f->here, "mine"), 1);
}

/* Another process has begun to serve since this one looked. */
static void
test_only_an_empty_file_is_marked(void **state)
{
    struct fixture *f = *state;
    struct buf error = BUF_INIT;
    struct startup startup = {
        .path = f->here.path, .bucket = f->here.bucket, .error = &error
    };

    assert_true(open_database(&f->here));
    assert_int_equal(startupmark_begin_database(&startup), STATUS_BUSY);
    unowned_close(startup.mark);
    assert_false(is_there(&f->here, "-unowned"));
    buf_fini(&error);
}

static void
test_half_a_mark_is_about_nothing(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    leave_unowned(f);
    assert_int_equal(stat(beside(&f->here, "-unowned"), &st), 0);
    for (off_t left = st.st_size - 1; left >= 0; left -= 7) {
        assert_int_equal(truncate(beside(&f->here, "-unowned"), left), 0);
        expect_kept(f);
        end(&f->here);
    }
}

static void
test_two_processes_in_one_folder(void **state)
{
    struct fixture *f = *state;
    struct machine second = f->here;
    struct buf error = BUF_INIT;

    assert_int_equal(begin(&f->here, COMMITTED), STATUS_OK);
    assert_int_equal(look(&second), STATUS_BUSY);
    assert_int_equal(unowned_forget(second.path, &error), STATUS_BUSY);
    buf_fini(&error);
    end(&second);
    assert_int_equal(ship(&f->here), STATUS_OK);
    assert_int_equal(unowned_remove(f->here.result.mark), STATUS_OK);
    f->here.result.mark = NULL;
    assert_int_equal(look(&second), STATUS_OK);
    end(&second);
}

/* A restore that fails leaves no mark either. */
static void
test_failed_restore_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[PATH_SIZE];

    snprintf(path, sizeof(path),
        "%s/store/0000/0000000000000001-0000000000000001.ltx", f->folder);
    assert_int_equal(truncate(path, 200), 0);
    assert_int_not_equal(look(&f->here), STATUS_OK);
    assert_false(is_there(&f->here, ""));
    assert_false(is_there(&f->here, "-unowned"));
}

/* ---- killed ------------------------------------------------------------- */

#ifdef WALDEN_DEBUG

/*
 * Which fault point a process dies at is read from the environment once, so
 * each life is a process of its own, and this one passes none before.
 */
static pid_t
begin_apart(struct fixture *f, enum stage stage, const char *fault)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (fault != NULL)
        setenv("WALDEN_FAULT", fault, 1);
    if (begin(&f->here, stage) != STATUS_OK)
        _exit(1);
    if (stage == COMMITTED)
        kill(getpid(), SIGKILL);
    if (is_there(&f->here, "-unowned"))
        _exit(2);
    _exit(10 * count(&f->here, "mine") + count(&f->here, "acknowledged"));
}

static void
expect_killed(struct fixture *f, enum stage stage, const char *fault)
{
    int outcome;
    pid_t pid = begin_apart(f, stage, fault);

    assert_int_equal(waitpid(pid, &outcome, 0), pid);
    assert_true(WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGKILL);
}

/* So many takeovers, with its own, and rows that were acknowledged. */
static void
expect_served(struct fixture *f, int takeovers, int acknowledged)
{
    int outcome;
    pid_t pid = begin_apart(f, SERVING, NULL);

    assert_int_equal(waitpid(pid, &outcome, 0), pid);
    assert_true(WIFEXITED(outcome));
    assert_int_equal(WEXITSTATUS(outcome), 10 * takeovers + acknowledged);
}

/* Before it has the prefix; then nothing happens, or another one ships. */
static void
test_killed_before_it_owns(void **state)
{
    static const char *const faults[] = { "unowned.marked", "restore.named",
        NULL };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        for (int overtakes = 0; overtakes < 2; overtakes++) {
            struct fixture *f;
            set_up_with_history(state);
            f = *state;
            expect_killed(f, COMMITTED, faults[i]);
            if (overtakes > 0)
                assert_int_equal(acknowledge(&f->there), STATUS_OK);
            expect_served(f, 2, 1 + overtakes);
            tear_down(state);
        }
}

/* While what a killed one left is thrown away. */
static void
test_killed_again(void **state)
{
    static const char *const faults[] = { "startup.removed", "unowned.marked",
        "restore.named" };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct fixture *f;
        set_up_with_history(state);
        f = *state;
        expect_killed(f, COMMITTED, NULL);
        expect_killed(f, SERVING, faults[i]);
        assert_int_equal(acknowledge(&f->there), STATUS_OK);
        expect_served(f, 2, 2);
        tear_down(state);
    }
}

/* It owns the prefix: right before and after the mark goes. */
static void
test_killed_as_the_owner(void **state)
{
    static const char *const faults[] = { "unowned.owned", "unowned.removed" };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct fixture *f;
        set_up_with_history(state);
        f = *state;
        expect_killed(f, SERVING, faults[i]);
        assert_int_equal(is_there(&f->here, "-unowned"), i == 0);
        expect_served(f, 3, 1);
        tear_down(state);
    }
}

/* No history: neither here nor there. */
static void
test_killed_with_a_new_history(void **state)
{
    struct fixture *f;

    set_up(state);
    f = *state;
    expect_killed(f, COMMITTED, "unowned.marked");
    expect_killed(f, COMMITTED, NULL);
    assert_true(open_database(&f->there));
    assert_true(execute(&f->there, "INSERT INTO t(v) VALUES('mine')"));
    assert_int_equal(ship(&f->there), STATUS_OK);
    assert_int_equal(acknowledge(&f->there), STATUS_OK);
    expect_served(f, 2, 1);
    tear_down(state);
}

#endif

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, set_up_with_history, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef WALDEN_DEBUG
        /* First: see begin_apart(). */
        cmocka_unit_test(test_killed_before_it_owns),
        cmocka_unit_test(test_killed_again),
        cmocka_unit_test(test_killed_as_the_owner),
        cmocka_unit_test(test_killed_with_a_new_history),
#endif
        TEST(test_marked_until_owned),
        TEST(test_lost_race_is_thrown_away),
        TEST(test_rest_of_a_removal_is_thrown_away),
        cmocka_unit_test_setup_teardown(
            test_new_history_is_thrown_away, set_up, tear_down),
        TEST(test_file_without_a_byte_is_absent),
        TEST(test_owned_is_kept),
        TEST(test_forgotten_is_kept),
        TEST(test_of_another_bucket_is_kept),
        TEST(test_moves_into_an_empty_prefix),
        TEST(test_prefix_that_was_emptied),
        TEST(test_another_file_is_kept),
        TEST(test_what_is_copied_over_it_is_kept),
        cmocka_unit_test_setup_teardown(
            test_new_history_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_only_an_empty_file_is_marked, set_up, tear_down),
        TEST(test_half_a_mark_is_about_nothing),
        TEST(test_two_processes_in_one_folder),
        TEST(test_failed_restore_leaves_nothing),
    };

    log_set_level(LOG_LEVEL_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
