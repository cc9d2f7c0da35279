/*
 * scan.c -- looking at all keys of a database, in the order of their ids.
 *
 * Two ascending streams are merged: the rows of the table, and the ring of
 * fresh ids that the table may not know yet.  At any moment each live key is in
 * one of them: the fold takes no row away, not even between its slices, before
 * the key is gone (table.c).  For an id that both know, and for any row whose
 * name is in memory, memory is right:
 *
 *   the row's name is resident with this id      that key
 *   the id was renamed since its last fold       the key it is now
 *   the name is resident with another id,
 *   or is a tombstone                            gone
 *   none of these                                the row
 *
 * An id never changes while a key lives, so a key that is there from the first
 * call to the last is visited once, whatever is folded, loaded, evicted or
 * renamed meanwhile, and across restarts.
 */
#include "storage/scan.h"

#include "server/base/check.h"
#include "server/base/random.h"
#include "storage/reader.h"
#include "storage/resident.h"

#define RANDOM_TRIES_MAX 100

struct scan {
    struct keyspace *keyspace;
    struct physical *home;
    keyspace_visit_fn visit;
    void *arg;
    struct key_row row; /* of the table, not yet looked at */
    bool has_row;
    bool is_table_done;
};

static bool
is_visible(const struct scan *scan, const struct key *key)
{
    return key != NULL && resident_is_live(key) && key->home == scan->home &&
           !resident_is_expired(key, scan->keyspace->now_ms);
}

static bool
visit_key(const struct scan *scan, const struct key *key)
{
    if (!is_visible(scan, key))
        return true;
    return scan->visit(key_name(key), (enum key_type)key->type, scan->arg);
}

/* What the row at hand stands for: see the top. */
static bool
visit_row(const struct scan *scan)
{
    struct keyspace *keyspace = scan->keyspace;
    const struct key_row *row = &scan->row;
    struct physical *home = physical_find(keyspace, row->db);
    struct key *key = NULL, *moved;

    if (home != NULL)
        key = resident_find(keyspace, home, row->name);
    if (key != NULL && key->id == row->id)
        return visit_key(scan, key);
    moved = resident_find_moved(keyspace, row->id);
    if (moved != NULL)
        return visit_key(scan, moved);
    if (key != NULL || home != scan->home)
        return true;
    if (row->expire_at_ms >= 0 && keyspace->now_ms > row->expire_at_ms)
        return true;
    return scan->visit(row->name, (enum key_type)row->type, scan->arg);
}

static enum status
read_row(struct scan *scan, uint64_t after)
{
    enum status status;

    if (scan->has_row || scan->is_table_done)
        return STATUS_OK;
    status = reader_next_key(scan->keyspace->reader, after, &scan->row);
    if (status == STATUS_NOT_FOUND) {
        scan->is_table_done = true;
        return STATUS_OK;
    }
    scan->has_row = status == STATUS_OK;
    return status;
}

/* Look at the next id.  *cursor 0: there is none. *is_stopped by visit. */
static enum status
step(struct scan *scan, uint64_t *cursor, bool *is_stopped)
{
    const struct fresh_entry *entry =
        fresh_find_above(&scan->keyspace->fresh, *cursor);
    enum status status = read_row(scan, *cursor);

    if (status != STATUS_OK)
        return status;
    if (entry == NULL && !scan->has_row) {
        *cursor = 0;
        return STATUS_OK;
    }
    if (entry == NULL || (scan->has_row && scan->row.id < entry->id)) {
        *cursor = scan->row.id;
        scan->has_row = false;
        *is_stopped = !visit_row(scan);
        return STATUS_OK;
    }
    *cursor = entry->id;
    if (scan->has_row && scan->row.id == entry->id) {
        scan->has_row = false;
        /* Evicted, and still in the ring; or deleted. */
        if (entry->key == NULL) {
            *is_stopped = !visit_row(scan);
            return STATUS_OK;
        }
    }
    *is_stopped = !visit_key(scan, entry->key);
    return STATUS_OK;
}

