/*
 * tempdir.c -- a folder of a test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tempdir.h"

void
tempdir_make(char *path, const char *name)
{
    const char *parent = getenv("TMPDIR");
    int len;

    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    len = snprintf(path, TEMPDIR_SIZE, "%s/walden-%s-XXXXXX", parent, name);
    assert_in_range(len, 1, TEMPDIR_SIZE - 1);
    assert_non_null(mkdtemp(path));
}

void
tempdir_remove(const char *path)
{
    char command[TEMPDIR_SIZE + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}
