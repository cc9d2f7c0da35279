/*
 * bitmap.c -- SETBIT and GETBIT: a string as a row of bits.
 *
 * Bit 0 is the highest one of the first byte.  One byte is read and written
 * wherever it lies, so a bit of a long value costs one chunk.  A bit that is
 * what it should be already is no change, unless the string grew for it.
 */
#include "server/base/number.h"
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/string.h"

/* A place in the string of a key. */
struct bit {
    size_t byte;
    unsigned mask; /* within the byte */
};

/* argv[2]; false: the error was replied. */
static bool
parse_offset(struct call *call, struct bit *bit)
{
    uint64_t bytes_max = call->server->config.proto_max_bulk_len;
    int64_t offset;
    if (!number_parse_i64(call->argv[2], &offset) || offset < 0 ||
        (uint64_t)offset >> 3 >= bytes_max) {
        reply_error(
            call->reply, "ERR bit offset is not an integer or out of range");
        return false;
    }
    bit->byte = (size_t)offset >> 3;
    bit->mask = 0x80U >> (offset & 7);
    return true;
}

/* Past the end, and where there is no key, every byte is zero. */
static enum status
read_byte(
    struct call *call, const struct key *key, size_t at, unsigned char *byte)
{
    *byte = 0;
    if (key == NULL || at >= string_len(key->string))
        return STATUS_OK;
    if (!string_is_chunked(key->string)) {
        *byte = (unsigned char)string_flat(key->string).data[at];
        return STATUS_OK;
    }
    struct buf bytes = BUF_INIT;
    enum status status = string_read(
        key->string, keyspace_reader(call->keyspace), key->id, at, 1, &bytes);
    if (status == STATUS_OK)
        *byte = (unsigned char)bytes.data[0];
    buf_fini(&bytes);
    return status;
}

/* Put byte at at, in a string that may have to be made or to grow. */
static enum status
write_byte(struct call *call, struct key *key, size_t at, unsigned char byte)
{
    struct slice data = slice_make((const char *)&byte, 1);
    bool is_new = key == NULL;
    if (is_new)
        key = keyspace_set_string(
            call->keyspace, call->db, call->argv[1], SLICE(""), false);
    struct edit edit = keyspace_edit(call->keyspace, key);
    enum status status = string_write(
        &key->string, &edit, keyspace_reader(call->keyspace), at, data);
    if (status == STATUS_OK)
        keyspace_touch(call->keyspace, key);
    else if (is_new)
        keyspace_delete(call->keyspace, key);
    return status;
}

static void
setbit(struct call *call)
{
    struct bit bit;
    int64_t value;
    bool is_wrong;
    if (!parse_offset(call, &bit) ||
        !call_get_i64_in(
            call, 3, 0, 1, &value, "ERR bit is not an integer or out of range"))
        return;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    unsigned char byte;
    enum status status = read_byte(call, key, bit.byte, &byte);
    bool was_set = (byte & bit.mask) != 0;
    bool grows = key == NULL || bit.byte >= string_len(key->string);
    if (status == STATUS_OK && (grows || was_set != (value == 1)))
        status = write_byte(call, key, bit.byte,
            (unsigned char)(value == 1 ? byte | bit.mask : byte & ~bit.mask));
    if (status == STATUS_OK)
        reply_int(call->reply, was_set);
    else
        call_reply_status(call, status);
}

static void
getbit(struct call *call)
{
    struct bit bit;
    bool is_wrong;
    if (!parse_offset(call, &bit))
        return;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    unsigned char byte;
    enum status status = read_byte(call, key, bit.byte, &byte);
    if (status == STATUS_OK)
        reply_int(call->reply, (byte & bit.mask) != 0);
    else
        call_reply_status(call, status);
}

struct command commands_bitmap[] = {
    { .name = "setbit",
        .run = setbit,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_BITMAP,
        .since = "2.2.0",
        .summary = "Sets or clears the bit at offset of the string value. "
                   "Creates the key if it doesn't exist.",
        .complexity = "O(1)",
        .group = "bitmap",
        .syntax = "key offset value" },
    { .name = "getbit",
        .run = getbit,
        .arity = 3,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_BITMAP,
        .since = "2.2.0",
        .summary = "Returns a bit value by offset.",
        .complexity = "O(1)",
        .group = "bitmap",
        .syntax = "key offset" },
    { .name = NULL },
};
