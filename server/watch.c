/*
 * watch.c -- who watches which key.
 *
 *   watch_table  (db, name) -> watched key -> its watches, one for a session
 *   session      -> its watches
 *
 * The keyspace reports every change of a key while somebody watches.  A flush
 * or a swap is reported as "all of db": whether a watched key is affected
 * (Redis: it existed before or exists now) is settled after the command, when
 * rows may be read again.
 */
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/server.h"
#include "server/watch.h"

struct watched {
    struct map_node node;
    struct watch *watches;
    int db;
    bool is_unsettled; /* its database was flushed or swapped */
    bool is_settling;  /* looked at for that: see settle_key() */
    size_t name_len;
    char name[];
};

struct watch {
    struct watch *next; /* of the session */
    struct watch *next_of_key;
    struct watch **link_of_key; /* what points here */
    struct watched *watched;
    struct session *session;
    bool existed; /* when it was watched */
};

struct watch_table {
    struct map keys;
    bool is_unsettled;
};

struct watched_key {
    int db;
    struct slice name;
};

struct watch_table *
watch_table_new(void)
{
    struct watch_table *table = memory_zalloc(sizeof(*table));
    map_init(&table->keys);
    return table;
}

void
watch_table_free(struct watch_table *table)
{
    if (table == NULL)
        return;
    map_fini(&table->keys);
    memory_free(table);
}

bool
watch_table_is_empty(const struct watch_table *table)
{
    return table->keys.count == 0;
}

size_t
watch_key_count(const struct watch_table *table)
{
    return table->keys.count;
}

static bool
has_key(const struct map_node *node, const void *key)
{
    const struct watched *watched = MAP_ENTRY(node, const struct watched, node);
    const struct watched_key *wanted = key;
    return watched->db == wanted->db &&
           slice_equal(
               slice_make(watched->name, watched->name_len), wanted->name);
}

static struct watched *
find_watched(const struct watch_table *table, int db, struct slice name)
{
    struct watched_key key = { db, name };
    struct map_node *node =
        map_find(&table->keys, hash_slice(name), has_key, &key);
    return node != NULL ? MAP_ENTRY(node, struct watched, node) : NULL;
}

static struct watched *
get_watched(struct watch_table *table, int db, struct slice name)
{
    struct watched *watched = find_watched(table, db, name);
    if (watched != NULL)
        return watched;
    watched = memory_zalloc(sizeof(*watched) + name.len);
    watched->db = db;
    watched->name_len = name.len;
    if (name.len > 0)
        memcpy(watched->name, name.data, name.len);
    map_add(&table->keys, &watched->node, hash_slice(name));
    return watched;
}

void
watch_add(struct session *session, int db, struct slice name, bool exists)
{
    struct watched *watched = get_watched(session->server->watches, db, name);
    for (struct watch *w = watched->watches; w != NULL; w = w->next_of_key)
        if (w->session == session)
            return;
    struct watch *watch = memory_zalloc(sizeof(*watch));
    watch->watched = watched;
    watch->session = session;
    watch->existed = exists;
    watch->next = session->watches;
    session->watches = watch;
    watch->next_of_key = watched->watches;
    watch->link_of_key = &watched->watches;
    if (watch->next_of_key != NULL)
        watch->next_of_key->link_of_key = &watch->next_of_key;
    watched->watches = watch;
    server_update_watch(session->server);
}

static void
remove_watch(struct watch_table *table, struct watch *watch)
{
    struct watched *watched = watch->watched;
    *watch->link_of_key = watch->next_of_key;
    if (watch->next_of_key != NULL)
        watch->next_of_key->link_of_key = watch->link_of_key;
    if (watched->watches == NULL) {
        map_remove(&table->keys, &watched->node);
        memory_free(watched);
    }
    memory_free(watch);
}

void
watch_remove_all(struct session *session)
{
    session->flags &= ~(unsigned)SESSION_WATCH_BROKEN;
    if (session->watches == NULL)
        return;
    while (session->watches != NULL) {
        struct watch *watch = session->watches;
        session->watches = watch->next;
        remove_watch(session->server->watches, watch);
    }
    server_update_watch(session->server);
}

/* The changes of a whole database are settled later. */
static void
mark_unsettled(struct watch_table *table, int db)
{
    struct map_iter iter;
    struct map_node *node;
    map_iter_start(&iter, &table->keys);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct watched *watched = MAP_ENTRY(node, struct watched, node);
        if (watched->db == db || db < 0) {
            watched->is_unsettled = true;
            table->is_unsettled = true;
        }
    }
}

void
watch_signal(struct server *srv, int db, struct slice name)
{
    if (watch_table_is_empty(srv->watches))
        return;
    if (name.len == SIZE_MAX) {
        mark_unsettled(srv->watches, db);
        return;
    }
    struct watched *watched = find_watched(srv->watches, db, name);
    if (watched == NULL || watched->is_settling)
        return;
    for (struct watch *w = watched->watches; w != NULL; w = w->next_of_key)
        w->session->flags |= SESSION_WATCH_BROKEN;
}

static void
settle_key(struct server *srv, struct watched *watched)
{
    struct slice name = slice_make(watched->name, watched->name_len);
    /* An expired key that a swap brought is deleted by looking at it.  For */
    /* those who watched a key that was not there nothing has changed. */
    watched->is_settling = true;
    /* In doubt it counts as changed: EXEC fails and is tried again. */
    bool exists = keyspace_prepare(srv->keyspace, watched->db, name, false) !=
                      STATUS_OK ||
                  keyspace_peek(srv->keyspace, watched->db, name) != NULL;
    watched->is_settling = false;
    for (struct watch *w = watched->watches; w != NULL; w = w->next_of_key)
        if (w->existed || exists)
            w->session->flags |= SESSION_WATCH_BROKEN;
}

void
watch_settle(struct server *srv)
{
    struct watch_table *table = srv->watches;
    if (!table->is_unsettled)
        return;
    table->is_unsettled = false;
    struct map_iter iter;
    struct map_node *node;
    map_iter_start(&iter, &table->keys);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct watched *watched = MAP_ENTRY(node, struct watched, node);
        if (!watched->is_unsettled)
            continue;
        watched->is_unsettled = false;
        settle_key(srv, watched);
    }
}

void
watch_break_all(struct server *srv)
{
    struct map_iter iter;
    struct map_node *node;
    map_iter_start(&iter, &srv->watches->keys);
    while ((node = map_iter_next(&iter)) != NULL) {
        struct watched *watched = MAP_ENTRY(node, struct watched, node);
        for (struct watch *w = watched->watches; w != NULL; w = w->next_of_key)
            w->session->flags |= SESSION_WATCH_BROKEN;
    }
}

enum status
watch_refresh(struct session *session)
{
    struct keyspace *keyspace = session->server->keyspace;
    for (struct watch *w = session->watches; w != NULL; w = w->next) {
        struct slice name = slice_make(w->watched->name, w->watched->name_len);
        enum status status =
            keyspace_prepare(keyspace, w->watched->db, name, false);
        if (status != STATUS_OK)
            return status;
        bool exists = keyspace_peek(keyspace, w->watched->db, name) != NULL;
        if (w->existed && !exists)
            session->flags |= SESSION_WATCH_BROKEN;
    }
    return STATUS_OK;
}
