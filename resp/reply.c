/*
 * reply.c -- the reply sink for RESP2 and RESP3.
 *
 * Every reply is written in place: room for its longest form is reserved
 * once, then bytes are stored.  No printf on any path but error texts made
 * from a format.  The headers of short bulk strings and arrays ("$5\r\n") are
 * the common case and are written as one or two digits.
 *
 * A deferred header is inserted where it belongs when its length is known,
 * by moving what follows: the element bytes are hot in the cache, and leaving
 * a gap instead would make every reader of the buffer know about gaps.
 */
#include <stdio.h>

#include "server/base/check.h"
#include "server/base/number.h"
#include "resp/reply.h"

#define REPLY_HEADER_SIZE (1 + NUMBER_I64_SIZE + 2) /* sign, digits, CR LF */
#define REPLY_ERROR_SIZE 1024 /* bytes of a formatted error; then the heap */

void
reply_init(struct reply *reply, struct buf *out, uint8_t version)
{
    *reply = (struct reply){ .out = out, .version = version };
}

/* Store "<sign><value>\r\n" at text; answer: bytes written. */
static inline size_t
store_header(char *text, char sign, int64_t value)
{
    size_t len = 1;

    text[0] = sign;
    if (value >= 0 && value < 10)
        text[len++] = (char)('0' + value);
    else
        len += number_format_i64(text + 1, value);
    text[len] = '\r';
    text[len + 1] = '\n';
    return len + 2;
}

/* Room for len bytes; answer: where they go. */
static inline char *
reserve(struct reply *reply, size_t len)
{
    struct buf *out = reply->out;

    if (out->size - out->len < len)
        buf_reserve(out, len);
    return out->data + out->len;
}

static void
append_header(struct reply *reply, char sign, int64_t value)
{
    if (reply->is_muted)
        return;
    char *at = reserve(reply, REPLY_HEADER_SIZE);
    reply->out->len += store_header(at, sign, value);
}

/* text of a literal: its size is known where this is inlined. */
static inline void
append_literal(struct reply *reply, const char *text)
{
    if (!reply->is_muted)
        buf_append(reply->out, text, strlen(text));
}

void
reply_ok(struct reply *reply)
{
    append_literal(reply, "+OK\r\n");
}

/* One line: sign, text with CR and LF made blanks, CR LF. */
static void
append_line(struct reply *reply, char sign, const char *text)
{
    size_t len = strlen(text);
    char *at = reserve(reply, len + 3);

    at[0] = sign;
    for (size_t i = 0; i < len; i++) {
        char byte = text[i];
        at[i + 1] = byte == '\r' || byte == '\n' ? ' ' : byte;
    }
    at[len + 1] = '\r';
    at[len + 2] = '\n';
    reply->out->len += len + 3;
}

void
reply_simple(struct reply *reply, const char *text)
{
    if (!reply->is_muted)
        append_line(reply, '+', text);
}

void
reply_error(struct reply *reply, const char *text)
{
    reply->errors++;
    if (reply->is_muted)
        return;
    reply->error_at = reply->out->len;
    append_line(reply, '-', text);
}

void
reply_error_format(struct reply *reply, const char *format, ...)
{
    char stack[REPLY_ERROR_SIZE];
    struct buf heap = BUF_INIT;
    va_list args;

    va_start(args, format);
    int len = vsnprintf(stack, sizeof(stack), format, args);
    va_end(args);
    CHECK(len >= 0);
    if ((size_t)len < sizeof(stack)) {
        reply_error(reply, stack);
        return;
    }
    va_start(args, format);
    buf_vprintf(&heap, format, args);
    va_end(args);
    buf_append_byte(&heap, '\0');
    reply_error(reply, heap.data);
    buf_fini(&heap);
}

void
reply_int(struct reply *reply, int64_t value)
{
    append_header(reply, ':', value);
}

void
reply_bulk(struct reply *reply, const void *data, size_t len)
{
    if (reply->is_muted)
        return;
    char *start = reserve(reply, REPLY_HEADER_SIZE + len + 2);
    char *at = start + store_header(start, '$', (int64_t)len);
    if (len > 0)
        memcpy(at, data, len);
    at += len;
    at[0] = '\r';
    at[1] = '\n';
    reply->out->len += (size_t)(at + 2 - start);
}

void
reply_bulk_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, text, strlen(text));
}

void
reply_bulk_i64(struct reply *reply, int64_t value)
{
    char text[NUMBER_I64_SIZE];

    reply_bulk(reply, text, number_format_i64(text, value));
}

