/*
 * resident.c -- the life of a struct key.
 *
 *              resident_add_row                resident_create
 *   (SQLite) -------------------> live clean   (new name or tombstone)
 *       ^                           |    ^         |
 *       |     resident_evict        |    | fold    v
 *       +---------------------------+    +------ live dirty --+
 *                                                  |  ^       | delete
 *                                           create |  |       v
 *                                 freed <- fold - tombstone <-+
 *
 * Every way in and out goes through resident_attach() and detach(), which keep
 * the counters of the physical database and of the keyspace, the expiry heap,
 * the fresh ring and the moved map right.  A key of a dropped physical database
 * is in the lists until the reaper frees it; one of a detached database (reload
 * threw the lists away) is only freed.
 */
#include "storage/resident.h"

#include <string.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "storage/objects/object.h"
#include "storage/objects/sizeclass.h"
#include "storage/objects/string.h"
#include "storage/sweep.h"

#define TABLE_SHARE 16        /* bytes of the map's table for a key */
#define TOUCHED_SIZE_FIRST 64 /* keys of a batch at first */
#define ROW_SIZE_ESTIMATE 48  /* bytes of a key's row besides name */
#define LFU_INIT_VALUE 5      /* as Redis: new keys are not evicted */

/* ---- names --------------------------------------------------------------- */

static bool
name_matches(const struct map_node *node, const void *name)
{
    const struct key *key = MAP_ENTRY((uintptr_t)node, struct key, node);

    return slice_equal(key_name(key), *(const struct slice *)name);
}

struct key *
resident_find(
    struct keyspace *keyspace, struct physical *home, struct slice name)
{
    struct key *key = keyspace->last;
    struct map_node *node;

    /* A command looks its key up when it is prepared and again when it runs. */
    if (key != NULL && key->home == home && slice_equal(key_name(key), name))
        return key;
    if (home->keys.count == 0)
        return NULL;
    node = map_find(&home->keys, hash_slice(name), name_matches, &name);
    if (node == NULL)
        return NULL;
    key = resident_key_of(node);
    keyspace->last = key;
    return key;
}

/*
 * Three rounds, so that what a round reads was asked for a round ago: buckets;
 * the first key of each, all its lines; the key's object.
 */
void
resident_prefetch(
    const struct physical *home, const struct slice *names, size_t count)
{
    uint64_t hashes[KEYSPACE_PREFETCH_MAX];
    const struct key *found[KEYSPACE_PREFETCH_MAX];
    const struct map_node *node;

    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_slice(names[i]);
        map_prefetch_bucket(&home->keys, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        node = map_prefetch_node(&home->keys, hashes[i]);
        found[i] = NULL;
        if (node == NULL)
            continue;
        found[i] = MAP_ENTRY((uintptr_t)node, struct key, node);
        __builtin_prefetch(found[i]);
        __builtin_prefetch(found[i]->name);
    }
    for (size_t i = 0; i < count; i++)
        if (found[i] != NULL && found[i]->object != NULL)
            __builtin_prefetch(found[i]->object);
}

static size_t
key_alloc_size(size_t name_len)
{
    return sizeclass_round(sizeof(struct key) + name_len);
}

/* What a key costs without its object. */
static size_t
key_memory(const struct key *key)
{
    return key_alloc_size(key->name_len) + TABLE_SHARE;
}

static void
set_memory(struct keyspace *keyspace, struct key *key, size_t memory)
{
    key->home->memory += memory - key->memory;
    if (key->home->logical != PHYSICAL_UNMAPPED)
        keyspace->memory += memory - key->memory;
    key->memory = memory;
}

struct key *
resident_add_name(
    struct keyspace *keyspace, struct physical *home, struct slice name)
{
    size_t size = key_alloc_size(name.len);
    struct key *key = memory_alloc(size);

