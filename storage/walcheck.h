/*
 * walcheck.h -- after a sync that failed: is what SQLite believes to be in the
 * WAL, and in the database file, really there?
 *
 * Private to storage/.
 */
#ifndef WALDEN_STORAGE_WALCHECK_H
#define WALDEN_STORAGE_WALCHECK_H

#include "server/base/status.h"

#include <sqlite3.h>
#include <stdint.h>

/*
 * Read the first frames frames of db's WAL and compute their checksums.
 * Fails: STATUS_CORRUPT if one is not what was written; STATUS_IO.
 */
MUST_CHECK enum status walcheck_run(sqlite3 *db, uint64_t frames);

/*
 * Write into the database file once more what checkpoints have copied of db's
 * WAL so far, and sync it.  SQLite would only copy the rest.
 * Fails: as walcheck_run(); STATUS_FULL; STATUS_BUSY: somebody checkpoints.
 */
MUST_CHECK enum status walcheck_copy_again(sqlite3 *db);

/*
 * Write all of the WAL once more, and sync it: for one that cannot be
 * checkpointed now, and that a process left of which a sync may have failed.
 * Fails: as walcheck_copy_again(); STATUS_BUSY: somebody writes.
 */
MUST_CHECK enum status walcheck_write_again(sqlite3 *db);

#endif
