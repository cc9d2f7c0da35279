/*
 * shippersend.h -- the shipper's requests: one is in flight at most, and
 * shipper->phase says what it is for.  Private to the shipper.  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_SHIPPERSEND_H
#define WALDEN_REPLICATION_SHIPPERSEND_H

#include "replication/shipper.h"

/* Open the file to ship if it is in the outbox.  false: noted, wait. */
MUST_CHECK bool shippersend_load_outbox(struct shipper *shipper);
/* The oldest file that is taken. */
void shippersend_put(struct shipper *shipper);
/* Read the object that is in the way of the PUT. */
void shippersend_check(struct shipper *shipper);
/* Is there anything after our newest?  (The newest level-0 file of whoever */
/* owns the prefix is never deleted.) */
void shippersend_head(struct shipper *shipper);

#endif
