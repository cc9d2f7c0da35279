/*
 * restorefetch.h -- the files of a chain, fetched side by side, handed on in
 * order.
 *
 * Private to restore.c.  Large files come in parts, small ones several ahead:
 * up to RESTORE_PARALLEL requests at once, and never more than
 * RESTORE_WINDOW_SIZE bytes in memory, from the asking to the applying.
 *
 * Thread: one.
 */
#ifndef WALDEN_REPLICATION_RESTOREFETCH_H
#define WALDEN_REPLICATION_RESTOREFETCH_H

#include "replication/restore.h"

#define RESTOREFETCH_RING 256          /* parts asked for and not yet applied */
#define RESTOREFETCH_PATIENCE_MS 60000 /* of retrying one request */

/*
 * Fetch the files of chain and apply them to the database file open at fd.
 * size: bytes that it is to have.  STATUS_NOT_FOUND: an object of the chain is
 * gone; on any failure error names the object.
 */
MUST_CHECK enum status restorefetch_run(struct objectstore *store,
    const struct layout_file *chain, size_t chain_len, int fd,
    const struct restore_options *options, struct restore_result *result,
    uint64_t *size, struct buf *error);

#endif
