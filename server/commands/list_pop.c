/*
 * list_pop.c -- elements leaving a list, and the reply that carries them.
 *
 * The value goes from the list's node straight into the reply: nothing is
 * allocated for it in between.  The reply is written first, because the slice
 * is lent only until the list changes.
 */
#include "server/commands/list_pop.h"

void
list_pop_one(struct call *call, struct key *key, enum list_end end)
{
    size_t len = list_len(key->list);
    reply_slice(
        call->reply, list_get(key->list, end == LIST_HEAD ? 0 : len - 1));
    if (len == 1) {
        keyspace_delete(call->keyspace, key);
        return;
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    list_pop(key->list, &edit, end, NULL);
    keyspace_touch(call->keyspace, key);
}

void
list_pop_range(
    struct call *call, struct key *key, enum list_end end, uint64_t count)
{
    size_t len = list_len(key->list);
    size_t taken = count < len ? (size_t)count : len;
    reply_array(call->reply, taken);
    if (taken == 0)
        return;
    struct list_iter iter;
    struct slice value;
    list_iter_start(&iter, key->list, end == LIST_HEAD ? 0 : len - 1, end);
    for (size_t i = 0; i < taken && list_iter_next(&iter, &value); i++)
        reply_slice(call->reply, value);
    list_pop_remove(call, key, end == LIST_HEAD ? 0 : len - taken, taken);
}

void
list_pop_remove(struct call *call, struct key *key, size_t index, size_t count)
{
    if (count == list_len(key->list)) {
        keyspace_delete(call->keyspace, key);
        return;
    }
    struct edit edit = keyspace_edit(call->keyspace, key);
    list_remove(key->list, &edit, index, count);
    keyspace_touch(call->keyspace, key);
}
