/*
 * generation.h -- a stretch of the journal, reduced to the latest change of
 * each row and put in the order of the tables.
 *
 * Use: generation_add() a journal row, generation_index() until it is done,
 * the next row ...; then generation_sort() until done; then generation_next()
 * until NULL.  Each call keeps to a deadline, so that commits go on between.
 *
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_GENERATION_H
#define WALDEN_STORAGE_GENERATION_H

#include "server/base/map.h"
#include "storage/rowchange.h"

struct generation;

/* The latest change of one row; all bytes are the generation's own. */
struct generation_row {
    struct map_node node;
    uint64_t id;
    char *sub;   /* empty for ROW_KEY */
    char *value; /* ROW_DEL of ROW_KEY: the type byte, or nothing */
    uint32_t sub_len;
    uint32_t value_len;
    uint32_t value_room; /* bytes at value */
    uint8_t op;          /* enum row_op; 0: void, the table has it already */
    uint8_t table;
    uint8_t touch_len; /* of a ROW_TOUCH on top of a ROW_PUT; 0: none */
    char touch[ROW_TOUCH_SIZE_MAX];
};

struct generation *generation_new(void);
void generation_free(struct generation *generation);

/* Copies changes.  All earlier ones must be indexed. */
void generation_add(struct generation *generation, struct slice changes);
/* Index what was added, until deadline_us (monotonic).  Sets *is_done. */
MUST_CHECK enum status generation_index(
    struct generation *generation, int64_t deadline_us, bool *is_done);
/* Bytes of journal added. */
uint64_t generation_size(const struct generation *generation);
/* Bytes of them that are kept: less, where changes of one row came again. */
uint64_t generation_kept(const struct generation *generation);

/* Put the rows in order: keys first, then elements by key, then the rest. */
/* true: done. */
bool generation_sort(struct generation *generation, int64_t deadline_us);
/* The next row in order, or NULL.  Lent for the generation's life. */
struct generation_row *generation_next(struct generation *generation);

/* Does this generation delete the row of key id? */
bool generation_deletes_key(struct generation *generation, uint64_t id);
/* Rows that generation_next() will yet answer; while indexing: so far. */
uint64_t generation_count(const struct generation *generation);

#endif
