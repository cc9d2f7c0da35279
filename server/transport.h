/*
 * transport.h -- a session's socket: bytes in, bytes out.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_TRANSPORT_H
#define WALDEN_SERVER_TRANSPORT_H

#include "server/session.h"

/* Begin to read from session->fd. */
void transport_start(struct session *session);
/* Stop watching the socket; for session_free(). */
void transport_stop(struct session *session);

/* Write what is released of every dirty session, free those that end. */
void transport_flush_all(struct server *server);

/* Stop and resume reading (R3, a request that waits). */
void transport_pause(struct session *session);
void transport_resume(struct session *session);
/* Resume all that were paused by R3, if it allows. */
void transport_resume_all(struct server *server);

/* Close session if it owes more than its class may be owed. */
void transport_check_limits(struct session *session);
/* Give back the memory an idle session does not need. */
void transport_shrink(struct session *session);

#endif
