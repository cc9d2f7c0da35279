/*
 * garbage.h -- deletes rows that are nobody's, in slices.
 *
 * A garbage row names the elements of a deleted key (kind: their table, id:
 * the key) or everything of a dropped physical database (kind: ROW_DB).  Ids
 * and physical numbers are never reused, so the rows it names never become
 * somebody's again, and a crash at any point only leaves some for later.
 *
 * Must not run before recovery is complete: see fold.c.
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_GARBAGE_H
#define WALDEN_STORAGE_GARBAGE_H

#include "storage/table.h"
#include "storage/transaction.h"

/*
 * Delete for about budget_us, in a transaction that is not synced.  Adds what
 * was deleted to *rows; sets *is_done if nothing is left.
 * Fails: with what the disk says; nothing of the slice happened.
 */
MUST_CHECK enum status garbage_step(struct transaction *transaction,
    struct table_writer *tables, int64_t budget_us, uint64_t *rows,
    bool *is_done);

#endif
