/*
 * generation.c -- the fold's index.
 *
 * A journal row is indexed change by change, and of each row of the tables only
 * the latest change is kept, in the place of the one before if it fits.  So the
 * memory that a generation takes is that of the rows it will write, however
 * often the journal says something about them: a journal that is mostly about
 * the same keys can be long.  Bytes and rows live in blocks, so a million of
 * them costs a few dozen allocations; rows are found through a map by identity
 * (table, id, sub).
 *
 * How changes of one row combine, in the order of the journal:
 *   put, del, drop    replace what was there
 *   touch             on a put: kept beside it; else replaces
 *   direct            voids what was there: the table has something newer
 *
 * Sorting must not pause commits, so it is a merge sort whose first level is
 * done run by run and whose merge is done row by row by a heap of runs as
 * generation_next() is called.
 */
#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "storage/direct.h"

#include "storage/generation.h"

#define BLOCK_SIZE (1024 * 1024)
#define ROWS_PER_BLOCK 4096
#define RUN_ROWS 512
#define SCRATCH_KEEP_SIZE (1024 * 1024) /* of a buffer for journal rows */
/* A value that outgrows its place gets a share more: it may grow again. */
#define GROWTH_SHARE 4
/* Changes indexed together, between two looks at the clock. */
#define INDEX_STRIDE 32
#define CACHE_LINE_SIZE 64
#define PREFETCH_SIZE_MAX 256 /* of a value; the rest follows by itself */

struct block {
    struct block *next;
    size_t used;
    size_t size;
    char data[];
};

struct row_block {
    struct row_block *next;
    size_t count;
    struct generation_row rows[ROWS_PER_BLOCK];
};

/* A row with its place in the order; most comparisons need only rank. */
struct ref {
    uint64_t rank; /* order of the table << 60 | id */
    struct generation_row *row;
};

struct run {
    struct ref *at;
    struct ref *end;
};

struct generation {
    struct block *blocks;
    struct buf added;   /* the journal row that is being indexed */
    struct bytes bytes; /* of it, not indexed yet */
    uint64_t size;      /* bytes added */
    uint64_t kept;      /* bytes taken in blocks */

    struct map index;
    struct row_block *first_rows;
    struct row_block *last_rows;
    uint64_t count;

    struct ref *refs; /* all rows, sorted within runs */
    size_t ref_count; /* filled in so far */
    struct row_block *sort_block;
    size_t sort_at;
    struct run *runs;
    size_t run_count;
    size_t *heap; /* runs that are not exhausted, smallest head first */
    size_t heap_count;

    uint64_t asked_id; /* the last answer of generation_deletes_key() */
    bool asked_answer;
};

struct identity {
    enum row_table table;
    uint64_t id;
    struct slice sub;
};

/*
 * Keys before elements, so that elements of deleted keys are gone before they
 * are asked for; dropped databases last, when every key that was moved out of
 * them has its new row.
 */
static const uint64_t table_order[ROW_TABLE_COUNT] = {
    [ROW_KEY] = 0,
    [ROW_HASH] = 1,
    [ROW_LIST] = 2,
    [ROW_BLOB] = 3,
    [ROW_SET] = 4,
    [ROW_ZSET] = 5,
    [ROW_META] = 6,
    [ROW_DB] = 7,
};

struct generation *
generation_new(void)
{
    struct generation *generation = memory_zalloc(sizeof(*generation));

    map_init(&generation->index);
    buf_init(&generation->added);
    generation->bytes = bytes_from((struct slice){ NULL, 0 });
    return generation;
}

void
generation_free(struct generation *generation)
{
    struct row_block *rows;
    struct block *block;

    if (generation == NULL)
        return;
    while ((block = generation->blocks) != NULL) {
        generation->blocks = block->next;
        memory_free(block);
    }
    while ((rows = generation->first_rows) != NULL) {
        generation->first_rows = rows->next;
        memory_free(rows);
    }
    map_fini(&generation->index);
    buf_fini(&generation->added);
    memory_free(generation->refs);
    memory_free(generation->runs);
    memory_free(generation->heap);
    memory_free(generation);
}

/* Room for len bytes that stays where it is. */
static char *
take_bytes(struct generation *generation, size_t len)
{
    struct block *block = generation->blocks;
    size_t size = len > BLOCK_SIZE ? len : BLOCK_SIZE;

    if (block == NULL || block->size - block->used < len) {
        block = memory_alloc(sizeof(*block) + size);
        block->next = generation->blocks;
        block->used = 0;
        block->size = size;
        generation->blocks = block;
    }
    block->used += len;
    generation->kept += len;
    return block->data + block->used - len;
}

void
generation_add(struct generation *generation, struct slice changes)
{
    DCHECK(bytes_left(&generation->bytes) == 0);
    generation->size += changes.len;
    buf_clear(&generation->added, SCRATCH_KEEP_SIZE);
    buf_append_slice(&generation->added, changes);
    generation->bytes = bytes_from(buf_slice(&generation->added));
}

