/*
 * placement.c -- one way, the other, the one again; then it is decided.
 *
 *              due, and load            measured            measured
 *     STEADY ------------------> TRIAL ----------> RETURN ----------> STEADY
 *
 * Each is measured for a window, after a shorter one in which threads move.
 * The trial must beat both of its neighbours, since a fold or another program
 * may begin at any time.
 */
#include "storage/placement.h"

#define WINDOW_US (80 * 1000)
#define SETTLE_US (20 * 1000)
/* A gap between commits that is longer than that is not load. */
#define GAP_US (20 * 1000)
/* Below it nobody shares: a lone client's write wakes both threads in turn, */
/* each sooner on a processor of its own. */
#define RATE_MIN 0.01 /* commands per microsecond */
#define GAIN_MIN 1.1
#define PAUSE_MIN_US (2 * 1000 * 1000)
#define PAUSE_MAX_US (60 * 1000 * 1000)

static void
begin_window(struct placement *placement, int64_t now_us, bool is_settling)
{
    placement->window_us = now_us;
    placement->commands = 0;
    placement->is_settling = is_settling;
}

/* Nothing was learned. */
static void
give_up(struct placement *placement, int64_t now_us)
{
    placement->phase = PLACEMENT_STEADY;
    begin_window(placement, now_us, false);
}

static void
decide(struct placement *placement, int64_t now_us, double after)
{
    double best = placement->before > after ? placement->before : after;

    if (placement->trial > GAIN_MIN * best) {
        placement->is_near = !placement->is_near;
        placement->pause_us = PAUSE_MIN_US;
    } else if (placement->pause_us < PAUSE_MAX_US) {
        placement->pause_us = placement->pause_us < PAUSE_MIN_US
                                  ? PAUSE_MIN_US
                                  : 2 * placement->pause_us;
    }
    placement->next_us = now_us + placement->pause_us;
    placement->phase = PLACEMENT_STEADY;
}

static void
end_window(struct placement *placement, int64_t now_us)
{
    double rate =
        (double)placement->commands / (double)(now_us - placement->window_us);

    switch (placement->phase) {
    case PLACEMENT_STEADY:
        placement->before = rate;
        if (rate < RATE_MIN / 2) {
            placement->is_near = false;
            placement->next_us = now_us;
        }
        if (rate >= RATE_MIN && now_us >= placement->next_us)
            placement->phase = PLACEMENT_TRIAL;
        break;
    case PLACEMENT_TRIAL:
        placement->trial = rate;
        placement->phase = PLACEMENT_RETURN;
        break;
    case PLACEMENT_RETURN:
        decide(placement, now_us, rate);
        break;
    }
}

bool
placement_note(struct placement *placement, int64_t now_us, uint64_t commands)
{
    int64_t length_us = placement->is_settling ? SETTLE_US : WINDOW_US;

    if (placement->commands == 0 && placement->phase == PLACEMENT_STEADY) {
        placement->window_us = now_us;
    } else if (now_us - placement->last_us > GAP_US) {
        give_up(placement, now_us);
    } else if (now_us - placement->window_us >= length_us) {
        bool was_settling = placement->is_settling;
        enum placement_phase phase = placement->phase;
        if (!was_settling)
            end_window(placement, now_us);
        begin_window(placement, now_us, placement->phase != phase);
    }
    placement->last_us = now_us;
    placement->commands += commands;
    return placement->is_near != (placement->phase == PLACEMENT_TRIAL);
}
