/*
 * keeper.h -- keeps the history in the bucket small: compactions to levels 1
 * to 3, snapshots at level 9, and deletion of what retention no longer needs.
 *
 * Runs after the shipper, on the same thread and store, one job at a time, as a
 * state machine (keeper_step).  It only ever writes names that follow from
 * their contents, and deletes a file only after a LIST showed that another
 * whole path covers its txids; each delete is verified.  Uploads that a process
 * before left half done are aborted (keepertidy.h).
 *
 *   early      files that this process has just shipped are merged from memory
 *              (recent.h), without a LIST or a GET, as soon as there are many:
 *              under durability bucket hundreds come each second
 *   snapshot   every page of the database at one txid, read from the file and
 *              the WAL under a read transaction that the committer opened for
 *              it, so that commits go on meanwhile
 */
#ifndef WALDEN_REPLICATION_KEEPER_H
#define WALDEN_REPLICATION_KEEPER_H

#include "replication/objectstore.h"

#define KEEPER_LEVELS 3
#define KEEPER_EARLY_FILES 200 /* as many as one merge takes */

struct recent;

struct keeper_options {
    int64_t level_interval_ms[KEEPER_LEVELS]; /* 30 s, 5 min, 1 h; 0: off */
    int64_t snapshot_interval_ms;             /* 24 h; 0: only the first */
    int64_t retention_ms;                     /* of snapshots; 24 h */
    int64_t level0_retention_ms;              /* 5 min after compaction */
    bool deletes;                             /* false: "retention off" */
    const char *scratch;                      /* folder for temporary files */
    struct recent *recent; /* lent; NULL: what is merged is fetched */
    uint64_t early_files;  /* of recent, merged before the interval; 0: off */
};

struct keeper;
/*
 * snapshot: makes the whole database at one txid as an LTX file in fd; answers
 * the txid.  May be called in pieces: STATUS_BUSY means call again.
 */
typedef enum status (*keeper_snapshot_fn)(
    int fd, uint64_t *size, uint64_t *txid, void *arg);
struct keeper *keeper_new(struct objectstore *store,
    const struct keeper_options *options, keeper_snapshot_fn snapshot,
    void *arg);
void keeper_free(struct keeper *keeper);
/*
 * The shipper shipped txid: there may be something to do.  One more may be in
 * the bucket, whose PUT was not answered yet.
 */
void keeper_note_shipped(
    struct keeper *keeper, uint64_t txid, uint64_t size, int64_t now_ms);
/* A snapshot is due now (history lost, or asked for). */
void keeper_want_snapshot(struct keeper *keeper);
/* Done since the start. */
void keeper_counts(const struct keeper *keeper, uint64_t *compactions,
    uint64_t *snapshots, uint64_t *deletes);
/*
 * Did a LIST since the last call show what only another writer can have
 * shipped?  The keeper rests then until something is shipped again, and the
 * shipper finds out whether it is so (shipper_doubt()).
 */
bool keeper_take_sighting(struct keeper *keeper);
/* As shipper_step(). */
int64_t keeper_step(struct keeper *keeper, int64_t now_ms);

#endif
