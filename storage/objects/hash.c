/*
 * hash.c -- the hash object.
 *
 *   listpack    slots[]: { tag, entry } in insertion order, searched by tag
 *   hashtable   struct map of the same entries
 *
 * An entry is one allocation that holds the field and then the value, and it
 * is the same in both forms, so that growing from one to the other moves
 * pointers only.  The tag is a cheap hash of the field's length and its first
 * and last bytes: the search reads one array and touches an entry only when
 * the tag fits.  The hash under which an entry stands in the map is computed
 * when it gets there.
 *
 * A value that is replaced reuses the entry's room if it fits.
 */
#include <string.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/base/random.h"
#include "storage/objects/sizeclass.h"

#include "storage/objects/hash.h"

#define SLOTS_FIRST 4 /* slots of a listpack at first */

struct hash_object_limits hash_object_limits = { 128, 64 };

struct entry {
    struct map_node node;
    uint32_t field_len, value_len;
    char data[]; /* field, then value */
};

struct slot {
    uint64_t tag;
    struct entry *entry;
};

struct hash_object {
    struct map map;     /* KEY_HASHTABLE */
    struct slot *slots; /* KEY_LISTPACK, in insertion order */
    uint32_t slots_count, slots_size;
    uint8_t encoding;
    size_t memory; /* bytes of entries and slots, not of the map's table */
};

/* ---- entries ------------------------------------------------------------- */

static size_t
entry_alloc_size(size_t field_len, size_t value_len)
{
    return sizeclass_round(sizeof(struct entry) + field_len + value_len);
}

static size_t
entry_size(const struct entry *entry)
{
    return entry_alloc_size(entry->field_len, entry->value_len);
}

static struct slice
entry_field(const struct entry *entry)
{
    return slice_make(entry->data, entry->field_len);
}

static struct slice
entry_value(const struct entry *entry)
{
    return slice_make(entry->data + entry->field_len, entry->value_len);
}

static void
entry_set_value(struct entry *entry, struct slice value)
{
    entry->value_len = (uint32_t)value.len;
    if (value.len > 0)
        memmove(entry->data + entry->field_len, value.data, value.len);
}

static struct entry *
entry_new(struct hash_object *hash, struct slice field, struct slice value)
{
    size_t size = entry_alloc_size(field.len, value.len);
    struct entry *entry = memory_alloc(size);

    entry->field_len = (uint32_t)field.len;
    if (field.len > 0)
        memcpy(entry->data, field.data, field.len);
    entry_set_value(entry, value);
    hash->memory += size;
    return entry;
}

static void
entry_free(struct hash_object *hash, struct entry *entry)
{
    hash->memory -= entry_size(entry);
    memory_free(entry);
}

static struct entry *
entry_of(const struct map_node *node)
{
    return MAP_ENTRY((uintptr_t)node, struct entry, node);
}

static bool
entry_matches(const struct map_node *node, const void *key)
{
    return slice_equal(entry_field(entry_of(node)), *(const struct slice *)key);
}

/* ---- listpack ------------------------------------------------------------ */

static uint64_t
tag_of(struct slice field)
{
    uint64_t head = 0, tail = 0;
    size_t len = field.len < sizeof(head) ? field.len : sizeof(head);

    if (len > 0) {
        memcpy(&head, field.data, len);
        memcpy(&tail, field.data + field.len - len, len);
    }
    return hash_u64(head ^ field.len) ^ tail;
}

/* The index of field, or slots_count. */
static size_t
slots_find(const struct hash_object *hash, struct slice field)
{
    uint64_t tag = tag_of(field);

    for (size_t i = 0; i < hash->slots_count; i++)
        if (hash->slots[i].tag == tag &&
            slice_equal(entry_field(hash->slots[i].entry), field))
            return i;
    return hash->slots_count;
}

static void
slots_push(struct hash_object *hash, struct entry *entry)
{
    if (hash->slots_count == hash->slots_size) {
        uint32_t size =
            hash->slots_size > 0 ? hash->slots_size * 2 : SLOTS_FIRST;
        hash->slots = memory_realloc(hash->slots, size * sizeof(struct slot));
        hash->memory += (size - hash->slots_size) * sizeof(struct slot);
        hash->slots_size = size;
    }
    hash->slots[hash->slots_count++] =
        (struct slot){ tag_of(entry_field(entry)), entry };
}

