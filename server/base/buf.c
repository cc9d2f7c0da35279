/*
 * buf.c -- a growable run of bytes.
 *
 * Room doubles, so a run of appends costs O(1) each; the first allocation is
 * a small one, because most replies and keys are small.  realloc() does the
 * growing: for large runs jemalloc moves pages rather than bytes.
 */
#include <stdio.h>

#include "server/base/buf.h"
#include "server/base/check.h"
#include "server/base/memory.h"

#define BUF_SIZE_MIN 64        /* bytes of the first allocation */
#define BUF_VARINT_SIZE_MAX 10 /* bytes of a 64-bit LEB128 */

void
buf_init(struct buf *buf)
{
    *buf = (struct buf)BUF_INIT;
}

void
buf_fini(struct buf *buf)
{
    memory_free(buf->data);
    buf_init(buf);
}

/* The size to grow to; 0 if extra bytes cannot be counted. */
static size_t
grown_size(const struct buf *buf, size_t extra)
{
    size_t needed;

    if (__builtin_add_overflow(buf->len, extra, &needed) ||
        needed > PTRDIFF_MAX)
        return 0;
    /* size is at most PTRDIFF_MAX, so twice that still fits a size_t. */
    size_t size = buf->size * 2;
    if (size < BUF_SIZE_MIN)
        size = BUF_SIZE_MIN;
    if (size > PTRDIFF_MAX)
        size = PTRDIFF_MAX;
    return size < needed ? needed : size;
}

void
buf_reserve(struct buf *buf, size_t extra)
{
    if (buf->size - buf->len >= extra)
        return;
    size_t size = grown_size(buf, extra);
    CHECK(size > 0);
    buf->data = memory_realloc(buf->data, size);
    buf->size = size;
}

enum status
buf_try_reserve(struct buf *buf, size_t extra)
{
    if (buf->size - buf->len >= extra)
        return STATUS_OK;
    size_t size = grown_size(buf, extra);
    if (size == 0)
        return STATUS_NO_MEMORY;
    char *data = memory_try_realloc(buf->data, size);
    if (data == NULL)
        return STATUS_NO_MEMORY;
    buf->data = data;
    buf->size = size;
    return STATUS_OK;
}

void
buf_clear(struct buf *buf, size_t keep)
{
    buf->len = 0;
    if (buf->size > keep)
        buf_fini(buf);
}

void
buf_consume(struct buf *buf, size_t len)
{
    CHECK(len <= buf->len);
    if (len == 0)
        return;
    buf->len -= len;
    if (buf->len > 0)
        memmove(buf->data, buf->data + len, buf->len);
}

void
buf_append_slow(struct buf *buf, const void *data, size_t len)
{
    buf_reserve(buf, len);
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void
buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;

    /* Most texts fit at once; the second pass is for those that do not. */
    buf_reserve(buf, BUF_SIZE_MIN);
    size_t room = buf->size - buf->len;
    va_copy(again, args);
    int len = vsnprintf(buf->data + buf->len, room, format, args);
    CHECK(len >= 0);
    if ((size_t)len >= room) {
        buf_reserve(buf, (size_t)len + 1);
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
    }
    va_end(again);
    buf->len += (size_t)len;
}

void
buf_append_varint(struct buf *buf, uint64_t value)
{
    if (buf->size - buf->len < BUF_VARINT_SIZE_MAX)
        buf_reserve(buf, BUF_VARINT_SIZE_MAX);
    unsigned char *at = (unsigned char *)buf->data + buf->len;
    size_t len = 0;
    while (value >= 0x80) {
        at[len++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    at[len++] = (unsigned char)value;
    buf->len += len;
}
