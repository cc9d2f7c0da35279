/*
 * latency.h -- how long things took: spikes per event (the latency monitor)
 * and a histogram per command.
 *
 * latency_add() is declared in server.h.
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_LATENCY_H
#define WALDEN_SERVER_LATENCY_H

#include "server/command.h"

#define LATENCY_SAMPLES 160       /* kept per event */
#define LATENCY_EVENT_NAME_MAX 32 /* bytes, with the NUL */

struct latency;

struct latency_sample {
    int64_t time_s; /* wall clock; 0: none */
    int64_t ms;
};

struct latency_event {
    struct latency_event *next;
    char name[LATENCY_EVENT_NAME_MAX];
    size_t at; /* the slot written next: the oldest sample */
    int64_t max_ms;
    struct latency_sample samples[LATENCY_SAMPLES]; /* a ring */
};

struct latency *latency_new(void);
void latency_free(struct latency *latency);
/* The events in the order of their names; lent until the next change. */
const struct latency_event *latency_first(const struct latency *latency);
const struct latency_event *latency_find(
    const struct latency *latency, struct slice name);
/* name.data NULL: all.  Answer: events forgotten. */
int64_t latency_reset(struct latency *latency, struct slice name);

/* ---- histograms --------------------------------------------------------- */

struct latency_histogram;

/* Count one run of the command that owns stats. */
void latency_record(struct command_stats *stats, int64_t duration_us);
void latency_forget(struct command_stats *stats);
/* Runs of up to limit_ns nanoseconds. */
uint64_t latency_count_up_to(
    const struct command_stats *stats, uint64_t limit_ns);
uint64_t latency_count(const struct command_stats *stats);
/* The duration that percent of the runs did not exceed, microseconds. */
double latency_percentile(const struct command_stats *stats, double percent);

#endif
