/*
 * failure.h -- what happens when a commit fails (D2).
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_FAILURE_H
#define WALDEN_SERVER_FAILURE_H

#include "server/server.h"

/* A batch was not committed: nothing of it or after it is true any more. */
void failure_begin(struct server *server, enum status outcome);
/* Ask the store to try again; once a second while is_misconfigured. */
void failure_retry(struct server *server);
/* The store tried: on STATUS_OK writes are taken again. */
void failure_end(struct server *server, enum status outcome);

#endif
