/*
 * scan.h -- looking at all keys of a database, in the order of their ids.
 *
 * Private to storage/.  Thread: LOOP.
 */
#ifndef WALDEN_STORAGE_SCAN_H
#define WALDEN_STORAGE_SCAN_H

#include "storage/keyspace.h"

/* See keyspace_scan(), keyspace_random(). */
MUST_CHECK enum status scan_run(struct keyspace *keyspace,
    struct physical *home, uint64_t *cursor, size_t wanted,
    keyspace_visit_fn visit, void *arg);
MUST_CHECK enum status scan_random(
    struct keyspace *keyspace, struct physical *home, struct buf *out);

#endif
