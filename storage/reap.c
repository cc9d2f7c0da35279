/*
 * reap.c -- freeing in slices.
 *
 * A stack of items, each an object or a physical database.  A big object that
 * turns up while a database is freed is pushed on top and goes first.
 */
#include "storage/reap.h"

#include "server/base/clock.h"
#include "server/base/memory.h"
#include "storage/objects/object.h"
#include "storage/physical.h"
#include "storage/resident.h"

#define REAP_STEP 64 /* keys or elements between looks at the clock */

struct reap_item {
    struct reap_item *next;
    struct physical *physical; /* or NULL: an object */
    void *object;
    uint8_t type;
};

static void
push(struct reap *reap, struct physical *physical, uint8_t type, void *object)
{
    struct reap_item *item = memory_alloc(sizeof(*item));

    *item = (struct reap_item){ reap->first, physical, object, type };
    reap->first = item;
}

void
reap_object(struct reap *reap, uint8_t type, void *object)
{
    if (object == NULL)
        return;
    if (object_kind(type)->parts(object) <= OBJECT_FREE_STEP)
        object_free(type, object);
    else
        push(reap, NULL, type, object);
}

void
reap_physical(struct reap *reap, struct physical *physical)
{
    push(reap, physical, KEY_NONE, NULL);
}

/* true: the item is done. */
static bool
step(struct reap_item *item, struct keyspace *keyspace)
{
    struct map_node *node;

    if (item->physical == NULL)
        return object_kind(item->type)->free_step(item->object, REAP_STEP);
    for (int i = 0; i < REAP_STEP; i++) {
        node = map_pop(&item->physical->keys);
        if (node == NULL) {
            physical_free(item->physical);
            return true;
        }
        resident_free(keyspace, MAP_ENTRY(node, struct key, node));
    }
    return false;
}

/* One step of what is on top, which may push something above it. */
static void
run_once(struct reap *reap, struct keyspace *keyspace)
{
    struct reap_item *item = reap->first, **link = &reap->first;

    if (!step(item, keyspace))
        return;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    memory_free(item);
}

bool
reap_run(struct reap *reap, struct keyspace *keyspace, int64_t budget_us)
{
    int64_t end_us;

    if (reap->first == NULL)
        return false;
    end_us = clock_monotonic_us() + budget_us;
    do {
        run_once(reap, keyspace);
    } while (reap->first != NULL && clock_monotonic_us() < end_us);
    return reap->first != NULL;
}

void
reap_detach(struct reap *reap)
{
    for (struct reap_item *item = reap->first; item != NULL; item = item->next)
        if (item->physical != NULL)
            item->physical->is_detached = true;
}

void
reap_fini(struct reap *reap, struct keyspace *keyspace)
{
    while (reap->first != NULL)
        run_once(reap, keyspace);
}
