/*
 * secret.h -- which arguments of a request must not be shown to others
 * (MONITOR, SLOWLOG).
 */
#ifndef WALDEN_SERVER_SECRET_H
#define WALDEN_SERVER_SECRET_H

#include "server/command.h"

#define SECRET_SHOWN_AS "(redacted)"

/* Is argv[at] a user, a password or a directive that holds one? */
bool secret_is_argument(const struct call *call, size_t at);

#endif
