/*
 * ltx.c -- LTX files, format "LTX1" version 3, byte by byte.
 *
 * All integers are big-endian.
 *
 *   header, 100 bytes
 *      0  4  "LTX1"
 *      4  4  flags: 0x2 = no database checksums
 *      8  4  page size in bytes
 *     12  4  commit: database size in pages after apply
 *     16  8  min txid            24  8  max txid
 *     32  8  timestamp, ms since 1970
 *     40  8  pre-apply checksum
 *     48  8  WAL offset          56  8  WAL size
 *     64  4  WAL salt 1          68  4  WAL salt 2
 *     72  8  node id             80 20  zero
 *   pages, ascending
 *      0  4  page number
 *      4  2  flags: 0x1 = a compressed size follows
 *      6  4  compressed size
 *     10  .  LZ4 block
 *   six zero bytes
 *   index: for each page LEB128 page number, offset of its frame, size of
 *      its frame; a zero; then 8 bytes: size of the index with that zero
 *   trailer
 *      0  8  post-apply checksum  8  8  file checksum
 *
 * The file checksum is CRC-64/ISO, bit 63 set, over the header; each page's
 * 10 bytes and then the page UNCOMPRESSED; the six zero bytes; the index with
 * its size; and the trailer's first 8 bytes.
 *
 * The decoder is a state machine fed with any pieces: it gathers what the
 * state needs (header, page header, block, ...) and then takes one step.  What
 * lies whole in the bytes fed is used there, and not gathered.
 * Sizes come from the file, so each is checked against a limit before
 * anything is allocated for it.
 */
#include <stdio.h>

#include <lz4.h>

#include "server/base/bytes.h"
#include "server/base/memory.h"

#include "replication/crc64.h"
#include "replication/ltx.h"

#define CHECKSUM_FLAG (UINT64_C(1) << 63)
#define LOCK_BYTE (UINT64_C(1) << 30)
#define PAGE_FLAG_SIZE 0x1
#define END_SIZE 6        /* zero bytes that end the pages */
#define INDEX_SIZE_SIZE 8 /* the index's own size field */

struct ltx_encoder {
    struct ltx_header header;
    struct buf *out; /* lent by the caller */
    struct buf index;
    uint64_t checksum; /* running file checksum */
    uint64_t size;     /* bytes encoded so far */
    uint32_t last_page;
    char *block; /* room for one compressed page */
    int block_size;
};

enum decoder_state {
    READ_HEADER,
    READ_PAGE_HEADER, /* or the first six bytes: the end of the pages */
    READ_BLOCK,
    READ_INDEX,
    READ_TRAILER,
    READ_NOTHING
};

struct ltx_decoder {
    ltx_page_fn visit;
    void *arg;
    enum decoder_state state;
    ltx_room_fn room;  /* NULL: pages go to data */
    struct buf piece;  /* what the state has gathered */
    size_t need;       /* bytes the state needs for its step */
    struct slice step; /* those bytes, during the step */
    struct ltx_header header;
    struct buf index; /* what the index must be */
    uint64_t checksum;
    uint64_t offset;     /* of the frame being read */
    uint32_t frame_size; /* of the frame just read, which ends at offset */
    uint64_t post_checksum;
    uint32_t page, last_page;
    char *data; /* one uncompressed page */
    char error[96];
};

uint32_t
ltx_lock_page(uint32_t page_size)
{
    return (uint32_t)(LOCK_BYTE / page_size) + 1;
}

uint64_t
ltx_page_checksum(uint32_t page, const void *data, size_t size)
{
    char number[4];

    bytes_put_be32(number, page);
    uint64_t crc = crc64_update(0, number, sizeof(number));
    return crc64_update(crc, data, size) | CHECKSUM_FLAG;
}

static bool
is_page_size(uint32_t size)
{
    return size >= LTX_PAGE_SIZE_MIN && size <= LTX_PAGE_SIZE_MAX &&
           (size & (size - 1)) == 0;
}

