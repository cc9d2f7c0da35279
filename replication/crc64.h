/*
 * crc64.h -- CRC-64/ISO as Go's crc64.ISO table computes it: reflected
 * polynomial 0xD800000000000000, initial value and final xor all ones.
 * Eight tables (slicing by 8), about 1.5 GB/s.  Thread: any.
 */
#ifndef WALDEN_REPLICATION_CRC64_H
#define WALDEN_REPLICATION_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Continue from crc (0 at the start) over data. */
uint64_t crc64_update(uint64_t crc, const void *data, size_t len);

#endif
