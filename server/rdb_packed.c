/*
 * rdb_packed.c -- walking through listpacks, ziplists and zipmaps.
 *
 * One cursor (base/bytes.h) that fails when it would pass the end; numbers are
 * turned into the text that they stand for.
 */
#include "server/base/bytes.h"
#include "server/base/number.h"
#include "server/rdb_packed.h"

#define END_MARK 0xff
#define COUNT_UNKNOWN UINT16_MAX /* more entries than the count can say */
#define LISTPACK_HEAD_SIZE 6     /* bytes */
#define ZIPLIST_HEAD_SIZE 10     /* bytes */
#define LONG_LENGTH 0xfe         /* a length of 4 bytes follows */

struct walk {
    struct bytes in;
    rdb_packed_visit_fn visit;
    void *arg;
    uint64_t count;
};

/* The low bits of value as a signed number. */
static int64_t
sign_extend(uint64_t value, unsigned bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static bool
visit_number(struct walk *walk, int64_t number)
{
    char text[NUMBER_I64_SIZE];
    size_t len = number_format_i64(text, number);
    walk->count++;
    return !walk->in.has_failed &&
           walk->visit(slice_make(text, len), walk->arg);
}

static bool
visit_string(struct walk *walk, uint64_t len)
{
    struct slice value = bytes_take_slice(&walk->in, len);
    walk->count++;
    return !walk->in.has_failed && walk->visit(value, walk->arg);
}

/* ---- listpack ------------------------------------------------------------ */

static bool
listpack_long_entry(struct walk *walk, uint8_t encoding)
{
    struct bytes *in = &walk->in;
    switch (encoding) {
    case 0xf0:
        return visit_string(walk, bytes_take_le(in, 4));
    case 0xf1:
        return visit_number(walk, sign_extend(bytes_take_le(in, 2), 16));
    case 0xf2:
        return visit_number(walk, sign_extend(bytes_take_le(in, 3), 24));
    case 0xf3:
        return visit_number(walk, sign_extend(bytes_take_le(in, 4), 32));
    case 0xf4:
        return visit_number(walk, (int64_t)bytes_take_le(in, 8));
    default:
        return false;
    }
}

static bool
listpack_entry(struct walk *walk)
{
    struct bytes *in = &walk->in;
    uint64_t encoding = bytes_take_u8(in);
    if ((encoding & 0x80) == 0)
        return visit_number(walk, (int64_t)encoding);
    if ((encoding & 0xc0) == 0x80)
        return visit_string(walk, encoding & 0x3f);
    if ((encoding & 0xe0) == 0xc0)
        return visit_number(walk,
            sign_extend((encoding & 0x1f) << 8 | bytes_take_be(in, 1), 13));
    if ((encoding & 0xf0) == 0xe0)
        return visit_string(
            walk, (encoding & 0x0f) << 8 | bytes_take_be(in, 1));
    return listpack_long_entry(walk, (uint8_t)encoding);
}

/*
 * The length of an entry, so that it can be walked backwards: 7 bits a byte,
 * the highest first; all but the first byte have their high bit set.
 */
static bool
listpack_back_length(struct bytes *in, uint64_t len)
{
    static const uint64_t above[] = { 127, 16382, 2097150, 268435454 };
    size_t size = 1;
    while (size <= 4 && len > above[size - 1])
        size++;
    for (size_t i = size; i-- > 0;) {
        uint64_t byte = (len >> (7 * i)) & 0x7f;
        if (i + 1 < size)
            byte |= 0x80;
        if (bytes_take_u8(in) != byte)
            return false;
    }
    return !in->has_failed;
}

static bool
listpack_each(struct walk *walk)
{
    struct bytes *in = &walk->in;
    size_t size = bytes_left(in);
    uint64_t said_size = bytes_take_le(in, 4);
    uint64_t said_count = bytes_take_le(in, 2);
    if (in->has_failed || said_size != size || size == LISTPACK_HEAD_SIZE)
        return false;
    while (bytes_left(in) > 1) {
        const char *start = in->at;
        if (!listpack_entry(walk) ||
            !listpack_back_length(in, (uint64_t)(in->at - start)))
            return false;
    }
    return bytes_take_u8(in) == END_MARK && !in->has_failed &&
           (said_count == COUNT_UNKNOWN || said_count == walk->count);
}

/* ---- ziplist ------------------------------------------------------------- */

static bool
ziplist_number(struct walk *walk, uint8_t encoding)
{
    struct bytes *in = &walk->in;
    switch (encoding) {
    case 0xc0:
        return visit_number(walk, sign_extend(bytes_take_le(in, 2), 16));
    case 0xd0:
        return visit_number(walk, sign_extend(bytes_take_le(in, 4), 32));
    case 0xe0:
        return visit_number(walk, (int64_t)bytes_take_le(in, 8));
    case 0xf0:
        return visit_number(walk, sign_extend(bytes_take_le(in, 3), 24));
    case 0xfe:
        return visit_number(walk, sign_extend(bytes_take_le(in, 1), 8));
    default:
        /* F1 to FD: 0 to 12. */
        return encoding > 0xf0 && encoding < 0xfe &&
               visit_number(walk, (encoding & 0x0f) - 1);
    }
}

static bool
ziplist_entry(struct walk *walk, uint64_t previous)
{
    struct bytes *in = &walk->in;
    uint64_t said = bytes_take_u8(in);
    if (said == LONG_LENGTH)
        said = bytes_take_le(in, 4);
    if (in->has_failed || said != previous)
        return false;
    uint64_t encoding = bytes_take_u8(in);
    switch (encoding >> 6) {
    case 0:
        return visit_string(walk, encoding);
    case 1:
        return visit_string(
            walk, (encoding & 0x3f) << 8 | bytes_take_be(in, 1));
    case 2:
        return encoding == 0x80 && visit_string(walk, bytes_take_be(in, 4));
    default:
        return ziplist_number(walk, (uint8_t)encoding);
    }
}

static bool
ziplist_each(struct walk *walk)
{
    struct bytes *in = &walk->in;
    const char *start = in->at;
    const char *last = start + ZIPLIST_HEAD_SIZE;
    size_t size = bytes_left(in);
    uint64_t said_size = bytes_take_le(in, 4);
    uint64_t said_last = bytes_take_le(in, 4);
    uint64_t said_count = bytes_take_le(in, 2);
    uint64_t previous = 0;
    if (in->has_failed || said_size != size || size == ZIPLIST_HEAD_SIZE)
        return false;
    while (bytes_left(in) > 1) {
        last = in->at;
        if (!ziplist_entry(walk, previous))
            return false;
        previous = (uint64_t)(in->at - last);
    }
    return bytes_take_u8(in) == END_MARK && !in->has_failed &&
           said_last == (uint64_t)(last - start) &&
           (said_count == COUNT_UNKNOWN || said_count == walk->count);
}

/* ---- zipmap -------------------------------------------------------------- */

static bool
zipmap_string(struct walk *walk, uint64_t len, bool has_free)
{
    if (len > LONG_LENGTH)
        return false;
    if (len == LONG_LENGTH)
        len = bytes_take_le(&walk->in, 4);
    uint64_t unused = has_free ? bytes_take_u8(&walk->in) : 0;
    if (!visit_string(walk, len))
        return false;
    (void)bytes_take_slice(&walk->in, unused);
    return !walk->in.has_failed;
}

static bool
zipmap_each(struct walk *walk)
{
    struct bytes *in = &walk->in;
    uint64_t said_count = bytes_take_u8(in);
    for (;;) {
        uint64_t len = bytes_take_u8(in);
        if (in->has_failed)
            return false;
        if (len == END_MARK)
            break;
        if (!zipmap_string(walk, len, false) ||
            !zipmap_string(walk, bytes_take_u8(in), true))
            return false;
    }
    return bytes_left(in) == 0 &&
           (said_count >= LONG_LENGTH || said_count == walk->count / 2);
}

bool
rdb_packed_each(enum rdb_packed_form form, struct slice packed,
    rdb_packed_visit_fn visit, void *arg)
{
    struct walk walk = { bytes_from(packed), visit, arg, 0 };
    switch (form) {
    case RDB_PACKED_LISTPACK:
        return listpack_each(&walk);
    case RDB_PACKED_ZIPLIST:
        return ziplist_each(&walk);
    case RDB_PACKED_ZIPMAP:
        return zipmap_each(&walk);
    }
    return false;
}
