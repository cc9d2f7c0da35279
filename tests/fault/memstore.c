/*
 * memstore.c -- an object store in memory whose network is bad, by seed.
 *
 * Objects are an array sorted by name.  A message is a request on its way: it
 * owns copies of the name and the body, since the sender may have given up and
 * be gone when it arrives.  Its random numbers are the world's own, so that the
 * code under test can use its generator freely.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"

#include "tests/fault/memstore.h"

#define LIST_PAGE 7 /* names in one answer: many pages are the rule */
#define PER_THOUSAND 1000

struct object {
    char *name;
    struct buf body;
    int64_t modified_ms, timestamp_ms;
};

/* An upload in parts, neither ended nor aborted. */
struct upload_parts {
    struct upload_parts *next;
    char id[24], *name;
    int64_t begun_ms, timestamp_ms;
    struct buf *parts; /* by number - 1 */
    unsigned part_count;
};

/* What becomes of a message. */
struct message {
    struct message *next;
    struct memstore *from;
    struct objectstore_request *request; /* NULL: given up */
    enum objectstore_op op;
    char *name, *after, *upload;
    struct buf body;
    bool if_none_match;
    unsigned part;
    char (*etags)[OBJECTSTORE_ETAG_SIZE];
    int64_t timestamp_ms;
    uint64_t range_from, range_len;
    int64_t arrives_ms; /* -1: never, or has arrived */
    int64_t again_ms;   /* second arrival; -1: none */
    int64_t answer_ms;  /* after the last arrival that counts */
    enum status forced; /* STATUS_OK: the truth is told */
    int64_t retry_after_ms;
    /* The truth, once arrived. */
    enum status status;
    struct objectstore_request answer;
};

struct memworld {
    uint64_t random;
    int64_t now_ms;
    struct object *objects;
    size_t count, size;
    struct upload_parts *uploads;
    uint64_t last_upload;
    bool ignores_end_condition;
    struct message *messages;
    memworld_watch_fn watch;
    void *arg;
};

struct memstore {
    struct objectstore base; /* first */
    struct memworld *world;
    const struct memstore_faults *faults;
};

