/*
 * s3answer.h -- what an answer of object storage says.
 *
 * Headers into the fields of a request; status, error's body and body into its
 * outcome.  No I/O.
 * Thread: any.
 */
#ifndef WALDEN_REPLICATION_S3ANSWER_H
#define WALDEN_REPLICATION_S3ANSWER_H

#include <curl/curl.h>

#include "replication/objectstore.h"

/* One line of the header, as it arrived. */
void s3answer_take_header(
    struct objectstore_request *request, struct slice line);

/*
 * All has arrived, or will never: set request->status and request->error.
 * code: libcurl's outcome.  failure: the beginning of the body if the status
 * was not 2xx.  prefix: the store's, for the names of a LIST.
 * http_status, answer and object_size are set already.
 */
void s3answer_judge(struct objectstore_request *request, CURLcode code,
    struct slice failure, struct slice prefix);

#endif
