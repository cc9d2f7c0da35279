/*
 * s3socket.c -- the sockets of a store's connections.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "replication/s3socket.h"

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct s3socket_table *table = arg;
    int fd = socket(
        address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (table->count < S3SOCKET_MAX) {
        table->sockets[table->count].fd = fd;
        table->sockets[table->count++].port = 0;
    }
    return fd;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
    struct s3socket_table *table = arg;

    for (size_t i = 0; i < table->count; i++)
        if (table->sockets[i].fd == fd) {
            table->sockets[i] = table->sockets[--table->count];
            break;
        }
    return close(fd);
}

void
s3socket_watch(struct s3socket_table *table, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, table);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, table);
}

static int
port_of(curl_socket_t fd)
{
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = { 0 };
    socklen_t len = sizeof(name.storage);

    if (getsockname(fd, (struct sockaddr *)&name.storage, &len) != 0)
        return 0;
    return ntohs(name.storage.ss_family == AF_INET6 ? name.v6.sin6_port
                                                    : name.v4.sin_port);
}

curl_socket_t
s3socket_find(struct s3socket_table *table, int port)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->sockets[i].port == 0)
            table->sockets[i].port = port_of(table->sockets[i].fd);
        if (table->sockets[i].port == port)
            return table->sockets[i].fd;
    }
    return CURL_SOCKET_BAD;
}

void
s3socket_acknowledge(curl_socket_t fd)
{
    int one = 1;

    /* Only quicker: a failure matters to nobody. */
    if (fd != CURL_SOCKET_BAD)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}
