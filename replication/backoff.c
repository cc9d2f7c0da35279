/*
 * backoff.c -- when to try again.
 */
#include "server/base/random.h"

#include "replication/backoff.h"

bool
backoff_is_transient(enum status status)
{
    switch (status) {
    case STATUS_IO:
    case STATUS_TIMEOUT:
    case STATUS_BUSY:
    case STATUS_CORRUPT: /* an answer cut short or garbled on its way */
    case STATUS_DENIED:  /* keys are rotated, clocks are set */
        return true;
    default:
        return false;
    }
}

int64_t
backoff_next_ms(struct backoff *backoff, int64_t retry_after_ms)
{
    unsigned shift = backoff->failures < 10 ? backoff->failures : 10;
    int64_t limit = (int64_t)BACKOFF_FIRST_MS << shift;

    backoff->failures++;
    if (limit > BACKOFF_MAX_MS)
        limit = BACKOFF_MAX_MS;
    int64_t wait = (int64_t)random_below((uint64_t)limit) + 1;
    return wait > retry_after_ms ? wait : retry_after_ms;
}
