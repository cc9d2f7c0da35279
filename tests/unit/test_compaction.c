/*
 * test_compaction.c -- merging: the newest version of each page wins, shrunk
 * databases lose their tail, gaps and damage are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "replication/compaction.h"
#include "replication/ltx.h"

#define PAGE_SIZE 512

/* A file of txid whose pages hold the byte value; pages ends with 0. */
static int
make_file(uint64_t txid, uint32_t commit, char value, const uint32_t *pages)
{
    struct ltx_header header = { .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = PAGE_SIZE,
        .commit = commit,
        .min_txid = txid,
        .max_txid = txid,
        .timestamp_ms = 1000 * (int64_t)txid };
    FILE *file = tmpfile();
    struct ltx_encoder *encoder;
    struct buf out = BUF_INIT;
    char page[PAGE_SIZE];

    memset(page, value, sizeof(page));
    assert_int_equal(ltx_encoder_new(&encoder, &header, &out), STATUS_OK);
    for (; *pages != 0; pages++)
        assert_int_equal(
            ltx_encoder_add_page(encoder, *pages, page), STATUS_OK);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_OK);
    ltx_encoder_free(encoder);
    int fd = dup(fileno(file));
    assert_int_equal(write(fd, out.data, out.len), out.len);
    fclose(file);
    buf_fini(&out);
    return fd;
}

static char seen[16];

static enum status
note_page(uint32_t page, const void *data, void *arg)
{
    (void)arg;
    seen[page] = *(const char *)data;
    return STATUS_OK;
}

static void
read_file(int fd, uint64_t size, struct ltx_header *header)
{
    struct ltx_decoder *decoder = ltx_decoder_new(note_page, NULL);
    char *data = malloc(size);

    memset(seen, '.', sizeof(seen));
    assert_int_equal(pread(fd, data, size, 0), size);
    assert_int_equal(ltx_decoder_feed(decoder, data, size), STATUS_OK);
    assert_int_equal(ltx_decoder_finish(decoder), STATUS_OK);
    *header = *ltx_decoder_header(decoder);
    ltx_decoder_free(decoder);
    free(data);
}

static void
test_newest_page_wins_and_tail_is_cut(void **state)
{
    int fds[3] = { make_file(4, 9, 'a', (uint32_t[]){ 1, 2, 8, 0 }),
        make_file(5, 9, 'b', (uint32_t[]){ 2, 3, 9, 0 }),
        make_file(6, 7, 'c', (uint32_t[]){ 3, 7, 0 }) };
    FILE *out = tmpfile();
    struct buf error = BUF_INIT;
    struct ltx_header header;
    uint64_t size;

    (void)state;
    assert_int_equal(
        compaction_merge(fds, 3, fileno(out), &size, &error), STATUS_OK);
    read_file(fileno(out), size, &header);
    assert_memory_equal(seen + 1, "abc...c..", 9);
    assert_int_equal(header.min_txid, 4);
    assert_int_equal(header.max_txid, 6);
    assert_int_equal(header.commit, 7);
    assert_int_equal(header.timestamp_ms, 6000);
    fclose(out);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    buf_fini(&error);
}

static void
test_gaps_and_damage_are_refused(void **state)
{
    int fds[2] = { make_file(4, 9, 'a', (uint32_t[]){ 1, 0 }),
        make_file(6, 9, 'b', (uint32_t[]){ 2, 0 }) };
    FILE *out = tmpfile();
    struct buf error = BUF_INIT;
    uint64_t size;

    (void)state;
    assert_int_equal(
        compaction_merge(fds, 2, fileno(out), &size, &error), STATUS_INVALID);
    close(fds[1]);
    fds[1] = make_file(5, 9, 'b', (uint32_t[]){ 2, 0 });
    assert_int_equal(pwrite(fds[1], "x", 1, 115), 1);
    buf_clear(&error, 0);
    assert_int_equal(
        compaction_merge(fds, 2, fileno(out), &size, &error), STATUS_CORRUPT);
    buf_append_byte(&error, '\0');
    assert_non_null(strstr(error.data, "input 2"));
    fclose(out);
    close(fds[0]);
    close(fds[1]);
    buf_fini(&error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_page_wins_and_tail_is_cut),
        cmocka_unit_test(test_gaps_and_damage_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
