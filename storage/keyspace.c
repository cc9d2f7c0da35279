/*
 * keyspace.c -- the doors through which commands reach keys.
 *
 * The work is done elsewhere: resident.c (what is in memory), physical.c
 * (databases), sweep.c (expiry), evict.c, scan.c, reload.c.  Here is what a
 * command may call, in the order of keyspace.h.
 *
 * What a command saw (R1) is one number: the newest batch among those that
 * last changed the keys it looked up, tombstones included, and among those
 * that mapped the databases it looked in.  What is not in memory has no
 * unfolded change (D4) and is on disk, but the bucket may not have it yet: a
 * row says by its version when it changed, and missing a name observes all
 * that is folded.
 *
 * What a command writes: element changes enter the open batch as the object
 * functions make them, a ROW_DEL when a key goes.  The key's own row is
 * written once, by keyspace_seal(), however often the batch touched it.
 */
#include "storage/keyspace.h"

#include <limits.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "storage/evict.h"
#include "storage/objects/object.h"
#include "storage/objects/string.h"
#include "storage/reload.h"
#include "storage/reader.h"
#include "storage/resident.h"
#include "storage/scan.h"
#include "storage/sweep.h"

#define SETTLE_STEP 4096 /* keys that leave the dirty list at a time */

/* ---- life ---------------------------------------------------------------- */

enum status
keyspace_new(struct keyspace **keyspace, struct store *store,
    const struct keyspace_options *options)
{
    const struct store_counters *counters = store_counters(store);
    struct keyspace *fresh;
    enum status status;

    if (options->databases < 1 || options->databases >= PHYSICAL_FRESH_FIRST)
        return STATUS_LIMIT;
    fresh = memory_zalloc(sizeof(*fresh));
    fresh->store = store;
    fresh->reader = store_reader(store);
    fresh->options = *options;
    fresh->databases_count = options->databases;
    fresh->databases =
        memory_zalloc((size_t)options->databases * sizeof(struct physical *));
    fresh->next_db = PHYSICAL_FRESH_FIRST;
    fresh->next_id = counters->next_id > 0 ? counters->next_id : 1;
    fresh->open_seq = counters->seq + 1;
    fresh->folded_seq = counters->seq;
    fresh->batch = batch_new();
    fresh->now_ms = clock_wall_ms();
    map_init(&fresh->physicals);
    map_init(&fresh->moved);
    fresh_init(&fresh->fresh);
    expiry_init(&fresh->expiry);
    status = physical_open_all(fresh);
    if (status != STATUS_OK) {
        keyspace_free(fresh);
        return status;
    }
    physical_settle(fresh);
    *keyspace = fresh;
    return STATUS_OK;
}

void
keyspace_free(struct keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    keyspace_end_reads(keyspace);
    reload_drop(keyspace);
    reap_fini(&keyspace->reap, keyspace);
    map_fini(&keyspace->physicals);
    map_fini(&keyspace->moved);
    fresh_fini(&keyspace->fresh);
    expiry_fini(&keyspace->expiry);
    batch_free(keyspace->batch);
    buf_fini(&keyspace->scratch);
    memory_free(keyspace->touched);
    memory_free(keyspace->databases);
    memory_free(keyspace->prepared);
    memory_free(keyspace);
}

void
keyspace_set_options(
    struct keyspace *keyspace, const struct keyspace_options *options)
{
    keyspace->options = *options;
    keyspace->options.databases = keyspace->databases_count;
}

/* ---- one command --------------------------------------------------------- */

static struct physical *
home_of(const struct keyspace *keyspace, int db)
{
    CHECK(db >= 0 && db < keyspace->databases_count);
    return keyspace->databases[db];
}

void
keyspace_begin(struct keyspace *keyspace, int64_t now_ms)
{
    keyspace->now_ms = now_ms;
    keyspace->observed_seq = 0;
    keyspace->has_changed = false;
    keyspace->prepared_count = 0;
}

