/*
 * retention.c -- which files of the bucket to merge, and which to delete.
 *
 * A delete is decided from one list: the file must be covered by another file
 * of the same list, and as a last look the plan of a restore is made over what
 * would be left.  A file that covers is itself only deleted when the base, a
 * snapshot, covers both; so two keepers that work from lists of different age
 * never delete each other's cover.
 */
#include <stdlib.h>

#include "server/base/memory.h"

#include "replication/ltx.h"
#include "replication/retention.h"

static int64_t
newest_time(const struct layout_file *files, size_t count)
{
    int64_t newest = 0;

    for (size_t i = 0; i < count; i++)
        if (files[i].modified_ms > newest)
            newest = files[i].modified_ms;
    return newest;
}

static uint64_t
newest_txid(const struct layout_file *files, size_t count, unsigned level)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < count; i++)
        if (files[i].level == level && files[i].max_txid > newest)
            newest = files[i].max_txid;
    return newest;
}

/* ---- merging ------------------------------------------------------------ */

/*
 * Where an empty level begins: after the newest whole database, which would
 * otherwise be copied from level to level.
 */
static uint64_t
first_reach(const struct layout_file *files, size_t count)
{
    uint64_t reach = 0;

    for (size_t i = 0; i < count; i++)
        if (files[i].min_txid == 1 && files[i].max_txid > reach)
            reach = files[i].max_txid;
    return reach;
}

/* The file of the level that continues at reach and goes furthest; NULL: */
/* none does.  Without a chain yet (is_first) a gap before it does not count. */
static const struct layout_file *
find_input(const struct layout_file *files, size_t count, unsigned level,
    uint64_t reach, bool is_first)
{
    const struct layout_file *best = NULL, *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct layout_file *file = &files[i];
        if (file->level != level || file->max_txid <= reach)
            continue;
        if (file->min_txid <= reach + 1) {
            if (best == NULL || file->max_txid > best->max_txid)
                best = file;
        } else if (nearest == NULL || file->min_txid < nearest->min_txid) {
            nearest = file;
        }
    }
    return best == NULL && is_first ? nearest : best;
}

static int
compare_levels(const void *a, const void *b)
{
    const struct layout_file *x = a, *y = b;

    if (x->min_txid != y->min_txid)
        return x->min_txid < y->min_txid ? -1 : 1;
    return x->max_txid < y->max_txid ? -1 : x->max_txid > y->max_txid;
}

uint64_t
retention_find_reach(
    const struct layout_file *files, size_t count, unsigned level)
{
    uint64_t reach = newest_txid(files, count, level);

    return reach != 0 ? reach : first_reach(files, count);
}

size_t
retention_pick_inputs(const struct layout_file *files, size_t count,
    unsigned level, struct layout_file *inputs, size_t max)
{
    uint64_t reach = retention_find_reach(files, count, level);
    const struct layout_file *next;
    struct layout_file *below;
    size_t below_count = 0, len = 0;

    /* Only what may be an input, sorted, so that each search is short. */
    below = memory_alloc((count + 1) * sizeof(*below));
    for (size_t i = 0; i < count; i++)
        if (files[i].level == level - 1 && files[i].max_txid > reach)
            below[below_count++] = files[i];
    if (below_count > 1)
        qsort(below, below_count, sizeof(*below), compare_levels);
    for (size_t at = 0; len < max && at < below_count; len++) {
        size_t window = below_count - at < 64 ? below_count - at : 64;
        next = find_input(below + at, window, level - 1, reach, len == 0);
        if (next == NULL)
            break;
        inputs[len] = *next;
        reach = next->max_txid;
        while (at < below_count && below[at].max_txid <= reach)
            at++;
    }
    memory_free(below);
    return len;
}

bool
retention_is_snapshot_due(
    const struct layout_file *files, size_t count, int64_t interval_ms)
{
    int64_t now = newest_time(files, count);
    const struct layout_file *newest = NULL;
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        if (files[i].max_txid > end)
            end = files[i].max_txid;
        if (files[i].min_txid == 1 &&
            (newest == NULL || files[i].max_txid > newest->max_txid))
            newest = &files[i];
    }
    return newest != NULL && newest->max_txid < end &&
           now - newest->modified_ms >= interval_ms;
}

