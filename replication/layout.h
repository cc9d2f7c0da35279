/*
 * layout.h -- what objects are called, and which of them make a history.
 *
 *   <prefix>/<level, 4 hex>/<min txid, 16 hex>-<max txid, 16 hex>.ltx
 *
 * Level 0: one file per txid.  Levels 1..8: compactions.  Level 9: snapshots.
 */
#ifndef WALDEN_REPLICATION_LAYOUT_H
#define WALDEN_REPLICATION_LAYOUT_H

#include "server/base/buf.h"

#define LAYOUT_NAME_SIZE 64 /* of "0000/...ltx", with a NUL */
/* Not of the history: what a start asks with whether the store can fence. */
#define LAYOUT_PROBE_NAME "walden-fence-probe"

struct layout_file {
    unsigned level;
    uint64_t min_txid, max_txid;
    uint64_t size;        /* bytes */
    int64_t modified_ms;  /* the store's Last-Modified */
    int64_t timestamp_ms; /* of the header; 0: not read yet */
};

/* name: relative to the prefix. */
void layout_format_name(char name[LAYOUT_NAME_SIZE], unsigned level,
    uint64_t min_txid, uint64_t max_txid);
/* false: not the name of an LTX file. */
bool layout_parse_name(struct slice name, struct layout_file *file);

/*
 * Leave out level-0 files that were put long after a file of a higher level
 * that covers them.  Retention had deleted the true one, and a PUT that a
 * former owner had begun before it was stalled arrived where nothing was any
 * more; nobody was told that it succeeded (shipperjudge.c), but it may say
 * something else than history does.
 */
void layout_drop_ghosts(struct layout_file *files, size_t *count);

/*
 * Choose the files that rebuild the state at the newest txid <= target (0: the
 * newest there is): the newest snapshot, then again and again the file of any
 * level that continues without a gap and reaches furthest.
 * Owns:  the caller frees *chain (memory_free).
 * Fails: STATUS_NOT_FOUND (no files at all), STATUS_CORRUPT (a gap before
 *        target; error names the txid that is missing).
 */
MUST_CHECK enum status layout_plan(const struct layout_file *files,
    size_t count, uint64_t target, struct layout_file **chain,
    size_t *chain_len, struct buf *error);

#endif
