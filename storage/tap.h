/*
 * tap.h -- committed WAL frames, for whoever ships them.
 *
 * The COMMIT thread publishes how far the WAL is committed and synced; the
 * reader of the tap (SHIP) reads those frames from the WAL file through a file
 * descriptor of its own, and says how far it has taken them safely.
 *
 *   B2  A checkpoint never lets SQLite overwrite a frame that was not taken:
 *       the committer asks tap_may_reset() before it checkpoints the whole
 *       WAL, and does not checkpoint while the answer is no.
 *
 *   WAL file   | header | frame | frame | frame | frame | ...
 *                               ^taken          ^committed
 *
 * After a full checkpoint SQLite starts the WAL over with salt1 + 1 and a new
 * salt2; as all was taken before, the tap goes on at the first frame of the
 * new one.  That is also how a restart knows that nothing is missing.
 */
#ifndef WALDEN_STORAGE_TAP_H
#define WALDEN_STORAGE_TAP_H

#include "server/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TAP_WAL_HEADER_SIZE 32
#define TAP_FRAME_HEADER_SIZE 24

struct tap;

/* A place in the WAL: the end of a committed transaction. */
struct tap_position {
    uint32_t salt1, salt2;
    uint64_t offset; /* bytes from the start of the file */
    uint64_t seq;    /* newest batch committed by then */
    bool is_synced;  /* false: fdatasync the WAL before trusting it */
    bool is_in_file; /* checkpointed: its frames may be overwritten */
};

/* Are both in the same WAL, not one before and one after a restart of it? */
static inline bool
tap_is_same_wal(const struct tap_position *a, const struct tap_position *b)
{
    return a->salt1 == b->salt1 && a->salt2 == b->salt2;
}

struct tap *tap_new(const char *database_path);
void tap_free(struct tap *tap);

/* ---- COMMIT ------------------------------------------------------------ */

/* A transaction was committed; frames are in the WAL (sqlite3_wal_hook). */
void tap_publish(
    struct tap *tap, uint64_t frames, uint64_t seq, bool is_synced);
/*
 * May the whole WAL be checkpointed (and so started over)? Asks the taker to
 * hurry if not, and waits for it up to timeout_ms.  After a true answer nobody
 * can hold the tap until tap_end_reset() or the next tap_publish().
 */
bool tap_may_reset(struct tap *tap, int timeout_ms);
/*
 * The checkpoint that was allowed is over.  is_whole: all of the WAL is in the
 * database file now.
 */
void tap_end_reset(struct tap *tap, bool is_whole);

/* Has the taker no room, so that commits must wait for it?  Waits up to */
/* timeout_ms for it to have room again. */
bool tap_is_stalled(struct tap *tap, int timeout_ms);

/* ---- SHIP ---------------------------------------------------------------- */

/* Called in COMMIT's thread when there is something new, or the committer */
/* wants the taker to hurry; must only wake SHIP. */
typedef void (*tap_wake_fn)(bool is_urgent, void *arg);
void tap_set_wake(struct tap *tap, tap_wake_fn wake, void *arg);
/* Newest position published. */
void tap_current(struct tap *tap, struct tap_position *position);
/* Everything up to position is safe elsewhere (fsynced). */
void tap_set_taken(struct tap *tap, const struct tap_position *position);
/*
 * While held, tap_may_reset() says no: the database file does not change and
 * the WAL keeps its frames (those that are not is_in_file), so that a snapshot
 * can read both.  false: a checkpoint is under way, try again.
 */
bool tap_try_hold(struct tap *tap);
void tap_release(struct tap *tap);
/*
 * The taker has no room (is_stalled), or has it again.  While stalled, and past
 * checkpoint_size of WAL, the committer takes no batch.  From any thread.
 */
void tap_set_stalled(struct tap *tap, bool is_stalled);
/* From now on commits wait for nothing: the end.  Any thread. */
void tap_end_stalls(struct tap *tap);
/* fdatasync the WAL file. */
MUST_CHECK enum status tap_sync(struct tap *tap);
/*
 * Visit the frames in [from, to), both ends of transactions of one WAL
 * generation, checking salts.  data: page_size bytes, lent during the call.
 * commit: database size in pages after the last frame.
 * Fails: STATUS_IO, STATUS_CORRUPT, what visit answers.
 */
typedef enum status (*tap_frame_fn)(
    uint32_t page, uint64_t data_offset, const void *data, void *arg);
MUST_CHECK enum status tap_read(struct tap *tap, uint64_t from, uint64_t to,
    uint32_t *page_size, uint32_t *commit, tap_frame_fn visit,
    void *arg); /* Read one page's data again at an offset visit was given. */
MUST_CHECK enum status tap_read_page(
    struct tap *tap, uint64_t data_offset, void *data, uint32_t page_size);

#endif
