/*
 * sigv4.h -- AWS Signature Version 4, by hand (OpenSSL's HMAC-SHA-256).
 *
 * libcurl's own signing is not used: 7.88 sends no x-amz-content-sha256, does
 * not sort or encode the query, and signs removed headers.
 *
 * Signed headers: host, x-amz-content-sha256, x-amz-date and every other
 * x-amz-* header given.  Range and If-* ride unsigned, which all servers take.
 * Source: AWS General Reference, "Signature Version 4 signing process".
 * Thread: any.
 */
#ifndef WALDEN_REPLICATION_SIGV4_H
#define WALDEN_REPLICATION_SIGV4_H

#include "server/base/buf.h"

#define SIGV4_HASH_HEX_SIZE 65 /* 64 lower-case hex digits and a NUL */
#define SIGV4_HEADERS_MAX 8

struct sigv4_header {
    const char *name; /* lower case, x-amz-... */
    const char *value;
};

/* Query parameter, not yet encoded. */
struct sigv4_param {
    const char *name;
    struct slice value;
};

struct sigv4_request {
    const char *method; /* "PUT" */
    const char *host;   /* with its port if not the default one */
    struct slice path;  /* "/bucket/key", not encoded */
    struct sigv4_param *params;
    size_t param_count;                             /* sorted in place */
    struct sigv4_header headers[SIGV4_HEADERS_MAX]; /* sorted in place */
    size_t header_count;
    const char *payload_hash; /* hex SHA-256 of the body */
    int64_t time_ms;          /* wall clock */
    const char *access_key, *secret_key, *session_token; /* token or NULL */
    const char *region;
};

/* Hex SHA-256 of data. */
void sigv4_hash(struct slice data, char hex[SIGV4_HASH_HEX_SIZE]);
/* Of size bytes of a file. */
MUST_CHECK enum status sigv4_hash_file(
    int fd, uint64_t from, uint64_t size, char hex[SIGV4_HASH_HEX_SIZE]);
/* The same in slices, for who has other things to do beside. */
struct sigv4_hasher;
struct sigv4_hasher *sigv4_hasher_new(void);
MUST_CHECK enum status sigv4_hasher_add_file(
    struct sigv4_hasher *hasher, int fd, uint64_t from, uint64_t size);
void sigv4_hasher_finish(
    struct sigv4_hasher *hasher, char hex[SIGV4_HASH_HEX_SIZE]);
void sigv4_hasher_free(struct sigv4_hasher *hasher); /* accepts NULL */

/* Append s with everything but A-Za-z0-9-_.~ (and '/' if keep_slash) as %XX. */
void sigv4_encode(struct buf *out, struct slice s, bool keep_slash);

/*
 * Sign.  Appends to path_and_query the encoded path and "?query" to send, and
 * to headers the header lines to send ("name: value\n" each: x-amz-*,
 * authorization).
 */
void sigv4_sign(struct sigv4_request *request, struct buf *path_and_query,
    struct buf *headers);

#endif