/* From now on a map, for good. */
static void
convert(struct hash_object *hash)
{
    for (size_t i = 0; i < hash->slots_count; i++) {
        struct entry *entry = hash->slots[i].entry;
        map_add(&hash->map, &entry->node, hash_slice(entry_field(entry)));
    }
    hash->memory -= hash->slots_size * sizeof(struct slot);
    memory_free(hash->slots);
    hash->slots = NULL;
    hash->slots_count = hash->slots_size = 0;
    hash->encoding = KEY_HASHTABLE;
}

/* ---- both ---------------------------------------------------------------- */

static struct entry *
find(const struct hash_object *hash, struct slice field)
{
    struct map_node *node;
    size_t at;

    if (hash->encoding == KEY_LISTPACK) {
        at = slots_find(hash, field);
        return at < hash->slots_count ? hash->slots[at].entry : NULL;
    }
    node = map_find(&hash->map, hash_slice(field), entry_matches, &field);
    return node != NULL ? entry_of(node) : NULL;
}

static void
replace_value(struct hash_object *hash, struct entry *stale, struct slice value)
{
    size_t size = entry_alloc_size(stale->field_len, value.len);
    struct entry *fresh;

    if (size == entry_size(stale)) {
        entry_set_value(stale, value);
        return;
    }
    fresh = entry_new(hash, entry_field(stale), value);
    if (hash->encoding == KEY_LISTPACK)
        hash->slots[slots_find(hash, entry_field(stale))].entry = fresh;
    else
        map_replace(&hash->map, &stale->node, &fresh->node);
    entry_free(hash, stale);
}

/* true: the field is new. */
static bool
put(struct hash_object *hash, struct slice field, struct slice value)
{
    struct entry *entry = find(hash, field);

    if (entry != NULL) {
        replace_value(hash, entry, value);
        return false;
    }
    entry = entry_new(hash, field, value);
    if (hash->encoding == KEY_LISTPACK)
        slots_push(hash, entry);
    else
        map_add(&hash->map, &entry->node, hash_slice(field));
    return true;
}

static bool
remove_field(struct hash_object *hash, struct slice field)
{
    struct map_node *node;
    size_t at;

    if (hash->encoding == KEY_HASHTABLE) {
        node = map_find(&hash->map, hash_slice(field), entry_matches, &field);
        if (node == NULL)
            return false;
        map_remove(&hash->map, node);
        entry_free(hash, entry_of(node));
        return true;
    }
    at = slots_find(hash, field);
    if (at == hash->slots_count)
        return false;
    entry_free(hash, hash->slots[at].entry);
    hash->slots_count--;
    memmove(hash->slots + at, hash->slots + at + 1,
        (hash->slots_count - at) * sizeof(struct slot));
    return true;
}

/* ---- public -------------------------------------------------------------- */

struct hash_object *
hash_object_new(enum key_encoding encoding)
{
    struct hash_object *hash = memory_zalloc(sizeof(*hash));

    map_init(&hash->map);
    hash->encoding = (uint8_t)encoding;
    return hash;
}

void
hash_object_free(struct hash_object *hash)
{
    if (hash == NULL)
        return;
    while (!hash_object_free_step(hash, SIZE_MAX))
        continue;
}

bool
hash_object_free_step(struct hash_object *hash, size_t count)
{
    struct map_node *node;

    while (hash->slots_count > 0) {
        if (count-- == 0)
            return false;
        memory_free(hash->slots[--hash->slots_count].entry);
    }
    while (hash->map.count > 0) {
        if (count-- == 0)
            return false;
        node = map_pop(&hash->map);
        memory_free(entry_of(node));
    }
    map_fini(&hash->map);
    memory_free(hash->slots);
    memory_free(hash);
    return true;
}

size_t
hash_object_len(const struct hash_object *hash)
{
    return hash->encoding == KEY_LISTPACK ? hash->slots_count : hash->map.count;
}

enum key_encoding
hash_object_encoding(const struct hash_object *hash)
{
    return (enum key_encoding)hash->encoding;
}

size_t
hash_object_memory(const struct hash_object *hash)
{
    return sizeof(*hash) + hash->memory + map_memory(&hash->map);
}