/* ---- deleting ----------------------------------------------------------- */

/* The oldest snapshot that is kept: the newest that is old enough, else the */
/* oldest there is; NULL: there is none. */
static const struct layout_file *
find_base(
    const struct layout_file *files, size_t count, int64_t now, int64_t keep_ms)
{
    const struct layout_file *base = NULL, *oldest = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct layout_file *file = &files[i];
        if (file->level != LTX_LEVEL_SNAPSHOT || file->min_txid != 1)
            continue;
        if (oldest == NULL || file->max_txid < oldest->max_txid)
            oldest = file;
        if (now - file->modified_ms >= keep_ms &&
            (base == NULL || file->max_txid > base->max_txid))
            base = file;
    }
    return base != NULL ? base : oldest;
}

/*
 * Is the level-0 file inside an older file of a level above?  Files above are
 * sorted by where they begin.
 */
static bool
is_covered(const struct layout_file *file, const struct layout_file *above,
    size_t count, int64_t now, int64_t level0_ms)
{
    for (size_t i = 0; i < count && above[i].min_txid <= file->min_txid; i++)
        if (above[i].max_txid >= file->max_txid &&
            now - above[i].modified_ms >= level0_ms)
            return true;
    return false;
}

struct judgement {
    const struct layout_file *base;
    struct layout_file *above;
    size_t above_count;
    int64_t now;
    uint64_t newest0;
    const struct retention_rules *rules;
};

static bool
is_superfluous(const struct judgement *judge, const struct layout_file *file)
{
    const struct layout_file *base = judge->base;

    if (file->level == 0 && file->max_txid == judge->newest0)
        return false;
    if (base != NULL && file != base && file->level == LTX_LEVEL_SNAPSHOT)
        return file->max_txid < base->max_txid;
    if (base != NULL && file != base && file->max_txid <= base->max_txid &&
        judge->now - base->modified_ms >= judge->rules->level0_ms)
        return true;
    return file->level == 0 &&
           is_covered(file, judge->above, judge->above_count, judge->now,
               judge->rules->level0_ms);
}

/* Do the files that stay rebuild the newest state, and can they be added to? */
static bool
is_whole(const struct layout_file *kept, size_t count, uint64_t newest)
{
    struct layout_file *chain;
    struct buf error = BUF_INIT;
    size_t chain_len;
    bool is_path = layout_plan(kept, count, newest, &chain, &chain_len,
                       &error) == STATUS_OK;

    if (is_path)
        memory_free(chain);
    buf_fini(&error);
    return is_path;
}

size_t
retention_pick_deletes(const struct layout_file *files, size_t count,
    const struct retention_rules *rules, struct layout_file *out)
{
    struct layout_file *kept = memory_alloc((count + 1) * sizeof(*kept));
    struct judgement judge = { .now = newest_time(files, count),
        .newest0 = newest_txid(files, count, 0),
        .above = memory_alloc((count + 1) * sizeof(*files)),
        .rules = rules };
    size_t kept_count = 0, len = 0;
    uint64_t newest = 0;

    judge.base = find_base(files, count, judge.now, rules->snapshot_ms);
    for (size_t i = 0; i < count; i++) {
        if (files[i].level > 0 && files[i].level < LTX_LEVEL_SNAPSHOT)
            judge.above[judge.above_count++] = files[i];
        if (files[i].max_txid > newest)
            newest = files[i].max_txid;
    }
    if (judge.above_count > 1)
        qsort(judge.above, judge.above_count, sizeof(*judge.above),
            compare_levels);
    for (size_t i = 0; i < count; i++)
        if (is_superfluous(&judge, &files[i]))
            out[len++] = files[i];
        else
            kept[kept_count++] = files[i];
    if (!is_whole(kept, kept_count, newest))
        len = 0;
    memory_free(judge.above);
    memory_free(kept);
    return len;
}
