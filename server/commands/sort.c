/*
 * sort.c -- SORT and SORT_RO.
 *
 *   elements of the key -> weights (BY) -> sorted -> LIMIT -> values (GET)
 *
 * Weights and values may come from other keys, whose names are made from the
 * elements ("weight_*", "object_*->field").  Nobody can know them before the
 * handler runs, so it makes them resident itself.  All that is to be replied
 * or stored is gathered first: a key that cannot be read leaves nothing half
 * done, and STORE may overwrite the very key that is being sorted.
 *
 * Text is compared byte by byte, whatever the locale.  Equal elements keep
 * their order.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "server/base/memory.h"
#include "server/base/number.h"
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"

#define NUMBER_TEXT_SIZE_MAX 400 /* bytes of a weight; longer is no number */

/* A run of bytes in sort->bytes; there may be none. */
struct piece {
    size_t at, len;
    bool is_null;
};

struct item {
    struct slice element; /* lent by the object sorted */
    size_t index;         /* its place before */
    double score;         /* numeric order */
    struct piece weight;  /* ALPHA with BY */
};

struct sort {
    /* options */
    bool is_alpha, is_descending, is_unsorted;
    bool has_by, has_store;
    struct slice by, store;
    int64_t limit_start, limit_count;
    struct slice *gets; /* GET patterns */
    size_t get_count;
    /* work */
    struct item *items;
    size_t item_count;
    struct buf bytes;     /* weights, then values */
    struct piece *values; /* what is replied or stored */
    size_t value_count;
    bool has_bad_number;
};

static bool
parse_limit(struct call *call, size_t at, struct sort *sort)
{
    return call_get_i64(call, at, &sort->limit_start, NULL) &&
           call_get_i64(call, at + 1, &sort->limit_count, NULL);
}

