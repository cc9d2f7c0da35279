/*
 * blocked.c -- requests that wait.
 *
 *   blocked_table
 *     queues    (db, name) -> waiters, oldest first (one link for each key)
 *     ready     queues whose key changed, in the order in which they did
 *     durable   sessions in WAIT, WAITAOF
 *     heap      of deadlines, the earliest first
 *
 * A request that waits is kept as a copy of its arguments and is run again as
 * a whole.  While it runs it keeps its place: only when it did not block again
 * is it taken out.  The keyspace reports changes only while there is somebody
 * to be told (server_update_watch()).
 */
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/blocked_table.h"
#include "server/executor.h"
#include "server/loop.h"
#include "server/transport.h"
#include "server/watch.h"

#define NO_SLOT SIZE_MAX

enum blocked_kind {
    BLOCKED_KEYS,
    BLOCKED_DURABLE,
    BLOCKED_PAUSE,
    BLOCKED_TASK
};

struct queue {
    struct map_node node;
    struct queue *next_ready;
    struct link *first, *last;
    bool is_ready;
    int db;
    size_t name_len;
    char name[];
};

/* One key of one waiting request. */
struct link {
    struct queue *queue;
    struct blocked *blocked;
    struct link *next, *previous;
};

struct blocked {
    struct session *session;
    enum blocked_kind kind;
    const struct command *command;
    int db;
    struct slice *argv; /* own allocation, with the bytes */
    size_t argc;
    int64_t deadline_us;
    size_t slot; /* in the heap, or NO_SLOT */
    enum key_type type;
    struct link *links;
    size_t links_len;
    bool is_running;                 /* its request is being run again */
    bool stays;                      /* and has blocked again */
    struct blocked *next, *previous; /* all of its kind */
};

struct blocked_table {
    struct map queues;
    struct queue *ready, **ready_end;
    struct blocked *of_kind[BLOCKED_TASK + 1];
    struct blocked **heap;
    size_t heap_len, heap_size;
    size_t count;
    bool is_serving;
};

struct queue_key {
    int db;
    struct slice name;
};

struct blocked_table *
blocked_table_new(void)
{
    struct blocked_table *table = memory_zalloc(sizeof(*table));
    map_init(&table->queues);
    table->ready_end = &table->ready;
    return table;
}

void
blocked_table_free(struct blocked_table *table)
{
    if (table == NULL)
        return;
    map_fini(&table->queues);
    memory_free(table->heap);
    memory_free(table);
}

/* ---- the heap of deadlines --------------------------------------------- */

static void
set_slot(struct blocked_table *table, size_t slot, struct blocked *blocked)
{
    table->heap[slot] = blocked;
    blocked->slot = slot;
}

static void
sift_up(struct blocked_table *table, size_t slot)
{
    struct blocked *blocked = table->heap[slot];
    while (slot > 0) {
        size_t up = (slot - 1) / 2;
        if (table->heap[up]->deadline_us <= blocked->deadline_us)
            break;
        set_slot(table, slot, table->heap[up]);
        slot = up;
    }
    set_slot(table, slot, blocked);
}

static void
sift_down(struct blocked_table *table, size_t slot)
{
    struct blocked *blocked = table->heap[slot];
    for (;;) {
        size_t down = 2 * slot + 1;
        if (down >= table->heap_len)
            break;
        if (down + 1 < table->heap_len &&
            table->heap[down + 1]->deadline_us < table->heap[down]->deadline_us)
            down++;
        if (blocked->deadline_us <= table->heap[down]->deadline_us)
            break;
        set_slot(table, slot, table->heap[down]);
        slot = down;
    }
    set_slot(table, slot, blocked);
}

static void
heap_add(struct blocked_table *table, struct blocked *blocked)
{
    if (blocked->deadline_us == INT64_MAX)
        return;
    if (table->heap_len == table->heap_size) {
        table->heap_size = table->heap_size > 0 ? 2 * table->heap_size : 16;
        table->heap = memory_realloc(
            table->heap, table->heap_size * sizeof(*table->heap));
    }
    set_slot(table, table->heap_len++, blocked);
    sift_up(table, blocked->slot);
}

static void
heap_remove(struct blocked_table *table, struct blocked *blocked)
{
    size_t slot = blocked->slot;
    if (slot == NO_SLOT)
        return;
    blocked->slot = NO_SLOT;
    struct blocked *last = table->heap[--table->heap_len];
    if (last == blocked)
        return;
    set_slot(table, slot, last);
    sift_up(table, slot);
    sift_down(table, last->slot);
}

/* ---- queues ------------------------------------------------------------ */

