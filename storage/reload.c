/*
 * reload.c -- memory built anew from what was committed (D2).
 *
 * After a failed commit memory holds changes that are nowhere on disk.  All of
 * it goes, and what has to be in memory (D4) is made from the journal:
 *
 *   1. walk    each key's last row, or that it is gone, or only its version;
 *              every name that a row of the journal ever gave a key; the
 *              counters and the mapping of databases
 *   2. settle  each id becomes the key it was last said to be; the names left
 *              over, those that the tables still say included, are tombstones
 *   3. walk    element changes, in order, over objects loaded from the tables
 *
 * The reader is held throughout, so tables and journal are of one moment.  A
 * fold may have written part of the journal into the tables already; row
 * changes are idempotent, so that does not matter.
 *
 * Every key made here counts as changed by the newest committed batch: that is
 * late for some, and so some stay in memory longer than they have to.
 */
#include "storage/reload.h"

#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "storage/objects/object.h"
#include "storage/objects/string.h"
#include "storage/reader.h"
#include "storage/resident.h"
#include "storage/table.h"

/* What the journal says of one id. */
struct replay {
    struct map_node node; /* by id */
    uint64_t id;
    struct key *key;        /* its name's struct; has_row */
    struct string *string;  /* of a flat one; has_row; owned until settled */
    struct key_row row;     /* without name and value; has_row */
    uint64_t version, size; /* has_touch */
    bool has_row, has_touch, is_deleted;
};

struct reload {
    struct keyspace *keyspace;
    struct map replays;
    uint64_t seq; /* newest seen */
    enum status status;
};

static bool
id_matches(const struct map_node *node, const void *id)
{
    return MAP_ENTRY((uintptr_t)node, struct replay, node)->id ==
           *(const uint64_t *)id;
}

static struct replay *
find_replay(const struct reload *reload, uint64_t id)
{
    struct map_node *node =
        map_find(&reload->replays, hash_u64(id), id_matches, &id);

    return node != NULL ? MAP_ENTRY(node, struct replay, node) : NULL;
}

static struct replay *
get_replay(struct reload *reload, uint64_t id)
{
    struct replay *replay = find_replay(reload, id);

    if (replay == NULL) {
        replay = memory_zalloc(sizeof(*replay));
        replay->id = id;
        map_add(&reload->replays, &replay->node, hash_u64(id));
    }
    return replay;
}

/* The struct of a name, as a tombstone if it is not in memory yet. */
static struct key *
name_struct(struct reload *reload, uint32_t number, struct slice name)
{
    struct keyspace *keyspace = reload->keyspace;
    struct physical *home = physical_get(keyspace, number);
    struct key *key = resident_find(keyspace, home, name);

    if (key == NULL)
        key = resident_add_name(keyspace, home, name);
    if (!key->is_dirty)
        resident_mark_dirty(keyspace, key, reload->seq);
    return key;
}

/* ---- walks --------------------------------------------------------------- */

typedef enum status (*change_fn)(
    struct reload *reload, const struct row_change *change);

struct walk {
    struct reload *reload;
    change_fn apply;
};

static bool
walk_row(uint64_t seq, struct slice changes, void *arg)
{
    const struct walk *walk = arg;
    struct reload *reload = walk->reload;
    struct bytes bytes = bytes_from(changes);
    struct row_change change;
    enum status status;

    if (seq > reload->seq)
        reload->seq = seq;
    while ((status = rowchange_next(&bytes, &change)) == STATUS_OK) {
        status = walk->apply(reload, &change);
        if (status != STATUS_OK)
            break;
    }
    reload->status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    return reload->status == STATUS_OK;
}

static enum status
walk_journal(struct reload *reload, change_fn apply)
{
    struct walk walk = { reload, apply };
    enum status status =
        reader_each_journal(reload->keyspace->reader, walk_row, &walk);

    return status != STATUS_OK ? status : reload->status;
}

/* ---- 1: keys, names, meta ------------------------------------------------ */

static enum status
put_key(struct reload *reload, const struct row_change *change)
{
    struct replay *replay = get_replay(reload, change->id);
    struct key_row row;
    enum status status = rowchange_decode_key(change, &row);

    if (status != STATUS_OK)
        return status;
    if (!object_has_kind(row.type))
        return STATUS_CORRUPT;
    replay->key = name_struct(reload, row.db, row.name);
    string_free(replay->string);
    replay->string = NULL;
    if (row.type == KEY_STRING)
        replay->string = string_load(&row);
    row.name = row.value = slice_make(NULL, 0);
    replay->row = row;
    replay->has_row = true;
    replay->has_touch = false;
    return STATUS_OK;
}