    memset(key, 0, sizeof(*key));
    key->home = home;
    key->expire_at_ms = -1;
    key->expiry_slot = KEY_NO_SLOT;
    key->name_len = (uint32_t)name.len;
    if (name.len > 0)
        memcpy(key->name, name.data, name.len);
    map_add(&home->keys, &key->node, hash_slice(name));
    set_memory(keyspace, key, key_memory(key));
    return key;
}

/* ---- moved --------------------------------------------------------------- */

static bool
moved_matches(const struct map_node *node, const void *id)
{
    return MAP_ENTRY((uintptr_t)node, struct resident_moved, node)->id ==
           *(const uint64_t *)id;
}

static struct resident_moved *
find_moved(struct keyspace *keyspace, uint64_t id)
{
    struct map_node *node =
        map_find(&keyspace->moved, hash_u64(id), moved_matches, &id);

    return node != NULL ? MAP_ENTRY(node, struct resident_moved, node) : NULL;
}

struct key *
resident_find_moved(struct keyspace *keyspace, uint64_t id)
{
    struct resident_moved *moved = NULL;

    if (keyspace->moved.count > 0)
        moved = find_moved(keyspace, id);
    return moved != NULL ? moved->key : NULL;
}

static void
forget_moved(struct keyspace *keyspace, struct key *key)
{
    struct resident_moved *moved;

    if (!key->is_moved)
        return;
    moved = find_moved(keyspace, key->id);
    CHECK(moved != NULL);
    map_remove(&keyspace->moved, &moved->node);
    memory_free(moved);
    key->is_moved = false;
}

/* The row of id is found at key, whatever the table says. */
void
resident_remember_moved(struct keyspace *keyspace, struct key *key)
{
    struct resident_moved *moved = find_moved(keyspace, key->id);

    if (moved == NULL) {
        moved = memory_alloc(sizeof(*moved));
        moved->id = key->id;
        map_add(&keyspace->moved, &moved->node, hash_u64(key->id));
    }
    moved->key = key;
    key->is_moved = true;
}

/* ---- live and not -------------------------------------------------------- */

/* What a key that becomes live starts with. */
void
resident_attach(struct keyspace *keyspace, struct key *key)
{
    struct physical *home = key->home;
    int64_t now_s = keyspace->now_ms / 1000;

    home->resident++;
    if (key->object == NULL)
        home->unloaded++;
    if (key->expire_at_ms >= 0)
        expiry_put(&keyspace->expiry, key);
    key->access = keyspace->options.is_lfu
                      ? (uint32_t)((now_s / 60) & 0xffff) << 8 | LFU_INIT_VALUE
                      : (uint32_t)now_s;
}

/* Leave all that only live keys are in; the counts of home, but not those of */
/* its keys in SQLite.  The object stays. */
static void
detach(struct keyspace *keyspace, struct key *key)
{
    struct physical *home = key->home;

    home->resident--;
    if (key->object == NULL)
        home->unloaded--;
    expiry_remove(&keyspace->expiry, key);
    if (key->is_fresh)
        fresh_get(&keyspace->fresh, key->id)->key = NULL;
    key->is_fresh = false;
    forget_moved(keyspace, key);
}

static void
become_tombstone(struct keyspace *keyspace, struct key *key)
{
    key->type = KEY_NONE;
    key->encoding = 0;
    key->object = NULL;
    key->id = 0;
    key->size = 0;
    key->expire_at_ms = -1;
    key->is_row_stale = false;
    set_memory(keyspace, key, key_memory(key));
}

/* A key more or less, or one that expires. */
static void
count(struct keyspace *keyspace, struct key *key, int change)
{
    struct physical *home = key->home;

    home->live += (uint64_t)(int64_t)change;
    if (key->expire_at_ms >= 0)
        home->expiring += (uint64_t)(int64_t)change;
    physical_count_changed(keyspace, home);
}

void
resident_remember_fresh(
    struct keyspace *keyspace, struct key *key, uint64_t seq)
{
    fresh_push(&keyspace->fresh, key->id, seq, key);
    key->is_fresh = true;
}

/* ---- the dirty list ------------------------------------------------------ */

