/*
 * list.c -- the list commands that touch one key and never wait, and the
 * table of all list commands.
 *
 * Reads walk with a list_iter, so LRANGE and LPOS cost one lookup of the start
 * and then O(1) an element, and copy each value once: into the reply.
 *
 * Elements that leave do so through list_pop.c.  Commands of several keys and
 * those that block: list_blocking.c.
 */
#include "server/commands/list_blocking.h"
#include "server/commands/list_pop.h"

/* ---- what several of them do --------------------------------------------- */

/* A signed index as clients give it, as an offset from the head; it may lie */
/* outside the list still. */
static int64_t
absolute_index(int64_t index, size_t len)
{
    return index < 0 ? index + (int64_t)len : index;
}

/* start and end (inclusive, either may be negative) as a range that lies */
/* within the list; false: it is empty. */
static bool
clamp_range(
    int64_t start, int64_t end, size_t len, size_t *first, size_t *count)
{
    start = absolute_index(start, len);
    end = absolute_index(end, len);
    if (start < 0)
        start = 0;
    if (start > end || start >= (int64_t)len)
        return false;
    if (end >= (int64_t)len)
        end = (int64_t)len - 1;
    *first = (size_t)start;
    *count = (size_t)(end - start) + 1;
    return true;
}

/* ---- LPUSH RPUSH LPUSHX RPUSHX ------------------------------------------- */

static void
push(struct call *call, enum list_end end, bool must_exist)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        if (must_exist) {
            reply_int(call->reply, 0);
            return;
        }
        key = keyspace_create(
            call->keyspace, call->db, call->argv[1], KEY_LIST, list_new());
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    list_push_all(key->list, &edit, end, call->argv + 2, call->argc - 2);
    reply_int(call->reply, (int64_t)list_len(key->list));
    keyspace_touch(call->keyspace, key);
}

static void
lpush(struct call *call)
{
    push(call, LIST_HEAD, false);
}

static void
rpush(struct call *call)
{
    push(call, LIST_TAIL, false);
}

static void
lpushx(struct call *call)
{
    push(call, LIST_HEAD, true);
}

static void
rpushx(struct call *call)
{
    push(call, LIST_TAIL, true);
}

/* ---- LPOP RPOP ----------------------------------------------------------- */

static void
pop(struct call *call, enum list_end end)
{
    int64_t count = 0;
    bool has_count = call->argc == 3;
    if (call->argc > 3) {
        reply_error_format(call->reply,
            "ERR wrong number of arguments for '%s' command",
            call->command->name);
        return;
    }
    if (has_count && !call_get_i64_in(call, 2, 0, INT64_MAX, &count,
                         "ERR value is out of range, must be positive"))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        if (has_count)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
    } else if (has_count) {
        list_pop_range(call, key, end, (uint64_t)count);
    } else {
        list_pop_one(call, key, end);
    }
}

static void
lpop(struct call *call)
{
    pop(call, LIST_HEAD);
}

static void
rpop(struct call *call)
{
    pop(call, LIST_TAIL);
}

/* ---- reading ------------------------------------------------------------- */

static void
llen(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (!is_wrong)
        reply_int(call->reply, key != NULL ? (int64_t)list_len(key->list) : 0);
}

static void
lindex(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        reply_null(call->reply);
        return;
    }
    int64_t index;
    if (!call_get_i64(call, 2, &index, NULL))
        return;
    index = absolute_index(index, list_len(key->list));
    if (index < 0 || index >= (int64_t)list_len(key->list))
        reply_null(call->reply);
    else
        reply_slice(call->reply, list_get(key->list, (size_t)index));
}

static void
lrange(struct call *call)
{
    int64_t start, end;
    if (!call_get_i64(call, 2, &start, NULL) ||
        !call_get_i64(call, 3, &end, NULL))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    size_t first, count;
    if (key == NULL ||
        !clamp_range(start, end, list_len(key->list), &first, &count)) {
        reply_array(call->reply, 0);
        return;
    }
    reply_array(call->reply, count);
    struct list_iter iter;
    struct slice value;
    list_iter_start(&iter, key->list, first, LIST_HEAD);
    while (count-- > 0 && list_iter_next(&iter, &value))
        reply_slice(call->reply, value);
}

/* ---- LPOS ---------------------------------------------------------------- */

struct lpos_options {
    int64_t rank;  /* which match is the first to count, from 1 */
    int64_t count; /* -1: one, not as an array; 0: all */
    int64_t scan;  /* elements to look at; 0: all */
    enum list_end from;
};

