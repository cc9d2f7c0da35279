/*
 * keeper.c -- keeps the history in the bucket small.
 *
 * A round is one pass through these states; nothing is kept from one round to
 * the next but when the next is due, so a crash in any state costs nothing:
 *
 *   IDLE -> LIST -> SNAPSHOT -> PUT -------------------------------+
 *             |                                                    |
 *             +--> FETCH -> MERGE -> PUT --> (next level, or LIST) |
 *             |                                                    |
 *             +--> DELETE --> TIDY (seldom) ----------------> IDLE <
 *
 * Early merges stand beside the rounds: when many files that the shipper has
 * just shipped are in memory (recent.h) and continue where level 1 is known to
 * end, they are merged without a LIST, and without a GET:
 *
 *   IDLE or DELETE -> FETCH (nothing) -> MERGE -> PUT -> back
 *
 * Their txids are the history's, whoever writes it now, so another writer's
 * takeover does not make them wrong.
 *
 * What is PUT follows from its name: all pages that changed between two txids,
 * so a PUT whose answer was lost is sent again, and two keepers that send the
 * same name do no harm.  No condition is needed and none is used.
 *
 * Deletes are decided by retention.c from one LIST; the LIST of the next round
 * must not show the deleted names any more.  A round that was stalled for so
 * long that its LIST is old deletes nothing.
 *
 * A round whose LIST shows another writer's files ends there.
 *
 *   B5  A round is due only after something was shipped.  What is left to do
 *       when shipping stops is done at most one interval of each level later.
 */
#include <string.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/keeperjob.h"
#include "replication/keepermerge.h"
#include "replication/keepertidy.h"
#include "replication/ltx.h"
#include "replication/recent.h"
#include "replication/retention.h"

#define PUT_TIMEOUT_MS 60000
#define PUT_SPEED_MIN 100 /* bytes a ms */
#define MERGE_POLL_MS 20
#define SNAPSHOT_POLL_MS 1
#define REFUSED_SNAPSHOT_WAIT_MS 86400000
#define MERGE_SIZE_MAX (UINT64_C(4) << 30) /* bytes, and as many of scratch */

/* ---- LIST --------------------------------------------------------------- */

static void
send_list(struct keeper *keeper)
{
    struct keeper_slot *slot = keeperjob_find_slot(keeper);

    slot->name[0] = '\0';
    keeperjob_prepare(keeper, slot, OBJECTSTORE_LIST);
    slot->request.list_after = buf_slice(&keeper->list_after);
    keeper->state = KEEPER_LIST;
    objectstore_submit(keeper->store, &slot->request);
}

static void
start_list(struct keeper *keeper)
{
    keeper->file_count = 0;
    keeper->listed_ms = keeper->now_ms;
    keeper->has_shipped = false;
    keeper->has_snapshot = false;
    buf_clear(&keeper->list_after, 256);
    send_list(keeper);
}

static void
add_file(struct keeper *keeper, const struct layout_file *file)
{
    if (keeper->file_count == keeper->file_size) {
        keeper->file_size =
            keeper->file_size == 0 ? 256 : 2 * keeper->file_size;
        keeper->files = memory_realloc(
            keeper->files, keeper->file_size * sizeof(*keeper->files));
    }
    keeper->files[keeper->file_count++] = *file;
}

static void
add_page(struct keeper *keeper, const struct objectstore_request *request)
{
    for (size_t i = 0; i < request->entry_count; i++) {
        const struct objectstore_entry *entry = &request->entries[i];
        struct layout_file file;
        if (!layout_parse_name(slice_from_text(entry->name), &file))
            continue;
        file.size = entry->size;
        file.modified_ms = entry->modified_ms;
        add_file(keeper, &file);
    }
}

static bool
is_listed(const struct keeper *keeper, const struct layout_file *file)
{
    for (size_t i = 0; i < keeper->file_count; i++)
        if (keeper->files[i].level == file->level &&
            keeper->files[i].min_txid == file->min_txid &&
            keeper->files[i].max_txid == file->max_txid)
            return true;
    return false;
}

