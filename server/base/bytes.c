/*
 * bytes.c -- a reading cursor that remembers its first failure.
 *
 * A varint is refused when it is longer than ten bytes or says more than 64
 * bits.  Padded forms ("80 00" for 0) are read: LTX files may hold them.
 */
#include "server/base/bytes.h"

static void
fail(struct bytes *bytes)
{
    bytes->has_failed = true;
    bytes->at = bytes->end;
}

uint8_t
bytes_take_u8(struct bytes *bytes)
{
    if (bytes->at == bytes->end) {
        fail(bytes);
        return 0;
    }
    return (uint8_t)*bytes->at++;
}

uint64_t
bytes_take_varint(struct bytes *bytes)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = bytes_take_u8(bytes);
        if (bytes->has_failed)
            return 0;
        /* The tenth byte has room for one bit only. */
        if (shift == 63 && byte > 1)
            break;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    fail(bytes);
    return 0;
}

uint64_t
bytes_take_be(struct bytes *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | bytes_take_u8(bytes);
    return bytes->has_failed ? 0 : value;
}

uint64_t
bytes_take_le(struct bytes *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)bytes_take_u8(bytes) << (8 * i);
    return bytes->has_failed ? 0 : value;
}

struct slice
bytes_take_slice(struct bytes *bytes, size_t len)
{
    if (bytes->has_failed || bytes_left(bytes) < len) {
        fail(bytes);
        return (struct slice){ NULL, 0 };
    }
    struct slice taken = { bytes->at, len };
    /* at may be NULL when the whole input is empty. */
    if (len > 0)
        bytes->at += len;
    return taken;
}
