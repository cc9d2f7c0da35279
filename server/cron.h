/*
 * cron.h -- what is done a few times a second, and costs an idle server
 * nearly nothing.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_CRON_H
#define WALDEN_SERVER_CRON_H

#include "server/server.h"

/* Called hz times a second. */
void cron_run(struct server *server);

#endif
