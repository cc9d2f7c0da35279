/*
 * ltx.h -- LTX files, format "LTX1" version 3, as Litestream 0.5 writes and
 * reads them.  (Byte by byte at the head of ltx.c; source: the format's public
 * description.)
 *
 * A file is the pages that changed between two transaction ids.  Pages go in
 * by ascending number, each as an LZ4 block; an index and checksums follow.
 * A file whose min_txid is 1 is a snapshot and holds every page 1..commit but
 * the lock page.
 *
 * Thread: any, one at a time for each encoder or decoder.
 */
#ifndef WALDEN_REPLICATION_LTX_H
#define WALDEN_REPLICATION_LTX_H

#include "server/base/buf.h"

#define LTX_HEADER_SIZE 100
#define LTX_TRAILER_SIZE 16
#define LTX_PAGE_HEADER_SIZE 10  /* number, flags, compressed size */
#define LTX_FLAG_NO_CHECKSUM 0x2 /* no database checksums are kept */
#define LTX_PAGE_SIZE_MIN 512
#define LTX_PAGE_SIZE_MAX 65536
#define LTX_LEVEL_SNAPSHOT 9
#define LTX_LEVEL_MAX 8 /* of compactions */

struct ltx_header {
    uint32_t flags;
    uint32_t page_size; /* bytes */
    uint32_t commit;    /* database size in pages after apply */
    uint64_t min_txid, max_txid;
    int64_t timestamp_ms;         /* wall clock */
    uint64_t pre_checksum;        /* 0 with LTX_FLAG_NO_CHECKSUM */
    int64_t wal_offset, wal_size; /* bytes; 0 for snapshots, compactions */
    uint32_t wal_salt1, wal_salt2;
    uint64_t node_id;
};

/* Page number of the lock page, never stored: the one holding byte 2^30. */
uint32_t ltx_lock_page(uint32_t page_size);
/* A page's part of the database checksum. */
uint64_t ltx_page_checksum(uint32_t page, const void *data, size_t size);

/* Encode: bytes are appended to *out, which the caller may drain (write away */
/* and buf_clear) between any two calls. */
struct ltx_encoder;
MUST_CHECK enum status ltx_encoder_new(struct ltx_encoder **encoder,
    const struct ltx_header *header, struct buf *out);
void ltx_encoder_free(struct ltx_encoder *encoder);
/* STATUS_INVALID: pages out of order, the lock page, beyond commit. */
MUST_CHECK enum status ltx_encoder_add_page(
    struct ltx_encoder *encoder, uint32_t page, const void *data);
/* Index and trailer.  post_checksum 0 with LTX_FLAG_NO_CHECKSUM. */
/* STATUS_INVALID: a snapshot that lacks a page. */
MUST_CHECK enum status ltx_encoder_finish(
    struct ltx_encoder *encoder, uint64_t post_checksum);
uint64_t ltx_encoder_size(const struct ltx_encoder *encoder); /* bytes so far */

/*
 * Decode a stream: feed bytes as they come, in any pieces; visit is called for
 * each page.  STATUS_CORRUPT (error says what) on anything that is not a
 * well-formed file, including the file checksum at the end.
 */
typedef enum status (*ltx_page_fn)(uint32_t page, const void *data, void *arg);
struct ltx_decoder;
struct ltx_decoder *ltx_decoder_new(ltx_page_fn visit, void *arg);
void ltx_decoder_free(struct ltx_decoder *decoder);
/*
 * Decompress each page to where room says, instead of to a buffer of the
 * decoder's own; visit is then given that place.  arg is visit's.  A status
 * that is not STATUS_OK is ltx_decoder_feed()'s answer.
 */
typedef enum status (*ltx_room_fn)(
    uint32_t page, size_t size, void **room, void *arg);
void ltx_decoder_set_room(struct ltx_decoder *decoder, ltx_room_fn room);
MUST_CHECK enum status ltx_decoder_feed(
    struct ltx_decoder *decoder, const void *data, size_t len);
/* All bytes were fed: is the file whole? */
MUST_CHECK enum status ltx_decoder_finish(struct ltx_decoder *decoder);
/* Valid once LTX_HEADER_SIZE bytes were fed. */
const struct ltx_header *ltx_decoder_header(const struct ltx_decoder *decoder);
uint64_t ltx_decoder_post_checksum(const struct ltx_decoder *decoder);
/* During visit: where the page's frame stands in the file, and its bytes. */
void ltx_decoder_frame(
    const struct ltx_decoder *decoder, uint64_t *offset, uint32_t *size);
/* Decompress the LZ4 block of a frame into page_size bytes. */
MUST_CHECK enum status ltx_decode_frame(
    const void *frame, uint32_t size, void *data, uint32_t page_size);
const char *ltx_decoder_error(const struct ltx_decoder *decoder);

/* Only the header. */
MUST_CHECK enum status ltx_decode_header(
    const void *data, size_t len, struct ltx_header *header);

#endif
