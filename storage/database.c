/*
 * database.c -- SQLite connections and result codes.
 *
 * Connections are used by one thread each, so SQLite's own mutexes are off
 * (SQLITE_OPEN_NOMUTEX).  No memory mapping: a mapped file that loses its disk
 * raises SIGBUS, a read answers an error.  No checkpoint on close: whether a
 * checkpoint may run is the committer's decision alone.
 *
 * secure_delete, which Debian turns on, is off: it writes every page that is
 * freed once more, as zeros.  The journal frees all of its pages.
 */
#include <errno.h>
#include <stdio.h>

#include "server/base/check.h"
#include "storage/database.h"

/* How long to wait for somebody else's lock (a person with sqlite3). */
#define BUSY_TIMEOUT_MS 5000
/* What a WAL that starts again keeps on the disk: it grows while somebody */
/* reads, and would stay as large as it ever was. */
#define WAL_KEEP_SIZE (64 * 1024 * 1024)

enum status
database_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_FULL:
        return STATUS_FULL;
    case SQLITE_NOMEM:
        return STATUS_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return STATUS_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STATUS_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return STATUS_DENIED;
    case SQLITE_TOOBIG:
        return STATUS_LIMIT;
    default:
        return STATUS_IO;
    }
}

/* What opening failed with; sees through SQLITE_CANTOPEN to the system. */
static enum status
open_status(sqlite3 *db, int rc)
{
    int system_error;

    if ((rc & 0xff) != SQLITE_CANTOPEN || db == NULL)
        return database_status(rc);
    system_error = sqlite3_system_errno(db);
    if (system_error == EACCES || system_error == EPERM ||
        system_error == EROFS)
        return STATUS_DENIED;
    return system_error == ENOSPC ? STATUS_FULL : STATUS_IO;
}

enum status
database_open(sqlite3 **db, const char *path, const char *vfs,
    bool is_read_only, int64_t cache_size, char *error, size_t error_size)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    char sql[256];
    sqlite3 *out = NULL;
    enum status status;
    int rc;

    flags |= is_read_only ? SQLITE_OPEN_READONLY
                          : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    rc = sqlite3_open_v2(path, &out, flags, vfs);
    status = rc == SQLITE_OK ? STATUS_OK : open_status(out, rc);
    /* SQLite falls back to reading alone when writing is not permitted. */
    if (status == STATUS_OK && !is_read_only &&
        sqlite3_db_readonly(out, "main") == 1) {
        if (error != NULL)
            snprintf(error, error_size, "cannot open %s for writing", path);
        sqlite3_close(out);
        return STATUS_DENIED;
    }
    if (status == STATUS_OK) {
        sqlite3_busy_timeout(out, BUSY_TIMEOUT_MS);
        sqlite3_wal_autocheckpoint(out, 0);
        sqlite3_db_config(out, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        snprintf(sql, sizeof(sql),
            "PRAGMA cache_size=-%lld; PRAGMA temp_store=MEMORY;"
            "PRAGMA mmap_size=0; PRAGMA synchronous=FULL;"
            "PRAGMA secure_delete=OFF; PRAGMA journal_size_limit=%d",
            (long long)(cache_size / 1024), WAL_KEEP_SIZE);
        status = database_exec(out, sql);
    }
    if (status == STATUS_OK) {
        *db = out;
        return STATUS_OK;
    }
    if (error != NULL)
        snprintf(error, error_size, "cannot open %s: %s", path,
            out == NULL ? "out of memory" : sqlite3_errmsg(out));
    sqlite3_close(out);
    return status;
}

void
database_close(sqlite3 *db)
{
    int rc = sqlite3_close(db);

    CHECK(rc != SQLITE_BUSY); /* a statement was forgotten */
}

enum status
database_exec(sqlite3 *db, const char *sql)
{
    return database_status(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

enum status
database_get_number(sqlite3 *db, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement;
    enum status status;
    int rc;

    status = database_prepare(db, sql, &statement);
    if (status != STATUS_OK)
        return status;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
}

enum status
database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement)
{
    return database_status(sqlite3_prepare_v3(
        db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL));
}

enum status
database_run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    sqlite3_reset(statement);
    return database_status(rc);
}

void
database_bind_blob(sqlite3_stmt *statement, int at, struct slice s)
{
    const char *data = s.len == 0 ? "" : s.data;
    int rc = sqlite3_bind_blob64(statement, at, data, s.len, SQLITE_STATIC);

    /* Too big for SQLite: bound as NULL, refused by NOT NULL at the step. */
    if (rc != SQLITE_OK)
        sqlite3_bind_null(statement, at);
}

void
database_bind_text(sqlite3_stmt *statement, int at, struct slice s)
{
    const char *data = s.len == 0 ? "" : s.data;
    int rc = sqlite3_bind_text64(
        statement, at, data, s.len, SQLITE_STATIC, SQLITE_UTF8);

    if (rc != SQLITE_OK)
        sqlite3_bind_null(statement, at);
}

struct slice
database_column(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);

    if (data == NULL)
        return (struct slice){ "", 0 };
    return slice_make(data, (size_t)len);
}