static bool
is_header_valid(const struct ltx_header *header)
{
    return (header->flags & ~(uint32_t)LTX_FLAG_NO_CHECKSUM) == 0 &&
           is_page_size(header->page_size) && header->commit > 0 &&
           header->min_txid > 0 && header->min_txid <= header->max_txid &&
           header->wal_offset >= 0 && header->wal_size >= 0;
}

static bool
is_snapshot(const struct ltx_header *header)
{
    return header->min_txid == 1;
}

/* The page after page in a file that holds all of them. */
static uint32_t
next_page(uint32_t page, uint32_t page_size)
{
    return page + 1 == ltx_lock_page(page_size) ? page + 2 : page + 1;
}

/* Has a snapshot whose newest page is last every page up to commit? */
static bool
is_complete(const struct ltx_header *header, uint32_t last)
{
    return !is_snapshot(header) ||
           next_page(last, header->page_size) > header->commit;
}

/* May page stand after last in such a file? */
static bool
is_page_in_place(const struct ltx_header *header, uint32_t page, uint32_t last)
{
    if (page <= last || page > header->commit ||
        page == ltx_lock_page(header->page_size))
        return false;
    return !is_snapshot(header) || page == next_page(last, header->page_size);
}

static void
encode_header(char *at, const struct ltx_header *header)
{
    memset(at, 0, LTX_HEADER_SIZE);
    memcpy(at, "LTX1", 4);
    bytes_put_be32(at + 4, header->flags);
    bytes_put_be32(at + 8, header->page_size);
    bytes_put_be32(at + 12, header->commit);
    bytes_put_be64(at + 16, header->min_txid);
    bytes_put_be64(at + 24, header->max_txid);
    bytes_put_be64(at + 32, (uint64_t)header->timestamp_ms);
    bytes_put_be64(at + 40, header->pre_checksum);
    bytes_put_be64(at + 48, (uint64_t)header->wal_offset);
    bytes_put_be64(at + 56, (uint64_t)header->wal_size);
    bytes_put_be32(at + 64, header->wal_salt1);
    bytes_put_be32(at + 68, header->wal_salt2);
    bytes_put_be64(at + 72, header->node_id);
}

enum status
ltx_decode_header(const void *data, size_t len, struct ltx_header *header)
{
    const char *at = data;
    struct ltx_header h = { 0 };

    if (len < LTX_HEADER_SIZE || memcmp(at, "LTX1", 4) != 0)
        return STATUS_CORRUPT;
    h.flags = bytes_get_be32(at + 4);
    h.page_size = bytes_get_be32(at + 8);
    h.commit = bytes_get_be32(at + 12);
    h.min_txid = bytes_get_be64(at + 16);
    h.max_txid = bytes_get_be64(at + 24);
    h.timestamp_ms = (int64_t)bytes_get_be64(at + 32);
    h.pre_checksum = bytes_get_be64(at + 40);
    h.wal_offset = (int64_t)bytes_get_be64(at + 48);
    h.wal_size = (int64_t)bytes_get_be64(at + 56);
    h.wal_salt1 = bytes_get_be32(at + 64);
    h.wal_salt2 = bytes_get_be32(at + 68);
    h.node_id = bytes_get_be64(at + 72);
    if (!is_header_valid(&h))
        return STATUS_CORRUPT;
    *header = h;
    return STATUS_OK;
}

/* Append to the file and its checksum. */
static void
emit(struct ltx_encoder *encoder, const void *data, size_t len)
{
    buf_append(encoder->out, data, len);
    encoder->checksum = crc64_update(encoder->checksum, data, len);
    encoder->size += len;
}

enum status
ltx_encoder_new(struct ltx_encoder **encoder, const struct ltx_header *header,
    struct buf *out)
{
    char bytes[LTX_HEADER_SIZE];

