/*
 * random.h -- xoshiro256** (Blackman and Vigna, 2018), one state a thread,
 * seeded from getrandom().  For sampling, not for secrets.
 */
#ifndef WALDEN_BASE_RANDOM_H
#define WALDEN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t random_u64(void);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(uint64_t bound);
/* Secrets, ids: straight from the kernel. */
void random_bytes(void *data, size_t len);
/* Lower-case hex digits, digits of them, and a NUL. */
void random_hex(char *text, size_t digits);
/* Make this thread's sequence repeatable, for tests. */
void random_set_seed(uint64_t seed);

#endif
