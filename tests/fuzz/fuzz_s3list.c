/*
 * fuzz_s3list.c -- the readers of S3's answers against what a proxy, a broken
 * server or an attacker may send.
 */
#include <stddef.h>
#include <stdint.h>

#include "replication/s3list.h"
#include "server/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_uploads(struct slice xml, const char *prefix)
{
    struct objectstore_request request;

    objectstore_request_init(&request, OBJECTSTORE_UPLOAD_LIST, SLICE(""));
    enum status status =
        s3list_parse_uploads(&request, xml, slice_from_text(prefix));
    CHECK(status == STATUS_OK || status == STATUS_CORRUPT);
    for (size_t e = 0; e < request.entry_count; e++)
        CHECK(request.entries[e].name != NULL &&
              request.entries[e].upload != NULL);
    objectstore_request_fini(&request);
}

static void
read_upload_id(struct slice xml)
{
    struct buf id = BUF_INIT;
    enum status status = s3list_parse_upload_id(xml, &id);

    CHECK(status == STATUS_OK ? id.len > 0 && id.len <= S3LIST_ID_SIZE_MAX
                              : status == STATUS_CORRUPT && id.len == 0);
    buf_fini(&id);
}

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
        read_uploads(slice_make(data, size), prefixes[i]);
    }
    read_upload_id(slice_make(data, size));
    return 0;
}
