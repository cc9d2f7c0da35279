/*
 * reader.c -- LOOP's view of the tables.
 *
 * Its own read-only connection.  Each call is a short read transaction of its
 * own: the statement is reset before the call returns, so that the WAL can
 * start again from its beginning as soon as it is checkpointed.  What a call
 * answers is therefore copied once, into the reader's buffer.
 *
 * While the reader is held (reader.h) the transaction stays open, and the
 * statements that walk keys stay on their row.
 */
#include <stdio.h>

#include "server/base/check.h"
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/reader.h"

#define CACHE_SIZE (16 * 1024 * 1024) /* bytes */
/* What the buffer for answers keeps between calls. */
#define ANSWER_KEEP_SIZE (64 * 1024)

enum reader_statement {
    BEGIN,
    END,
    FIND_KEY,
    GET_KEY,
    NEXT_KEY,
    LAST_ID,
    NEXT_EXPIRED_SAME,
    NEXT_EXPIRED,
    FIRST_EXPIRY,
    GET_META,
    EACH_META,
    EACH_JOURNAL,
    STATEMENT_COUNT
};

/* Columns 0-7 of every statement that answers a key; column 8: value. */
#define KEY_COLUMNS "id, db, type, encoding, expire_at, version, size, name"

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN",
    [END] = "COMMIT",
    [FIND_KEY] = "SELECT " KEY_COLUMNS ", value FROM keys"
                 " WHERE db=?1 AND name=?2",
    [GET_KEY] = "SELECT " KEY_COLUMNS ", value FROM keys WHERE id=?1",
    [NEXT_KEY] = "SELECT " KEY_COLUMNS " FROM keys WHERE id>?1 ORDER BY id",
    [LAST_ID] = "SELECT max(id) FROM keys",
    /* Two, because SQLite would look for (expire_at, id) > (?1, ?2) by */
    /* expire_at alone, and step over all that expire at the same time. */
    [NEXT_EXPIRED_SAME] = "SELECT " KEY_COLUMNS " FROM keys"
                          " WHERE expire_at = ?1 AND id > ?2"
                          " AND expire_at <= ?3 ORDER BY id",
    [NEXT_EXPIRED] = "SELECT " KEY_COLUMNS " FROM keys"
                     " WHERE expire_at > ?1 AND expire_at <= ?3"
                     " ORDER BY expire_at, id",
    [FIRST_EXPIRY] = ("SELECT min(expire_at) FROM keys"
                      " WHERE expire_at IS NOT NULL"),
    [GET_META] = "SELECT value FROM meta WHERE name=?1",
    [EACH_META] = "SELECT name, value FROM meta WHERE name>=?1 ORDER BY name",
    [EACH_JOURNAL] = "SELECT id >> 16, changes FROM journal ORDER BY id",
};

/* Elements in the order of sub, and one of them. */
static const struct {
    const char *each;
    const char *find;
} element_sql[ROW_TABLE_COUNT] = {
    [ROW_HASH] = { "SELECT field, value FROM hashes WHERE key=?1"
                   " ORDER BY field",
        "SELECT value FROM hashes WHERE key=?1 AND field=?2" },
    [ROW_LIST] = { "SELECT pos, value FROM lists WHERE key=?1 ORDER BY pos",
        "SELECT value FROM lists WHERE key=?1 AND pos=?2" },
    [ROW_BLOB] = { "SELECT chunk, data FROM blobs WHERE key=?1"
                   " ORDER BY chunk",
        "SELECT data FROM blobs WHERE key=?1 AND chunk=?2" },
    [ROW_SET] = { "SELECT member, x'' FROM sets WHERE key=?1"
                  " ORDER BY member",
        "SELECT x'' FROM sets WHERE key=?1 AND member=?2" },
    [ROW_ZSET] = { "SELECT member, score FROM zsets WHERE key=?1"
                   " ORDER BY member",
        "SELECT score FROM zsets WHERE key=?1 AND member=?2" },
};

struct reader {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    sqlite3_stmt *each[ROW_TABLE_COUNT];
    sqlite3_stmt *find[ROW_TABLE_COUNT];
    struct buf answer; /* what the last call lent */
    bool is_held;
    unsigned holds;          /* nested reader_hold()s */
    uint64_t key_cursor;     /* id NEXT_KEY stands on; 0: none */
    sqlite3_stmt *expired;   /* a NEXT_EXPIRED that stands on a row, or NULL */
    uint64_t expired_cursor; /* the id there */
    int64_t expired_cursor_ms;
    int64_t expired_until_ms;
};

