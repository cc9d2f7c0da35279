/*
 * reply.h -- the reply sink: what a command says, in RESP2 or RESP3.
 *
 * A handler names what it means (a map, a double, a null); the sink writes
 * it as the client's protocol has it.  RESP2 forms are Redis's own: a map is a
 * flat array, a double a bulk string, a boolean an integer, a null "$-1", a
 * null array "*-1".
 *
 * Pure: appends to a buf, no I/O.
 */
#ifndef WALDEN_RESP_REPLY_H
#define WALDEN_RESP_REPLY_H

#include "server/base/buf.h"

struct reply {
    struct buf *out; /* lent by whoever made the sink */
    uint8_t version; /* 2 or 3 */
    bool is_muted;   /* nothing is written (CLIENT REPLY OFF/SKIP) */
    uint64_t errors; /* errors written since the start, for statistics */
    size_t error_at; /* offset in out of the newest error */
};

void reply_init(struct reply *reply, struct buf *out, uint8_t version);

void reply_ok(struct reply *reply);                       /* +OK */
void reply_simple(struct reply *reply, const char *text); /* +text */
/* text begins with its code: "ERR no such key", "WRONGTYPE ...". CR and LF */
/* in it become blanks. */
void reply_error(struct reply *reply, const char *text);
void reply_error_format(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_int(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, const void *data, size_t len);
void reply_bulk_text(struct reply *reply, const char *text);
void reply_bulk_i64(struct reply *reply, int64_t value);
/* "$len\r\n"; the caller appends len bytes and then reply_bulk_end(): for */
/* values that are read in pieces. */
void reply_bulk_begin(struct reply *reply, size_t len);
void reply_bulk_part(struct reply *reply, const void *data, size_t len);
void reply_bulk_end(struct reply *reply);
void reply_null(struct reply *reply);       /* $-1 or _ */
void reply_null_array(struct reply *reply); /* *-1 or _ */
void reply_bool(struct reply *reply, bool value);
void reply_double(struct reply *reply, double value);
/* INCRBYFLOAT and friends: a bulk string in both protocols. */
void reply_long_double(struct reply *reply, long double value);
void reply_big_number(struct reply *reply, const char *digits);
/* format: three letters, "txt" or "mkd"; a plain bulk string in RESP2. */
void reply_verbatim(
    struct reply *reply, const char *format, const void *data, size_t len);

/* Headers: the elements follow, len of them (pairs for a map). */
void reply_array(struct reply *reply, size_t len);
void reply_map(struct reply *reply, size_t len);
void reply_set(struct reply *reply, size_t len);
void reply_push(struct reply *reply, size_t len);
void reply_attribute(struct reply *reply, size_t len);

/*
 * A header whose len is known only later: remember the answer, write the
 * elements, then call the matching _end.  Cost: one memmove of the elements.
 * Deferred headers may nest.
 */
size_t reply_defer(struct reply *reply);
void reply_array_end(struct reply *reply, size_t deferred, size_t len);
void reply_map_end(struct reply *reply, size_t deferred, size_t len);
void reply_set_end(struct reply *reply, size_t deferred, size_t len);

static inline void
reply_slice(struct reply *reply, struct slice s)
{
    reply_bulk(reply, s.data, s.len);
}

#endif