/* What the round before deleted must be gone. */
static void
verify_deletes(struct keeper *keeper)
{
    char name[LAYOUT_NAME_SIZE];

    for (size_t i = 0; i < keeper->deleted_count; i++) {
        const struct layout_file *file = &keeper->deleted[i];
        if (!is_listed(keeper, file)) {
            keeper->deletes_done++;
            continue;
        }
        layout_format_name(name, file->level, file->min_txid, file->max_txid);
        log_warning("bucket: %s is still there after it was deleted", name);
    }
    keeper->deleted_count = 0;
}

/* ---- PUT ---------------------------------------------------------------- */

static void
start_put(struct keeper *keeper)
{
    struct keeper_slot *slot = keeperjob_find_slot(keeper);
    char bytes[LTX_HEADER_SIZE];
    struct ltx_header header;

    if (pread(keeper->out_fd, bytes, sizeof(bytes), 0) !=
            (ssize_t)sizeof(bytes) ||
        ltx_decode_header(bytes, sizeof(bytes), &header) != STATUS_OK) {
        keeperjob_fail(keeper, "reading a scratch file", "not an LTX file");
        return;
    }
    memcpy(slot->name, keeper->out_name, sizeof(slot->name));
    keeperjob_prepare(keeper, slot, OBJECTSTORE_PUT);
    slot->request.body_fd = keeper->out_fd;
    slot->request.body_size = keeper->out_size;
    slot->request.timestamp_ms = header.timestamp_ms;
    slot->request.timeout_ms =
        PUT_TIMEOUT_MS + (int64_t)(keeper->out_size / PUT_SPEED_MIN);
    keeper->state = KEEPER_PUT;
    FAULT_POINT("keep.before_put");
    objectstore_submit(keeper->store, &slot->request);
}

/* ---- SNAPSHOT ----------------------------------------------------------- */

static bool
start_snapshot(struct keeper *keeper)
{
    keeper->out_fd = keeperjob_open_scratch(keeper);
    if (keeper->out_fd < 0) {
        keeperjob_fail(keeper, "snapshot", "no scratch file can be made");
        return false;
    }
    keeper->state = KEEPER_SNAPSHOT;
    return true;
}

static int64_t
step_snapshot(struct keeper *keeper)
{
    uint64_t txid = 0;
    enum status status =
        keeper->snapshot(keeper->out_fd, &keeper->out_size, &txid, keeper->arg);

    if (status == STATUS_BUSY)
        return SNAPSHOT_POLL_MS;
    if (status != STATUS_OK) {
        keeperjob_fail(keeper, "snapshot", status_text(status));
        return 0;
    }
    keeper->level = LTX_LEVEL_SNAPSHOT;
    layout_format_name(keeper->out_name, LTX_LEVEL_SNAPSHOT, 1, txid);
    start_put(keeper);
    return -1;
}

/* ---- early merges ------------------------------------------------------- */

static bool
is_early_on(const struct keeper *keeper)
{
    return keeper->options.recent != NULL && keeper->options.early_files > 0 &&
           keeper->options.level_interval_ms[0] > 0;
}

/* Are there many files in memory that continue level 1? */
static bool
is_early_due(const struct keeper *keeper)
{
    return is_early_on(keeper) && keeper->reach > 0 &&
           keeper->now_ms >= keeper->retry_at_ms &&
           recent_count_from(keeper->options.recent, keeper->reach + 1) >=
               keeper->options.early_files;
}

/* Are there many, and only a LIST tells where level 1 ends? */
static bool
is_reach_due(const struct keeper *keeper)
{
    return is_early_on(keeper) && keeper->reach == 0 &&
           recent_count_run(keeper->options.recent) >=
               keeper->options.early_files;
}