bool
hash_object_get(
    const struct hash_object *hash, struct slice field, struct slice *value)
{
    const struct entry *entry = find(hash, field);

    if (entry == NULL)
        return false;
    if (value != NULL)
        *value = entry_value(entry);
    return true;
}

bool
hash_object_put(struct hash_object *hash, const struct edit *edit,
    struct slice field, struct slice value)
{
    const struct hash_object_limits *limits = &hash_object_limits;
    bool is_new;

    if (hash->encoding == KEY_LISTPACK &&
        (field.len > limits->listpack_value ||
            value.len > limits->listpack_value))
        convert(hash);
    if (edit != NULL) { /* first: value may be lent from this very hash */
        struct row_change change = { .op = ROW_PUT,
            .table = ROW_HASH,
            .id = edit->id,
            .sub = field,
            .value = value };
        batch_add(edit->batch, &change);
    }
    is_new = put(hash, field, value);
    if (hash->encoding == KEY_LISTPACK &&
        hash->slots_count > limits->listpack_entries)
        convert(hash);
    return is_new;
}

bool
hash_object_remove(
    struct hash_object *hash, const struct edit *edit, struct slice field)
{
    struct row_change change = {
        .op = ROW_DEL, .table = ROW_HASH, .sub = field
    };

    if (edit != NULL && find(hash, field) != NULL) {
        change.id = edit->id;
        batch_add(edit->batch, &change);
    }
    return remove_field(hash, field);
}

void
hash_object_each(
    const struct hash_object *hash, hash_object_visit_fn visit, void *arg)
{
    struct map_iter iter;
    struct map_node *node;

    for (size_t i = 0; i < hash->slots_count; i++) {
        const struct entry *entry = hash->slots[i].entry;
        visit(entry_field(entry), entry_value(entry), arg);
    }
    map_iter_start(&iter, &hash->map);
    while ((node = map_iter_next(&iter)) != NULL)
        visit(entry_field(entry_of(node)), entry_value(entry_of(node)), arg);
}

struct scan {
    hash_object_visit_fn visit;
    void *arg;
};

static void
scan_visit(struct map_node *node, void *arg)
{
    const struct scan *scan = arg;

    scan->visit(
        entry_field(entry_of(node)), entry_value(entry_of(node)), scan->arg);
}

uint64_t
hash_object_scan(const struct hash_object *hash, uint64_t cursor, size_t wanted,
    hash_object_visit_fn visit, void *arg)
{
    struct scan scan = { visit, arg };

    if (hash->encoding == KEY_HASHTABLE)
        return map_scan(&hash->map, cursor, wanted, scan_visit, &scan);
    hash_object_each(hash, visit, arg);
    return 0;
}

void
hash_object_random(
    const struct hash_object *hash, struct slice *field, struct slice *value)
{
    const struct entry *entry;

    if (hash->encoding == KEY_LISTPACK)
        entry = hash->slots[random_below(hash->slots_count)].entry;
    else
        entry = entry_of(map_random_fair(&hash->map, random_u64()));
    *field = entry_field(entry);
    if (value != NULL)
        *value = entry_value(entry);
}

void
hash_object_apply_put(
    struct hash_object *hash, struct slice field, struct slice value)
{
    (void)put(hash, field, value);
}

void
hash_object_apply_del(struct hash_object *hash, struct slice field)
{
    (void)remove_field(hash, field);
}

void
hash_object_check(const struct hash_object *hash)
{
    size_t memory = hash->slots_size * sizeof(struct slot);
    struct map_iter iter;
    struct map_node *node;

    CHECK(hash->slots_count <= hash->slots_size);
    CHECK(hash->slots_count == 0 || hash->encoding == KEY_LISTPACK);
    CHECK(hash->map.count == 0 || hash->encoding == KEY_HASHTABLE);
    for (size_t i = 0; i < hash->slots_count; i++) {
        struct slice field = entry_field(hash->slots[i].entry);
        CHECK(hash->slots[i].tag == tag_of(field));
        CHECK(slots_find(hash, field) == i);
        memory += entry_size(hash->slots[i].entry);
    }
    map_check(&hash->map);
    map_iter_start(&iter, &hash->map);
    while ((node = map_iter_next(&iter)) != NULL) {
        CHECK(node->hash == hash_slice(entry_field(entry_of(node))));
        memory += entry_size(entry_of(node));
    }
    CHECK(memory == hash->memory);
}