static enum status
walk_keys(struct reload *reload, const struct row_change *change)
{
    struct replay *replay;

    if (change->table == ROW_META)
        return physical_apply_meta(reload->keyspace, change->sub,
            change->op == ROW_PUT ? &change->value : NULL);
    if (change->table != ROW_KEY)
        return STATUS_OK;
    if (change->op == ROW_PUT)
        return put_key(reload, change);
    replay = get_replay(reload, change->id);
    if (change->op == ROW_DEL) {
        replay->is_deleted = true;
    } else if (change->op == ROW_TOUCH) {
        replay->has_touch = true;
        return rowchange_decode_touch(change, &replay->version, &replay->size);
    } else if (change->op == ROW_DIRECT) {
        replay->has_row = false; /* the table has it */
    }
    return STATUS_OK;
}

/* ---- 2: settle ----------------------------------------------------------- */

static void
become_live(struct reload *reload, struct replay *replay)
{
    struct keyspace *keyspace = reload->keyspace;
    struct key *key = replay->key;
    const struct key_row *row = &replay->row;

    key->id = row->id;
    key->type = row->type;
    key->encoding = row->encoding;
    key->expire_at_ms = row->expire_at_ms;
    key->version = replay->has_touch ? replay->version : row->version;
    key->size = replay->has_touch ? replay->size : row->size;
    if (key->type == KEY_STRING && key->encoding == KEY_CHUNKED) {
        /* The length is the row's or the touch's: load it by that one. */
        struct key_row chunked = { .encoding = KEY_CHUNKED, .size = key->size };
        string_free(replay->string);
        replay->string = string_load(&chunked);
    }
    key->object = replay->string;
    replay->string = NULL;
    resident_attach(keyspace, key);
}

/*
 * The table's row of a replayed id, if it has one: its name is taken, and it is
 * the base of a key of which the journal only has touches.
 */
static enum status
settle(struct reload *reload, struct replay *replay, bool *is_in_table)
{
    struct key_row row;
    struct key *named;
    enum status status =
        reader_get_key(reload->keyspace->reader, replay->id, &row);

    *is_in_table = status == STATUS_OK;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (*is_in_table) {
        if (!object_has_kind(row.type))
            return STATUS_CORRUPT;
        if (row.db == TABLE_PARKED_DB) /* the journal names it, or deletes it */
            return replay->has_row || replay->is_deleted ? STATUS_OK
                                                         : STATUS_CORRUPT;
        named = name_struct(reload, row.db, row.name);
        if (!replay->has_row) {
            replay->key = named;
            if (row.type == KEY_STRING)
                replay->string = string_load(&row);
            row.name = row.value = slice_make(NULL, 0);
            replay->row = row;
        }
    }
    /* Without any row it went with a database that was dropped. */
    if (!replay->has_row && !*is_in_table)
        replay->is_deleted = true;
    return STATUS_OK;
}

static int
compare_ids(const void *a, const void *b)
{
    const struct replay *const *one = a, *const *two = b;

    return (*one)->id < (*two)->id ? -1 : (*one)->id > (*two)->id;
}

static enum status
settle_all(struct reload *reload)
{
    struct keyspace *keyspace = reload->keyspace;
    size_t count = reload->replays.count, i = 0;
    struct replay **replays;
    struct map_iter iter;
    struct map_node *node;
    enum status status = STATUS_OK;

    if (count == 0)
        return STATUS_OK;
    replays = memory_alloc(count * sizeof(*replays));
    map_iter_start(&iter, &reload->replays);
    while ((node = map_iter_next(&iter)) != NULL)
        replays[i++] = MAP_ENTRY(node, struct replay, node);
    qsort(replays, count, sizeof(*replays), compare_ids);
    for (i = 0; i < count && status == STATUS_OK; i++) {
        struct replay *replay = replays[i];
        bool is_in_table = false;
        status = settle(reload, replay, &is_in_table);
        if (status != STATUS_OK || replay->is_deleted)
            continue;
        /* Two ids never end under one name. */
        if (resident_is_live(replay->key)) {
            status = STATUS_CORRUPT;
            break;
        }
        become_live(reload, replay);
        if (is_in_table)
            resident_remember_moved(keyspace, replay->key);
        else
            resident_remember_fresh(keyspace, replay->key, reload->seq);
    }
    memory_free(replays);
    return status;
}

/* ---- 3: elements --------------------------------------------------------- */

static bool
load_element(struct slice sub, struct slice value, void *arg)
{
    struct key *key = arg;

    object_kind(key->type)->apply(key->object, sub, &value);
    return true;
}

