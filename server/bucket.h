/*
 * bucket.h -- the server's side of replication/: the bucket at start and at
 * the end, the takeover, and the gate for durability bucket.
 *
 * Start:  bucket_prepare()   before the database is opened (may restore it)
 *         bucket_take_over() after: commits the takeover transaction (B3),
 *                            starts shipping, waits until the bucket has it
 * Runs:   bucket_take_reports() in every pass of the loop
 * End:    bucket_drain(), the store's close, bucket_close()
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_BUCKET_H
#define WALDEN_SERVER_BUCKET_H

#include "server/base/buf.h"

#include <stdbool.h>

struct server;
struct session;
struct store_options;

#define BUCKET_MISSING \
    "durability bucket needs a bucket, and none is configured"

/* Logs what fails. */
MUST_CHECK enum status bucket_prepare(
    struct server *server, struct store_options *options);
/*
 * If no bucket is configured the local database counts as it is.
 * Fails: STATUS_CONFLICT: another server was faster.
 */
MUST_CHECK enum status bucket_take_over(struct server *server);
/*
 * After a lost takeover: is what lies here only what came from the bucket (or
 * an empty new database)?  Nobody has been served from it, and bucket_prepare()
 * removes it, once everything is closed.
 */
bool bucket_is_disposable(const struct server *server);
/* The loop runs: have it woken by reports. */
MUST_CHECK enum status bucket_watch(struct server *server);
/* Release what the bucket has by now; ends the process when another server */
/* has taken the prefix over. */
void bucket_take_reports(struct server *server);
/* Tell SHIP which replies wait, when it is time (gather.h).  Every pass. */
void bucket_ask(struct server *server);
/* When it will be, if nothing happens before.  INT64_MAX: not known. */
int64_t bucket_next_ask_us(const struct server *server);
/* Are clients waited for that may ride in the next upload? */
bool bucket_is_gathering(const struct server *server);
/* Have everything up to seq shipped without waiting for anybody. */
void bucket_want(struct server *server, uint64_t seq);
/* The end has begun: commits no longer wait for a full outbox. */
void bucket_begin_stop(struct server *server);
/* Everything is committed and folded: have it shipped, within the limit. */
void bucket_drain(struct server *server);
/* The store is closed.  is_clean: by store_close(). */
void bucket_close(struct server *server, bool is_clean);
/* Has the bucket all that session wrote or saw? */
bool bucket_has_all(const struct session *session);
/* INFO's section. */
void bucket_write_info(struct buf *out);

#endif
