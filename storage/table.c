/*
 * table.c -- writing rows.
 *
 * A key's row is first tried as an UPDATE that leaves every indexed column
 * alone, and only if no row has that id, name and expiry inserted: an insert
 * deletes and writes three index entries, the UPDATE overwrites one cell, and
 * most changes of a key change its value only.
 *
 * A row that stands in the way of another's name is parked, not deleted: it
 * keeps its id, and gets a name that nobody has.  Whoever walks the table
 * between two slices of the fold (scan.c) finds the id and asks memory.
 *
 * Element tables have no index besides their primary key; there REPLACE is a
 * plain overwrite.
 */
#include "server/base/check.h"
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/table.h"

/* The element tables: how their rows are named in SQL. */
struct table_kind {
    const char *name;
    const char *put;
    const char *delete;
    const char *delete_some; /* ?2 of key ?1 */
};

static const struct table_kind table_kinds[ROW_TABLE_COUNT] = {
    [ROW_META] = { "meta",
        "INSERT OR REPLACE INTO meta(value, name) VALUES(?3, ?2)",
        "DELETE FROM meta WHERE name=?2", NULL },
    [ROW_KEY] = { "keys", NULL, NULL, NULL },
    [ROW_HASH] = { "hashes",
        "INSERT OR REPLACE INTO hashes(key, field, value) VALUES(?1, ?2, ?3)",
        "DELETE FROM hashes WHERE key=?1 AND field=?2",
        "DELETE FROM hashes WHERE key=?1 AND field IN"
        " (SELECT field FROM hashes WHERE key=?1 LIMIT ?2)" },
    [ROW_LIST] = { "lists",
        "INSERT OR REPLACE INTO lists(key, pos, value) VALUES(?1, ?2, ?3)",
        "DELETE FROM lists WHERE key=?1 AND pos=?2",
        "DELETE FROM lists WHERE key=?1 AND pos IN"
        " (SELECT pos FROM lists WHERE key=?1 LIMIT ?2)" },
    [ROW_BLOB] = { "blobs",
        "INSERT OR REPLACE INTO blobs(key, chunk, data) VALUES(?1, ?2, ?3)",
        "DELETE FROM blobs WHERE key=?1 AND chunk=?2",
        "DELETE FROM blobs WHERE key=?1 AND chunk IN"
        " (SELECT chunk FROM blobs WHERE key=?1 LIMIT ?2)" },
    [ROW_SET] = { "sets",
        "INSERT OR REPLACE INTO sets(key, member) VALUES(?1, ?2)",
        "DELETE FROM sets WHERE key=?1 AND member=?2",
        "DELETE FROM sets WHERE key=?1 AND member IN"
        " (SELECT member FROM sets WHERE key=?1 LIMIT ?2)" },
    [ROW_ZSET] = { "zsets",
        "INSERT OR REPLACE INTO zsets(key, member, score) VALUES(?1, ?2, ?3)",
        "DELETE FROM zsets WHERE key=?1 AND member=?2",
        "DELETE FROM zsets WHERE key=?1 AND member IN"
        " (SELECT member FROM zsets WHERE key=?1 LIMIT ?2)" },
};

/* Statements that are not one for each table. */
enum table_statement {
    UPDATE_KEY,
    INSERT_KEY,
    PARK_KEY,
    REPLACE_KEY,
    TOUCH_KEY,
    DELETE_KEY,
    PUT_GARBAGE,
    DELETE_GARBAGE,
    FIRST_GARBAGE,
    FIRST_KEY,
    STATEMENT_COUNT
};

#define KEY_VALUES                                                    \
    "(id, db, name, type, encoding, expire_at, version, size, value)" \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"

static const char *const statement_sql[STATEMENT_COUNT] = {
    [UPDATE_KEY] = "UPDATE keys SET type=?4, encoding=?5, version=?7, size=?8,"
                   " value=?9 WHERE id=?1 AND db=?2 AND name=?3"
                   " AND expire_at IS ?6",
    [INSERT_KEY] = "INSERT OR IGNORE INTO keys" KEY_VALUES,
    [PARK_KEY] = "UPDATE keys SET db=?4, name=CAST(id AS BLOB)"
                 " WHERE db=?2 AND name=?3 AND id<>?1",
    [REPLACE_KEY] = "INSERT OR REPLACE INTO keys" KEY_VALUES,
    [TOUCH_KEY] = "UPDATE keys SET version=?2, size=?3 WHERE id=?1",
    [DELETE_KEY] = "DELETE FROM keys WHERE id=?1",
    [PUT_GARBAGE] = "INSERT OR IGNORE INTO garbage(kind, id) VALUES(?1, ?2)",
    [DELETE_GARBAGE] = "DELETE FROM garbage WHERE kind=?1 AND id=?2",
    [FIRST_GARBAGE] = "SELECT kind, id FROM garbage LIMIT 1",
    [FIRST_KEY] = "SELECT id, type FROM keys WHERE db=?1 LIMIT 1",
};

