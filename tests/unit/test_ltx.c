/*
 * test_ltx.c -- the LTX codec: round trips in any pieces, and every flipped
 * or missing byte found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/crc64.h"
#include "replication/layout.h"
#include "replication/ltx.h"
#include "server/base/random.h"

#define PAGE_SIZE 512
#define PAGES 9

static char database[PAGES][PAGE_SIZE];
static char applied[PAGES][PAGE_SIZE];

static void
fill(void)
{
    random_set_seed(7);
    for (unsigned i = 0; i < sizeof(database); i++)
        ((char *)database)[i] = (char)(i % 3 == 0 ? random_u64() : i / 64);
}

static void
encode(struct buf *out, uint64_t min_txid, const uint32_t *pages, size_t count)
{
    struct ltx_header header = { .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = PAGE_SIZE,
        .commit = PAGES,
        .min_txid = min_txid,
        .max_txid = min_txid + 3,
        .timestamp_ms = 1700000000123,
        .wal_offset = 32,
        .wal_size = 4152,
        .wal_salt1 = 5,
        .wal_salt2 = 6,
        .node_id = 77 };
    struct ltx_encoder *encoder;

    assert_int_equal(ltx_encoder_new(&encoder, &header, out), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            ltx_encoder_add_page(encoder, pages[i], database[pages[i] - 1]),
            STATUS_OK);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_OK);
    assert_int_equal(ltx_encoder_size(encoder), out->len);
    ltx_encoder_free(encoder);
}

static enum status
apply(uint32_t page, const void *data, void *arg)
{
    (*(int *)arg)++;
    memcpy(applied[page - 1], data, PAGE_SIZE);
    return STATUS_OK;
}

static enum status
decode(struct slice file, size_t piece, int *pages)
{
    struct ltx_decoder *decoder = ltx_decoder_new(apply, pages);
    enum status status = STATUS_OK;

    for (size_t at = 0; at < file.len && status == STATUS_OK; at += piece) {
        size_t len = file.len - at < piece ? file.len - at : piece;
        status = ltx_decoder_feed(decoder, file.data + at, len);
    }
    if (status == STATUS_OK)
        status = ltx_decoder_finish(decoder);
    ltx_decoder_free(decoder);
    return status;
}

static void
test_crc64_known_answers(void **state)
{
    (void)state;
    /* CRC-64/GO-ISO in the catalogue of parametrised CRC algorithms. */
    assert_int_equal(
        crc64_update(0, "123456789", 9), UINT64_C(0xb90956c775a41001));
    uint64_t crc = crc64_update(0, "12345", 5);
    assert_int_equal(
        crc64_update(crc, "6789", 4), UINT64_C(0xb90956c775a41001));
}

/* However long, and wherever it is cut: the same as bit by bit. */
static void
test_crc64_of_any_length(void **state)
{
    unsigned char bytes[1100];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 197 + i / 7);
    for (size_t len = 0; len < 1024; len++) {
        const unsigned char *at = bytes + len % 17;
        uint64_t slow = ~UINT64_C(0);
        for (size_t i = 0; i < 8 * len; i++) {
            uint64_t bit = (slow ^ (at[i / 8] >> i % 8)) & 1;
            slow = (slow >> 1) ^ (bit * UINT64_C(0xD800000000000000));
        }
        assert_true(crc64_update(0, at, len) == ~slow);
        uint64_t crc = crc64_update(0, at, len / 3);
        assert_true(crc64_update(crc, at + len / 3, len - len / 3) == ~slow);
    }
}

static void
test_round_trip_in_any_pieces(void **state)
{
    static const uint32_t pages[] = { 2, 3, 7, 9 };
    static const size_t pieces[] = { 1, 7, 100, 511, 100000 };
    struct buf file = BUF_INIT;

    (void)state;
    fill();
    encode(&file, 5, pages, 4);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        int count = 0;
        memset(applied, 0, sizeof(applied));
        assert_int_equal(
            decode(buf_slice(&file), pieces[i], &count), STATUS_OK);
        assert_int_equal(count, 4);
        for (size_t p = 0; p < 4; p++)
            assert_memory_equal(
                applied[pages[p] - 1], database[pages[p] - 1], PAGE_SIZE);
    }
    buf_fini(&file);
}

static void
test_every_flipped_byte_is_found(void **state)
{
    static const uint32_t pages[] = { 1, 4 };
    struct buf file = BUF_INIT;
    int count = 0;

    (void)state;
    fill();
    encode(&file, 5, pages, 2);
    for (size_t at = 0; at < file.len; at++) {
        file.data[at] ^= 0x10;
        assert_int_not_equal(decode(buf_slice(&file), 4096, &count), STATUS_OK);
        file.data[at] ^= 0x10;
    }
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(
            decode(slice_make(file.data, len), 4096, &count), STATUS_CORRUPT);
    buf_append_byte(&file, 0);
    assert_int_equal(decode(buf_slice(&file), 4096, &count), STATUS_CORRUPT);
    buf_fini(&file);
}

