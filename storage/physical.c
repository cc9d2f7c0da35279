/*
 * physical.c -- the map from logical to physical databases, and what it costs
 * to change it: a few rows of meta.
 *
 * FLUSHDB does not look at a single key.  The dropped database's struct, with
 * its map of keys, goes to the reaper; on disk one ROW_DROP tells the fold to
 * collect its rows.  Keys that the open batch has touched get their rows
 * written first:
 *   - those of the database, because their elements are in the batch already,
 *     and elements without a key's row would never be found again;
 *   - those that were moved out of it, because a fold may end within a huge
 *     batch: were their rows behind the drop, they would be collected with it.
 */
#include "storage/physical.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "storage/resident.h"

#define META_NAME_SIZE 32 /* bytes of a name made here */

static bool
number_matches(const struct map_node *node, const void *key)
{
    const struct physical *physical =
        MAP_ENTRY((uintptr_t)node, struct physical, node);

    return physical->number == *(const uint32_t *)key;
}

struct physical *
physical_find(const struct keyspace *keyspace, uint32_t number)
{
    struct map_node *node = map_find(
        &keyspace->physicals, hash_u64(number), number_matches, &number);

    return node != NULL ? MAP_ENTRY(node, struct physical, node) : NULL;
}

static struct physical *
physical_new(struct keyspace *keyspace, uint32_t number)
{
    struct physical *physical = memory_zalloc(sizeof(*physical));

    map_init(&physical->keys);
    physical->number = number;
    physical->logical = PHYSICAL_UNMAPPED;
    map_add(&keyspace->physicals, &physical->node, hash_u64(number));
    return physical;
}

struct physical *
physical_get(struct keyspace *keyspace, uint32_t number)
{
    struct physical *physical = physical_find(keyspace, number);

    return physical != NULL ? physical : physical_new(keyspace, number);
}

void
physical_free(struct physical *physical)
{
    CHECK(physical->keys.count == 0);
    map_fini(&physical->keys);
    memory_free(physical);
}

/* ---- meta ---------------------------------------------------------------- */

static void
meta_put(struct keyspace *keyspace, const char *name, uint64_t value)
{
    char text[NUMBER_I64_SIZE];
    struct row_change change = { .op = ROW_PUT, .table = ROW_META };

    change.sub = slice_from_text(name);
    change.value = slice_make(text, number_format_i64(text, (int64_t)value));
    batch_add(keyspace->batch, &change);
}

static void
meta_put_of(struct keyspace *keyspace, const char *prefix, uint64_t number,
    uint64_t value)
{
    char name[META_NAME_SIZE];

    snprintf(name, sizeof(name), "%s.%" PRIu64, prefix, number);
    meta_put(keyspace, name, value);
}

static void
meta_del_of(struct keyspace *keyspace, const char *prefix, uint64_t number)
{
    char name[META_NAME_SIZE];
    struct row_change change = { .op = ROW_DEL, .table = ROW_META };

    snprintf(name, sizeof(name), "%s.%" PRIu64, prefix, number);
    change.sub = slice_from_text(name);
    batch_add(keyspace->batch, &change);
}

/* Is name prefix and then a number? */
static bool
name_has_number(struct slice name, const char *prefix, uint64_t *number)
{
    size_t len = strlen(prefix);

    if (name.len <= len || memcmp(name.data, prefix, len) != 0)
        return false;
    return number_parse_u64(
        slice_make(name.data + len, name.len - len), number);
}

static void
map_logical(struct keyspace *keyspace, uint64_t logical, uint32_t number)
{
    struct physical *old, *physical;

    if (logical >= (uint64_t)keyspace->databases_count)
        return; /* `databases` was larger once */
    old = keyspace->databases[logical];
    if (old != NULL && old->logical == (int)logical)
        old->logical = PHYSICAL_UNMAPPED;
    physical = physical_get(keyspace, number);
    physical->logical = (int)logical;
    keyspace->databases[logical] = physical;
}

enum status
physical_apply_meta(
    struct keyspace *keyspace, struct slice name, const struct slice *value)
{
    uint64_t number = 0, subject;

    if (value != NULL && !number_parse_u64(*value, &number)) {
        bool is_ours = name_has_number(name, "db.", &subject) ||
                       name_has_number(name, "count.", &subject) ||
                       name_has_number(name, "expires.", &subject);
        return is_ours ? STATUS_CORRUPT : STATUS_OK;
    }
    if (name_has_number(name, "db.", &subject)) {
        if (number > UINT32_MAX)
            return STATUS_CORRUPT;
        if (value != NULL)
            map_logical(keyspace, subject, (uint32_t)number);
    } else if (name_has_number(name, "count.", &subject)) {
        physical_get(keyspace, (uint32_t)subject)->live = number;
    } else if (name_has_number(name, "expires.", &subject)) {
        physical_get(keyspace, (uint32_t)subject)->expiring = number;
    } else if (slice_is(name, "next_db")) {
        if (number > keyspace->next_db && number <= UINT32_MAX)
            keyspace->next_db = (uint32_t)number;
    } else if (slice_is(name, "next_id")) {
        if (number > keyspace->next_id)
            keyspace->next_id = number;
    }
    return STATUS_OK;
}

struct reading {
    struct keyspace *keyspace;
    enum status status;
};

static bool
visit_meta(struct slice name, struct slice value, void *arg)
{
    struct reading *reading = arg;

    reading->status = physical_apply_meta(reading->keyspace, name, &value);
    return reading->status == STATUS_OK;
}

