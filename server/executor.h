/*
 * executor.h -- the executor's side door for transport.c.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_EXECUTOR_H
#define WALDEN_SERVER_EXECUTOR_H

#include "server/server.h"

/*
 * Run every complete request of input, which starts where the session's
 * current request does.  Answer: bytes used; the caller keeps the rest.
 */
size_t executor_run_bytes(struct session *session, struct slice input);
/* keyspace_prepare() for each key of the request. */
MUST_CHECK enum status executor_prepare(struct call *call);

#endif