    if (!is_header_valid(header))
        return STATUS_INVALID;
    struct ltx_encoder *e = memory_zalloc(sizeof(*e));
    e->header = *header;
    e->out = out;
    buf_init(&e->index);
    e->block_size = LZ4_compressBound((int)header->page_size);
    e->block = memory_alloc((size_t)e->block_size);
    encode_header(bytes, header);
    emit(e, bytes, sizeof(bytes));
    *encoder = e;
    return STATUS_OK;
}

void
ltx_encoder_free(struct ltx_encoder *encoder)
{
    if (encoder == NULL)
        return;
    buf_fini(&encoder->index);
    memory_free(encoder->block);
    memory_free(encoder);
}

enum status
ltx_encoder_add_page(
    struct ltx_encoder *encoder, uint32_t page, const void *data)
{
    const struct ltx_header *header = &encoder->header;
    char frame[LTX_PAGE_HEADER_SIZE] = { 0 };

    if (!is_page_in_place(header, page, encoder->last_page))
        return STATUS_INVALID;
    int len = LZ4_compress_default(
        data, encoder->block, (int)header->page_size, encoder->block_size);
    if (len <= 0)
        return STATUS_INVALID;
    bytes_put_be32(frame, page);
    frame[5] = PAGE_FLAG_SIZE;
    bytes_put_be32(frame + 6, (uint32_t)len);
    buf_append_varint(&encoder->index, page);
    buf_append_varint(&encoder->index, encoder->size);
    buf_append_varint(&encoder->index, sizeof(frame) + (size_t)len);
    emit(encoder, frame, sizeof(frame));
    /* The block goes to the file, the page itself to the checksum. */
    buf_append(encoder->out, encoder->block, (size_t)len);
    encoder->size += (uint64_t)len;
    encoder->checksum =
        crc64_update(encoder->checksum, data, header->page_size);
    encoder->last_page = page;
    return STATUS_OK;
}

/* The index's zero and its size field. */
static void
end_index(struct buf *index)
{
    char size[INDEX_SIZE_SIZE];

    buf_append_varint(index, 0);
    bytes_put_be64(size, index->len);
    buf_append(index, size, sizeof(size));
}

enum status
ltx_encoder_finish(struct ltx_encoder *encoder, uint64_t post_checksum)
{
    static const char end[END_SIZE];
    char number[8];

    if (!is_complete(&encoder->header, encoder->last_page))
        return STATUS_INVALID;
    emit(encoder, end, sizeof(end));
    end_index(&encoder->index);
    emit(encoder, encoder->index.data, encoder->index.len);
    bytes_put_be64(number, post_checksum);
    emit(encoder, number, sizeof(number));
    bytes_put_be64(number, encoder->checksum | CHECKSUM_FLAG);
    buf_append(encoder->out, number, sizeof(number));
    encoder->size += sizeof(number);
    return STATUS_OK;
}

uint64_t
ltx_encoder_size(const struct ltx_encoder *encoder)
{
    return encoder->size;
}

struct ltx_decoder *
ltx_decoder_new(ltx_page_fn visit, void *arg)
{
    struct ltx_decoder *decoder = memory_zalloc(sizeof(*decoder));

    decoder->visit = visit;
    decoder->arg = arg;
    decoder->need = LTX_HEADER_SIZE;
    return decoder;
}

void
ltx_decoder_set_room(struct ltx_decoder *decoder, ltx_room_fn room)
{
    decoder->room = room;
}

void
ltx_decoder_free(struct ltx_decoder *decoder)
{
    if (decoder == NULL)
        return;
    buf_fini(&decoder->piece);
    buf_fini(&decoder->index);
    memory_free(decoder->data);
    memory_free(decoder);
}

static enum status
refuse(struct ltx_decoder *decoder, const char *why)
{
    snprintf(decoder->error, sizeof(decoder->error), "%s", why);
    decoder->state = READ_NOTHING;
    return STATUS_CORRUPT;
}