static void
start_early(struct keeper *keeper)
{
    uint64_t count =
        recent_count_from(keeper->options.recent, keeper->reach + 1);

    keeper->level = 1;
    keeper->is_early = true;
    keeper->input_count = 0;
    while (keeper->input_count < count &&
           keeper->input_count < KEEPERJOB_INPUTS_MAX) {
        uint64_t txid = keeper->reach + 1 + keeper->input_count;
        keeper->inputs[keeper->input_count++] =
            (struct layout_file){ .min_txid = txid, .max_txid = txid };
    }
    (void)keepermerge_start(keeper);
}

/* Back to where it began. */
static void
finish_early(struct keeper *keeper)
{
    keeper->is_early = false;
    if (keeper->deletes != NULL)
        keeper->state = KEEPER_DELETE;
    else
        keeperjob_finish(keeper);
}

/* ---- DELETE ------------------------------------------------------------- */

static void
note_deleted(struct keeper *keeper, const struct layout_file *file)
{
    if (keeper->deleted_count == keeper->deleted_size) {
        keeper->deleted_size =
            keeper->deleted_size == 0 ? 64 : 2 * keeper->deleted_size;
        keeper->deleted = memory_realloc(
            keeper->deleted, keeper->deleted_size * sizeof(*keeper->deleted));
    }
    keeper->deleted[keeper->deleted_count++] = *file;
}

/* A LIST that is old says little about what covers what. */
static bool
is_list_old(const struct keeper *keeper)
{
    return keeper->now_ms - keeper->listed_ms >
           keeper->options.level0_retention_ms / 2;
}

static int64_t
step_delete(struct keeper *keeper)
{
    struct keeper_slot *slot;

    if (is_list_old(keeper))
        keeper->next_delete = keeper->delete_count;
    /* Many deletes take long, and memory is short. */
    if (is_early_due(keeper)) {
        if (!keeperjob_is_busy(keeper))
            start_early(keeper);
        return -1;
    }
    while (keeper->next_delete < keeper->delete_count &&
           (slot = keeperjob_find_slot(keeper)) != NULL) {
        const struct layout_file *file = &keeper->deletes[keeper->next_delete];
        layout_format_name(
            slot->name, file->level, file->min_txid, file->max_txid);
        keeperjob_prepare(keeper, slot, OBJECTSTORE_DELETE);
        slot->index = keeper->next_delete++;
        FAULT_POINT("keep.before_delete");
        objectstore_submit(keeper->store, &slot->request);
    }
    if (!keeperjob_is_busy(keeper) && !keepertidy_start(keeper))
        keeperjob_finish(keeper);
    return -1;
}

static void
start_delete(struct keeper *keeper)
{
    struct retention_rules rules = {
        .snapshot_ms = keeper->options.retention_ms,
        .level0_ms = keeper->options.level0_retention_ms,
    };

    if (!keeper->options.deletes) {
        keeperjob_finish(keeper);
        return;
    }
    keeper->deletes =
        memory_alloc((keeper->file_count + 1) * sizeof(*keeper->deletes));
    keeper->delete_count = retention_pick_deletes(
        keeper->files, keeper->file_count, &rules, keeper->deletes);
    keeper->next_delete = 0;
    keeper->state = KEEPER_DELETE;
}

/* ---- what the LIST says is to be done ----------------------------------- */

static bool
is_level_on(const struct keeper *keeper, unsigned level)
{
    return level <= KEEPER_LEVELS &&
           keeper->options.level_interval_ms[level - 1] > 0;
}

/* The level has something new: the level above it is due in its interval. */
static void
set_level_due(struct keeper *keeper, unsigned level)
{
    if (is_level_on(keeper, level) && keeper->due_ms[level - 1] == 0)
        keeper->due_ms[level - 1] =
            keeper->now_ms + keeper->options.level_interval_ms[level - 1];
}

static bool
is_level_due(const struct keeper *keeper, unsigned level)
{
    return keeper->due_ms[level - 1] != 0 &&
           keeper->due_ms[level - 1] <= keeper->now_ms;
}

