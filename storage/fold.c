/*
 * fold.c -- the phases of a generation.
 *
 *   READ    journal rows are read and reduced to the latest change of each
 *           row (generation.c)
 *   SORT    into the order of the tables
 *   APPLY   rows are written, keys first
 *   DELETE  the generation's journal rows go, oldest first
 *
 * Why any order of the keys' rows is right.  UNIQUE(db, name): writing key 10
 * under name "a" parks the row of key 5 (table.h) if that is still called "a"
 * in the table.  At the end of the generation names are unique, so key 5 is
 * then called something else or is gone, and whatever said so is in this
 * generation: its row is written after key 10's, which gives it its new name
 * (a rename is a whole ROW_PUT), or was written before and does not clash.  A
 * row written by this generation is never parked by it, because its name is
 * its final one.  A key with nothing but a ROW_TOUCH kept its name, so nothing
 * of the generation can have taken that.  Between slices a row may be parked:
 * its key has unfolded changes and is therefore resident (D4), so nobody looks
 * for its name, and a scan, which walks ids, finds it.
 *
 * Why a crash at any point is harmless.  Journal rows of the generation are
 * all there until DELETE, and go oldest first.  Folding a remaining suffix
 * again writes, for every row it mentions, what it says last; what it does not
 * mention is as the complete generation left it.  That a suffix cut into
 * other generations passes through older states on the way is nobody's
 * business: recovery is complete before anyone reads, and garbage is not
 * collected before recovery is complete (a database dropped in the
 * journal's future may still own a key that an older state moves back into
 * it).
 *
 * Batches that commit while a generation is being folded:
 *   - their journal rows belong to a later generation;
 *   - a row they write directly is newer than what this generation says, and
 *     must not be overwritten: direct.h is asked before every element;
 *   - a key they delete may still be written by this generation, with its
 *     elements; the later one deletes both.  Its id is never used again.
 *
 * Elements of a deleted key are void within its generation.  Those in the
 * table are deleted with it if they are few; else the key's id goes to garbage
 * and they go in slices of their own.
 */
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/faultpoint.h"
#include "server/base/memory.h"
#include "storage/database.h"
#include "storage/fold_check.h"
#include "storage/generation.h"

#include "storage/fold.h"

/* The rows themselves may take so many times what is kept of their changes. */
#define ROWS_FACTOR 4
/* Elements deleted together with their key. */
#define FOLD_ELEMENTS_AT_ONCE 128
/* Rows written between two looks at the clock. */
#define APPLY_STRIDE 4
/* Rows of a slice that debug builds read again. */
#define SAMPLES_OF_SLICE 4
/* The share of a slice that may go into writing rows before its COMMIT. */
#define WORK_SHARE_MIN 0.05
/* What READ and DELETE take of the whole fold, for fold_progress(). */
#define READ_SHARE 0.2
#define DELETE_SHARE 0.05

enum fold_phase { FOLD_NONE, FOLD_READ, FOLD_SORT, FOLD_APPLY, FOLD_DELETE };

struct fold {
    struct fold_context context;
    enum fold_phase phase;
    struct generation *generation;
    uint64_t limit_id; /* journal rows up to it may enter the generation */
    uint64_t last_id;  /* newest journal row in the generation */
    uint64_t seq;      /* newest batch wholly in it */
    bool is_indexed;   /* the last row read is indexed */

    /* For fold_progress(). */
    uint64_t size;          /* bytes there are to read, or were read */
    uint64_t row_count;     /* rows there are to write */
    uint64_t journal_count; /* journal rows read */
    uint64_t journal_gone;  /* of them, deleted */

    /* Rows of the slice being written; written again if it fails. */
    struct generation_row **slice;
    size_t slice_count;
    size_t slice_size;
    size_t slice_at; /* how many of them are written */

    double work_share; /* of a slice's time that is not its COMMIT */
    uint64_t folded_seq;
    uint64_t count;
    bool has_garbage;
};

