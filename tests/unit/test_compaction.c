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

/* As an input; in memory: instead of the file, which begins after some bytes */
/* of another's. */
static struct compaction_input
make_input(int fd, bool is_in_memory)
{
    struct compaction_input input = { .fd = fd, .from = 77 };
    off_t size = lseek(fd, 0, SEEK_END);
    char *data = malloc((size_t)size);

    input.size = (uint64_t)size;
    assert_int_equal(pread(fd, data, (size_t)size, 0), size);
    if (is_in_memory) {
        close(fd);
        return (struct compaction_input){
            .bytes = slice_make(data, (size_t)size), .fd = -1
        };
    }
    assert_int_equal(pwrite(fd, data, (size_t)size, 77), size);
    assert_int_equal(pwrite(fd, "another's", 9, 77 + size), 9);
    free(data);
    return input;
}

static void
end_inputs(struct compaction_input *inputs, int count)
{
    for (int i = 0; i < count; i++) {
        if (inputs[i].fd >= 0)
            close(inputs[i].fd);
        free((void *)(uintptr_t)inputs[i].bytes.data);
    }
}

/* in_memory: a bit for each input. */
static void
merge_three(unsigned in_memory)
{
    struct compaction_input inputs[3] = {
        make_input(make_file(4, 9, 'a', (uint32_t[]){ 1, 2, 8, 0 }),
            (in_memory & 1) != 0),
        make_input(make_file(5, 9, 'b', (uint32_t[]){ 2, 3, 9, 0 }),
            (in_memory & 2) != 0),
        make_input(make_file(6, 7, 'c', (uint32_t[]){ 3, 7, 0 }),
            (in_memory & 4) != 0),
    };
    FILE *out = tmpfile();
    struct buf error = BUF_INIT;
    struct ltx_header header;
    uint64_t size;

    assert_int_equal(
        compaction_merge(inputs, 3, fileno(out), &size, &error), STATUS_OK);
    read_file(fileno(out), size, &header);
    assert_memory_equal(seen + 1, "abc...c..", 9);
    assert_int_equal(header.min_txid, 4);
    assert_int_equal(header.max_txid, 6);
    assert_int_equal(header.commit, 7);
    assert_int_equal(header.timestamp_ms, 6000);
    fclose(out);
    end_inputs(inputs, 3);
    buf_fini(&error);
}

static void
test_newest_page_wins_and_tail_is_cut(void **state)
{
    (void)state;
    for (unsigned in_memory = 0; in_memory < 8; in_memory++)
        merge_three(in_memory);
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
    struct compaction_input inputs[2] = { make_input(fds[0], true),
        make_input(fds[1], true) };
    assert_int_equal(compaction_merge(inputs, 2, fileno(out), &size, &error),
        STATUS_INVALID);
    end_inputs(inputs + 1, 1);
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        fds[1] = make_file(5, 9, 'b', (uint32_t[]){ 2, 0 });
        assert_int_equal(pwrite(fds[1], "x", 1, 115), 1);
        inputs[1] = make_input(fds[1], in_memory);
        buf_clear(&error, 0);
        assert_int_equal(
            compaction_merge(inputs, 2, fileno(out), &size, &error),
            STATUS_CORRUPT);
        buf_append_byte(&error, '\0');
        assert_non_null(strstr(error.data, "input 2"));
        end_inputs(inputs + 1, 1);
    }
    fclose(out);
    end_inputs(inputs, 1);
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
