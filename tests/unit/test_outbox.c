/*
 * test_outbox.c -- the folder of files that wait for the bucket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replication/outbox.h"
#include "tests/unit/tempdir.h"

struct fixture {
    char folder[TEMPDIR_SIZE], path[TEMPDIR_SIZE + 32], box[TEMPDIR_SIZE + 64];
    struct outbox *outbox;
};

static enum status
reopen(struct fixture *f)
{
    struct buf error = BUF_INIT;

    outbox_close(f->outbox);
    f->outbox = NULL;
    enum status status = outbox_open(&f->outbox, f->path, &error);
    assert_true((status == STATUS_OK) == (error.len == 0));
    buf_fini(&error);
    return status;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tempdir_make(f->folder, "outbox");
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    snprintf(f->box, sizeof(f->box), "%s-outbox", f->path);
    assert_int_equal(reopen(f), STATUS_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    outbox_close(f->outbox);
    tempdir_remove(f->folder);
    free(f);
    return 0;
}

static void
make_file(struct buf *out, uint64_t txid)
{
    struct ltx_header header = { .flags = LTX_FLAG_NO_CHECKSUM,
        .page_size = 512,
        .commit = 4,
        .min_txid = txid,
        .max_txid = txid };
    struct ltx_encoder *encoder;
    char page[512] = { (char)txid };

    buf_clear(out, 4096);
    assert_int_equal(ltx_encoder_new(&encoder, &header, out), STATUS_OK);
    assert_int_equal(ltx_encoder_add_page(encoder, 2, page), STATUS_OK);
    assert_int_equal(ltx_encoder_finish(encoder, 0), STATUS_OK);
    ltx_encoder_free(encoder);
}

static void
add(struct fixture *f, uint64_t txid)
{
    struct buf file = BUF_INIT;

    make_file(&file, txid);
    assert_int_equal(outbox_add(f->outbox, txid, buf_slice(&file)), STATUS_OK);
    buf_fini(&file);
}

static void
test_first_in_first_out_over_a_restart(void **state)
{
    struct fixture *f = *state;
    struct buf file = BUF_INIT;
    char read_back[4096];
    int fd;

    for (uint64_t txid = 5; txid <= 8; txid++)
        add(f, txid);
    uint64_t size = outbox_size(f->outbox);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 4);
    assert_int_equal(outbox_size(f->outbox), size);
    assert_int_equal(outbox_first(f->outbox)->txid, 5);
    assert_int_equal(outbox_last(f->outbox)->txid, 8);
    assert_int_equal(outbox_read_first(f->outbox, &fd), STATUS_OK);
    make_file(&file, 5);
    assert_int_equal(read(fd, read_back, sizeof(read_back)), file.len);
    assert_memory_equal(read_back, file.data, file.len);
    close(fd);
    buf_fini(&file);
    assert_int_equal(outbox_remove_first(f->outbox), STATUS_OK);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_first(f->outbox)->txid, 6);
    assert_int_equal(outbox_clear(f->outbox), STATUS_OK);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 0);
    assert_int_equal(outbox_size(f->outbox), 0);
    assert_null(outbox_first(f->outbox));
}

static void
test_half_written_file_is_dropped(void **state)
{
    struct fixture *f = *state;
    char path[TEMPDIR_SIZE + 128];

    add(f, 11);
    snprintf(path, sizeof(path), "%s/incoming.tmp", f->box);
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(fd, "LTX1", 4), 4);
    close(fd);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 1);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
test_a_gap_and_a_wrong_name_are_refused(void **state)
{
    struct fixture *f = *state;
    char from[320], to[320];

    for (uint64_t txid = 11; txid <= 13; txid++)
        add(f, txid);
    snprintf(from, sizeof(from), "%s/000000000000000c.ltx", f->box);
    snprintf(to, sizeof(to), "%s/0000000000000019.ltx", f->box);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(reopen(f), STATUS_CORRUPT);
    unlink(to);
    assert_int_equal(reopen(f), STATUS_CORRUPT);
}

static void
test_a_loss_outlives_a_restart(void **state)
{
    struct fixture *f = *state;
    const struct outbox_loss *loss;
    char path[TEMPDIR_SIZE + 128];

    for (uint64_t txid = 11; txid <= 13; txid++)
        add(f, txid);
    assert_null(outbox_find_loss(f->outbox));
    assert_int_equal(outbox_lose(f->outbox, 10, 77), STATUS_OK);
    assert_int_equal(outbox_lose(f->outbox, 0, 0xfedcba9876543210), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 0);
    assert_int_equal(outbox_size(f->outbox), 0);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 0);
    loss = outbox_find_loss(f->outbox);
    assert_non_null(loss);
    assert_int_equal(loss->txid, 10);
    assert_int_equal(loss->node_count, 2);
    assert_true(outbox_is_lost_node(f->outbox, 77));
    assert_true(outbox_is_lost_node(f->outbox, 0xfedcba9876543210));
    assert_false(outbox_is_lost_node(f->outbox, 78));
    for (uint64_t node = 100; node < 100 + OUTBOX_NODES_MAX; node++)
        assert_int_equal(outbox_lose(f->outbox, 0, node), STATUS_OK);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_false(outbox_is_lost_node(f->outbox, 77));
    assert_true(outbox_is_lost_node(f->outbox, 100));
    assert_int_equal(outbox_end_loss(f->outbox), STATUS_OK);
    assert_null(outbox_find_loss(f->outbox));
    snprintf(path, sizeof(path), "%s/lost", f->box);
    assert_int_not_equal(access(path, F_OK), 0);
    add(f, 20);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 1);
}

/* A crash in the middle of dropping: what is left is no history. */
static void
test_files_of_a_loss_are_ignored(void **state)
{
    struct fixture *f = *state;
    char from[320], to[320];

    for (uint64_t txid = 11; txid <= 13; txid++)
        add(f, txid);
    snprintf(from, sizeof(from), "%s/000000000000000c.ltx", f->box);
    unlink(from);
    snprintf(to, sizeof(to), "%s/lost", f->box);
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    fputs("walden-lost 1\ntxid 10\nnode 00000000000000ff\n", file);
    fclose(file);
    assert_int_equal(reopen(f), STATUS_OK);
    assert_int_equal(outbox_count(f->outbox), 0);
    assert_true(outbox_is_lost_node(f->outbox, 255));
    add(f, 30); /* ends the loss first */
    assert_int_equal(reopen(f), STATUS_OK);
    assert_null(outbox_find_loss(f->outbox));
    assert_int_equal(outbox_count(f->outbox), 1);
    assert_int_equal(outbox_first(f->outbox)->txid, 30);
    file = fopen(to, "w");
    assert_non_null(file);
    fputs("walden-lost 1\ntxid ten\n", file);
    fclose(file);
    assert_int_equal(reopen(f), STATUS_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_first_in_first_out_over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_half_written_file_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_gap_and_a_wrong_name_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_loss_outlives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_files_of_a_loss_are_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
