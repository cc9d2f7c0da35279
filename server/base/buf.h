/*
 * buf.h -- a growable run of bytes with one owner.
 *
 * Small growth that fails aborts the process; a size that a client or a file
 * chose goes through buf_try_reserve() first.
 */
#ifndef WALDEN_BASE_BUF_H
#define WALDEN_BASE_BUF_H

#include "server/base/slice.h"
#include "server/base/status.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len;  /* bytes in use */
    size_t size; /* bytes allocated */
};

#define BUF_INIT   \
    {              \
        NULL, 0, 0 \
    }

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);

/* Make room for extra bytes after len; doubles, so appending is O(1). */
void buf_reserve(struct buf *buf, size_t extra);

/* As buf_reserve(), but STATUS_NO_MEMORY instead of aborting. */
MUST_CHECK enum status buf_try_reserve(struct buf *buf, size_t extra);

/* Empty it; give memory above keep bytes back to the allocator. */
void buf_clear(struct buf *buf, size_t keep);

/* Remove the first len bytes (memmove). */
void buf_consume(struct buf *buf, size_t len);

void buf_append_slow(struct buf *buf, const void *data, size_t len);

static inline void
buf_append(struct buf *buf, const void *data, size_t len)
{
    if (buf->size - buf->len < len) {
        buf_append_slow(buf, data, len);
        return;
    }
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

static inline void
buf_append_slice(struct buf *buf, struct slice s)
{
    buf_append(buf, s.data, s.len);
}

static inline void
buf_append_byte(struct buf *buf, char byte)
{
    buf_append(buf, &byte, 1);
}

void buf_append_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args);

/* Unsigned LEB128, as in LTX and protocol buffers. */
void buf_append_varint(struct buf *buf, uint64_t value);

/* Lends what is in buf until the next change of it. */
static inline struct slice
buf_slice(const struct buf *buf)
{
    return (struct slice){ buf->data, buf->len };
}

#endif
