/*
 * fuzz_ltx.c -- the LTX decoder against bytes from a damaged or hostile bucket.
 *
 * Fed whole and in pieces, it must give the same answer; and of what it
 * accepts every frame must decode by itself as well.
 */
#include <stddef.h>
#include <stdint.h>

#include "replication/ltx.h"
#include "server/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct ltx_decoder *decoder;
    const uint8_t *data;
    size_t size;
    uint64_t pages;
};

static enum status
visit(uint32_t page, const void *data, void *arg)
{
    static char again[LTX_PAGE_SIZE_MAX];
    struct run *run = arg;
    const struct ltx_header *header = ltx_decoder_header(run->decoder);
    uint64_t offset;
    uint32_t len;

    ltx_decoder_frame(run->decoder, &offset, &len);
    CHECK(page > 0 && page <= header->commit);
    CHECK(offset + len <= run->size);
    CHECK(ltx_decode_frame(run->data + offset, len, again, header->page_size) ==
          STATUS_OK);
    CHECK(memcmp(again, data, header->page_size) == 0);
    run->pages++;
    return STATUS_OK;
}

static enum status
decode(struct run *run, size_t piece)
{
    enum status status = STATUS_OK;

    run->pages = 0;
    run->decoder = ltx_decoder_new(visit, run);
    for (size_t at = 0; at < run->size && status == STATUS_OK; at += piece) {
        size_t len = run->size - at < piece ? run->size - at : piece;
        status = ltx_decoder_feed(run->decoder, run->data + at, len);
    }
    if (status == STATUS_OK)
        status = ltx_decoder_finish(run->decoder);
    ltx_decoder_free(run->decoder);
    return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = { .data = data, .size = size };
    struct ltx_header header;
    enum status whole = decode(&run, size > 0 ? size : 1);
    uint64_t pages = run.pages;

    CHECK(decode(&run, 7) == whole && run.pages == pages);
    if (whole == STATUS_OK)
        CHECK(ltx_decode_header(data, size, &header) == STATUS_OK);
    return 0;
}
