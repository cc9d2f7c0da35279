/*
 * list_blocking.h -- the list commands that look at several keys, and those
 * that wait for one of them.  Their rows stand in list.c's table.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_COMMANDS_LIST_BLOCKING_H
#define WALDEN_SERVER_COMMANDS_LIST_BLOCKING_H

#include "server/command.h"

void list_blocking_lmove(struct call *call);
void list_blocking_rpoplpush(struct call *call);
void list_blocking_lmpop(struct call *call);
void list_blocking_blpop(struct call *call);
void list_blocking_brpop(struct call *call);
void list_blocking_blmove(struct call *call);
void list_blocking_brpoplpush(struct call *call);
void list_blocking_blmpop(struct call *call);

/* The time of any of the B commands is up. */
void list_blocking_timed_out(struct session *session, struct reply *reply);

#endif
