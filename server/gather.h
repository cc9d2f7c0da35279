/*
 * gather.h -- when to ask for the next upload.
 *
 * Replies at durability bucket leave when an upload is over, all at once, and
 * most of their clients come back a moment later.  An upload takes the same
 * time for one client as for fifty, and there is one at a time.  Were it asked
 * for when the first client is back, the others would miss it: clients would
 * fall into two groups that take turns, and wait for two uploads each.  So it
 * is asked for when those whom the last one released are back, or when it has
 * become clear that they do not come:
 *
 *   - longer than an upload takes nobody waits for them;
 *   - nor when the next client is late: a client that comes brings the average
 *     wait down only if it comes within its share of the time,
 *     (upload + time waited) / clients that wait;
 *   - where waiting was in vain it is not tried again for a while.
 *
 * A lone client is never delayed.
 *
 * Pure: the caller has the clock.  Thread: LOOP.
 */
#ifndef WALDEN_SERVER_GATHER_H
#define WALDEN_SERVER_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gather {
    size_t expected;     /* clients that may come */
    size_t first;        /* that waited when the last upload was over */
    size_t waiting;      /* at the last look */
    bool is_asked;       /* for an upload: it is under way */
    int64_t asked_us;    /* when */
    int64_t released_us; /* when it was over */
    int64_t arrived_us;  /* when waiting last grew */
    int64_t upload_us;   /* recent uploads took, average */
    unsigned failures;   /* in a row */
    unsigned skips;      /* so many times it is not tried */
};

/* An upload was asked for. */
void gather_note_asked(struct gather *gather, int64_t now_us);
/* It is over: of so many that waited so many are left. */
void gather_note_released(
    struct gather *gather, int64_t now_us, size_t before, size_t left);
/*
 * So many wait and no upload is under way: in how many microseconds is it to
 * be asked for if nobody else comes?  0: now.
 */
int64_t gather_wait_us(struct gather *gather, int64_t now_us, size_t waiting);

#endif