void
reply_bulk_begin(struct reply *reply, size_t len)
{
    append_header(reply, '$', (int64_t)len);
}

void
reply_bulk_part(struct reply *reply, const void *data, size_t len)
{
    if (!reply->is_muted)
        buf_append(reply->out, data, len);
}

void
reply_bulk_end(struct reply *reply)
{
    append_literal(reply, "\r\n");
}

void
reply_null(struct reply *reply)
{
    append_literal(reply, reply->version >= 3 ? "_\r\n" : "$-1\r\n");
}

void
reply_null_array(struct reply *reply)
{
    append_literal(reply, reply->version >= 3 ? "_\r\n" : "*-1\r\n");
}

void
reply_bool(struct reply *reply, bool value)
{
    if (reply->version >= 3)
        append_literal(reply, value ? "#t\r\n" : "#f\r\n");
    else
        append_literal(reply, value ? ":1\r\n" : ":0\r\n");
}

void
reply_double(struct reply *reply, double value)
{
    char text[NUMBER_DOUBLE_SIZE];
    size_t len = number_format_double(text, value);

    if (reply->version < 3)
        reply_bulk(reply, text, len);
    else if (!reply->is_muted)
        append_line(reply, ',', text);
}

void
reply_long_double(struct reply *reply, long double value)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];

    reply_bulk(reply, text, number_format_long_double(text, value));
}

void
reply_big_number(struct reply *reply, const char *digits)
{
    if (reply->version < 3)
        reply_bulk_text(reply, digits);
    else if (!reply->is_muted)
        append_line(reply, '(', digits);
}

void
reply_verbatim(
    struct reply *reply, const char *format, const void *data, size_t len)
{
    if (reply->version < 3) {
        reply_bulk(reply, data, len);
        return;
    }
    CHECK(strlen(format) == 3);
    append_header(reply, '=', (int64_t)len + 4);
    reply_bulk_part(reply, format, 3);
    reply_bulk_part(reply, ":", 1);
    reply_bulk_part(reply, data, len);
    reply_bulk_end(reply);
}

/* The kinds of collection and how each protocol writes their headers. */
struct header {
    char sign;
    int64_t value;
};

static inline struct header
array_header(size_t len)
{
    return (struct header){ '*', (int64_t)len };
}

static inline struct header
map_header(const struct reply *reply, size_t len)
{
    if (reply->version >= 3)
        return (struct header){ '%', (int64_t)len };
    return (struct header){ '*', (int64_t)len * 2 };
}

static inline struct header
set_header(const struct reply *reply, size_t len)
{
    return (struct header){ reply->version >= 3 ? '~' : '*', (int64_t)len };
}

void
reply_array(struct reply *reply, size_t len)
{
    append_header(reply, '*', (int64_t)len);
}

void
reply_map(struct reply *reply, size_t len)
{
    struct header header = map_header(reply, len);

    append_header(reply, header.sign, header.value);
}

void
reply_set(struct reply *reply, size_t len)
{
    struct header header = set_header(reply, len);

    append_header(reply, header.sign, header.value);
}

void
reply_push(struct reply *reply, size_t len)
{
    append_header(reply, reply->version >= 3 ? '>' : '*', (int64_t)len);
}

void
reply_attribute(struct reply *reply, size_t len)
{
    /* RESP2 has nothing like it; whoever asks has not looked at version. */
    CHECK(reply->version >= 3);
    append_header(reply, '|', (int64_t)len);
}

size_t
reply_defer(struct reply *reply)
{
    return reply->out->len;
}

static void
insert_header(struct reply *reply, size_t deferred, struct header header)
{
    char text[REPLY_HEADER_SIZE];
    struct buf *out = reply->out;

    if (reply->is_muted)
        return;
    CHECK(deferred <= out->len);
    size_t len = store_header(text, header.sign, header.value);
    char *at = reserve(reply, len) - (out->len - deferred);
    memmove(at + len, at, out->len - deferred);
    memcpy(at, text, len);
    out->len += len;
    /* The newest error, if it is one of the elements, moved too. */
    if (reply->errors > 0 && reply->error_at >= deferred)
        reply->error_at += len;
}

void
reply_array_end(struct reply *reply, size_t deferred, size_t len)
{
    insert_header(reply, deferred, array_header(len));
}

void
reply_map_end(struct reply *reply, size_t deferred, size_t len)
{
    insert_header(reply, deferred, map_header(reply, len));
}

void
reply_set_end(struct reply *reply, size_t deferred, size_t len)
{
    insert_header(reply, deferred, set_header(reply, len));
}
