/*
 * string.c -- the string object, flat or in chunks.
 *
 *   flat       struct string | bytes ...            one allocation
 *   chunked    struct chunked -> chunks[] -> bytes
 *
 * A chunk that is not present in memory stands in its table, or was never
 * written and reads as zero bytes; the table's answer tells which.  A present
 * chunk may be shorter than its span: the rest of the span, up to the length
 * of the string, is zero bytes too.  That way a string that grows past a
 * short last chunk need not write that chunk again.
 *
 * Chunks are separate allocations of up to STRING_CHUNK_SIZE bytes, and the
 * length of each stands in the table of chunks, not before its bytes: a header
 * there would push a full chunk into the allocator's next size class.
 */
#include <string.h>

#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "storage/objects/sizeclass.h"

#include "storage/objects/string.h"

#define CHUNK_SUB_SIZE 4        /* bytes of a chunk number in a row change */
#define FLAT_SLACK_MAX 4        /* keep a buffer up to so many times the need */
#define I64_TEXT_SIZE_MAX 20    /* "-9223372036854775808" */
#define CHUNK_ALLOC_SIZE_MIN 64 /* bytes */

struct string {
    uint64_t len;     /* bytes of the value */
    uint32_t size;    /* flat: bytes of room after this header */
    uint8_t encoding; /* enum key_encoding */
};

struct chunk {
    char *data;      /* NULL if len is 0 */
    uint32_t len;    /* bytes present; zero bytes follow */
    bool is_present; /* false: see the table */
};

struct chunked {
    struct string head;
    struct chunk *chunks;
    size_t chunks_size; /* entries of chunks; further ones are not present */
    size_t memory;      /* bytes of chunks[] and of the chunks */
};

static char *
flat_data(const struct string *string)
{
    return (char *)(uintptr_t)(string + 1);
}

static struct chunked *
as_chunked(const struct string *string)
{
    DCHECK(string->encoding == KEY_CHUNKED);
    return (struct chunked *)(uintptr_t)string;
}

/* ---- flat ---------------------------------------------------------------- */

/* What OBJECT ENCODING says of a value that was set as a whole. */
static enum key_encoding
encoding_of(struct slice value)
{
    int64_t number;

    if (value.len <= I64_TEXT_SIZE_MAX && number_parse_i64(value, &number))
        return KEY_INT;
    return value.len <= STRING_EMBSTR_SIZE_MAX ? KEY_EMBSTR : KEY_RAW;
}

static struct string *
flat_new(size_t len)
{
    size_t size = sizeclass_round(sizeof(struct string) + len);
    struct string *string = memory_alloc(size);

    string->len = len;
    string->size = (uint32_t)(size - sizeof(struct string));
    string->encoding = KEY_RAW;
    return string;
}

static void
flat_write(struct string **string, size_t offset, struct slice data)
{
    struct string *flat = *string;
    size_t end = offset + data.len;

    if (end > flat->size) {
        size_t want = end < STRING_INLINE_SIZE_MAX / 2 ? end * 2 : end;
        size_t size = sizeclass_round(sizeof(struct string) + want);
        flat = memory_realloc(flat, size);
        flat->size = (uint32_t)(size - sizeof(struct string));
        *string = flat;
    }
    if (offset > flat->len)
        memset(flat_data(flat) + flat->len, 0, offset - flat->len);
    memcpy(flat_data(flat) + offset, data.data, data.len);
    if (end > flat->len)
        flat->len = end;
    flat->encoding = KEY_RAW;
}

/* ---- chunks -------------------------------------------------------------- */

static struct chunked *
chunked_new(uint64_t len)
{
    struct chunked *chunked = memory_zalloc(sizeof(*chunked));

    chunked->head.len = len;
    chunked->head.encoding = KEY_CHUNKED;
    return chunked;
}

static void
chunked_reserve(struct chunked *chunked, size_t count)
{
    size_t old = chunked->chunks_size;
    size_t size = count;

    if (count <= old)
        return;
    if (size < old + old / 2) /* appending stays O(1) */
        size = old + old / 2;
    chunked->chunks =
        memory_realloc(chunked->chunks, size * sizeof(struct chunk));
    memset(chunked->chunks + old, 0, (size - old) * sizeof(struct chunk));
    chunked->chunks_size = size;
    chunked->memory += (size - old) * sizeof(struct chunk);
}

