/*
 * list.c -- the list object.
 *
 * A doubly linked list of nodes (listnode.h), each an array of slots with room
 * at both ends, so that pushing and popping at both ends moves nothing.  Values
 * are allocations of their own: moving a slot never moves bytes, and what
 * list_get() lends stays where it is.
 *
 * Positions name the rows.  An element that is inserted takes a number from
 * the gap between its neighbours; when there is none, a stretch around it is
 * renumbered so that the gaps there become RENUMBER_GAP again.  The stretch
 * grows until its span offers that much, so the work is spread like in order
 * maintenance lists (Bender et al., 2002): O(log n) rows amortised.  All rows
 * of the stretch are deleted before any is put, because an old number of one
 * element may be the new one of another.
 *
 * The encoding is computed as Redis 7.2 does it (t_list.c, quicklist.c): the
 * size that the elements would have as one listpack, against
 * list-max-listpack-size.
 */
#include <string.h>

#include "server/base/check.h"
#include "server/base/memory.h"
#include "storage/objects/listnode.h"
#include "storage/objects/sizeclass.h"

#include "storage/objects/list.h"

#define NODE_SIZE_FIRST 4               /* slots of a node at first */
#define RENUMBER_GAP (INT64_C(1) << 10) /* between renumbered neighbours */
#define LISTPACK_OVERHEAD 7             /* bytes of its header and its end */
#define LISTPACK_SIZE_SAFETY_MAX 8192   /* when counting entries */

struct list_limits list_limits = { -2 };

/* ---- encoding ------------------------------------------------------------ */

/*
 * Does a listpack of so many bytes and entries exceed the limit / divisor?
 * Redis heeds the safety limit only when a list grows (divisor 1).
 */
static bool
exceeds_limit(size_t size, size_t count, size_t divisor)
{
    static const size_t sizes[] = { 4096, 8192, 16384, 32768, 65536 };
    int limit = list_limits.listpack_size;
    size_t step;

    if (limit >= 0) {
        size_t count_max = limit == 0 ? 1 : (size_t)limit;
        return (divisor == 1 && size > LISTPACK_SIZE_SAFETY_MAX) ||
               count > count_max / divisor;
    }
    step = (size_t)-limit - 1;
    if (step >= sizeof(sizes) / sizeof(sizes[0]))
        step = sizeof(sizes) / sizeof(sizes[0]) - 1;
    return size > sizes[step] / divisor;
}

/* Redis asks before it adds, with the bytes of the values alone. */
static void
encoding_before_add(
    struct list *list, const struct edit *edit, size_t len, size_t count)
{
    if (edit == NULL || list->encoding == KEY_QUICKLIST)
        return;
    if (exceeds_limit(LISTPACK_OVERHEAD + list->listpack_size + len,
            list->len + count, 1))
        list->encoding = KEY_QUICKLIST;
}

static void
encoding_after_remove(struct list *list, const struct edit *edit)
{
    if (edit == NULL || list->encoding == KEY_LISTPACK)
        return;
    if (!exceeds_limit(LISTPACK_OVERHEAD + list->listpack_size, list->len, 2))
        list->encoding = KEY_LISTPACK;
}

/* ---- row changes --------------------------------------------------------- */

static void
emit_put(const struct edit *edit, int64_t position, struct slice value)
{
    char sub[ROWCHANGE_POSITION_SIZE];
    struct row_change change = { .op = ROW_PUT, .table = ROW_LIST };

    if (edit == NULL)
        return;
    rowchange_put_position(sub, position);
    change.id = edit->id;
    change.sub = slice_make(sub, sizeof(sub));
    change.value = value;
    batch_add(edit->batch, &change);
}

static void
emit_del(const struct edit *edit, int64_t position)
{
    char sub[ROWCHANGE_POSITION_SIZE];
    struct row_change change = { .op = ROW_DEL, .table = ROW_LIST };

    if (edit == NULL)
        return;
    rowchange_put_position(sub, position);
    change.id = edit->id;
    change.sub = slice_make(sub, sizeof(sub));
    batch_add(edit->batch, &change);
}

/* ---- places -------------------------------------------------------------- */

/* An element: slot at of node. */
struct place {
    struct listnode *node;
    size_t at;
};

static struct place
place_of_index(const struct list *list, size_t index)
{
    struct listnode *node;

    DCHECK(index < list->len);
    if (index < list->len / 2) {
        for (node = list->head; index >= node->count; node = node->next)
            index -= node->count;
        return (struct place){ node, index };
    }
    index = list->len - 1 - index;
    for (node = list->tail; index >= node->count; node = node->prev)
        index -= node->count;
    return (struct place){ node, node->count - 1 - index };
}

static bool
place_prev(struct place *place)
{
    if (place->at > 0) {
        place->at--;
        return true;
    }
    if (place->node->prev == NULL)
        return false;
    place->node = place->node->prev;
    place->at = place->node->count - 1;
    return true;
}

