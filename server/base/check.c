/*
 * check.c -- what happens when an assertion fails.
 *
 * The line goes straight to file descriptor 2: the log may be what is broken,
 * or its lock held.  abort() leaves a core for whoever looks later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/check.h"

#define CHECK_LINE_SIZE 1024 /* bytes; a longer line is cut */

_Noreturn void
check_fail(
    const char *file, int line, const char *function, const char *expression)
{
    char text[CHECK_LINE_SIZE];

    int len = snprintf(text, sizeof(text), "%s:%d: %s: check failed: %s\n",
        file, line, function, expression);
    if (len >= (int)sizeof(text))
        len = (int)sizeof(text) - 1;
    /* Nothing is left to be done if even this fails. */
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}
