/*
 * garbage.c -- rows that are nobody's.
 *
 * A key of a dropped database loses its elements first and its row last: the
 * row is how the elements are found.
 */
#include "server/base/clock.h"
#include "server/base/faultpoint.h"

#include "storage/garbage.h"

/* Elements deleted between two looks at the clock. */
#define ELEMENTS_AT_ONCE 64

/* One step on the elements of key id.  *is_done: none left. */
static enum status
delete_elements(struct table_writer *tables, enum row_table table, uint64_t id,
    uint64_t *rows, bool *is_done)
{
    enum status status;
    int deleted;

    status =
        table_delete_elements(tables, table, id, ELEMENTS_AT_ONCE, &deleted);
    if (status != STATUS_OK)
        return status;
    *rows += (uint64_t)deleted;
    *is_done = deleted < ELEMENTS_AT_ONCE;
    return STATUS_OK;
}

/* One step on the keys of physical database db.  *is_done: none left. */
static enum status
delete_keys(
    struct table_writer *tables, uint64_t db, uint64_t *rows, bool *is_done)
{
    enum row_table table;
    enum key_type type;
    enum status status;
    bool is_empty = true;
    uint64_t id;

    status = table_first_key(tables, db, &id, &type);
    *is_done = status == STATUS_NOT_FOUND;
    if (status != STATUS_OK)
        return *is_done ? STATUS_OK : status;
    table = table_of_type(type);
    if (table != ROW_META)
        status = delete_elements(tables, table, id, rows, &is_empty);
    if (status != STATUS_OK || !is_empty)
        return status;
    *rows += 1;
    return table_delete_key(tables, id);
}

/* One step on the first garbage row.  *is_done: there is none. */
static enum status
collect(struct table_writer *tables, uint64_t *rows, bool *is_done)
{
    enum row_table kind;
    enum status status;
    bool is_empty = true;
    uint64_t id;

    status = table_first_garbage(tables, &kind, &id);
    *is_done = status == STATUS_NOT_FOUND;
    if (status != STATUS_OK)
        return *is_done ? STATUS_OK : status;
    if (kind == ROW_DB)
        status = delete_keys(tables, id, rows, &is_empty);
    else if (kind != ROW_META && kind != ROW_KEY)
        status = delete_elements(tables, kind, id, rows, &is_empty);
    if (status == STATUS_OK && is_empty)
        status = table_delete_garbage(tables, kind, id);
    return status;
}

enum status
garbage_step(struct transaction *transaction, struct table_writer *tables,
    int64_t budget_us, uint64_t *rows, bool *is_done)
{
    /* Half for the rows, half for the COMMIT that writes their pages. */
    int64_t deadline_us = clock_monotonic_us() + budget_us / 2;
    enum status status;
    uint64_t deleted = 0;
    bool is_end = false;

    status = transaction_begin(transaction, false);
    if (status != STATUS_OK)
        return status;
    do {
        status = collect(tables, &deleted, &is_end);
    } while (
        status == STATUS_OK && !is_end && clock_monotonic_us() < deadline_us);
    if (status == STATUS_OK && FAULT_FAILS("garbage.slice"))
        status = STATUS_IO;
    if (status != STATUS_OK) {
        transaction_rollback(transaction);
        return status;
    }
    status = transaction_commit(transaction);
    if (status != STATUS_OK)
        return status;
    *rows += deleted;
    *is_done = is_end;
    FAULT_POINT("garbage.after");
    return STATUS_OK;
}