/* splitmix64 */
static uint64_t
next_random(struct memworld *world)
{
    uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t
random_ms(struct memworld *world, int64_t max)
{
    return max <= 0 ? 0 : (int64_t)(next_random(world) % (uint64_t)(max + 1));
}

static bool
happens(struct memworld *world, unsigned per_thousand)
{
    return next_random(world) % PER_THOUSAND < per_thousand;
}

/* ---- objects ------------------------------------------------------------ */

/* Index of the first object whose name is >= name. */
static size_t
find_place(const struct memworld *world, const char *name)
{
    size_t low = 0, high = world->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(world->objects[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct object *
find_object(const struct memworld *world, const char *name)
{
    size_t at = find_place(world, name);

    if (at == world->count || strcmp(world->objects[at].name, name) != 0)
        return NULL;
    return &world->objects[at];
}

static void
notify(struct memworld *world, enum objectstore_op op, const char *name)
{
    if (world->watch != NULL)
        world->watch(op, name, world->arg);
}

static void
apply_put(struct memworld *world, struct message *message)
{
    struct object *object = find_object(world, message->name);

    if (object != NULL && message->if_none_match) {
        message->status = STATUS_CONFLICT;
        return;
    }
    if (object == NULL) {
        size_t at = find_place(world, message->name);
        if (world->count == world->size) {
            world->size = world->size == 0 ? 64 : 2 * world->size;
            world->objects = memory_realloc(
                world->objects, world->size * sizeof(*world->objects));
        }
        object = &world->objects[at];
        memmove(object + 1, object, (world->count - at) * sizeof(*object));
        *object = (struct object){ .name = memory_copy_text(message->name) };
        world->count++;
        notify(world, OBJECTSTORE_PUT, message->name);
    }
    buf_clear(&object->body, object->body.size);
    buf_append_slice(&object->body, buf_slice(&message->body));
    object->modified_ms = world->now_ms;
    object->timestamp_ms = message->timestamp_ms;
}

static void
apply_get(struct memworld *world, struct message *message)
{
    const struct object *object = find_object(world, message->name);
    struct objectstore_request *answer = &message->answer;

    if (object == NULL) {
        message->status = STATUS_NOT_FOUND;
        return;
    }
    uint64_t from = message->range_from, len = object->body.len;
    len = from < len ? len - from : 0;
    if (message->range_len > 0 && message->range_len < len)
        len = message->range_len;
    buf_clear(&answer->answer, answer->answer.size);
    if (message->op == OBJECTSTORE_GET && len > 0)
        buf_append(&answer->answer, object->body.data + from, len);
    answer->object_size = object->body.len;
    answer->modified_ms = object->modified_ms;
    answer->meta_timestamp_ms = object->timestamp_ms;
}

static void
apply_delete(struct memworld *world, struct message *message)
{
    struct object *object = find_object(world, message->name);

    if (object == NULL)
        return;
    notify(world, OBJECTSTORE_DELETE, message->name);
    size_t at = (size_t)(object - world->objects);
    memory_free(object->name);
    buf_fini(&object->body);
    world->count--;
    memmove(object, object + 1, (world->count - at) * sizeof(*object));
}

static void
apply_list(struct memworld *world, struct message *message)
{
    struct objectstore_request *answer = &message->answer;
    size_t len = strlen(message->name);

    objectstore_request_fini(answer);
    buf_init(&answer->answer);
    answer->entries = memory_zalloc(LIST_PAGE * sizeof(*answer->entries));
    answer->has_more = false;
    for (size_t i = 0; i < world->count; i++) {
        const struct object *object = &world->objects[i];
        if (strncmp(object->name, message->name, len) != 0 ||
            (message->after[0] != '\0' &&
                strcmp(object->name, message->after) <= 0))
            continue;
        if (answer->entry_count == LIST_PAGE) {
            answer->has_more = true;
            break;
        }
        answer->entries[answer->entry_count++] =
            (struct objectstore_entry){ .name = memory_copy_text(object->name),
                .size = object->body.len,
                .modified_ms = object->modified_ms };
    }
}

/* ---- uploads in parts --------------------------------------------------- */

static struct upload_parts **
find_upload(struct memworld *world, struct message *message)
{
    struct upload_parts **link = &world->uploads;

    while (*link != NULL && (strcmp((*link)->id, message->upload) != 0 ||
                                strcmp((*link)->name, message->name) != 0))
        link = &(*link)->next;
    if (*link == NULL)
        message->status = STATUS_NOT_FOUND;
    return link;
}

static void
free_upload(struct upload_parts **link)
{
    struct upload_parts *upload = *link;

    *link = upload->next;
    for (unsigned i = 0; i < upload->part_count; i++)
        buf_fini(&upload->parts[i]);
    memory_free(upload->parts);
    memory_free(upload->name);
    memory_free(upload);
}

static void
apply_begin(struct memworld *world, struct message *message)
{
    struct upload_parts *upload = memory_zalloc(sizeof(*upload));

    snprintf(upload->id, sizeof(upload->id), "upload-%llu",
        (unsigned long long)++world->last_upload);
    upload->name = memory_copy_text(message->name);
    upload->begun_ms = world->now_ms;
    upload->timestamp_ms = message->timestamp_ms;
    upload->next = world->uploads;
    world->uploads = upload;
    buf_clear(&message->answer.answer, message->answer.answer.size);
    buf_append_text(&message->answer.answer, upload->id);
}

static void
format_etag(char etag[OBJECTSTORE_ETAG_SIZE], const struct buf *body)
{
    uint64_t sum = body->len;

    for (size_t i = 0; i < body->len; i++)
        sum = sum * 31 + (unsigned char)body->data[i];
    snprintf(etag, OBJECTSTORE_ETAG_SIZE, "\"%llx\"", (unsigned long long)sum);
}

static void
apply_part(struct memworld *world, struct message *message)
{
    struct upload_parts *upload = *find_upload(world, message);

    if (upload == NULL)
        return;
    if (message->part > upload->part_count) {
        upload->parts = memory_realloc(
            upload->parts, message->part * sizeof(*upload->parts));
        while (upload->part_count < message->part)
            buf_init(&upload->parts[upload->part_count++]);
    }
    struct buf *part = &upload->parts[message->part - 1];
    buf_clear(part, part->size);
    buf_append_slice(part, buf_slice(&message->body));
    format_etag(message->answer.etag, part);
}

static void
apply_end(struct memworld *world, struct message *message)
{
    struct upload_parts **link = find_upload(world, message);
    struct upload_parts *upload = *link;
    char etag[OBJECTSTORE_ETAG_SIZE];

    if (upload == NULL)
        return;
    buf_clear(&message->body, message->body.size);
    for (unsigned i = 0; i < message->part; i++) {
        if (i < upload->part_count)
            format_etag(etag, &upload->parts[i]);
        if (i >= upload->part_count || strcmp(etag, message->etags[i]) != 0) {
            message->status = STATUS_INVALID;
            return;
        }
        buf_append_slice(&message->body, buf_slice(&upload->parts[i]));
    }
    message->timestamp_ms = upload->timestamp_ms;
    message->if_none_match =
        message->if_none_match && !world->ignores_end_condition;
    apply_put(world, message);
    if (message->status == STATUS_OK)
        free_upload(link);
}

static void
apply_abort(struct memworld *world, struct message *message)
{
    struct upload_parts **link = find_upload(world, message);

    if (*link != NULL)
        free_upload(link);
}

static void
apply_upload_list(struct memworld *world, struct message *message)
{
    struct objectstore_request *answer = &message->answer;

    objectstore_request_fini(answer);
    buf_init(&answer->answer);
    answer->entries =
        memory_zalloc((memworld_uploads(world) + 1) * sizeof(*answer->entries));
    for (struct upload_parts *u = world->uploads; u != NULL; u = u->next)
        if (strncmp(u->name, message->name, strlen(message->name)) == 0)
            answer->entries[answer->entry_count++] =
                (struct objectstore_entry){ .name = memory_copy_text(u->name),
                    .upload = memory_copy_text(u->id),
                    .modified_ms = u->begun_ms };
}

size_t
memworld_uploads(const struct memworld *world)
{
    size_t count = 0;

    for (struct upload_parts *u = world->uploads; u != NULL; u = u->next)
        count++;
    return count;
}

void
memworld_ignore_end_condition(struct memworld *world)
{
    world->ignores_end_condition = true;
}

static void
apply(struct memworld *world, struct message *message)
{
    static void (*const applies[])(struct memworld *, struct message *) = {
        [OBJECTSTORE_PUT] = apply_put,
        [OBJECTSTORE_GET] = apply_get,
        [OBJECTSTORE_HEAD] = apply_get,
        [OBJECTSTORE_DELETE] = apply_delete,
        [OBJECTSTORE_LIST] = apply_list,
        [OBJECTSTORE_UPLOAD_BEGIN] = apply_begin,
        [OBJECTSTORE_UPLOAD_PART] = apply_part,
        [OBJECTSTORE_UPLOAD_END] = apply_end,
        [OBJECTSTORE_UPLOAD_ABORT] = apply_abort,
        [OBJECTSTORE_UPLOAD_LIST] = apply_upload_list,
    };

    message->status = STATUS_OK;
    applies[message->op](world, message);
}

/* ---- messages ----------------------------------------------------------- */

static void
free_message(struct message *message)
{
    objectstore_request_fini(&message->answer);
    buf_fini(&message->body);
    memory_free(message->name);
    memory_free(message->after);
    memory_free(message->upload);
    memory_free(message->etags);
    memory_free(message);
}

/* Drop what has arrived for the last time and been answered or given up. */
static void
sweep(struct memworld *world)
{
    struct message **link = &world->messages;

    while (*link != NULL) {
        struct message *message = *link;
        if (message->request == NULL && message->arrives_ms < 0 &&
            message->again_ms < 0) {
            *link = message->next;
            free_message(message);
        } else {
            link = &message->next;
        }
    }
}

static char *
copy_slice(struct slice s)
{
    char *text = memory_alloc(s.len + 1);

    if (s.len > 0)
        memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return text;
}

static void
copy_body(struct message *message, const struct objectstore_request *request)
{
    if (request->body_fd < 0) {
        buf_append_slice(&message->body, request->body);
        return;
    }
    buf_reserve(&message->body, (size_t)request->body_size + 1);
    CHECK(
        pread(request->body_fd, message->body.data, (size_t)request->body_size,
            (off_t)request->body_from) == (ssize_t)request->body_size);
    message->body.len = (size_t)request->body_size;
}

/* Draw what becomes of it. */
static void
draw_fate(struct memworld *world, struct message *message,
    const struct memstore_faults *faults, int64_t timeout_ms)
{
    int64_t now = world->now_ms;

    message->again_ms = -1;
    message->arrives_ms = now + random_ms(world, faults->delay_ms_max);
    message->answer_ms =
        message->arrives_ms + random_ms(world, faults->delay_ms_max);
    if (happens(world, faults->lost_request)) {
        message->arrives_ms = -1;
        message->answer_ms = now + timeout_ms;
        message->forced = STATUS_TIMEOUT;
    } else if (happens(world, faults->lost_answer)) {
        message->forced =
            next_random(world) % 2 == 0 ? STATUS_TIMEOUT : STATUS_IO;
        if (message->forced == STATUS_TIMEOUT)
            message->answer_ms = now + timeout_ms;
    } else if (happens(world, faults->late)) {
        message->forced =
            next_random(world) % 2 == 0 ? STATUS_TIMEOUT : STATUS_IO;
        message->answer_ms =
            now + (message->forced == STATUS_TIMEOUT ? timeout_ms : 1);
        message->arrives_ms =
            message->answer_ms + random_ms(world, faults->late_ms_max);
    } else if (happens(world, faults->doubled)) {
        message->again_ms =
            message->arrives_ms + random_ms(world, faults->delay_ms_max);
        message->answer_ms = message->again_ms;
    } else if (happens(world, faults->busy)) {
        message->arrives_ms = -1;
        message->forced = STATUS_BUSY;
        message->retry_after_ms = random_ms(world, 3000);
    } else if (happens(world, faults->broken)) {
        message->arrives_ms = -1;
        message->forced = STATUS_IO;
    } else if (happens(world, faults->denied)) {
        message->arrives_ms = -1;
        message->forced = STATUS_DENIED;
    }
}

static void
memstore_submit(struct objectstore *base, struct objectstore_request *request)
{
    static const struct memstore_faults none;
    struct memstore *store = (struct memstore *)base;
    struct memworld *world = store->world;
    struct message *message = memory_zalloc(sizeof(*message));
    struct message **end = &world->messages;

    request->status = STATUS_OK;
    request->error[0] = '\0';
    request->http_status = 0;
    request->retry_after_ms = 0;
    message->from = store;
    message->request = request;
    message->op = request->op;
    message->name = copy_slice(request->name);
    message->after = copy_slice(request->list_after);
    message->if_none_match = request->if_none_match;
    message->timestamp_ms = request->timestamp_ms;
    message->range_from = request->range_from;
    message->range_len = request->range_len;
    message->upload = copy_slice(request->upload);
    message->part = request->part;
    if (request->op == OBJECTSTORE_UPLOAD_END) {
        size_t size = request->part * sizeof(*message->etags);
        message->etags = memory_alloc(size);
        memcpy(message->etags, request->etags, size);
    }
    if (request->op == OBJECTSTORE_PUT ||
        request->op == OBJECTSTORE_UPLOAD_PART)
        copy_body(message, request);
    draw_fate(world, message, store->faults == NULL ? &none : store->faults,
        request->timeout_ms > 0 ? request->timeout_ms : 30000);
    objectstore_count(base, request->op);
    while (*end != NULL)
        end = &(*end)->next;
    *end = message;
}

/* The message that arrives next, if it is due. */
static struct message *
next_arrival(const struct memworld *world, int64_t now_ms, int64_t *at)
{
    struct message *first = NULL;

    for (struct message *m = world->messages; m != NULL; m = m->next) {
        int64_t due = m->arrives_ms >= 0 ? m->arrives_ms : m->again_ms;
        if (due >= 0 && due <= now_ms && (first == NULL || due < *at)) {
            first = m;
            *at = due;
        }
    }
    return first;
}

void
memworld_advance(struct memworld *world, int64_t now_ms)
{
    struct message *message;
    int64_t at = 0;

    while ((message = next_arrival(world, now_ms, &at)) != NULL) {
        if (at > world->now_ms)
            world->now_ms = at;
        if (message->arrives_ms >= 0)
            message->arrives_ms = -1;
        else
            message->again_ms = -1;
        apply(world, message);
    }
    world->now_ms = now_ms;
    sweep(world);
}

int64_t
memworld_wait_ms(const struct memworld *world)
{
    int64_t first = -1;

    for (struct message *m = world->messages; m != NULL; m = m->next) {
        int64_t due = m->arrives_ms >= 0 ? m->arrives_ms : m->again_ms;
        if (m->request != NULL && (due < 0 || m->answer_ms < due))
            due = m->answer_ms;
        if (due >= 0 && (first < 0 || due < first))
            first = due;
    }
    if (first < 0)
        return -1;
    return first > world->now_ms ? first - world->now_ms : 0;
}

/* Give the answer to whoever asked. */
static void
deliver(struct memstore *store, struct message *message)
{
    struct objectstore_request *request = message->request;
    struct objectstore_request *answer = &message->answer;

    message->request = NULL;
    request->status =
        message->forced != STATUS_OK ? message->forced : message->status;
    if (request->status == STATUS_CONFLICT && store->faults != NULL &&
        happens(store->world, store->faults->odd_loser))
        request->status =
            next_random(store->world) % 2 == 0 ? STATUS_IO : STATUS_CONFLICT;
    request->retry_after_ms = message->retry_after_ms;
    if (request->status != STATUS_OK) {
        snprintf(request->error, sizeof(request->error), "simulated: %s",
            status_text(request->status));
    } else if (message->op != OBJECTSTORE_PUT) {
        buf_clear(&request->answer, request->answer.size);
        buf_append_slice(&request->answer, buf_slice(&answer->answer));
        request->object_size = answer->object_size;
        request->modified_ms = answer->modified_ms;
        request->meta_timestamp_ms = answer->meta_timestamp_ms;
        memcpy(request->etag, answer->etag, sizeof(request->etag));
        request->entries = answer->entries;
        request->entry_count = answer->entry_count;
        request->has_more = answer->has_more;
        answer->entries = NULL;
        answer->entry_count = 0;
    }
    request->done(request);
}

static struct message *
next_answer(const struct memstore *store)
{
    struct message *first = NULL;

    for (struct message *m = store->world->messages; m != NULL; m = m->next)
        if (m->from == store && m->request != NULL &&
            m->answer_ms <= store->world->now_ms &&
            (first == NULL || m->answer_ms < first->answer_ms))
            first = m;
    return first;
}

static bool
memstore_poll(struct objectstore *base, int timeout_ms, int extra_fd)
{
    struct memstore *store = (struct memstore *)base;
    struct message *message;
    bool is_any = false;

    (void)timeout_ms;
    (void)extra_fd;
    memworld_advance(store->world, store->world->now_ms);
    while ((message = next_answer(store)) != NULL) {
        deliver(store, message);
        is_any = true;
    }
    sweep(store->world);
    return is_any;
}

static void
memstore_cancel(struct objectstore *base, struct objectstore_request *request)
{
    struct memstore *store = (struct memstore *)base;

    for (struct message *m = store->world->messages; m != NULL; m = m->next)
        if (m->request == request) {
            m->request = NULL;
            request->status = STATUS_TIMEOUT;
            request->done(request);
            return;
        }
}

static void
memstore_wake(struct objectstore *base)
{
    (void)base;
}

static void
memstore_close(struct objectstore *base)
{
    struct memstore *store = (struct memstore *)base;

    for (struct message *m = store->world->messages; m != NULL; m = m->next)
        if (m->from == store) {
            m->request = NULL;
            m->from = NULL;
        }
    memory_free(store);
}

static int64_t
memstore_now_ms(struct objectstore *base)
{
    return ((struct memstore *)base)->world->now_ms;
}

static const struct objectstore_ops memstore_ops = { .submit = memstore_submit,
    .now_ms = memstore_now_ms,
    .cancel = memstore_cancel,
    .poll = memstore_poll,
    .wake = memstore_wake,
    .close = memstore_close };

struct objectstore *
memstore_open(struct memworld *world, const struct memstore_faults *faults)
{
    struct memstore *store = memory_zalloc(sizeof(*store));

    store->base.ops = &memstore_ops;
    store->world = world;
    store->faults = faults;
    return &store->base;
}

struct memworld *
memworld_new(uint64_t seed)
{
    struct memworld *world = memory_zalloc(sizeof(*world));

    world->random = seed;
    return world;
}

void
memworld_free(struct memworld *world)
{
    if (world == NULL)
        return;
    while (world->messages != NULL) {
        struct message *message = world->messages;
        world->messages = message->next;
        free_message(message);
    }
    for (size_t i = 0; i < world->count; i++) {
        memory_free(world->objects[i].name);
        buf_fini(&world->objects[i].body);
    }
    memory_free(world->objects);
    while (world->uploads != NULL)
        free_upload(&world->uploads);
    memory_free(world);
}

void
memworld_watch(struct memworld *world, memworld_watch_fn watch, void *arg)
{
    world->watch = watch;
    world->arg = arg;
}

size_t
memworld_count(const struct memworld *world)
{
    return world->count;
}
