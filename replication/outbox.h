/*
 * outbox.h -- LTX files that wait for the bucket, in a folder beside the
 * database ("<database>-outbox/<txid, 16 hex>.ltx").
 *
 *   B2  A frame counts as taken once the file that holds it is whole, synced
 *       and named here (or is in the bucket).
 *
 * In the usual case the folder stays empty: a file goes from memory straight to
 * the bucket, and the WAL still has its frames.  It fills when a checkpoint
 * needs the WAL back, or when the bucket does not answer.
 *
 * Files are written under another name, synced and renamed; what a crash leaves
 * half-written is deleted at the next opening.
 *
 * When the history that waits is given up, a file "lost" says so before the
 * first of it is dropped, and stays until the bucket has an image of the whole
 * database: whatever crashes in between, the next start knows that the image
 * is due and which objects in its way are this server's own.  So it does for
 * the image that a new history begins with.
 * Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_OUTBOX_H
#define WALDEN_REPLICATION_OUTBOX_H

#include "replication/ltx.h"

struct outbox;

struct outbox_file {
    uint64_t txid;
    uint64_t size; /* bytes */
    struct ltx_header header;
};

#define OUTBOX_NODES_MAX 16

/* What "lost" says. */
struct outbox_loss {
    uint64_t txid; /* newest that was shipped before */
    /*
     * What has a later txid is ours if it was written by one of these: a file
     * that was dropped, or an image.  The newest runs are last.
     */
    uint64_t nodes[OUTBOX_NODES_MAX];
    size_t node_count;
};

/* Opens or makes the folder.  Files must be contiguous; STATUS_CORRUPT names */
/* what is not. */
MUST_CHECK enum status outbox_open(
    struct outbox **outbox, const char *database_path, struct buf *error);
void outbox_close(struct outbox *outbox);

size_t outbox_count(const struct outbox *outbox);
uint64_t outbox_size(const struct outbox *outbox); /* bytes */
/* Oldest / newest, or NULL. Lent until the outbox changes. */
const struct outbox_file *outbox_first(const struct outbox *outbox);
const struct outbox_file *outbox_last(const struct outbox *outbox);
/* Add a whole file; synced when this returns STATUS_OK. */
MUST_CHECK enum status outbox_add(
    struct outbox *outbox, uint64_t txid, struct slice file);
/* A descriptor to read the oldest; the caller closes it. */
MUST_CHECK enum status outbox_read_first(struct outbox *outbox, int *fd);
/* Likewise of the newest. */
MUST_CHECK enum status outbox_read_last(struct outbox *outbox, int *fd);
/* The bucket has the oldest. */
MUST_CHECK enum status outbox_remove_first(struct outbox *outbox);
/* Forget everything: the history begins anew. */
MUST_CHECK enum status outbox_clear(struct outbox *outbox);

/*
 * Forget everything, and note it for whoever starts next: txid is the newest
 * that the bucket has, and node_id may have written what follows it.  When
 * something is lost already, only node_id is added.  Durable when this returns
 * STATUS_OK; otherwise nothing was forgotten.
 */
MUST_CHECK enum status outbox_lose(
    struct outbox *outbox, uint64_t txid, uint64_t node_id);
/* NULL: nothing is lost. */
const struct outbox_loss *outbox_find_loss(const struct outbox *outbox);
bool outbox_is_lost_node(const struct outbox *outbox, uint64_t node_id);
/*
 * The bucket has an image of all (or the local database is gone).  Until this
 * succeeds nothing can be added.
 */
MUST_CHECK enum status outbox_end_loss(struct outbox *outbox);

#endif