static size_t
chunk_alloc_size(size_t len)
{
    size_t size = CHUNK_ALLOC_SIZE_MIN;

    while (size < len)
        size *= 2;
    return size;
}

/* Make room for len bytes in a chunk; its new bytes are zero. */
static void
chunk_grow(struct chunked *chunked, struct chunk *chunk, size_t len)
{
    size_t old = chunk->data != NULL ? chunk_alloc_size(chunk->len) : 0;
    size_t size = chunk_alloc_size(len);

    DCHECK(len <= STRING_CHUNK_SIZE);
    chunk->is_present = true;
    if (len <= chunk->len)
        return;
    if (size != old) {
        chunk->data = memory_realloc(chunk->data, size);
        chunked->memory += size - old;
    }
    memset(chunk->data + chunk->len, 0, len - chunk->len);
    chunk->len = (uint32_t)len;
}

static void
chunk_forget(struct chunked *chunked, struct chunk *chunk)
{
    if (chunk->data != NULL) {
        chunked->memory -= chunk_alloc_size(chunk->len);
        memory_free(chunk->data);
    }
    *chunk = (struct chunk){ NULL, 0, false };
}

static void
chunk_fill(struct chunked *chunked, size_t index, struct slice data)
{
    chunked_reserve(chunked, index + 1);
    chunk_forget(chunked, &chunked->chunks[index]);
    chunk_grow(chunked, &chunked->chunks[index], data.len);
    if (data.len > 0)
        memcpy(chunked->chunks[index].data, data.data, data.len);
}

static void
chunk_emit(const struct chunked *chunked, const struct edit *edit, size_t index)
{
    const struct chunk *chunk = &chunked->chunks[index];
    char sub[CHUNK_SUB_SIZE];
    struct row_change change = { .op = ROW_PUT, .table = ROW_BLOB };

    if (edit == NULL)
        return;
    bytes_put_be32(sub, (uint32_t)index);
    change.id = edit->id;
    change.sub = slice_make(sub, sizeof(sub));
    change.value = slice_make(chunk->data, chunk->len);
    batch_add(edit->batch, &change);
}

/* The chunk's row; an empty value if it has none. */
static enum status
chunk_read(
    struct reader *reader, uint64_t id, size_t index, struct slice *value)
{
    char sub[CHUNK_SUB_SIZE];
    enum status status;

    *value = slice_make(NULL, 0);
    if (reader == NULL)
        return STATUS_OK;
    bytes_put_be32(sub, (uint32_t)index);
    status = reader_find_element(
        reader, ROW_BLOB, id, slice_make(sub, sizeof(sub)), value);
    if (status == STATUS_NOT_FOUND) {
        *value = slice_make(NULL, 0);
        return STATUS_OK;
    }
    if (status == STATUS_OK && value->len > STRING_CHUNK_SIZE)
        return STATUS_CORRUPT;
    return status;
}

/*
 * Before bytes [from, to) of chunk index are written: have what stays of it
 * in memory.  Nothing stays of a chunk that is written whole.
 */
static enum status
chunk_load_for_write(struct chunked *chunked, struct reader *reader,
    uint64_t id, size_t index, size_t from, size_t to)
{
    size_t start = index * STRING_CHUNK_SIZE;
    struct slice value;
    enum status status;

    if (index < chunked->chunks_size && chunked->chunks[index].is_present)
        return STATUS_OK;
    if (start >= chunked->head.len)
        return STATUS_OK;
    if (from == 0 &&
        (to == STRING_CHUNK_SIZE || start + to >= chunked->head.len))
        return STATUS_OK;
    status = chunk_read(reader, id, index, &value);
    if (status == STATUS_OK)
        chunk_fill(chunked, index, value);
    return status;
}

static enum status
chunked_write(struct chunked *chunked, const struct edit *edit,
    struct reader *reader, size_t offset, struct slice data)
{
    size_t end = offset + data.len;
    size_t first = offset / STRING_CHUNK_SIZE;
    size_t last = (end - 1) / STRING_CHUNK_SIZE;
    uint64_t id = edit != NULL ? edit->id : 0;
    enum status status;

    status = chunk_load_for_write(chunked, reader, id, first,
        offset % STRING_CHUNK_SIZE,
        first == last ? end - first * STRING_CHUNK_SIZE : STRING_CHUNK_SIZE);
    if (status == STATUS_OK && first != last)
        status = chunk_load_for_write(
            chunked, reader, id, last, 0, end - last * STRING_CHUNK_SIZE);
    if (status != STATUS_OK)
        return status;

