/*
 * startup.h -- before the database is opened: what is in the bucket, what is on
 * the disk, and do they belong together?
 *
 *   local file   bucket        answer
 *   absent       empty         a new history begins (txid 1, an image)
 *   absent       has history   restore the newest state
 *   present      empty         a new history begins with the local state
 *   present      consistent    go on where the history ends
 *   present      anything else refuse, with the reason and the two ways out
 *   any          unclear       wait; never start on a guess (B4)
 *
 * A local file that an earlier start made and nobody was served from, because
 * the prefix was not won, counts as absent: it is removed (unowned.h).
 *
 * Consistent is proved, cheapest first, by
 *   1. "<database>-position": the database file alone is the state at a txid;
 *      left by a clean stop, and by a start that found no WAL
 *   2. the newest level-0 file (or outbox file) and the WAL: the same salts and
 *      enough frames; or a salt that follows and the file's pages in the
 *      database, since a WAL is only started over after all of it was taken
 *      (B2)
 *   3. restoring to a scratch file and comparing byte by byte, before the WAL
 *      is checkpointed and after
 */
#ifndef WALDEN_REPLICATION_STARTUP_H
#define WALDEN_REPLICATION_STARTUP_H

#include "replication/objectstore.h"
#include "replication/shipper.h"
#include "replication/unowned.h"

struct startup_options {
    struct objectstore *store;
    const char *bucket;    /* the store, by one line of text */
    struct outbox *outbox; /* of the database, open */
    const char *database_path;
    bool unsafe_no_fencing;
    volatile int *stop; /* set by a signal handler to give up waiting */
};

struct startup_result {
    struct shipper_start start;
    bool was_restored;
    bool can_fence;
    /*
     * This start has made the local database, and nobody may be served from it
     * until the prefix is owned and the mark removed.  NULL: it was there.
     * Owns: the caller closes or removes it.
     */
    struct unowned *mark;
};

/*
 * Fails: STATUS_CONFLICT, STATUS_UNSUPPORTED (the store cannot fence, and
 *        unsafe_no_fencing is false), STATUS_INVALID, STATUS_CORRUPT,
 *        STATUS_BUSY (another process starts with this database),
 *        STATUS_TIMEOUT (stopped); error says why and what to do.
 */
MUST_CHECK enum status startup_run(const struct startup_options *options,
    struct startup_result *result, struct buf *error);

#endif
