/*
 * rdb.c -- writing and reading RDB payloads.
 *
 * Reading is one pass that keeps nothing: a string is lent to the visitor from
 * the payload itself, from the text of a number, or from the buffer it was
 * unpacked into.  LZF unpacks at most LZF_RATIO_MAX to 1, so a payload that
 * claims more is refused before anything is allocated for it.
 */
#include <pthread.h>

#include "server/base/number.h"
#include "server/rdb.h"
#include "server/rdb_packed.h"

#define CRC_POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* reflected */
#define LZF_RATIO_MAX 264 /* bytes that the three of one reference unpack to */

/* The first byte of a payload. */
enum rdb_type {
    TYPE_STRING = 0,
    TYPE_LIST = 1,
    TYPE_HASH = 4,
    TYPE_HASH_ZIPMAP = 9,
    TYPE_LIST_ZIPLIST = 10,
    TYPE_HASH_ZIPLIST = 13,
    TYPE_LIST_QUICKLIST = 14,
    TYPE_HASH_LISTPACK = 16,
    TYPE_LIST_QUICKLIST_2 = 18
};

/* A node of TYPE_LIST_QUICKLIST_2. */
enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

/* What a length that is none stands for: the low six bits of its byte. */
enum { STRING_INT8, STRING_INT16, STRING_INT32, STRING_LZF };

/* ---- CRC ----------------------------------------------------------------- */

static uint64_t crc_tables[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

/* Table k: the CRC of a byte followed by k zero bytes (slicing by 8). */
static void
make_crc_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ CRC_POLYNOMIAL : crc >> 1;
        crc_tables[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++)
        for (unsigned k = 1; k < 8; k++) {
            uint64_t before = crc_tables[k - 1][i];
            crc_tables[k][i] = (before >> 8) ^ crc_tables[0][before & 0xff];
        }
}

uint64_t
rdb_crc(uint64_t crc, const void *data, size_t len)
{
    const unsigned char *at = data;
    (void)pthread_once(&crc_once, make_crc_tables);
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8); /* little-endian machines */
        word ^= crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= crc_tables[7 - i][(word >> (8 * i)) & 0xff];
    }
    while (len-- > 0)
        crc = (crc >> 8) ^ crc_tables[0][(crc ^ *at++) & 0xff];
    return crc;
}

/* ---- writing ------------------------------------------------------------- */

static void
put_le(struct buf *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_append_byte(out, (char)(value >> (8 * i)));
}

static void
put_be(struct buf *out, uint64_t value, size_t len)
{
    for (size_t i = len; i-- > 0;)
        buf_append_byte(out, (char)(value >> (8 * i)));
}

void
rdb_put_type(struct buf *out, enum key_type type)
{
    static const char types[KEY_TYPE_COUNT] = {
        [KEY_STRING] = TYPE_STRING,
        [KEY_LIST] = TYPE_LIST,
        [KEY_HASH] = TYPE_HASH,
    };
    buf_append_byte(out, types[type]);
}

void
rdb_put_len(struct buf *out, uint64_t len)
{
    if (len < 1 << 6) {
        buf_append_byte(out, (char)len);
    } else if (len < 1 << 14) {
        put_be(out, len | 0x4000, 2);
    } else if (len <= UINT32_MAX) {
        buf_append_byte(out, (char)0x80);
        put_be(out, len, 4);
    } else {
        buf_append_byte(out, (char)0x81);
        put_be(out, len, 8);
    }
}

void
rdb_put_string(struct buf *out, struct slice value)
{
    int64_t number;
    bool is_number = value.len <= 11 && number_parse_i64(value, &number) &&
                     number >= INT32_MIN && number <= INT32_MAX;
    if (!is_number) {
        rdb_put_len(out, value.len);
        buf_append_slice(out, value);
    } else if (number >= INT8_MIN && number <= INT8_MAX) {
        buf_append_byte(out, (char)(0xc0 | STRING_INT8));
        put_le(out, (uint64_t)number, 1);
    } else if (number >= INT16_MIN && number <= INT16_MAX) {
        buf_append_byte(out, (char)(0xc0 | STRING_INT16));
        put_le(out, (uint64_t)number, 2);
    } else {
        buf_append_byte(out, (char)(0xc0 | STRING_INT32));
        put_le(out, (uint64_t)number, 4);
    }
}

void
rdb_put_footer(struct buf *out)
{
    put_le(out, RDB_VERSION, 2);
    put_le(out, rdb_crc(0, out->data, out->len), 8);
}

/* ---- reading: lengths and strings ---------------------------------------- */

struct reading {
    struct bytes in;
    uint64_t string_size_max;
    uint64_t unpacked; /* bytes so far */
    rdb_visit_fn visit;
    void *arg;
    enum status status; /* why it failed; STATUS_INVALID unless said */
    /* Of a packed array. */
    enum key_type type;
    uint64_t count;
    struct buf field; /* of a hash: waits for its value */
};

