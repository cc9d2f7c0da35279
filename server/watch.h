/*
 * watch.h -- WATCH: which sessions' EXEC a change of a key makes fail.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_WATCH_H
#define WALDEN_SERVER_WATCH_H

#include "server/session.h"

struct watch_table *watch_table_new(void);
void watch_table_free(struct watch_table *table);
bool watch_table_is_empty(const struct watch_table *table);
size_t watch_key_count(const struct watch_table *table);

/* session watches name in db.  exists: is there a live key now? */
void watch_add(struct session *session, int db, struct slice name, bool exists);
/* UNWATCH; SESSION_WATCH_BROKEN is cleared. */
void watch_remove_all(struct session *session);

/* name in db changed (name.len SIZE_MAX: all of db may have). */
void watch_signal(struct server *server, int db, struct slice name);
/* After a command: settle what a flush or a swap changed. */
void watch_settle(struct server *server);
/* All of them are broken: memory was dropped (D2). */
void watch_break_all(struct server *server);
/*
 * Before EXEC: expire what is due, which breaks the WATCHes of it.
 * Fails: as keyspace_prepare().
 */
MUST_CHECK enum status watch_refresh(struct session *session);

#endif
