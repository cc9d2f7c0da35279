/*
 * rowchange.c -- encoding and decoding of row changes.
 *
 * The layout is in rowchange.h.  The encoder runs on LOOP for every command
 * that writes, so it gathers the fixed part on the stack and appends three
 * times at most.  The decoder reads what lay on a disk: it trusts nothing, and
 * refuses what the encoder would not have written (a combination of op and
 * table without meaning, a position of the wrong length), so that whoever
 * applies a change need not look again.
 *
 *   key row (value of a ROW_PUT of ROW_KEY):
 *   varint    db
 *   byte      type
 *   byte      encoding
 *   varint    expire_at_ms + 1, 0: never
 *   varint    version
 *   varint    size
 *   varint    length of name, then name
 *   the rest  value
 */
#include "storage/rowchange.h"

#include "server/base/check.h"

#define VARINT_SIZE_MAX 10
#define CHUNK_NUMBER_SIZE 4
#define SCORE_SIZE 8
/* Leaves the fold room for a table's number beside an id. */
#define ROW_ID_MAX ((UINT64_C(1) << 60) - 1)

/* Which ops mean something for which table: bit op of the table's entry. */
#define OP(op) (1u << (op))
static const uint8_t ops_of_table[ROW_TABLE_COUNT] = {
    [ROW_META] = OP(ROW_PUT) | OP(ROW_DEL),
    [ROW_KEY] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_TOUCH),
    [ROW_HASH] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_DIRECT),
    [ROW_LIST] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_DIRECT),
    [ROW_BLOB] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_DIRECT),
    [ROW_SET] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_DIRECT),
    [ROW_ZSET] = OP(ROW_PUT) | OP(ROW_DEL) | OP(ROW_DIRECT),
    [ROW_DB] = OP(ROW_DROP),
};

