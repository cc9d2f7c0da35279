/*
 * listener.h -- the sockets clients connect to.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_LISTENER_H
#define WALDEN_SERVER_LISTENER_H

#include "server/server.h"

/*
 * Listen on config's addresses and unix socket.  An address with a leading
 * '-' may be unavailable.
 * Fails: STATUS_IO; error then holds a sentence.
 */
MUST_CHECK enum status listener_open(
    struct server *server, char *error, size_t error_size);
/* Close them all; the unix socket's file goes. */
void listener_close(void);

#endif
