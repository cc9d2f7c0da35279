/*
 * restoreapply.h -- bytes of LTX files become pages of a database file, in a
 * thread of its own, while the next ones are being fetched.
 *
 * Private to restore.c.  What is fetched is given in the order in which it is
 * to be applied; the thread decodes, checks and writes it.  A run of pages is
 * decompressed to where it is written from, so that pages are not copied, and
 * written at once.
 *
 * Thread: the caller's one; the thread made here touches what it was given.
 */
#ifndef WALDEN_REPLICATION_RESTOREAPPLY_H
#define WALDEN_REPLICATION_RESTOREAPPLY_H

#include "replication/restore.h"

#include <stdatomic.h>

#define RESTOREAPPLY_RUN_SIZE (512 * 1024) /* bytes written at once */

/* A piece of one file of the chain; the pieces of a file follow one another. */
struct restoreapply_piece {
    struct restoreapply_piece *next; /* restoreapply's own */
    const struct layout_file *file;
    struct slice bytes;
    bool is_last; /* of its file */
    atomic_bool is_applied;
};

struct restoreapply;
/* wake(arg) is called from the thread after each piece. */
struct restoreapply *restoreapply_start(
    int fd, void (*wake)(void *arg), void *arg);
/* Lends piece until is_applied, which it becomes also after a failure. */
void restoreapply_give(
    struct restoreapply *apply, struct restoreapply_piece *piece);
/* Has something failed?  What follows is not applied any more. */
bool restoreapply_has_failed(const struct restoreapply *apply);
/* Until piece is_applied. */
void restoreapply_wait(
    struct restoreapply *apply, const struct restoreapply_piece *piece);
/*
 * All that was given is applied, the thread ended, apply freed.  size: bytes
 * that the database is to have.  On failure error says what, naming the object.
 */
MUST_CHECK enum status restoreapply_finish(struct restoreapply *apply,
    struct restore_result *result, uint64_t *size, struct buf *error);

#endif