void
keyspace_keep_expired(struct keyspace *keyspace, bool keep)
{
    keyspace->keeps_expired = keep;
}

int64_t
keyspace_now_ms(const struct keyspace *keyspace)
{
    return keyspace->now_ms;
}

uint64_t
keyspace_observed_seq(const struct keyspace *keyspace)
{
    return keyspace->observed_seq;
}

void
keyspace_observe_all(struct keyspace *keyspace)
{
    keyspace->observed_seq = keyspace_has_batch(keyspace)
                                 ? keyspace->open_seq
                                 : keyspace->open_seq - 1;
}

bool
keyspace_has_changed(const struct keyspace *keyspace)
{
    return keyspace->has_changed;
}

uint64_t
keyspace_change_count(const struct keyspace *keyspace)
{
    return keyspace->changes;
}

bool
keyspace_is_all_loaded(const struct keyspace *keyspace, int db)
{
    const struct physical *home = home_of(keyspace, db);

    return physical_is_resident(home) && home->unloaded == 0;
}

#ifdef WALDEN_DEBUG
static uint64_t
prepared_mark(const struct physical *home, struct slice name)
{
    return hash_slice(name) ^ hash_u64(home->number);
}

static void
remember_prepared(
    struct keyspace *keyspace, struct physical *home, struct slice name)
{
    if (keyspace->prepared_count == keyspace->prepared_size) {
        keyspace->prepared_size = keyspace->prepared_size * 2 + 16;
        keyspace->prepared = memory_realloc(
            keyspace->prepared, keyspace->prepared_size * sizeof(uint64_t));
    }
    keyspace->prepared[keyspace->prepared_count++] = prepared_mark(home, name);
}

static bool
was_prepared(const struct keyspace *keyspace, const struct physical *home,
    struct slice name)
{
    uint64_t mark = prepared_mark(home, name);

    for (size_t i = 0; i < keyspace->prepared_count; i++)
        if (keyspace->prepared[i] == mark)
            return true;
    return physical_is_resident(home);
}
#endif

/* Hold the reader for the rest of the pass.  If that fails each read takes a */
/* transaction of its own, and says what is wrong. */
static void
begin_reads(struct keyspace *keyspace)
{
    if (!keyspace->is_reading)
        keyspace->is_reading = reader_hold(keyspace->reader) == STATUS_OK;
}

void
keyspace_end_reads(struct keyspace *keyspace)
{
    if (!keyspace->is_reading)
        return;
    keyspace->is_reading = false;
    reader_release(keyspace->reader);
}

enum status
keyspace_prepare(
    struct keyspace *keyspace, int db, struct slice name, bool with_object)
{
    struct physical *home = home_of(keyspace, db);
    struct key *key = resident_find(keyspace, home, name);
    struct key_row row;
    enum status status;

#ifdef WALDEN_DEBUG
    remember_prepared(keyspace, home, name);
#endif
    if (key == NULL) {
        if (physical_is_resident(home))
            return STATUS_OK; /* all there is is in memory */
        begin_reads(keyspace);
        status = reader_find_key(keyspace->reader, home->number, name, &row);
        if (status == STATUS_NOT_FOUND)
            return STATUS_OK;
        if (status != STATUS_OK)
            return status;
        if (!object_has_kind(row.type))
            return STATUS_CORRUPT;
        key = resident_add_row(keyspace, home, &row);
        keyspace->last = key;
    }
    if (!with_object || key->object != NULL || !resident_is_live(key))
        return STATUS_OK;
    return resident_load(keyspace, key);
}

