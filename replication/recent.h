/*
 * recent.h -- the level-0 files that this process has just shipped, in memory:
 * the keeper merges them without asking the bucket for them.
 *
 * Only what the bucket surely has goes in, as it has it.  The shipper adds a
 * file when its PUT is believed (shipperjudge.c): the store has answered 200
 * under If-None-Match, or the object was read back and is ours.  That no bit
 * changed on the way is the store's promise: the request is signed over the
 * SHA-256 of the bytes (s3ask.c), and one that arrives otherwise is refused.
 * A file of the outbox is read again for it: should the disk have changed it,
 * the merge finds its checksum wrong, and fetches the object.
 * Left out, and fetched when they are merged: images, what another writer could
 * have replaced (a store that cannot fence), what an earlier run has shipped.
 *
 * Memory is bounded: the oldest are dropped, and a file of more than a quarter
 * of the limit does not come in.  A file that is not here costs a GET, nothing
 * else.
 * Thread: SHIP; what was taken may be read by any.
 */
#ifndef WALDEN_REPLICATION_RECENT_H
#define WALDEN_REPLICATION_RECENT_H

#include "server/base/slice.h"

#include <stdint.h>

struct recent;
struct recent *recent_new(uint64_t size_max); /* bytes */
void recent_free(struct recent *recent);      /* all must be given back */
/* Copies file.  txids grow. */
void recent_add(struct recent *recent, uint64_t txid, struct slice file);
/* Likewise the size bytes of the file open at fd. */
void recent_add_file(
    struct recent *recent, uint64_t txid, int fd, uint64_t size);
/* How many follow one another from txid to the newest, txid's file included. */
uint64_t recent_count_from(const struct recent *recent, uint64_t txid);
/* How many follow one another to the newest, wherever they begin. */
uint64_t recent_count_run(const struct recent *recent);
/*
 * Gives the file of txid, until recent_give_back(); it still counts.  false: it
 * is not here.
 */
bool recent_take(struct recent *recent, uint64_t txid, struct slice *file);
void recent_give_back(struct recent *recent, struct slice file);
/* Files up to txid are merged: forget them. */
void recent_drop_to(struct recent *recent, uint64_t txid);
/* Bytes in memory, with what was taken. */
uint64_t recent_size(const struct recent *recent);

#endif
