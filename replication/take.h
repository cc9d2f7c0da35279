/*
 * take.h -- frames of the WAL, or the whole database, as an LTX file.
 *
 * Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_TAKE_H
#define WALDEN_REPLICATION_TAKE_H

#include "replication/ltx.h"
#include "storage/tap.h"

/* What the file's header says besides what the frames say. */
struct take_header {
    uint64_t min_txid, max_txid;
    int64_t timestamp_ms;
    uint64_t node_id;
};

/*
 * Encode the pages that changed between two positions (newest version of each)
 * into out.  from: end of the last take; if it is in an earlier WAL (which was
 * then taken to its end) the present one is read from its beginning.
 * Fails: STATUS_IO, STATUS_CORRUPT; out is then unusable.
 */
MUST_CHECK enum status take_frames(struct tap *tap,
    const struct tap_position *from, const struct tap_position *to,
    const struct take_header *header, struct buf *out);

/*
 * The whole database as of a position: pages from the WAL where it has them,
 * else from the file.  The tap must be held (tap_try_hold) from the moment the
 * position was current, or taken, until the image is whole.
 *
 * Made in slices: image_step() encodes for up to budget_us and answers
 * STATUS_BUSY until the file in fd is whole and STATUS_OK.
 */
struct take_image;
MUST_CHECK enum status take_image_start(struct take_image **image,
    struct tap *tap, const char *database_path, const struct tap_position *at,
    const struct take_header *header, int fd);
MUST_CHECK enum status take_image_step(
    struct take_image *image, int64_t budget_us);
uint64_t take_image_size(const struct take_image *image); /* bytes written */
void take_image_free(struct take_image *image);

#endif