static enum status
prepare_all(struct reader *reader)
{
    enum status status = STATUS_OK;
    int i;

    for (i = 0; i < STATEMENT_COUNT && status == STATUS_OK; i++)
        status = database_prepare(
            reader->db, statement_sql[i], &reader->statements[i]);
    for (i = 0; i < ROW_TABLE_COUNT && status == STATUS_OK; i++) {
        if (element_sql[i].each == NULL)
            continue;
        status =
            database_prepare(reader->db, element_sql[i].each, &reader->each[i]);
        if (status == STATUS_OK)
            status = database_prepare(
                reader->db, element_sql[i].find, &reader->find[i]);
    }
    return status;
}

enum status
reader_open(struct reader **reader, const char *path, const char *vfs,
    char *error, size_t error_size)
{
    struct reader *out = memory_zalloc(sizeof(*out));
    enum status status;

    buf_init(&out->answer);
    status =
        database_open(&out->db, path, vfs, true, CACHE_SIZE, error, error_size);
    if (status == STATUS_OK) {
        status = prepare_all(out);
        if (status != STATUS_OK)
            snprintf(error, error_size, "cannot read %s: %s", path,
                sqlite3_errmsg(out->db));
    }
    if (status != STATUS_OK) {
        reader_close(out);
        return status;
    }
    *reader = out;
    return STATUS_OK;
}

void
reader_close(struct reader *reader)
{
    int i;

    if (reader == NULL)
        return;
    for (i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(reader->statements[i]);
    for (i = 0; i < ROW_TABLE_COUNT; i++) {
        sqlite3_finalize(reader->each[i]);
        sqlite3_finalize(reader->find[i]);
    }
    if (reader->db != NULL)
        database_close(reader->db);
    buf_fini(&reader->answer);
    memory_free(reader);
}

enum status
reader_hold(struct reader *reader)
{
    enum status status = STATUS_OK;

    if (!reader->is_held)
        status = database_run(reader->statements[BEGIN]);
    if (status != STATUS_OK)
        return status;
    reader->is_held = true;
    reader->holds++;
    return STATUS_OK;
}

static void
rest_expired(struct reader *reader)
{
    if (reader->expired != NULL)
        sqlite3_reset(reader->expired);
    reader->expired = NULL;
}

void
reader_release(struct reader *reader)
{
    enum status status;

    if (!reader->is_held)
        return;
    sqlite3_reset(reader->statements[NEXT_KEY]);
    reader->key_cursor = 0;
    rest_expired(reader);
    if (--reader->holds > 0)
        return;
    reader->is_held = false;
    status = database_run(reader->statements[END]);
    (void)status; /* a read transaction has nothing to lose */
}

/* ---- answers ------------------------------------------------------------ */

/* Step to a row: STATUS_OK, STATUS_NOT_FOUND at the end, or what failed. */
static enum status
step(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW)
        return STATUS_OK;
    return rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
}

/* Copy the row at hand; value too if the statement has that column. */
static enum status
take_key(struct reader *reader, sqlite3_stmt *statement, struct key_row *row)
{
    struct slice name = database_column(statement, 7);
    struct slice value = { "", 0 };

    if (sqlite3_column_count(statement) > 8)
        value = database_column(statement, 8);
    buf_clear(&reader->answer, ANSWER_KEEP_SIZE);
    if (buf_try_reserve(&reader->answer, name.len + value.len) != STATUS_OK)
        return STATUS_NO_MEMORY;
    buf_append_slice(&reader->answer, name);
    buf_append_slice(&reader->answer, value);
    row->id = (uint64_t)sqlite3_column_int64(statement, 0);
    row->db = (uint32_t)sqlite3_column_int64(statement, 1);
    row->type = (uint8_t)sqlite3_column_int(statement, 2);
    row->encoding = (uint8_t)sqlite3_column_int(statement, 3);
    row->expire_at_ms = sqlite3_column_type(statement, 4) == SQLITE_NULL
                            ? -1
                            : sqlite3_column_int64(statement, 4);
    row->version = (uint64_t)sqlite3_column_int64(statement, 5);
    row->size = (uint64_t)sqlite3_column_int64(statement, 6);
    row->name = slice_make(reader->answer.data, name.len);
    row->value = slice_make(reader->answer.data + name.len, value.len);
    return STATUS_OK;
}

/* The only row of a bound statement, as a key. */
static enum status
answer_key(struct reader *reader, sqlite3_stmt *statement, struct key_row *row)
{
    enum status status = step(statement);

    if (status == STATUS_OK)
        status = take_key(reader, statement, row);
    sqlite3_reset(statement);
    return status;
}

