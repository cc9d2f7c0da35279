/*
 * clock.h -- time.  Monotonic for durations, wall for expiries.
 */
#ifndef WALDEN_BASE_CLOCK_H
#define WALDEN_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_us(void);
int64_t clock_wall_us(void);
int64_t clock_wall_ms(void);

#endif