static bool
place_next(struct place *place)
{
    if (place->at + 1 < place->node->count) {
        place->at++;
        return true;
    }
    if (place->node->next == NULL)
        return false;
    place->node = place->node->next;
    place->at = 0;
    return true;
}

static int64_t
place_position(struct place place)
{
    return listnode_slot(place.node, place.at)->position;
}

/* Remove the element; the answer is the node if it is still there. */
static void
place_remove(struct list *list, const struct edit *edit, struct place place)
{
    struct listnode_slot *slot = listnode_slot(place.node, place.at);

    emit_del(edit, slot->position);
    listnode_value_free(list, slot->value);
    listnode_close(place.node, place.at);
    list->len--;
}

/*
 * Open a slot before place (at == count: behind the node's last), splitting or
 * growing the node if it is full.
 */
static struct listnode_slot *
place_open(struct list *list, struct place place)
{
    if (place.node->count == LIST_NODE_COUNT_MAX) {
        listnode_split(list, place.node);
        if (place.at > place.node->count) {
            place.at -= place.node->count;
            place.node = place.node->next;
        }
    }
    if (place.node->count == place.node->size)
        place.node = listnode_grow(list, place.node);
    return listnode_open(place.node, place.at);
}

/* ---- positions ----------------------------------------------------------- */

/*
 * Give the count elements from first on the positions start, start + gap, ...
 * First delete all old rows, then put the new ones: see the top.
 */
static void
renumber(const struct edit *edit, struct place first, size_t count,
    int64_t start, int64_t gap)
{
    struct place place = first;

    for (size_t i = 0; i < count; i++) {
        emit_del(edit, place_position(place));
        if (i + 1 < count)
            CHECK(place_next(&place));
    }
    place = first;
    for (size_t i = 0; i < count; i++) {
        struct listnode_slot *slot = listnode_slot(place.node, place.at);
        slot->position = start + (int64_t)i * gap;
        emit_put(edit, slot->position, listnode_value_slice(slot->value));
        if (i + 1 < count)
            CHECK(place_next(&place));
    }
}

/* All of the list, around zero: when an end comes near the limits of int64. */
static void
renumber_all(struct list *list, const struct edit *edit)
{
    int64_t half = (int64_t)(list->len / 2);

    renumber(edit, (struct place){ list->head, 0 }, list->len, -half * LIST_GAP,
        LIST_GAP);
}

/*
 * Make a gap between place and the element before it.  The stretch [low, high]
 * grows in both directions until the span between its outer neighbours gives
 * each of its elements RENUMBER_GAP; past an end of the list there is room.
 */
static void
make_gap(const struct edit *edit, struct place place)
{
    struct place low = place, high = place;
    size_t count = 1;
    bool is_low_end = !place_prev(&low);
    int64_t start, span;

    DCHECK(!is_low_end);
    count++;
    for (;;) {
        struct place below = low, above = high;
        bool has_below = place_prev(&below);
        bool has_above = place_next(&above);
        int64_t need = ((int64_t)count + 2) * RENUMBER_GAP;
        if (!has_below || !has_above) {
            /* One side is open: lay the stretch out towards it. */
            if (!has_above)
                start = has_below ? place_position(below) + RENUMBER_GAP
                                  : place_position(low);
            else
                start = place_position(above) - need + RENUMBER_GAP;
            break;
        }
        span = place_position(above) - place_position(below);
        if (span >= need) {
            start = place_position(below) + span / (int64_t)(count + 1);
            renumber(edit, low, count, start, span / (int64_t)(count + 1));
            return;
        }
        low = below;
        high = above;
        count += 2;
    }
    renumber(edit, low, count, start, RENUMBER_GAP);
}

/* The position of an element pushed at end. */
static int64_t
end_position(struct list *list, const struct edit *edit, enum list_end end)
{
    int64_t position;

    if (list->len == 0)
        return 0;
    if (end == LIST_TAIL) {
        position =
            place_position((struct place){ list->tail, list->tail->count - 1 });
        if (position < INT64_MAX / 2)
            return position + LIST_GAP;
    } else {
        position = place_position((struct place){ list->head, 0 });
        if (position > INT64_MIN / 2)
            return position - LIST_GAP;
    }
    renumber_all(list, edit);
    return end_position(list, edit, end);
}

/* Add value at an end under position. */
static void
push_at(
    struct list *list, enum list_end end, int64_t position, struct slice value)
{
    struct listnode *node = end == LIST_HEAD ? list->head : list->tail;
    struct listnode_slot *slot;

