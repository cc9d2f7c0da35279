/*
 * fresh.c -- a ring of ids.
 */
#include "storage/fresh.h"

#include "server/base/check.h"
#include "server/base/memory.h"

#define FRESH_SIZE_FIRST 64         /* entries at first */
#define FRESH_SIZE_KEEP (64 * 1024) /* entries kept when it runs empty */

void
fresh_init(struct fresh *fresh)
{
    *fresh = (struct fresh){ NULL, 0, 0, 0 };
}

void
fresh_fini(struct fresh *fresh)
{
    memory_free(fresh->entries);
    fresh_init(fresh);
}

static struct fresh_entry *
entry_at(const struct fresh *fresh, size_t index)
{
    return &fresh->entries[(fresh->first + index) & (fresh->size - 1)];
}

static void
grow(struct fresh *fresh)
{
    size_t size = fresh->size > 0 ? fresh->size * 2 : FRESH_SIZE_FIRST;
    struct fresh_entry *entries = memory_alloc(size * sizeof(*entries));

    for (size_t i = 0; i < fresh->count; i++)
        entries[i] = *entry_at(fresh, i);
    memory_free(fresh->entries);
    fresh->entries = entries;
    fresh->first = 0;
    fresh->size = size;
}

void
fresh_push(struct fresh *fresh, uint64_t id, uint64_t seq, struct key *key)
{
    if (fresh->count == fresh->size)
        grow(fresh);
    DCHECK(fresh->count == 0 || entry_at(fresh, fresh->count - 1)->id < id);
    *entry_at(fresh, fresh->count++) = (struct fresh_entry){ id, seq, key };
}

/* Index of the first entry whose id is above id. */
static size_t
index_above(const struct fresh *fresh, uint64_t id)
{
    size_t low = 0, high = fresh->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_at(fresh, middle)->id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fresh_entry *
fresh_get(struct fresh *fresh, uint64_t id)
{
    size_t index = index_above(fresh, id);

    CHECK(index > 0 && entry_at(fresh, index - 1)->id == id);
    return entry_at(fresh, index - 1);
}

const struct fresh_entry *
fresh_find_above(const struct fresh *fresh, uint64_t id)
{
    size_t index = index_above(fresh, id);

    return index < fresh->count ? entry_at(fresh, index) : NULL;
}

struct fresh_entry *
fresh_first(const struct fresh *fresh)
{
    return fresh->count > 0 ? entry_at(fresh, 0) : NULL;
}

void
fresh_pop(struct fresh *fresh)
{
    DCHECK(fresh->count > 0);
    fresh->first = (fresh->first + 1) & (fresh->size - 1);
    fresh->count--;
    if (fresh->count == 0 && fresh->size > FRESH_SIZE_KEEP)
        fresh_fini(fresh);
}
