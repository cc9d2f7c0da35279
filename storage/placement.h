/*
 * placement.h -- should the COMMIT thread share LOOP's processor?
 *
 * With two processors and a client on the same machine there are three threads
 * that take turns: the client's, LOOP, COMMIT.  A scheduler that sees each of
 * them sleep half of the time puts them together as it comes.  If COMMIT lands
 * with the client, its wake-up waits behind the client's work while LOOP's
 * processor is idle, for LOOP waits for COMMIT: measured, INCR of 50 clients
 * got two thirds of what it gets when LOOP and COMMIT, which seldom have work
 * at the same time then, share one processor.  Where COMMIT has much to do
 * beside LOOP, sharing may cost.
 *
 * No rule tells these apart reliably, so it is tried: now and then, under load,
 * the other way for a moment; whichever serves clearly more commands stays.
 * With one processor there is no choice, with more than PLACEMENT_CPUS_MAX
 * one is usually idle and the scheduler does well: then nothing is tried.
 *
 * Pure: the caller has the clock and the system calls.
 * Private to storage/.  Thread: COMMIT.
 */
#ifndef WALDEN_STORAGE_PLACEMENT_H
#define WALDEN_STORAGE_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#define PLACEMENT_CPUS_MAX 2

enum placement_phase {
    PLACEMENT_STEADY,
    PLACEMENT_TRIAL,  /* the other way is tried */
    PLACEMENT_RETURN, /* and the first way once more, to compare */
};

struct placement {
    bool is_near;     /* what holds if nothing is being tried */
    bool is_settling; /* the scheduler has yet to move threads */
    enum placement_phase phase;
    int64_t window_us;    /* began */
    uint64_t commands;    /* since then */
    int64_t last_us;      /* a commit */
    int64_t next_us;      /* no trial before */
    int64_t pause_us;     /* between trials */
    double before, trial; /* commands per microsecond */
};

/* A batch was committed just now, and so many commands were run since the */
/* one before.  Is COMMIT to be where LOOP is? */
bool placement_note(
    struct placement *placement, int64_t now_us, uint64_t commands);

#endif
