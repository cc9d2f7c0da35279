/*
 * rdb_packed.h -- the packed arrays of RDB: many small strings and numbers in
 * one string.
 *
 *   listpack  size, 4 LE | count, 2 LE | entries | FF
 *             entry: encoding and data | length of those, backwards
 *   ziplist   size, 4 LE | offset of the last entry, 4 LE | count, 2 LE |
 *             entries | FF
 *             entry: length of the entry before (1 byte, or FE and 4 LE) |
 *             encoding and data
 *   zipmap    count, 1 byte | fields and values in turn | FF
 *             field: length (1 byte, or FE and 4 LE) | data
 *             value: length | free, 1 byte | data | free bytes
 *
 * The sources are Redis's listpack.c, ziplist.c and zipmap.c.  Sizes, counts
 * and backward lengths that contradict the entries are refused, so that what
 * is taken in is what its writer meant.
 */
#ifndef WALDEN_SERVER_RDB_PACKED_H
#define WALDEN_SERVER_RDB_PACKED_H

#include "server/base/slice.h"

enum rdb_packed_form {
    RDB_PACKED_LISTPACK,
    RDB_PACKED_ZIPLIST,
    RDB_PACKED_ZIPMAP
};

/* value is lent for the call.  false: stop. */
typedef bool (*rdb_packed_visit_fn)(struct slice value, void *arg);

/* Visit the entries of packed in order.  false: it is damaged, or stopped. */
bool rdb_packed_each(enum rdb_packed_form form, struct slice packed,
    rdb_packed_visit_fn visit, void *arg);

#endif
