/*
 * transaction.h -- transactions of the writing connection, with or without an
 * fsync at their end.
 *
 * A durable transaction is synced when it commits, and with it everything
 * committed before: the WAL is one file.  Fold, garbage and bookkeeping need
 * no sync of their own, because until a later sync the journal still says
 * everything they did.
 *
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_TRANSACTION_H
#define WALDEN_STORAGE_TRANSACTION_H

#include "server/base/status.h"

#include <sqlite3.h>
#include <stdbool.h>

struct transaction;

MUST_CHECK enum status transaction_open(
    struct transaction **transaction, sqlite3 *db);
void transaction_close(struct transaction *transaction);

MUST_CHECK enum status transaction_begin(
    struct transaction *transaction, bool is_durable);
/* On failure the transaction is rolled back. */
MUST_CHECK enum status transaction_commit(struct transaction *transaction);
/* Undo whatever is open; accepts that nothing is. */
void transaction_rollback(struct transaction *transaction);

#endif
