/*
 * random.c -- xoshiro256** per thread; the kernel for what must be secret.
 *
 * A thread's first use seeds it.  random_below() rejects rather than scales,
 * so every answer is equally likely (Lemire's multiply-and-reject, 2019).
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/random.h"

static _Thread_local uint64_t state[4];
static _Thread_local bool is_seeded;

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t
random_u64(void)
{
    if (!is_seeded) {
        random_bytes(state, sizeof(state));
        is_seeded = true;
    }
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t
random_below(uint64_t bound)
{
    CHECK(bound > 0);
    unsigned __int128 product = (unsigned __int128)random_u64() * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)random_u64() * bound;
    }
    return (uint64_t)(product >> 64);
}

void
random_bytes(void *data, size_t len)
{
    char *at = data;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

void
random_hex(char *text, size_t digits)
{
    static const char hex[] = "0123456789abcdef";

    random_bytes(text, digits);
    for (size_t i = 0; i < digits; i++)
        text[i] = hex[text[i] & 15];
    text[digits] = '\0';
}

void
random_set_seed(uint64_t seed)
{
    /* The generator's authors fill the state with splitmix64. */
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        state[i] = hash_u64(seed);
    }
    is_seeded = true;
}