static void
dirty_unlink(struct keyspace *keyspace, struct key *key)
{
    if (!key->is_dirty)
        return;
    if (key->dirty_prev != NULL)
        key->dirty_prev->dirty_next = key->dirty_next;
    else
        keyspace->dirty_head = key->dirty_next;
    if (key->dirty_next != NULL)
        key->dirty_next->dirty_prev = key->dirty_prev;
    else
        keyspace->dirty_tail = key->dirty_prev;
    key->dirty_prev = key->dirty_next = NULL;
    key->is_dirty = false;
    keyspace->dirty_count--;
}

static void
dirty_append(struct keyspace *keyspace, struct key *key)
{
    key->dirty_prev = keyspace->dirty_tail;
    if (keyspace->dirty_tail != NULL)
        keyspace->dirty_tail->dirty_next = key;
    else
        keyspace->dirty_head = key;
    keyspace->dirty_tail = key;
    key->is_dirty = true;
    key->enlisted_seq = key->dirty_seq;
    keyspace->dirty_count++;
}

void
resident_mark_dirty(struct keyspace *keyspace, struct key *key, uint64_t seq)
{
    key->dirty_seq = seq;
    if (!key->is_dirty)
        dirty_append(keyspace, key);
}

static void
touched_push(struct keyspace *keyspace, struct key *key)
{
    if (keyspace->touched_count == keyspace->touched_capacity) {
        keyspace->touched_capacity =
            keyspace->touched_capacity * 2 + TOUCHED_SIZE_FIRST;
        keyspace->touched = memory_realloc(keyspace->touched,
            keyspace->touched_capacity * sizeof(struct key *));
    }
    keyspace->touched[keyspace->touched_count++] = key;
    key->is_touched = true;
    keyspace->touched_size += ROW_SIZE_ESTIMATE + key->name_len;
    if (key->type == KEY_STRING && key->size <= STRING_INLINE_SIZE_MAX)
        keyspace->touched_size += key->size;
}

void
resident_touch(struct keyspace *keyspace, struct key *key)
{
    DCHECK(!keyspace->is_frozen);
    key->version = keyspace->open_seq << RESIDENT_ORDER_BITS | keyspace->order;
    if (keyspace->order < (1U << RESIDENT_ORDER_BITS) - 1)
        keyspace->order++;
    if (!key->is_touched) {
        resident_mark_dirty(keyspace, key, keyspace->open_seq);
        touched_push(keyspace, key);
    }
    keyspace->observed_seq = keyspace->open_seq;
    keyspace->changes++;
    if (!keyspace->has_changed) {
        keyspace->has_changed = true;
        keyspace->batch->commands++;
    }
}

void
resident_notify(struct keyspace *keyspace, const struct key *key)
{
    if (keyspace->changed != NULL)
        keyspace->changed(key->home->logical, key_name(key),
            (enum key_type)key->type, keyspace->changed_arg);
}

static void
write_row(struct keyspace *keyspace, const struct key *key)
{
    struct key_row row = { .id = key->id,
        .db = key->home->number,
        .type = key->type,
        .encoding = key->encoding,
        .expire_at_ms = key->expire_at_ms,
        .version = key->version,
        .size = key->size,
        .name = key_name(key) };
    struct row_change touch = { .op = ROW_TOUCH, .table = ROW_KEY };

    if (key->is_row_stale) {
        if (key->type == KEY_STRING && key->encoding != KEY_CHUNKED)
            row.value = string_flat(key->string);
        batch_add_key(keyspace->batch, &row);
        return;
    }
    keyspace->scratch.len = 0;
    buf_append_varint(&keyspace->scratch, key->version);
    buf_append_varint(&keyspace->scratch, key->size);
    touch.id = key->id;
    touch.value = buf_slice(&keyspace->scratch);
    batch_add(keyspace->batch, &touch);
}

void
resident_write_rows(struct keyspace *keyspace)
{
    for (size_t i = 0; i < keyspace->touched_count; i++) {
        struct key *key = keyspace->touched[i];
        /* A tombstone's ROW_DEL is in the batch already. */
        if (resident_is_live(key))
            write_row(keyspace, key);
        key->is_row_stale = false;
        key->is_touched = false;
    }
    keyspace->touched_count = 0;
    keyspace->touched_size = 0;
}

