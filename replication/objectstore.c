/*
 * objectstore.c -- what all kinds of store share, and the choice between them.
 */
#include "server/base/check.h"
#include "server/base/memory.h"

#include "replication/filestore.h"
#include "replication/objectstore.h"
#include "replication/s3.h"
#include "replication/upload.h"

void
objectstore_request_init(struct objectstore_request *request,
    enum objectstore_op op, struct slice name)
{
    *request =
        (struct objectstore_request){ .op = op, .name = name, .body_fd = -1 };
}

void
objectstore_request_fini(struct objectstore_request *request)
{
    buf_fini(&request->answer);
    for (size_t i = 0; i < request->entry_count; i++) {
        memory_free(request->entries[i].name);
        memory_free(request->entries[i].upload);
    }
    memory_free(request->entries);
    request->entries = NULL;
    request->entry_count = 0;
}

void
objectstore_count(struct objectstore *store, enum objectstore_op op)
{
    /* As they are billed. */
    static const enum objectstore_op counters[] = {
        [OBJECTSTORE_PUT] = OBJECTSTORE_PUT,
        [OBJECTSTORE_GET] = OBJECTSTORE_GET,
        [OBJECTSTORE_HEAD] = OBJECTSTORE_HEAD,
        [OBJECTSTORE_DELETE] = OBJECTSTORE_DELETE,
        [OBJECTSTORE_LIST] = OBJECTSTORE_LIST,
        [OBJECTSTORE_UPLOAD_BEGIN] = OBJECTSTORE_PUT,
        [OBJECTSTORE_UPLOAD_PART] = OBJECTSTORE_PUT,
        [OBJECTSTORE_UPLOAD_END] = OBJECTSTORE_PUT,
        [OBJECTSTORE_UPLOAD_ABORT] = OBJECTSTORE_DELETE,
        [OBJECTSTORE_UPLOAD_LIST] = OBJECTSTORE_LIST,
    };

    CHECK(op < sizeof(counters) / sizeof(counters[0]));
    store->requests[counters[op]]++;
}

void
objectstore_submit(
    struct objectstore *store, struct objectstore_request *request)
{
    if (upload_is_for(store, request))
        upload_start(store, request);
    else
        store->ops->submit(store, request);
}

void
objectstore_cancel(
    struct objectstore *store, struct objectstore_request *request)
{
    if (!upload_cancel(store, request))
        store->ops->cancel(store, request);
}

bool
objectstore_poll(struct objectstore *store, int timeout_ms, int extra_fd)
{
    int64_t wait;

    if (store->uploads == NULL)
        return store->ops->poll(store, timeout_ms, extra_fd);
    wait = upload_step_all(store);
    if (wait >= 0 && (timeout_ms < 0 || wait < timeout_ms))
        timeout_ms = (int)wait;
    (void)store->ops->poll(store, timeout_ms, extra_fd);
    (void)upload_step_all(store);
    return true;
}

void
objectstore_wake(struct objectstore *store)
{
    store->ops->wake(store);
}

void
objectstore_close(struct objectstore *store)
{
    if (store == NULL)
        return;
    upload_end_all(store);
    store->ops->close(store);
}

static void
note_done(struct objectstore_request *request)
{
    *(bool *)request->arg = true;
}

enum status
objectstore_run(struct objectstore *store, struct objectstore_request *request)
{
    bool is_done = false;

    request->done = note_done;
    request->arg = &is_done;
    objectstore_submit(store, request);
    while (!is_done)
        (void)objectstore_poll(store, -1, -1);
    return request->status;
}

enum status
objectstore_open(struct objectstore **store,
    const struct objectstore_options *options, struct buf *error)
{
    if (options->url != NULL && strncmp(options->url, "s3://", 5) == 0)
        return s3_open(store, options, error);
    if (options->url != NULL && strncmp(options->url, "file://", 7) == 0)
        return filestore_open(store, options, error);
    buf_printf(error, "'%s' is neither s3://bucket/prefix nor file:///path",
        options->url == NULL ? "" : options->url);
    return STATUS_INVALID;
}
