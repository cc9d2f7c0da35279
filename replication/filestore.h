/*
 * filestore.h -- a directory as an object store: file:///path.
 *
 * An object is a file below the directory, written beside its place, fsynced
 * and linked (If-None-Match) or renamed into it, its folder fsynced too: an
 * object is whole or not there, also after a power cut.  The metadata
 * timestamp stands in the file's modification time.
 * Requests run at once, in objectstore_submit(); completions in the poll.
 */
#ifndef WALDEN_REPLICATION_FILESTORE_H
#define WALDEN_REPLICATION_FILESTORE_H

#include "replication/objectstore.h"

MUST_CHECK enum status filestore_open(struct objectstore **store,
    const struct objectstore_options *options, struct buf *error);

#endif
