/*
 * shippertake.h -- the shipper's files: frames into memory or the outbox, the
 * whole database into an image.  Private to the shipper.  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_SHIPPERTAKE_H
#define WALDEN_REPLICATION_SHIPPERTAKE_H

#include "replication/shipper.h"

/* Was anything committed since the last take? */
bool shippertake_has_frames(
    const struct shipper *shipper, const struct tap_position *current);
/*
 * Encode what was committed since the last take into out, as the next txid;
 * the caller pushes its span once the file is where it belongs.
 * Fails: noted, and sending waits.
 */
MUST_CHECK enum status shippertake_encode(
    struct shipper *shipper, const struct tap_position *to, struct buf *out);
/*
 * The committer needs its WAL back: put everything into the outbox.  A take
 * that fails is tried again when the committer asks again.
 */
void shippertake_to_outbox(struct shipper *shipper);
/* Room again in the outbox?  Then commits go on. */
void shippertake_end_stall(struct shipper *shipper);

/*
 * The whole database as the next txid (1, or after frames were lost): started,
 * made in slices while the phase is PHASE_IMAGE, then a span and body_fd.  The
 * WAL is held until the bucket has it.
 */
void shippertake_start_image(struct shipper *shipper);
void shippertake_step_image(struct shipper *shipper);
/*
 * An image that could not be sent is dropped: keeping it would keep the WAL.
 * The next one is made when the bucket has answered a LIST.
 */
void shippertake_drop_image(struct shipper *shipper);

#endif