static void
test_snapshot_needs_every_page(void **state)
{
    struct ltx_header header = { .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = PAGE_SIZE,
        .commit = 3,
        .min_txid = 1,
        .max_txid = 8 };
    struct buf out = BUF_INIT;
    struct ltx_encoder *encoder;

    (void)state;
    fill();
    assert_int_equal(ltx_encoder_new(&encoder, &header, &out), STATUS_OK);
    assert_int_equal(
        ltx_encoder_add_page(encoder, 2, database[1]), STATUS_INVALID);
    assert_int_equal(ltx_encoder_add_page(encoder, 1, database[0]), STATUS_OK);
    assert_int_equal(
        ltx_encoder_add_page(encoder, 3, database[2]), STATUS_INVALID);
    assert_int_equal(ltx_encoder_add_page(encoder, 2, database[1]), STATUS_OK);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_INVALID);
    assert_int_equal(ltx_encoder_add_page(encoder, 3, database[2]), STATUS_OK);
    assert_int_equal(
        ltx_encoder_add_page(encoder, 4, database[3]), STATUS_INVALID);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_OK);
    ltx_encoder_free(encoder);
    buf_fini(&out);
}

static void
test_lock_page(void **state)
{
    (void)state;
    assert_int_equal(ltx_lock_page(4096), 262145);
    assert_int_equal(ltx_lock_page(65536), 16385);
}

static void
test_layout_names(void **state)
{
    char name[LAYOUT_NAME_SIZE];
    struct layout_file file;

    (void)state;
    layout_format_name(name, 9, 1, 0xabc);
    assert_string_equal(name, "0009/0000000000000001-0000000000000abc.ltx");
    assert_true(layout_parse_name(slice_from_text(name), &file));
    assert_int_equal(file.level, 9);
    assert_int_equal(file.max_txid, 0xabc);
    name[7] = 'G';
    assert_false(layout_parse_name(slice_from_text(name), &file));
    assert_false(layout_parse_name(SLICE("lock.json"), &file));
}

/* In any order; a store's clocks may differ by a little. */
static void
test_layout_leaves_out_what_came_too_late(void **state)
{
    struct layout_file files[] = {
        { .level = 9, .min_txid = 1, .max_txid = 40, .modified_ms = 400000 },
        { .level = 0, .min_txid = 41, .max_txid = 41, .modified_ms = 2000000 },
        { .level = 0, .min_txid = 14, .max_txid = 14, .modified_ms = 999000 },
        { .level = 1, .min_txid = 11, .max_txid = 20, .modified_ms = 200000 },
        { .level = 0, .min_txid = 12, .max_txid = 12, .modified_ms = 120000 },
        { .level = 2, .min_txid = 1, .max_txid = 10, .modified_ms = 100000 },
        { .level = 0, .min_txid = 3, .max_txid = 3, .modified_ms = 800000 },
        { .level = 0, .min_txid = 20, .max_txid = 20, .modified_ms = 201000 },
        { .level = 0, .min_txid = 25, .max_txid = 25, .modified_ms = 900000 },
    };
    static const uint64_t kept[] = { 12, 20, 25, 41, 20, 10, 40 };
    size_t count = sizeof(files) / sizeof(files[0]);

    (void)state;
    layout_drop_ghosts(files, &count);
    assert_int_equal(count, sizeof(kept) / sizeof(kept[0]));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(files[i].max_txid, kept[i]);
    count = 0;
    layout_drop_ghosts(NULL, &count);
    assert_int_equal(count, 0);
}

static void
test_layout_plan_takes_newest_snapshot_and_longest_steps(void **state)
{
    static const struct layout_file files[] = {
        { .level = 0, .min_txid = 1, .max_txid = 1 },
        { .level = 9, .min_txid = 1, .max_txid = 5 },
        { .level = 1, .min_txid = 4, .max_txid = 7 },
        { .level = 0, .min_txid = 6, .max_txid = 6 },
        { .level = 2, .min_txid = 6, .max_txid = 7 },
        { .level = 0, .min_txid = 8, .max_txid = 8 },
        { .level = 0, .min_txid = 10, .max_txid = 10 },
    };
    struct layout_file *chain;
    size_t len;
    struct buf error = BUF_INIT;

    (void)state;
    assert_int_equal(layout_plan(files, 7, 8, &chain, &len, &error), STATUS_OK);
    assert_int_equal(len, 3);
    assert_int_equal(chain[0].level, 9);
    assert_int_equal(chain[1].level, 2);
    assert_int_equal(chain[2].max_txid, 8);
    free(chain);
    assert_int_equal(
        layout_plan(files, 7, 0, &chain, &len, &error), STATUS_CORRUPT);
    assert_non_null(strstr(buf_slice(&error).data, "txid 9"));
    assert_int_equal(
        layout_plan(files, 0, 0, &chain, &len, &error), STATUS_NOT_FOUND);
    buf_fini(&error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc64_known_answers),
        cmocka_unit_test(test_crc64_of_any_length),
        cmocka_unit_test(test_round_trip_in_any_pieces),
        cmocka_unit_test(test_every_flipped_byte_is_found),
        cmocka_unit_test(test_snapshot_needs_every_page),
        cmocka_unit_test(test_lock_page),
        cmocka_unit_test(test_layout_names),
        cmocka_unit_test(test_layout_leaves_out_what_came_too_late),
        cmocka_unit_test(
            test_layout_plan_takes_newest_snapshot_and_longest_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
