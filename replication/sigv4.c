/*
 * sigv4.c -- AWS Signature Version 4.
 *
 *   canonical request   method \n path \n query \n headers \n names \n hash
 *   string to sign      AWS4-HMAC-SHA256 \n time \n scope \n hex(sha256(above))
 *   signing key         HMAC chain over date, region, "s3", "aws4_request"
 *   signature           hex(HMAC(signing key, string to sign))
 *
 * What is signed is exactly what is sent: the path and the query are encoded
 * here, once, and handed back for the URL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "server/base/check.h"

#include "replication/sigv4.h"

#define HASH_SIZE 32
#define FILE_BLOCK_SIZE 65536

static void
to_hex(const unsigned char hash[HASH_SIZE], char hex[SIGV4_HASH_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < HASH_SIZE; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[2 * HASH_SIZE] = '\0';
}

void
sigv4_hash(struct slice data, char hex[SIGV4_HASH_HEX_SIZE])
{
    unsigned char hash[HASH_SIZE];

    CHECK(EVP_Digest(data.data, data.len, hash, NULL, EVP_sha256(), NULL) == 1);
    to_hex(hash, hex);
}

struct sigv4_hasher *
sigv4_hasher_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    CHECK(
        context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    return (struct sigv4_hasher *)context;
}

enum status
sigv4_hasher_add_file(
    struct sigv4_hasher *hasher, int fd, uint64_t from, uint64_t size)
{
    EVP_MD_CTX *context = (EVP_MD_CTX *)hasher;
    unsigned char block[FILE_BLOCK_SIZE];

    while (size > 0) {
        size_t part = size < sizeof(block) ? (size_t)size : sizeof(block);
        ssize_t got = pread(fd, block, part, (off_t)from);
        if (got <= 0)
            return STATUS_IO;
        CHECK(EVP_DigestUpdate(context, block, (size_t)got) == 1);
        from += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return STATUS_OK;
}

void
sigv4_hasher_finish(struct sigv4_hasher *hasher, char hex[SIGV4_HASH_HEX_SIZE])
{
    unsigned char hash[HASH_SIZE];

    CHECK(EVP_DigestFinal_ex((EVP_MD_CTX *)hasher, hash, NULL) == 1);
    to_hex(hash, hex);
}

void
sigv4_hasher_free(struct sigv4_hasher *hasher)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)hasher);
}

enum status
sigv4_hash_file(
    int fd, uint64_t from, uint64_t size, char hex[SIGV4_HASH_HEX_SIZE])
{
    struct sigv4_hasher *hasher = sigv4_hasher_new();
    enum status status = sigv4_hasher_add_file(hasher, fd, from, size);

    if (status == STATUS_OK)
        sigv4_hasher_finish(hasher, hex);
    sigv4_hasher_free(hasher);
    return status;
}

static void
hmac(const void *key, size_t key_len, struct slice data,
    unsigned char out[HASH_SIZE])
{
    CHECK(HMAC(EVP_sha256(), key, (int)key_len,
              (const unsigned char *)data.data, data.len, out, NULL) != NULL);
}

static bool
is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           c == '~';
}

void
sigv4_encode(struct buf *out, struct slice s, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (is_unreserved((char)c) || (c == '/' && keep_slash)) {
            buf_append_byte(out, (char)c);
            continue;
        }
        char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
        buf_append(out, escape, sizeof(escape));
    }
}

static int
compare_params(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_param *)a)->name,
        ((const struct sigv4_param *)b)->name);
}

static int
compare_headers(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_header *)a)->name,
        ((const struct sigv4_header *)b)->name);
}

static void
append_query(struct buf *out, struct sigv4_request *request)
{
    if (request->param_count > 1)
        qsort(request->params, request->param_count, sizeof(*request->params),
            compare_params);
    for (size_t i = 0; i < request->param_count; i++) {
        if (i > 0)
            buf_append_byte(out, '&');
        sigv4_encode(out, slice_from_text(request->params[i].name), false);
        buf_append_byte(out, '=');
        sigv4_encode(out, request->params[i].value, false);
    }
}

static void
add_header(struct sigv4_request *request, const char *name, const char *value)
{
    CHECK(request->header_count < SIGV4_HEADERS_MAX);
    request->headers[request->header_count++] =
        (struct sigv4_header){ name, value };
}

/* "host;x-amz-content-sha256;..." */
static void
append_signed_names(struct buf *out, const struct sigv4_request *request)
{
    buf_append_text(out, "host");
    for (size_t i = 0; i < request->header_count; i++)
        buf_printf(out, ";%s", request->headers[i].name);
}