/* A string as read: lent by the payload or by itself. */
struct text {
    struct slice value;
    struct buf unpacked;
    char digits[NUMBER_I64_SIZE];
};

/* is_special: it is none, but says how a string is written. */
static uint64_t
take_len(struct bytes *in, bool *is_special)
{
    uint64_t first = bytes_take_u8(in);
    *is_special = first >> 6 == 3;
    switch (first >> 6) {
    case 0:
        return first;
    case 1:
        return (first & 0x3f) << 8 | bytes_take_be(in, 1);
    case 2:
        if (first == 0x80)
            return bytes_take_be(in, 4);
        if (first == 0x81)
            return bytes_take_be(in, 8);
        in->has_failed = true;
        return 0;
    default:
        return first & 0x3f;
    }
}

/* A length that must be one.  false: it is not, or not there. */
static bool
take_count(struct reading *reading, uint64_t *count)
{
    bool is_special;
    *count = take_len(&reading->in, &is_special);
    return !is_special && !reading->in.has_failed;
}

/*
 * One step of LZF: a run of plain bytes (000LLLLL: L + 1 of them), or a copy of
 * bytes already unpacked (LLLooooo oooooooo: L + 2 of them, o + 1 back; L of 7
 * is followed by a byte to add).
 */
static bool
unpack_step(struct bytes *in, struct buf *out, size_t size)
{
    size_t control = bytes_take_u8(in);
    size_t len = control >> 5;
    if (len == 0) {
        struct slice plain = bytes_take_slice(in, control + 1);
        if (in->has_failed || plain.len > size - out->len)
            return false;
        buf_append_slice(out, plain);
        return true;
    }
    if (len == 7)
        len += bytes_take_u8(in);
    len += 2;
    size_t back = ((control & 0x1f) << 8 | bytes_take_u8(in)) + 1;
    if (in->has_failed || back > out->len || len > size - out->len)
        return false;
    /* Byte by byte: the copy may overlap what it makes. */
    for (size_t i = 0; i < len; i++)
        out->data[out->len + i] = out->data[out->len - back + i];
    out->len += len;
    return true;
}

static bool
unpack(struct reading *reading, struct slice packed, uint64_t size,
    struct buf *out)
{
    if (size == 0 || size / LZF_RATIO_MAX > packed.len)
        return false;
    reading->status = STATUS_LIMIT;
    reading->unpacked += size;
    if (reading->unpacked > RDB_UNPACKED_SIZE_MAX)
        return false;
    reading->status = buf_try_reserve(out, size);
    if (reading->status != STATUS_OK)
        return false;
    reading->status = STATUS_INVALID;
    struct bytes in = bytes_from(packed);
    while (bytes_left(&in) > 0)
        if (!unpack_step(&in, out, size))
            return false;
    return out->len == size;
}

static bool
take_packed(struct reading *reading, struct text *text)
{
    uint64_t packed_len;
    uint64_t size;
    if (!take_count(reading, &packed_len) || !take_count(reading, &size))
        return false;
    struct slice packed = bytes_take_slice(&reading->in, packed_len);
    buf_clear(&text->unpacked, SIZE_MAX);
    if (reading->in.has_failed ||
        !unpack(reading, packed, size, &text->unpacked))
        return false;
    text->value = buf_slice(&text->unpacked);
    return true;
}

static bool
take_number(struct reading *reading, size_t len, struct text *text)
{
    struct slice raw = bytes_take_slice(&reading->in, len);
    if (reading->in.has_failed)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)(unsigned char)raw.data[i] << (8 * i);
    unsigned spare = 64 - 8 * (unsigned)len;
    int64_t number = (int64_t)(value << spare) >> spare;
    text->value =
        slice_make(text->digits, number_format_i64(text->digits, number));
    return true;
}

static bool
take_string(struct reading *reading, struct text *text)
{
    bool is_special;
    uint64_t len = take_len(&reading->in, &is_special);
    if (reading->in.has_failed)
        return false;
    if (!is_special) {
        text->value = bytes_take_slice(&reading->in, len);
        return !reading->in.has_failed;
    }
    switch (len) {
    case STRING_INT8:
        return take_number(reading, 1, text);
    case STRING_INT16:
        return take_number(reading, 2, text);
    case STRING_INT32:
        return take_number(reading, 4, text);
    case STRING_LZF:
        return take_packed(reading, text);
    default:
        return false;
    }
}

/* ---- reading: values ----------------------------------------------------- */

static bool
visit(struct reading *reading, enum key_type type, struct slice first,
    struct slice second)
{
    if (first.len > reading->string_size_max ||
        second.len > reading->string_size_max) {
        reading->status = STATUS_LIMIT;
        return false;
    }
    return reading->visit(type, first, second, reading->arg);
}

static bool
read_string(struct reading *reading, struct text texts[2])
{
    return take_string(reading, &texts[0]) &&
           visit(reading, KEY_STRING, texts[0].value, SLICE(""));
}