static bool
is_snapshot_due(struct keeper *keeper)
{
    /* If the round's own is not young enough, another one is not either. */
    if (keeper->snapshot == NULL || keeper->has_snapshot ||
        keeper->now_ms < keeper->next_snapshot_ms)
        return false;
    if (keeper->is_snapshot_wanted)
        return keeper->file_count > 0;
    return keeper->options.snapshot_interval_ms > 0 &&
           retention_is_snapshot_due(keeper->files, keeper->file_count,
               keeper->options.snapshot_interval_ms);
}

/* A merge takes twice its inputs' size on the disk, and reads them whole: */
/* the rest is for the next one. */
static void
limit_inputs(struct keeper *keeper)
{
    uint64_t size = 0;

    for (size_t i = 0; i < keeper->input_count; i++) {
        size += keeper->inputs[i].size;
        if (i > 0 && size > MERGE_SIZE_MAX)
            keeper->input_count = i;
    }
}

/* Start the next thing that is due by the list. */
static void
choose(struct keeper *keeper)
{
    if (is_snapshot_due(keeper)) {
        (void)start_snapshot(keeper);
        return;
    }
    keeper->snapshot_due_ms = 0;
    keeper->reach = retention_find_reach(keeper->files, keeper->file_count, 1);
    if (keeper->options.recent != NULL)
        recent_drop_to(keeper->options.recent, keeper->reach);
    for (unsigned level = 1; level <= KEEPER_LEVELS; level++) {
        if (!is_level_due(keeper, level))
            continue;
        keeper->level = level;
        keeper->input_count = retention_pick_inputs(keeper->files,
            keeper->file_count, level, keeper->inputs, KEEPERJOB_INPUTS_MAX);
        limit_inputs(keeper);
        if (keeper->input_count > 0) {
            (void)keepermerge_start(keeper);
            return;
        }
        keeper->due_ms[level - 1] = 0;
        if (keeper->has_shipped)
            set_level_due(keeper, level);
    }
    start_delete(keeper);
}

/* The bucket has the file that was made: it is part of the list now. */
static void
finish_put(struct keeper *keeper)
{
    struct layout_file file;

    FAULT_POINT("keep.put");
    CHECK(layout_parse_name(slice_from_text(keeper->out_name), &file));
    if (!keeper->is_early) {
        file.size = keeper->out_size;
        for (size_t i = 0; i < keeper->file_count; i++)
            if (keeper->files[i].modified_ms > file.modified_ms)
                file.modified_ms = keeper->files[i].modified_ms;
        add_file(keeper, &file);
    }
    keeperjob_close_output(keeper);
    if (keeper->level == LTX_LEVEL_SNAPSHOT) {
        keeper->snapshots++;
        keeper->has_snapshot = true;
        keeper->is_snapshot_wanted = false;
    } else {
        keeper->compactions++;
        set_level_due(keeper, keeper->level + 1);
    }
    if (keeper->level == 1)
        keeper->reach = file.max_txid;
    if (keeper->is_early)
        finish_early(keeper);
    else
        choose(keeper);
}

/*
 * The shipper has one request under way, so one txid more than it knows of may
 * be in the bucket; whatever follows that is not its own.  The history is no
 * longer ours to keep: an old state's snapshot would always be too old, and
 * what may be deleted is the other's to judge.
 */
static bool
has_another_writer(const struct keeper *keeper)
{
    if (keeper->shipped_txid == 0)
        return false;
    for (size_t i = 0; i < keeper->file_count; i++)
        if (keeper->files[i].max_txid > keeper->shipped_txid + 1)
            return true;
    return false;
}

static void
rest(struct keeper *keeper)
{
    memset(keeper->due_ms, 0, sizeof(keeper->due_ms));
    keeper->snapshot_due_ms = 0;
    keeper->is_snapshot_wanted = false;
    keeper->reach = 0;
    if (keeper->options.recent != NULL)
        recent_drop_to(keeper->options.recent, UINT64_MAX);
    keeper->has_sighting = true;
    keeperjob_finish(keeper);
}