static void
expect(struct ltx_decoder *decoder, enum decoder_state state, size_t need)
{
    decoder->state = state;
    decoder->need = need;
}

static enum status
step_header(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;

    if (ltx_decode_header(piece->data, piece->len, &decoder->header) !=
        STATUS_OK)
        return refuse(decoder, "not an LTX header");
    decoder->checksum = crc64_update(0, piece->data, piece->len);
    decoder->data = memory_alloc(decoder->header.page_size);
    decoder->offset = LTX_HEADER_SIZE;
    /* Six bytes tell a page's header from the end of the pages. */
    expect(decoder, READ_PAGE_HEADER, END_SIZE);
    return STATUS_OK;
}

static enum status
step_end_of_pages(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;

    if (bytes_get_be32(piece->data) != 0 || piece->data[4] != 0 ||
        piece->data[5] != 0)
        return refuse(decoder, "a page with the number zero");
    if (!is_complete(&decoder->header, decoder->last_page))
        return refuse(decoder, "a snapshot without all its pages");
    decoder->checksum = crc64_update(decoder->checksum, piece->data, END_SIZE);
    end_index(&decoder->index);
    expect(decoder, READ_INDEX, decoder->index.len);
    return STATUS_OK;
}

static enum status
step_page_header(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;
    uint32_t page = bytes_get_be32(piece->data);

    if (page == 0)
        return step_end_of_pages(decoder);
    if (piece->len < LTX_PAGE_HEADER_SIZE) {
        decoder->need = LTX_PAGE_HEADER_SIZE;
        return STATUS_EXISTS; /* keep the piece, gather on */
    }
    if (piece->data[4] != 0 || piece->data[5] != PAGE_FLAG_SIZE)
        return refuse(decoder, "unknown page flags");
    if (!is_page_in_place(&decoder->header, page, decoder->last_page))
        return refuse(decoder, "a page out of place");
    uint32_t len = bytes_get_be32(piece->data + 6);
    if (len == 0 ||
        len > (uint32_t)LZ4_compressBound((int)decoder->header.page_size))
        return refuse(decoder, "a compressed page of impossible size");
    decoder->checksum =
        crc64_update(decoder->checksum, piece->data, piece->len);
    decoder->page = page;
    expect(decoder, READ_BLOCK, len);
    return STATUS_OK;
}

static enum status
step_block(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;
    int page_size = (int)decoder->header.page_size;
    size_t frame_len = LTX_PAGE_HEADER_SIZE + piece->len;
    void *data = decoder->data;

    if (decoder->room != NULL) {
        enum status status = decoder->room(
            decoder->page, (size_t)page_size, &data, decoder->arg);
        if (status != STATUS_OK)
            return status;
    }
    if (LZ4_decompress_safe(piece->data, data, (int)piece->len, page_size) !=
        page_size)
        return refuse(decoder, "a page that does not decompress");
    decoder->checksum =
        crc64_update(decoder->checksum, data, (size_t)page_size);
    buf_append_varint(&decoder->index, decoder->page);
    buf_append_varint(&decoder->index, decoder->offset);
    buf_append_varint(&decoder->index, frame_len);
    decoder->offset += frame_len;
    decoder->frame_size = (uint32_t)frame_len;
    decoder->last_page = decoder->page;
    expect(decoder, READ_PAGE_HEADER, END_SIZE);
    if (decoder->visit == NULL)
        return STATUS_OK;
    return decoder->visit(decoder->page, data, decoder->arg);
}

static enum status
step_index(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;

    if (memcmp(piece->data, decoder->index.data, piece->len) != 0)
        return refuse(decoder, "an index that does not fit the pages");
    decoder->checksum =
        crc64_update(decoder->checksum, piece->data, piece->len);
    expect(decoder, READ_TRAILER, LTX_TRAILER_SIZE);
    return STATUS_OK;
}

