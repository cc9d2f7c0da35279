/*
 * direct.c -- the rows written directly: a map by row identity, and a list in
 * the order of journal ids so that old entries go from its head.
 *
 * A row that is written directly again moves to the tail: only its newest
 * write matters.  Entries live as long as the journal row that carries the
 * marker, so the journal's size limit bounds them too.
 */
#include "server/base/hash.h"
#include "server/base/map.h"
#include "server/base/memory.h"

#include "storage/direct.h"

struct direct_entry {
    struct map_node node;
    struct direct_entry *older;
    struct direct_entry *newer;
    uint64_t id;  /* journal row of the marker */
    uint64_t key; /* identity: table, key, sub */
    enum row_table table;
    size_t sub_len;
    char sub[];
};

struct direct_index {
    struct map map;
    struct direct_entry *oldest;
    struct direct_entry *newest;
};

struct direct_identity {
    enum row_table table;
    uint64_t key;
    struct slice sub;
};

struct direct_index *
direct_new(void)
{
    struct direct_index *direct = memory_zalloc(sizeof(*direct));

    map_init(&direct->map);
    return direct;
}

void
direct_free(struct direct_index *direct)
{
    if (direct == NULL)
        return;
    direct_forget(direct, UINT64_MAX);
    map_fini(&direct->map);
    memory_free(direct);
}

uint64_t
direct_hash(enum row_table table, uint64_t key, struct slice sub)
{
    uint64_t hash = hash_u64(key << 4 | (uint64_t)table);

    return sub.len == 0 ? hash : hash ^ hash_slice(sub);
}

static bool
is_match(const struct map_node *node, const void *key)
{
    const struct direct_entry *entry =
        (const struct direct_entry *)(const void *)node;
    const struct direct_identity *identity = key;

    return entry->key == identity->key && entry->table == identity->table &&
           slice_equal(slice_make(entry->sub, entry->sub_len), identity->sub);
}

static struct direct_entry *
find(const struct direct_index *direct, uint64_t hash,
    const struct direct_identity *identity)
{
    struct map_node *node = map_find(&direct->map, hash, is_match, identity);

    return node == NULL ? NULL : MAP_ENTRY(node, struct direct_entry, node);
}

static void
list_remove(struct direct_index *direct, struct direct_entry *entry)
{
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        direct->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        direct->newest = entry->older;
}

static void
list_append(struct direct_index *direct, struct direct_entry *entry)
{
    entry->newer = NULL;
    entry->older = direct->newest;
    if (direct->newest != NULL)
        direct->newest->newer = entry;
    else
        direct->oldest = entry;
    direct->newest = entry;
}

static void
add_one(
    struct direct_index *direct, uint64_t id, const struct row_change *change)
{
    struct direct_identity identity = { change->table, change->id,
        change->sub };
    uint64_t hash = direct_hash(change->table, change->id, change->sub);
    struct direct_entry *entry = find(direct, hash, &identity);

    if (entry != NULL) {
        list_remove(direct, entry);
    } else {
        entry = memory_alloc(sizeof(*entry) + change->sub.len);
        entry->key = change->id;
        entry->table = change->table;
        entry->sub_len = change->sub.len;
        if (change->sub.len > 0)
            memcpy(entry->sub, change->sub.data, change->sub.len);
        map_add(&direct->map, &entry->node, hash);
    }
    entry->id = id;
    list_append(direct, entry);
}

enum status
direct_add(struct direct_index *direct, uint64_t id, struct slice changes)
{
    struct bytes bytes = bytes_from(changes);
    struct row_change change;
    enum status status;

    while ((status = rowchange_next(&bytes, &change)) == STATUS_OK)
        if (change.op == ROW_DIRECT)
            add_one(direct, id, &change);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

uint64_t
direct_find(const struct direct_index *direct, enum row_table table,
    uint64_t key, struct slice sub)
{
    struct direct_identity identity = { table, key, sub };
    const struct direct_entry *entry;

    if (direct->map.count == 0)
        return 0;
    entry = find(direct, direct_hash(table, key, sub), &identity);
    return entry == NULL ? 0 : entry->id;
}

void
direct_forget(struct direct_index *direct, uint64_t id)
{
    while (direct->oldest != NULL && direct->oldest->id <= id) {
        struct direct_entry *entry = direct->oldest;

        list_remove(direct, entry);
        map_remove(&direct->map, &entry->node);
        memory_free(entry);
    }
}

uint64_t
direct_count(const struct direct_index *direct)
{
    return direct->map.count;
}
