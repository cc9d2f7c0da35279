/*
 * sizeclass.h -- what the allocator sets aside for a request.
 *
 * jemalloc serves 16, 32, ... 128 bytes and then four classes a doubling.
 * Knowing that, an object can use the slack as capacity and account for its
 * memory without asking the allocator, which costs more than the arithmetic.
 * With another allocator the figures are estimates, never capacities: we ask
 * for the rounded size.
 */
#ifndef WALDEN_STORAGE_OBJECTS_SIZECLASS_H
#define WALDEN_STORAGE_OBJECTS_SIZECLASS_H

#include <stddef.h>

#define SIZECLASS_SMALL_MAX 128 /* bytes; multiples of 16 up to here */

/* The smallest class that holds size bytes; size > 0. */
static inline size_t
sizeclass_round(size_t size)
{
    size_t step = 16;

    if (size > SIZECLASS_SMALL_MAX) {
        int log = 63 - __builtin_clzll((unsigned long long)(size - 1));
        step = (size_t)1 << (log - 2);
    }
    return (size + step - 1) & ~(step - 1);
}

#endif
