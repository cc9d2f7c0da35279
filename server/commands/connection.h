/*
 * connection.h -- what CLIENT shares with the connection commands.
 */
#ifndef WALDEN_SERVER_COMMANDS_CONNECTION_H
#define WALDEN_SERVER_COMMANDS_CONNECTION_H

#include "server/base/slice.h"

#define CONNECTION_BAD_NAME \
    "ERR Client names cannot contain spaces, newlines or special characters."

/* Printable ASCII without blanks: fit for a line of CLIENT LIST. */
bool connection_check_name(struct slice name);
/* Replace *text, which is owned, by a copy of value; NULL if that is empty. */
void connection_set_text(char **text, struct slice value);

#endif
