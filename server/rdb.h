/*
 * rdb.h -- a value in the form of Redis's RDB files, as DUMP gives it away and
 * RESTORE takes it in.
 *
 *   payload  = type, 1 byte | value | RDB version, 2 bytes LE | CRC-64, 8 bytes
 *              LE, of everything before it
 *   length   = 00xxxxxx                      6 bits
 *            | 01xxxxxx x                    14 bits
 *            | 10000000 xxxx                 32 bits, big-endian
 *            | 10000001 xxxxxxxx             64 bits, big-endian
 *   string   = length bytes
 *            | 11000000 x, 11000001 xx, 11000010 xxxx     a number, LE, signed
 *            | 11000011 length length bytes               LZF: packed, unpacked
 *
 * Read is every form of a string, list or hash that Redis has written since
 * 2.4: plain, and packed into ziplists, listpacks, quicklists or zipmaps
 * (rdb_packed.h).  Written are the plain forms, which every Redis reads.  The
 * source is Redis's rdb.c; the CRC is "Jones", init 0, reflected.
 *
 * A payload comes from a client: nothing in it is believed.  It is read to its
 * end before anything is kept, no read passes its end, and what it may unpack
 * to is limited.
 */
#ifndef WALDEN_SERVER_RDB_H
#define WALDEN_SERVER_RDB_H

#include "storage/rowchange.h"

#define RDB_VERSION 10     /* written; Redis 7.0 reads it */
#define RDB_VERSION_MAX 11 /* read; Redis 7.2 writes it */
#define RDB_FOOTER_SIZE 10 /* bytes */
#define RDB_UNPACKED_SIZE_MAX (UINT64_C(4) << 30) /* bytes, of one payload */

/* CRC-64 "Jones", going on from crc (0 at the start). */
uint64_t rdb_crc(uint64_t crc, const void *data, size_t len);

/* ---- writing ------------------------------------------------------------- */

/* All append to out. */
void rdb_put_type(struct buf *out, enum key_type type);
void rdb_put_len(struct buf *out, uint64_t len);
void rdb_put_string(struct buf *out, struct slice value);
/* Version and CRC of all that is in out. */
void rdb_put_footer(struct buf *out);

/* ---- reading ------------------------------------------------------------- */

/*
 * Does payload end in a version we read and its own CRC?  Then body is what
 * comes before.
 */
bool rdb_check_footer(struct slice payload, struct slice *body);

/*
 * A string (first), an element of a list (first), or a field of a hash and its
 * value.  All lent for the call.  false: the value cannot be; stop.
 */
typedef bool (*rdb_visit_fn)(
    enum key_type type, struct slice first, struct slice second, void *arg);

/*
 * Visit what body holds.  Strings longer than string_size_max are refused.
 * Fails: STATUS_INVALID (no value, or of a type that is not here; empty lists
 * and hashes are no values), STATUS_LIMIT, STATUS_NO_MEMORY.  Some of it may
 * have been visited then.
 */
MUST_CHECK enum status rdb_read(
    struct slice body, uint64_t string_size_max, rdb_visit_fn visit, void *arg);

#endif
