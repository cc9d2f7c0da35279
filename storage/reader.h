/*
 * reader.h -- opening and closing a reader, and holding its view still.  What
 * a reader answers is in store.h.
 *
 * Thread: whoever opened it.
 */
#ifndef WALDEN_STORAGE_READER_H
#define WALDEN_STORAGE_READER_H

#include "storage/store.h"

/* vfs may be NULL.  Fails with a sentence in error. */
MUST_CHECK enum status reader_open(struct reader **reader, const char *path,
    const char *vfs, char *error, size_t error_size);
/* Accepts NULL. */
void reader_close(struct reader *reader);

/*
 * Between the two, all calls see the tables of one moment and consecutive
 * calls of reader_next_key() and reader_next_expired() cost a step each.
 * Do not hold for long: the WAL cannot start again meanwhile.  Holds nest.
 */
MUST_CHECK enum status reader_hold(struct reader *reader);
void reader_release(struct reader *reader);

#endif
