/*
 * unowned.h -- the mark of a local database that nobody was ever served from:
 * "<database>-unowned".
 *
 * A start that finds no local database restores one, or begins a new one, and
 * then has to win the prefix (B3).  If it is killed before, what it leaves
 * looks like any other database, and may be behind the bucket, or beside it, by
 * the takeover that was never uploaded.  The mark tells it apart: the next
 * start may throw it away and begin afresh.
 *
 *   U1  The mark is durable before the database has its name.
 *   U2  It is durably gone before anybody is served from that database: after
 *       the takeover is won, or by a start without a bucket.
 *   U3  Thrown away is only the very file that the mark was made for, and only
 *       for the bucket that it came from, as long as that bucket still has what
 *       was restored.  A copy, a backup put in its place or copied over it, the
 *       file of another bucket stay; and so does anything while the bucket is
 *       empty, where a history begins with it.
 *
 * The mark is text:
 *
 *   walden-unowned 1
 *   txid <restored, decimal; 0: a new history>
 *   file <inode> <time of birth, ns; 0: the file system does not know>
 *        <of modification, ns> <size>
 *   bucket <as configured>
 *
 * A restored file is known by all four numbers, so until the mark is gone the
 * database is written to in the WAL only.
 *
 * It is locked (flock) from when it is opened until it is removed or closed, so
 * that of two processes which start in one folder the second one refuses.
 * Thread: the main one.
 */
#ifndef WALDEN_REPLICATION_UNOWNED_H
#define WALDEN_REPLICATION_UNOWNED_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/buf.h"

struct unowned;

/*
 * Fails: STATUS_NOT_FOUND (there is none, and shall_make is false), STATUS_BUSY
 *        (another process is starting there), STATUS_IO; but for the first,
 *        error says why.
 */
MUST_CHECK enum status unowned_open(struct unowned **mark,
    const char *database_path, bool shall_make, struct buf *error);
/*
 * May what lies at the path be thrown away by a start from bucket, whose newest
 * txid is newest (U3)?
 */
bool unowned_is_about(
    const struct unowned *mark, const char *bucket, uint64_t newest);
/* As the mark has it; 0: a new history. */
uint64_t unowned_txid(const struct unowned *mark);
/*
 * Mark the file at path, which has, or is about to get, the database's name.
 * Durable when this returns STATUS_OK (U1).
 */
MUST_CHECK enum status unowned_write(
    struct unowned *mark, const char *bucket, uint64_t txid, const char *path);
/*
 * Remove it, durably (U2).
 * Owns: takes mark, also when it fails.
 */
MUST_CHECK enum status unowned_remove(struct unowned *mark);
/* Leave it as it is; one that was never written goes.  Accepts NULL. */
void unowned_close(struct unowned *mark);

/*
 * Whoever goes on with the database otherwise: remove the mark if there is one.
 * Fails: STATUS_BUSY, STATUS_IO; error says why.
 */
MUST_CHECK enum status unowned_forget(
    const char *database_path, struct buf *error);

#endif