    if (node == NULL || node->count == LIST_NODE_COUNT_MAX) {
        struct listnode *fresh = listnode_new(
            list, node == NULL ? NODE_SIZE_FIRST : LIST_NODE_COUNT_MAX);
        fresh->first = end == LIST_HEAD ? fresh->size : 0;
        listnode_link(list, fresh, end == LIST_HEAD ? NULL : list->tail);
        node = fresh;
    }
    if (node->count == node->size)
        node = listnode_grow(list, node);
    slot = listnode_open(node, end == LIST_HEAD ? 0 : node->count);
    slot->position = position;
    slot->value = listnode_value_new(list, value);
    list->len++;
}

/* ---- public -------------------------------------------------------------- */

struct list *
list_new(void)
{
    struct list *list = memory_zalloc(sizeof(*list));

    list->encoding = KEY_LISTPACK;
    return list;
}

void
list_free(struct list *list)
{
    if (list == NULL)
        return;
    while (!list_free_step(list, SIZE_MAX))
        continue;
}

bool
list_free_step(struct list *list, size_t elements)
{
    while (list->head != NULL) {
        struct listnode *node = list->head;
        while (node->count > 0) {
            if (elements-- == 0)
                return false;
            node->count--;
            memory_free(node->slots[node->first + node->count].value);
        }
        listnode_unlink(list, node);
        memory_free(node);
    }
    memory_free(list);
    return true;
}

size_t
list_len(const struct list *list)
{
    return list->len;
}

size_t
list_value_size(const struct list *list)
{
    return list->value_size;
}

size_t
list_memory(const struct list *list)
{
    return sizeof(*list) + list->memory;
}

enum key_encoding
list_encoding(const struct list *list)
{
    return (enum key_encoding)list->encoding;
}

void
list_set_encoding(struct list *list, enum key_encoding encoding)
{
    list->encoding = (uint8_t)encoding;
}

static void
push_one(struct list *list, const struct edit *edit, enum list_end end,
    struct slice value)
{
    int64_t position = end_position(list, edit, end);

    push_at(list, end, position, value);
    emit_put(edit, position, value);
}

void
list_push(struct list *list, const struct edit *edit, enum list_end end,
    struct slice value)
{
    encoding_before_add(list, edit, value.len, 1);
    push_one(list, edit, end, value);
}

void
list_push_all(struct list *list, const struct edit *edit, enum list_end end,
    const struct slice *values, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += values[i].len;
    encoding_before_add(list, edit, len, count);
    for (size_t i = 0; i < count; i++)
        push_one(list, edit, end, values[i]);
}

void
list_pop(struct list *list, const struct edit *edit, enum list_end end,
    struct buf *out)
{
    struct listnode *node = end == LIST_HEAD ? list->head : list->tail;
    struct place place = { node, end == LIST_HEAD ? 0 : node->count - 1 };

    if (out != NULL)
        buf_append_slice(out,
            listnode_value_slice(listnode_slot(place.node, place.at)->value));
    place_remove(list, edit, place);
    if (node->count == 0)
        listnode_tidy(list, node);
    encoding_after_remove(list, edit);
}

struct slice
list_get(const struct list *list, size_t index)
{
    struct place place = place_of_index(list, index);

    return listnode_value_slice(listnode_slot(place.node, place.at)->value);
}

void
list_set(struct list *list, const struct edit *edit, size_t index,
    struct slice value)
{
    struct place place = place_of_index(list, index);
    struct listnode_slot *slot = listnode_slot(place.node, place.at);
    struct listnode_value *fresh;

    encoding_before_add(list, edit, value.len, 1);
    fresh = listnode_value_new(
        list, value); /* before the old goes: it may be value */
    listnode_value_free(list, slot->value);
    slot->value = fresh;
    emit_put(edit, slot->position, listnode_value_slice(fresh));
    encoding_after_remove(list, edit);
}

void
list_insert(struct list *list, const struct edit *edit, size_t index,
    struct slice value)
{
    struct place place, before;
    struct listnode_slot *slot;
    int64_t low, high;

    DCHECK(index <= list->len);
    if (index == 0 || index == list->len) {
        list_push(list, edit, index == 0 ? LIST_HEAD : LIST_TAIL, value);
        return;
    }
    encoding_before_add(list, edit, value.len, 1);
    place = place_of_index(list, index);
    before = place;
    CHECK(place_prev(&before));
    if (place_position(place) - place_position(before) < 2)
        make_gap(edit, place);
    low = place_position(before);
    high = place_position(place);
    slot = place_open(list, place);
    slot->position = low + (high - low) / 2;
    slot->value = listnode_value_new(list, value);
    list->len++;
    emit_put(edit, slot->position, listnode_value_slice(slot->value));
}

void
list_remove(
    struct list *list, const struct edit *edit, size_t index, size_t count)
{
    struct place place;

