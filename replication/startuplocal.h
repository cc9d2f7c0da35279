/*
 * startuplocal.h -- what the local database and its WAL say of a file that was
 * shipped, or waits in the outbox.  Private to startup.c.
 * Thread: the main one, before anything opens the database.
 */
#ifndef WALDEN_REPLICATION_STARTUPLOCAL_H
#define WALDEN_REPLICATION_STARTUPLOCAL_H

#include "replication/ltx.h"
#include "replication/outbox.h"
#include "storage/tap.h"

/* A WAL with more than nothing in it. */
bool startuplocal_has_wal(const char *database_path);
/*
 * Does the WAL continue at the place where file ends?  Then *taken is that
 * place.  is_same_wal: the place is in this WAL, not at the end of an earlier
 * one.  That need not be the one before: SQLite gives the next salt to a WAL in
 * which nothing was committed too (emptied twice, a transaction that failed).
 */
bool startuplocal_does_wal_continue(const char *database_path,
    const struct ltx_header *file, struct tap_position *taken,
    bool *is_same_wal);

/*
 * The WAL was emptied or started over after all of it was taken: does the
 * database file hold the pages of the newest file taken, fed in pieces in
 * order?  But for those that the present WAL has: they may be newer.
 */
struct startuplocal_hold;
struct startuplocal_hold *startuplocal_hold_new(const char *database_path);
void startuplocal_hold_feed(struct startuplocal_hold *hold, struct slice piece);
/* Frees hold. */
bool startuplocal_hold_end(struct startuplocal_hold *hold);
/* All of it, for the newest file of the outbox. */
bool startuplocal_does_file_hold(
    const char *database_path, struct outbox *outbox);

/*
 * Salts and offsets could agree by a copied folder: the frames up to end are
 * encoded again and compared with the file, fed in pieces in order.  An image
 * of the whole database was not made of the frames alone: it is accepted if it
 * is whole.
 */
struct startuplocal_match;
struct startuplocal_match *startuplocal_match_new(const char *database_path,
    const struct ltx_header *file, const struct tap_position *end);
void startuplocal_match_feed(
    struct startuplocal_match *match, struct slice piece);
/* Frees match; true: the file is one or the other. */
bool startuplocal_match_end(struct startuplocal_match *match);

#endif
