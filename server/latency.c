/*
 * latency.c -- the latency monitor's samples, and histograms of commands.
 *
 * A sample is the worst of its second, as in Redis.  Events are few (their
 * names are literals in the server), so they are a list.
 *
 * A histogram counts microseconds in buckets that are exact up to 16 and then
 * 1/16 of a power of two wide: 6 % at worst, a few kilobytes, and counting is
 * one addition.  It is made when a command first runs.
 */
#include <time.h>

#include "server/base/memory.h"
#include "server/latency.h"
#include "server/server.h"

#define SUB_BITS 4 /* 16 buckets for each power of two */
#define SUBS (1 << SUB_BITS)
#define POWER_MAX 36 /* durations above 2^36 us count as that */
#define BUCKETS ((POWER_MAX - SUB_BITS + 2) * SUBS)

struct latency {
    struct latency_event *first;
};

struct latency_histogram {
    uint64_t counts[BUCKETS];
    uint64_t total;
};

/* ---- events ------------------------------------------------------------- */

struct latency *
latency_new(void)
{
    return memory_zalloc(sizeof(struct latency));
}

void
latency_free(struct latency *latency)
{
    if (latency == NULL)
        return;
    (void)latency_reset(latency, slice_make(NULL, 0));
    memory_free(latency);
}

const struct latency_event *
latency_first(const struct latency *latency)
{
    return latency->first;
}

const struct latency_event *
latency_find(const struct latency *latency, struct slice name)
{
    const struct latency_event *event = latency->first;

    while (event != NULL && !slice_equal(name, slice_from_text(event->name)))
        event = event->next;
    return event;
}

int64_t
latency_reset(struct latency *latency, struct slice name)
{
    struct latency_event **at = &latency->first;
    int64_t count = 0;

    while (*at != NULL) {
        struct latency_event *event = *at;

        if (name.data != NULL &&
            !slice_equal(name, slice_from_text(event->name))) {
            at = &event->next;
            continue;
        }
        *at = event->next;
        memory_free(event);
        count++;
    }
    return count;
}

static struct latency_event *
take_event(struct latency *latency, const char *name)
{
    struct latency_event **at = &latency->first;

    while (*at != NULL && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    if (*at != NULL && strcmp((*at)->name, name) == 0)
        return *at;
    struct latency_event *event = memory_zalloc(sizeof(*event));
    strncpy(event->name, name, sizeof(event->name) - 1);
    event->next = *at;
    *at = event;
    return event;
}

void
latency_add(struct latency *latency, const char *event_name, int64_t ms)
{
    struct latency_event *event = take_event(latency, event_name);
    struct latency_sample *newest =
        &event->samples[(event->at + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    int64_t now_s = (int64_t)time(NULL);

    if (ms > event->max_ms)
        event->max_ms = ms;
    if (newest->time_s == now_s) {
        if (ms > newest->ms)
            newest->ms = ms;
        return;
    }
    event->samples[event->at] = (struct latency_sample){ now_s, ms };
    event->at = (event->at + 1) % LATENCY_SAMPLES;
}

/* ---- histograms --------------------------------------------------------- */

static size_t
bucket_of(uint64_t us)
{
    if (us < SUBS)
        return (size_t)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us);
    if (power > POWER_MAX)
        return BUCKETS - 1;
    return (power - SUB_BITS + 1) * SUBS +
           ((us >> (power - SUB_BITS)) & (SUBS - 1));
}

/* The largest duration that falls into bucket, microseconds. */
static uint64_t
bucket_limit(size_t bucket)
{
    if (bucket < SUBS)
        return bucket;
    unsigned shift = (unsigned)(bucket / SUBS) - 1;
    uint64_t first = (uint64_t)(SUBS + bucket % SUBS) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void
latency_record(struct command_stats *stats, int64_t duration_us)
{
    if (stats->histogram == NULL)
        stats->histogram = memory_zalloc(sizeof(*stats->histogram));
    stats->histogram
        ->counts[bucket_of(duration_us > 0 ? (uint64_t)duration_us : 0)]++;
    stats->histogram->total++;
}

void
latency_forget(struct command_stats *stats)
{
    memory_free(stats->histogram);
    stats->histogram = NULL;
}

uint64_t
latency_count(const struct command_stats *stats)
{
    return stats->histogram != NULL ? stats->histogram->total : 0;
}

uint64_t
latency_count_up_to(const struct command_stats *stats, uint64_t limit_ns)
{
    uint64_t count = 0;

    if (stats->histogram == NULL)
        return 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        if (bucket_limit(i) * 1000 > limit_ns)
            break;
        count += stats->histogram->counts[i];
    }
    return count;
}

double
latency_percentile(const struct command_stats *stats, double percent)
{
    uint64_t count = 0;

    if (stats->histogram == NULL || stats->histogram->total == 0)
        return 0;
    double wanted = percent / 100 * (double)stats->histogram->total;
    for (size_t i = 0; i < BUCKETS; i++) {
        count += stats->histogram->counts[i];
        if (count > 0 && (double)count >= wanted)
            return (double)bucket_limit(i);
    }
    return (double)bucket_limit(BUCKETS - 1);
}