/* false: an error has been replied. */
static bool
lpos_parse(struct call *call, struct lpos_options *options)
{
    *options = (struct lpos_options){ 1, -1, 0, LIST_HEAD };
    for (size_t i = 3; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "rank")) {
            if (!call_get_i64_in(
                    call, i + 1, -INT64_MAX, INT64_MAX, &options->rank, NULL))
                return false;
            if (options->rank == 0) {
                reply_error(call->reply,
                    "ERR RANK can't be zero: use 1 to start from the first "
                    "match, 2 from the second ... or use negative to start "
                    "from the end of the list");
                return false;
            }
        } else if (has_value && call_arg_is(call, i, "count")) {
            if (!call_get_i64_in(call, i + 1, 0, INT64_MAX, &options->count,
                    "ERR COUNT can't be negative"))
                return false;
        } else if (has_value && call_arg_is(call, i, "maxlen")) {
            if (!call_get_i64_in(call, i + 1, 0, INT64_MAX, &options->scan,
                    "ERR MAXLEN can't be negative"))
                return false;
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (options->rank < 0) {
        options->rank = -options->rank;
        options->from = LIST_TAIL;
    }
    return true;
}

/*
 * Reply the index of each match that options ask for, up to limit (0: all).
 * Answer: how many.
 */
static size_t
lpos_search(struct call *call, const struct list *list,
    const struct lpos_options *options, int64_t limit)
{
    size_t len = list_len(list);
    struct slice wanted = call->argv[2], value;
    int64_t matches = 0, replied = 0;
    struct list_iter iter;
    list_iter_start(
        &iter, list, options->from == LIST_HEAD ? 0 : len - 1, options->from);
    for (size_t seen = 0; options->scan == 0 || (int64_t)seen < options->scan;
         seen++) {
        if (!list_iter_next(&iter, &value))
            break;
        if (!slice_equal(value, wanted) || ++matches < options->rank)
            continue;
        size_t at = options->from == LIST_HEAD ? seen : len - 1 - seen;
        reply_int(call->reply, (int64_t)at);
        if (++replied == limit)
            break;
    }
    return (size_t)replied;
}

static void
lpos(struct call *call)
{
    struct lpos_options options;
    if (!lpos_parse(call, &options))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (options.count < 0) {
        if (key == NULL || lpos_search(call, key->list, &options, 1) == 0)
            reply_null(call->reply);
    } else if (key == NULL) {
        reply_array(call->reply, 0);
    } else {
        size_t deferred = reply_defer(call->reply);
        size_t found = lpos_search(call, key->list, &options, options.count);
        reply_array_end(call->reply, deferred, found);
    }
}

/* ---- changing in place --------------------------------------------------- */

static void
lset(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        reply_error(call->reply, ERROR_NO_KEY);
        return;
    }
    int64_t index;
    if (!call_get_i64(call, 2, &index, NULL))
        return;
    index = absolute_index(index, list_len(key->list));
    if (index < 0 || index >= (int64_t)list_len(key->list)) {
        reply_error(call->reply, ERROR_OUT_OF_RANGE);
        return;
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    list_set(key->list, &edit, (size_t)index, call->argv[3]);
    keyspace_touch(call->keyspace, key);
    reply_ok(call->reply);
}

/* The first element equal to value, from the head; false: none. */
static bool
find_equal(const struct list *list, struct slice value, size_t *index)
{
    struct list_iter iter;
    struct slice element;
    size_t at = 0;
    list_iter_start(&iter, list, 0, LIST_HEAD);
    while (list_iter_next(&iter, &element)) {
        if (slice_equal(element, value)) {
            *index = at;
            return true;
        }
        at++;
    }
    return false;
}