/* The live key, having observed what there is; expired ones go, or hide. */
static struct key *
look_up(struct keyspace *keyspace, int db, struct slice name)
{
    struct physical *home = home_of(keyspace, db);
    struct key *key = resident_find(keyspace, home, name);

    if (home->map_seq > keyspace->observed_seq)
        keyspace->observed_seq = home->map_seq;
    if (key == NULL) {
#ifdef WALDEN_DEBUG
        DCHECK(was_prepared(keyspace, home, name));
#endif
        /* Who deleted it is forgotten once it is folded. */
        if (keyspace->folded_seq > keyspace->observed_seq)
            keyspace->observed_seq = keyspace->folded_seq;
        return NULL;
    }
    if (key->dirty_seq > keyspace->observed_seq)
        keyspace->observed_seq = key->dirty_seq;
    if (!resident_is_live(key))
        return NULL;
    if (resident_is_expired(key, keyspace->now_ms)) {
        if (!keyspace->is_frozen && !keyspace->keeps_expired)
            sweep_expire(keyspace, key);
        return NULL;
    }
    return key;
}

void
keyspace_prefetch(const struct keyspace *keyspace, int db,
    const struct slice *names, size_t count)
{
    CHECK(count <= KEYSPACE_PREFETCH_MAX);
    resident_prefetch(home_of(keyspace, db), names, count);
}

struct key *
keyspace_find(struct keyspace *keyspace, int db, struct slice name)
{
    struct key *key = look_up(keyspace, db, name);

    if (key != NULL)
        evict_count_access(keyspace, key);
    return key;
}

struct key *
keyspace_peek(struct keyspace *keyspace, int db, struct slice name)
{
    return look_up(keyspace, db, name);
}

struct key *
keyspace_create(struct keyspace *keyspace, int db, struct slice name,
    enum key_type type, void *object)
{
    DCHECK(!keyspace->is_frozen && object != NULL);
    return resident_create(keyspace, home_of(keyspace, db), name, type,
        resident_new_id(keyspace), object);
}

/* The name's live key goes, if there is one. */
static void
clear_name(struct keyspace *keyspace, struct key *key)
{
    if (key != NULL && resident_is_live(key))
        resident_delete(keyspace, key);
}

struct key *
keyspace_set_string(struct keyspace *keyspace, int db, struct slice name,
    struct slice value, bool keep_expiry)
{
    struct physical *home = home_of(keyspace, db);
    struct key *key = resident_find(keyspace, home, name);
    int64_t expire_at_ms = -1;
    struct edit edit;

    DCHECK(!keyspace->is_frozen);
    if (key != NULL && resident_is_live(key) &&
        resident_is_expired(key, keyspace->now_ms))
        sweep_expire(keyspace, key);
    if (key != NULL && keep_expiry)
        expire_at_ms = key->expire_at_ms;
    if (key == NULL || key->type != KEY_STRING ||
        !string_assign(&key->string, value)) {
        clear_name(keyspace, key);
        edit = (struct edit){ keyspace->batch, resident_new_id(keyspace) };
        key = resident_create(keyspace, home, name, KEY_STRING, edit.id,
            string_new(&edit, value));
    }
    resident_set_expiry(keyspace, key, expire_at_ms);
    (void)keyspace_touch(keyspace, key);
    return key;
}

void
keyspace_mark_text(struct keyspace *keyspace, struct key *key)
{
    if (key->encoding != KEY_INT)
        return;
    DCHECK(key->is_touched && key->is_row_stale);
    string_mark_text(key->string);
    resident_measure(keyspace, key);
}

struct edit
keyspace_edit(struct keyspace *keyspace, struct key *key)
{
    return (struct edit){ keyspace->batch, key->id };
}

bool
keyspace_touch(struct keyspace *keyspace, struct key *key)
{
    DCHECK(resident_is_live(key));
    resident_measure(keyspace, key);
    if (key->size == 0 && object_kind(key->type)->goes_when_empty) {
        keyspace_delete(keyspace, key);
        return false;
    }
    resident_touch(keyspace, key);
    resident_notify(keyspace, key);
    return true;
}

void
keyspace_delete(struct keyspace *keyspace, struct key *key)
{
    resident_delete(keyspace, key);
    resident_notify(keyspace, key);
}

void
keyspace_set_expiry(struct keyspace *keyspace, struct key *key, int64_t at_ms)
{
    resident_set_expiry(keyspace, key, at_ms);
    resident_touch(keyspace, key);
    resident_notify(keyspace, key);
}

