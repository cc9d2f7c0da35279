/*
 * fold_check.c -- D3 in debug builds: what was folded is what the tables say.
 *
 * Reads with statements of its own, so that a mistake in those that write is
 * not made twice.  A row that cannot be read is passed over: failing disks are
 * what some tests are about.
 */
#include <stdbool.h>

#include "server/base/check.h"
#include "storage/database.h"

#include "storage/fold_check.h"

static const char *const element_sql[ROW_TABLE_COUNT] = {
    [ROW_HASH] = "SELECT value FROM hashes WHERE key=?1 AND field=?2",
    [ROW_LIST] = "SELECT value FROM lists WHERE key=?1 AND pos=?2",
    [ROW_BLOB] = "SELECT data FROM blobs WHERE key=?1 AND chunk=?2",
    [ROW_SET] = "SELECT x'' FROM sets WHERE key=?1 AND member=?2",
    [ROW_ZSET] = "SELECT NULL FROM zsets WHERE key=?1 AND member=?2",
};

/* Is the row there?  false too if that cannot be found out: *is_known. */
static bool
step(sqlite3_stmt *statement, bool *is_known)
{
    int rc = sqlite3_step(statement);

    *is_known = rc == SQLITE_ROW || rc == SQLITE_DONE;
    return rc == SQLITE_ROW;
}

static bool
is_number(sqlite3_stmt *statement, int column, uint64_t number)
{
    return (uint64_t)sqlite3_column_int64(statement, column) == number;
}

static void
check_key_put(sqlite3_stmt *statement, const struct row_change *change,
    const struct generation_row *row)
{
    struct row_change touch = *change;
    struct key_row key;

    CHECK(rowchange_decode_key(change, &key) == STATUS_OK);
    if (row->touch_len > 0) {
        touch.value = slice_make(row->touch, row->touch_len);
        CHECK(rowchange_decode_touch(&touch, &key.version, &key.size) ==
              STATUS_OK);
    }
    CHECK(is_number(statement, 0, key.db));
    CHECK(slice_equal(database_column(statement, 1), key.name));
    CHECK(is_number(statement, 2, key.type));
    CHECK(is_number(statement, 3, key.encoding));
    CHECK(key.expire_at_ms < 0
              ? sqlite3_column_type(statement, 4) == SQLITE_NULL
              : is_number(statement, 4, (uint64_t)key.expire_at_ms));
    CHECK(is_number(statement, 5, key.version));
    CHECK(is_number(statement, 6, key.size));
    if (key.type == KEY_STRING && key.encoding != KEY_CHUNKED)
        CHECK(slice_equal(database_column(statement, 7), key.value));
}

static void
check_key(sqlite3_stmt *statement, const struct row_change *change,
    const struct generation_row *row)
{
    bool is_known, is_there = step(statement, &is_known);
    uint64_t version, size;

    if (!is_known)
        return;
    switch (change->op) {
    case ROW_PUT:
        CHECK(is_there);
        check_key_put(statement, change, row);
        break;
    case ROW_TOUCH:
        CHECK(rowchange_decode_touch(change, &version, &size) == STATUS_OK);
        CHECK(!is_there || (is_number(statement, 5, version) &&
                               is_number(statement, 6, size)));
        break;
    default:
        CHECK(!is_there);
    }
}

static void
check_element(sqlite3_stmt *statement, const struct row_change *change)
{
    bool is_known, is_there = step(statement, &is_known);

    if (!is_known)
        return;
    CHECK(is_there == (change->op == ROW_PUT)); /* D3 */
    if (is_there && change->table != ROW_SET && change->table != ROW_ZSET)
        CHECK(slice_equal(database_column(statement, 0), change->value));
}

static void
bind_sub(sqlite3_stmt *statement, const struct row_change *change)
{
    if (change->table == ROW_LIST)
        sqlite3_bind_int64(
            statement, 2, rowchange_get_position(change->sub.data));
    else if (change->table == ROW_BLOB)
        sqlite3_bind_int64(statement, 2, bytes_get_be32(change->sub.data));
    else
        database_bind_blob(statement, 2, change->sub);
}

void
fold_check_row(sqlite3 *db, const struct generation_row *row)
{
    struct row_change change = { .op = (enum row_op)row->op,
        .table = (enum row_table)row->table,
        .id = row->id,
        .sub = slice_make(row->sub, row->sub_len),
        .value = slice_make(row->value, row->value_len) };
    const char *sql = element_sql[row->table];
    sqlite3_stmt *statement;

    if (row->table == ROW_KEY)
        sql = "SELECT db, name, type, encoding, expire_at, version, size,"
              " value FROM keys WHERE id=?1";
    if (sql == NULL || database_prepare(db, sql, &statement) != STATUS_OK)
        return;
    sqlite3_bind_int64(statement, 1, (int64_t)row->id);
    if (row->table == ROW_KEY) {
        check_key(statement, &change, row);
    } else {
        bind_sub(statement, &change);
        check_element(statement, &change);
    }
    sqlite3_finalize(statement);
}
