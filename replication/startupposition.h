/*
 * startupposition.h -- "<database>-position": the database file alone, without
 * any WAL, is the state at a txid.
 *
 * A clean stop writes it; so does a start that finds an empty WAL, since
 * nothing would connect the new one's salts with the history until the first of
 * its frames was shipped.  It holds as long as the file was not touched: a
 * checkpoint comes after its frames were taken (B2), so the newest txid is
 * another one then, even if a power cut lost the file's new times.
 *
 * Thread: the main one, while nothing has the database open.
 */
#ifndef WALDEN_REPLICATION_STARTUPPOSITION_H
#define WALDEN_REPLICATION_STARTUPPOSITION_H

#include "replication/shipper.h"

/* After a clean stop: the database file alone is the state at txid. */
MUST_CHECK enum status startupposition_write(
    const char *database_path, uint64_t txid);
/* The txid that was noted, whether or not it still holds; 0: none. */
uint64_t startupposition_find(const char *database_path);
/* Does the database file, without its WAL, hold txid? */
bool startupposition_holds(const char *database_path, uint64_t txid);
/* The history continues at start: have the position say so, or nothing. */
void startupposition_set(
    const char *database_path, const struct shipper_start *start);

#endif
