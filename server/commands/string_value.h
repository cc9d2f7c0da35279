/*
 * string_value.h -- the bytes of a string key, flat or chunked, for handlers.
 *
 * A flat string lends its bytes.  The chunks of a long one may stand on disk
 * only and are read straight into the reply, so that a value of hundreds of
 * megabytes is not copied twice.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_COMMANDS_STRING_VALUE_H
#define WALDEN_SERVER_COMMANDS_STRING_VALUE_H

#include "server/command.h"

/*
 * Reply bytes [at, at+len) of the string as one bulk; the range lies within.
 * Fails: as string_read(); nothing has been written then.
 */
MUST_CHECK enum status string_value_reply_range(
    struct call *call, const struct key *key, size_t at, size_t len);

/*
 * Reply the whole value, or the error that its chunks met.
 * false: the error was replied.
 */
MUST_CHECK bool string_value_reply(struct call *call, const struct key *key);

/*
 * The whole value as one run of bytes: lent by the key, or by scratch (which
 * is appended to) if it is chunked.
 * Fails: as string_read().
 */
MUST_CHECK enum status string_value_get(struct call *call,
    const struct key *key, struct buf *scratch, struct slice *value);

/*
 * May a string of len bytes grow by extra?  false: the error was replied
 * (proto-max-bulk-len, or a sum past what a length can say).
 */
MUST_CHECK bool string_value_check_size(
    struct call *call, uint64_t len, uint64_t extra);

#endif