struct fold *
fold_new(const struct fold_context *context, uint64_t folded_seq)
{
    struct fold *fold = memory_zalloc(sizeof(*fold));

    fold->context = *context;
    fold->folded_seq = folded_seq;
    fold->work_share = 0.5;
    return fold;
}

void
fold_free(struct fold *fold)
{
    if (fold == NULL)
        return;
    generation_free(fold->generation);
    memory_free(fold->slice);
    memory_free(fold);
}

void
fold_start(struct fold *fold, uint64_t seq)
{
    DCHECK(fold->phase == FOLD_NONE);
    fold->phase = FOLD_READ;
    fold->generation = generation_new();
    fold->limit_id = (seq + 1) << JOURNAL_PART_BITS;
    fold->last_id = 0;
    fold->is_indexed = true;
    fold->size = journal_bytes(fold->context.journal);
    fold->journal_count = 0;
    fold->journal_gone = 0;
}

bool
fold_is_active(const struct fold *fold)
{
    return fold->phase != FOLD_NONE;
}

static void
fold_stop(struct fold *fold)
{
    generation_free(fold->generation);
    fold->generation = NULL;
    fold->phase = FOLD_NONE;
}

/* ---- READ --------------------------------------------------------------- */

/*
 * All rows are in.  The last batch counts as folded only if none of its parts
 * stayed outside.
 */
static enum status
end_reading(struct fold *fold)
{
    uint64_t next;
    uint64_t size;
    enum status status;

    if (fold->last_id == 0) { /* nothing to fold */
        fold_stop(fold);
        return STATUS_OK;
    }
    status =
        journal_next_id(fold->context.journal, fold->last_id, &next, &size);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    fold->seq = journal_seq(fold->last_id);
    if (status == STATUS_OK && journal_seq(next) == fold->seq)
        fold->seq--;
    fold->size = generation_size(fold->generation);
    fold->phase = FOLD_SORT;
    return STATUS_OK;
}

/* Many rows of which little is kept, as deletions, take memory too. */
static bool
is_full(const struct fold *fold)
{
    uint64_t size = fold->context.generation_size;

    return generation_kept(fold->generation) >= size ||
           generation_count(fold->generation) * sizeof(struct generation_row) /
                   ROWS_FACTOR >=
               size;
}

static enum status
read_row(struct fold *fold)
{
    struct slice changes;
    enum status status;
    uint64_t id;

    if (is_full(fold))
        return end_reading(fold);
    status = journal_next(fold->context.journal, fold->last_id, &id, &changes);
    if (status == STATUS_NOT_FOUND ||
        (status == STATUS_OK && id >= fold->limit_id))
        return end_reading(fold);
    if (status != STATUS_OK)
        return status;
    generation_add(fold->generation, changes);
    fold->last_id = id;
    fold->journal_count++;
    fold->is_indexed = false;
    return STATUS_OK;
}

static enum status
step_read(struct fold *fold, int64_t deadline_us)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK && fold->phase == FOLD_READ) {
        if (fold->is_indexed)
            status = read_row(fold);
        else
            status = generation_index(
                fold->generation, deadline_us, &fold->is_indexed);
        if (clock_monotonic_us() >= deadline_us)
            break;
    }
    /* An open read would keep the WAL from starting again. */
    journal_rest(fold->context.journal);
    return status;
}

/* ---- APPLY -------------------------------------------------------------- */

static struct row_change
change_of(const struct generation_row *row)
{
    return (struct row_change){ .op = (enum row_op)row->op,
        .table = (enum row_table)row->table,
        .id = row->id,
        .sub = slice_make(row->sub, row->sub_len),
        .value = slice_make(row->value, row->value_len) };
}