static enum status
step_trailer(struct ltx_decoder *decoder)
{
    const struct slice *piece = &decoder->step;

    decoder->post_checksum = bytes_get_be64(piece->data);
    decoder->checksum = crc64_update(decoder->checksum, piece->data, 8);
    if ((decoder->checksum | CHECKSUM_FLAG) != bytes_get_be64(piece->data + 8))
        return refuse(decoder, "file checksum mismatch");
    expect(decoder, READ_NOTHING, 0);
    return STATUS_OK;
}

static enum status
take_step(struct ltx_decoder *decoder)
{
    static enum status (*const steps[])(struct ltx_decoder *) = {
        [READ_HEADER] = step_header,
        [READ_PAGE_HEADER] = step_page_header,
        [READ_BLOCK] = step_block,
        [READ_INDEX] = step_index,
        [READ_TRAILER] = step_trailer,
    };

    return steps[decoder->state](decoder);
}

/*
 * A step with what was gathered and what comes next of len bytes at data, as
 * far as that is enough.  *used: bytes of data that are not needed again.
 */
static enum status
feed_step(
    struct ltx_decoder *decoder, const char *data, size_t len, size_t *used)
{
    struct buf *piece = &decoder->piece;
    enum status status;

    *used = 0;
    if (piece->len == 0 && len >= decoder->need) {
        decoder->step = slice_make(data, decoder->need);
        status = take_step(decoder);
        if (status != STATUS_EXISTS)
            *used = decoder->step.len;
        return status == STATUS_EXISTS ? STATUS_OK : status;
    }
    *used = decoder->need - piece->len;
    if (*used > len)
        *used = len;
    buf_append(piece, data, *used);
    if (piece->len < decoder->need)
        return STATUS_OK;
    decoder->step = buf_slice(piece);
    status = take_step(decoder);
    if (status == STATUS_EXISTS)
        return STATUS_OK;
    buf_clear(piece, 2 * LTX_PAGE_SIZE_MAX);
    return status;
}

enum status
ltx_decoder_feed(struct ltx_decoder *decoder, const void *data, size_t len)
{
    const char *at = data;

    if (decoder->error[0] != '\0')
        return STATUS_CORRUPT;
    while (len > 0) {
        size_t used;
        if (decoder->state == READ_NOTHING)
            return refuse(decoder, "bytes after the end");
        enum status status = feed_step(decoder, at, len, &used);
        if (status != STATUS_OK)
            return status;
        at += used;
        len -= used;
    }
    return STATUS_OK;
}

enum status
ltx_decoder_finish(struct ltx_decoder *decoder)
{
    if (decoder->error[0] != '\0')
        return STATUS_CORRUPT;
    if (decoder->state != READ_NOTHING)
        return refuse(decoder, "the file ends too early");
    return STATUS_OK;
}

const struct ltx_header *
ltx_decoder_header(const struct ltx_decoder *decoder)
{
    return &decoder->header;
}

uint64_t
ltx_decoder_post_checksum(const struct ltx_decoder *decoder)
{
    return decoder->post_checksum;
}

const char *
ltx_decoder_error(const struct ltx_decoder *decoder)
{
    return decoder->error;
}

void
ltx_decoder_frame(
    const struct ltx_decoder *decoder, uint64_t *offset, uint32_t *size)
{
    *offset = decoder->offset - decoder->frame_size;
    *size = decoder->frame_size;
}

enum status
ltx_decode_frame(
    const void *frame, uint32_t size, void *data, uint32_t page_size)
{
    const char *block = (const char *)frame + LTX_PAGE_HEADER_SIZE;

    if (size <= LTX_PAGE_HEADER_SIZE ||
        LZ4_decompress_safe(block, data, (int)(size - LTX_PAGE_HEADER_SIZE),
            (int)page_size) != (int)page_size)
        return STATUS_CORRUPT;
    return STATUS_OK;
}
