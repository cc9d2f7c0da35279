/*
 * slice.c -- comparisons of lent bytes.
 */
#include <strings.h>

#include "server/base/slice.h"

bool
slice_is(struct slice a, const char *text)
{
    return strlen(text) == a.len &&
           (a.len == 0 || strncasecmp(a.data, text, a.len) == 0);
}

int
slice_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}
