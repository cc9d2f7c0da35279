/*
 * test_string.c -- the string object against plain bytes: flat, chunked, with
 * holes, in memory and in its table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/memory.h"
#include "server/base/random.h"
#include "storage/objects/string.h"

#define MODEL_SIZE_MAX (200 * 1024) /* bytes */

static void
assert_holds(const struct string *string, const char *data, size_t len)
{
    struct buf out = BUF_INIT;

    assert_int_equal(string_len(string), len);
    assert_int_equal(string_read(string, NULL, 1, 0, len, &out), STATUS_OK);
    assert_int_equal(out.len, len);
    if (len > 0)
        assert_memory_equal(out.data, data, len);
    buf_fini(&out);
}

static void
test_encodings(void **state)
{
    static const struct {
        const char *text;
        enum key_encoding encoding;
    } rows[] = {
        { "", KEY_EMBSTR },
        { "0", KEY_INT },
        { "-9223372036854775808", KEY_INT },
        { "9223372036854775808", KEY_EMBSTR },
        { "01", KEY_EMBSTR },
        { "+1", KEY_EMBSTR },
        { "12345678901234567890123456789012345678901234", KEY_EMBSTR },
        { "123456789012345678901234567890123456789012345", KEY_RAW },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct string *string = string_new(NULL, slice_from_text(rows[i].text));
        assert_int_equal(string_encoding(string), rows[i].encoding);
        assert_holds(string, rows[i].text, strlen(rows[i].text));
        string_free(string);
    }
}

static void
test_assign_reuses_room(void **state)
{
    struct string *string = string_new(NULL, SLICE("hello, world"));
    char big[STRING_INLINE_SIZE_MAX + 1] = { 0 };
    int64_t number;

    (void)state;
    assert_true(string_assign(&string, SLICE("42")));
    assert_true(string_get_i64(string, &number));
    assert_int_equal(number, 42);
    assert_true(string_assign(&string, slice_make(big, sizeof(big) - 1)));
    assert_holds(string, big, sizeof(big) - 1);
    assert_false(string_assign(&string, slice_make(big, sizeof(big))));
    assert_true(string_assign(&string, SLICE("small again")));
    assert_true(string_memory(string) < 128);
    assert_holds(string, "small again", 11);
    string_free(string);
}

/* Chunks of a batch, laid over a string as a table would hold them. */
static void
apply_all(struct string *string, const struct buf *changes)
{
    struct bytes bytes = bytes_from(buf_slice(changes));
    struct row_change change;

    while (rowchange_next(&bytes, &change) == STATUS_OK)
        if (change.op == ROW_PUT && change.table == ROW_BLOB)
            string_apply_chunk(
                string, bytes_get_be32(change.sub.data), &change.value);
}

/* Random writes; a second string is kept level by row changes alone. */
static void
test_writes_match_bytes_and_rows(void **state)
{
    char *model = memory_alloc(MODEL_SIZE_MAX);
    char *data = memory_alloc(40000);

    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        struct batch *batch = batch_new();
        struct edit edit = { batch, 7 };
        struct string *string = string_new(&edit, SLICE("12"));
        struct string *copy = NULL;
        size_t len = 2;
        random_set_seed(round);
        memcpy(model, "12", 2);
        for (int i = 0; i < 40; i++) {
            size_t limit = random_below(2) ? 4000 : MODEL_SIZE_MAX - 40000;
            size_t offset = random_below(3) ? len : random_below(limit);
            size_t count = 1 + random_below(random_below(4) ? 100 : 39999);
            if (offset + count > MODEL_SIZE_MAX)
                continue;
            for (size_t k = 0; k < count; k++)
                data[k] = (char)random_u64();
            if (offset > len)
                memset(model + len, 0, offset - len);
            memcpy(model + offset, data, count);
            if (offset + count > len)
                len = offset + count;
            assert_int_equal(string_write(&string, &edit, NULL, offset,
                                 slice_make(data, count)),
                STATUS_OK);
            assert_holds(string, model, len);
        }
        assert_int_equal(string_copy(string, NULL, NULL, 7, &copy), STATUS_OK);
        assert_holds(copy, model, len);
        string_free(copy);
        if (string_is_chunked(string)) {
            struct key_row row = { .encoding = KEY_CHUNKED, .size = len };
            struct string *loaded = string_load(&row);
            /* Order among chunks does not matter here: a chunk is either */
            /* always direct or, while small, all in changes. */
            apply_all(loaded, &batch->changes);
            apply_all(loaded, &batch->direct);
            assert_holds(loaded, model, len);
            string_free(loaded);
        }
        string_free(string);
        batch_free(batch);
    }
    memory_free(model);
    memory_free(data);
}

static void
test_far_write_leaves_a_hole(void **state)
{
    struct batch *batch = batch_new();
    struct edit edit = { batch, 7 };
    struct string *string = string_new(&edit, SLICE("head"));
    struct buf out = BUF_INIT;
    size_t far = 512 * 1024 * 1024 - 4;

    (void)state;
    assert_int_equal(
        string_write(&string, &edit, NULL, far, SLICE("tail")), STATUS_OK);
    assert_int_equal(string_len(string), far + 4);
    assert_true(string_memory(string) < 2 * 1024 * 1024);
    assert_int_equal(string_read(string, NULL, 7, 0, 8, &out), STATUS_OK);
    assert_int_equal(string_read(string, NULL, 7, far - 4, 8, &out), STATUS_OK);
    assert_memory_equal(out.data, "head\0\0\0\0\0\0\0\0tail", 16);
    assert_true(batch->changes.len < 1024); /* two short chunks */
    buf_fini(&out);
    while (!string_free_step(string, 1000))
        continue;
    batch_free(batch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_assign_reuses_room),
        cmocka_unit_test(test_writes_match_bytes_and_rows),
        cmocka_unit_test(test_far_write_leaves_a_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
