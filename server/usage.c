/*
 * usage.c -- memory figures: jemalloc's statistics and /proc.
 */
#include <stdio.h>
#include <unistd.h>

#include "server/server.h"
#include "server/usage.h"

/* jemalloc's, if it is the allocator. */
int mallctl(const char *name, void *old, size_t *old_size, void *fresh,
    size_t fresh_size) __attribute__((weak));
void malloc_stats_print(void (*write)(void *, const char *), void *arg,
    const char *options) __attribute__((weak));

#define PURGE_ALL_ARENAS "arena.4096.purge" /* MALLCTL_ARENAS_ALL */

static uint64_t
get_size(const char *name, uint64_t otherwise)
{
    size_t value = 0, size = sizeof(value);

    if (mallctl == NULL || mallctl(name, &value, &size, NULL, 0) != 0)
        return otherwise;
    return value;
}

static uint64_t
read_rss(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
usage_read(struct usage *usage)
{
    static uint64_t startup;
    uint64_t epoch = 1;
    struct keyspace_stats keys;

    keyspace_stats(server.keyspace, &keys);
    if (mallctl != NULL)
        (void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    usage->rss = read_rss();
    usage->allocated =
        get_size("stats.allocated", keys.memory + sizeof(server));
    usage->active = get_size("stats.active", usage->rss);
    usage->mapped_resident = get_size("stats.resident", usage->rss);
    usage->machine =
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (startup == 0)
        startup = usage->allocated;
    usage->startup = startup;
    if (usage->allocated > server.stats.peak_memory)
        server.stats.peak_memory = usage->allocated;
    usage->peak = server.stats.peak_memory;
}

void
usage_purge(void)
{
    if (mallctl != NULL)
        (void)mallctl(PURGE_ALL_ARENAS, NULL, NULL, NULL, 0);
}

static void
append_report(void *arg, const char *text)
{
    buf_append_text(arg, text);
}

void
usage_write_report(struct buf *out)
{
    if (malloc_stats_print != NULL)
        malloc_stats_print(append_report, out, NULL);
    else
        buf_append_text(out, "Stats not supported for the current allocator");
}

void
usage_append_human(struct buf *out, uint64_t bytes)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes;
    int unit = -1;

    while (value >= 1024 && unit < (int)sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        buf_printf(out, "%lluB", (unsigned long long)bytes);
    else
        buf_printf(out, "%.2f%c", value, units[unit]);
}
