/*
 * compaction.c -- many LTX files become one.
 *
 * Two passes.  The first decodes every input whole: it verifies the checksums
 * and notes where each page's frame stands.  The notes of all inputs are then
 * sorted by page, newest input first, so that the first note of a page is the
 * one that counts.  The second pass reads those frames and encodes them.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/memory.h"

#include "replication/compaction.h"
#include "replication/ltx.h"

#define READ_SIZE (256 * 1024)
#define DRAIN_SIZE (1024 * 1024) /* bytes encoded before they are written */

struct note {
    uint32_t page;
    uint32_t size;   /* of the frame, bytes */
    uint64_t offset; /* of the frame in its file */
    uint32_t input;  /* index; larger is newer */
};

struct merge {
    const struct compaction_input *inputs;
    size_t count;
    struct note *notes;
    size_t note_count, note_size;
    struct ltx_header header; /* of the output */
    struct ltx_decoder *decoder;
    size_t input; /* being decoded */
    int out_fd;
    uint64_t written;
    struct buf *error;
};

static enum status
add_note(uint32_t page, const void *data, void *arg)
{
    struct merge *merge = arg;

    (void)data;
    if (merge->note_count == merge->note_size) {
        merge->note_size = merge->note_size == 0 ? 1024 : 2 * merge->note_size;
        merge->notes = memory_realloc(
            merge->notes, merge->note_size * sizeof(*merge->notes));
    }
    struct note *note = &merge->notes[merge->note_count++];
    note->page = page;
    note->input = (uint32_t)merge->input;
    ltx_decoder_frame(merge->decoder, &note->offset, &note->size);
    return STATUS_OK;
}

static enum status
refuse(struct merge *merge, enum status status, const char *why)
{
    buf_printf(merge->error, "input %zu: %s", merge->input + 1, why);
    return status;
}

/* Does the input just decoded continue the ones before it? */
static enum status
join_header(struct merge *merge)
{
    const struct ltx_header *next = ltx_decoder_header(merge->decoder);
    struct ltx_header *header = &merge->header;

    if (merge->input == 0) {
        *header = *next;
        header->wal_offset = 0;
        header->wal_size = 0;
        header->wal_salt1 = 0;
        header->wal_salt2 = 0;
        return STATUS_OK;
    }
    if (next->min_txid > header->max_txid + 1 ||
        next->max_txid <= header->max_txid)
        return refuse(
            merge, STATUS_INVALID, "it does not continue the one before");
    if (next->page_size != header->page_size)
        return refuse(merge, STATUS_INVALID, "its page size differs");
    header->max_txid = next->max_txid;
    header->commit = next->commit;
    if (next->timestamp_ms > header->timestamp_ms)
        header->timestamp_ms = next->timestamp_ms;
    header->flags |= next->flags & LTX_FLAG_NO_CHECKSUM;
    return STATUS_OK;
}

static enum status
feed_memory(struct merge *merge, struct slice bytes)
{
    enum status status =
        ltx_decoder_feed(merge->decoder, bytes.data, bytes.len);

    if (status == STATUS_OK)
        status = ltx_decoder_finish(merge->decoder);
    return status;
}

static enum status
feed_file(struct merge *merge, const struct compaction_input *input)
{
    char *block = memory_alloc(READ_SIZE);
    enum status status = STATUS_OK;

    for (uint64_t at = 0; status == STATUS_OK && at < input->size;) {
        uint64_t left = input->size - at;
        ssize_t got = pread(input->fd, block,
            left < READ_SIZE ? left : READ_SIZE, (off_t)(input->from + at));
        if (got < 0) {
            status = refuse(merge, STATUS_IO, strerror(errno));
        } else if (got == 0) {
            break;
        } else {
            status = ltx_decoder_feed(merge->decoder, block, (size_t)got);
            at += (uint64_t)got;
        }
    }
    memory_free(block);
    if (status == STATUS_OK)
        status = ltx_decoder_finish(merge->decoder);
    return status;
}

static enum status
feed_input(struct merge *merge)
{
    const struct compaction_input *input = &merge->inputs[merge->input];
    enum status status = input->bytes.data != NULL
                             ? feed_memory(merge, input->bytes)
                             : feed_file(merge, input);

    if (status == STATUS_CORRUPT)
        return refuse(merge, STATUS_CORRUPT, ltx_decoder_error(merge->decoder));
    return status;
}

