/*
 * transaction.c -- BEGIN, COMMIT, ROLLBACK and PRAGMA synchronous.
 *
 * In WAL mode synchronous=FULL syncs the WAL at every commit; NORMAL syncs it
 * only before a checkpoint copies pages out of it, and when the WAL starts
 * again from its beginning.  Both keep the file sound; OFF would not, and is
 * never used.  SQLite runs this pragma while it compiles it, so switching
 * costs a compilation (about 3 us) and is done only when the kind of
 * transaction changes.
 */
#include "server/base/memory.h"
#include "storage/database.h"

#include "storage/transaction.h"

enum transaction_level { LEVEL_UNKNOWN, LEVEL_NORMAL, LEVEL_FULL };

struct transaction {
    sqlite3 *db; /* lent */
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    enum transaction_level level;
};

enum status
transaction_open(struct transaction **transaction, sqlite3 *db)
{
    struct transaction *out = memory_zalloc(sizeof(*out));
    enum status status;

    out->db = db;
    status = database_prepare(db, "BEGIN IMMEDIATE", &out->begin);
    if (status == STATUS_OK)
        status = database_prepare(db, "COMMIT", &out->commit);
    if (status == STATUS_OK)
        status = database_prepare(db, "ROLLBACK", &out->rollback);
    if (status != STATUS_OK) {
        transaction_close(out);
        return status;
    }
    *transaction = out;
    return STATUS_OK;
}

void
transaction_close(struct transaction *transaction)
{
    if (transaction == NULL)
        return;
    sqlite3_finalize(transaction->begin);
    sqlite3_finalize(transaction->commit);
    sqlite3_finalize(transaction->rollback);
    memory_free(transaction);
}

static enum status
set_level(struct transaction *transaction, enum transaction_level level)
{
    enum status status;

    if (transaction->level == level)
        return STATUS_OK;
    status = database_exec(transaction->db, level == LEVEL_FULL
                                                ? "PRAGMA synchronous=FULL"
                                                : "PRAGMA synchronous=NORMAL");
    transaction->level = status == STATUS_OK ? level : LEVEL_UNKNOWN;
    return status;
}

enum status
transaction_begin(struct transaction *transaction, bool is_durable)
{
    enum status status =
        set_level(transaction, is_durable ? LEVEL_FULL : LEVEL_NORMAL);

    if (status == STATUS_OK)
        status = database_run(transaction->begin);
    return status;
}

enum status
transaction_commit(struct transaction *transaction)
{
    enum status status = database_run(transaction->commit);

    if (status != STATUS_OK)
        transaction_rollback(transaction);
    return status;
}

void
transaction_rollback(struct transaction *transaction)
{
    enum status status;

    /* Some errors have rolled back already. */
    if (sqlite3_get_autocommit(transaction->db))
        return;
    status = database_run(transaction->rollback);
    (void)status; /* SQLite leaves the transaction in any case */
}