    chunked_reserve(chunked, last + 1);
    for (size_t i = first; i <= last; i++) {
        size_t start = i * STRING_CHUNK_SIZE;
        size_t from = i == first ? offset - start : 0;
        size_t to = i == last ? end - start : STRING_CHUNK_SIZE;
        chunk_grow(chunked, &chunked->chunks[i], to);
        memcpy(chunked->chunks[i].data + from,
            data.data + (start + from - offset), to - from);
        chunk_emit(chunked, edit, i);
    }
    if (end > chunked->head.len)
        chunked->head.len = end;
    return STATUS_OK;
}

/* A flat string that outgrows its limit: its bytes become chunk 0. */
static struct chunked *
chunked_from_flat(const struct string *flat)
{
    struct chunked *chunked = chunked_new(flat->len);

    if (flat->len > 0)
        chunk_fill(chunked, 0, slice_make(flat_data(flat), flat->len));
    return chunked;
}

/* ---- public -------------------------------------------------------------- */

struct string *
string_new(const struct edit *edit, struct slice value)
{
    struct string *string;

    if (value.len <= STRING_INLINE_SIZE_MAX) {
        string = flat_new(value.len);
        if (value.len > 0)
            memcpy(flat_data(string), value.data, value.len);
        string->encoding = (uint8_t)encoding_of(value);
        return string;
    }
    string = &chunked_new(0)->head;
    /* An empty string has no chunk to read, so this cannot fail. */
    CHECK(chunked_write(as_chunked(string), edit, NULL, 0, value) == STATUS_OK);
    return string;
}

struct string *
string_load(const struct key_row *row)
{
    struct string *string;

    if (row->encoding == KEY_CHUNKED)
        return &chunked_new(row->size)->head;
    string = flat_new(row->value.len);
    if (row->value.len > 0)
        memcpy(flat_data(string), row->value.data, row->value.len);
    string->encoding = row->encoding;
    return string;
}

enum status
string_copy(const struct string *string, const struct edit *edit,
    struct reader *reader, uint64_t id, struct string **copy)
{
    struct chunked *chunked;
    size_t count;

    if (!string_is_chunked(string)) {
        *copy = flat_new(string->len);
        memcpy(flat_data(*copy), flat_data(string), string->len);
        (*copy)->encoding = string->encoding;
        return STATUS_OK;
    }
    chunked = chunked_new(string->len);
    count = (string->len + STRING_CHUNK_SIZE - 1) / STRING_CHUNK_SIZE;
    for (size_t i = 0; i < count; i++) {
        const struct chunked *from = as_chunked(string);
        struct slice value;
        if (i < from->chunks_size && from->chunks[i].is_present) {
            value = slice_make(from->chunks[i].data, from->chunks[i].len);
        } else {
            enum status status = chunk_read(reader, id, i, &value);
            if (status != STATUS_OK) {
                string_free(&chunked->head);
                return status;
            }
        }
        if (value.len == 0)
            continue; /* stays a hole: no row, reads as zero bytes */
        chunk_fill(chunked, i, value);
        chunk_emit(chunked, edit, i);
    }
    *copy = &chunked->head;
    return STATUS_OK;
}

bool
string_assign(struct string **string, struct slice value)
{
    struct string *flat = *string;

    if (string_is_chunked(flat) || value.len > STRING_INLINE_SIZE_MAX)
        return false;
    if (value.len > flat->size ||
        flat->size > FLAT_SLACK_MAX * (value.len + sizeof(*flat))) {
        memory_free(flat);
        flat = flat_new(value.len);
        *string = flat;
    }
    flat->len = value.len;
    if (value.len > 0)
        memcpy(flat_data(flat), value.data, value.len);
    flat->encoding = (uint8_t)encoding_of(value);
    return true;
}

void
string_free(struct string *string)
{
    struct chunked *chunked;

    if (string == NULL)
        return;
    if (string_is_chunked(string)) {
        chunked = as_chunked(string);
        for (size_t i = 0; i < chunked->chunks_size; i++)
            memory_free(chunked->chunks[i].data);
        memory_free(chunked->chunks);
    }
    memory_free(string);
}

