/*
 * string.h -- the string object.
 *
 *   flat     up to STRING_INLINE_SIZE_MAX bytes: one allocation here, and the
 *            value column of the key's row on disk.
 *   chunked  longer: rows of blobs, STRING_CHUNK_SIZE bytes each (the last may
 *            be shorter).  A chunk may be in memory or not; one that is not
 *            stands in its table.  A changed chunk is one row change.
 *
 * A flat string that grows past the limit becomes chunked and stays so until
 * it is written whole again.  A chunk that was never written (SETRANGE far
 * past the end) has no row and reads as zero bytes.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_OBJECTS_STRING_H
#define WALDEN_STORAGE_OBJECTS_STRING_H

#include "storage/objects/edit.h"
#include "storage/store.h"

#define STRING_INLINE_SIZE_MAX (4 * 1024) /* bytes */
#define STRING_CHUNK_SIZE (16 * 1024)     /* bytes */
#define STRING_EMBSTR_SIZE_MAX 44         /* bytes, as Redis */

struct string;

/*
 * A string that holds value.  Chunks, if any, are added to edit.
 * Owns: copies value; the caller owns the answer.
 */
struct string *string_new(const struct edit *edit, struct slice value);
/* From a key's row; a chunked string has no chunk in memory yet. */
struct string *string_load(const struct key_row *row);
void string_free(struct string *string);
/* Free up to count chunks; true: the string is gone too.  For huge ones. */
bool string_free_step(struct string *string, size_t count);

/*
 * Make a flat string hold value, which is short enough to be flat, in the room
 * it has if that fits.  string may move.  false: one of them is not flat;
 * nothing has changed.
 */
bool string_assign(struct string **string, struct slice value);

/*
 * A copy for the key of edit; id owns the original.  Holes stay holes.
 * Fails: as string_read(); chunks may have been added to edit's batch then.
 */
MUST_CHECK enum status string_copy(const struct string *string,
    const struct edit *edit, struct reader *reader, uint64_t id,
    struct string **copy);

size_t string_len(const struct string *string); /* bytes */
bool string_is_chunked(const struct string *string);
/* KEY_INT, KEY_EMBSTR, KEY_RAW or KEY_CHUNKED. */
enum key_encoding string_encoding(const struct string *string);
/* A flat string is not KEY_INT from now on, although it reads as a number. */
void string_mark_text(struct string *string);
/* The bytes of a flat string; lent until it changes. */
struct slice string_flat(const struct string *string);
/* The number, if the whole value is a canonical decimal one. */
bool string_get_i64(const struct string *string, int64_t *value);

/*
 * Append bytes [offset, offset+len) to out; the range lies within the string.
 * Chunks that are not in memory are read through reader and not kept.
 * Fails: STATUS_IO, STATUS_CORRUPT, STATUS_NO_MEMORY; out is then as before.
 */
MUST_CHECK enum status string_read(const struct string *string,
    struct reader *reader, uint64_t id, size_t offset, size_t len,
    struct buf *out);

/*
 * Write data at offset, growing (with zero bytes between) where needed.
 * string may move: the answer goes to *string.  The caller has checked the
 * size limit.  The result's encoding is KEY_RAW or KEY_CHUNKED.
 * Fails: as string_read(); nothing has changed then.
 */
MUST_CHECK enum status string_write(struct string **string,
    const struct edit *edit, struct reader *reader, size_t offset,
    struct slice data);

/* Lay a ROW_BLOB change over a loaded string (put: data; del: NULL). */
void string_apply_chunk(
    struct string *string, uint32_t chunk, const struct slice *data);

size_t string_memory(const struct string *string); /* bytes; O(1) */

#endif
