/*
 * test_sigv4.c -- against the worked examples of the Amazon S3 API reference
 * ("Signature Calculations for the Authorization Header").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/sigv4.h"

#define EXAMPLE_TIME_MS INT64_C(1369353600000) /* 2013-05-24T00:00:00Z */
#define EMPTY_HASH \
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
sign(const char *path, struct sigv4_param *params, size_t count,
    struct buf *target, struct buf *headers)
{
    struct sigv4_request request = { .method = "GET",
        .host = "examplebucket.s3.amazonaws.com",
        .path = slice_from_text(path),
        .params = params,
        .param_count = count,
        .payload_hash = EMPTY_HASH,
        .time_ms = EXAMPLE_TIME_MS,
        .access_key = "AKIAIOSFODNN7EXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        .region = "us-east-1" };

    sigv4_sign(&request, target, headers);
    buf_append_byte(target, '\0');
    buf_append_byte(headers, '\0');
}

static void
test_list_example(void **state)
{
    struct sigv4_param params[] = { { "prefix", SLICE("J") },
        { "max-keys", SLICE("2") } };
    struct buf target = BUF_INIT, headers = BUF_INIT;

    (void)state;
    sign("/", params, 2, &target, &headers);
    assert_string_equal(target.data, "/?max-keys=2&prefix=J");
    assert_non_null(strstr(headers.data,
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69"
        "dc6f7"));
    buf_fini(&target);
    buf_fini(&headers);
}

static void
test_subresource_example(void **state)
{
    struct sigv4_param params[] = { { "lifecycle", SLICE("") } };
    struct buf target = BUF_INIT, headers = BUF_INIT;

    (void)state;
    sign("/", params, 1, &target, &headers);
    assert_string_equal(target.data, "/?lifecycle=");
    assert_non_null(strstr(headers.data,
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a01367"
        "83543"));
    buf_fini(&target);
    buf_fini(&headers);
}

static void
test_encoding(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    sigv4_encode(&out, SLICE("a/b c+=~%\xc3\xa9"), true);
    sigv4_encode(&out, SLICE("/"), false);
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, "a/b%20c%2B%3D~%25%C3%A9%2F");
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_example),
        cmocka_unit_test(test_subresource_example),
        cmocka_unit_test(test_encoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
