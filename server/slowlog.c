/*
 * slowlog.c -- the slow log.
 *
 * An entry is a copy, cut to size as Redis cuts it, so that a slow request of
 * a million arguments costs a few kilobytes here.  Secrets (AUTH's password)
 * are replaced before they are kept.
 */
#include <stdio.h>

#include "server/base/memory.h"
#include "server/secret.h"
#include "server/server.h"
#include "server/slowlog.h"

struct slowlog {
    struct slowlog_entry *newest, *oldest;
    size_t len;
    int64_t next_id;
};

struct slowlog *
slowlog_new(void)
{
    return memory_zalloc(sizeof(struct slowlog));
}

static void
free_entry(struct slowlog_entry *entry)
{
    for (size_t i = 0; i < entry->argc; i++)
        memory_free((void *)(uintptr_t)entry->argv[i].data);
    memory_free(entry->argv);
    memory_free(entry->address);
    memory_free(entry->name);
    memory_free(entry);
}

/* Keep the len newest. */
static void
trim(struct slowlog *slowlog, size_t len)
{
    while (slowlog->len > len) {
        struct slowlog_entry *entry = slowlog->oldest;
        slowlog->oldest = entry->previous;
        if (slowlog->oldest != NULL)
            slowlog->oldest->next = NULL;
        else
            slowlog->newest = NULL;
        slowlog->len--;
        free_entry(entry);
    }
}

static void
push(struct slowlog *slowlog, struct slowlog_entry *entry)
{
    entry->next = slowlog->newest;
    if (entry->next != NULL)
        entry->next->previous = entry;
    else
        slowlog->oldest = entry;
    slowlog->newest = entry;
    slowlog->len++;
}

void
slowlog_clear(struct slowlog *slowlog)
{
    trim(slowlog, 0);
}

void
slowlog_free(struct slowlog *slowlog)
{
    if (slowlog == NULL)
        return;
    slowlog_clear(slowlog);
    memory_free(slowlog);
}

size_t
slowlog_len(const struct slowlog *slowlog)
{
    return slowlog->len;
}

const struct slowlog_entry *
slowlog_newest(const struct slowlog *slowlog)
{
    return slowlog->newest;
}

static struct slice
copy_bytes(struct slice bytes)
{
    char *copy = memory_alloc(bytes.len + 1);

    memcpy(copy, bytes.data, bytes.len);
    return slice_make(copy, bytes.len);
}

static struct slice
copy_argument(struct slice argument)
{
    char text[SLOWLOG_ARG_SIZE_MAX + 48];

    if (argument.len <= SLOWLOG_ARG_SIZE_MAX)
        return copy_bytes(argument);
    memcpy(text, argument.data, SLOWLOG_ARG_SIZE_MAX);
    int tail = snprintf(text + SLOWLOG_ARG_SIZE_MAX,
        sizeof(text) - SLOWLOG_ARG_SIZE_MAX, "... (%zu more bytes)",
        argument.len - SLOWLOG_ARG_SIZE_MAX);
    return copy_bytes(slice_make(text, SLOWLOG_ARG_SIZE_MAX + (size_t)tail));
}

static void
copy_arguments(struct slowlog_entry *entry, const struct call *call)
{
    bool is_cut = call->argc > SLOWLOG_ARGS_MAX;

    entry->argc = is_cut ? SLOWLOG_ARGS_MAX : call->argc;
    entry->argv = memory_alloc(entry->argc * sizeof(*entry->argv));
    for (size_t i = 0; i < entry->argc; i++) {
        char more[48];

        if (is_cut && i == SLOWLOG_ARGS_MAX - 1) {
            (void)snprintf(more, sizeof(more), "... (%zu more arguments)",
                call->argc - SLOWLOG_ARGS_MAX + 1);
            entry->argv[i] = copy_bytes(slice_from_text(more));
        } else if (secret_is_argument(call, i)) {
            entry->argv[i] = copy_bytes(SLICE(SECRET_SHOWN_AS));
        } else {
            entry->argv[i] = copy_argument(call->argv[i]);
        }
    }
}

void
slowlog_add(
    struct slowlog *slowlog, const struct call *call, int64_t duration_us)
{
    struct slowlog_entry *entry = memory_zalloc(sizeof(*entry));
    const struct session *session = call->session;
    int64_t len_max = call->server->config.slowlog_max_len;

    entry->id = slowlog->next_id++;
    entry->time_s = call->now_ms / 1000;
    entry->duration_us = duration_us;
    copy_arguments(entry, call);
    entry->address = memory_copy_text(
        session != NULL && session->address != NULL ? session->address : "");
    entry->name = memory_copy_text(
        session != NULL && session->name != NULL ? session->name : "");
    push(slowlog, entry);
    trim(slowlog, len_max > 0 ? (size_t)len_max : 0);
}
