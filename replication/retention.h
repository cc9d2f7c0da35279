/*
 * retention.h -- which files of the bucket to merge, and which to delete.
 *
 * Pure decisions about a list of files, made for keeper.c.  Ages are told by
 * the store's clock alone: a file is as old as the newest file of the list is
 * younger.  While nothing is written nothing grows old, and no two clocks are
 * compared.
 */
#ifndef WALDEN_REPLICATION_RETENTION_H
#define WALDEN_REPLICATION_RETENTION_H

#include "replication/layout.h"

struct retention_rules {
    int64_t snapshot_ms; /* how far back any txid can be restored */
    int64_t level0_ms;   /* of a level-0 file, after it was covered */
};

/*
 * The files of the level below that make the next file of this level (1..8):
 * what continues its newest, without a gap, at most max of them, oldest first.
 * Answer: how many; 0: there is nothing new.
 */
size_t retention_pick_inputs(const struct layout_file *files, size_t count,
    unsigned level, struct layout_file *inputs, size_t max);

/* The txid up to which the level (1..8) goes, or would begin to; 0: none. */
uint64_t retention_find_reach(
    const struct layout_file *files, size_t count, unsigned level);

/* Is the newest whole database older than interval_ms? */
bool retention_is_snapshot_due(
    const struct layout_file *files, size_t count, int64_t interval_ms);

/*
 * The files that no restore within the rules needs; out has room for count.
 *   - snapshots older than the newest one that is older than snapshot_ms: that
 *     one is the base of all that can be restored
 *   - files that end at or before the base
 *   - level-0 files inside a file of a higher level that is older than
 *     level0_ms
 * Never the newest level-0 file, nor the newest snapshot, nor anything unless
 * what is left is a whole path to the newest txid.
 * Answer: how many.
 */
size_t retention_pick_deletes(const struct layout_file *files, size_t count,
    const struct retention_rules *rules, struct layout_file *out);

#endif