bool
string_free_step(struct string *string, size_t count)
{
    struct chunked *chunked;

    if (string_is_chunked(string)) {
        chunked = as_chunked(string);
        while (chunked->chunks_size > 0 && count-- > 0)
            memory_free(chunked->chunks[--chunked->chunks_size].data);
        if (chunked->chunks_size > 0)
            return false;
    }
    string_free(string);
    return true;
}

size_t
string_len(const struct string *string)
{
    return string->len;
}

bool
string_is_chunked(const struct string *string)
{
    return string->encoding == KEY_CHUNKED;
}

enum key_encoding
string_encoding(const struct string *string)
{
    return (enum key_encoding)string->encoding;
}

void
string_mark_text(struct string *string)
{
    DCHECK(!string_is_chunked(string));
    if (string->encoding == KEY_INT)
        string->encoding =
            string->len <= STRING_EMBSTR_SIZE_MAX ? KEY_EMBSTR : KEY_RAW;
}

struct slice
string_flat(const struct string *string)
{
    DCHECK(!string_is_chunked(string));
    return slice_make(flat_data(string), string->len);
}

bool
string_get_i64(const struct string *string, int64_t *value)
{
    if (string_is_chunked(string) || string->len > I64_TEXT_SIZE_MAX)
        return false;
    return number_parse_i64(string_flat(string), value);
}

enum status
string_read(const struct string *string, struct reader *reader, uint64_t id,
    size_t offset, size_t len, struct buf *out)
{
    const struct chunked *chunked;
    size_t before = out->len;
    enum status status;

    DCHECK(offset <= string->len && len <= string->len - offset);
    status = buf_try_reserve(out, len);
    if (status != STATUS_OK)
        return status;
    if (!string_is_chunked(string)) {
        buf_append(out, flat_data(string) + offset, len);
        return STATUS_OK;
    }
    chunked = as_chunked(string);
    for (size_t end = offset + len; offset < end;) {
        size_t index = offset / STRING_CHUNK_SIZE;
        size_t from = offset % STRING_CHUNK_SIZE;
        size_t want = STRING_CHUNK_SIZE - from;
        size_t have;
        struct slice value;
        if (want > end - offset)
            want = end - offset;
        if (index < chunked->chunks_size && chunked->chunks[index].is_present) {
            const struct chunk *chunk = &chunked->chunks[index];
            value = slice_make(chunk->data, chunk->len);
        } else {
            status = chunk_read(reader, id, index, &value);
            if (status != STATUS_OK) {
                out->len = before;
                return status;
            }
        }
        have = value.len > from ? value.len - from : 0;
        if (have > want)
            have = want;
        if (have > 0)
            memcpy(out->data + out->len, value.data + from, have);
        memset(out->data + out->len + have, 0, want - have);
        out->len += want;
        offset += want;
    }
    return STATUS_OK;
}

enum status
string_write(struct string **string, const struct edit *edit,
    struct reader *reader, size_t offset, struct slice data)
{
    struct chunked *chunked;

    if (data.len == 0) { /* raw all the same, as in Redis */
        if (!string_is_chunked(*string))
            (*string)->encoding = KEY_RAW;
        return STATUS_OK;
    }
    if (string_is_chunked(*string))
        return chunked_write(as_chunked(*string), edit, reader, offset, data);
    if (offset + data.len <= STRING_INLINE_SIZE_MAX) {
        flat_write(string, offset, data);
        return STATUS_OK;
    }
    chunked = chunked_from_flat(*string);
    if (offset >= STRING_CHUNK_SIZE && chunked->head.len > 0)
        chunk_emit(chunked, edit, 0); /* the write below does not reach it */
    /* All there is is in memory, so this cannot fail. */
    CHECK(chunked_write(chunked, edit, NULL, offset, data) == STATUS_OK);
    string_free(*string);
    *string = &chunked->head;
    return STATUS_OK;
}

void
string_apply_chunk(
    struct string *string, uint32_t chunk, const struct slice *data)
{
    struct slice value = data != NULL ? *data : slice_make(NULL, 0);

    if (!string_is_chunked(string) || value.len > STRING_CHUNK_SIZE)
        return;
    chunk_fill(as_chunked(string), chunk, value);
}

size_t
string_memory(const struct string *string)
{
    if (string_is_chunked(string))
        return sizeof(struct chunked) + as_chunked(string)->memory;
    return sizeof(struct string) + string->size;
}
