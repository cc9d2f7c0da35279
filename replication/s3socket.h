/*
 * s3socket.h -- the sockets of a store's connections, to acknowledge at once.
 *
 * Some servers (Ceph's gateway is one) send the head of an answer and its body
 * apart, and the second only when the first was acknowledged, which Linux does
 * 40 ms later.  libcurl does not say in time which socket a transfer uses; it
 * does say which local port.
 * Thread: SHIP.
 */
#ifndef WALDEN_REPLICATION_S3SOCKET_H
#define WALDEN_REPLICATION_S3SOCKET_H

#include <curl/curl.h>

#include <stddef.h>

#define S3SOCKET_MAX 64 /* known; those beyond are only slower */

struct s3socket_table {
    struct {
        curl_socket_t fd;
        int port; /* the local one; 0: not bound yet */
    } sockets[S3SOCKET_MAX];
    size_t count;
};

/* Let the table know what easy opens and closes.  Lends table, for as long */
/* as connections made by easy are open. */
void s3socket_watch(struct s3socket_table *table, CURL *easy);
/* The socket with this local port; CURL_SOCKET_BAD: none is known. */
curl_socket_t s3socket_find(struct s3socket_table *table, int port);
/* Acknowledge what has been received. */
void s3socket_acknowledge(curl_socket_t fd);

#endif