/* The first column of the only row, as a number; fallback if NULL or none. */
static int64_t
answer_number(sqlite3_stmt *statement, int64_t fallback)
{
    int64_t number = fallback;

    if (step(statement) == STATUS_OK &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return number;
}

/* ---- keys --------------------------------------------------------------- */

enum status
reader_find_key(
    struct reader *reader, uint32_t db, struct slice name, struct key_row *row)
{
    sqlite3_stmt *statement = reader->statements[FIND_KEY];

    sqlite3_bind_int64(statement, 1, db);
    database_bind_blob(statement, 2, name);
    return answer_key(reader, statement, row);
}

enum status
reader_get_key(struct reader *reader, uint64_t id, struct key_row *row)
{
    sqlite3_stmt *statement = reader->statements[GET_KEY];

    sqlite3_bind_int64(statement, 1, (int64_t)id);
    return answer_key(reader, statement, row);
}

enum status
reader_next_key(struct reader *reader, uint64_t after, struct key_row *row)
{
    sqlite3_stmt *statement = reader->statements[NEXT_KEY];
    enum status status;

    if (reader->key_cursor == 0 || reader->key_cursor != after) {
        sqlite3_reset(statement);
        sqlite3_bind_int64(statement, 1, (int64_t)after);
    }
    status = step(statement);
    if (status == STATUS_OK)
        status = take_key(reader, statement, row);
    if (status == STATUS_OK && reader->is_held) {
        reader->key_cursor = row->id;
    } else {
        sqlite3_reset(statement);
        reader->key_cursor = 0;
    }
    return status;
}

uint64_t
reader_last_id(struct reader *reader)
{
    return (uint64_t)answer_number(reader->statements[LAST_ID], 0);
}

/* The first row of one of the NEXT_EXPIREDs, which then stands on it. */
static enum status
start_expired(struct reader *reader, enum reader_statement which,
    int64_t after_ms, uint64_t after_id, int64_t until_ms)
{
    sqlite3_stmt *statement = reader->statements[which];
    enum status status;

    sqlite3_bind_int64(statement, 1, after_ms);
    if (which == NEXT_EXPIRED_SAME)
        sqlite3_bind_int64(statement, 2, (int64_t)after_id);
    sqlite3_bind_int64(statement, 3, until_ms);
    status = step(statement);
    reader->expired = statement;
    if (status != STATUS_OK)
        rest_expired(reader);
    return status;
}

enum status
reader_next_expired(struct reader *reader, int64_t after_ms, uint64_t after_id,
    int64_t until_ms, struct key_row *row)
{
    enum status status = STATUS_NOT_FOUND;
    bool is_there = reader->expired != NULL &&
                    reader->expired_cursor == after_id &&
                    reader->expired_cursor_ms == after_ms &&
                    reader->expired_until_ms == until_ms;

    if (is_there)
        status = step(reader->expired);
    if (status == STATUS_NOT_FOUND) {
        bool is_at_end =
            is_there && reader->expired == reader->statements[NEXT_EXPIRED];
        rest_expired(reader);
        if (is_at_end)
            return STATUS_NOT_FOUND;
        if (!is_there)
            status = start_expired(
                reader, NEXT_EXPIRED_SAME, after_ms, after_id, until_ms);
    }
    if (status == STATUS_NOT_FOUND)
        status =
            start_expired(reader, NEXT_EXPIRED, after_ms, after_id, until_ms);
    if (status == STATUS_OK)
        status = take_key(reader, reader->expired, row);
    if (status == STATUS_OK) {
        reader->expired_cursor = row->id;
        reader->expired_cursor_ms = row->expire_at_ms;
        reader->expired_until_ms = until_ms;
    }
    if (status != STATUS_OK || !reader->is_held)
        rest_expired(reader);
    return status;
}

int64_t
reader_first_expiry(struct reader *reader)
{
    return answer_number(reader->statements[FIRST_EXPIRY], -1);
}

/* ---- elements ----------------------------------------------------------- */

/* Room for the number columns of an element, in the form of a row change. */
struct element_bytes {
    char sub[8];
    char value[8];
};

static struct slice
put_score(struct element_bytes *bytes, double score)
{
    uint64_t bits;

    memcpy(&bits, &score, sizeof(bits));
    bytes_put_be64(bytes->value, bits);
    return slice_make(bytes->value, sizeof(bytes->value));
}

static struct slice
take_sub(
    sqlite3_stmt *statement, enum row_table table, struct element_bytes *bytes)
{
    switch (table) {
    case ROW_LIST:
        rowchange_put_position(bytes->sub, sqlite3_column_int64(statement, 0));
        return slice_make(bytes->sub, ROWCHANGE_POSITION_SIZE);
    case ROW_BLOB:
        bytes_put_be32(
            bytes->sub, (uint32_t)sqlite3_column_int64(statement, 0));
        return slice_make(bytes->sub, 4);
    default:
        return database_column(statement, 0);
    }
}

static struct slice
take_value(sqlite3_stmt *statement, int column, enum row_table table,
    struct element_bytes *bytes)
{
    if (table == ROW_ZSET)
        return put_score(bytes, sqlite3_column_double(statement, column));
    return database_column(statement, column);
}

enum status
reader_each_element(struct reader *reader, enum row_table table, uint64_t id,
    reader_visit_fn visit, void *arg)
{
    sqlite3_stmt *statement = reader->each[table];
    struct element_bytes bytes;
    enum status status;

    CHECK(statement != NULL);
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    while ((status = step(statement)) == STATUS_OK) {
        struct slice sub = take_sub(statement, table, &bytes);
        struct slice value = take_value(statement, 1, table, &bytes);

        if (!visit(sub, value, arg))
            break;
    }
    sqlite3_reset(statement);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void
bind_sub(sqlite3_stmt *statement, enum row_table table, struct slice sub)
{
    if (table == ROW_LIST && sub.len == ROWCHANGE_POSITION_SIZE)
        sqlite3_bind_int64(statement, 2, rowchange_get_position(sub.data));
    else if (table == ROW_BLOB && sub.len == 4)
        sqlite3_bind_int64(statement, 2, bytes_get_be32(sub.data));
    else
        database_bind_blob(statement, 2, sub);
}

/* Copy s into the answer buffer. */
static enum status
answer_bytes(struct reader *reader, struct slice s, struct slice *answer)
{
    buf_clear(&reader->answer, ANSWER_KEEP_SIZE);
    if (buf_try_reserve(&reader->answer, s.len + 1) != STATUS_OK)
        return STATUS_NO_MEMORY;
    buf_append_slice(&reader->answer, s);
    *answer = buf_slice(&reader->answer);
    return STATUS_OK;
}

enum status
reader_find_element(struct reader *reader, enum row_table table, uint64_t id,
    struct slice sub, struct slice *value)
{
    sqlite3_stmt *statement = reader->find[table];
    struct element_bytes bytes;
    enum status status;

    CHECK(statement != NULL);
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    bind_sub(statement, table, sub);
    status = step(statement);
    if (status == STATUS_OK)
        status = answer_bytes(
            reader, take_value(statement, 0, table, &bytes), value);
    sqlite3_reset(statement);
    return status;
}

/* ---- meta and journal --------------------------------------------------- */

enum status
reader_get_meta(struct reader *reader, const char *name, struct slice *value)
{
    sqlite3_stmt *statement = reader->statements[GET_META];
    enum status status;

    database_bind_text(statement, 1, slice_from_text(name));
    status = step(statement);
    if (status == STATUS_OK)
        status = answer_bytes(reader, database_column(statement, 0), value);
    sqlite3_reset(statement);
    return status;
}

enum status
reader_each_meta(
    struct reader *reader, const char *prefix, reader_visit_fn visit, void *arg)
{
    sqlite3_stmt *statement = reader->statements[EACH_META];
    struct slice start = slice_from_text(prefix);
    enum status status;

    database_bind_text(statement, 1, start);
    while ((status = step(statement)) == STATUS_OK) {
        struct slice value = database_column(statement, 1);
        struct slice name = database_column(statement, 0);

        if (name.len < start.len ||
            memcmp(name.data, start.data, start.len) != 0)
            break;
        if (!visit(name, value, arg))
            break;
    }
    sqlite3_reset(statement);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
reader_each_journal(struct reader *reader, reader_journal_fn visit, void *arg)
{
    sqlite3_stmt *statement = reader->statements[EACH_JOURNAL];
    enum status status;

    while ((status = step(statement)) == STATUS_OK) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);

        if (!visit(seq, database_column(statement, 1), arg))
            break;
    }
    sqlite3_reset(statement);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

size_t
reader_memory(const struct reader *reader)
{
    int current = 0;
    int highest = 0;

    sqlite3_db_status(
        reader->db, SQLITE_DBSTATUS_CACHE_USED, &current, &highest, 0);
    return (size_t)current;
}
