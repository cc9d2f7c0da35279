/*
 * direct.h -- which rows were written straight into their tables by batches
 * that the journal still holds.
 *
 * The fold works through the journal in generations, oldest first.  A row that
 * a later batch has written directly is newer in its table than anything the
 * generation says about it, so the fold asks here before it writes: a direct
 * write found at a journal id beyond the generation's end voids the change.
 * (Markers inside the generation are handled in order by the fold itself.)
 *
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_DIRECT_H
#define WALDEN_STORAGE_DIRECT_H

#include "storage/rowchange.h"

struct direct_index;

struct direct_index *direct_new(void);
void direct_free(struct direct_index *direct);

/* Note every ROW_DIRECT marker in the journal row id.  Ids only grow. */
MUST_CHECK enum status direct_add(
    struct direct_index *direct, uint64_t id, struct slice changes);
/* The journal row with the newest direct write of that row; 0: none known. */
uint64_t direct_find(const struct direct_index *direct, enum row_table table,
    uint64_t key, struct slice sub);
/* Forget what journal rows up to id said. */
void direct_forget(struct direct_index *direct, uint64_t id);
uint64_t direct_count(const struct direct_index *direct);

/* The hash of a row's identity; the fold index uses the same. */
uint64_t direct_hash(enum row_table table, uint64_t key, struct slice sub);

#endif
