/*
 * list.h -- the list object: a doubly linked list of nodes of up to
 * LIST_NODE_COUNT_MAX elements each, so that both ends are O(1), an index is
 * O(n / LIST_NODE_COUNT_MAX), and an insertion moves a few pointers.
 *
 * An element's row is found by its position, a signed 64-bit number that grows
 * from head to tail.  Neighbours are LIST_GAP apart when pushed, so that an
 * insertion between takes a number from the gap and no other row changes; when
 * a gap is used up, a stretch of neighbours is renumbered.
 *
 *   Invariant: positions grow strictly from head to tail; no node is empty.
 *
 * The encoding reported is Redis 7.2's: listpack while the list fits one node
 * by list-max-listpack-size, quicklist from then on; back to listpack only as
 * Redis 7.2 does (when it shrank to half of the limit).
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_OBJECTS_LIST_H
#define WALDEN_STORAGE_OBJECTS_LIST_H

#include "storage/objects/edit.h"

#define LIST_NODE_COUNT_MAX 128
#define LIST_GAP (INT64_C(1) << 20)

/* From the configuration; set by the server at start and by CONFIG SET. */
struct list_limits {
    int listpack_size; /* list-max-listpack-size, -2: 8 KiB */
};
extern struct list_limits list_limits;

struct list;

enum list_end { LIST_HEAD, LIST_TAIL };

struct list *list_new(void);
void list_free(struct list *list);
/* Free up to elements of them; true: the list is gone too. For huge lists. */
bool list_free_step(struct list *list, size_t elements);

size_t list_len(const struct list *list);
/* Bytes of all values, for the encoding. */
size_t list_value_size(const struct list *list);
size_t list_memory(const struct list *list); /* bytes; O(1) */
/* KEY_LISTPACK or KEY_QUICKLIST. */
enum key_encoding list_encoding(const struct list *list);
/* What the key's row says, when rows become a list again. */
void list_set_encoding(struct list *list, enum key_encoding encoding);

/* All copy value. */
void list_push(struct list *list, const struct edit *edit, enum list_end end,
    struct slice value);
/*
 * What one command pushes: the same but for the encoding, which Redis decides
 * by all of it before the first.
 */
void list_push_all(struct list *list, const struct edit *edit,
    enum list_end end, const struct slice *values, size_t count);
/* The end's element, appended to out (if not NULL) and removed; list not */
/* empty. */
void list_pop(struct list *list, const struct edit *edit, enum list_end end,
    struct buf *out);
/* Lent until the list changes. index < list_len(), counted from the head. */
struct slice list_get(const struct list *list, size_t index);
void list_set(struct list *list, const struct edit *edit, size_t index,
    struct slice value);
/* Insert so that the new element has this index (<= list_len()). */
void list_insert(struct list *list, const struct edit *edit, size_t index,
    struct slice value);
/* Remove count elements from index on. */
void list_remove(
    struct list *list, const struct edit *edit, size_t index, size_t count);
/* Remove up to limit (0: all) elements equal to value, from end on. */
/* Answer: removed. */
size_t list_remove_equal(struct list *list, const struct edit *edit,
    enum list_end end, size_t limit, struct slice value);

/* A walk; the list must not change meanwhile. */
struct list_iter {
    const struct list *list;
    void *node;
    size_t slot;
    enum list_end from;
};
/* Start at index (< list_len), going towards the tail (from LIST_HEAD) or */
/* towards the head (from LIST_TAIL). */
void list_iter_start(struct list_iter *iter, const struct list *list,
    size_t index, enum list_end from);
/* false: the end.  value is lent. */
bool list_iter_next(struct list_iter *iter, struct slice *value);

/* Rows become elements again.  Loading gives positions in ascending order; */
/* overlay puts and deletes at any. */
void list_apply_put(struct list *list, int64_t position, struct slice value);
void list_apply_del(struct list *list, int64_t position);

void list_check(const struct list *list); /* the invariant; debug */

#endif
