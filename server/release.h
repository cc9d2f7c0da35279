/*
 * release.h -- the output gate: which replies may leave.
 *
 * A reply waits for the batch it observed (session.h).  The sessions that wait
 * for a batch are in a list, so that releasing costs what is released.  One
 * batch is out at a time: the ones waited for are durable_seq + 1 (out) and
 * durable_seq + 2 (open), which is why a list for odd and one for even seqs
 * are enough.
 *
 *   R1  Nothing leaves before every write that it could have observed is
 *       durable at the level asked for.
 *   R2  Replies leave a client in request order.
 *   R3  Held replies are counted; past held_replies_max LOOP stops reading.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_RELEASE_H
#define WALDEN_SERVER_RELEASE_H

#include "server/session.h"

/* Everything up to seq is on disk: let go what waited for it. */
void release_advance(struct server *server, uint64_t seq);
/* The bucket has everything up to seq (at most durable_seq): likewise. */
void release_advance_bucket(struct server *server, uint64_t seq);
/* The bucket will never have more: replies that wait for it become error. */
void release_fail_bucket(const char *error);
/* The largest seq that somebody wants to be in the bucket; 0: none. */
uint64_t release_bucket_seq(void);
/* How many sessions wait for it. */
size_t release_bucket_count(void);

/*
 * The batches after durable_seq are lost: each reply that waited for one
 * becomes error, each push goes, what only waited its turn stays; all leave.
 */
void release_fail(struct server *server, const char *error);

/*
 * session waits for seq, to be on disk or in the bucket.  Called by session.c
 * for each new mark.
 */
void release_add(struct session *session, uint64_t seq, bool is_bucket);
/* session waits no longer, its held bytes are forgotten. */
void release_remove(struct session *session);

/* Does anybody wait for seq? */
bool release_is_awaited(const struct server *server, uint64_t seq);
/* ... and not for the bucket to have it? */
bool release_is_awaited_on_disk(uint64_t seq);
/* How many sessions do. */
size_t release_count(const struct server *server, uint64_t seq);
/* R3: are more replies held than config.held_replies_max allows? */
bool release_is_full(const struct server *server);

/* R1 and R2 of one session; R3's figure over all.  Debug builds only. */
void release_check(const struct session *session);
void release_check_held(const struct server *server);

#endif
