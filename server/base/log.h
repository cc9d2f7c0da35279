/*
 * log.h -- the log, in Redis's format ("pid:role date level message").
 *
 * One write(2) a line, so lines of several threads do not mix.  A client's
 * bytes are escaped by the caller with %s of a printable copy only.
 */
#ifndef WALDEN_BASE_LOG_H
#define WALDEN_BASE_LOG_H

#include "server/base/status.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_VERBOSE,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTHING
};

/* path "" or NULL: standard output.  Appends.  Reopened at every line, as */
/* Redis does, so that logrotate works. */
MUST_CHECK enum status log_open(const char *path);
void log_set_level(enum log_level level);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
