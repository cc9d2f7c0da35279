/*
 * memory.c -- malloc and friends with one policy for failure.
 *
 * A refused small allocation ends the process with one line on stderr: every
 * acknowledged write is on disk, so a restart loses nothing, and code that
 * limps on without memory is code that nobody has tested.  Zero bytes are
 * asked for as one, so that NULL always means refused.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/memory.h"

#define MEMORY_LINE_SIZE 80 /* bytes */

static _Noreturn void
fail(size_t size)
{
    char text[MEMORY_LINE_SIZE];

    int len = snprintf(
        text, sizeof(text), "out of memory: %zu bytes refused\n", size);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}

void *
memory_alloc(size_t size)
{
    void *data = malloc(size == 0 ? 1 : size);

    if (data == NULL)
        fail(size);
    return data;
}

void *
memory_zalloc(size_t size)
{
    void *data = calloc(1, size == 0 ? 1 : size);

    if (data == NULL)
        fail(size);
    return data;
}

void *
memory_realloc(void *data, size_t size)
{
    void *fresh = realloc(data, size == 0 ? 1 : size);

    if (fresh == NULL)
        fail(size);
    return fresh;
}

void *
memory_try_alloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *
memory_try_realloc(void *data, size_t size)
{
    return realloc(data, size == 0 ? 1 : size);
}

void
memory_free(void *data)
{
    free(data);
}

char *
memory_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memory_alloc(size);

    memcpy(copy, text, size);
    return copy;
}

size_t
memory_usable(const void *data)
{
    /* The allocator only reads its own books; the cast drops const for it. */
    return malloc_usable_size((void *)(uintptr_t)data);
}