/* The option at *at, which moves to its last argument; false: error replied. */
static bool
parse_option(struct call *call, size_t *at, bool can_store, struct sort *sort)
{
    size_t i = *at, left = call->argc - i - 1;
    if (call_arg_is(call, i, "asc")) {
        sort->is_descending = false;
    } else if (call_arg_is(call, i, "desc")) {
        sort->is_descending = true;
    } else if (call_arg_is(call, i, "alpha")) {
        sort->is_alpha = true;
    } else if (call_arg_is(call, i, "limit") && left >= 2) {
        *at += 2;
        return parse_limit(call, i + 1, sort);
    } else if (can_store && call_arg_is(call, i, "store") && left >= 1) {
        sort->has_store = true;
        sort->store = call->argv[++*at];
    } else if (call_arg_is(call, i, "by") && left >= 1) {
        sort->has_by = true;
        sort->by = call->argv[++*at];
        /* A constant weight: the elements keep their order. */
        if (memchr(sort->by.data, '*', sort->by.len) == NULL)
            sort->is_unsorted = true;
    } else if (call_arg_is(call, i, "get") && left >= 1) {
        sort->gets[sort->get_count++] = call->argv[++*at];
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* Where "->field" begins in a pattern, after its star; the pattern's length */
/* if there is none. */
static size_t
find_field(struct slice pattern, size_t star)
{
    struct slice tail =
        slice_make(pattern.data + star + 1, pattern.len - star - 1);
    const char *arrow = memmem(tail.data, tail.len, "->", 2);
    if (arrow == NULL || arrow + 2 == pattern.data + pattern.len)
        return pattern.len;
    return (size_t)(arrow - pattern.data);
}

/* Append what key (or its field) holds to sort->bytes. */
static enum status
append_value(struct call *call, struct sort *sort, const struct key *key,
    const struct slice *field, struct piece *piece)
{
    size_t start = sort->bytes.len;
    struct slice value;
    piece->is_null = true;
    if (field != NULL) {
        if (key->type != KEY_HASH ||
            !hash_object_get(key->hash, *field, &value))
            return STATUS_OK;
        buf_append_slice(&sort->bytes, value);
    } else {
        if (key->type != KEY_STRING)
            return STATUS_OK;
        enum status status = string_value_get(call, key, &sort->bytes, &value);
        if (status != STATUS_OK)
            return status;
        if (sort->bytes.len == start)
            buf_append_slice(&sort->bytes, value);
    }
    *piece = (struct piece){ start, sort->bytes.len - start, false };
    return STATUS_OK;
}

/*
 * What pattern stands for, given an element: the element itself ("#"), or the
 * value of the key (or of its field) whose name it makes.
 */
static enum status
look_up(struct call *call, struct sort *sort, struct slice pattern,
    struct slice element, struct piece *piece)
{
    *piece = (struct piece){ .is_null = true };
    if (slice_equal(pattern, SLICE("#"))) {
        *piece = (struct piece){ sort->bytes.len, element.len, false };
        buf_append_slice(&sort->bytes, element);
        return STATUS_OK;
    }
    const char *found = memchr(pattern.data, '*', pattern.len);
    if (found == NULL)
        return STATUS_OK;
    size_t star = (size_t)(found - pattern.data);
    size_t end = find_field(pattern, star);
    struct buf name = BUF_INIT;
    buf_append(&name, pattern.data, star);
    buf_append_slice(&name, element);
    buf_append(&name, found + 1, end - star - 1);
    enum status status =
        keyspace_prepare(call->keyspace, call->db, buf_slice(&name), true);
    if (status == STATUS_OK) {
        struct key *key =
            keyspace_find(call->keyspace, call->db, buf_slice(&name));
        bool has_field = end < pattern.len;
        struct slice field = { NULL, 0 };
        if (has_field)
            field = slice_make(pattern.data + end + 2, pattern.len - end - 2);
        if (key != NULL)
            status =
                append_value(call, sort, key, has_field ? &field : NULL, piece);
    }
    buf_fini(&name);
    return status;
}

/* The elements of the key; false: it is no collection, replied. */
static bool
load_items(struct call *call, struct sort *sort)
{
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return false;
    size_t count = key == NULL ? 0 : list_len(key->list);
    if (count == 0)
        return true;
    sort->items = memory_try_alloc(count * sizeof(*sort->items));
    if (sort->items == NULL) {
        call_reply_status(call, STATUS_NO_MEMORY);
        return false;
    }
    struct list_iter iter;
    list_iter_start(&iter, key->list, 0, LIST_HEAD);
    struct slice element;
    while (list_iter_next(&iter, &element)) {
        sort->items[sort->item_count] =
            (struct item){ .element = element, .index = sort->item_count };
        sort->item_count++;
    }
    return true;
}

/* As strtod has it: leading blanks and an empty text (0) are numbers. */
static bool
parse_score(struct slice text, double *score)
{
    char copy[NUMBER_TEXT_SIZE_MAX + 1];
    if (text.len > NUMBER_TEXT_SIZE_MAX)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    char *end;
    errno = 0;
    *score = strtod(copy, &end);
    return *end == '\0' && errno != ERANGE && !isnan(*score);
}

/* The weight of each item, as a number or as text. */
static enum status
load_weights(struct call *call, struct sort *sort)
{
    for (size_t i = 0; i < sort->item_count; i++) {
        struct item *item = &sort->items[i];
        struct slice text = item->element;
        if (sort->has_by) {
            enum status status =
                look_up(call, sort, sort->by, item->element, &item->weight);
            if (status != STATUS_OK)
                return status;
            if (item->weight.is_null)
                continue; /* counts as 0, or as less than any text */
            text = slice_make(
                sort->bytes.data + item->weight.at, item->weight.len);
        }
        if (!sort->is_alpha && !parse_score(text, &item->score))
            sort->has_bad_number = true;
    }
    return STATUS_OK;
}

static int
compare_weights(
    const struct sort *sort, const struct item *a, const struct item *b)
{
    if (a->weight.is_null || b->weight.is_null)
        return (int)b->weight.is_null - (int)a->weight.is_null;
    const char *bytes = sort->bytes.data;
    return slice_compare(slice_make(bytes + a->weight.at, a->weight.len),
        slice_make(bytes + b->weight.at, b->weight.len));
}

static int
compare_items(const void *left, const void *right, void *arg)
{
    const struct sort *sort = arg;
    const struct item *a = left, *b = right;
    int order;
    if (sort->is_alpha && sort->has_by)
        order = compare_weights(sort, a, b);
    else if (!sort->is_alpha && a->score != b->score)
        order = a->score > b->score ? 1 : -1;
    else
        order = slice_compare(a->element, b->element);
    if (order == 0)
        return (a->index > b->index) - (a->index < b->index);
    return sort->is_descending ? -order : order;
}

/* The stretch of the sorted items that LIMIT asks for. */
static void
clamp_limit(const struct sort *sort, size_t *start, size_t *count)
{
    int64_t len = (int64_t)sort->item_count;
    int64_t from = sort->limit_start < 0 ? 0 : sort->limit_start;
    if (from > len)
        from = len;
    int64_t left = len - from;
    int64_t wanted = sort->limit_count;
    *start = (size_t)from;
    *count = (size_t)(wanted < 0 || wanted > left ? left : wanted);
}

/* Gather what is replied or stored: GETs of each item, or the item. */
static enum status
load_values(struct call *call, struct sort *sort)
{
    static const struct slice itself[] = { { "#", 1 } };
    const struct slice *gets = sort->get_count > 0 ? sort->gets : itself;
    size_t per_item = sort->get_count > 0 ? sort->get_count : 1;
    size_t start, count, size;
    clamp_limit(sort, &start, &count);
    if (count == 0)
        return STATUS_OK;
    if (__builtin_mul_overflow(count, per_item * sizeof(*sort->values), &size))
        return STATUS_NO_MEMORY;
    sort->values = memory_try_alloc(size);
    if (sort->values == NULL)
        return STATUS_NO_MEMORY;
    for (size_t i = start; i < start + count; i++) {
        for (size_t g = 0; g < per_item; g++) {
            enum status status = look_up(call, sort, gets[g],
                sort->items[i].element, &sort->values[sort->value_count++]);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

static struct slice
value_at(const struct sort *sort, size_t i)
{
    const struct piece *piece = &sort->values[i];
    return piece->is_null
               ? SLICE("")
               : slice_make(sort->bytes.data + piece->at, piece->len);
}

static void
reply_values(struct call *call, const struct sort *sort)
{
    reply_array(call->reply, sort->value_count);
    for (size_t i = 0; i < sort->value_count; i++) {
        if (sort->values[i].is_null)
            reply_null(call->reply);
        else
            reply_slice(call->reply, value_at(sort, i));
    }
}

/* STORE: the destination becomes the list of values, or goes if there are */
/* none. */
static void
store_values(struct call *call, const struct sort *sort)
{
    struct keyspace *keyspace = call->keyspace;
    enum status status =
        keyspace_prepare(keyspace, call->db, sort->store, false);
    if (status != STATUS_OK) {
        call_reply_status(call, status);
        return;
    }
    struct key *key = keyspace_find(keyspace, call->db, sort->store);
    if (key != NULL)
        keyspace_delete(keyspace, key);
    if (sort->value_count > 0) {
        key = keyspace_create(
            keyspace, call->db, sort->store, KEY_LIST, list_new());
        struct edit edit = keyspace_edit(keyspace, key);
        for (size_t i = 0; i < sort->value_count; i++)
            list_push(key->list, &edit, LIST_TAIL, value_at(sort, i));
        keyspace_touch(keyspace, key);
    }
    reply_int(call->reply, (int64_t)sort->value_count);
}

/* DESC of what is not sorted: from the tail. */
static void
reverse_items(struct sort *sort)
{
    size_t count = sort->item_count;
    for (size_t i = 0; i < count / 2; i++) {
        struct item item = sort->items[i];
        sort->items[i] = sort->items[count - 1 - i];
        sort->items[count - 1 - i] = item;
    }
}

static void
run_sort(struct call *call, struct sort *sort)
{
    if (!load_items(call, sort))
        return;
    enum status status = STATUS_OK;
    if (sort->is_unsorted) {
        if (sort->is_descending)
            reverse_items(sort);
    } else if (sort->item_count > 0) {
        status = load_weights(call, sort);
        if (status == STATUS_OK && sort->has_bad_number) {
            reply_error(call->reply,
                "ERR One or more scores can't be converted into double");
            return;
        }
        if (status == STATUS_OK)
            qsort_r(sort->items, sort->item_count, sizeof(*sort->items),
                compare_items, sort);
    }
    if (status == STATUS_OK)
        status = load_values(call, sort);
    if (status != STATUS_OK)
        call_reply_status(call, status);
    else if (sort->has_store)
        store_values(call, sort);
    else
        reply_values(call, sort);
}

static void
sort_generic(struct call *call, bool can_store)
{
    struct sort sort = { .limit_count = -1 };
    sort.gets = memory_alloc(call->argc * sizeof(*sort.gets));
    buf_init(&sort.bytes);
    bool is_valid = true;
    for (size_t i = 2; i < call->argc && is_valid; i++)
        is_valid = parse_option(call, &i, can_store, &sort);
    if (is_valid)
        run_sort(call, &sort);
    memory_free(sort.gets);
    memory_free(sort.items);
    memory_free(sort.values);
    buf_fini(&sort.bytes);
}

/* The last STORE's argument, past those of the other options. */
static size_t
find_destination(const struct slice *argv, size_t argc)
{
    size_t found = 0;
    for (size_t i = 2; i + 1 < argc; i++) {
        if (slice_is(argv[i], "limit"))
            i += 2;
        else if (slice_is(argv[i], "get") || slice_is(argv[i], "by"))
            i++;
        else if (slice_is(argv[i], "store"))
            found = ++i;
    }
    return found;
}

static void
sort_command(struct call *call)
{
    sort_generic(call, true);
}

static void
sort_ro(struct call *call)
{
    sort_generic(call, false);
}

struct command commands_sort[] = {
    { .name = "sort",
        .run = sort_command,
        .arity = -2,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .find_key = find_destination,
        .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS,
        .since = "1.0.0",
        .summary = "Sorts the elements in a list, a set, or a sorted set, "
                   "optionally storing the result.",
        .complexity =
            "O(N+M*log(M)) where N is the number of elements in the list or "
            "set to sort, and M the number of returned elements. When the "
            "elements are not sorted, complexity is O(N).",
        .group = "generic",
        .syntax = "key [BY pattern] [LIMIT offset count] [GET pattern [GET "
                  "pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]" },
    { .name = "sort_ro",
        .run = sort_ro,
        .arity = -2,
        .flags = CMD_READONLY | CMD_MOVABLEKEYS,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS,
        .since = "7.0.0",
        .summary =
            "Returns the sorted elements of a list, a set, or a sorted set.",
        .complexity =
            "O(N+M*log(M)) where N is the number of elements in the list or "
            "set to sort, and M the number of returned elements. When the "
            "elements are not sorted, complexity is O(N).",
        .group = "generic",
        .syntax = "key [BY pattern] [LIMIT offset count] [GET pattern [GET "
                  "pattern ...]] [ASC | DESC] [ALPHA]" },
    { .name = NULL },
};