/* ---- answers ------------------------------------------------------------ */

static void
judge_list(struct keeper *keeper, struct keeper_slot *slot)
{
    struct objectstore_request *request = &slot->request;
    bool has_more = request->has_more;

    if (request->status != STATUS_OK || (has_more && !request->entry_count)) {
        keeperjob_fail(keeper, "LIST", request->error);
        return;
    }
    add_page(keeper, request);
    buf_clear(&keeper->list_after, 256);
    if (has_more)
        buf_append_text(&keeper->list_after,
            request->entries[request->entry_count - 1].name);
    keeperjob_release(slot);
    if (has_more) {
        send_list(keeper);
        return;
    }
    verify_deletes(keeper);
    if (has_another_writer(keeper))
        rest(keeper);
    else
        choose(keeper);
}

static void
judge_get(struct keeper *keeper, struct keeper_slot *slot)
{
    if (slot->request.status != STATUS_OK)
        keeperjob_fail(keeper, slot->name, slot->request.error);
    else if (slot->request.answer.len != slot->request.range_len)
        keeperjob_fail(keeper, slot->name, "its size is not what LIST said");
    else if (!keepermerge_write_part(keeper, slot))
        keeperjob_fail(
            keeper, "compaction", "a scratch file cannot be written");
    else
        keeperjob_release(slot);
}

/*
 * Refused for what it is, too large for one: making it again at once would only
 * be refused again.  The levels go on; the history before stays.
 */
static void
put_off_snapshot(struct keeper *keeper)
{
    int64_t wait = keeper->options.snapshot_interval_ms;

    keeper->is_snapshot_wanted = false;
    keeper->next_snapshot_ms =
        keeper->now_ms + (wait > 0 ? wait : REFUSED_SNAPSHOT_WAIT_MS);
    /* Whatever else failed before: this is to be read. */
    keeper->has_failed = false;
}

static void
judge_put(struct keeper *keeper, struct keeper_slot *slot)
{
    if (slot->request.status == STATUS_INVALID &&
        keeper->level == LTX_LEVEL_SNAPSHOT)
        put_off_snapshot(keeper);
    if (slot->request.status != STATUS_OK) {
        keeperjob_fail(keeper, slot->name, slot->request.error);
        return;
    }
    keeperjob_release(slot);
    finish_put(keeper);
}

static void
judge_delete(struct keeper *keeper, struct keeper_slot *slot)
{
    /* No right to delete, say: the files stay, and the log says why. */
    if (slot->request.status != STATUS_OK &&
        slot->request.status != STATUS_NOT_FOUND) {
        keeperjob_fail(keeper, slot->name, slot->request.error);
        return;
    }
    note_deleted(keeper, &keeper->deletes[slot->index]);
    keeperjob_release(slot);
}

static void
judge_all(struct keeper *keeper)
{
    static const struct {
        const char *what;
        void (*judge)(struct keeper *, struct keeper_slot *);
    } judges[] = {
        [KEEPER_LIST] = { "LIST", judge_list },
        [KEEPER_FETCH] = { "GET", judge_get },
        [KEEPER_PUT] = { "PUT", judge_put },
        [KEEPER_DELETE] = { "DELETE", judge_delete },
        [KEEPER_TIDY] = { "looking for uploads", keepertidy_judge },
    };
    struct keeper_slot *slot;

    while ((slot = keeperjob_next_done(keeper)) != NULL) {
        CHECK(judges[keeper->state].judge != NULL);
        if (keeperjob_is_final(keeper, slot, judges[keeper->state].what))
            judges[keeper->state].judge(keeper, slot);
    }
}

/* ---- the interface ------------------------------------------------------ */

