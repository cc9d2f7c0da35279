/*
 * monitor.h -- MONITOR's form of text; monitor_feed() is in server.h.
 */
#ifndef WALDEN_SERVER_MONITOR_H
#define WALDEN_SERVER_MONITOR_H

#include "server/base/buf.h"

/* text in double quotes, escaped as redis-cli reads it. */
void monitor_append_quoted(struct buf *out, struct slice text);

#endif
