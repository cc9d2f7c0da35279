/*
 * walcheck.h -- is what SQLite believes to be in the WAL really there?
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

#endif
