/*
 * transaction.h -- MULTI's queue.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_COMMANDS_TRANSACTION_H
#define WALDEN_SERVER_COMMANDS_TRANSACTION_H

#include "server/session.h"

/* Queue call for EXEC; copies its arguments. */
void transaction_queue(struct call *call);
/* Forget the queue, leave MULTI, UNWATCH: DISCARD, RESET, a session's end. */
void transaction_discard(struct session *session);
/* The flags (enum command_flag) of all queued commands together. */
unsigned transaction_flags(const struct session *session);
/* Commands queued; -1: not in MULTI. */
int transaction_len(const struct session *session);
size_t transaction_memory(const struct session *session); /* bytes */

#endif