static void
linsert(struct call *call)
{
    bool is_after = call_arg_is(call, 2, "after");
    if (!is_after && !call_arg_is(call, 2, "before")) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    size_t index;
    if (key == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    if (!find_equal(key->list, call->argv[3], &index)) {
        reply_int(call->reply, -1);
        return;
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    list_insert(key->list, &edit, is_after ? index + 1 : index, call->argv[4]);
    reply_int(call->reply, (int64_t)list_len(key->list));
    keyspace_touch(call->keyspace, key);
}

/* ---- removing ------------------------------------------------------------ */

static void
ltrim(struct call *call)
{
    int64_t start, end;
    if (!call_get_i64(call, 2, &start, NULL) ||
        !call_get_i64(call, 3, &end, NULL))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    reply_ok(call->reply);
    if (key == NULL)
        return;
    size_t len = list_len(key->list), first, count;
    if (!clamp_range(start, end, len, &first, &count)) {
        list_pop_remove(call, key, 0, len);
        return;
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    size_t behind = len - first - count;
    if (behind > 0)
        list_remove(key->list, &edit, first + count, behind);
    if (first > 0)
        list_remove(key->list, &edit, 0, first);
    /* Redis counts an LTRIM as a change even where nothing goes. */
    keyspace_touch(call->keyspace, key);
}

static void
lrem(struct call *call)
{
    int64_t count;
    if (!call_get_i64(call, 2, &count, NULL))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    enum list_end end = count < 0 ? LIST_TAIL : LIST_HEAD;
    /* Negated as unsigned: INT64_MIN has no positive twin. */
    size_t limit = count < 0 ? (size_t)0 - (size_t)count : (size_t)count;
    struct edit edit = keyspace_edit(call->keyspace, key);
    size_t removed =
        list_remove_equal(key->list, &edit, end, limit, call->argv[3]);
    if (removed > 0)
        keyspace_touch(call->keyspace, key);
    reply_int(call->reply, (int64_t)removed);
}

/* ---- the table ----------------------------------------------------------- */

struct command commands_list[] = {
    { .name = "lpush",
        .run = lpush,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary =
            "Prepends one or more elements to a list. Creates the key if "
            "it doesn't exist.",
        .complexity =
            "O(1) for each element added, so O(N) to add N elements when "
            "the command is called with multiple arguments.",
        .group = "list",
        .syntax = "key element [element ...]" },
    { .name = "rpush",
        .run = rpush,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Appends one or more elements to a list. Creates the key if "
                   "it doesn't exist.",
        .complexity =
            "O(1) for each element added, so O(N) to add N elements when "
            "the command is called with multiple arguments.",
        .group = "list",
        .syntax = "key element [element ...]" },
    { .name = "lpushx",
        .run = lpushx,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "2.2.0",
        .summary = "Prepends one or more elements to a list only when the list "
                   "exists.",
        .complexity =
            "O(1) for each element added, so O(N) to add N elements when "
            "the command is called with multiple arguments.",
        .group = "list",
        .syntax = "key element [element ...]" },
    { .name = "rpushx",
        .run = rpushx,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "2.2.0",
        .summary = "Appends an element to a list only when the list exists.",
        .complexity =
            "O(1) for each element added, so O(N) to add N elements when "
            "the command is called with multiple arguments.",
        .group = "list",
        .syntax = "key element [element ...]" },
    { .name = "lpop",
        .run = lpop,
        .arity = -2,
        .flags = CMD_WRITE | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Returns the first elements in a list after removing it. "
                   "Deletes the list if the last element was popped.",
        .complexity = "O(N) where N is the number of elements returned",
        .group = "list",
        .syntax = "key [count]" },
    { .name = "rpop",
        .run = rpop,
        .arity = -2,
        .flags = CMD_WRITE | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary =
            "Returns and removes the last elements of a list. Deletes the"
            " list if the last element was popped.",
        .complexity = "O(N) where N is the number of elements returned",
        .group = "list",
        .syntax = "key [count]" },
    { .name = "llen",
        .run = llen,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Returns the length of a list.",
        .complexity = "O(1)",
        .group = "list",
        .syntax = "key" },
    { .name = "lindex",
        .run = lindex,
        .arity = 3,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Returns an element from a list by its index.",
        .complexity =
            "O(N) where N is the number of elements to traverse to get to"
            " the element at index. This makes asking for the first or "
            "the last element of the list O(1).",
        .group = "list",
        .syntax = "key index" },
    { .name = "lset",
        .run = lset,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Sets the value of an element in a list by its index.",
        .complexity =
            "O(N) where N is the length of the list. Setting either the "
            "first or the last element of the list is O(1).",
        .group = "list",
        .syntax = "key index element" },
    { .name = "linsert",
        .run = linsert,
        .arity = 5,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "2.2.0",
        .summary = "Inserts an element before or after another element in a "
                   "list.",
        .complexity =
            "O(N) where N is the number of elements to traverse before "
            "seeing the value pivot. This means that inserting somewhere "
            "on the left end on the list (head) can be considered O(1) "
            "and inserting somewhere on the right end (tail) is O(N).",
        .group = "list",
        .syntax = "key <BEFORE | AFTER> pivot element" },
    { .name = "lrange",
        .run = lrange,
        .arity = 4,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Returns a range of elements from a list.",
        .complexity =
            "O(S+N) where S is the distance of start offset from HEAD for"
            " small lists, from nearest end (HEAD or TAIL) for large "
            "lists; and N is the number of elements in the specified "
            "range.",
        .group = "list",
        .syntax = "key start stop" },
    { .name = "ltrim",
        .run = ltrim,
        .arity = 4,
        .flags = CMD_WRITE,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary =
            "Removes elements from both ends a list. Deletes the list if "
            "all elements were trimmed.",
        .complexity =
            "O(N) where N is the number of elements to be removed by the "
            "operation.",
        .group = "list",
        .syntax = "key start stop" },
    { .name = "lrem",
        .run = lrem,
        .arity = 4,
        .flags = CMD_WRITE,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "1.0.0",
        .summary = "Removes elements from a list. Deletes the list if the last "
                   "element was removed.",
        .complexity =
            "O(N+M) where N is the length of the list and M is the number"
            " of elements removed.",
        .group = "list",
        .syntax = "key count element" },
    { .name = "lpos",
        .run = lpos,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_LIST,
        .since = "6.0.6",
        .summary = "Returns the index of matching elements in a list.",
        .complexity =
            "O(N) where N is the number of elements in the list, for the "
            "average case. When searching for elements near the head or "
            "the tail of the list, or when the MAXLEN option is provided,"
            " the command may run in constant time.",
        .group = "list",
        .syntax = "key element [RANK rank] [COUNT num-matches] [MAXLEN len]" },
    { .name = "lmove",
        .run = list_blocking_lmove,
        .arity = 5,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "6.2.0",
        .summary =
            "Returns an element after popping it from one list and "
            "pushing it to another. Deletes the list if the last element "
            "was moved.",
        .complexity = "O(1)",
        .group = "list",
        .syntax = "source destination <LEFT | RIGHT> <LEFT | RIGHT>" },
    { .name = "rpoplpush",
        .run = list_blocking_rpoplpush,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "1.2.0",
        .deprecated_since = "6.2.0",
        .replaced_by = "`LMOVE` with the `RIGHT` and `LEFT` arguments",
        .summary = "Returns the last element of a list after removing and "
                   "pushing it to another list. Deletes the list if the last "
                   "element was popped.",
        .complexity = "O(1)",
        .group = "list",
        .syntax = "source destination" },
    { .name = "lmpop",
        .run = list_blocking_lmpop,
        .arity = -4,
        .flags = CMD_WRITE | CMD_MOVABLEKEYS,
        .keys = { 0, 0, 1, 1, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "7.0.0",
        .summary = "Returns multiple elements from a list after removing them. "
                   "Deletes the list if the last element was popped.",
        .complexity =
            "O(N+M) where N is the number of provided keys and M is the "
            "number of elements returned.",
        .group = "list",
        .syntax = "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]" },
    { .name = "blpop",
        .run = list_blocking_blpop,
        .arity = -3,
        .flags = CMD_WRITE | CMD_BLOCKING,
        .keys = { 1, -2, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "2.0.0",
        .summary =
            "Removes and returns the first element in a list. Blocks "
            "until an element is available otherwise. Deletes the list if"
            " the last element was popped.",
        .complexity = "O(N) where N is the number of provided keys.",
        .group = "list",
        .syntax = "key [key ...] timeout",
        .timed_out = list_blocking_timed_out },
    { .name = "brpop",
        .run = list_blocking_brpop,
        .arity = -3,
        .flags = CMD_WRITE | CMD_BLOCKING,
        .keys = { 1, -2, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "2.0.0",
        .summary =
            "Removes and returns the last element in a list. Blocks until"
            " an element is available otherwise. Deletes the list if the "
            "last element was popped.",
        .complexity = "O(N) where N is the number of provided keys.",
        .group = "list",
        .syntax = "key [key ...] timeout",
        .timed_out = list_blocking_timed_out },
    { .name = "blmove",
        .run = list_blocking_blmove,
        .arity = 6,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "6.2.0",
        .summary =
            "Pops an element from a list, pushes it to another list and "
            "returns it. Blocks until an element is available otherwise. "
            "Deletes the list if the last element was moved.",
        .complexity = "O(1)",
        .group = "list",
        .syntax = "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        .timed_out = list_blocking_timed_out },
    { .name = "brpoplpush",
        .run = list_blocking_brpoplpush,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_LIST,
        .since = "2.2.0",
        .deprecated_since = "6.2.0",
        .replaced_by = "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
        .summary = "Pops an element from a list, pushes it to another list and "
                   "returns it. Block until an element is available otherwise. "
                   "Deletes the list if the last element was popped.",
        .complexity = "O(1)",
        .group = "list",
        .syntax = "source destination timeout",
        .timed_out = list_blocking_timed_out },
    { .name = "blmpop",
        .run = list_blocking_blmpop,
        .arity = -5,
        .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLEKEYS,
        .keys = { 0, 0, 1, 2, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_LIST,
        .since = "7.0.0",
        .summary =
            "Pops the first element from one of multiple lists. Blocks "
            "until an element is available otherwise. Deletes the list if"
            " the last element was popped.",
        .complexity =
            "O(N+M) where N is the number of provided keys and M is the "
            "number of elements returned.",
        .group = "list",
        .syntax = "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        .timed_out = list_blocking_timed_out },
    { .name = NULL },
};
