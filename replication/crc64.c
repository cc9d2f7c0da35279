/*
 * crc64.c -- CRC-64/ISO, eight bytes at a step, or 64 where the processor can
 * multiply polynomials.
 *
 * Table k holds the CRC of a byte followed by k zero bytes, so that the eight
 * bytes of a word are looked up independently and XORed (slicing by 8, after
 * Kounavis and Berry, 2005).  The tables are made at the first use.
 *
 * By multiplication (after Gopal et al., "Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ Instruction", 2009): a remainder may be moved
 * ahead over n bits by multiplying it with x^n mod P.  Four lanes of 16 bytes
 * are moved ahead over the 64 bytes to come and added to them; at the end the
 * lanes become one, and the tables do its 16 bytes and what is left.  A lane's
 * first 8 bytes are the higher powers, so they move 64 bits further than its
 * last.  Bits are reflected, in which a product comes out one power too high:
 * hence the n - 1.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <wmmintrin.h>
#endif

#include "replication/crc64.h"

#define POLYNOMIAL UINT64_C(0xD800000000000000)

static uint64_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static bool can_multiply;
static uint64_t move_64[2], move_16[2]; /* over so many bytes: first, last 8 */

#define MULTIPLY_SIZE_MIN 128 /* bytes below which the tables are as quick */

/* x^n mod P, reflected: the lowest bit is the highest power. */
static uint64_t
power(unsigned n)
{
    uint64_t value = UINT64_C(1) << 63; /* x^0 */

    while (n-- > 0)
        value = (value & 1) != 0 ? (value >> 1) ^ POLYNOMIAL : value >> 1;
    return value;
}

static void
make_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
        tables[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++)
        for (unsigned k = 1; k < 8; k++) {
            uint64_t before = tables[k - 1][i];
            tables[k][i] = (before >> 8) ^ tables[0][before & 0xff];
        }
    move_64[0] = power(64 * 8 + 64 - 1);
    move_64[1] = power(64 * 8 - 1);
    move_16[0] = power(16 * 8 + 64 - 1);
    move_16[1] = power(16 * 8 - 1);
#if defined(__x86_64__)
    can_multiply = __builtin_cpu_supports("pclmul") != 0;
#endif
}

static uint64_t
fold_word(uint64_t word)
{
    return tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
           tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
           tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
           tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
}

#if defined(__x86_64__)
__attribute__((target("pclmul"))) static inline __m128i
move(__m128i lane, __m128i factors, __m128i next)
{
    __m128i first = _mm_clmulepi64_si128(lane, factors, 0x00);
    __m128i last = _mm_clmulepi64_si128(lane, factors, 0x11);

    return _mm_xor_si128(_mm_xor_si128(first, last), next);
}

/* Of a multiple of 64 bytes; crc as the register holds it, not inverted. */
__attribute__((target("pclmul"))) static uint64_t
multiply(uint64_t crc, const unsigned char *at, size_t len)
{
    const __m128i far = _mm_loadu_si128((const __m128i *)(void *)move_64);
    const __m128i near = _mm_loadu_si128((const __m128i *)(void *)move_16);
    __m128i lanes[4];
    uint64_t words[2];

    for (int i = 0; i < 4; i++)
        lanes[i] = _mm_loadu_si128((const __m128i *)(const void *)at + i);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, (long long)crc));
    for (at += 64, len -= 64; len > 0; at += 64, len -= 64)
        for (int i = 0; i < 4; i++)
            lanes[i] = move(lanes[i], far,
                _mm_loadu_si128((const __m128i *)(const void *)at + i));
    for (int i = 1; i < 4; i++)
        lanes[0] = move(lanes[0], near, lanes[i]);
    _mm_storeu_si128((__m128i *)(void *)words, lanes[0]);
    return fold_word(fold_word(words[0]) ^ words[1]);
}
#else
static uint64_t
multiply(uint64_t crc, const unsigned char *at, size_t len)
{
    (void)at;
    (void)len;
    return crc; /* never called: can_multiply is false */
}
#endif

uint64_t
crc64_update(uint64_t crc, const void *data, size_t len)
{
    const unsigned char *at = data;

    pthread_once(&tables_once, make_tables);
    crc = ~crc;
    if (can_multiply && len >= MULTIPLY_SIZE_MIN) {
        size_t part = len / 64 * 64;
        crc = multiply(crc, at, part);
        at += part;
        len -= part;
    }
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, at, 8); /* little-endian machines */
        crc = fold_word(crc ^ word);
        at += 8;
        len -= 8;
    }
    while (len-- > 0)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at++) & 0xff];
    return ~crc;
}
