/*
 * slowlog.h -- the slow log: the requests that took longest, newest first.
 *
 * slowlog_add() is declared in server.h; it keeps slowlog-max-len entries.
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_SLOWLOG_H
#define WALDEN_SERVER_SLOWLOG_H

#include "server/base/slice.h"

#include <stdint.h>

#define SLOWLOG_ARGS_MAX 32      /* arguments kept of a request */
#define SLOWLOG_ARG_SIZE_MAX 128 /* bytes kept of an argument */

struct slowlog;

struct slowlog_entry {
    struct slowlog_entry *next, *previous; /* older; newer */
    int64_t id;
    int64_t time_s; /* wall clock */
    int64_t duration_us;
    size_t argc;
    struct slice *argv; /* cut to the limits above */
    char *address, *name;
};

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *slowlog);
size_t slowlog_len(const struct slowlog *slowlog);
void slowlog_clear(struct slowlog *slowlog);
/* The newest; lent until the next change. */
const struct slowlog_entry *slowlog_newest(const struct slowlog *slowlog);

#endif
