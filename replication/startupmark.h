/*
 * startupmark.h -- the mark of a database that nobody was served from
 * (unowned.h), as a start makes and finds it.  Private to startup.c.
 * Fails: each says why in the start's error.
 */
#ifndef WALDEN_REPLICATION_STARTUPMARK_H
#define WALDEN_REPLICATION_STARTUPMARK_H

#include "replication/startupstate.h"

/*
 * Was there a start that made the local database and did not come to own the
 * prefix?  Then it may be behind the bucket, or beside it, but nothing in it
 * was ever acknowledged: it is removed, with what waits in the outbox.  If it
 * came from elsewhere it is a database like any other, and the mark goes once
 * that one is accepted.
 */
MUST_CHECK enum status startupmark_end_earlier(struct startup *startup);
/* A database is about to be made: open the mark, unless an earlier one is. */
MUST_CHECK enum status startupmark_begin(struct startup *startup);
/* Of restore: the file at path is whole, and about to get its name. */
MUST_CHECK enum status startupmark_write_restored(const char *path, void *arg);
/* Neither here nor there is anything: make the file, so as to mark it. */
MUST_CHECK enum status startupmark_begin_database(struct startup *startup);
/*
 * The start is decided.  A mark that is not of this start says what is no
 * longer so: the database is one that will be served.
 */
MUST_CHECK enum status startupmark_settle(struct startup *startup);

#endif