static bool
is_match(const struct map_node *node, const void *key)
{
    const struct generation_row *row =
        (const struct generation_row *)(const void *)node;
    const struct identity *identity = key;

    return row->id == identity->id && row->table == identity->table &&
           slice_equal(slice_make(row->sub, row->sub_len), identity->sub);
}

static struct generation_row *
find(const struct generation *generation, uint64_t hash,
    const struct identity *identity)
{
    struct map_node *node =
        map_find(&generation->index, hash, is_match, identity);

    return node == NULL ? NULL : MAP_ENTRY(node, struct generation_row, node);
}

static struct generation_row *
add_row(struct generation *generation, uint64_t hash,
    const struct identity *identity)
{
    struct row_block *block = generation->last_rows;
    struct generation_row *row;

    if (block == NULL || block->count == ROWS_PER_BLOCK) {
        block = memory_alloc(sizeof(*block));
        block->next = NULL;
        block->count = 0;
        if (generation->last_rows != NULL)
            generation->last_rows->next = block;
        else
            generation->first_rows = block;
        generation->last_rows = block;
    }
    row = &block->rows[block->count++];
    memset(row, 0, sizeof(*row));
    row->id = identity->id;
    row->table = (uint8_t)identity->table;
    if (identity->sub.len > 0) {
        row->sub = take_bytes(generation, identity->sub.len);
        row->sub_len = (uint32_t)identity->sub.len;
        memcpy(row->sub, identity->sub.data, row->sub_len);
    }
    map_add(&generation->index, &row->node, hash);
    generation->count++;
    return row;
}

/* Let value be the row's, in its place if that is large enough. */
static void
set_value(struct generation *generation, struct generation_row *row,
    struct slice value)
{
    if (value.len > row->value_room) {
        size_t room = value.len;
        if (row->value_room > 0)
            room += room / GROWTH_SHARE;
        row->value = take_bytes(generation, room);
        row->value_room = (uint32_t)room;
    }
    if (value.len > 0)
        memcpy(row->value, value.data, value.len);
    row->value_len = (uint32_t)value.len;
}

/* Lay change over what row says so far. */
static void
merge(struct generation *generation, struct generation_row *row,
    const struct row_change *change)
{
    /* Nothing follows the deletion of a key: ids are not used again. */
    if (row->table == ROW_KEY && row->op == ROW_DEL)
        return;
    if (change->op == ROW_TOUCH && row->op == ROW_PUT) {
        CHECK(change->value.len <= sizeof(row->touch));
        row->touch_len = (uint8_t)change->value.len;
        memcpy(row->touch, change->value.data, row->touch_len);
        return;
    }
    row->op = change->op == ROW_DIRECT ? 0 : (uint8_t)change->op;
    row->touch_len = 0;
    set_value(generation, row,
        row->table == ROW_KEY && change->op == ROW_DEL ? change->sub
                                                       : change->value);
}

/* A change with what finds its row. */
struct indexed {
    struct row_change change;
    struct identity identity;
    uint64_t hash;
};

static enum status
take_change(struct generation *generation, struct indexed *at)
{
    struct row_change *change = &at->change;
    enum status status = rowchange_next(&generation->bytes, change);

    if (status != STATUS_OK)
        return status;
    at->identity = (struct identity){ change->table, change->id, change->sub };
    if (change->table == ROW_KEY)
        at->identity.sub.len = 0; /* a ROW_DEL's sub is its type */
    at->hash =
        direct_hash(at->identity.table, at->identity.id, at->identity.sub);
    map_prefetch_bucket(&generation->index, at->hash);
    return STATUS_OK;
}

static void
index_change(struct generation *generation, const struct indexed *at)
{
    struct generation_row *row = find(generation, at->hash, &at->identity);

    if (row == NULL) {
        if (at->change.op == ROW_DIRECT)
            return;
        row = add_row(generation, at->hash, &at->identity);
    }
    merge(generation, row, &at->change);
}

/* node is likely to be the row whose value will be written. */
static void
prefetch_value(const struct map_node *node)
{
    const struct generation_row *row =
        (const struct generation_row *)(const void *)node;

    if (row == NULL)
        return;
    for (size_t at = 0; at < row->value_room && at < PREFETCH_SIZE_MAX;
         at += CACHE_LINE_SIZE)
        __builtin_prefetch(row->value + at, 1);
}

/*
 * The index is much larger than the processor's caches and is hit at random:
 * one change after another would mostly wait for memory.  So a group is
 * decoded, then its rows are fetched side by side, then the places of their
 * values, then it is indexed.
 */