/* The head of the dirty list has been there long enough. */
static void
settle_key(struct keyspace *keyspace, struct key *key)
{
    dirty_unlink(keyspace, key);
    if (!resident_is_clean(keyspace, key)) {
        dirty_append(keyspace, key); /* it changed again meanwhile */
        return;
    }
    forget_moved(keyspace, key);
    /* A dropped database's tombstones go with the database. */
    if (!resident_is_live(key) && key->home->logical != PHYSICAL_UNMAPPED) {
        map_remove(&key->home->keys, &key->node);
        resident_free(keyspace, key);
    }
}

bool
resident_settle(struct keyspace *keyspace, size_t limit)
{
    struct key *key;
    struct fresh_entry *entry;

    for (size_t i = 0; i < limit; i++) {
        bool is_done = true;
        entry = fresh_first(&keyspace->fresh);
        if (entry != NULL && entry->seq <= keyspace->folded_seq) {
            if (entry->key != NULL)
                entry->key->is_fresh = false;
            fresh_pop(&keyspace->fresh);
            is_done = false;
        }
        key = keyspace->dirty_head;
        if (key != NULL && key->enlisted_seq <= keyspace->folded_seq) {
            settle_key(keyspace, key);
            is_done = false;
        }
        if (is_done)
            return false;
    }
    return true;
}

/* ---- in ------------------------------------------------------------------ */

struct key *
resident_add_row(
    struct keyspace *keyspace, struct physical *home, const struct key_row *row)
{
    struct key *key = resident_add_name(keyspace, home, row->name);

    key->id = row->id;
    key->type = row->type;
    key->encoding = row->encoding;
    key->expire_at_ms = row->expire_at_ms;
    key->version = row->version;
    key->size = row->size;
    /* It is clean; that it changed is still observed (R1). */
    key->dirty_seq = resident_version_seq(row->version);
    if (key->dirty_seq > keyspace->folded_seq)
        key->dirty_seq = keyspace->folded_seq;
    if (row->type == KEY_STRING) {
        key->string = string_load(row);
        set_memory(keyspace, key, key->memory + string_memory(key->string));
    }
    resident_attach(keyspace, key);
    keyspace->stats.loaded++;
    return key;
}

struct loading {
    const struct object_kind *kind;
    void *object;
};

static bool
load_element(struct slice sub, struct slice value, void *arg)
{
    const struct loading *loading = arg;

    loading->kind->apply(loading->object, sub, &value);
    return true;
}

enum status
resident_load(struct keyspace *keyspace, struct key *key)
{
    const struct object_kind *kind = object_kind(key->type);
    struct key_row row = { .id = key->id,
        .type = key->type,
        .encoding = key->encoding,
        .size = key->size };
    struct loading loading = { kind, NULL };
    enum status status = STATUS_OK;

    DCHECK(key->object == NULL);
    loading.object = kind->load(&row);
    if (kind->is_loaded_whole)
        status = reader_each_element(
            keyspace->reader, kind->table, key->id, load_element, &loading);
    if (status == STATUS_OK && kind->size(loading.object) != key->size)
        status = STATUS_CORRUPT;
    if (status != STATUS_OK) {
        object_free(key->type, loading.object);
        return status;
    }
    key->object = loading.object;
    key->home->unloaded--;
    set_memory(keyspace, key, key_memory(key) + kind->memory(key->object));
    return STATUS_OK;
}

uint64_t
resident_new_id(struct keyspace *keyspace)
{
    keyspace->is_next_id_stale = true;
    return keyspace->next_id++;
}

struct key *
resident_create(struct keyspace *keyspace, struct physical *home,
    struct slice name, enum key_type type, uint64_t id, void *object)
{
    struct key *key = resident_find(keyspace, home, name);

