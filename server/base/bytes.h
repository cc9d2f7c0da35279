/*
 * bytes.h -- reading bytes that somebody else wrote, without running past
 * their end.  A cursor keeps the first failure: read all, ask once.
 */
#ifndef WALDEN_BASE_BYTES_H
#define WALDEN_BASE_BYTES_H

#include "server/base/slice.h"

#include <stdint.h>

struct bytes {
    const char *at;
    const char *end;
    bool has_failed; /* a read went past the end or a varint was too long */
};

static inline struct bytes
bytes_from(struct slice s)
{
    return (struct bytes){ s.data, s.data + s.len, false };
}

static inline size_t
bytes_left(const struct bytes *bytes)
{
    return (size_t)(bytes->end - bytes->at);
}

/* All answer zero / an empty slice once the cursor has failed. */
uint8_t bytes_take_u8(struct bytes *bytes);
uint64_t bytes_take_varint(struct bytes *bytes); /* unsigned LEB128 */
/* len (at most 8) bytes as an unsigned number, big or little end first. */
uint64_t bytes_take_be(struct bytes *bytes, size_t len);
uint64_t bytes_take_le(struct bytes *bytes, size_t len);
struct slice bytes_take_slice(struct bytes *bytes, size_t len);

static inline uint64_t
bytes_get_be64(const void *data)
{
    uint64_t v;
    memcpy(&v, data, sizeof(v));
    return __builtin_bswap64(v);
}

static inline void
bytes_put_be64(void *data, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(data, &value, sizeof(value));
}

static inline uint32_t
bytes_get_be32(const void *data)
{
    uint32_t v;
    memcpy(&v, data, sizeof(v));
    return __builtin_bswap32(v);
}

static inline void
bytes_put_be32(void *data, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(data, &value, sizeof(value));
}

#endif