static bool
has_key(const struct map_node *node, const void *key)
{
    const struct queue *queue = MAP_ENTRY(node, const struct queue, node);
    const struct queue_key *wanted = key;
    return queue->db == wanted->db &&
           slice_equal(slice_make(queue->name, queue->name_len), wanted->name);
}

static struct queue *
find_queue(const struct blocked_table *table, int db, struct slice name)
{
    struct queue_key key = { db, name };
    struct map_node *node =
        map_find(&table->queues, hash_slice(name), has_key, &key);
    return node != NULL ? MAP_ENTRY(node, struct queue, node) : NULL;
}

static struct queue *
get_queue(struct blocked_table *table, int db, struct slice name)
{
    struct queue *queue = find_queue(table, db, name);
    if (queue != NULL)
        return queue;
    queue = memory_zalloc(sizeof(*queue) + name.len);
    queue->db = db;
    queue->name_len = name.len;
    if (name.len > 0)
        memcpy(queue->name, name.data, name.len);
    map_add(&table->queues, &queue->node, hash_slice(name));
    return queue;
}

static void
free_if_unused(struct blocked_table *table, struct queue *queue)
{
    if (queue->first != NULL || queue->is_ready)
        return;
    map_remove(&table->queues, &queue->node);
    memory_free(queue);
}

static void
add_link(struct link *link, struct queue *queue, struct blocked *blocked)
{
    link->queue = queue;
    link->blocked = blocked;
    link->next = NULL;
    link->previous = queue->last;
    if (queue->last != NULL)
        queue->last->next = link;
    else
        queue->first = link;
    queue->last = link;
}

static void
remove_link(struct blocked_table *table, struct link *link)
{
    struct queue *queue = link->queue;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        queue->first = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    else
        queue->last = link->previous;
    free_if_unused(table, queue);
}

static void
mark_ready(struct blocked_table *table, struct queue *queue)
{
    if (queue->is_ready)
        return;
    queue->is_ready = true;
    queue->next_ready = NULL;
    *table->ready_end = queue;
    table->ready_end = &queue->next_ready;
}

/* ---- begin and end of a wait ------------------------------------------- */

static struct slice *
copy_arguments(const struct call *call)
{
    size_t size = call->argc * sizeof(struct slice);
    for (size_t i = 0; i < call->argc; i++)
        size += call->argv[i].len;
    struct slice *argv = memory_alloc(size);
    char *bytes = (char *)(argv + call->argc);
    for (size_t i = 0; i < call->argc; i++) {
        argv[i] = slice_make(bytes, call->argv[i].len);
        if (call->argv[i].len > 0)
            memcpy(bytes, call->argv[i].data, call->argv[i].len);
        bytes += call->argv[i].len;
    }
    return argv;
}

/* NULL: it waited before, is being run again, and stays. */
static struct blocked *
begin(struct call *call, enum blocked_kind kind, int64_t deadline_us)
{
    struct session *session = call->session;
    struct blocked_table *table = call->server->blocked;
    CHECK(!call->is_in_exec);
    if (session->blocked != NULL) {
        CHECK(session->blocked->is_running);
        session->blocked->stays = true;
        return NULL;
    }
    struct blocked *blocked = memory_zalloc(sizeof(*blocked));
    blocked->session = session;
    blocked->kind = kind;
    blocked->command = call->command;
    blocked->db = call->db;
    blocked->argv = copy_arguments(call);
    blocked->argc = call->argc;
    blocked->deadline_us = deadline_us;
    blocked->slot = NO_SLOT;
    blocked->next = table->of_kind[kind];
    if (blocked->next != NULL)
        blocked->next->previous = blocked;
    table->of_kind[kind] = blocked;
    heap_add(table, blocked);
    table->count++;
    session->blocked = blocked;
    session->flags |= SESSION_BLOCKED;
    return blocked;
}

/* Take it out of everything; its request is still whole. */
static void
detach(struct blocked *blocked)
{
    struct session *session = blocked->session;
    struct blocked_table *table = session->server->blocked;
    heap_remove(table, blocked);
    for (size_t i = 0; i < blocked->links_len; i++)
        remove_link(table, &blocked->links[i]);
    memory_free(blocked->links);
    blocked->links = NULL;
    blocked->links_len = 0;
    if (blocked->next != NULL)
        blocked->next->previous = blocked->previous;
    if (blocked->previous != NULL)
        blocked->previous->next = blocked->next;
    else
        table->of_kind[blocked->kind] = blocked->next;
    table->count--;
    session->blocked = NULL;
    session->flags &= ~(unsigned)SESSION_BLOCKED;
    server_update_watch(session->server);
}

static void
free_blocked(struct blocked *blocked)
{
    memory_free(blocked->argv);
    memory_free(blocked);
}