static void
hash_canonical_request(const struct sigv4_request *request, struct slice path,
    struct slice query, char hex[SIGV4_HASH_HEX_SIZE])
{
    struct buf text = BUF_INIT;

    buf_printf(&text, "%s\n", request->method);
    buf_append_slice(&text, path);
    buf_append_byte(&text, '\n');
    buf_append_slice(&text, query);
    buf_printf(&text, "\nhost:%s\n", request->host);
    for (size_t i = 0; i < request->header_count; i++)
        buf_printf(&text, "%s:%s\n", request->headers[i].name,
            request->headers[i].value);
    buf_append_byte(&text, '\n');
    append_signed_names(&text, request);
    buf_printf(&text, "\n%s", request->payload_hash);
    sigv4_hash(buf_slice(&text), hex);
    buf_fini(&text);
}

static void
make_signature(const struct sigv4_request *request, const char *time,
    const char *scope, const char *request_hash, char hex[SIGV4_HASH_HEX_SIZE])
{
    unsigned char key[HASH_SIZE], next[HASH_SIZE];
    struct buf text = BUF_INIT;

    buf_printf(&text, "AWS4%s", request->secret_key);
    hmac(text.data, text.len, slice_make(time, 8), key);
    hmac(key, HASH_SIZE, slice_from_text(request->region), next);
    hmac(next, HASH_SIZE, SLICE("s3"), key);
    hmac(key, HASH_SIZE, SLICE("aws4_request"), next);
    OPENSSL_cleanse(text.data, text.len);
    buf_clear(&text, text.size);
    buf_printf(
        &text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, request_hash);
    hmac(next, HASH_SIZE, buf_slice(&text), key);
    to_hex(key, hex);
    buf_fini(&text);
}

void
sigv4_sign(struct sigv4_request *request, struct buf *path_and_query,
    struct buf *headers)
{
    char time_text[32], scope[128];
    char request_hash[SIGV4_HASH_HEX_SIZE], signature[SIGV4_HASH_HEX_SIZE];
    time_t seconds = (time_t)(request->time_ms / 1000);
    struct buf query = BUF_INIT;
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(scope, sizeof(scope), "%.8s/%s/s3/aws4_request", time_text,
        request->region);
    add_header(request, "x-amz-content-sha256", request->payload_hash);
    add_header(request, "x-amz-date", time_text);
    if (request->session_token != NULL && request->session_token[0] != '\0')
        add_header(request, "x-amz-security-token", request->session_token);
    qsort(request->headers, request->header_count, sizeof(*request->headers),
        compare_headers);

    size_t path_at = path_and_query->len;
    sigv4_encode(path_and_query, request->path, true);
    append_query(&query, request);
    hash_canonical_request(request,
        slice_make(
            path_and_query->data + path_at, path_and_query->len - path_at),
        buf_slice(&query), request_hash);
    make_signature(request, time_text, scope, request_hash, signature);
    if (query.len > 0) {
        buf_append_byte(path_and_query, '?');
        buf_append_slice(path_and_query, buf_slice(&query));
    }
    for (size_t i = 0; i < request->header_count; i++)
        buf_printf(headers, "%s: %s\n", request->headers[i].name,
            request->headers[i].value);
    buf_printf(headers,
        "authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=",
        request->access_key, scope);
    append_signed_names(headers, request);
    buf_printf(headers, ", Signature=%s\n", signature);
    buf_fini(&query);
}
