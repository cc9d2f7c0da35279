/*
 * list_blocking.c -- the list commands that look at several keys (LMOVE,
 * LMPOP), and their kin that wait until there is something (BLPOP, BLMOVE,
 * BLMPOP).
 *
 * A waiting command is its plain twin with one more answer: where the twin
 * replies null, it calls blocked_on_keys() and replies nothing.  When one of
 * the keys holds a list it runs again from its first argument: all conditions
 * are those of that moment, and errors (a destination of another type) are
 * replied then.  A key of another type among BLPOP's keys is an error in both
 * runs, as in Redis 7.2.
 *
 * Inside MULTI and scripts nothing waits: the answer is the twin's null.  It
 * differs from that of a timeout in one detail that clients of RESP2 see: a
 * BLMOVE whose time is up says "*-1", a BLMOVE inside MULTI "$-1".
 */
#include "server/base/memory.h"
#include "server/blocked.h"
#include "server/commands/list_blocking.h"
#include "server/commands/list_pop.h"

/* Keys of one request kept on the stack; more than that cost an allocation. */
#define KEYS_ON_STACK 16

/* ---- waiting ------------------------------------------------------------- */

/* Wait for a list at any of argv[first, first + count). */
static void
wait_for_keys(struct call *call, size_t first, size_t count, int64_t deadline)
{
    size_t on_stack[KEYS_ON_STACK] = { 0 };
    size_t *keys = on_stack;
    if (count > KEYS_ON_STACK)
        keys = memory_alloc(count * sizeof(*keys));
    for (size_t i = 0; i < count; i++)
        keys[i] = first + i;
    blocked_on_keys(call, keys, count, KEY_LIST, deadline);
    if (keys != on_stack)
        memory_free(keys);
}

void
list_blocking_timed_out(struct session *session, struct reply *reply)
{
    (void)session;
    reply_null_array(reply);
}