static enum status
apply_put_key(struct fold *fold, const struct generation_row *row)
{
    struct row_change change = change_of(row);
    struct row_change touch = change;
    struct key_row key;
    enum status status;

    status = rowchange_decode_key(&change, &key);
    if (status == STATUS_OK && row->touch_len > 0) {
        touch.value = slice_make(row->touch, row->touch_len);
        status = rowchange_decode_touch(&touch, &key.version, &key.size);
    }
    if (status == STATUS_OK)
        status = table_put_key(fold->context.tables, &key);
    return status;
}

static enum status
apply_touch_key(struct fold *fold, const struct generation_row *row)
{
    struct row_change change = change_of(row);
    uint64_t version;
    uint64_t size;
    enum status status;

    status = rowchange_decode_touch(&change, &version, &size);
    if (status == STATUS_OK)
        status = table_touch_key(fold->context.tables, row->id, version, size);
    return status;
}

/* Delete the elements of a key that is gone, or have them collected later. */
static enum status
drop_elements(struct fold *fold, enum row_table table, uint64_t id)
{
    enum status status;
    int deleted;

    status = table_delete_elements(
        fold->context.tables, table, id, FOLD_ELEMENTS_AT_ONCE, &deleted);
    if (status != STATUS_OK || deleted < FOLD_ELEMENTS_AT_ONCE)
        return status;
    fold->has_garbage = true;
    return table_put_garbage(fold->context.tables, table, id);
}

static enum status
apply_delete_key(struct fold *fold, const struct generation_row *row)
{
    enum key_type only = KEY_NONE;
    enum key_type type;
    enum status status;

    if (row->value_len > 0)
        only = (enum key_type)(uint8_t)row->value[0];
    status = table_delete_key(fold->context.tables, row->id);
    for (type = KEY_STRING; type < KEY_TYPE_COUNT; type++) {
        enum row_table table = table_of_type(type);

        if (status != STATUS_OK)
            return status;
        if (table == ROW_META || (only != KEY_NONE && only != type))
            continue;
        status = drop_elements(fold, table, row->id);
    }
    return status;
}

static enum status
apply_key(struct fold *fold, const struct generation_row *row)
{
    switch (row->op) {
    case ROW_PUT:
        return apply_put_key(fold, row);
    case ROW_TOUCH:
        return apply_touch_key(fold, row);
    default:
        return apply_delete_key(fold, row);
    }
}

/* Elements of deleted keys, and those that were written directly since. */
static bool
is_void(struct fold *fold, const struct generation_row *row)
{
    if (row->table == ROW_KEY || row->table == ROW_META || row->table == ROW_DB)
        return false;
    return generation_deletes_key(fold->generation, row->id) ||
           direct_find(fold->context.direct, (enum row_table)row->table,
               row->id, slice_make(row->sub, row->sub_len)) > fold->last_id;
}

static enum status
apply_element(struct fold *fold, const struct generation_row *row)
{
    struct row_change change = change_of(row);

    if (is_void(fold, row))
        return STATUS_OK;
    return row->op == ROW_PUT ? table_put(fold->context.tables, &change)
                              : table_delete(fold->context.tables, &change);
}

static enum status
apply_row(struct fold *fold, const struct generation_row *row)
{
    if (row->table == ROW_KEY)
        return apply_key(fold, row);
    if (row->table != ROW_DB)
        return apply_element(fold, row);
    fold->has_garbage = true;
    return table_put_garbage(fold->context.tables, ROW_DB, row->id);
}

/* The next row to write: of a slice that failed, or a new one. */
static struct generation_row *
next_row(struct fold *fold)
{
    struct generation_row *row;

    if (fold->slice_at < fold->slice_count)
        return fold->slice[fold->slice_at++];
    row = generation_next(fold->generation);
    if (row == NULL)
        return NULL;
    if (fold->slice_count == fold->slice_size) {
        fold->slice_size = fold->slice_size == 0 ? 256 : 2 * fold->slice_size;
        fold->slice = memory_realloc(
            fold->slice, fold->slice_size * sizeof(fold->slice[0]));
    }
    fold->slice[fold->slice_count++] = row;
    fold->slice_at = fold->slice_count;
    return row;
}