/* The wait is over; what the client sent meanwhile can be run. */
static void
end(struct blocked *blocked)
{
    struct session *session = blocked->session;
    detach(blocked);
    free_blocked(blocked);
    loop_resume(session);
}

void
blocked_forget(struct session *session)
{
    struct blocked *blocked = session->blocked;
    if (blocked == NULL)
        return;
    detach(blocked);
    free_blocked(blocked);
}

void
blocked_on_keys(struct call *call, const size_t *keys, size_t count,
    enum key_type type, int64_t deadline_us)
{
    struct blocked *blocked = begin(call, BLOCKED_KEYS, deadline_us);
    if (blocked == NULL)
        return;
    struct blocked_table *table = call->server->blocked;
    blocked->type = type;
    blocked->links = memory_zalloc(count * sizeof(*blocked->links));
    for (size_t i = 0; i < count; i++) {
        struct queue *queue = get_queue(table, call->db, call->argv[keys[i]]);
        /* A key that is named twice is waited for once. */
        if (queue->last != NULL && queue->last->blocked == blocked)
            continue;
        add_link(&blocked->links[blocked->links_len++], queue, blocked);
    }
    server_update_watch(call->server);
}

void
blocked_on_durable(struct call *call, int64_t deadline_us)
{
    (void)begin(call, BLOCKED_DURABLE, deadline_us);
}

void
blocked_on_pause(struct call *call)
{
    int64_t left_ms = call->server->pause_until_ms - call->now_ms;
    (void)begin(call, BLOCKED_PAUSE, loop_now_us() + left_ms * 1000);
}

void
blocked_on_task(struct call *call)
{
    (void)begin(call, BLOCKED_TASK, INT64_MAX);
}

/* ---- the reply of a wait that ends ------------------------------------- */

static void
begin_late_reply(struct session *session, struct reply *reply)
{
    session_begin_reply(session, reply);
    keyspace_begin(session->server->keyspace, loop_wall_ms());
}

static void
end_late_reply(struct session *session, struct reply *reply)
{
    uint64_t seq = keyspace_observed_seq(session->server->keyspace);
    if (seq > session->observed_seq)
        session->observed_seq = seq;
    session_end_reply(session,
        session->durability == DURABILITY_MEMORY ? 0 : seq,
        reply->is_muted ? 0 : 1);
    transport_check_limits(session);
}

void
blocked_finish(struct session *session, const char *error)
{
    struct blocked *blocked = session->blocked;
    if (blocked == NULL || blocked->kind != BLOCKED_TASK)
        return;
    struct reply reply;
    begin_late_reply(session, &reply);
    if (error != NULL)
        reply_error(&reply, error);
    else
        reply_ok(&reply);
    end(blocked);
    end_late_reply(session, &reply);
}

bool
blocked_cancel(struct session *session, const char *error)
{
    struct blocked *blocked = session->blocked;
    if (blocked == NULL ||
        (blocked->kind != BLOCKED_KEYS && blocked->kind != BLOCKED_DURABLE))
        return false;
    struct reply reply;
    begin_late_reply(session, &reply);
    if (error != NULL)
        reply_error(&reply, error);
    else if (blocked->command->timed_out != NULL)
        blocked->command->timed_out(session, &reply);
    else
        reply_null_array(&reply);
    end(blocked);
    end_late_reply(session, &reply);
    return true;
}

/* Run the request again.  It keeps its place if it blocks again. */
static void
retry(struct blocked *blocked)
{
    struct session *session = blocked->session;
    struct server *srv = session->server;
    struct reply reply;
    struct call call = {
        .server = srv,
        .session = session,
        .command = blocked->command,
        .argv = blocked->argv,
        .argc = blocked->argc,
        .keyspace = srv->keyspace,
        .db = blocked->db,
        .now_ms = loop_wall_ms(),
        .reply = &reply,
        .is_retry = true,
        .block_deadline_us = blocked->deadline_us,
    };
    begin_late_reply(session, &reply);
    blocked->is_running = true;
    blocked->stays = false;
    executor_call(&call);
    blocked->is_running = false;
    watch_settle(srv);
    if (blocked->stays) {
        session_end_reply(session, 0, 0);
        return;
    }
    end(blocked);
    end_late_reply(session, &reply);
}

/* ---- being served ------------------------------------------------------ */

size_t
blocked_count(const struct server *srv)
{
    return srv->blocked->count;
}

size_t
blocked_deadline_count(const struct server *srv)
{
    return srv->blocked->heap_len;
}

size_t
blocked_key_count(const struct server *srv)
{
    return srv->blocked->queues.count;
}

bool
blocked_has_keys(const struct blocked_table *table)
{
    return table->queues.count > 0;
}

