/*
 * tempdir.h -- a folder of a test's own, where TMPDIR says, else in /tmp.
 *
 * Both fail the test that called them.
 */
#ifndef WALDEN_TESTS_UNIT_TEMPDIR_H
#define WALDEN_TESTS_UNIT_TEMPDIR_H

#define TEMPDIR_SIZE 192 /* bytes of its path at most, with the NUL */

/* Make one; name is part of its name.  path: TEMPDIR_SIZE bytes. */
void tempdir_make(char *path, const char *name);
/* Remove it with all that is in it. */
void tempdir_remove(const char *path);

#endif
