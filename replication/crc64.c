/*
 * crc64.c -- CRC-64/ISO, eight bytes at a step.
 *
 * Table k holds the CRC of a byte followed by k zero bytes, so that the eight
 * bytes of a word are looked up independently and XORed (slicing by 8, after
 * Kounavis and Berry, 2005).  The tables are made at the first use.
 */
#include <pthread.h>
#include <string.h>

#include "replication/crc64.h"

#define POLYNOMIAL UINT64_C(0xD800000000000000)

static uint64_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

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
}

static uint64_t
fold_word(uint64_t word)
{
    return tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
           tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
           tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
           tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
}

uint64_t
crc64_update(uint64_t crc, const void *data, size_t len)
{
    const unsigned char *at = data;

    pthread_once(&tables_once, make_tables);
    crc = ~crc;
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