static enum status
index_group(struct generation *generation)
{
    struct indexed group[INDEX_STRIDE];
    enum status status = STATUS_OK;
    size_t count = 0;

    while (count < INDEX_STRIDE) {
        status = take_change(generation, &group[count]);
        if (status != STATUS_OK)
            break;
        count++;
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    const struct map_node *nodes[INDEX_STRIDE];
    for (size_t i = 0; i < count; i++)
        nodes[i] = map_prefetch_node(&generation->index, group[i].hash);
    for (size_t i = 0; i < count; i++)
        prefetch_value(nodes[i]);
    for (size_t i = 0; i < count; i++)
        index_change(generation, &group[i]);
    return status;
}

enum status
generation_index(
    struct generation *generation, int64_t deadline_us, bool *is_done)
{
    enum status status;

    do {
        status = index_group(generation);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
        *is_done = status == STATUS_NOT_FOUND;
    } while (!*is_done && clock_monotonic_us() < deadline_us);
    return STATUS_OK;
}

uint64_t
generation_size(const struct generation *generation)
{
    return generation->size;
}

uint64_t
generation_kept(const struct generation *generation)
{
    return generation->kept;
}

static int
compare_refs(const void *left, const void *right)
{
    const struct ref *a = left;
    const struct ref *b = right;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return slice_compare(slice_make(a->row->sub, a->row->sub_len),
        slice_make(b->row->sub, b->row->sub_len));
}

static void
start_sort(struct generation *generation)
{
    size_t count = generation->count;
    size_t runs = (count + RUN_ROWS - 1) / RUN_ROWS;

    generation->refs = memory_alloc((count + 1) * sizeof(struct ref));
    generation->runs = memory_alloc((runs + 1) * sizeof(struct run));
    generation->heap = memory_alloc((runs + 1) * sizeof(size_t));
    generation->sort_block = generation->first_rows;
}

/* Is the head of run a before the head of run b? */
static bool
is_before(const struct generation *generation, size_t a, size_t b)
{
    return compare_refs(generation->runs[a].at, generation->runs[b].at) < 0;
}

static void
sift_down(struct generation *generation, size_t at)
{
    size_t *heap = generation->heap;

    for (;;) {
        size_t child = 2 * at + 1;
        size_t run = heap[at];

        if (child >= generation->heap_count)
            return;
        if (child + 1 < generation->heap_count &&
            is_before(generation, heap[child + 1], heap[child]))
            child++;
        if (!is_before(generation, heap[child], run))
            return;
        heap[at] = heap[child];
        heap[child] = run;
        at = child;
    }
}

static void
push_run(struct generation *generation, size_t run)
{
    size_t *heap = generation->heap;
    size_t at = generation->heap_count++;

    while (at > 0 && is_before(generation, run, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = run;
}

/* The next rows that are not void, as one sorted run.  false: no more. */
static bool
sort_run(struct generation *generation)
{
    struct ref *start = generation->refs + generation->ref_count;
    struct ref *end = start;
    struct run *run;

    while (generation->sort_block != NULL && end - start < RUN_ROWS) {
        struct row_block *block = generation->sort_block;
        struct generation_row *row;

        if (generation->sort_at == block->count) {
            generation->sort_block = block->next;
            generation->sort_at = 0;
            continue;
        }
        row = &block->rows[generation->sort_at++];
        if (row->op == 0)
            continue;
        end->rank = table_order[row->table] << 60 | row->id;
        end->row = row;
        end++;
    }
    if (end == start)
        return false;
    qsort(start, (size_t)(end - start), sizeof(*start), compare_refs);
    generation->ref_count += (size_t)(end - start);
    run = &generation->runs[generation->run_count];
    run->at = start;
    run->end = end;
    push_run(generation, generation->run_count++);
    return true;
}

bool
generation_sort(struct generation *generation, int64_t deadline_us)
{
    if (generation->refs == NULL)
        start_sort(generation);
    do {
        if (!sort_run(generation)) {
            generation->count = generation->ref_count;
            return true;
        }
    } while (clock_monotonic_us() < deadline_us);
    return false;
}

struct generation_row *
generation_next(struct generation *generation)
{
    struct generation_row *row;
    struct run *run;

    if (generation->heap_count == 0)
        return NULL;
    run = &generation->runs[generation->heap[0]];
    row = run->at++->row;
    if (run->at == run->end)
        generation->heap[0] = generation->heap[--generation->heap_count];
    sift_down(generation, 0);
    generation->count--;
    return row;
}

bool
generation_deletes_key(struct generation *generation, uint64_t id)
{
    struct identity identity = { ROW_KEY, id, { NULL, 0 } };
    const struct generation_row *row;

    if (id != generation->asked_id) {
        row =
            find(generation, direct_hash(ROW_KEY, id, identity.sub), &identity);
        generation->asked_id = id;
        generation->asked_answer = row != NULL && row->op == ROW_DEL;
    }
    return generation->asked_answer;
}

uint64_t
generation_count(const struct generation *generation)
{
    return generation->count;
}
