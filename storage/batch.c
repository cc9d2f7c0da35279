/*
 * batch.c -- the row changes of a moment.
 *
 * A big value does not pass through the journal: it stands in `direct`, is
 * written straight into its table in the batch's transaction, and the journal
 * carries a ROW_DIRECT marker in its place, so that order among the changes of
 * one row is kept.
 *
 * Only elements go that way.  A key's row never does, however long its name:
 * writing one ahead of the journal could meet, in UNIQUE(db, name), a row that
 * the journal has yet to rename, and the fold would later put that one back.
 */
#include "storage/batch.h"

#include "server/base/check.h"
#include "server/base/memory.h"

/* What an empty batch keeps allocated. */
#define BATCH_KEEP_SIZE (256 * 1024)

struct batch *
batch_new(void)
{
    return memory_zalloc(sizeof(struct batch));
}

void
batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    buf_fini(&batch->changes);
    buf_fini(&batch->direct);
    memory_free(batch);
}

void
batch_clear(struct batch *batch)
{
    batch->seq = 0;
    buf_clear(&batch->changes, BATCH_KEEP_SIZE);
    buf_clear(&batch->direct, BATCH_KEEP_SIZE);
    batch->commands = 0;
    batch->sealed_us = 0;
    batch->outcome = STATUS_OK;
}

bool
batch_is_empty(const struct batch *batch)
{
    return batch->changes.len == 0;
}

static bool
is_direct(const struct row_change *change)
{
    return change->op == ROW_PUT && change->value.len > BATCH_DIRECT_SIZE_MIN &&
           change->table != ROW_KEY && change->table != ROW_META;
}

void
batch_add(struct batch *batch, const struct row_change *change)
{
    struct row_change marker;

    DCHECK(change->op != ROW_DIRECT);
    if (!is_direct(change)) {
        rowchange_append(&batch->changes, change);
        return;
    }
    rowchange_append(&batch->direct, change);
    marker = *change;
    marker.op = ROW_DIRECT;
    rowchange_append(&batch->changes, &marker);
}

void
batch_add_key(struct batch *batch, const struct key_row *row)
{
    rowchange_append_key(&batch->changes, row);
}