static enum status
load_base(struct reload *reload, struct key *key)
{
    const struct object_kind *kind = object_kind(key->type);
    struct key_row row = { .id = key->id,
        .type = key->type,
        .encoding = key->encoding,
        .size = key->size };

    key->object = kind->load(&row);
    key->home->unloaded--;
    if (!kind->is_loaded_whole)
        return STATUS_OK;
    return reader_each_element(
        reload->keyspace->reader, kind->table, key->id, load_element, key);
}

static enum status
walk_elements(struct reload *reload, const struct row_change *change)
{
    const struct object_kind *kind;
    struct replay *replay;
    struct slice value = change->value;
    enum status status = STATUS_OK;

    if (change->table == ROW_META || change->table == ROW_KEY ||
        change->table == ROW_DB)
        return STATUS_OK;
    replay = find_replay(reload, change->id);
    if (replay == NULL || replay->is_deleted)
        return STATUS_OK;
    kind = object_kind(replay->key->type);
    if (kind->table != change->table)
        return STATUS_CORRUPT;
    if (replay->key->object == NULL)
        status = load_base(reload, replay->key);
    if (status != STATUS_OK)
        return status;
    if (change->op == ROW_DIRECT) {
        status = reader_find_element(reload->keyspace->reader, kind->table,
            change->id, change->sub, &value);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
    }
    kind->apply(replay->key->object, change->sub,
        change->op == ROW_DEL || status == STATUS_NOT_FOUND ? NULL : &value);
    return STATUS_OK;
}

/* Memory and sizes of what was loaded; a size that is wrong is corruption. */
static enum status
measure_all(struct reload *reload)
{
    struct map_iter iter;
    struct map_node *node;

    map_iter_start(&iter, &reload->replays);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct replay *replay = MAP_ENTRY(node, struct replay, node);
        uint64_t size;
        if (replay->is_deleted)
            continue;
        size = replay->key->size;
        resident_measure(reload->keyspace, replay->key);
        replay->key->is_row_stale = false;
        if (replay->key->size != size)
            return STATUS_CORRUPT;
    }
    return STATUS_OK;
}

/* ---- public -------------------------------------------------------------- */

void
reload_drop(struct keyspace *keyspace)
{
    struct map_node *node;

    physical_drop_all(keyspace);
    reap_detach(&keyspace->reap);
    keyspace->last = NULL;
    keyspace->touched_count = 0;
    keyspace->touched_size = 0;
    keyspace->dirty_head = keyspace->dirty_tail = NULL;
    keyspace->dirty_count = 0;
    keyspace->pool_count = 0;
    keyspace->memory = 0;
    keyspace->is_next_id_stale = false;
    while ((node = map_pop(&keyspace->moved)) != NULL)
        memory_free(MAP_ENTRY(node, struct resident_moved, node));
    fresh_fini(&keyspace->fresh);
    expiry_fini(&keyspace->expiry);
    keyspace->table_next_ms = 0;
    keyspace->table_after_ms = 0;
    keyspace->table_after_id = 0;
}

static void
free_replay(struct map_node *node, void *arg)
{
    struct replay *replay = MAP_ENTRY(node, struct replay, node);

    (void)arg;
    string_free(replay->string);
    memory_free(replay);
}

static enum status
rebuild(struct reload *reload)
{
    enum status status = physical_open_all(reload->keyspace);

    if (status == STATUS_OK)
        status = walk_journal(reload, walk_keys);
    if (status == STATUS_OK)
        status = settle_all(reload);
    if (status == STATUS_OK)
        status = walk_journal(reload, walk_elements);
    if (status == STATUS_OK)
        status = measure_all(reload);
    return status;
}

enum status
reload_run(struct keyspace *keyspace)
{
    struct reload reload = { .keyspace = keyspace };
    struct store_stats stats;
    enum status status;

    keyspace->is_frozen = true;
    reload_drop(keyspace);
    batch_clear(keyspace->batch);
    keyspace->order = 0;
    store_stats(keyspace->store, &stats);
    reload.seq = stats.committed_seq;
    map_init(&reload.replays);
    status = reader_hold(keyspace->reader);
    if (status != STATUS_OK)
        return status;
    status = rebuild(&reload);
    reader_release(keyspace->reader);
    map_clear(&reload.replays, free_replay, NULL);
    map_fini(&reload.replays);
    if (status != STATUS_OK)
        return status;
    physical_settle(keyspace);
    keyspace->last = NULL;
    /* Which batch emptied a database is not known any more. */
    for (int i = 0; i < keyspace->databases_count; i++)
        keyspace->databases[i]->map_seq = reload.seq;
    keyspace->open_seq = reload.seq + 1;
    keyspace->folded_seq = stats.folded_seq;
    return STATUS_OK;
}
