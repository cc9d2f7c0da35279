/*
 * blocked.h -- commands that wait: BLPOP and its kin, WAIT, CLIENT PAUSE.
 *
 * A handler that finds nothing calls blocked_on_keys() and replies nothing.
 * The request's arguments are kept; when one of the keys changes and holds the
 * type waited for, the handler runs again (call->is_retry) as if the client
 * had just sent it.  It may reply, or block again and keep its place.
 *
 *   Fairness: clients blocked on a key are served in the order in which they
 *   blocked; keys that became ready in one command (or EXEC) are served in the
 *   order in which they did, after that command is complete.
 *
 * Time is up: the row's timed_out() replies.
 */
#ifndef WALDEN_SERVER_BLOCKED_H
#define WALDEN_SERVER_BLOCKED_H

#include "server/command.h"

/* keys: indexes into call->argv.  deadline_us: monotonic, INT64_MAX: never. */
void blocked_on_keys(struct call *call, const size_t *keys, size_t count,
    enum key_type type, int64_t deadline_us);
/* WAIT/WAITAOF: run again when a new seq is durable, or at the deadline. */
void blocked_on_durable(struct call *call, int64_t deadline_us);
/* End the wait: with timed_out()'s reply, or (error not NULL) that error. */
/* CLIENT UNBLOCK, shutdown. false: was not blocked. */
bool blocked_cancel(struct session *session, const char *error);
/* For INFO: blocked sessions, those held by CLIENT PAUSE too; those of them */
/* with a deadline; and the keys they wait for. */
size_t blocked_count(const struct server *server);
size_t blocked_deadline_count(const struct server *server);
size_t blocked_key_count(const struct server *server);

#endif
