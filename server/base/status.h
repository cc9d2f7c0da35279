/*
 * status.h -- what a fallible function answers.
 *
 * Bugs are asserted (check.h), the world returns a status, the client gets a
 * reply.  A status is either returned or logged, never both.
 */
#ifndef WALDEN_BASE_STATUS_H
#define WALDEN_BASE_STATUS_H

/* The compiler refuses a caller that drops the answer. */
#define MUST_CHECK __attribute__((warn_unused_result))

enum status {
    STATUS_OK = 0,
    STATUS_NOT_FOUND,     /* what was asked for is not there */
    STATUS_EXISTS,        /* what was to be made is there already */
    STATUS_INVALID,       /* the input is not of the form required */
    STATUS_RANGE,         /* a number or an offset outside its limits */
    STATUS_LIMIT,         /* a named limit was reached */
    STATUS_NO_MEMORY,     /* a "try" allocation was refused */
    STATUS_IO,            /* read, write or fsync failed */
    STATUS_FULL,          /* no space left on the device */
    STATUS_CORRUPT,       /* stored bytes are not what was written */
    STATUS_BUSY,          /* somebody else holds it */
    STATUS_NEWER_VERSION, /* made by a newer Walden */
    STATUS_DENIED,        /* permission or credentials refused */
    STATUS_CONFLICT,      /* a condition (If-None-Match) did not hold */
    STATUS_TIMEOUT,       /* no answer in time */
    STATUS_UNSUPPORTED    /* the other side cannot do this */
};

/* A few lower-case words for a log line or an error; never NULL. */
const char *status_text(enum status status);

#endif
