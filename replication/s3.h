/*
 * s3.h -- object storage over S3's HTTP interface, with libcurl's multi
 * interface: one connection is kept open, requests run side by side, nothing
 * blocks.  Opened through objectstore_open().
 *
 * Quirks it knows (each met on a real server): 412, 409 or 500 for the loser of
 * a conditional PUT; keys in LIST answers percent-encoded inside XML entities;
 * Expect: 100-continue switched off; Content-Length always; path taken as it
 * is.
 */
#ifndef WALDEN_REPLICATION_S3_H
#define WALDEN_REPLICATION_S3_H

#include "replication/objectstore.h"

#define S3_ANSWER_SIZE_MAX (256 * 1024 * 1024) /* bytes kept of an answer */
#define S3_ERROR_BODY_MAX 4096                 /* bytes read of an error */
#define S3_LIST_COUNT_MAX 1000                 /* names of one LIST page */
#define S3_STALL_SECONDS 20 /* under 1 byte/s for so long: given up */

MUST_CHECK enum status s3_open(struct objectstore **store,
    const struct objectstore_options *options, struct buf *error);

#endif
