/*
 * backoff.h -- when to try again: exponential with full jitter, told by the
 * server where it said so.  The one place where retrying is decided.
 */
#ifndef WALDEN_REPLICATION_BACKOFF_H
#define WALDEN_REPLICATION_BACKOFF_H

#include "server/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 10000

struct backoff {
    unsigned failures; /* in a row */
};

/* May the same request succeed later? (Network, server, throttling, */
/* credentials being rotated.) */
bool backoff_is_transient(enum status status);

/* Note a failure; answer: ms to wait before the next try.  retry_after_ms: */
/* what the server asked for, 0 if nothing. */
int64_t backoff_next_ms(struct backoff *backoff, int64_t retry_after_ms);

static inline void
backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}

#endif
