/*
 * listnode.c -- the nodes of a list.
 *
 * A node is an array with a gap at either end; it starts small and doubles, so
 * that a short list costs little.  All that changes a node or a value keeps
 * the sums of the list that owns it right.
 *
 * The size of a listpack entry is that of Redis 7.2 (listpack.c): encoding
 * byte or bytes, content, and the entry's length once more behind it.
 */
#include <string.h>

#include "server/base/check.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "storage/objects/sizeclass.h"

#include "storage/objects/listnode.h"

/* ---- values and what they would take in a listpack ----------------------- */

size_t
listnode_value_alloc_size(size_t len)
{
    return sizeclass_round(sizeof(struct listnode_value) + len);
}

static size_t
listpack_integer_size(int64_t number)
{
    if (number >= 0 && number <= 127)
        return 1;
    if (number >= -4096 && number <= 4095)
        return 2;
    if (number >= INT16_MIN && number <= INT16_MAX)
        return 3;
    if (number >= -8388608 && number <= 8388607)
        return 4;
    if (number >= INT32_MIN && number <= INT32_MAX)
        return 5;
    return 9;
}

size_t
listnode_entry_size(struct slice value)
{
    int64_t number;
    size_t size;

    if (value.len <= 20 && number_parse_i64(value, &number))
        size = listpack_integer_size(number);
    else if (value.len < 64)
        size = 1 + value.len;
    else if (value.len < 4096)
        size = 2 + value.len;
    else
        size = 5 + value.len;
    if (size <= 127)
        return size + 1;
    if (size < 16383)
        return size + 2;
    if (size < 2097151)
        return size + 3;
    return size < 268435455 ? size + 4 : size + 5;
}

struct listnode_value *
listnode_value_new(struct list *list, struct slice data)
{
    size_t size = listnode_value_alloc_size(data.len);
    struct listnode_value *value = memory_alloc(size);

    value->len = (uint32_t)data.len;
    if (data.len > 0)
        memcpy(value->data, data.data, data.len);
    list->memory += size;
    list->value_size += data.len;
    list->listpack_size += listnode_entry_size(data);
    return value;
}

void
listnode_value_free(struct list *list, struct listnode_value *value)
{
    struct slice data = listnode_value_slice(value);

    list->memory -= listnode_value_alloc_size(data.len);
    list->value_size -= data.len;
    list->listpack_size -= listnode_entry_size(data);
    memory_free(value);
}

/* ---- nodes --------------------------------------------------------------- */

size_t
listnode_alloc_size(uint32_t slots)
{
    return sizeof(struct listnode) + slots * sizeof(struct listnode_slot);
}

struct listnode *
listnode_new(struct list *list, uint32_t size)
{
    struct listnode *node = memory_alloc(listnode_alloc_size(size));

    *node = (struct listnode){ .size = size };
    list->memory += sizeclass_round(listnode_alloc_size(size));
    return node;
}

static void
listnode_free(struct list *list, struct listnode *node)
{
    list->memory -= sizeclass_round(listnode_alloc_size(node->size));
    memory_free(node);
}

void
listnode_link(struct list *list, struct listnode *node, struct listnode *after)
{
    node->prev = after;
    node->next = after != NULL ? after->next : list->head;
    if (node->prev != NULL)
        node->prev->next = node;
    else
        list->head = node;
    if (node->next != NULL)
        node->next->prev = node;
    else
        list->tail = node;
}

void
listnode_unlink(struct list *list, struct listnode *node)
{
    if (node->prev != NULL)
        node->prev->next = node->next;
    else
        list->head = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else
        list->tail = node->prev;
}

struct listnode *
listnode_grow(struct list *list, struct listnode *node)
{
    uint32_t size = node->size * 2;
    struct listnode *grown;

    if (size > LIST_NODE_COUNT_MAX)
        size = LIST_NODE_COUNT_MAX;
    grown = listnode_new(list, size);
    grown->count = node->count;
    grown->first = (size - node->count) / 2;
    memcpy(grown->slots + grown->first, node->slots + node->first,
        node->count * sizeof(struct listnode_slot));
    listnode_link(list, grown, node);
    listnode_unlink(list, node);
    listnode_free(list, node);
    return grown;
}

void
listnode_split(struct list *list, struct listnode *node)
{
    struct listnode *upper = listnode_new(list, LIST_NODE_COUNT_MAX);
    uint32_t keep = node->count / 2;

    upper->count = node->count - keep;
    upper->first = (upper->size - upper->count) / 2;
    memcpy(upper->slots + upper->first, node->slots + node->first + keep,
        upper->count * sizeof(struct listnode_slot));
    node->count = keep;
    listnode_link(list, upper, node);
}

struct listnode_slot *
listnode_open(struct listnode *node, size_t at)
{
    struct listnode_slot *slots;
    bool has_room_before = node->first > 0;
    bool has_room_after = node->first + node->count < node->size;

    DCHECK(at <= node->count && node->count < node->size);
    if ((at == 0 && !has_room_before) ||
        (at == node->count && !has_room_after)) {
        /* Pushing at an end: let all the room be there. */
        uint32_t first = at == 0 ? node->size - node->count : 0;
        memmove(node->slots + first, node->slots + node->first,
            node->count * sizeof(struct listnode_slot));
        node->first = first;
        has_room_before = at == 0;
    }
    slots = node->slots + node->first;
    if (has_room_before && (at < node->count / 2 || at == 0 ||
                               node->first + node->count == node->size)) {
        memmove(slots - 1, slots, at * sizeof(struct listnode_slot));
        node->first--;
        slots--;
    } else {
        memmove(slots + at + 1, slots + at,
            (node->count - at) * sizeof(struct listnode_slot));
    }
    node->count++;
    return slots + at;
}

void
listnode_close(struct listnode *node, size_t at)
{
    struct listnode_slot *slots = node->slots + node->first;

    if (at < node->count / 2) {
        memmove(slots + 1, slots, at * sizeof(struct listnode_slot));
        node->first++;
    } else {
        memmove(slots + at, slots + at + 1,
            (node->count - at - 1) * sizeof(struct listnode_slot));
    }
    node->count--;
    if (node->count == 0)
        node->first = node->size / 2;
}

void
listnode_tidy(struct list *list, struct listnode *node)
{
    struct listnode *next = node->next;

    if (node->count == 0) {
        listnode_unlink(list, node);
        listnode_free(list, node);
        return;
    }
    if (next == NULL || node->count + next->count > LIST_NODE_COUNT_MAX / 2)
        return;
    while (node->size < node->count + next->count)
        node = listnode_grow(list, node);
    memmove(node->slots, node->slots + node->first,
        node->count * sizeof(struct listnode_slot));
    node->first = 0;
    memcpy(node->slots + node->count, next->slots + next->first,
        next->count * sizeof(struct listnode_slot));
    node->count += next->count;
    listnode_unlink(list, next);
    listnode_free(list, next);
}
