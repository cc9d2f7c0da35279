/*
 * fuzz_rowchange.c -- the decoder of the journal against bytes from a damaged
 * disk.
 *
 * What it accepts must, encoded again, decode to the same changes, and must be
 * something a generation of the fold can take.
 */
#include <stddef.h>
#include <stdint.h>

#include "server/base/check.h"
#include "storage/generation.h"
#include "storage/rowchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_key(const struct row_change *change)
{
    struct row_change again;
    struct buf out = BUF_INIT;
    struct bytes bytes;
    struct key_row row;
    struct key_row copy;

    if (rowchange_decode_key(change, &row) != STATUS_OK)
        return;
    rowchange_append_key(&out, &row);
    bytes = bytes_from(buf_slice(&out));
    CHECK(rowchange_next(&bytes, &again) == STATUS_OK);
    CHECK(rowchange_decode_key(&again, &copy) == STATUS_OK);
    CHECK(copy.id == row.id && copy.db == row.db && copy.type == row.type);
    CHECK(copy.expire_at_ms == row.expire_at_ms);
    CHECK(copy.version == row.version && copy.size == row.size);
    CHECK(slice_equal(copy.name, row.name));
    CHECK(slice_equal(copy.value, row.value));
    buf_fini(&out);
}

static void
check_change(const struct row_change *change)
{
    struct row_change again;
    struct buf out = BUF_INIT;
    struct bytes bytes;
    uint64_t version;
    uint64_t length;

    rowchange_append(&out, change);
    bytes = bytes_from(buf_slice(&out));
    CHECK(rowchange_next(&bytes, &again) == STATUS_OK);
    CHECK(again.op == change->op && again.table == change->table);
    CHECK(again.id == change->id && slice_equal(again.sub, change->sub));
    CHECK(slice_equal(again.value, change->value));
    CHECK(rowchange_next(&bytes, &again) == STATUS_NOT_FOUND);
    buf_fini(&out);
    if (change->table == ROW_KEY && change->op == ROW_PUT)
        check_key(change);
    if (change->op == ROW_TOUCH &&
        rowchange_decode_touch(change, &version, &length) != STATUS_OK)
        return;
}

/* Indexed, sorted: every row once, in order of its table. */
static void
check_generation(struct slice changes)
{
    struct generation *generation = generation_new();
    struct generation_row *row;
    bool is_done = false;

    generation_add(generation, changes);
    if (generation_index(generation, INT64_MAX, &is_done) == STATUS_OK) {
        CHECK(is_done);
        CHECK(generation_sort(generation, INT64_MAX));
        while ((row = generation_next(generation)) != NULL)
            CHECK(row->op != 0);
        CHECK(generation_count(generation) == 0);
    }
    generation_free(generation);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_make(data, size);
    struct bytes bytes = bytes_from(input);
    struct row_change change;

    while (rowchange_next(&bytes, &change) == STATUS_OK)
        check_change(&change);
    check_generation(input);
    return 0;
}
