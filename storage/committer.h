/*
 * committer.h -- makes batches durable, in order, on a thread of its own, and
 * folds, collects garbage and checkpoints between them.
 *
 * It owns the only writing connection of the process.
 *
 *   D1  A batch is one transaction.
 *   D2  Batches commit in order; after a failed commit nothing commits over
 *       the hole until a probe commit has succeeded.
 *
 * Private to storage/; the server sees store.h.
 */
#ifndef WALDEN_STORAGE_COMMITTER_H
#define WALDEN_STORAGE_COMMITTER_H

#include "storage/store.h"

struct committer;

/*
 * Open the database, recover it.  The thread does not run yet.  options->tap
 * may be NULL; it hears of recovery's transactions, too.
 * Fails: as store_open(), with a sentence in error.
 */
MUST_CHECK enum status committer_open(struct committer **committer,
    const struct store_options *options, char *error, size_t error_size);
/* What the database said of itself when it was opened. */
const struct store_counters *committer_counters(
    const struct committer *committer);

MUST_CHECK enum status committer_start(struct committer *committer);
/*
 * Stop the thread (if it runs) and close.  with_fold: bring the tables level
 * and the WAL to nothing first, if the disk allows it.  Accepts NULL.
 */
void committer_stop(struct committer *committer, bool with_fold);

/* Messages; LOOP.  See store.h for what they mean. */
void committer_submit(struct committer *committer, struct batch *batch);
void committer_sync(
    struct committer *committer, uint64_t token, bool with_checkpoint);
void committer_request_fold(struct committer *committer);
void committer_resume(struct committer *committer);
void committer_set_options(
    struct committer *committer, const struct store_options *options);

/* Reports; LOOP. */
int committer_report_fd(const struct committer *committer);
bool committer_next_report(
    struct committer *committer, struct store_report *report);

/* Any thread. */
void committer_stats(struct committer *committer, struct store_stats *stats);

#endif