struct table_writer {
    sqlite3 *db; /* lent */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    sqlite3_stmt *put[ROW_TABLE_COUNT];
    sqlite3_stmt *delete[ROW_TABLE_COUNT];
    sqlite3_stmt *delete_some[ROW_TABLE_COUNT];
    uint64_t rows_written;
};

static enum status
prepare_kind(struct table_writer *writer, int table)
{
    const struct table_kind *kind = &table_kinds[table];
    enum status status = STATUS_OK;

    if (kind->put != NULL)
        status = database_prepare(writer->db, kind->put, &writer->put[table]);
    if (status == STATUS_OK && kind->delete != NULL)
        status =
            database_prepare(writer->db, kind->delete, &writer->delete[table]);
    if (status == STATUS_OK && kind->delete_some != NULL)
        status = database_prepare(
            writer->db, kind->delete_some, &writer->delete_some[table]);
    return status;
}

enum status
table_open(struct table_writer **writer, sqlite3 *db)
{
    struct table_writer *out = memory_zalloc(sizeof(*out));
    enum status status = STATUS_OK;
    int i;

    out->db = db;
    for (i = 0; i < STATEMENT_COUNT && status == STATUS_OK; i++)
        status = database_prepare(db, statement_sql[i], &out->statements[i]);
    for (i = 0; i < ROW_TABLE_COUNT && status == STATUS_OK; i++)
        status = prepare_kind(out, i);
    if (status != STATUS_OK) {
        table_close(out);
        return status;
    }
    *writer = out;
    return STATUS_OK;
}

void
table_close(struct table_writer *writer)
{
    int i;

    if (writer == NULL)
        return;
    for (i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(writer->statements[i]);
    for (i = 0; i < ROW_TABLE_COUNT; i++) {
        sqlite3_finalize(writer->put[i]);
        sqlite3_finalize(writer->delete[i]);
        sqlite3_finalize(writer->delete_some[i]);
    }
    memory_free(writer);
}

sqlite3 *
table_database(const struct table_writer *writer)
{
    return writer->db;
}

enum row_table
table_of_type(enum key_type type)
{
    switch (type) {
    case KEY_STRING:
        return ROW_BLOB;
    case KEY_LIST:
        return ROW_LIST;
    case KEY_SET:
        return ROW_SET;
    case KEY_ZSET:
        return ROW_ZSET;
    case KEY_HASH:
        return ROW_HASH;
    default:
        return ROW_META;
    }
}

const char *
table_name(enum row_table table)
{
    return table_kinds[table].name;
}

static void
bind_key(sqlite3_stmt *statement, const struct key_row *row)
{
    sqlite3_bind_int64(statement, 1, (int64_t)row->id);
    sqlite3_bind_int64(statement, 2, row->db);
    database_bind_blob(statement, 3, row->name);
    sqlite3_bind_int(statement, 4, row->type);
    sqlite3_bind_int(statement, 5, row->encoding);
    if (row->expire_at_ms < 0)
        sqlite3_bind_null(statement, 6);
    else
        sqlite3_bind_int64(statement, 6, row->expire_at_ms);
    sqlite3_bind_int64(statement, 7, (int64_t)row->version);
    sqlite3_bind_int64(statement, 8, (int64_t)row->size);
    if (row->type == KEY_STRING && row->encoding != KEY_CHUNKED)
        database_bind_blob(statement, 9, row->value);
    else
        sqlite3_bind_null(statement, 9);
}

static enum status
run_with_key(struct table_writer *writer, enum table_statement which,
    const struct key_row *row, bool *has_changed)
{
    sqlite3_stmt *statement = writer->statements[which];
    enum status status;

    bind_key(statement, row);
    status = database_run(statement);
    *has_changed = sqlite3_changes(writer->db) > 0;
    return status;
}

/* Whoever else has row's name in the table loses it. */
static enum status
park_namesake(struct table_writer *writer, const struct key_row *row)
{
    sqlite3_stmt *statement = writer->statements[PARK_KEY];

    sqlite3_bind_int64(statement, 1, (int64_t)row->id);
    sqlite3_bind_int64(statement, 2, row->db);
    database_bind_blob(statement, 3, row->name);
    sqlite3_bind_int64(statement, 4, TABLE_PARKED_DB);
    return database_run(statement);
}

enum status
table_put_key(struct table_writer *writer, const struct key_row *row)
{
    bool has_changed = false;
    enum status status;

    writer->rows_written++;
    status = run_with_key(writer, UPDATE_KEY, row, &has_changed);
    if (status != STATUS_OK || has_changed)
        return status;
    status = run_with_key(writer, INSERT_KEY, row, &has_changed);
    if (status != STATUS_OK || has_changed)
        return status;
    /* Its id is there under another name or expiry, or its name is taken. */
    status = park_namesake(writer, row);
    if (status != STATUS_OK)
        return status;
    return run_with_key(writer, REPLACE_KEY, row, &has_changed);
}

enum status
table_touch_key(
    struct table_writer *writer, uint64_t id, uint64_t version, uint64_t size)
{
    sqlite3_stmt *statement = writer->statements[TOUCH_KEY];

    writer->rows_written++;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int64(statement, 2, (int64_t)version);
    sqlite3_bind_int64(statement, 3, (int64_t)size);
    return database_run(statement);
}

enum status
table_delete_key(struct table_writer *writer, uint64_t id)
{
    sqlite3_stmt *statement = writer->statements[DELETE_KEY];

    writer->rows_written++;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    return database_run(statement);
}

/* ?1 and ?2: which row of its table. */
static void
bind_identity(sqlite3_stmt *statement, const struct row_change *change)
{
    if (change->table != ROW_META)
        sqlite3_bind_int64(statement, 1, (int64_t)change->id);
    switch (change->table) {
    case ROW_META:
        database_bind_text(statement, 2, change->sub);
        break;
    case ROW_LIST:
        sqlite3_bind_int64(
            statement, 2, rowchange_get_position(change->sub.data));
        break;
    case ROW_BLOB:
        sqlite3_bind_int64(statement, 2, bytes_get_be32(change->sub.data));
        break;
    default:
        database_bind_blob(statement, 2, change->sub);
        break;
    }
}

static double
score_from_bytes(const char *data)
{
    uint64_t bits = bytes_get_be64(data);
    double score;

    memcpy(&score, &bits, sizeof(score));
    return score;
}

enum status
table_put(struct table_writer *writer, const struct row_change *change)
{
    sqlite3_stmt *statement = writer->put[change->table];

    CHECK(statement != NULL);
    writer->rows_written++;
    bind_identity(statement, change);
    if (change->table == ROW_META)
        database_bind_text(statement, 3, change->value);
    else if (change->table == ROW_ZSET)
        sqlite3_bind_double(statement, 3, score_from_bytes(change->value.data));
    else if (change->table != ROW_SET)
        database_bind_blob(statement, 3, change->value);
    return database_run(statement);
}

enum status
table_delete(struct table_writer *writer, const struct row_change *change)
{
    sqlite3_stmt *statement = writer->delete[change->table];

    CHECK(statement != NULL);
    writer->rows_written++;
    bind_identity(statement, change);
    return database_run(statement);
}

enum status
table_delete_elements(struct table_writer *writer, enum row_table table,
    uint64_t id, int limit, int *deleted)
{
    sqlite3_stmt *statement = writer->delete_some[table];
    enum status status;

    CHECK(statement != NULL);
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int(statement, 2, limit);
    status = database_run(statement);
    if (status == STATUS_OK)
        *deleted = sqlite3_changes(writer->db);
    return status;
}

static enum status
run_with_two(sqlite3_stmt *statement, int64_t first, uint64_t second)
{
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, (int64_t)second);
    return database_run(statement);
}

