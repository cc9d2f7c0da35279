/*
 * s3list.h -- reading the XML of S3's answers: ListObjectsV2,
 * ListMultipartUploads, CreateMultipartUpload.
 *
 * Not an XML parser: S3's answers are flat and never use attributes or CDATA
 * where it matters, so elements are found by their tags.  Names arrive
 * percent-encoded (encoding-type=url) inside XML entities (Ceph sends ' as
 * &apos;): entities are decoded first, then %XX.
 * Pure.  Thread: any.
 */
#ifndef WALDEN_REPLICATION_S3LIST_H
#define WALDEN_REPLICATION_S3LIST_H

#include "replication/objectstore.h"

#define S3LIST_NAME_SIZE_MAX 4096 /* bytes of a name, encoded */
#define S3LIST_ID_SIZE_MAX 2048   /* bytes of an upload's id */

/*
 * Fill request->entries and has_more.  prefix: the store's, cut off from the
 * names; names that do not start with it are left out.
 * Fails: STATUS_CORRUPT (not such an answer, or cut short).
 */
MUST_CHECK enum status s3list_parse(
    struct objectstore_request *request, struct slice xml, struct slice prefix);

/*
 * The same of a list of uploads: each entry's name, upload and modified_ms
 * (when it was begun).
 */
MUST_CHECK enum status s3list_parse_uploads(
    struct objectstore_request *request, struct slice xml, struct slice prefix);

/* Append the id of the upload that was begun.  STATUS_CORRUPT: it has none. */
MUST_CHECK enum status s3list_parse_upload_id(struct slice xml, struct buf *id);

/* "2026-11-21T10:00:00.123Z" in ms since 1970; 0: not such a time. */
int64_t s3list_parse_time(const char *text);

#endif