static enum status
apply_rows(struct fold *fold, int64_t deadline_us, bool *is_done)
{
    struct generation_row *row;
    enum status status = STATUS_OK;
    unsigned applied = 0;

    *is_done = false;
    while (status == STATUS_OK) {
        row = next_row(fold);
        if (row == NULL) {
            *is_done = true;
            return STATUS_OK;
        }
        status = apply_row(fold, row);
        if (++applied % APPLY_STRIDE == 0 &&
            clock_monotonic_us() >= deadline_us)
            break;
    }
    return status;
}

/* ---- DELETE ------------------------------------------------------------- */

/* So that seqs do not start again when the journal is empty. */
static enum status
put_seq(struct fold *fold)
{
    struct row_change change = {
        .op = ROW_PUT, .table = ROW_META, .sub = SLICE("seq")
    };
    struct buf text = BUF_INIT;
    enum status status;

    buf_printf(&text, "%llu", (unsigned long long)fold->seq);
    change.value = buf_slice(&text);
    status = table_put(fold->context.tables, &change);
    buf_fini(&text);
    return status;
}

static enum status
delete_rows(struct fold *fold, int64_t deadline_us, uint64_t *rows,
    uint64_t *bytes, bool *is_done)
{
    struct journal *journal = fold->context.journal;
    enum status status = put_seq(fold);
    uint64_t after = 0;

    *is_done = false;
    while (status == STATUS_OK) {
        uint64_t id;
        uint64_t size;

        status = journal_next_id(journal, after, &id, &size);
        if (status == STATUS_NOT_FOUND ||
            (status == STATUS_OK && id > fold->last_id)) {
            *is_done = true;
            return STATUS_OK;
        }
        if (status != STATUS_OK)
            return status;
        status = journal_delete(journal, id);
        after = id;
        *rows += 1;
        *bytes += size;
        if (clock_monotonic_us() >= deadline_us)
            break;
    }
    return status;
}

/* ---- slices ------------------------------------------------------------- */

static void
end_generation(struct fold *fold)
{
    fold_stop(fold);
    direct_forget(fold->context.direct, fold->last_id);
    fold->count++;
    FAULT_POINT("fold.done");
}

static enum status
write_slice(struct fold *fold, int64_t deadline_us, bool *is_done)
{
    uint64_t rows = 0;
    uint64_t bytes = 0;
    enum status status;

    if (fold->phase == FOLD_APPLY) {
        fold->slice_at = 0;
        status = apply_rows(fold, deadline_us, is_done);
        if (status == STATUS_OK && FAULT_FAILS("fold.slice.before"))
            status = STATUS_IO;
    } else {
        status = delete_rows(fold, deadline_us, &rows, &bytes, is_done);
        if (status == STATUS_OK && FAULT_FAILS("fold.delete.before"))
            status = STATUS_IO;
    }
    if (status != STATUS_OK) {
        transaction_rollback(fold->context.transaction);
        return status;
    }
    status = transaction_commit(fold->context.transaction);
    if (status != STATUS_OK)
        return status;
    journal_deleted(fold->context.journal, rows, bytes);
    fold->journal_gone += rows;
    return STATUS_OK;
}

/*
 * Most of a slice's time can go into its COMMIT, which writes the pages that
 * the rows touched.  Learn how much, and stop writing rows that much earlier.
 */
static void
learn_share(struct fold *fold, int64_t start_us, int64_t work_us)
{
    int64_t total_us = clock_monotonic_us() - start_us;
    double share = total_us > 0 ? (double)work_us / (double)total_us : 1;

    fold->work_share = 0.75 * fold->work_share + 0.25 * share;
    if (fold->work_share < WORK_SHARE_MIN)
        fold->work_share = WORK_SHARE_MIN;
    if (fold->work_share > 1)
        fold->work_share = 1;
}