enum status
table_put_garbage(struct table_writer *writer, enum row_table kind, uint64_t id)
{
    return run_with_two(writer->statements[PUT_GARBAGE], (int64_t)kind, id);
}

enum status
table_delete_garbage(
    struct table_writer *writer, enum row_table kind, uint64_t id)
{
    return run_with_two(writer->statements[DELETE_GARBAGE], (int64_t)kind, id);
}

/* The first two columns of the first row. */
static enum status
get_pair(sqlite3_stmt *statement, int64_t *first, int64_t *second)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW) {
        *first = sqlite3_column_int64(statement, 0);
        *second = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
}

enum status
table_first_garbage(
    struct table_writer *writer, enum row_table *kind, uint64_t *id)
{
    int64_t first;
    int64_t second;
    enum status status =
        get_pair(writer->statements[FIRST_GARBAGE], &first, &second);

    if (status != STATUS_OK)
        return status;
    if (first < 0 || first >= ROW_TABLE_COUNT)
        return STATUS_CORRUPT;
    *kind = (enum row_table)first;
    *id = (uint64_t)second;
    return STATUS_OK;
}

enum status
table_first_key(
    struct table_writer *writer, uint64_t db, uint64_t *id, enum key_type *type)
{
    sqlite3_stmt *statement = writer->statements[FIRST_KEY];
    int64_t first;
    int64_t second;
    enum status status;

    sqlite3_bind_int64(statement, 1, (int64_t)db);
    status = get_pair(statement, &first, &second);
    if (status != STATUS_OK)
        return status;
    *id = (uint64_t)first;
    *type = (enum key_type)second;
    return STATUS_OK;
}

uint64_t
table_rows_written(const struct table_writer *writer)
{
    return writer->rows_written;
}
