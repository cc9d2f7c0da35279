/*
 * keepertidy.c -- the keeper's TIDY: uploads that nobody will end.
 *
 *   LIST -> abort, several side by side -> LIST again -> the round is over
 */
#include <stdio.h>
#include <string.h>

#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/keepertidy.h"
#include "replication/upload.h"

/* By the store's clock; 0: not known. */
static int64_t
newest_time(const struct keeper *keeper)
{
    int64_t newest = 0;

    for (size_t i = 0; i < keeper->file_count; i++)
        if (keeper->files[i].modified_ms > newest)
            newest = keeper->files[i].modified_ms;
    return newest;
}

static void
send_list(struct keeper *keeper)
{
    struct keeper_slot *slot = keeperjob_find_slot(keeper);

    slot->name[0] = '\0';
    keeperjob_prepare(keeper, slot, OBJECTSTORE_UPLOAD_LIST);
    objectstore_submit(keeper->store, &slot->request);
}

bool
keepertidy_start(struct keeper *keeper)
{
    bool is_due = keeper->now_ms >= keeper->tidy_at_ms ||
                  keeper->uploads_left != keeper->store->uploads_left;

    if (!is_due || newest_time(keeper) == 0 ||
        (keeper->store->upload_size_min == 0 && !keeper->store->leaves_files))
        return false;
    keeper->uploads_left = keeper->store->uploads_left;
    keeper->tidy_at_ms = keeper->now_ms + keeper->options.retention_ms;
    keeper->is_tidy_verifying = false;
    keeper->state = KEEPER_TIDY;
    send_list(keeper);
    return true;
}

/* Has it the name of one of ours? */
static bool
is_of_history(const struct objectstore_entry *entry)
{
    struct layout_file file;

    return layout_parse_name(slice_from_text(entry->name), &file) ||
           strcmp(entry->name, LAYOUT_PROBE_NAME) == 0;
}

/* Begun so long ago that nobody will end it. */
static bool
is_abandoned(const struct keeper *keeper, const struct objectstore_entry *entry)
{
    return newest_time(keeper) - entry->modified_ms >=
               keeper->options.retention_ms &&
           !upload_is_under_way(keeper->store, slice_from_text(entry->upload));
}

/* The first look: what is to be aborted? */
static void
pick(struct keeper *keeper, const struct objectstore_request *request)
{
    keeper->tidy = memory_zalloc(KEEPERTIDY_MAX * sizeof(*keeper->tidy));
    for (size_t i = 0; i < request->entry_count; i++) {
        const struct objectstore_entry *entry = &request->entries[i];
        if (keeper->tidy_count == KEEPERTIDY_MAX)
            break;
        if (!is_of_history(entry) || !is_abandoned(keeper, entry))
            continue;
        struct keeper_upload *upload = &keeper->tidy[keeper->tidy_count++];
        snprintf(upload->name, sizeof(upload->name), "%s", entry->name);
        upload->id = memory_copy_text(entry->upload);
    }
}

static bool
was_aborted(const struct keeper *keeper, const struct objectstore_entry *entry)
{
    for (size_t i = 0; i < keeper->tidy_count; i++)
        if (strcmp(keeper->tidy[i].id, entry->upload) == 0)
            return true;
    return false;
}

/* The second look: are they gone? */
static void
verify(struct keeper *keeper, const struct objectstore_request *request)
{
    size_t left = 0;

    for (size_t i = 0; i < request->entry_count; i++)
        if (was_aborted(keeper, &request->entries[i]))
            left++;
    log_notice("bucket: %zu uploads that nobody would have ended were aborted",
        keeper->tidy_count - left);
    if (left > 0)
        log_warning("bucket: %zu aborted uploads are still there", left);
}

void
keepertidy_judge(struct keeper *keeper, struct keeper_slot *slot)
{
    const struct objectstore_request *request = &slot->request;
    bool is_list = request->op == OBJECTSTORE_UPLOAD_LIST;

    if (request->status != STATUS_OK &&
        (is_list || request->status != STATUS_NOT_FOUND)) {
        log_notice("bucket: looking for uploads that were never ended: %s",
            request->error);
        keeperjob_finish(keeper); /* its other work is done */
        return;
    }
    if (is_list && keeper->is_tidy_verifying)
        verify(keeper, request);
    else if (is_list)
        pick(keeper, request);
    keeperjob_release(slot);
}

int64_t
keepertidy_step(struct keeper *keeper)
{
    struct keeper_slot *slot;

    while (keeper->next_tidy < keeper->tidy_count &&
           (slot = keeperjob_find_slot(keeper)) != NULL) {
        const struct keeper_upload *upload = &keeper->tidy[keeper->next_tidy++];
        memcpy(slot->name, upload->name, sizeof(slot->name));
        keeperjob_prepare(keeper, slot, OBJECTSTORE_UPLOAD_ABORT);
        slot->request.upload = slice_from_text(upload->id);
        objectstore_submit(keeper->store, &slot->request);
    }
    if (keeperjob_is_busy(keeper))
        return -1;
    if (keeper->tidy_count > 0 && !keeper->is_tidy_verifying) {
        keeper->is_tidy_verifying = true;
        FAULT_POINT("keep.tidied");
        send_list(keeper);
        return -1;
    }
    keeperjob_finish(keeper);
    return -1;
}
