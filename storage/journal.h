/*
 * journal.h -- the journal table: committed row changes not yet folded.
 *
 * A batch takes one row, or several (parts) if it is very large.  A row's id
 * is seq << 16 | part, so ids are the order of the changes.
 *
 * Nothing here begins or ends a transaction; the caller does.
 * Private to storage/.  Thread: the connection's.
 */
#ifndef WALDEN_STORAGE_JOURNAL_H
#define WALDEN_STORAGE_JOURNAL_H

#include "storage/batch.h"

#include <sqlite3.h>

#define JOURNAL_PART_BITS 16

static inline uint64_t
journal_seq(uint64_t id)
{
    return id >> JOURNAL_PART_BITS;
}

struct journal;

/*
 * Counts what the table holds: reads row headers only.  A batch of more than
 * row_size bytes takes several rows.
 */
MUST_CHECK enum status journal_open(
    struct journal **journal, sqlite3 *db, uint64_t row_size);
void journal_close(struct journal *journal);

/*
 * Insert the batch's rows.  Call journal_inserted() once they are committed:
 * until then the journal does not count them.
 */
MUST_CHECK enum status journal_insert(
    struct journal *journal, const struct batch *batch);
void journal_inserted(struct journal *journal, const struct batch *batch);

/* Does batch take several rows? */
bool journal_splits(const struct journal *journal, const struct batch *batch);

/* The row with the smallest id > after; changes lent until the next call or */
/* journal_rest(). STATUS_NOT_FOUND: none. */
MUST_CHECK enum status journal_next(struct journal *journal, uint64_t after,
    uint64_t *id, struct slice *changes);
/* As journal_next(), rows with ROW_DIRECT markers only. */
MUST_CHECK enum status journal_next_direct(struct journal *journal,
    uint64_t after, uint64_t *id, struct slice *changes);
/* End the read that journal_next() holds open. */
void journal_rest(struct journal *journal);
/* The smallest id > after, without its changes. */
MUST_CHECK enum status journal_next_id(
    struct journal *journal, uint64_t after, uint64_t *id, uint64_t *size);

MUST_CHECK enum status journal_delete(struct journal *journal, uint64_t id);
/* Rows of that size in all are gone for good: their deletion is committed. */
void journal_deleted(struct journal *journal, uint64_t rows, uint64_t bytes);

uint64_t journal_rows(const struct journal *journal);
uint64_t journal_bytes(const struct journal *journal);
/* seq of the newest row at journal_open(); 0: empty. */
uint64_t journal_last_seq(const struct journal *journal);

#endif
