/*
 * keeperjob.c -- one round of the keeper: its requests and its end.
 *
 * Several requests may be under way, each in a slot.  One that failed for a
 * while waits in its slot to be sent again, TRIES_MAX times; then the round is
 * given up, and a later one begins anew with a LIST.
 */
#include <string.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/folder.h"
#include "replication/keeperjob.h"
#include "replication/recent.h"

#define ROUNDS_MAX 10 /* that fail in a row */
#define TRIES_MAX 6   /* of one request before the round ends */

/* ---- a round's end ------------------------------------------------------ */

int
keeperjob_open_scratch(struct keeper *keeper)
{
    return folder_open_unnamed(keeper->options.scratch);
}

void
keeperjob_close_inputs(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->input_count; i++)
        if (keeper->sources[i].bytes.data != NULL)
            recent_give_back(keeper->options.recent, keeper->sources[i].bytes);
    if (keeper->fetch_fd >= 0)
        close(keeper->fetch_fd);
    keeper->fetch_fd = -1;
    keeper->input_count = 0;
}

void
keeperjob_close_output(struct keeper *keeper)
{
    if (keeper->out_fd >= 0)
        close(keeper->out_fd);
    keeper->out_fd = -1;
}

static void
drop_slots(struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPERJOB_PARALLEL; i++) {
        struct keeper_slot *slot = &keeper->slots[i];
        if (slot->is_used && !slot->is_done && slot->retry_at_ms == 0)
            objectstore_cancel(keeper->store, &slot->request);
        if (slot->is_used)
            objectstore_request_fini(&slot->request);
        slot->is_used = false;
    }
}

void
keeperjob_join_merger(struct keeper *keeper)
{
    if (keeper->has_merger)
        pthread_join(keeper->merger, NULL);
    keeper->has_merger = false;
}

void
keeperjob_end(struct keeper *keeper)
{
    keeperjob_join_merger(keeper);
    drop_slots(keeper);
    keeperjob_close_inputs(keeper);
    keeperjob_close_output(keeper);
    memory_free(keeper->deletes);
    keeper->deletes = NULL;
    keeper->delete_count = 0;
    keeper->next_delete = 0;
    for (size_t i = 0; i < keeper->tidy_count; i++)
        memory_free(keeper->tidy[i].id);
    memory_free(keeper->tidy);
    keeper->tidy = NULL;
    keeper->tidy_count = 0;
    keeper->next_tidy = 0;
    keeper->is_early = false;
    keeper->state = KEEPER_IDLE;
}

void
keeperjob_fail(struct keeper *keeper, const char *what, const char *why)
{
    if (keeper->backoff.failures >= ROUNDS_MAX) {
        memset(keeper->due_ms, 0, sizeof(keeper->due_ms));
        keeper->snapshot_due_ms = 0;
        backoff_reset(&keeper->backoff);
    }
    if (!keeper->has_failed)
        log_warning("bucket: %s: %s; trying again later", what, why);
    keeper->has_failed = true;
    keeperjob_end(keeper);
    keeper->retry_at_ms = keeper->now_ms + backoff_next_ms(&keeper->backoff, 0);
}

void
keeperjob_finish(struct keeper *keeper)
{
    keeper->has_failed = false;
    backoff_reset(&keeper->backoff);
    keeperjob_end(keeper);
}

/* ---- requests ----------------------------------------------------------- */

static void
note_done(struct objectstore_request *request)
{
    ((struct keeper_slot *)request->arg)->is_done = true;
}

struct keeper_slot *
keeperjob_find_slot(struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPERJOB_PARALLEL; i++)
        if (!keeper->slots[i].is_used)
            return &keeper->slots[i];
    return NULL;
}

void
keeperjob_prepare(
    struct keeper *keeper, struct keeper_slot *slot, enum objectstore_op op)
{
    slot->keeper = keeper;
    slot->is_used = true;
    slot->is_done = false;
    slot->retry_at_ms = 0;
    slot->backoff = (struct backoff){ 0 };
    objectstore_request_init(&slot->request, op, slice_from_text(slot->name));
    slot->request.done = note_done;
    slot->request.arg = slot;
}

void
keeperjob_release(struct keeper_slot *slot)
{
    objectstore_request_fini(&slot->request);
    slot->is_used = false;
}

bool
keeperjob_is_final(
    struct keeper *keeper, struct keeper_slot *slot, const char *what)
{
    enum status status = slot->request.status;

    if (!backoff_is_transient(status))
        return true;
    if (slot->backoff.failures >= TRIES_MAX) {
        keeperjob_fail(keeper, what, slot->request.error);
        return false;
    }
    slot->is_done = false;
    slot->retry_at_ms = keeper->now_ms + backoff_next_ms(&slot->backoff,
                                             slot->request.retry_after_ms);
    return false;
}

int64_t
keeperjob_retry(struct keeper *keeper)
{
    int64_t wait = -1;

    for (size_t i = 0; i < KEEPERJOB_PARALLEL; i++) {
        struct keeper_slot *slot = &keeper->slots[i];
        if (!slot->is_used || slot->is_done || slot->retry_at_ms == 0)
            continue;
        int64_t left = slot->retry_at_ms - keeper->now_ms;
        if (left <= 0) {
            slot->retry_at_ms = 0;
            objectstore_request_fini(&slot->request);
            buf_init(&slot->request.answer);
            objectstore_submit(keeper->store, &slot->request);
        } else if (wait < 0 || left < wait) {
            wait = left;
        }
    }
    return wait;
}

struct keeper_slot *
keeperjob_next_done(struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPERJOB_PARALLEL; i++)
        if (keeper->slots[i].is_used && keeper->slots[i].is_done)
            return &keeper->slots[i];
    return NULL;
}

bool
keeperjob_is_busy(const struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPERJOB_PARALLEL; i++)
        if (keeper->slots[i].is_used)
            return true;
    return false;
}