    if (key == NULL)
        key = resident_add_name(keyspace, home, name);
    CHECK(!resident_is_live(key));
    key->id = id;
    key->type = (uint8_t)type;
    key->object = object;
    key->is_row_stale = true;
    resident_remember_fresh(keyspace, key, keyspace->open_seq);
    resident_attach(keyspace, key);
    count(keyspace, key, 1);
    resident_measure(keyspace, key);
    return key;
}

/* ---- change -------------------------------------------------------------- */

void
resident_measure(struct keyspace *keyspace, struct key *key)
{
    const struct object_kind *kind;
    enum key_encoding encoding;

    if (key->object == NULL)
        return;
    kind = object_kind(key->type);
    encoding = kind->encoding(key->object);
    key->size = kind->size(key->object);
    if (encoding != key->encoding ||
        (key->type == KEY_STRING && encoding != KEY_CHUNKED))
        key->is_row_stale = true;
    key->encoding = (uint8_t)encoding;
    set_memory(keyspace, key, key_memory(key) + kind->memory(key->object));
}

void
resident_set_expiry(struct keyspace *keyspace, struct key *key, int64_t at_ms)
{
    bool expired = key->expire_at_ms >= 0;

    if (key->expire_at_ms == at_ms)
        return;
    key->expire_at_ms = at_ms;
    key->is_row_stale = true;
    if (at_ms >= 0)
        expiry_put(&keyspace->expiry, key);
    else
        expiry_remove(&keyspace->expiry, key);
    if (expired != (at_ms >= 0)) {
        key->home->expiring += at_ms >= 0 ? 1 : UINT64_MAX;
        physical_count_changed(keyspace, key->home);
    }
}

/* ---- out ----------------------------------------------------------------- */

void
resident_delete(struct keyspace *keyspace, struct key *key)
{
    char type = (char)key->type;
    struct row_change change = { .op = ROW_DEL, .table = ROW_KEY };

    DCHECK(resident_is_live(key));
    change.id = key->id;
    change.sub = slice_make(&type, 1);
    batch_add(keyspace->batch, &change);
    count(keyspace, key, -1);
    detach(keyspace, key);
    reap_object(&keyspace->reap, key->type, key->object);
    become_tombstone(keyspace, key);
    resident_touch(keyspace, key);
}

void
resident_move(struct keyspace *keyspace, struct key *key, struct key *fresh)
{
    DCHECK(resident_is_live(key) && !resident_is_live(fresh));
    fresh->id = key->id;
    fresh->type = key->type;
    fresh->encoding = key->encoding;
    fresh->object = key->object;
    fresh->size = key->size;
    fresh->expire_at_ms = key->expire_at_ms;
    fresh->access = key->access;
    fresh->is_row_stale = true;

    expiry_replace(&keyspace->expiry, key, fresh);
    if (key->is_fresh) {
        fresh_get(&keyspace->fresh, key->id)->key = fresh;
        fresh->is_fresh = true;
    }
    /* Also of a fresh one: its creation may be folded before this. */
    resident_remember_moved(keyspace, fresh);
    count(keyspace, key, -1);
    key->home->resident--;
    key->home->unloaded -= key->object == NULL;
    count(keyspace, fresh, 1);
    fresh->home->resident++;
    fresh->home->unloaded += fresh->object == NULL;

    key->is_fresh = key->is_moved = false;
    set_memory(keyspace, fresh, fresh->memory + key->memory - key_memory(key));
    become_tombstone(keyspace, key);
    resident_touch(keyspace, key);
    resident_touch(keyspace, fresh);
}

static void
forget_pooled(struct keyspace *keyspace, struct key *key)
{
    size_t kept = 0;

    if (!key->is_pooled)
        return;
    for (size_t i = 0; i < keyspace->pool_count; i++)
        if (keyspace->pool[i] != key)
            keyspace->pool[kept++] = keyspace->pool[i];
    keyspace->pool_count = kept;
    key->is_pooled = false;
}

