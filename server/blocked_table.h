/*
 * blocked_table.h -- the server's side of blocked.h: who waits, and when the
 * wait ends.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_BLOCKED_TABLE_H
#define WALDEN_SERVER_BLOCKED_TABLE_H

#include "server/blocked.h"

struct blocked_table *blocked_table_new(void);
void blocked_table_free(struct blocked_table *table);
/* Does anybody wait for a key? */
bool blocked_has_keys(const struct blocked_table *table);

/* The request of call waits until CLIENT PAUSE is over, then runs anew. */
void blocked_on_pause(struct call *call);
/* The request of call waits for blocked_finish(). */
void blocked_on_task(struct call *call);
/* The task is done: error NULL: +OK. */
void blocked_finish(struct session *session, const char *error);

/* name in db changed and is of this type now (name.len SIZE_MAX: all of db). */
void blocked_signal(
    struct server *server, int db, struct slice name, enum key_type type);
/* Serve the clients of all keys signalled; after each command. */
void blocked_serve(struct server *server);
/* durable_seq grew: WAIT. */
void blocked_serve_durable(struct server *server);
/* Is somebody waiting for the open batch (WAIT)? */
bool blocked_awaits_durable(const struct server *server);
/* End what timed out, and the wait of CLIENT PAUSE. */
void blocked_serve_time(struct server *server, int64_t now_us);
/* The next deadline, monotonic; INT64_MAX: none. */
int64_t blocked_next_deadline_us(const struct server *server);

/* session ends. */
void blocked_forget(struct session *session);
/* The command it waits in, or NULL. */
const struct command *blocked_command(const struct session *session);

#endif
