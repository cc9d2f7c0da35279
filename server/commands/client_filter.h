/*
 * client_filter.h -- CLIENT LIST and CLIENT KILL: which clients are meant.
 */
#ifndef WALDEN_SERVER_COMMANDS_CLIENT_FILTER_H
#define WALDEN_SERVER_COMMANDS_CLIENT_FILTER_H

#include "server/command.h"

/* CLIENT LIST [TYPE type | ID id ...]. */
void client_filter_list(struct call *call);
/* CLIENT KILL addr:port, or CLIENT KILL option value ... */
void client_filter_kill(struct call *call);

#endif
