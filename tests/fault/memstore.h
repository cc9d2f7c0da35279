/*
 * memstore.h -- an object store in memory whose network loses, doubles,
 * delays and reorders, by seed.
 *
 * A world holds the objects and the clock; each server has a handle of its own
 * on it.  A request is two events: it arrives (and takes effect, atomically),
 * and its answer does.  Either may be lost or late, whatever becomes of the
 * other; a request may arrive twice; one whose sender has long given up may
 * still arrive, up to late_ms_max later.
 *
 * Faults, per thousand requests, are given by struct memstore_faults.  A handle
 * without faults answers at the next poll.
 * Thread: one.
 */
#ifndef WALDEN_TESTS_FAULT_MEMSTORE_H
#define WALDEN_TESTS_FAULT_MEMSTORE_H

#include "replication/objectstore.h"

struct memstore_faults {
    unsigned lost_request; /* never arrives; answer: timeout */
    unsigned lost_answer;  /* takes effect; answer: timeout or reset */
    unsigned late;         /* timeout first, takes effect afterwards */
    unsigned doubled;      /* arrives twice; the answer is the second's */
    unsigned busy;         /* 503, retry-after */
    unsigned broken;       /* 500 without effect */
    unsigned odd_loser;    /* 412 told as 409 or 500 */
    unsigned denied;       /* 403 */
    int64_t delay_ms_max;  /* of each way */
    int64_t late_ms_max;
};

struct memworld;
struct memworld *memworld_new(uint64_t seed);
void memworld_free(struct memworld *world);
/* Let time pass: what is due arrives, in order. */
void memworld_advance(struct memworld *world, int64_t now_ms);
/* ms until something arrives or is answered; -1: nothing is under way. */
int64_t memworld_wait_ms(const struct memworld *world);
/* Called for each PUT and DELETE that took effect (put: for new names only). */
typedef void (*memworld_watch_fn)(
    enum objectstore_op op, const char *name, void *arg);
void memworld_watch(struct memworld *world, memworld_watch_fn watch, void *arg);
size_t memworld_count(const struct memworld *world); /* objects */
/* Uploads in parts that were neither ended nor aborted.  A handle uses them */
/* for what is larger than its upload_size_min, 0 unless a test sets it. */
size_t memworld_uploads(const struct memworld *world);
/* From now on if_none_match means nothing at an upload's end, as in Ceph 16. */
void memworld_ignore_end_condition(struct memworld *world);

/* A handle; faults NULL: none.  Both are lent.  objectstore_close() ends it; */
/* requests of it that are still on their way arrive all the same. */
struct objectstore *memstore_open(
    struct memworld *world, const struct memstore_faults *faults);

#endif
