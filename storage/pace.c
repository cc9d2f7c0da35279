/*
 * pace.c -- when background work is due.
 *
 * A slice makes the next batch wait.  So while batches keep coming a slice is
 * not run whenever it could be, after every commit, but when it is due: the
 * fold is spread over the time in which the journal grows by as much as it
 * folds (journal_fold_size at most), garbage over ten times what it takes.  The
 * journal then stays below twice journal_fold_size.  If rows cost so much that
 * the fold falls behind, a slice follows every commit, and past
 * journal_size_max commits wait (committer.c).  When nothing was committed for
 * a moment nothing is held back.
 */
#include "storage/pace.h"

/* When nothing was committed for so long, slices may be longer: a COMMIT */
/* for every millisecond of rows would be most of the work. */
#define QUIET_US (50 * 1000)
#define QUIET_FACTOR 8
/* Rest after a slice of garbage, as a multiple of it. */
#define GARBAGE_REST_FACTOR 9

bool
pace_is_quiet(const struct pace *pace, int64_t now_us)
{
    return now_us >= pace_quiet_us(pace);
}

int64_t
pace_quiet_us(const struct pace *pace)
{
    return pace->batch_us + QUIET_US;
}

int64_t
pace_slice_us(const struct pace *pace, int64_t slice_us, int64_t now_us)
{
    return pace_is_quiet(pace, now_us) ? slice_us * QUIET_FACTOR : slice_us;
}

bool
pace_is_behind(const struct pace *pace, uint64_t written, double progress,
    uint64_t fold_size)
{
    double grown = (double)(written - pace->fold_written);

    return grown >= progress * (double)fold_size;
}

void
pace_count_garbage(struct pace *pace, int64_t start_us, int64_t end_us)
{
    pace->garbage_us = pace_is_quiet(pace, end_us)
                           ? end_us
                           : end_us + GARBAGE_REST_FACTOR * (end_us - start_us);
}

int
pace_wait_ms(int64_t now_us, int64_t at_us)
{
    return at_us <= now_us ? 1 : (int)((at_us - now_us) / 1000) + 1;
}
