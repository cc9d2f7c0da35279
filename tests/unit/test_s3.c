/*
 * test_s3.c -- requests that are never sent.  (What is sent is tested against
 * a real gateway, in tests/bucket.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "replication/objectstore.h"

static void
test_a_file_too_large_for_one_upload(void **state)
{
    /* Port 1: whoever connects is refused, with another status. */
    struct objectstore_options options = { .url = "s3://bucket/prefix",
        .endpoint = "http://127.0.0.1:1",
        .path_style = true,
        .access_key = "key",
        .secret_key = "secret" };
    struct objectstore_request request;
    struct objectstore *store;
    struct buf error = BUF_INIT;

    (void)state;
    assert_int_equal(objectstore_open(&store, &options, &error), STATUS_OK);
    objectstore_request_init(&request, OBJECTSTORE_PUT, SLICE("0009/x"));
    request.body_fd = 0; /* not read */
    request.body_size = OBJECTSTORE_PUT_SIZE_MAX + 1;
    assert_int_equal(objectstore_run(store, &request), STATUS_INVALID);
    assert_non_null(strstr(request.error, "5 GiB"));
    assert_int_equal(store->requests[OBJECTSTORE_PUT], 0);
    objectstore_request_fini(&request);
    objectstore_close(store);
    buf_fini(&error);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_too_large_for_one_upload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
