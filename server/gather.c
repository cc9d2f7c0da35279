/*
 * gather.c -- when to ask for the next upload.
 */
#include "server/gather.h"

#define SKIP_SHIFT_MAX 6 /* skipped at most so many doublings */
/* Of an upload: the time in which the next client must come at least. */
#define GAP_MIN_SHARE 8

void
gather_note_asked(struct gather *gather, int64_t now_us)
{
    gather->is_asked = true;
    gather->asked_us = now_us;
    if (gather->skips > 0) {
        gather->skips--;
        return;
    }
    if (gather->waiting >= (gather->first + gather->expected) / 2) {
        gather->failures = 0;
        return;
    }
    if (gather->failures < SKIP_SHIFT_MAX)
        gather->failures++;
    gather->skips = (1u << gather->failures) - 1;
}

void
gather_note_released(
    struct gather *gather, int64_t now_us, size_t before, size_t left)
{
    /* One that was only due is as long as the interval. */
    if (gather->is_asked)
        gather->upload_us +=
            (now_us - gather->asked_us - gather->upload_us) / 8;
    gather->is_asked = false;
    gather->expected = before;
    gather->first = left;
    gather->waiting = left;
    gather->released_us = now_us;
    gather->arrived_us = now_us;
}

int64_t
gather_wait_us(struct gather *gather, int64_t now_us, size_t waiting)
{
    if (waiting > gather->waiting)
        gather->arrived_us = now_us;
    gather->waiting = waiting;
    if (waiting == 0 || waiting >= gather->expected || gather->skips > 0)
        return 0;
    int64_t end_us = gather->released_us + gather->upload_us;
    int64_t gap_us =
        (gather->upload_us + gather->arrived_us - gather->released_us) /
        (int64_t)waiting;
    if (gap_us < gather->upload_us / GAP_MIN_SHARE)
        gap_us = gather->upload_us / GAP_MIN_SHARE;
    if (gather->arrived_us + gap_us < end_us)
        end_us = gather->arrived_us + gap_us;
    return end_us > now_us ? end_us - now_us : 0;
}
