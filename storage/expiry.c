/*
 * expiry.c -- a binary heap of keys.
 *
 * A heap rather than a timer wheel: deadlines lie anywhere between now and
 * years ahead, and most are changed or deleted before they come.
 */
#include "storage/expiry.h"

#include "server/base/check.h"
#include "server/base/memory.h"

#define EXPIRY_SIZE_FIRST 64 /* slots at first */

void
expiry_init(struct expiry *expiry)
{
    *expiry = (struct expiry){ NULL, 0, 0 };
}

void
expiry_fini(struct expiry *expiry)
{
    memory_free(expiry->keys);
    expiry_init(expiry);
}

static void
place(struct expiry *expiry, size_t slot, struct key *key)
{
    expiry->keys[slot] = key;
    key->expiry_slot = (uint32_t)slot;
}

static void
sift_up(struct expiry *expiry, size_t slot, struct key *key)
{
    while (slot > 0) {
        size_t parent = (slot - 1) / 2;
        if (expiry->keys[parent]->expire_at_ms <= key->expire_at_ms)
            break;
        place(expiry, slot, expiry->keys[parent]);
        slot = parent;
    }
    place(expiry, slot, key);
}

static void
sift_down(struct expiry *expiry, size_t slot, struct key *key)
{
    for (;;) {
        size_t child = slot * 2 + 1;
        if (child >= expiry->count)
            break;
        if (child + 1 < expiry->count && expiry->keys[child + 1]->expire_at_ms <
                                             expiry->keys[child]->expire_at_ms)
            child++;
        if (expiry->keys[child]->expire_at_ms >= key->expire_at_ms)
            break;
        place(expiry, slot, expiry->keys[child]);
        slot = child;
    }
    place(expiry, slot, key);
}

/* key belongs at slot or above it or below it. */
static void
sift(struct expiry *expiry, size_t slot, struct key *key)
{
    sift_up(expiry, slot, key);
    sift_down(expiry, key->expiry_slot, key);
}

struct key *
expiry_first(const struct expiry *expiry)
{
    return expiry->count > 0 ? expiry->keys[0] : NULL;
}

void
expiry_put(struct expiry *expiry, struct key *key)
{
    if (key->expiry_slot != KEY_NO_SLOT) {
        sift(expiry, key->expiry_slot, key);
        return;
    }
    CHECK(expiry->count < KEY_NO_SLOT);
    if (expiry->count == expiry->size) {
        expiry->size = expiry->size > 0 ? expiry->size * 2 : EXPIRY_SIZE_FIRST;
        expiry->keys =
            memory_realloc(expiry->keys, expiry->size * sizeof(struct key *));
    }
    sift_up(expiry, expiry->count++, key);
}

void
expiry_remove(struct expiry *expiry, struct key *key)
{
    size_t slot = key->expiry_slot;
    struct key *last;

    if (slot == KEY_NO_SLOT)
        return;
    key->expiry_slot = KEY_NO_SLOT;
    last = expiry->keys[--expiry->count];
    if (last != key)
        sift(expiry, slot, last);
}

void
expiry_replace(struct expiry *expiry, struct key *stale, struct key *fresh)
{
    if (stale->expiry_slot == KEY_NO_SLOT)
        return;
    DCHECK(fresh->expiry_slot == KEY_NO_SLOT);
    place(expiry, stale->expiry_slot, fresh);
    stale->expiry_slot = KEY_NO_SLOT;
}

void
expiry_check(const struct expiry *expiry)
{
    for (size_t i = 0; i < expiry->count; i++) {
        const struct key *key = expiry->keys[i];
        CHECK(key->expiry_slot == i && key->expire_at_ms >= 0);
        CHECK(i == 0 ||
              expiry->keys[(i - 1) / 2]->expire_at_ms <= key->expire_at_ms);
    }
}
