/*
 * slice.h -- a pointer and a length: bytes lent by somebody else.
 *
 * A slice never owns.  Its bytes may hold NULs and need no terminator.
 */
#ifndef WALDEN_BASE_SLICE_H
#define WALDEN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t len; /* bytes */
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })

static inline struct slice
slice_make(const void *data, size_t len)
{
    return (struct slice){ (const char *)data, len };
}

static inline struct slice
slice_from_text(const char *text)
{
    return (struct slice){ text, strlen(text) };
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Equality that ignores ASCII case.  text is NUL-terminated. */
bool slice_is(struct slice a, const char *text);

/* memcmp order, a prefix first: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

#endif
