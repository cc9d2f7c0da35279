/*
 * placer.h -- puts LOOP and the COMMIT thread where placement.h says.
 *
 * Uses sched_setaffinity() on these two, within the processors that the process
 * had when it started; where that is refused they are left alone.  A thread
 * that LOOP or COMMIT starts inherits what holds at the time: they start none
 * while batches come.
 *
 * Private to storage/.  Thread: COMMIT, but for placer_init().
 */
#ifndef WALDEN_STORAGE_PLACER_H
#define WALDEN_STORAGE_PLACER_H

#include <sched.h>

#include "storage/placement.h"

#define PLACER_ANYWHERE (-1)

struct placer {
    struct placement placement;
    cpu_set_t cpus;  /* the process may use */
    bool has_choice; /* they are few, but more than one */
    pid_t loop;      /* LOOP's thread */
    int bound_to;    /* one of them, or PLACER_ANYWHERE */
};

/* On LOOP, before the COMMIT thread runs. */
void placer_init(struct placer *placer);
/*
 * A batch is committed, at now_us; since the one before LOOP ran so many
 * commands, reads too, and it sent the batch from loop_cpu.
 */
void placer_note(
    struct placer *placer, int64_t now_us, uint64_t served, int loop_cpu);
/* Nothing is being committed: what COMMIT does now is in nobody's turn. */
void placer_rest(struct placer *placer);
/* How long COMMIT may sleep that would sleep so long (-1: for ever), so that */
/* placer_rest() is called when nothing comes. */
int placer_wait_ms(const struct placer *placer, int wait_ms);

#endif