static size_t
put_varint(char *out, uint64_t value)
{
    size_t len = 0;

    while (value >= 0x80) {
        out[len++] = (char)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (char)value;
    return len;
}

static size_t
varint_size(uint64_t value)
{
    size_t len = 1;

    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

static bool
has_value(enum row_op op)
{
    return op == ROW_PUT || op == ROW_TOUCH;
}

void
rowchange_append(struct buf *out, const struct row_change *change)
{
    char head[1 + 2 * VARINT_SIZE_MAX];
    size_t len = 0;

    DCHECK(change->table < ROW_TABLE_COUNT);
    DCHECK(ops_of_table[change->table] & OP(change->op));
    head[len++] = (char)((unsigned)change->op << 4 | (unsigned)change->table);
    len += put_varint(head + len, change->id);
    len += put_varint(head + len, change->sub.len);
    buf_append(out, head, len);
    buf_append_slice(out, change->sub);
    if (!has_value(change->op))
        return;
    len = put_varint(head, change->value.len);
    buf_append(out, head, len);
    buf_append_slice(out, change->value);
}

void
rowchange_append_key(struct buf *out, const struct key_row *row)
{
    char head[3 + 7 * VARINT_SIZE_MAX];
    char fixed[2 + 5 * VARINT_SIZE_MAX];
    size_t fixed_len = 0;
    size_t len = 0;

    fixed_len += put_varint(fixed + fixed_len, row->db);
    fixed[fixed_len++] = (char)row->type;
    fixed[fixed_len++] = (char)row->encoding;
    fixed_len += put_varint(fixed + fixed_len, (uint64_t)row->expire_at_ms + 1);
    fixed_len += put_varint(fixed + fixed_len, row->version);
    fixed_len += put_varint(fixed + fixed_len, row->size);

    head[len++] = (char)(ROW_PUT << 4 | ROW_KEY);
    len += put_varint(head + len, row->id);
    len += put_varint(head + len, 0); /* sub */
    len += put_varint(head + len, fixed_len + varint_size(row->name.len) +
                                      row->name.len + row->value.len);
    memcpy(head + len, fixed, fixed_len);
    len += fixed_len;
    len += put_varint(head + len, row->name.len);
    buf_append(out, head, len);
    buf_append_slice(out, row->name);
    buf_append_slice(out, row->value);
}

/* Has sub the length that the table asks for? */
static bool
is_sub_sound(const struct row_change *change)
{
    switch (change->table) {
    case ROW_META:
        return change->sub.len > 0;
    case ROW_KEY:
        if (change->op != ROW_DEL)
            return change->sub.len == 0;
        return change->sub.len == 0 ||
               (change->sub.len == 1 &&
                   (uint8_t)change->sub.data[0] < KEY_TYPE_COUNT);
    case ROW_LIST:
        return change->sub.len == ROWCHANGE_POSITION_SIZE;
    case ROW_BLOB:
        return change->sub.len == CHUNK_NUMBER_SIZE;
    case ROW_DB:
        return change->sub.len == 0;
    default:
        return true;
    }
}

static bool
is_sound(const struct row_change *change)
{
    uint64_t version, size;

    if (change->table >= ROW_TABLE_COUNT || change->op > ROW_DROP ||
        !(ops_of_table[change->table] & OP(change->op)))
        return false;
    if (change->id > ROW_ID_MAX)
        return false;
    if (!is_sub_sound(change))
        return false;
    if (change->op == ROW_TOUCH)
        return rowchange_decode_touch(change, &version, &size) == STATUS_OK;
    return change->table != ROW_ZSET || change->op != ROW_PUT ||
           change->value.len == SCORE_SIZE;
}

enum status
rowchange_next(struct bytes *bytes, struct row_change *change)
{
    struct row_change next;
    uint8_t head;

    if (bytes_left(bytes) == 0 && !bytes->has_failed)
        return STATUS_NOT_FOUND;
    head = bytes_take_u8(bytes);
    next.op = (enum row_op)(head >> 4);
    next.table = (enum row_table)(head & 15);
    next.id = bytes_take_varint(bytes);
    next.sub = bytes_take_slice(bytes, (size_t)bytes_take_varint(bytes));
    next.value = (struct slice){ NULL, 0 };
    if (has_value(next.op))
        next.value = bytes_take_slice(bytes, (size_t)bytes_take_varint(bytes));
    if (bytes->has_failed || !is_sound(&next)) {
        bytes->has_failed = true; /* nor is what follows to be trusted */
        return STATUS_CORRUPT;
    }
    *change = next;
    return STATUS_OK;
}

enum status
rowchange_decode_key(const struct row_change *change, struct key_row *row)
{
    struct bytes bytes = bytes_from(change->value);
    struct key_row out = { .id = change->id };
    uint64_t db;

    db = bytes_take_varint(&bytes);
    out.db = (uint32_t)db;
    out.type = bytes_take_u8(&bytes);
    out.encoding = bytes_take_u8(&bytes);
    out.expire_at_ms = (int64_t)(bytes_take_varint(&bytes) - 1);
    out.version = bytes_take_varint(&bytes);
    out.size = bytes_take_varint(&bytes);
    out.name = bytes_take_slice(&bytes, (size_t)bytes_take_varint(&bytes));
    out.value = bytes_take_slice(&bytes, bytes_left(&bytes));
    if (bytes.has_failed || db > UINT32_MAX || out.type == KEY_NONE ||
        out.type >= KEY_TYPE_COUNT || out.encoding > KEY_STREAM_TREE)
        return STATUS_CORRUPT;
    *row = out;
    return STATUS_OK;
}

enum status
rowchange_decode_touch(
    const struct row_change *change, uint64_t *version, uint64_t *size)
{
    struct bytes bytes = bytes_from(change->value);
    uint64_t v = bytes_take_varint(&bytes);
    uint64_t s = bytes_take_varint(&bytes);

    if (bytes.has_failed || bytes_left(&bytes) != 0)
        return STATUS_CORRUPT;
    *version = v;
    *size = s;
    return STATUS_OK;
}
