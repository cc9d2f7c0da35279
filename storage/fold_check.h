/*
 * fold_check.h -- D3 in debug builds: what was folded is what the tables say.
 *
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_FOLD_CHECK_H
#define WALDEN_STORAGE_FOLD_CHECK_H

#include "storage/generation.h"

#include <sqlite3.h>

/*
 * row was written by a transaction that has just been committed: look for what
 * it says in its table, and abort if that says something else.  Not for
 * elements that were passed over (of deleted keys, or written directly since).
 */
void fold_check_row(sqlite3 *db, const struct generation_row *row);

#endif