void
resident_evict(struct keyspace *keyspace, struct key *key)
{
    CHECK(resident_is_clean(keyspace, key) && resident_is_live(key)); /* D4 */
    sweep_note_evicted(keyspace, key);
    map_remove(&key->home->keys, &key->node);
    resident_free(keyspace, key);
    keyspace->stats.evicted++;
}

void
resident_free(struct keyspace *keyspace, struct key *key)
{
    if (keyspace->last == key)
        keyspace->last = NULL;
    if (!key->home->is_detached) {
        dirty_unlink(keyspace, key);
        forget_pooled(keyspace, key);
        if (resident_is_live(key))
            detach(keyspace, key);
    }
    if (resident_is_live(key))
        reap_object(&keyspace->reap, key->type, key->object);
    set_memory(keyspace, key, 0);
    memory_free(key);
}

/* ---- check --------------------------------------------------------------- */

/* What the keys of one physical database add up to. */
struct sums {
    uint64_t resident, unloaded, expiring, memory;
};

static void
check_live(
    const struct keyspace *keyspace, const struct key *key, struct sums *sums)
{
    const struct object_kind *kind = object_kind(key->type);

    CHECK(key->id > 0 && key->id < keyspace->next_id);
    CHECK((key->expire_at_ms >= 0) == (key->expiry_slot != KEY_NO_SLOT));
    sums->resident++;
    sums->unloaded += key->object == NULL;
    sums->expiring += key->expire_at_ms >= 0;
    if (key->object == NULL) {
        CHECK(key->memory == key_memory(key));
        return;
    }
    kind->check(key->object);
    CHECK(key->memory == key_memory(key) + kind->memory(key->object));
    CHECK(key->size == kind->size(key->object));
    CHECK(key->encoding == kind->encoding(key->object));
    CHECK(!kind->goes_when_empty || key->size > 0);
}

static void
check_key(const struct keyspace *keyspace, const struct physical *home,
    const struct key *key, struct sums *sums)
{
    CHECK(key->home == home);
    CHECK(!key->is_touched || key->is_dirty);
    CHECK(key->dirty_seq <= keyspace->folded_seq || key->is_dirty); /* D4 */
    sums->memory += key->memory;
    if (resident_is_live(key)) {
        check_live(keyspace, key, sums);
        return;
    }
    CHECK(key->is_dirty && key->object == NULL && !key->is_fresh);
    CHECK(key->expiry_slot == KEY_NO_SLOT && !key->is_moved);
    CHECK(key->memory == key_memory(key));
}

static void
check_physical(const struct keyspace *keyspace, const struct physical *home)
{
    struct sums sums = { 0, 0, 0, 0 };
    struct map_iter iter;
    struct map_node *node;

    map_check(&home->keys);
    map_iter_start(&iter, &home->keys);
    while ((node = map_iter_next(&iter)) != NULL)
        check_key(keyspace, home, resident_key_of(node), &sums);
    CHECK(sums.resident == home->resident && sums.unloaded == home->unloaded);
    CHECK(sums.memory == home->memory);
    CHECK(home->resident <= home->live && sums.expiring <= home->expiring);
    CHECK(home->expiring <= home->live);
}

void
resident_check(const struct keyspace *keyspace)
{
    const struct key *key, *prev = NULL;
    uint64_t memory = 0;
    size_t dirty = 0;

    for (int i = 0; i < keyspace->databases_count; i++) {
        CHECK(keyspace->databases[i]->logical == i);
        check_physical(keyspace, keyspace->databases[i]);
        memory += keyspace->databases[i]->memory;
    }
    CHECK(memory == keyspace->memory);
    for (key = keyspace->dirty_head; key != NULL; key = key->dirty_next) {
        CHECK(key->is_dirty && key->dirty_prev == prev);
        CHECK(key->enlisted_seq <= key->dirty_seq);
        CHECK(key->dirty_seq <= keyspace->open_seq);
        dirty++;
        prev = key;
    }
    CHECK(keyspace->dirty_tail == prev && keyspace->dirty_count == dirty);
    expiry_check(&keyspace->expiry);
}