static enum status
note_inputs(struct merge *merge)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK && merge->input < merge->count) {
        merge->decoder = ltx_decoder_new(add_note, merge);
        status = feed_input(merge);
        if (status == STATUS_OK)
            status = join_header(merge);
        ltx_decoder_free(merge->decoder);
        merge->decoder = NULL;
        merge->input++;
    }
    return status;
}

static int
compare_notes(const void *a, const void *b)
{
    const struct note *x = a, *y = b;

    if (x->page != y->page)
        return x->page < y->page ? -1 : 1;
    return x->input > y->input ? -1 : x->input < y->input;
}

static enum status
drain(struct merge *merge, struct buf *out)
{
    for (size_t at = 0; at < out->len;) {
        ssize_t n = pwrite(merge->out_fd, out->data + at, out->len - at,
            (off_t)(merge->written + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            buf_printf(merge->error, "writing: %s", strerror(errno));
            return errno == ENOSPC ? STATUS_FULL : STATUS_IO;
        }
        at += (size_t)n;
    }
    merge->written += out->len;
    buf_clear(out, out->size);
    return STATUS_OK;
}

/* Read one noted frame and encode its page. */
static enum status
copy_page(struct merge *merge, const struct note *note, char *frame,
    size_t frame_size, char *page, struct ltx_encoder *encoder)
{
    const struct compaction_input *input = &merge->inputs[note->input];
    const char *from = frame;

    if (input->bytes.data != NULL)
        from = input->bytes.data + note->offset;
    else if (note->size > frame_size ||
             pread(input->fd, frame, note->size,
                 (off_t)(input->from + note->offset)) != (ssize_t)note->size)
        return STATUS_IO;
    enum status status =
        ltx_decode_frame(from, note->size, page, merge->header.page_size);
    if (status != STATUS_OK)
        return status;
    return ltx_encoder_add_page(encoder, note->page, page);
}

static enum status
encode_pages(struct merge *merge, struct ltx_encoder *encoder, struct buf *out)
{
    size_t frame_size = 2 * (size_t)merge->header.page_size + 1024;
    char *frame = memory_alloc(frame_size);
    char *page = memory_alloc(merge->header.page_size);
    enum status status = STATUS_OK;
    uint32_t last = 0;

    for (size_t i = 0; i < merge->note_count && status == STATUS_OK; i++) {
        const struct note *note = &merge->notes[i];
        if (note->page == last)
            continue; /* an older version */
        last = note->page;
        if (note->page > merge->header.commit)
            break; /* the database has shrunk since */
        status = copy_page(merge, note, frame, frame_size, page, encoder);
        if (status == STATUS_OK && out->len >= DRAIN_SIZE)
            status = drain(merge, out);
    }
    memory_free(frame);
    memory_free(page);
    return status;
}

static enum status
write_output(struct merge *merge)
{
    struct ltx_encoder *encoder;
    struct buf out = BUF_INIT;
    enum status status;

    if (merge->note_count > 1)
        qsort(merge->notes, merge->note_count, sizeof(*merge->notes),
            compare_notes);
    /* What the database checksums were is not carried over. */
    merge->header.flags |= LTX_FLAG_NO_CHECKSUM;
    merge->header.pre_checksum = 0;
    status = ltx_encoder_new(&encoder, &merge->header, &out);
    if (status != STATUS_OK)
        return status;
    status = encode_pages(merge, encoder, &out);
    if (status == STATUS_OK)
        status = ltx_encoder_finish(encoder, 0);
    if (status == STATUS_OK)
        status = drain(merge, &out);
    ltx_encoder_free(encoder);
    buf_fini(&out);
    return status;
}

enum status
compaction_merge(const struct compaction_input *inputs, size_t count,
    int out_fd, uint64_t *out_size, struct buf *error)
{
    struct merge merge = {
        .inputs = inputs, .count = count, .out_fd = out_fd, .error = error
    };
    enum status status = count == 0 ? STATUS_INVALID : note_inputs(&merge);

    if (status == STATUS_OK)
        status = write_output(&merge);
    memory_free(merge.notes);
    if (status == STATUS_OK)
        *out_size = merge.written;
    return status;
}