struct key *
keyspace_rename(
    struct keyspace *keyspace, struct key *key, int db, struct slice name)
{
    struct physical *home = home_of(keyspace, db);
    struct key *fresh = resident_find(keyspace, home, name);

    if (fresh == key)
        return key;
    if (fresh == NULL)
        fresh = resident_add_name(keyspace, home, name);
    CHECK(!resident_is_live(fresh));
    resident_move(keyspace, key, fresh);
    resident_notify(keyspace, key);
    resident_notify(keyspace, fresh);
    return fresh;
}

enum status
keyspace_copy(
    struct keyspace *keyspace, struct key *key, int db, struct slice name)
{
    struct edit edit = { keyspace->batch, resident_new_id(keyspace) };
    char type = (char)key->type;
    struct row_change change = { .op = ROW_DEL, .table = ROW_KEY };
    struct key *copy;
    void *object;
    enum status status;

    DCHECK(key->object != NULL);
    status = object_kind(key->type)->copy(
        key->object, &edit, keyspace->reader, key->id, &object);
    if (status != STATUS_OK) {
        /* The rows that were added to the batch are nobody's. */
        change.id = edit.id;
        change.sub = slice_make(&type, 1);
        batch_add(keyspace->batch, &change);
        return status;
    }
    copy = resident_create(keyspace, home_of(keyspace, db), name,
        (enum key_type)key->type, edit.id, object);
    resident_set_expiry(keyspace, copy, key->expire_at_ms);
    (void)keyspace_touch(keyspace, copy);
    return STATUS_OK;
}

/* ---- everything ---------------------------------------------------------- */

uint64_t
keyspace_count(const struct keyspace *keyspace, int db)
{
    return home_of(keyspace, db)->live;
}

uint64_t
keyspace_expiring_count(const struct keyspace *keyspace, int db)
{
    return home_of(keyspace, db)->expiring;
}

/* Something happened to a whole database. */
static void
changed_all_of(struct keyspace *keyspace, int db)
{
    static const struct slice all = { NULL, SIZE_MAX };

    keyspace->observed_seq = keyspace->open_seq;
    keyspace->changes++;
    if (!keyspace->has_changed) {
        keyspace->has_changed = true;
        keyspace->batch->commands++;
    }
    if (keyspace->changed != NULL)
        keyspace->changed(db, all, KEY_NONE, keyspace->changed_arg);
}

void
keyspace_flush(struct keyspace *keyspace, int db)
{
    int first = db >= 0 ? db : 0;
    int last = db >= 0 ? db : keyspace->databases_count - 1;

    DCHECK(!keyspace->is_frozen);
    for (int i = first; i <= last; i++) {
        struct physical *home = home_of(keyspace, i);
        if (home->live == 0) {
            /* That it is empty may not be durable yet. */
            if (home->keys.count > 0 || home->map_seq > 0)
                keyspace_observe_all(keyspace);
            continue;
        }
        keyspace->changes += home->live - 1;
        physical_flush(keyspace, i);
        changed_all_of(keyspace, i);
    }
}

void
keyspace_swap(struct keyspace *keyspace, int db, int other)
{
    DCHECK(!keyspace->is_frozen);
    if (db == other)
        return;
    physical_swap(keyspace, db, other);
    changed_all_of(keyspace, db);
    changed_all_of(keyspace, other);
}

enum status
keyspace_scan(struct keyspace *keyspace, int db, uint64_t *cursor,
    size_t wanted, keyspace_visit_fn visit, void *arg)
{
    return scan_run(
        keyspace, home_of(keyspace, db), cursor, wanted, visit, arg);
}

enum status
keyspace_random(struct keyspace *keyspace, int db, struct buf *out)
{
    struct physical *home = home_of(keyspace, db);

    if (home->map_seq > keyspace->observed_seq)
        keyspace->observed_seq = home->map_seq;
    return scan_random(keyspace, home, out);
}

