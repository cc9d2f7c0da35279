/*
 * startuprefuse.c -- a start is refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "replication/startupposition.h"
#include "replication/startuprefuse.h"

#define WAYS_OUT                                                               \
    " Either move the local files away and start again, to continue from the " \
    "bucket; or point bucket-url at an empty prefix, to begin a new history "  \
    "with the local state."

static void
describe_local(struct startup *startup)
{
    const struct outbox_file *last = outbox_last(startup->outbox);
    const struct outbox_loss *loss = outbox_find_loss(startup->outbox);
    uint64_t noted = startupposition_find(startup->path);

    if (last != NULL)
        buf_printf(startup->error,
            " The local outbox has txid %" PRIu64 " to %" PRIu64
            ", the last one made by node %016" PRIx64 ".",
            outbox_first(startup->outbox)->txid, last->txid,
            last->header.node_id);
    else if (loss != NULL)
        buf_printf(startup->error,
            " The local database had shipped txid %" PRIu64
            " when its outbox was given up.",
            loss->txid);
    else if (noted != 0)
        buf_printf(startup->error,
            " The local database was at txid %" PRIu64
            " when that was last noted.",
            noted);
    else
        buf_append_text(startup->error,
            " At which txid the local database is was not noted.");
}

/* One look without patience: it may be left out. */
static bool
find_header(
    struct startup *startup, const char *name, struct ltx_header *header)
{
    struct objectstore_request request;

    objectstore_request_init(&request, OBJECTSTORE_GET, slice_from_text(name));
    request.range_len = LTX_HEADER_SIZE;
    bool is_there = objectstore_run(startup->store, &request) == STATUS_OK &&
                    ltx_decode_header(request.answer.data, request.answer.len,
                        header) == STATUS_OK;
    objectstore_request_fini(&request);
    return is_there;
}

static void
describe_bucket(struct startup *startup)
{
    const struct layout_file *file = NULL;
    struct ltx_header header;
    char name[LAYOUT_NAME_SIZE], text[32];
    struct tm utc;

    /* Level 0 first: what was merged does not say who wrote it. */
    for (size_t i = 0; i < startup->count; i++)
        if (startup->files[i].max_txid == startup->newest &&
            (file == NULL || startup->files[i].level < file->level))
            file = &startup->files[i];
    buf_printf(startup->error, " The bucket's newest txid is %" PRIu64,
        startup->newest);
    if (file == NULL)
        return;
    layout_format_name(name, file->level, file->min_txid, file->max_txid);
    if (find_header(startup, name, &header)) {
        time_t seconds = (time_t)(header.timestamp_ms / 1000);
        gmtime_r(&seconds, &utc);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
        buf_printf(startup->error, ", written %s", text);
        if (header.node_id != 0)
            buf_printf(startup->error, " by node %016" PRIx64, header.node_id);
    }
    buf_printf(startup->error, " (%s).", name);
}

enum status
startuprefuse(struct startup *startup, const char *why)
{
    buf_printf(startup->error,
        "the local database and the bucket do not belong together: %s.", why);
    describe_bucket(startup);
    describe_local(startup);
    buf_append_text(startup->error, WAYS_OUT);
    return STATUS_CONFLICT;
}
