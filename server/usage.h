/*
 * usage.h -- what the process uses of the machine's memory.
 *
 * The allocator's own figures where it is jemalloc; builds with a sanitizer
 * have another allocator: there the keyspace's own account stands for what is
 * allocated, and the resident size for the rest.
 */
#ifndef WALDEN_SERVER_USAGE_H
#define WALDEN_SERVER_USAGE_H

#include "server/base/buf.h"

struct usage {                /* bytes */
    uint64_t allocated;       /* handed out and not freed */
    uint64_t active;          /* pages with something allocated */
    uint64_t mapped_resident; /* of the allocator */
    uint64_t rss;             /* of the process */
    uint64_t machine;         /* physical memory */
    uint64_t peak;            /* largest allocated seen */
    uint64_t startup;         /* allocated when first asked */
};

/* Cost: tens of microseconds. */
void usage_read(struct usage *usage);
/* Give free pages back to the kernel. */
void usage_purge(void);
/* The allocator's report. */
void usage_write_report(struct buf *out);
/* "1.16M", as Redis prints bytes for people. */
void usage_append_human(struct buf *out, uint64_t bytes);

#endif
