/*
 * upload.h -- a large PUT in parts: S3's multipart upload.
 *
 *   begin -> parts, UPLOAD_PARALLEL at a time -> end; on failure: abort
 *
 * S3 takes no more than 5 GiB in one PUT, and a PUT that breaks off begins
 * again at its first byte.  So what is larger than one part goes up in parts,
 * each with the SHA-256 of its bytes and each tried again by itself.  The
 * object appears when the upload is ended, whole, and not before.
 *
 * For the caller it is one request, submitted as any other (objectstore.h).
 * Parts are read from the file as they are sent: no part is ever in memory.
 * SHIP does other things beside, so a part is hashed in slices, one a poll.
 *
 * What holds of if_none_match: a PUT with it is sent in one piece as long as
 * that is possible (put_size_max), because there every store that fences has
 * been seen to.  Above that size the condition goes with the end of the upload.
 * AWS obeys it there; Ceph 16 ignores it, and answers 200.  So the first such
 * upload finds out: one of a few bytes, over an object that is there, must be
 * refused.  Where it is not, the PUT is STATUS_INVALID, and nothing is stored.
 *
 * An upload whose process was killed stays in the store, invisible and paid
 * for, until somebody aborts it: keepertidy.h.
 */
#ifndef WALDEN_REPLICATION_UPLOAD_H
#define WALDEN_REPLICATION_UPLOAD_H

#include "replication/objectstore.h"

#define UPLOAD_PART_SIZE (32 * 1024 * 1024) /* bytes, unless too many parts */
#define UPLOAD_PARTS_MAX 10000              /* S3's limit */
#define UPLOAD_PARALLEL 4                   /* parts being sent */
/* S3's limit of a PUT in one piece. */
#define UPLOAD_PUT_SIZE_MAX (UINT64_C(5) * 1024 * 1024 * 1024)
#define UPLOAD_OBJECT_SIZE_MAX (UINT64_C(5) << 40) /* S3's limit of an object */
#define UPLOAD_PATIENCE_MS 120000 /* without any success, then given up */

/* Must this PUT go up in parts? */
bool upload_is_for(
    const struct objectstore *store, const struct objectstore_request *request);
/* request->done is called from an upload_step_all(), never from here. */
void upload_start(
    struct objectstore *store, struct objectstore_request *request);
/*
 * Give it up: done is called, with STATUS_TIMEOUT; the abort is sent behind the
 * caller's back.  false: it is no upload.
 */
bool upload_cancel(
    struct objectstore *store, struct objectstore_request *request);
/* Go on with all of them.  ms until there is something to do; -1: answers */
/* are waited for. */
int64_t upload_step_all(struct objectstore *store);
/* Is the upload with this id one of them? */
bool upload_is_under_way(const struct objectstore *store, struct slice id);
/* The store is being closed: give all up, at once. */
void upload_end_all(struct objectstore *store);

/* Bytes of each part but the last. */
uint64_t upload_part_size(uint64_t size_min, uint64_t object_size);

#endif
