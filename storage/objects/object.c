/*
 * object.c -- the table of the kinds of objects.
 *
 * The functions below only give the functions of each kind one shape.
 */
#include "server/base/bytes.h"
#include "server/base/check.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"
#include "storage/objects/string.h"

#include "storage/objects/object.h"

/* ---- string -------------------------------------------------------------- */

static void *
load_string(const struct key_row *row)
{
    return string_load(row);
}

static void
apply_string(void *object, struct slice sub, const struct slice *value)
{
    if (sub.len == sizeof(uint32_t))
        string_apply_chunk(object, bytes_get_be32(sub.data), value);
}

static size_t
string_size(const void *object)
{
    return string_len(object);
}

static size_t
memory_of_string(const void *object)
{
    return string_memory(object);
}

static enum key_encoding
encoding_of_string(const void *object)
{
    return string_encoding(object);
}

static size_t
parts_of_string(const void *object)
{
    return string_is_chunked(object) ? string_len(object) / STRING_CHUNK_SIZE
                                     : 0;
}

static bool
free_string_step(void *object, size_t count)
{
    return string_free_step(object, count);
}

static enum status
copy_string(const void *object, const struct edit *edit, struct reader *reader,
    uint64_t id, void **copy)
{
    struct string *string;
    enum status status = string_copy(object, edit, reader, id, &string);

    if (status == STATUS_OK)
        *copy = string;
    return status;
}

static void
check_string(const void *object)
{
    (void)object;
}

/* ---- list ---------------------------------------------------------------- */

static void *
load_list(const struct key_row *row)
{
    struct list *list = list_new();

    list_set_encoding(list, (enum key_encoding)row->encoding);
    return list;
}

static void
apply_list(void *object, struct slice sub, const struct slice *value)
{
    int64_t position;

    if (sub.len != ROWCHANGE_POSITION_SIZE)
        return;
    position = rowchange_get_position(sub.data);
    if (value != NULL)
        list_apply_put(object, position, *value);
    else
        list_apply_del(object, position);
}

static size_t
size_of_list(const void *object)
{
    return list_len(object);
}

static size_t
memory_of_list(const void *object)
{
    return list_memory(object);
}

static enum key_encoding
encoding_of_list(const void *object)
{
    return list_encoding(object);
}

static bool
free_list_step(void *object, size_t count)
{
    return list_free_step(object, count);
}

static enum status
copy_list(const void *object, const struct edit *edit, struct reader *reader,
    uint64_t id, void **copy)
{
    struct list *list = list_new();
    struct list_iter iter;
    struct slice value;

    (void)reader;
    (void)id;
    list_iter_start(&iter, object, 0, LIST_HEAD);
    while (list_iter_next(&iter, &value))
        list_push(list, edit, LIST_TAIL, value);
    list_set_encoding(list, list_encoding(object));
    *copy = list;
    return STATUS_OK;
}

static void
check_list(const void *object)
{
    list_check(object);
}

/* ---- hash ---------------------------------------------------------------- */

static void *
load_hash(const struct key_row *row)
{
    return hash_object_new(
        row->encoding == KEY_HASHTABLE ? KEY_HASHTABLE : KEY_LISTPACK);
}

static void
apply_hash(void *object, struct slice sub, const struct slice *value)
{
    if (value != NULL)
        hash_object_apply_put(object, sub, *value);
    else
        hash_object_apply_del(object, sub);
}

static size_t
size_of_hash(const void *object)
{
    return hash_object_len(object);
}

static size_t
memory_of_hash(const void *object)
{
    return hash_object_memory(object);
}

static enum key_encoding
encoding_of_hash(const void *object)
{
    return hash_object_encoding(object);
}

static bool
free_hash_step(void *object, size_t count)
{
    return hash_object_free_step(object, count);
}

struct copying {
    struct hash_object *copy;
    const struct edit *edit;
};

static void
copy_field(struct slice field, struct slice value, void *arg)
{
    const struct copying *copying = arg;

    (void)hash_object_put(copying->copy, copying->edit, field, value);
}

static enum status
copy_hash(const void *object, const struct edit *edit, struct reader *reader,
    uint64_t id, void **copy)
{
    struct copying copying = { hash_object_new(hash_object_encoding(object)),
        edit };

    (void)reader;
    (void)id;
    hash_object_each(object, copy_field, &copying);
    *copy = copying.copy;
    return STATUS_OK;
}

static void
check_hash(const void *object)
{
    hash_object_check(object);
}

/* ---- the table ----------------------------------------------------------- */

static const struct object_kind kinds[KEY_TYPE_COUNT] = {
    [KEY_STRING] = { .table = ROW_BLOB,
        .load = load_string,
        .apply = apply_string,
        .size = string_size,
        .memory = memory_of_string,
        .encoding = encoding_of_string,
        .parts = parts_of_string,
        .free_step = free_string_step,
        .copy = copy_string,
        .check = check_string },
    [KEY_LIST] = { .table = ROW_LIST,
        .load = load_list,
        .apply = apply_list,
        .size = size_of_list,
        .memory = memory_of_list,
        .encoding = encoding_of_list,
        .parts = size_of_list,
        .free_step = free_list_step,
        .copy = copy_list,
        .check = check_list,
        .is_loaded_whole = true,
        .goes_when_empty = true },
    [KEY_HASH] = { .table = ROW_HASH,
        .load = load_hash,
        .apply = apply_hash,
        .size = size_of_hash,
        .memory = memory_of_hash,
        .encoding = encoding_of_hash,
        .parts = size_of_hash,
        .free_step = free_hash_step,
        .copy = copy_hash,
        .check = check_hash,
        .is_loaded_whole = true,
        .goes_when_empty = true },
};

bool
object_has_kind(uint8_t type)
{
    return type < KEY_TYPE_COUNT && kinds[type].load != NULL;
}

const struct object_kind *
object_kind(uint8_t type)
{
    DCHECK(object_has_kind(type));
    return &kinds[type];
}

void
object_free(uint8_t type, void *object)
{
    if (object == NULL)
        return;
    while (!kinds[type].free_step(object, SIZE_MAX))
        continue;
}
