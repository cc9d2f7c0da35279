/*
 * hash.h -- SipHash-1-3 (Aumasson and Bernstein, 2012; 64-bit result).
 *
 * One key for the process, set once before any map is used.  It comes from
 * the database file, so that a hash, and with it an HSCAN cursor, means the
 * same after a restart; and it is secret, so that clients cannot choose
 * colliding keys.
 */
#ifndef WALDEN_BASE_HASH_H
#define WALDEN_BASE_HASH_H

#include "server/base/slice.h"

#include <stdint.h>

#define HASH_SEED_SIZE 16 /* bytes */

void hash_set_seed(const uint8_t seed[HASH_SEED_SIZE]);
uint64_t hash_bytes(const void *data, size_t len);

static inline uint64_t
hash_slice(struct slice s)
{
    return hash_bytes(s.data, s.len);
}

/* A good mix of one number (splitmix64's finaliser); not secret. */
static inline uint64_t
hash_u64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

#endif