enum status
physical_open_all(struct keyspace *keyspace)
{
    static const char *const prefixes[] = { "db.", "count.", "expires.",
        "next_" };
    struct reading reading = { keyspace, STATUS_OK };

    for (int i = 0; i < keyspace->databases_count; i++) {
        keyspace->databases[i] = NULL;
        map_logical(keyspace, (uint64_t)i, (uint32_t)i);
    }
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        enum status status = reader_each_meta(
            keyspace->reader, prefixes[i], visit_meta, &reading);
        if (status != STATUS_OK)
            return status;
        if (reading.status != STATUS_OK)
            return reading.status;
    }
    return STATUS_OK;
}

void
physical_settle(struct keyspace *keyspace)
{
    struct map_iter iter;
    struct map_node *node;
    struct physical *unmapped = NULL;

    /* Two swapped databases were mapped one after the other: whoever stands */
    /* in the array is mapped, whatever its own field says. */
    keyspace->memory = 0;
    for (int i = 0; i < keyspace->databases_count; i++) {
        keyspace->databases[i]->logical = i;
        keyspace->memory += keyspace->databases[i]->memory;
    }
    map_iter_start(&iter, &keyspace->physicals);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct physical *physical = MAP_ENTRY(node, struct physical, node);
        int logical = physical->logical;
        if (logical != PHYSICAL_UNMAPPED &&
            keyspace->databases[logical] == physical)
            continue;
        physical->logical = PHYSICAL_UNMAPPED;
        physical->next_stale = unmapped;
        unmapped = physical;
    }
    while (unmapped != NULL) {
        struct physical *physical = unmapped;
        unmapped = physical->next_stale;
        physical->next_stale = NULL;
        map_remove(&keyspace->physicals, &physical->node);
        reap_physical(&keyspace->reap, physical);
    }
}

/* ---- counts -------------------------------------------------------------- */

void
physical_count_changed(struct keyspace *keyspace, struct physical *physical)
{
    if (physical->is_count_stale || physical->logical == PHYSICAL_UNMAPPED)
        return;
    physical->is_count_stale = true;
    physical->next_stale = keyspace->first_stale;
    keyspace->first_stale = physical;
}

void
physical_write_counts(struct keyspace *keyspace)
{
    struct physical *physical;

    while ((physical = keyspace->first_stale) != NULL) {
        keyspace->first_stale = physical->next_stale;
        physical->next_stale = NULL;
        physical->is_count_stale = false;
        meta_put_of(keyspace, "count", physical->number, physical->live);
        meta_put_of(keyspace, "expires", physical->number, physical->expiring);
    }
    if (keyspace->is_next_id_stale)
        meta_put(keyspace, "next_id", keyspace->next_id);
    keyspace->is_next_id_stale = false;
}

/* ---- flush and swap ------------------------------------------------------ */

static void
forget_stale(struct keyspace *keyspace, struct physical *physical)
{
    struct physical **link = &keyspace->first_stale;

    if (!physical->is_count_stale)
        return;
    while (*link != physical)
        link = &(*link)->next_stale;
    *link = physical->next_stale;
    physical->next_stale = NULL;
    physical->is_count_stale = false;
}

void
physical_flush(struct keyspace *keyspace, int logical)
{
    struct physical *old = keyspace->databases[logical];
    struct physical *fresh;
    struct row_change drop = { .op = ROW_DROP, .table = ROW_DB };

    resident_write_rows(keyspace);
    drop.id = old->number;
    batch_add(keyspace->batch, &drop);
    meta_del_of(keyspace, "count", old->number);
    meta_del_of(keyspace, "expires", old->number);

    CHECK(keyspace->next_db < UINT32_MAX);
    fresh = physical_new(keyspace, keyspace->next_db++);
    fresh->logical = logical;
    fresh->map_seq = keyspace->open_seq;
    keyspace->databases[logical] = fresh;
    meta_put_of(keyspace, "db", (uint64_t)logical, fresh->number);
    meta_put(keyspace, "next_db", keyspace->next_db);

    forget_stale(keyspace, old);
    map_remove(&keyspace->physicals, &old->node);
    old->logical = PHYSICAL_UNMAPPED;
    keyspace->memory -= old->memory; /* the reaper's from now on */
    keyspace->last = NULL;
    reap_physical(&keyspace->reap, old);
}

void
physical_swap(struct keyspace *keyspace, int logical, int other)
{
    struct physical *one = keyspace->databases[logical];
    struct physical *two = keyspace->databases[other];

    keyspace->databases[logical] = two;
    keyspace->databases[other] = one;
    two->logical = logical;
    one->logical = other;
    one->map_seq = two->map_seq = keyspace->open_seq;
    meta_put_of(keyspace, "db", (uint64_t)logical, two->number);
    meta_put_of(keyspace, "db", (uint64_t)other, one->number);
}

static void
unmap(struct map_node *node, void *arg)
{
    struct keyspace *keyspace = arg;
    struct physical *physical = MAP_ENTRY(node, struct physical, node);

    physical->logical = PHYSICAL_UNMAPPED;
    reap_physical(&keyspace->reap, physical);
}

void
physical_drop_all(struct keyspace *keyspace)
{
    map_clear(&keyspace->physicals, unmap, keyspace);
    keyspace->first_stale = NULL;
}