static bool
read_list(struct reading *reading, struct text texts[2])
{
    uint64_t count;
    if (!take_count(reading, &count) || count == 0)
        return false;
    for (; count > 0; count--)
        if (!take_string(reading, &texts[0]) ||
            !visit(reading, KEY_LIST, texts[0].value, SLICE("")))
            return false;
    return true;
}

static bool
read_hash(struct reading *reading, struct text texts[2])
{
    uint64_t count;
    if (!take_count(reading, &count) || count == 0)
        return false;
    for (; count > 0; count--)
        if (!take_string(reading, &texts[0]) ||
            !take_string(reading, &texts[1]) ||
            !visit(reading, KEY_HASH, texts[0].value, texts[1].value))
            return false;
    return true;
}

/* An entry of a packed array: of a hash every other one is a field. */
static bool
visit_entry(struct slice value, void *arg)
{
    struct reading *reading = arg;
    bool is_field = reading->type == KEY_HASH && reading->count % 2 == 0;
    reading->count++;
    if (!is_field)
        return reading->type == KEY_HASH
                   ? visit(reading, KEY_HASH, buf_slice(&reading->field), value)
                   : visit(reading, KEY_LIST, value, SLICE(""));
    buf_clear(&reading->field, SIZE_MAX);
    buf_append_slice(&reading->field, value);
    return true;
}

static bool
read_packed(struct reading *reading, struct text texts[2],
    enum rdb_packed_form form, enum key_type type)
{
    reading->type = type;
    reading->count = 0;
    return take_string(reading, &texts[0]) &&
           rdb_packed_each(form, texts[0].value, visit_entry, reading) &&
           reading->count > 0 && (type != KEY_HASH || reading->count % 2 == 0);
}

static bool
read_node(struct reading *reading, struct text texts[2])
{
    uint64_t form;
    if (!take_count(reading, &form))
        return false;
    if (form == NODE_PACKED)
        return read_packed(reading, texts, RDB_PACKED_LISTPACK, KEY_LIST);
    return form == NODE_PLAIN && take_string(reading, &texts[0]) &&
           visit(reading, KEY_LIST, texts[0].value, SLICE(""));
}

static bool
read_quicklist(struct reading *reading, struct text texts[2], bool is_old)
{
    uint64_t count;
    if (!take_count(reading, &count) || count == 0)
        return false;
    for (; count > 0; count--)
        if (!(is_old ? read_packed(reading, texts, RDB_PACKED_ZIPLIST, KEY_LIST)
                     : read_node(reading, texts)))
            return false;
    return true;
}

static bool
read_value(struct reading *reading, struct text texts[2])
{
    switch (bytes_take_u8(&reading->in)) {
    case TYPE_STRING:
        return read_string(reading, texts);
    case TYPE_LIST:
        return read_list(reading, texts);
    case TYPE_HASH:
        return read_hash(reading, texts);
    case TYPE_HASH_ZIPMAP:
        return read_packed(reading, texts, RDB_PACKED_ZIPMAP, KEY_HASH);
    case TYPE_LIST_ZIPLIST:
        return read_packed(reading, texts, RDB_PACKED_ZIPLIST, KEY_LIST);
    case TYPE_HASH_ZIPLIST:
        return read_packed(reading, texts, RDB_PACKED_ZIPLIST, KEY_HASH);
    case TYPE_LIST_QUICKLIST:
        return read_quicklist(reading, texts, true);
    case TYPE_HASH_LISTPACK:
        return read_packed(reading, texts, RDB_PACKED_LISTPACK, KEY_HASH);
    case TYPE_LIST_QUICKLIST_2:
        return read_quicklist(reading, texts, false);
    default:
        return false;
    }
}

enum status
rdb_read(struct slice body, uint64_t string_size_max, rdb_visit_fn visit_fn,
    void *arg)
{
    struct reading reading = {
        .in = bytes_from(body),
        .string_size_max = string_size_max,
        .visit = visit_fn,
        .arg = arg,
        .status = STATUS_INVALID,
        .field = BUF_INIT,
    };
    struct text texts[2] = { { .unpacked = BUF_INIT },
        { .unpacked = BUF_INIT } };
    /* An empty body has no address to read from. */
    bool is_read =
        body.len > 0 && read_value(&reading, texts) && !reading.in.has_failed;
    buf_fini(&reading.field);
    buf_fini(&texts[0].unpacked);
    buf_fini(&texts[1].unpacked);
    return is_read ? STATUS_OK : reading.status;
}

bool
rdb_check_footer(struct slice payload, struct slice *body)
{
    if (payload.len < RDB_FOOTER_SIZE)
        return false;
    size_t len = payload.len - RDB_FOOTER_SIZE;
    const unsigned char *footer = (const unsigned char *)payload.data + len;
    unsigned version = footer[0] | (unsigned)footer[1] << 8;
    uint64_t said = __builtin_bswap64(bytes_get_be64(footer + 2));
    if (version > RDB_VERSION_MAX || said != rdb_crc(0, payload.data, len + 2))
        return false;
    *body = slice_make(payload.data, len);
    return true;
}