/* All at once and all in memory: any order will do, and the map is fast. */
static void
run_in_memory(const struct scan *scan)
{
    struct map_iter iter;
    struct map_node *node;

    map_iter_start(&iter, &scan->home->keys);
    while ((node = map_iter_next(&iter)) != NULL)
        if (!visit_key(scan, resident_key_of(node)))
            return;
}

enum status
scan_run(struct keyspace *keyspace, struct physical *home, uint64_t *cursor,
    size_t wanted, keyspace_visit_fn visit, void *arg)
{
    struct scan scan = {
        .keyspace = keyspace, .home = home, .visit = visit, .arg = arg
    };
    uint64_t at = *cursor;
    bool is_stopped = false;
    enum status status;

    keyspace_observe_all(keyspace);
    if (wanted == SIZE_MAX && at == 0 && physical_is_resident(home)) {
        run_in_memory(&scan);
        return STATUS_OK;
    }
    status = reader_hold(keyspace->reader);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < wanted && !is_stopped; i++) {
        status = step(&scan, &at, &is_stopped);
        if (status != STATUS_OK || at == 0)
            break;
    }
    reader_release(keyspace->reader);
    if (status == STATUS_OK)
        *cursor = at;
    return status;
}

/* ---- random -------------------------------------------------------------- */

/* A key in memory; false: bad luck. */
static bool
try_memory(struct keyspace *keyspace, struct physical *home, struct buf *out)
{
    struct map_node *node = map_random(&home->keys, random_u64());
    const struct key *key;

    if (node == NULL)
        return false;
    key = resident_key_of(node);
    if (!resident_is_live(key) || resident_is_expired(key, keyspace->now_ms))
        return false;
    if (key->dirty_seq > keyspace->observed_seq)
        keyspace->observed_seq = key->dirty_seq;
    buf_append_slice(out, key_name(key));
    return true;
}

/* A key that is only in the table; STATUS_NOT_FOUND: bad luck. */
static enum status
try_table(struct keyspace *keyspace, struct physical *home, struct buf *out)
{
    uint64_t last = reader_last_id(keyspace->reader);
    struct key_row row;
    enum status status;

    if (last == 0)
        return STATUS_NOT_FOUND;
    status = reader_next_key(keyspace->reader, random_below(last), &row);
    if (status != STATUS_OK)
        return status;
    if (row.db != home->number ||
        resident_find(keyspace, home, row.name) != NULL ||
        (row.expire_at_ms >= 0 && keyspace->now_ms > row.expire_at_ms))
        return STATUS_NOT_FOUND;
    if (resident_version_seq(row.version) > keyspace->observed_seq)
        keyspace->observed_seq = resident_version_seq(row.version);
    buf_append_slice(out, row.name);
    return STATUS_OK;
}

struct first {
    struct buf *out;
    bool is_found;
};

static bool
take_first(struct slice name, enum key_type type, void *arg)
{
    struct first *first = arg;

    (void)type;
    buf_append_slice(first->out, name);
    first->is_found = true;
    return false;
}

enum status
scan_random(struct keyspace *keyspace, struct physical *home, struct buf *out)
{
    struct first first = { out, false };
    uint64_t cursor = 0;
    enum status status;

    if (home->live == 0)
        return STATUS_NOT_FOUND;
    for (int i = 0; i < RANDOM_TRIES_MAX; i++) {
        if (random_below(home->live) < home->resident) {
            if (try_memory(keyspace, home, out))
                return STATUS_OK;
            continue;
        }
        status = try_table(keyspace, home, out);
        if (status != STATUS_NOT_FOUND)
            return status;
    }
    /* Few keys among many tombstones or many of other databases. */
    status = scan_run(keyspace, home, &cursor, SIZE_MAX, take_first, &first);
    if (status != STATUS_OK)
        return status;
    return first.is_found ? STATUS_OK : STATUS_NOT_FOUND;
}