/* Of a slice that is tried again only a part may have been written. */
static void
forget_written(struct fold *fold)
{
    size_t left = fold->slice_count - fold->slice_at;

    if (left > 0)
        memmove(fold->slice, fold->slice + fold->slice_at,
            left * sizeof(fold->slice[0]));
    fold->slice_count = left;
    fold->slice_at = 0;
}

/* D3, on a sample of the rows that the last slice wrote; debug. */
static void
check_slice(struct fold *fold)
{
#ifdef WALDEN_DEBUG
    size_t count = fold->slice_at;

    for (size_t i = 0; i < count; i += count / SAMPLES_OF_SLICE + 1)
        if (!is_void(fold, fold->slice[i]))
            fold_check_row(
                table_database(fold->context.tables), fold->slice[i]);
#else
    (void)fold;
#endif
}

static enum status
step_write(struct fold *fold, int64_t budget_us)
{
    int64_t start_us = clock_monotonic_us();
    int64_t work_us = (int64_t)((double)budget_us * fold->work_share);
    enum status status;
    bool is_done;

    status = transaction_begin(fold->context.transaction, false);
    if (status == STATUS_OK)
        status = write_slice(fold, start_us + work_us, &is_done);
    if (status != STATUS_OK)
        return status;
    learn_share(fold, start_us, work_us);
    if (fold->phase == FOLD_APPLY) {
        check_slice(fold);
        forget_written(fold);
        FAULT_POINT("fold.slice.after");
        if (is_done) {
            fold->folded_seq = fold->seq;
            fold->phase = FOLD_DELETE;
        }
    } else {
        FAULT_POINT("fold.delete.after");
        if (is_done)
            end_generation(fold);
    }
    return STATUS_OK;
}

enum status
fold_step(struct fold *fold, int64_t budget_us)
{
    int64_t deadline_us = clock_monotonic_us() + budget_us;

    switch (fold->phase) {
    case FOLD_NONE:
        return STATUS_OK;
    case FOLD_READ:
        return step_read(fold, deadline_us);
    case FOLD_SORT:
        if (generation_sort(fold->generation, deadline_us)) {
            fold->phase = FOLD_APPLY;
            fold->row_count = generation_count(fold->generation);
        }
        return STATUS_OK;
    case FOLD_APPLY:
    case FOLD_DELETE:
        break;
    }
    return step_write(fold, budget_us);
}

static double
share_of(uint64_t done, uint64_t all)
{
    return done >= all ? 1 : (double)done / (double)all;
}

uint64_t
fold_size(const struct fold *fold)
{
    return fold->size;
}

double
fold_progress(const struct fold *fold)
{
    switch (fold->phase) {
    case FOLD_NONE:
        return 1;
    case FOLD_READ:
        return READ_SHARE *
               share_of(generation_size(fold->generation), fold->size);
    case FOLD_SORT:
        return READ_SHARE;
    case FOLD_APPLY:
        return READ_SHARE + (1 - READ_SHARE - DELETE_SHARE) *
                                share_of(fold->row_count -
                                             generation_count(fold->generation),
                                    fold->row_count);
    case FOLD_DELETE:
        break;
    }
    return 1 - DELETE_SHARE +
           DELETE_SHARE * share_of(fold->journal_gone, fold->journal_count);
}

uint64_t
fold_folded_seq(const struct fold *fold)
{
    return fold->folded_seq;
}

uint64_t
fold_pending_rows(const struct fold *fold)
{
    return fold->generation == NULL ? 0 : generation_count(fold->generation);
}

uint64_t
fold_count(const struct fold *fold)
{
    return fold->count;
}

bool
fold_take_garbage(struct fold *fold)
{
    bool has_garbage = fold->has_garbage;

    fold->has_garbage = false;
    return has_garbage;
}
