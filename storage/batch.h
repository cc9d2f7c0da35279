/*
 * batch.h -- the row changes of a moment, made durable together.
 *
 * LOOP fills a batch, seals it and gives it to the committer; the committer
 * makes it one transaction (D1) and gives it back with its outcome.
 */
#ifndef WALDEN_STORAGE_BATCH_H
#define WALDEN_STORAGE_BATCH_H

#include "server/base/mailbox.h"
#include "storage/rowchange.h"

/* A row change whose value is larger goes straight into its table. */
#define BATCH_DIRECT_SIZE_MIN (8 * 1024) /* bytes */

struct batch {
    struct mailbox_node node;
    uint64_t seq;        /* its place in the order of commits, from 1 */
    struct buf changes;  /* encoded row changes, with ROW_DIRECT markers */
    struct buf direct;   /* ROW_PUTs of big values, encoded likewise */
    uint64_t commands;   /* commands that changed something, for figures */
    uint64_t served;     /* commands run since the last seal, with reads */
    int64_t sealed_us;   /* monotonic, for the latency histogram */
    enum status outcome; /* set by the committer */
};

struct batch *batch_new(void);
void batch_free(struct batch *batch);
/* Empty it for the next use; keeps a little memory. */
void batch_clear(struct batch *batch);
bool batch_is_empty(const struct batch *batch);

/* Add a change: to direct with a marker if its value is big. */
void batch_add(struct batch *batch, const struct row_change *change);
void batch_add_key(struct batch *batch, const struct key_row *row);

#endif
