/*
 * shipperjudge.h -- what the bucket's answers mean.  Private to the shipper.
 * Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_SHIPPERJUDGE_H
#define WALDEN_REPLICATION_SHIPPERJUDGE_H

#include "replication/shipper.h"

/* The request in flight is done: judge it by the phase, and go on from it. */
void shipperjudge_run(struct shipper *shipper);
/* The head of the history is looked at after so long without a word of it. */
int64_t shipperjudge_stall_limit_ms(const struct shipper *shipper);

#endif