    DCHECK(count <= list->len && index <= list->len - count);
    if (count == 0)
        return;
    place = place_of_index(list, index);
    while (count > 0) {
        struct listnode *node = place.node, *next = node->next;
        while (count > 0 && place.at < node->count) {
            place_remove(list, edit, place);
            count--;
        }
        if (count == 0 || node->count == 0)
            listnode_tidy(list, node);
        place = (struct place){ next, 0 };
    }
    encoding_after_remove(list, edit);
}

size_t
list_remove_equal(struct list *list, const struct edit *edit, enum list_end end,
    size_t limit, struct slice value)
{
    size_t removed = 0;
    struct listnode *node = end == LIST_HEAD ? list->head : list->tail;

    if (limit == 0)
        limit = SIZE_MAX;
    while (node != NULL && removed < limit) {
        struct listnode *further = end == LIST_HEAD ? node->next : node->prev;
        size_t at = end == LIST_HEAD ? 0 : node->count;
        size_t before = removed;
        while (
            removed < limit && (end == LIST_HEAD ? at < node->count : at > 0)) {
            size_t here = end == LIST_HEAD ? at : at - 1;
            struct place place = { node, here };
            if (slice_equal(
                    listnode_value_slice(listnode_slot(node, here)->value),
                    value)) {
                place_remove(list, edit, place);
                removed++;
                at = here;
            } else {
                at = end == LIST_HEAD ? at + 1 : here;
            }
        }
        /* Only the empty one goes here: joining could move further ones. */
        if (removed > before && node->count == 0)
            listnode_tidy(list, node);
        node = further;
    }
    if (removed > 0)
        encoding_after_remove(list, edit);
    return removed;
}

void
list_iter_start(struct list_iter *iter, const struct list *list, size_t index,
    enum list_end from)
{
    struct place place = { NULL, 0 };

    if (index < list->len)
        place = place_of_index(list, index);
    *iter = (struct list_iter){ list, place.node, place.at, from };
}

bool
list_iter_next(struct list_iter *iter, struct slice *value)
{
    struct place place = { iter->node, iter->slot };

    if (place.node == NULL)
        return false;
    *value = listnode_value_slice(listnode_slot(place.node, place.at)->value);
    if (!(iter->from == LIST_HEAD ? place_next(&place) : place_prev(&place)))
        place.node = NULL;
    iter->node = place.node;
    iter->slot = place.at;
    return true;
}

/* The first element whose position is at least position; false: none. */
static bool
find_position(const struct list *list, int64_t position, struct place *place)
{
    for (struct listnode *node = list->head; node != NULL; node = node->next) {
        size_t low = 0, high = node->count;
        if (listnode_slot(node, node->count - 1)->position < position)
            continue;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (listnode_slot(node, middle)->position < position)
                low = middle + 1;
            else
                high = middle;
        }
        *place = (struct place){ node, low };
        return true;
    }
    return false;
}

void
list_apply_put(struct list *list, int64_t position, struct slice value)
{
    struct place place;
    struct listnode_slot *slot;

    if (list->len == 0 || place_position((struct place){
                              list->tail, list->tail->count - 1 }) < position) {
        push_at(list, LIST_TAIL, position, value);
        return;
    }
    if (place_position((struct place){ list->head, 0 }) > position) {
        push_at(list, LIST_HEAD, position, value);
        return;
    }
    CHECK(find_position(list, position, &place));
    slot = listnode_slot(place.node, place.at);
    if (slot->position == position) {
        listnode_value_free(list, slot->value);
    } else {
        slot = place_open(list, place);
        slot->position = position;
        list->len++;
    }
    slot->value = listnode_value_new(list, value);
}

void
list_apply_del(struct list *list, int64_t position)
{
    struct place place;

    if (!find_position(list, position, &place) ||
        place_position(place) != position)
        return;
    place_remove(list, NULL, place);
    listnode_tidy(list, place.node);
}

void
list_check(const struct list *list)
{
    size_t len = 0, value_size = 0, listpack_size = 0, memory = 0;
    const struct listnode *prev = NULL;
    int64_t last = INT64_MIN;

    for (struct listnode *node = list->head; node != NULL; node = node->next) {
        CHECK(node->prev == prev);
        CHECK(node->count > 0 && node->first + node->count <= node->size);
        for (size_t i = 0; i < node->count; i++) {
            struct listnode_slot *slot = listnode_slot(node, i);
            CHECK(len == 0 || slot->position > last);
            last = slot->position;
            len++;
            value_size += slot->value->len;
            listpack_size +=
                listnode_entry_size(listnode_value_slice(slot->value));
            memory += listnode_value_alloc_size(slot->value->len);
        }
        memory += sizeclass_round(listnode_alloc_size(node->size));
        prev = node;
    }
    CHECK(list->tail == prev);
    CHECK(len == list->len && value_size == list->value_size);
    CHECK(listpack_size == list->listpack_size && memory == list->memory);
}
