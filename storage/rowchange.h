/*
 * rowchange.h -- one change of one row, and how it is written down.
 *
 * Everything the server does to its data becomes a sequence of row changes.
 * They are idempotent: applying a sequence twice, or again from any earlier
 * point, gives the same tables.  The journal table holds them encoded one
 * after another:
 *
 *   byte      op (high 4 bits) | table (low 4 bits)
 *   varint    id: of the key whose row or element this is (0 for meta)
 *   varint    length of sub, then sub: which element (see the table below)
 *   varint    length of value, then value          (ROW_PUT only)
 *
 *   table      sub                             value
 *   ROW_META   name                            value
 *   ROW_KEY    -                               struct key_row, encoded
 *   ROW_HASH   field                           value
 *   ROW_LIST   position, 8 bytes, see below    value
 *   ROW_BLOB   chunk number, 4 bytes BE        bytes of the chunk
 *   ROW_SET    member                          -
 *   ROW_ZSET   member                          score, 8 bytes BE of the double
 *   ROW_DB     -  (id: physical database)      -
 *
 * A list position is a signed 64-bit number, stored big-endian with the sign
 * bit flipped so that memcmp order is number order.
 *
 *   op
 *   ROW_PUT     the row is value from now on
 *   ROW_DEL     the row is not there.  ROW_KEY: neither is any element of id
 *               (sub: 1 byte, enum key_type, so that they can be found)
 *   ROW_TOUCH   ROW_KEY only: value = varint version, varint size.  The rest
 *               of the key's row stays as it is.
 *   ROW_DIRECT  the row was written straight into its table in the same
 *               transaction: older pending changes of it are void
 *   ROW_DROP    ROW_DB: everything of that physical database is garbage
 *
 * ids are never reused, so nothing can follow the ROW_DEL of a key's row under
 * the same id.
 */
#ifndef WALDEN_STORAGE_ROWCHANGE_H
#define WALDEN_STORAGE_ROWCHANGE_H

#include "server/base/buf.h"
#include "server/base/bytes.h"

enum row_table {
    ROW_META,
    ROW_KEY,
    ROW_HASH,
    ROW_LIST,
    ROW_BLOB,
    ROW_SET,
    ROW_ZSET,
    ROW_DB,
    ROW_TABLE_COUNT
};

/* Bytes of a ROW_TOUCH's value at most: two varints. */
#define ROW_TOUCH_SIZE_MAX 20

enum row_op { ROW_PUT = 1, ROW_DEL, ROW_TOUCH, ROW_DIRECT, ROW_DROP };

/* Stored in the file; never renumber. */
enum key_type {
    KEY_NONE = 0,
    KEY_STRING = 1,
    KEY_LIST = 2,
    KEY_SET = 3,
    KEY_ZSET = 4,
    KEY_HASH = 5,
    KEY_STREAM = 6,
    KEY_TYPE_COUNT
};

/* Stored in the file; never renumber.  What OBJECT ENCODING says, and for */
/* strings where the value is. */
enum key_encoding {
    KEY_RAW = 0,      /* string: value in the key's row */
    KEY_INT = 1,      /* string: as KEY_RAW, canonical decimal number */
    KEY_EMBSTR = 2,   /* string: as KEY_RAW, up to 44 bytes, never changed */
    KEY_CHUNKED = 3,  /* string: value in blobs; prints as raw */
    KEY_LISTPACK = 4, /* small list, hash, set, zset */
    KEY_QUICKLIST = 5,
    KEY_HASHTABLE = 6,
    KEY_INTSET = 7,
    KEY_SKIPLIST = 8,
    KEY_STREAM_TREE = 9
};

/* The row of table keys. */
struct key_row {
    uint64_t id;
    uint32_t db;          /* physical database number */
    uint8_t type;         /* enum key_type */
    uint8_t encoding;     /* enum key_encoding */
    int64_t expire_at_ms; /* wall clock, ms since 1970; -1: never */
    uint64_t version;     /* batch seq << 20 | order within the batch */
    uint64_t size;        /* elements, or bytes of a string */
    struct slice name;    /* lent */
    struct slice value;   /* lent; strings that are not chunked, else empty */
};

/*
 * Bytes of sub and value together, or of a key's name and value: what a row of
 * SQLite holds (SQLITE_MAX_LENGTH) without its header.  Commands refuse more:
 * a batch with such a row could never be committed.
 */
#define ROWCHANGE_SIZE_MAX (1000 * 1000 * 1000 - 64 * 1024)

struct row_change {
    enum row_op op;
    enum row_table table;
    uint64_t id;
    struct slice sub;   /* lent */
    struct slice value; /* lent */
};

/* Append change, encoded.  value only matters for ROW_PUT and ROW_TOUCH. */
void rowchange_append(struct buf *out, const struct row_change *change);
/* Append the ROW_PUT of a key's row. */
void rowchange_append_key(struct buf *out, const struct key_row *row);

/* The next change at the cursor; slices are lent from its bytes. */
/* STATUS_NOT_FOUND: the end.  STATUS_CORRUPT: not an encoding of anything. */
MUST_CHECK enum status rowchange_next(
    struct bytes *bytes, struct row_change *change);
/* Decode the value of a ROW_PUT of ROW_KEY. */
MUST_CHECK enum status rowchange_decode_key(
    const struct row_change *change, struct key_row *row);
/* Decode the value of a ROW_TOUCH. */
MUST_CHECK enum status rowchange_decode_touch(
    const struct row_change *change, uint64_t *version, uint64_t *size);

/* List positions as they stand in sub. */
#define ROWCHANGE_POSITION_SIZE 8
static inline void
rowchange_put_position(char sub[ROWCHANGE_POSITION_SIZE], int64_t position)
{
    bytes_put_be64(sub, (uint64_t)position ^ (UINT64_C(1) << 63));
}
static inline int64_t
rowchange_get_position(const char *sub)
{
    return (int64_t)(bytes_get_be64(sub) ^ (UINT64_C(1) << 63));
}

#endif