/* ms until a round is due; -1: none is. */
static int64_t
round_wait_ms(const struct keeper *keeper)
{
    int64_t due = keeper->snapshot_due_ms;

    for (unsigned level = 1; level <= KEEPER_LEVELS; level++) {
        int64_t at = keeper->due_ms[level - 1];
        if (at != 0 && (due == 0 || at < due))
            due = at;
    }
    if (keeper->is_snapshot_wanted)
        due = keeper->now_ms;
    if (due == 0)
        return -1;
    if (due < keeper->retry_at_ms)
        due = keeper->retry_at_ms;
    return due > keeper->now_ms ? due - keeper->now_ms : 0;
}

static int64_t
step_state(struct keeper *keeper)
{
    switch (keeper->state) {
    case KEEPER_IDLE: {
        int64_t wait = round_wait_ms(keeper);
        if (wait == 0)
            start_list(keeper);
        else if (is_early_due(keeper))
            start_early(keeper);
        return wait == 0 ? -1 : wait;
    }
    case KEEPER_SNAPSHOT:
        return step_snapshot(keeper);
    case KEEPER_FETCH:
        return keepermerge_step(keeper);
    case KEEPER_MERGE:
        if (!atomic_load(&keeper->is_merged))
            return MERGE_POLL_MS;
        if (keepermerge_finish(keeper))
            start_put(keeper);
        return 0;
    case KEEPER_DELETE:
        return step_delete(keeper);
    case KEEPER_TIDY:
        return keepertidy_step(keeper);
    default:
        return -1;
    }
}

int64_t
keeper_step(struct keeper *keeper, int64_t now_ms)
{
    enum keeper_state before;
    int64_t wait, retry;

    keeper->now_ms = now_ms;
    do {
        judge_all(keeper);
        before = keeper->state;
        wait = step_state(keeper);
    } while (keeper->state != before);
    retry = keeperjob_retry(keeper);
    return wait < 0 || (retry >= 0 && retry < wait) ? retry : wait;
}

struct keeper *
keeper_new(struct objectstore *store, const struct keeper_options *options,
    keeper_snapshot_fn snapshot, void *arg)
{
    struct keeper *keeper = memory_zalloc(sizeof(*keeper));

    keeper->store = store;
    keeper->options = *options;
    keeper->snapshot = snapshot;
    keeper->arg = arg;
    keeper->out_fd = -1;
    keeper->fetch_fd = -1;
    return keeper;
}

void
keeper_free(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    keeperjob_end(keeper);
    buf_fini(&keeper->list_after);
    buf_fini(&keeper->merge_error);
    memory_free(keeper->files);
    memory_free(keeper->deleted);
    memory_free(keeper);
}

void
keeper_note_shipped(
    struct keeper *keeper, uint64_t txid, uint64_t size, int64_t now_ms)
{
    bool is_any_on = false;

    (void)size;
    keeper->now_ms = now_ms;
    keeper->shipped_txid = txid;
    keeper->has_shipped = true;
    for (unsigned level = 1; level <= KEEPER_LEVELS; level++) {
        set_level_due(keeper, level);
        is_any_on = is_any_on || is_level_on(keeper, level);
    }
    if (is_reach_due(keeper))
        keeper->due_ms[0] = now_ms;
    /* Rounds of the levels look after snapshots too; without any level the */
    /* snapshots need rounds of their own. */
    if (!is_any_on && keeper->snapshot_due_ms == 0 &&
        keeper->options.snapshot_interval_ms > 0)
        keeper->snapshot_due_ms = now_ms + keeper->options.snapshot_interval_ms;
}

void
keeper_want_snapshot(struct keeper *keeper)
{
    keeper->is_snapshot_wanted = true;
}

void
keeper_counts(const struct keeper *keeper, uint64_t *compactions,
    uint64_t *snapshots, uint64_t *deletes)
{
    *compactions = keeper->compactions;
    *snapshots = keeper->snapshots;
    *deletes = keeper->deletes_done;
}

bool
keeper_take_sighting(struct keeper *keeper)
{
    bool has_sighting = keeper->has_sighting;

    keeper->has_sighting = false;
    return has_sighting;
}
