/*
 * s3ask.h -- a request on its way to S3, and how it is put to it.
 *
 * Private to the store: s3.c has the transfers and their answers, s3ask.c makes
 * what is sent.  Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_S3ASK_H
#define WALDEN_REPLICATION_S3ASK_H

#include <curl/curl.h>

#include "replication/credentials.h"
#include "replication/objectstore.h"
#include "replication/s3socket.h"
#include "replication/sigv4.h"

struct s3;

struct transfer {
    struct transfer *next, *previous; /* under way, or in the pool */
    struct s3 *s3;
    struct objectstore_request *request;
    CURL *easy;
    curl_socket_t fd; /* CURL_SOCKET_BAD: not known */
    struct curl_slist *headers;
    struct buf url, target, lines;
    struct buf body;    /* of an upload's end, made here */
    struct buf failure; /* the beginning of an error's body */
    uint64_t sent;      /* bytes of the body handed to libcurl */
    char payload_hash[SIGV4_HASH_HEX_SIZE];
};

struct s3 {
    struct objectstore base; /* first */
    CURLM *multi;
    struct s3socket_table sockets;
    struct transfer *active, *pool;
    size_t pool_count;
    char *bucket, *prefix; /* prefix: "" or without slashes at its ends */
    char *origin;          /* "http://host:port" */
    char *host;            /* for the signature */
    char *region, *ca_file;
    bool path_style;
    int64_t timeout_ms, connect_timeout_ms;
    struct credentials credentials;
};

/*
 * Make the transfer's request ready to be sent: signed, its handle's options
 * set.  Fails: STATUS_IO (the file to be sent cannot be read).
 */
MUST_CHECK enum status s3ask_prepare(struct s3 *s3, struct transfer *transfer);

#endif
