/*
 * keepermerge.c -- several files of the bucket become one.
 *
 * Inputs that are not in memory (recent.h) are fetched into an unnamed scratch
 * file, several parts side by side.  It is one file for all of them: making two
 * hundred took ext4, which does not like to use an inode again so soon, longer
 * than fetching them.  They are merged in a thread of its own if that would
 * take long.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "replication/compaction.h"
#include "replication/keepermerge.h"
#include "replication/recent.h"

#define PART_SIZE (8 * 1024 * 1024) /* bytes of one GET */
#define INLINE_MERGE_SIZE (1 << 20) /* bytes merged without a thread */

/* Is the input in memory, and as large as the LIST says? */
static bool
take_from_memory(struct keeper *keeper, size_t i)
{
    struct layout_file *input = &keeper->inputs[i];
    struct recent *recent = keeper->options.recent;
    struct slice bytes;

    if (recent == NULL || input->level != 0 ||
        !recent_take(recent, input->max_txid, &bytes))
        return false;
    if (keeper->is_early)
        input->size = bytes.len; /* there was no LIST */
    if (bytes.len != input->size) {
        recent_give_back(recent, bytes);
        return false;
    }
    keeper->sources[i].bytes = bytes;
    return true;
}

bool
keepermerge_start(struct keeper *keeper)
{
    uint64_t fetched = 0; /* bytes to be */

    keeper->next_input = 0;
    keeper->next_offset = 0;
    keeper->input_bytes = 0;
    memset(keeper->sources, 0, sizeof(keeper->sources));
    for (size_t i = 0; i < keeper->input_count; i++) {
        bool is_here = take_from_memory(keeper, i);
        uint64_t size = keeper->inputs[i].size;
        keeper->input_bytes += size;
        if (is_here)
            continue;
        if (keeper->fetch_fd < 0)
            keeper->fetch_fd = keeperjob_open_scratch(keeper);
        if (keeper->fetch_fd < 0) {
            keeperjob_fail(keeper, "compaction", "no scratch file can be made");
            return false;
        }
        keeper->sources[i].fd = keeper->fetch_fd;
        keeper->sources[i].from = fetched;
        keeper->sources[i].size = size;
        fetched += size;
    }
    keeper->state = KEEPER_FETCH;
    return true;
}

static void
send_part(struct keeper *keeper, struct keeper_slot *slot)
{
    const struct layout_file *input = &keeper->inputs[keeper->next_input];
    uint64_t left = input->size - keeper->next_offset;

    layout_format_name(
        slot->name, input->level, input->min_txid, input->max_txid);
    keeperjob_prepare(keeper, slot, OBJECTSTORE_GET);
    slot->index = keeper->next_input;
    slot->offset = keeper->next_offset;
    slot->request.range_from = slot->offset;
    slot->request.range_len = left < PART_SIZE ? left : PART_SIZE;
    keeper->next_offset += slot->request.range_len;
    if (keeper->next_offset >= input->size) {
        keeper->next_input++;
        keeper->next_offset = 0;
    }
    objectstore_submit(keeper->store, &slot->request);
}

bool
keepermerge_write_part(struct keeper *keeper, const struct keeper_slot *slot)
{
    const struct compaction_input *source = &keeper->sources[slot->index];
    const struct buf *answer = &slot->request.answer;

    for (size_t at = 0; at < answer->len;) {
        ssize_t n = pwrite(source->fd, answer->data + at, answer->len - at,
            (off_t)(source->from + slot->offset + at));
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static void
merge(struct keeper *keeper)
{
    buf_clear(&keeper->merge_error, 256);
    keeper->merge_status =
        compaction_merge(keeper->sources, keeper->input_count, keeper->out_fd,
            &keeper->out_size, &keeper->merge_error);
}

static void *
run_merger(void *arg)
{
    struct keeper *keeper = arg;

    merge(keeper);
    atomic_store(&keeper->is_merged, true);
    objectstore_wake(keeper->store);
    return NULL;
}

static void
start_merge(struct keeper *keeper)
{
    keeper->out_fd = keeperjob_open_scratch(keeper);
    if (keeper->out_fd < 0) {
        keeperjob_fail(keeper, "compaction", "no scratch file can be made");
        return;
    }
    keeper->state = KEEPER_MERGE;
    atomic_store(&keeper->is_merged, false);
    if (keeper->input_bytes > INLINE_MERGE_SIZE &&
        pthread_create(&keeper->merger, NULL, run_merger, keeper) == 0) {
        keeper->has_merger = true;
        return;
    }
    merge(keeper);
    atomic_store(&keeper->is_merged, true);
}

bool
keepermerge_finish(struct keeper *keeper)
{
    char what[LAYOUT_NAME_SIZE + 32];

    keeperjob_join_merger(keeper);
    layout_format_name(keeper->out_name, keeper->level,
        keeper->inputs[0].min_txid,
        keeper->inputs[keeper->input_count - 1].max_txid);
    keeperjob_close_inputs(keeper);
    if (keeper->merge_status != STATUS_OK) {
        snprintf(what, sizeof(what), "compaction to %s", keeper->out_name);
        buf_append_byte(&keeper->merge_error, '\0');
        keeperjob_fail(keeper, what, keeper->merge_error.data);
        return false;
    }
    return true;
}

/* Is there another input to be fetched?  Then next_input says which. */
static bool
has_next_part(struct keeper *keeper)
{
    while (keeper->next_input < keeper->input_count &&
           keeper->sources[keeper->next_input].bytes.data != NULL)
        keeper->next_input++;
    return keeper->next_input < keeper->input_count;
}

int64_t
keepermerge_step(struct keeper *keeper)
{
    struct keeper_slot *slot;

    while (
        has_next_part(keeper) && (slot = keeperjob_find_slot(keeper)) != NULL)
        send_part(keeper, slot);
    if (keeperjob_is_busy(keeper))
        return -1;
    start_merge(keeper);
    return 0;
}
