/*
 * placer.c -- binding two threads to a processor, and letting them go.
 */
#include <unistd.h>

#include "server/base/log.h"

#include "storage/placer.h"

/* When COMMIT, bound, looks whether anything is being committed still. */
#define LOOK_MS 100

void
placer_init(struct placer *placer)
{
    *placer = (struct placer){ .bound_to = PLACER_ANYWHERE, .loop = gettid() };
    if (sched_getaffinity(0, sizeof(placer->cpus), &placer->cpus) != 0)
        return;
    int count = CPU_COUNT(&placer->cpus);
    placer->has_choice = count > 1 && count <= PLACEMENT_CPUS_MAX;
}

static void
bind_to(struct placer *placer, int cpu)
{
    cpu_set_t cpus = placer->cpus;

    if (cpu != PLACER_ANYWHERE) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)cpu, &cpus);
    }
    placer->bound_to = cpu;
    if (sched_setaffinity(0, sizeof(cpus), &cpus) == 0 &&
        sched_setaffinity(placer->loop, sizeof(cpus), &cpus) == 0)
        return;
    log_debug("LOOP and COMMIT cannot be bound to a processor");
    placer->has_choice = false;
    placer->bound_to = PLACER_ANYWHERE;
    (void)!sched_setaffinity(0, sizeof(placer->cpus), &placer->cpus);
    (void)!sched_setaffinity(placer->loop, sizeof(placer->cpus), &placer->cpus);
}

void
placer_note(
    struct placer *placer, int64_t now_us, uint64_t served, int loop_cpu)
{
    if (!placer->has_choice)
        return;
    bool is_near = placement_note(&placer->placement, now_us, served);
    int cpu = is_near && loop_cpu >= 0 ? loop_cpu : PLACER_ANYWHERE;
    if (cpu != placer->bound_to)
        bind_to(placer, cpu);
}

void
placer_rest(struct placer *placer)
{
    if (placer->bound_to != PLACER_ANYWHERE && placer->has_choice)
        bind_to(placer, PLACER_ANYWHERE);
}

int
placer_wait_ms(const struct placer *placer, int wait_ms)
{
    bool is_bound = placer->bound_to != PLACER_ANYWHERE;

    return is_bound && (wait_ms < 0 || wait_ms > LOOK_MS) ? LOOK_MS : wait_ms;
}
