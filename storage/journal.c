/*
 * journal.c -- the journal table.
 *
 * Rows are inserted at one end and deleted at the other; SQLite reuses the
 * pages.  The read cursor stays on its row between calls of journal_next() so
 * that a walk costs one step a row; whoever walks must journal_rest() before
 * it lets anybody commit or checkpoint.
 */
#include "server/base/check.h"
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/journal.h"

#define PART_MAX ((1u << JOURNAL_PART_BITS) - 1)

enum journal_statement {
    INSERT,
    NEXT,
    NEXT_DIRECT,
    NEXT_ID,
    DELETE,
    STATEMENT_COUNT
};

static const char *const statement_sql[STATEMENT_COUNT] = {
    [INSERT] = "INSERT INTO journal(id, has_direct, changes)"
               " VALUES(?1, ?2, ?3)",
    [NEXT] = "SELECT id, changes FROM journal WHERE id > ?1 ORDER BY id",
    [NEXT_DIRECT] = "SELECT id, changes FROM journal"
                    " WHERE id > ?1 AND has_direct ORDER BY id",
    [NEXT_ID] = "SELECT id, length(changes) FROM journal"
                " WHERE id > ?1 ORDER BY id LIMIT 1",
    [DELETE] = "DELETE FROM journal WHERE id = ?1",
};

struct journal {
    sqlite3_stmt *statements[STATEMENT_COUNT];
    uint64_t row_size;
    uint64_t cursor; /* id of the row NEXT stands on; 0: on none */
    uint64_t rows;
    uint64_t bytes;
    uint64_t last_seq;
    uint64_t parts; /* rows of the batch being inserted */
};

/* What the table holds. */
static enum status
count_rows(struct journal *journal, sqlite3 *db)
{
    sqlite3_stmt *statement;
    enum status status;
    int rc;

    status = database_prepare(db,
        "SELECT count(*), coalesce(sum(length(changes)), 0),"
        " coalesce(max(id), 0) FROM journal",
        &statement);
    if (status != STATUS_OK)
        return status;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        journal->rows = (uint64_t)sqlite3_column_int64(statement, 0);
        journal->bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        journal->last_seq =
            journal_seq((uint64_t)sqlite3_column_int64(statement, 2));
    }
    sqlite3_finalize(statement);
    return database_status(rc);
}

enum status
journal_open(struct journal **journal, sqlite3 *db, uint64_t row_size)
{
    struct journal *out = memory_zalloc(sizeof(*out));
    enum status status = count_rows(out, db);
    int i;

    out->row_size = row_size;
    for (i = 0; i < STATEMENT_COUNT && status == STATUS_OK; i++)
        status = database_prepare(db, statement_sql[i], &out->statements[i]);
    if (status != STATUS_OK) {
        journal_close(out);
        return status;
    }
    *journal = out;
    return STATUS_OK;
}

void
journal_close(struct journal *journal)
{
    int i;

    if (journal == NULL)
        return;
    for (i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(journal->statements[i]);
    memory_free(journal);
}

static enum status
insert_part(
    struct journal *journal, uint64_t id, bool has_direct, struct slice changes)
{
    sqlite3_stmt *statement = journal->statements[INSERT];

    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int(statement, 2, has_direct);
    database_bind_blob(statement, 3, changes);
    return database_run(statement);
}

/*
 * The end of the part that starts at start: as many whole changes as fit, at
 * least one.
 */
static size_t
find_part_end(struct slice changes, size_t start, uint64_t row_size)
{
    struct bytes bytes =
        bytes_from(slice_make(changes.data + start, changes.len - start));
    struct row_change change;
    size_t end = start;

    while (rowchange_next(&bytes, &change) == STATUS_OK) {
        size_t next = (size_t)(bytes.at - changes.data);

        if (next - start > row_size && end > start)
            return end;
        end = next;
    }
    CHECK(end == changes.len); /* we encoded it ourselves */
    return end;
}

bool
journal_splits(const struct journal *journal, const struct batch *batch)
{
    return batch->changes.len > journal->row_size;
}

enum status
journal_insert(struct journal *journal, const struct batch *batch)
{
    struct slice changes = buf_slice(&batch->changes);
    uint64_t id = batch->seq << JOURNAL_PART_BITS;
    bool has_direct = batch->direct.len > 0;
    enum status status;
    size_t start = 0;
    unsigned part = 0;

    journal->parts = 1;
    if (!journal_splits(journal, batch))
        return insert_part(journal, id, has_direct, changes);
    while (start < changes.len) {
        size_t end = find_part_end(changes, start, journal->row_size);

        if (part > PART_MAX)
            return STATUS_LIMIT;
        status = insert_part(journal, id | part++, has_direct,
            slice_make(changes.data + start, end - start));
        if (status != STATUS_OK)
            return status;
        start = end;
    }
    journal->parts = part;
    return STATUS_OK;
}

void
journal_inserted(struct journal *journal, const struct batch *batch)
{
    journal->rows += journal->parts;
    journal->bytes += batch->changes.len;
}

static enum status
next_row(sqlite3_stmt *statement, uint64_t *id, struct slice *changes)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW) {
        *id = (uint64_t)sqlite3_column_int64(statement, 0);
        *changes = database_column(statement, 1);
        return STATUS_OK;
    }
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
}

enum status
journal_next(struct journal *journal, uint64_t after, uint64_t *id,
    struct slice *changes)
{
    sqlite3_stmt *statement = journal->statements[NEXT];
    enum status status;

    if (journal->cursor == 0 || journal->cursor != after) {
        sqlite3_reset(statement);
        sqlite3_bind_int64(statement, 1, (int64_t)after);
    }
    status = next_row(statement, id, changes);
    journal->cursor = status == STATUS_OK ? *id : 0;
    return status;
}

enum status
journal_next_direct(struct journal *journal, uint64_t after, uint64_t *id,
    struct slice *changes)
{
    sqlite3_stmt *statement = journal->statements[NEXT_DIRECT];

    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, (int64_t)after);
    return next_row(statement, id, changes);
}

void
journal_rest(struct journal *journal)
{
    journal->cursor = 0;
    sqlite3_reset(journal->statements[NEXT]);
    sqlite3_reset(journal->statements[NEXT_DIRECT]);
}

enum status
journal_next_id(
    struct journal *journal, uint64_t after, uint64_t *id, uint64_t *size)
{
    sqlite3_stmt *statement = journal->statements[NEXT_ID];
    int rc;

    sqlite3_bind_int64(statement, 1, (int64_t)after);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *id = (uint64_t)sqlite3_column_int64(statement, 0);
        *size = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
}

enum status
journal_delete(struct journal *journal, uint64_t id)
{
    sqlite3_bind_int64(journal->statements[DELETE], 1, (int64_t)id);
    return database_run(journal->statements[DELETE]);
}

void
journal_deleted(struct journal *journal, uint64_t rows, uint64_t bytes)
{
    journal->rows -= rows < journal->rows ? rows : journal->rows;
    journal->bytes -= bytes < journal->bytes ? bytes : journal->bytes;
}

uint64_t
journal_rows(const struct journal *journal)
{
    return journal->rows;
}

uint64_t
journal_bytes(const struct journal *journal)
{
    return journal->bytes;
}

uint64_t
journal_last_seq(const struct journal *journal)
{
    return journal->last_seq;
}
