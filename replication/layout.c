/*
 * layout.c -- object names, and the choice of files for a restore.
 *
 * The plan is greedy: from the txid reached so far, of all files that start at
 * or before the next one and end after it, take the one that reaches furthest
 * (but not past the target).  Greedy is shortest here, as with covering a line
 * by intervals.  Compactions overlap the files they were made of until those
 * are deleted, so ties and overlaps are the rule; at a tie the higher level
 * wins, being the smaller download.
 *
 * A ghost (layout_drop_ghosts()) cannot lead astray a plan for the newest
 * state, since what covers it reaches at least as far; but a plan for a txid
 * within that stretch could end with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/layout.h"
#include "replication/ltx.h"

/* A store's machines may disagree about the time; retention is longer. */
#define GHOST_AGE_MS 60000
#define NAME_LEN 42 /* "0000/" 16 "-" 16 ".ltx" */

void
layout_format_name(char name[LAYOUT_NAME_SIZE], unsigned level,
    uint64_t min_txid, uint64_t max_txid)
{
    snprintf(name, LAYOUT_NAME_SIZE, "%04x/%016" PRIx64 "-%016" PRIx64 ".ltx",
        level & 0xffff, min_txid, max_txid);
}

/* Exactly len lower-case hex digits. */
static bool
parse_hex(const char *at, size_t len, uint64_t *value)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        char c = at[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *value = v;
    return true;
}

bool
layout_parse_name(struct slice name, struct layout_file *file)
{
    uint64_t level, min_txid, max_txid;

    if (name.len != NAME_LEN || name.data[4] != '/' || name.data[21] != '-' ||
        memcmp(name.data + 38, ".ltx", 4) != 0)
        return false;
    if (!parse_hex(name.data, 4, &level) ||
        !parse_hex(name.data + 5, 16, &min_txid) ||
        !parse_hex(name.data + 22, 16, &max_txid))
        return false;
    if (level > LTX_LEVEL_SNAPSHOT || min_txid == 0 || min_txid > max_txid)
        return false;
    *file = (struct layout_file){
        .level = (unsigned)level, .min_txid = min_txid, .max_txid = max_txid
    };
    return true;
}

static int
compare_files(const void *left, const void *right)
{
    const struct layout_file *a = left;
    const struct layout_file *b = right;

    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    return a->min_txid < b->min_txid ? -1 : a->min_txid > b->min_txid ? 1 : 0;
}

/* Of a level's files, in order: the one that covers txid, or NULL. */
static const struct layout_file *
find_covering(const struct layout_file *files, size_t count, uint64_t txid)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (files[middle].max_txid < txid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && files[low].min_txid <= txid ? &files[low] : NULL;
}

void
layout_drop_ghosts(struct layout_file *files, size_t *count)
{
    size_t starts[LTX_LEVEL_SNAPSHOT + 1] = { 0 }, kept = 0;

    if (*count == 0)
        return;
    qsort(files, *count, sizeof(*files), compare_files);
    for (size_t i = 0; i < *count; i++)
        for (unsigned level = files[i].level + 1; level <= LTX_LEVEL_SNAPSHOT;
             level++)
            starts[level] = i + 1;
    for (size_t i = 0; i < *count; i++) {
        bool is_ghost = false;
        for (unsigned level = 1;
             files[i].level == 0 && level < LTX_LEVEL_SNAPSHOT; level++) {
            const struct layout_file *cover =
                find_covering(files + starts[level],
                    starts[level + 1] - starts[level], files[i].max_txid);
            is_ghost |= cover != NULL && files[i].modified_ms >
                                             cover->modified_ms + GHOST_AGE_MS;
        }
        if (is_ghost)
            log_notice("bucket: level-0 file of txid %" PRIu64
                       " is younger than what was made of it, and left out",
                files[i].max_txid);
        else
            files[kept++] = files[i];
    }
    *count = kept;
}

/* Is a the better next step than b (which may be NULL)? */
static bool
is_better(const struct layout_file *a, const struct layout_file *b)
{
    if (b == NULL || a->max_txid != b->max_txid)
        return b == NULL || a->max_txid > b->max_txid;
    return a->level > b->level;
}

/* The file that continues after reached and ends furthest, at most target. */
static const struct layout_file *
find_next(const struct layout_file *files, size_t count, uint64_t reached,
    uint64_t target)
{
    const struct layout_file *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct layout_file *file = &files[i];
        if (file->min_txid > reached + 1 || file->max_txid <= reached ||
            file->max_txid > target)
            continue;
        /* The first file must be a whole database. */
        if (reached == 0 && file->min_txid != 1)
            continue;
        if (is_better(file, best))
            best = file;
    }
    return best;
}

/*
 * The newest snapshot up to target.  Txid 1 counts: it holds every page.
 * Preferring the newest over the furthest-reaching chain keeps the download
 * small: what comes after it is only what changed since.
 */
static const struct layout_file *
find_start(const struct layout_file *files, size_t count, uint64_t target)
{
    const struct layout_file *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (files[i].min_txid == 1 && files[i].max_txid <= target &&
            is_better(&files[i], best))
            best = &files[i];
    return best;
}

static uint64_t
newest_txid(const struct layout_file *files, size_t count)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < count; i++)
        if (files[i].max_txid > newest)
            newest = files[i].max_txid;
    return newest;
}

enum status
layout_plan(const struct layout_file *files, size_t count, uint64_t target,
    struct layout_file **chain, size_t *chain_len, struct buf *error)
{
    uint64_t wanted = target != 0 ? target : newest_txid(files, count);
    const struct layout_file *next = find_start(files, count, wanted);
    struct layout_file *steps;
    size_t len = 0;
    uint64_t reached = 0;

    if (count == 0) {
        buf_append_text(error, "there are no LTX files");
        return STATUS_NOT_FOUND;
    }
    steps = memory_alloc(count * sizeof(*steps));
    while (next != NULL) {
        steps[len++] = *next;
        reached = next->max_txid;
        next = find_next(files, count, reached, wanted);
    }
    if (reached != wanted) {
        buf_printf(error,
            "no file continues the history at txid %" PRIu64
            " (wanted: %" PRIu64 ")",
            reached + 1, wanted);
        memory_free(steps);
        return STATUS_CORRUPT;
    }
    *chain = steps;
    *chain_len = len;
    return STATUS_OK;
}
