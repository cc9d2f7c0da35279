/*
 * test_s3list.c -- answers of ListObjectsV2 as real servers write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/s3list.h"

#define HEAD "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">"
#define TAIL "</ListBucketResult>"

static enum status
parse(struct objectstore_request *request, const char *xml, const char *prefix)
{
    objectstore_request_init(request, OBJECTSTORE_LIST, SLICE(""));
    return s3list_parse(request, slice_from_text(xml), slice_from_text(prefix));
}

static void
test_entries(void **state)
{
    struct objectstore_request request;

    (void)state;
    assert_int_equal(
        parse(&request,
            HEAD "<IsTruncated>true</IsTruncated>"
                 "<Contents><Key>p/0000%2Fa%2B%26b</Key>"
                 "<LastModified>2026-11-21T10:00:00.123Z</LastModified>"
                 "<Size>4096</Size></Contents>"
                 "<Contents><Key>p/it&apos;s&#x21;</Key>"
                 "<LastModified>2026-11-21T10:00:01Z</LastModified>"
                 "<Size>1</Size></Contents>"
                 "<Contents><Key>other/x</Key><Size>1</Size></Contents>" TAIL,
            "p"),
        STATUS_OK);
    assert_true(request.has_more);
    assert_int_equal(request.entry_count, 2);
    assert_string_equal(request.entries[0].name, "0000/a+&b");
    assert_int_equal(request.entries[0].size, 4096);
    assert_string_equal(request.entries[1].name, "it's!");
    assert_int_equal(
        request.entries[1].modified_ms - request.entries[0].modified_ms, 877);
    objectstore_request_fini(&request);
}

static void
test_empty_answer_is_empty(void **state)
{
    struct objectstore_request request;

    (void)state;
    assert_int_equal(
        parse(&request, HEAD "<IsTruncated>false</IsTruncated>" TAIL, ""),
        STATUS_OK);
    assert_int_equal(request.entry_count, 0);
    assert_false(request.has_more);
    objectstore_request_fini(&request);
}

/* B4: what is cut short or something else is never "empty". */
static void
test_anything_unclear_is_refused(void **state)
{
    static const char *const bad[] = { "", "<html>502</html>",
        HEAD "<IsTruncated>false</IsTruncated>", HEAD TAIL,
        HEAD "<IsTruncated>false</IsTruncated><Contents><Key>a</Key>" TAIL,
        HEAD "<IsTruncated>false</IsTruncated><Contents></Contents>" TAIL };
    struct objectstore_request request;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(&request, bad[i], ""), STATUS_CORRUPT);
        objectstore_request_fini(&request);
    }
}

static void
test_uploads(void **state)
{
    struct objectstore_request request;
    struct buf id = BUF_INIT;

    (void)state;
    objectstore_request_init(&request, OBJECTSTORE_UPLOAD_LIST, SLICE(""));
    assert_int_equal(
        s3list_parse_uploads(&request,
            SLICE("<ListMultipartUploadsResult>"
                  "<IsTruncated>false</IsTruncated>"
                  "<Upload><Key>p/0009%2Fa</Key><UploadId>2~x&amp;+%41"
                  "</UploadId><Initiated>1970-01-01T00:00:02.5Z</Initiated>"
                  "</Upload><Upload><Key>q/b</Key><UploadId>y</UploadId>"
                  "</Upload></ListMultipartUploadsResult>"),
            SLICE("p")),
        STATUS_OK);
    assert_int_equal(request.entry_count, 1);
    assert_string_equal(request.entries[0].name, "0009/a");
    assert_string_equal(request.entries[0].upload, "2~x&+%41");
    assert_int_equal(request.entries[0].modified_ms, 2500);
    objectstore_request_fini(&request);

    /* One without an id is none that could be aborted. */
    objectstore_request_init(&request, OBJECTSTORE_UPLOAD_LIST, SLICE(""));
    assert_int_equal(
        s3list_parse_uploads(&request,
            SLICE("<ListMultipartUploadsResult>"
                  "<IsTruncated>false</IsTruncated><Upload><Key>a</Key>"
                  "</Upload></ListMultipartUploadsResult>"),
            SLICE("")),
        STATUS_CORRUPT);
    objectstore_request_fini(&request);
    assert_int_equal(
        s3list_parse_upload_id(SLICE("<x><UploadId>ab</UploadId></x>"), &id),
        STATUS_OK);
    assert_true(slice_is(buf_slice(&id), "ab"));
    assert_int_equal(
        s3list_parse_upload_id(SLICE("<x><UploadId></UploadId></x>"), &id),
        STATUS_CORRUPT);
    assert_int_equal(
        s3list_parse_upload_id(SLICE("<html>"), &id), STATUS_CORRUPT);
    buf_fini(&id);
}

static void
test_times(void **state)
{
    (void)state;
    assert_int_equal(s3list_parse_time("1970-01-01T00:00:01.5Z"), 1500);
    assert_int_equal(s3list_parse_time("1970-01-01T00:00:01.123456Z"), 1123);
    assert_int_equal(s3list_parse_time("yesterday"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_empty_answer_is_empty),
        cmocka_unit_test(test_anything_unclear_is_refused),
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
