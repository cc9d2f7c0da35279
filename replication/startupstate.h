/*
 * startupstate.h -- what the parts of a start share.  Private to startup.c,
 * startupmark.c and startuprefuse.c.  Thread: the main one.
 */
#ifndef WALDEN_REPLICATION_STARTUPSTATE_H
#define WALDEN_REPLICATION_STARTUPSTATE_H

#include "replication/layout.h"
#include "replication/outbox.h"
#include "replication/startup.h"

struct startup {
    struct objectstore *store;
    const char *bucket;
    struct outbox *outbox;
    const char *path;
    volatile int *stop;
    struct startup_result *result;
    struct buf *error;
    struct layout_file *files;
    size_t count;
    uint64_t newest;            /* txid in the bucket; 0: empty */
    struct layout_file newest0; /* newest level-0 file; txid 0: none */
    struct unowned *mark;       /* open; NULL: none */
    bool is_marked;             /* ... and made by this start */
    int percent;                /* restored, as last logged */
};

#endif
