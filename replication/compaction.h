/*
 * compaction.h -- many LTX files become one.
 *
 * Inputs are files on local disk or in memory that continue one another without
 * a gap; the output holds the newest version of each page they touch, leaves
 * out pages beyond the last one's commit, and spans their txids.  Memory is
 * bounded: the page indexes of the inputs, and one page.
 * Thread: any, one at a time for the same inputs.
 */
#ifndef WALDEN_REPLICATION_COMPACTION_H
#define WALDEN_REPLICATION_COMPACTION_H

#include "server/base/buf.h"

#include <stdint.h>

struct compaction_input {
    struct slice bytes; /* the whole file, lent; or, if data is NULL: */
    int fd;             /* it stands in this one, open for reading, ... */
    uint64_t from;      /* ... from here on: one file may hold all inputs */
    uint64_t size;      /* bytes */
};

/*
 * Merge the inputs (oldest first) into the file open at out_fd
 * (empty, read-write).  The header's timestamp is the newest input's.
 * Fails: STATUS_CORRUPT (error names the input by its position and what is
 *        wrong with it: each is verified whole), STATUS_INVALID (they do not
 *        continue one another), STATUS_IO, STATUS_FULL.
 */
MUST_CHECK enum status compaction_merge(const struct compaction_input *inputs,
    size_t count, int out_fd, uint64_t *out_size, struct buf *error);

#endif
