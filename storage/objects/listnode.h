/*
 * listnode.h -- the nodes of a list: list.c's lower half.
 *
 *   listnode <-> listnode <-> listnode      up to LIST_NODE_COUNT_MAX slots
 *      |
 *      +-- [ . . . slot slot slot . . ]     room at both ends
 *                  |    first, count
 *                  +-- position, value
 *
 * Private to storage/objects/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_OBJECTS_LISTNODE_H
#define WALDEN_STORAGE_OBJECTS_LISTNODE_H

#include "server/base/check.h"
#include "storage/objects/list.h"

struct listnode_value {
    uint32_t len;
    char data[];
};

struct listnode_slot {
    int64_t position;
    struct listnode_value *value;
};

struct listnode {
    struct listnode *prev, *next;
    uint32_t first, count, size; /* slots: used from first, allocated */
    struct listnode_slot slots[];
};

struct list {
    struct listnode *head, *tail;
    size_t len;
    size_t value_size;    /* bytes of the values */
    size_t listpack_size; /* bytes of the entries as a listpack */
    size_t memory;        /* bytes of nodes and values */
    uint8_t encoding;     /* KEY_LISTPACK or KEY_QUICKLIST */
};

static inline struct slice
listnode_value_slice(const struct listnode_value *value)
{
    return slice_make(value->data, value->len);
}

static inline struct listnode_slot *
listnode_slot(struct listnode *node, size_t at)
{
    DCHECK(at < node->count);
    return &node->slots[node->first + at];
}

/* Bytes that value would take as an entry of a listpack. */
size_t listnode_entry_size(struct slice value);

/* A value, counted in the list's sums.  Copies data. */
struct listnode_value *listnode_value_new(struct list *list, struct slice data);
void listnode_value_free(struct list *list, struct listnode_value *value);
/* Bytes of memory that a value of so many bytes takes. */
size_t listnode_value_alloc_size(size_t len);

/* An empty node with room for size slots, not in the list yet. */
struct listnode *listnode_new(struct list *list, uint32_t size);
/* Bytes asked for a node of so many slots. */
size_t listnode_alloc_size(uint32_t slots);
/* Put node behind after; NULL: at the head. */
void listnode_link(
    struct list *list, struct listnode *node, struct listnode *after);
void listnode_unlink(struct list *list, struct listnode *node);

/* Twice the slots, or the maximum; the answer stands where node stood. */
struct listnode *listnode_grow(struct list *list, struct listnode *node);
/* Move the upper half of a full node into a new one behind it. */
void listnode_split(struct list *list, struct listnode *node);
/* Open a slot at index at of a node that is not full; the caller fills it. */
struct listnode_slot *listnode_open(struct listnode *node, size_t at);
/* Close the slot at index at; the node may become empty. */
void listnode_close(struct listnode *node, size_t at);
/*
 * Node just lost elements: free it, or join it with the next one, so that many
 * removals in the middle do not leave a trail of nearly empty nodes.
 */
void listnode_tidy(struct list *list, struct listnode *node);

#endif
