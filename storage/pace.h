/*
 * pace.h -- when background work is due while batches keep coming.
 *
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_PACE_H
#define WALDEN_STORAGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int64_t batch_us;      /* the newest commit, monotonic */
    uint64_t fold_written; /* journal bytes ever written as the fold began */
    int64_t garbage_us;    /* no slice of garbage before */
};

/* Has nothing been committed for a moment? */
bool pace_is_quiet(const struct pace *pace, int64_t now_us);
/* When that will be, if nothing is committed until then. */
int64_t pace_quiet_us(const struct pace *pace);
/* How long a slice of the fold may be. */
int64_t pace_slice_us(
    const struct pace *pace, int64_t slice_us, int64_t now_us);

/*
 * Has the journal grown by more than the fold has progressed (0 to 1)?
 * written: journal bytes ever written; fold_size: the growth in which the fold
 * shall be done.
 */
bool pace_is_behind(const struct pace *pace, uint64_t written, double progress,
    uint64_t fold_size);

/* A slice of garbage took from start_us to end_us. */
void pace_count_garbage(struct pace *pace, int64_t start_us, int64_t end_us);

/* Milliseconds until now_us reaches at_us, at least one. */
int pace_wait_ms(int64_t now_us, int64_t at_us);

#endif
