/*
 * sweep.c -- deleting keys whose time has come.
 *
 * Two places know of expiries: the heap knows those of resident keys, the
 * index over keys.expire_at those of the others.  A row of a resident key may
 * be out of date, and memory is right; so the sweep skips such rows.
 *
 * To look at each row of the index once, the sweep keeps a cursor (ms, id) and
 * a bound: no key outside memory expires before table_next_ms.  While neither
 * the bound nor the top of the heap is due, a sweep is two comparisons and
 * reads nothing.  What is skipped behind the cursor is resident or of a
 * dropped database; when a resident key is evicted, cursor and bound are set
 * back to its expiry if they are past it.
 */
#include "storage/sweep.h"

#include "server/base/check.h"
#include "server/base/clock.h"
#include "storage/objects/object.h"
#include "storage/reader.h"
#include "storage/resident.h"

#define SWEEP_STEP 16 /* keys between looks at the clock */

void
sweep_expire(struct keyspace *keyspace, struct key *key)
{
    keyspace_delete(keyspace, key);
    keyspace->stats.expired++;
}

void
sweep_note_evicted(struct keyspace *keyspace, const struct key *key)
{
    int64_t at_ms = key->expire_at_ms;

    if (at_ms < 0)
        return;
    if (at_ms < keyspace->table_next_ms)
        keyspace->table_next_ms = at_ms;
    if (at_ms <= keyspace->table_after_ms) {
        keyspace->table_after_ms = at_ms - 1;
        keyspace->table_after_id = UINT64_MAX >> 1;
    }
}

/* Delete the first of the heap if it is due; dropped ones leave the heap. */
static bool
sweep_heap(struct keyspace *keyspace, uint64_t *deleted)
{
    struct key *key = expiry_first(&keyspace->expiry);

    if (key == NULL || !resident_is_expired(key, keyspace->now_ms))
        return false;
    if (key->home->logical == PHYSICAL_UNMAPPED) {
        expiry_remove(&keyspace->expiry, key);
        return true;
    }
    sweep_expire(keyspace, key);
    (*deleted)++;
    return true;
}

/* Look at the next row of the index, if it is due. */
static bool
sweep_table(struct keyspace *keyspace, uint64_t *deleted)
{
    struct physical *home;
    struct key_row row;
    enum status status;

    if (keyspace->table_next_ms >= keyspace->now_ms)
        return false;
    status = reader_next_expired(keyspace->reader, keyspace->table_after_ms,
        keyspace->table_after_id, INT64_MAX, &row);
    if (status == STATUS_NOT_FOUND) {
        keyspace->table_next_ms = INT64_MAX;
        return false;
    }
    if (status != STATUS_OK)
        return false; /* expired keys stay hidden; the next sweep tries again */
    keyspace->table_next_ms = row.expire_at_ms;
    if (row.expire_at_ms >= keyspace->now_ms)
        return false;
    keyspace->table_after_ms = row.expire_at_ms;
    keyspace->table_after_id = row.id;
    home = physical_find(keyspace, row.db);
    if (home == NULL || !object_has_kind(row.type) ||
        resident_find(keyspace, home, row.name) != NULL)
        return true;
    sweep_expire(keyspace, resident_add_row(keyspace, home, &row));
    (*deleted)++;
    return true;
}

uint64_t
sweep_run(struct keyspace *keyspace, int64_t now_ms, int64_t budget_us)
{
    uint64_t deleted = 0;
    int64_t start_us;
    bool is_heap_due, is_table_due, is_held;

    if (keyspace->is_frozen)
        return 0;
    keyspace_begin(keyspace, now_ms);
    is_heap_due = expiry_first(&keyspace->expiry) != NULL &&
                  resident_is_expired(expiry_first(&keyspace->expiry), now_ms);
    is_table_due = keyspace->table_next_ms < now_ms;
    if (!is_heap_due && !is_table_due)
        return 0;
    start_us = clock_monotonic_us();
    /* If not, each row is read on its own. */
    is_held = is_table_due && reader_hold(keyspace->reader) == STATUS_OK;
    do {
        for (int i = 0; i < SWEEP_STEP; i++) {
            is_heap_due = sweep_heap(keyspace, &deleted);
            is_table_due = sweep_table(keyspace, &deleted);
            if (!is_heap_due && !is_table_due)
                break;
        }
    } while ((is_heap_due || is_table_due) &&
             clock_monotonic_us() - start_us < budget_us);
    if (is_held)
        reader_release(keyspace->reader);
    keyspace->stats.expired_stale_sweep_us +=
        (uint64_t)(clock_monotonic_us() - start_us);
    return deleted;
}