void
keyspace_set_watch(
    struct keyspace *keyspace, keyspace_changed_fn changed, void *arg)
{
    keyspace->changed = changed;
    keyspace->changed_arg = arg;
}

/* ---- between commands ---------------------------------------------------- */

bool
keyspace_has_batch(const struct keyspace *keyspace)
{
    return keyspace->touched_count > 0 || !batch_is_empty(keyspace->batch);
}

size_t
keyspace_batch_size(const struct keyspace *keyspace)
{
    return keyspace->batch->changes.len + keyspace->batch->direct.len +
           keyspace->touched_size;
}

uint64_t
keyspace_open_seq(const struct keyspace *keyspace)
{
    return keyspace->open_seq;
}

void
keyspace_put_meta(
    struct keyspace *keyspace, struct slice name, struct slice value)
{
    struct row_change change = {
        .op = ROW_PUT, .table = ROW_META, .sub = name, .value = value
    };

    DCHECK(!keyspace->is_frozen);
    batch_add(keyspace->batch, &change);
}

struct batch *
keyspace_seal(struct keyspace *keyspace, struct batch *spare)
{
    struct batch *batch = keyspace->batch;

    DCHECK(!keyspace->is_frozen);
    keyspace_end_reads(keyspace);
    resident_write_rows(keyspace);
    physical_write_counts(keyspace);
    batch->seq = keyspace->open_seq++;
    batch->sealed_us = clock_monotonic_us();
    keyspace->order = 0;
    if (spare != NULL)
        batch_clear(spare);
    keyspace->batch = spare != NULL ? spare : batch_new();
    return batch;
}

void
keyspace_set_folded(struct keyspace *keyspace, uint64_t seq)
{
    keyspace_end_reads(keyspace); /* it may be older than this fold */
    if (seq > keyspace->folded_seq)
        keyspace->folded_seq = seq;
    (void)resident_settle(keyspace, SETTLE_STEP);
}

bool
keyspace_evict(struct keyspace *keyspace, int64_t budget_us)
{
    return evict_run(keyspace, budget_us);
}

uint64_t
keyspace_idle_s(const struct keyspace *keyspace, const struct key *key)
{
    return evict_idle_s(keyspace, key);
}

unsigned
keyspace_frequency(const struct keyspace *keyspace, const struct key *key)
{
    return evict_frequency(keyspace, key);
}

uint64_t
keyspace_evict_all(struct keyspace *keyspace)
{
    return evict_all(keyspace);
}

uint64_t
keyspace_sweep(struct keyspace *keyspace, int64_t now_ms, int64_t budget_us)
{
    return sweep_run(keyspace, now_ms, budget_us);
}

bool
keyspace_reap(struct keyspace *keyspace, int64_t budget_us)
{
    bool has_more = resident_settle(keyspace, SETTLE_STEP);

    return reap_run(&keyspace->reap, keyspace, budget_us) || has_more;
}

enum status
keyspace_reload(struct keyspace *keyspace)
{
    keyspace_end_reads(keyspace);
    return reload_run(keyspace);
}

void
keyspace_resume(struct keyspace *keyspace)
{
    keyspace->is_frozen = false;
}

void
keyspace_check(const struct keyspace *keyspace)
{
    resident_check(keyspace);
}

void
keyspace_stats(const struct keyspace *keyspace, struct keyspace_stats *stats)
{
    struct map_iter iter;
    struct map_node *node;

    *stats = keyspace->stats;
    stats->memory = keyspace->memory;
    stats->dirty = keyspace->dirty_count;
    stats->resident = 0;
    map_iter_start(&iter, &keyspace->physicals);
    while ((node = map_iter_next(&iter)) != NULL) {
        const struct physical *home = MAP_ENTRY(node, struct physical, node);
        stats->resident += home->resident;
    }
}

struct reader *
keyspace_reader(struct keyspace *keyspace)
{
    return keyspace->reader;
}
