/*
 * database.h -- one SQLite connection, set up the way the store wants it, and
 * SQLite's result codes as statuses.
 *
 * Private to storage/.
 */
#ifndef WALDEN_STORAGE_DATABASE_H
#define WALDEN_STORAGE_DATABASE_H

#include "server/base/slice.h"
#include "server/base/status.h"

#include <sqlite3.h>
#include <stdint.h>

#define DATABASE_PAGE_SIZE 4096 /* bytes */

/* The status that says what result code rc says. */
enum status database_status(int rc);

/*
 * Open path.  vfs may be NULL.  cache_size in bytes.
 * Fails: STATUS_IO, STATUS_DENIED, STATUS_NO_MEMORY; error (may be NULL) then
 * holds a sentence.
 */
MUST_CHECK enum status database_open(sqlite3 **db, const char *path,
    const char *vfs, bool is_read_only, int64_t cache_size, char *error,
    size_t error_size);
/* NULL is accepted.  No statement may be left. */
void database_close(sqlite3 *db);

/* Run SQL without results. */
MUST_CHECK enum status database_exec(sqlite3 *db, const char *sql);
/* The first column of the first row as a number. */
MUST_CHECK enum status database_get_number(
    sqlite3 *db, const char *sql, int64_t *number);
/* A statement for many uses.  Gives statement. */
MUST_CHECK enum status database_prepare(
    sqlite3 *db, const char *sql, sqlite3_stmt **statement);
/* Run a bound statement without results, and reset it. */
MUST_CHECK enum status database_run(sqlite3_stmt *statement);

/* Binding that keeps an empty slice an empty blob (not NULL). */
void database_bind_blob(sqlite3_stmt *statement, int at, struct slice s);
void database_bind_text(sqlite3_stmt *statement, int at, struct slice s);
/* Lends a column's bytes until the statement moves. */
struct slice database_column(sqlite3_stmt *statement, int column);

#endif