/* LEFT or RIGHT at argv[at]; false: an error has been replied. */
static bool
get_end(struct call *call, size_t at, enum list_end *end)
{
    if (call_arg_is(call, at, "left")) {
        *end = LIST_HEAD;
    } else if (call_arg_is(call, at, "right")) {
        *end = LIST_TAIL;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* ---- LMOVE RPOPLPUSH BLMOVE BRPOPLPUSH ----------------------------------- */

/* Both ends in one list: it rotates, or stays as it is. */
static void
rotate(struct call *call, struct key *key, enum list_end from, enum list_end to)
{
    size_t len = list_len(key->list);
    struct slice value = list_get(key->list, from == LIST_HEAD ? 0 : len - 1);
    reply_slice(call->reply, value);
    if (from != to && len > 1) {
        struct edit edit = keyspace_edit(call->keyspace, key);
        struct buf moved = BUF_INIT;
        list_pop(key->list, &edit, from, &moved);
        list_push(key->list, &edit, to, buf_slice(&moved));
        buf_fini(&moved);
    }
    keyspace_touch(call->keyspace, key);
}

/*
 * Move an element of source, which is loaded, to the list at argv[2].  The
 * value is pushed before it is popped, so that it needs no copy on its way.
 */
static void
move(
    struct call *call, struct key *source, enum list_end from, enum list_end to)
{
    bool is_wrong = false;
    struct key *target = call_find_typed(call, 2, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (target == source) {
        rotate(call, source, from, to);
        return;
    }
    if (target == NULL) {
        target = keyspace_create(
            call->keyspace, call->db, call->argv[2], KEY_LIST, list_new());
    }
    size_t len = list_len(source->list);
    struct slice value =
        list_get(source->list, from == LIST_HEAD ? 0 : len - 1);
    struct edit edit = keyspace_edit(call->keyspace, target);
    list_push(target->list, &edit, to, value);
    keyspace_touch(call->keyspace, target);
    list_pop_one(call, source, from);
}

/* timeout_at: index of the timeout in argv; 0: does not block. */
static void
move_or_wait(
    struct call *call, enum list_end from, enum list_end to, size_t timeout_at)
{
    int64_t deadline_us = 0;
    if (timeout_at > 0 && !call_get_deadline(call, timeout_at, &deadline_us))
        return;
    bool is_wrong = false;
    struct key *source = call_find_typed(call, 1, KEY_LIST, &is_wrong);
    if (is_wrong)
        return;
    if (source != NULL)
        move(call, source, from, to);
    else if (timeout_at > 0 && !call->is_in_exec)
        wait_for_keys(call, 1, 1, deadline_us);
    else
        reply_null(call->reply);
}

void
list_blocking_lmove(struct call *call)
{
    enum list_end from, to;
    if (get_end(call, 3, &from) && get_end(call, 4, &to))
        move_or_wait(call, from, to, 0);
}

void
list_blocking_rpoplpush(struct call *call)
{
    move_or_wait(call, LIST_TAIL, LIST_HEAD, 0);
}

void
list_blocking_blmove(struct call *call)
{
    enum list_end from, to;
    if (get_end(call, 3, &from) && get_end(call, 4, &to))
        move_or_wait(call, from, to, 5);
}

void
list_blocking_brpoplpush(struct call *call)
{
    move_or_wait(call, LIST_TAIL, LIST_HEAD, 3);
}

/* ---- BLPOP BRPOP LMPOP BLMPOP -------------------------------------------- */

/*
 * The first of argv[first, first + count) that is there; *at is its index.
 * NULL: none, or (is_wrong) one of another type came first.
 */
static struct key *
find_first(
    struct call *call, size_t first, size_t count, size_t *at, bool *is_wrong)
{
    for (size_t i = first; i < first + count; i++) {
        struct key *key = call_find_typed(call, i, KEY_LIST, is_wrong);
        if (key != NULL || *is_wrong) {
            *at = i;
            return key;
        }
    }
    return NULL;
}

static void
blocking_pop(struct call *call, enum list_end end)
{
    int64_t deadline_us;
    if (!call_get_deadline(call, call->argc - 1, &deadline_us))
        return;
    bool is_wrong = false;
    size_t at, count = call->argc - 2;
    struct key *key = find_first(call, 1, count, &at, &is_wrong);
    if (is_wrong)
        return;
    if (key != NULL) {
        reply_array(call->reply, 2);
        reply_slice(call->reply, call->argv[at]);
        list_pop_one(call, key, end);
    } else if (call->is_in_exec) {
        reply_null_array(call->reply);
    } else {
        wait_for_keys(call, 1, count, deadline_us);
    }
}

void
list_blocking_blpop(struct call *call)
{
    blocking_pop(call, LIST_HEAD);
}

void
list_blocking_brpop(struct call *call)
{
    blocking_pop(call, LIST_TAIL);
}

/* LMPOP's arguments from numkeys, at argv[at], on. */
struct mpop_arguments {
    size_t keys_at, key_count;
    enum list_end end;
    int64_t count; /* elements wanted */
};

/* false: an error has been replied. */
static bool
mpop_parse(struct call *call, size_t at, struct mpop_arguments *arguments)
{
    int64_t numkeys;
    if (!call_get_i64_in(call, at, 1, INT64_MAX, &numkeys,
            "ERR numkeys should be greater than 0"))
        return false;
    if ((uint64_t)numkeys >= call->argc - at - 1) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    arguments->keys_at = at + 1;
    arguments->key_count = (size_t)numkeys;
    arguments->count = 1;
    size_t end_at = at + 1 + (size_t)numkeys;
    if (!get_end(call, end_at, &arguments->end))
        return false;
    if (end_at + 1 == call->argc)
        return true;
    /* COUNT may be given once: the request ends with it. */
    if (!call_arg_is(call, end_at + 1, "count") || end_at + 2 == call->argc) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (!call_get_i64_in(call, end_at + 2, 1, INT64_MAX, &arguments->count,
            "ERR count should be greater than 0"))
        return false;
    if (end_at + 3 != call->argc) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* numkeys_at 1: LMPOP.  2: BLMPOP, whose timeout stands before. */
static void
mpop(struct call *call, size_t numkeys_at)
{
    bool is_blocking = numkeys_at == 2;
    struct mpop_arguments arguments;
    int64_t deadline_us = 0;
    if (!mpop_parse(call, numkeys_at, &arguments))
        return;
    if (is_blocking && !call_get_deadline(call, 1, &deadline_us))
        return;
    bool is_wrong = false;
    size_t at;
    struct key *key = find_first(
        call, arguments.keys_at, arguments.key_count, &at, &is_wrong);
    if (is_wrong)
        return;
    if (key != NULL) {
        reply_array(call->reply, 2);
        reply_slice(call->reply, call->argv[at]);
        list_pop_range(call, key, arguments.end, (uint64_t)arguments.count);
    } else if (is_blocking && !call->is_in_exec) {
        wait_for_keys(
            call, arguments.keys_at, arguments.key_count, deadline_us);
    } else {
        reply_null_array(call->reply);
    }
}

void
list_blocking_lmpop(struct call *call)
{
    mpop(call, 1);
}

void
list_blocking_blmpop(struct call *call)
{
    mpop(call, 2);
}
