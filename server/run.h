/*
 * run.h -- starting and stopping the whole server, for main.c.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_RUN_H
#define WALDEN_SERVER_RUN_H

#include "server/server.h"

/* server.config is filled in and the process is in config.dir.  Logs what */
/* fails. */
MUST_CHECK enum status server_start(void);
/* Commit, fold, close; also after a start that failed half way. */
void server_stop(void);
/* Allow as many open files as maxclients needs, or lower maxclients. */
void server_raise_file_limit(void);
/* config's storage tunables changed. */
void server_apply_storage(void);

#endif
