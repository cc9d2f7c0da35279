/*
 * keepermerge.h -- the keeper's FETCH and MERGE: keeper->inputs become one file
 * in keeper->out_fd.  Private to the keeper.  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_KEEPERMERGE_H
#define WALDEN_REPLICATION_KEEPERMERGE_H

#include "replication/keeperjob.h"

/* Begin to fetch the inputs that are not in memory.  false: the round has */
/* been given up. */
bool keepermerge_start(struct keeper *keeper);
/* Send the parts that fit; when all have come, merge.  As keeper_step(). */
int64_t keepermerge_step(struct keeper *keeper);
/* A part has come: write it where it belongs. */
MUST_CHECK bool keepermerge_write_part(
    struct keeper *keeper, const struct keeper_slot *slot);
/*
 * The merge is over (keeper->is_merged).  true: out_fd is to be PUT as
 * out_name; false: the round has been given up.
 */
MUST_CHECK bool keepermerge_finish(struct keeper *keeper);

#endif
