/*
 * digest.h -- DEBUG DIGEST: one number for a data set, the same for the same
 * data in whatever order and encoding, and the same that Redis computes.
 */
#ifndef WALDEN_SERVER_DIGEST_H
#define WALDEN_SERVER_DIGEST_H

#include "server/command.h"

#define DIGEST_SIZE 20 /* bytes: SHA-1 */

/* Of all databases.  Fails: STATUS_IO, STATUS_CORRUPT, STATUS_NO_MEMORY. */
MUST_CHECK enum status digest_all(
    struct call *call, unsigned char digest[DIGEST_SIZE]);
/* Of one key's value and expiry; zeros if there is none. */
MUST_CHECK enum status digest_value(
    struct call *call, struct slice name, unsigned char digest[DIGEST_SIZE]);

#endif
