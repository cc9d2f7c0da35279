/*
 * fuzz_s3list.c -- the reader of LIST answers against what a proxy, a broken
 * server or an attacker may send.
 */
#include <stddef.h>
#include <stdint.h>

#include "replication/s3list.h"
#include "server/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const prefixes[] = { "", "a/prefix" };

    for (size_t i = 0; i < 2; i++) {
        struct objectstore_request request;
        objectstore_request_init(&request, OBJECTSTORE_LIST, SLICE(""));
        enum status status = s3list_parse(
            &request, slice_make(data, size), slice_from_text(prefixes[i]));
        CHECK(status == STATUS_OK || status == STATUS_CORRUPT);
        for (size_t e = 0; e < request.entry_count; e++)
            CHECK(request.entries[e].name != NULL);
        objectstore_request_fini(&request);
    }
    return 0;
}
