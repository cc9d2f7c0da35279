/*
 * keeperjob.h -- one round of the keeper: what it holds, its requests, its end.
 *
 * Private to the keeper: keeper.c (what is due, LIST, PUT, DELETE),
 * keepermerge.c (FETCH, MERGE) and keepertidy.c (TIDY).  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_KEEPERJOB_H
#define WALDEN_REPLICATION_KEEPERJOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "replication/backoff.h"
#include "replication/compaction.h"
#include "replication/keeper.h"
#include "replication/layout.h"

#define KEEPERJOB_INPUTS_MAX 200 /* files of one merge */
#define KEEPERJOB_PARALLEL 8     /* requests at once */

enum keeper_state {
    KEEPER_IDLE,
    KEEPER_LIST,
    KEEPER_SNAPSHOT,
    KEEPER_FETCH,
    KEEPER_MERGE,
    KEEPER_PUT,
    KEEPER_DELETE,
    KEEPER_TIDY
};

/* One request of several; what for depends on the state. */
struct keeper_slot {
    struct objectstore_request request;
    struct keeper *keeper;
    char name[LAYOUT_NAME_SIZE];
    size_t index; /* of the input or the delete */
    uint64_t offset;
    struct backoff backoff;
    int64_t retry_at_ms; /* 0: under way */
    bool is_used, is_done;
};

/* An upload that nobody will end. */
struct keeper_upload {
    char name[LAYOUT_NAME_SIZE];
    char *id;
};

struct keeper {
    struct objectstore *store;
    struct keeper_options options;
    keeper_snapshot_fn snapshot;
    void *arg;

    enum keeper_state state;
    int64_t now_ms;
    struct keeper_slot slots[KEEPERJOB_PARALLEL];
    struct buf list_after;

    struct layout_file *files; /* of the last LIST */
    size_t file_count, file_size;
    int64_t listed_ms; /* when it began */

    unsigned level; /* being made */
    struct layout_file inputs[KEEPERJOB_INPUTS_MAX];
    struct compaction_input sources[KEEPERJOB_INPUTS_MAX]; /* their bytes */
    size_t input_count, next_input;
    int fetch_fd; /* what is fetched of them, one after another; -1: nothing */
    uint64_t next_offset, input_bytes;

    int out_fd; /* the file made; -1: none */
    uint64_t out_size;
    int64_t out_timestamp_ms;
    char out_name[LAYOUT_NAME_SIZE];
    pthread_t merger;
    bool has_merger;
    atomic_bool is_merged;
    enum status merge_status;
    struct buf merge_error;

    struct layout_file *deletes;
    size_t delete_count, next_delete;
    struct layout_file *deleted; /* must be gone from the next LIST */
    size_t deleted_count, deleted_size;

    struct keeper_upload *tidy; /* to be aborted */
    size_t tidy_count, next_tidy;
    int64_t tidy_at_ms;     /* when to look for the next */
    uint64_t uploads_left;  /* the store's count at the last look */
    bool is_tidy_verifying; /* the second look */

    int64_t due_ms[KEEPER_LEVELS]; /* 0: nothing to do */
    int64_t snapshot_due_ms;       /* likewise */
    int64_t next_snapshot_ms;      /* none is made before */
    int64_t retry_at_ms;
    struct backoff backoff;
    bool is_snapshot_wanted, has_failed;
    bool has_shipped;      /* something, since the last LIST began */
    uint64_t shipped_txid; /* 0: not known */
    bool has_sighting;     /* see keeper_take_sighting() */
    bool has_snapshot;     /* the round has made one */
    bool is_early;         /* being merged: not from the list, from memory */
    uint64_t reach;        /* up to which level 1 goes; 0: not known */
    uint64_t compactions, snapshots, deletes_done;
};

/* ---- a round ---- */

/* An unnamed file in the scratch folder, or -1. */
MUST_CHECK int keeperjob_open_scratch(struct keeper *keeper);
void keeperjob_close_inputs(struct keeper *keeper);
void keeperjob_close_output(struct keeper *keeper);
void keeperjob_join_merger(struct keeper *keeper);
/* Let go of everything, cancel what is under way. */
void keeperjob_end(struct keeper *keeper);
/*
 * The round is given up; what was due stays due, until so many rounds failed
 * that it waits for something new to be shipped (B5).
 */
void keeperjob_fail(struct keeper *keeper, const char *what, const char *why);
void keeperjob_finish(struct keeper *keeper);

/* ---- requests ---- */

/* A slot that is not used, or NULL. */
struct keeper_slot *keeperjob_find_slot(struct keeper *keeper);
/* Make slot's request, of the object slot->name. */
void keeperjob_prepare(
    struct keeper *keeper, struct keeper_slot *slot, enum objectstore_op op);
void keeperjob_release(struct keeper_slot *slot);
/*
 * A request came back.  true: its status is the caller's to judge; false: it
 * waits to be sent again, or the round has been given up.
 */
bool keeperjob_is_final(
    struct keeper *keeper, struct keeper_slot *slot, const char *what);
/* Send again what is due; answer: ms until the next is, -1: none waits. */
int64_t keeperjob_retry(struct keeper *keeper);
/* One that came back, or NULL. */
struct keeper_slot *keeperjob_next_done(struct keeper *keeper);
bool keeperjob_is_busy(const struct keeper *keeper);

#endif
