/*
 * keepertidy.h -- the keeper's TIDY: uploads that nobody will end are aborted.
 *
 * A process that was killed in the middle of a large PUT leaves its parts in
 * the store, where they are seen by no LIST and paid for; where the store is a
 * folder, in the middle of any PUT, a temporary file.  A round looks for
 * such uploads after its deletes: the first round of a process, one each
 * retention of snapshots, and the next one after an upload of our own was not
 * surely aborted.  Where nothing may be deleted nothing is looked for.
 *
 * Aborted is only what has the name of an LTX file (or of the probe that each
 * start writes), was begun longer ago than that retention by the store's clock,
 * and is not under way in this
 * process; at most KEEPERTIDY_MAX at a time.  A second look tells whether they
 * are gone.
 *
 * Private to the keeper.  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_KEEPERTIDY_H
#define WALDEN_REPLICATION_KEEPERTIDY_H

#include "replication/keeperjob.h"

#define KEEPERTIDY_MAX 100 /* uploads aborted in one round */

/* Is it time to look?  If so, begin: the state is KEEPER_TIDY. */
MUST_CHECK bool keepertidy_start(struct keeper *keeper);
/* Send what is to be sent; at the end the round is finished.  As keeper_step().
 */
int64_t keepertidy_step(struct keeper *keeper);
/* An answer, to a LIST or an abort, whatever it says. */
void keepertidy_judge(struct keeper *keeper, struct keeper_slot *slot);

#endif