void
blocked_signal(
    struct server *srv, int db, struct slice name, enum key_type type)
{
    struct blocked_table *table = srv->blocked;
    if (table->queues.count == 0)
        return;
    if (name.len != SIZE_MAX) {
        struct queue *queue =
            type != KEY_NONE ? find_queue(table, db, name) : NULL;
        if (queue != NULL)
            mark_ready(table, queue);
        return;
    }
    struct map_iter iter;
    struct map_node *node;
    map_iter_start(&iter, &table->queues);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct queue *queue = MAP_ENTRY(node, struct queue, node);
        if (queue->db == db || db < 0)
            mark_ready(table, queue);
    }
}

/* Does queue's key hold what blocked waits for? */
static bool
can_serve(struct server *srv, const struct queue *queue,
    const struct blocked *blocked)
{
    struct slice name = slice_make(queue->name, queue->name_len);
    keyspace_begin(srv->keyspace, loop_wall_ms());
    if (keyspace_prepare(srv->keyspace, queue->db, name, false) != STATUS_OK)
        return false;
    struct key *key = keyspace_peek(srv->keyspace, queue->db, name);
    return key != NULL && key->type == blocked->type;
}

/* Serve those who wait for queue's key, oldest first. */
static void
serve_queue(struct server *srv, struct queue *queue)
{
    struct link *last = queue->last; /* those who come later wait */
    struct link *link = queue->first;
    while (link != NULL) {
        struct link *next = link->next;
        bool was_last = link == last;
        struct blocked *blocked = link->blocked;
        if (!(blocked->session->flags & SESSION_CLOSE_NOW) &&
            can_serve(srv, queue, blocked))
            retry(blocked);
        if (was_last)
            break;
        link = next;
    }
}

void
blocked_serve(struct server *srv)
{
    struct blocked_table *table = srv->blocked;
    if (table->is_serving)
        return;
    table->is_serving = true;
    while (table->ready != NULL && !srv->is_misconfigured) {
        struct queue *queue = table->ready;
        table->ready = queue->next_ready;
        if (table->ready == NULL)
            table->ready_end = &table->ready;
        /* Still marked while it is served, so that it is not freed; a change */
        /* meanwhile needs no second round, all of its clients are looked at. */
        serve_queue(srv, queue);
        queue->is_ready = false;
        free_if_unused(table, queue);
    }
    table->is_serving = false;
}

void
blocked_serve_durable(struct server *srv)
{
    struct blocked *blocked = srv->blocked->of_kind[BLOCKED_DURABLE];
    while (blocked != NULL) {
        struct blocked *next = blocked->next;
        retry(blocked);
        blocked = next;
    }
}

bool
blocked_awaits_durable(const struct server *srv)
{
    return srv->blocked->of_kind[BLOCKED_DURABLE] != NULL;
}

/* CLIENT PAUSE is over: each request begins anew.  There are some. */
static void
end_pauses(struct server *srv)
{
    /* The list is newest first; the oldest goes first. */
    struct blocked *newest = srv->blocked->of_kind[BLOCKED_PAUSE];
    struct blocked *blocked = newest;
    while (blocked->next != NULL)
        blocked = blocked->next;
    bool is_last = false;
    while (!is_last) {
        struct blocked *previous = blocked->previous;
        struct session *session = blocked->session;
        /* One of them may pause anew: who waits again comes after newest. */
        is_last = blocked == newest;
        detach(blocked);
        executor_run(session, blocked->argv, blocked->argc);
        free_blocked(blocked);
        loop_resume(session);
        blocked = previous;
    }
}

void
blocked_serve_time(struct server *srv, int64_t now_us)
{
    struct blocked_table *table = srv->blocked;
    if (table->of_kind[BLOCKED_PAUSE] != NULL &&
        loop_wall_ms() >= srv->pause_until_ms)
        end_pauses(srv);
    while (table->heap_len > 0 && table->heap[0]->deadline_us <= now_us) {
        struct blocked *blocked = table->heap[0];
        if (blocked->kind == BLOCKED_PAUSE) {
            /* The pause was made longer. */
            int64_t left_ms = srv->pause_until_ms - loop_wall_ms();
            blocked->deadline_us = now_us + (left_ms > 1 ? left_ms : 1) * 1000;
            sift_down(table, 0);
            continue;
        }
        if (!blocked_cancel(blocked->session, NULL))
            heap_remove(table, blocked);
    }
    if (blocked_has_keys(table))
        blocked_serve(srv);
}

int64_t
blocked_next_deadline_us(const struct server *srv)
{
    const struct blocked_table *table = srv->blocked;
    return table->heap_len > 0 ? table->heap[0]->deadline_us : INT64_MAX;
}

const struct command *
blocked_command(const struct session *session)
{
    return session->blocked != NULL ? session->blocked->command : NULL;
}
