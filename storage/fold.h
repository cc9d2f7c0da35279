/*
 * fold.h -- moves what the journal says into the tables, in slices.
 *
 * The fold works on one generation at a time: journal rows from the oldest on,
 * until what is kept of them is about generation_size bytes.  It reads them
 * back from SQLite, so folding while the server runs and recovery after a crash
 * are one path.
 *
 *   D3  tables + journal are the acknowledged state before, between and after
 *       all slices: a slice only repeats in the tables what the journal says,
 *       and journal rows go only when all of their generation is there.
 *
 * A slice is a transaction that is not synced.  If it fails it is rolled back
 * and can be tried again; nothing else is affected.
 *
 * Private to storage/.  Thread: COMMIT (before it runs: whoever opens).
 */
#ifndef WALDEN_STORAGE_FOLD_H
#define WALDEN_STORAGE_FOLD_H

#include "storage/direct.h"
#include "storage/journal.h"
#include "storage/table.h"
#include "storage/transaction.h"

struct fold;

/* What a fold works with; all lent. */
struct fold_context {
    struct transaction *transaction;
    struct table_writer *tables;
    struct journal *journal;
    struct direct_index *direct;
    uint64_t generation_size; /* bytes kept in memory */
};

struct fold *fold_new(const struct fold_context *context, uint64_t folded_seq);
/* Forgets a generation in progress: the journal still has it. */
void fold_free(struct fold *fold);

/* Begin a generation of journal rows of batches up to seq. */
void fold_start(struct fold *fold, uint64_t seq);
bool fold_is_active(const struct fold *fold);
/*
 * Work for about budget_us.  A generation that is done leaves the fold
 * inactive.
 * Fails: with what the disk says; nothing of the slice happened.
 */
MUST_CHECK enum status fold_step(struct fold *fold, int64_t budget_us);

/* Bytes of journal of the generation in progress; while it is read, a guess. */
uint64_t fold_size(const struct fold *fold);
/* How much of the generation in progress is done, from 0 to 1.  A guess. */
double fold_progress(const struct fold *fold);
/* Rows of batches up to it are in the tables. */
uint64_t fold_folded_seq(const struct fold *fold);
/* Rows of the generation in progress not written yet. */
uint64_t fold_pending_rows(const struct fold *fold);
uint64_t fold_count(const struct fold *fold); /* generations done */
/* Has a generation left something in table garbage since last asked? */
bool fold_take_garbage(struct fold *fold);

#endif
