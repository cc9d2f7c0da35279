/*
 * status.c -- the words for each status, in one table.
 */
#include "server/base/status.h"

#include <stddef.h>

static const char *const texts[] = {
    [STATUS_OK] = "ok",
    [STATUS_NOT_FOUND] = "not found",
    [STATUS_EXISTS] = "exists already",
    [STATUS_INVALID] = "invalid",
    [STATUS_RANGE] = "out of range",
    [STATUS_LIMIT] = "limit reached",
    [STATUS_NO_MEMORY] = "out of memory",
    [STATUS_IO] = "input/output error",
    [STATUS_FULL] = "no space left on device",
    [STATUS_CORRUPT] = "corrupt",
    [STATUS_BUSY] = "busy",
    [STATUS_NEWER_VERSION] = "made by a newer version",
    [STATUS_DENIED] = "permission denied",
    [STATUS_CONFLICT] = "conflict",
    [STATUS_TIMEOUT] = "timed out",
    [STATUS_UNSUPPORTED] = "not supported",
};

const char *
status_text(enum status status)
{
    size_t index = (size_t)status;

    if (index >= sizeof(texts) / sizeof(texts[0]) || texts[index] == NULL)
        return "unknown status";
    return texts[index];
}
