/*
 * listener.c -- listening, accepting, and turning away.
 *
 * As many connections as are waiting are accepted at once, up to ACCEPT_MAX,
 * so that a storm of them does not starve those that are there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/listener.h"
#include "server/transport.h"

#define ACCEPT_MAX 1000  /* connections accepted in one go */
#define ADDRESS_SIZE 160 /* bytes of a printed address */
#define LISTENERS_MAX (CONFIG_BIND_MAX + 1)

static struct {
    int fd;
    struct event *event;
    bool is_unix;
} listeners[LISTENERS_MAX];
static int listener_count;
static char *unix_path; /* to be removed at the end */

static const char denied[] =
    "-DENIED Redis is running in protected mode because protected mode is "
    "enabled and no password is set for the default user. In this mode "
    "connections are only accepted from the loopback interface. If you want "
    "to connect from external computers to Redis you may adopt one of the "
    "following solutions: 1) Just disable protected mode sending the command "
    "'CONFIG SET protected-mode no' from the loopback interface by connecting "
    "to Redis from the same host the server is running, however MAKE SURE "
    "Redis is not publicly accessible from internet if you do so. Use CONFIG "
    "REWRITE to make this change permanent. 2) Alternatively you can just "
    "disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the "
    "server. 3) If you started the server manually just for testing, restart "
    "it with the '--protected-mode no' option. 4) Setup a an authentication "
    "password for the default user. NOTE: You only need to do one of the above "
    "things in order for the server to start accepting connections from the "
    "outside.\r\n";

/* ---- addresses --------------------------------------------------------- */

static bool
is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            return v6->sin6_addr.s6_addr[12] == 127;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return address->ss_family == AF_UNIX;
}

/* "ip:port", "[ip]:port" or "path:0", as CLIENT LIST prints it. */
static char *
print_address(const struct sockaddr_storage *address, const char *path)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    char text[ADDRESS_SIZE];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
        (void)snprintf(text, sizeof(text), "%s:%d", ip, ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
        (void)snprintf(text, sizeof(text), "[%s]:%d", ip, ntohs(v6->sin6_port));
    } else {
        (void)snprintf(text, sizeof(text), "%.140s:0", path);
    }
    return memory_copy_text(text);
}

/* ---- accepting --------------------------------------------------------- */

/* Say why and hang up.  The text is short: the socket's buffer takes it. */
static void
turn_away(struct server *srv, int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    (void)close(fd);
    srv->stats.rejected_connections++;
}

static void
set_tcp_options(const struct server *srv, int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int idle = (int)srv->config.tcp_keepalive_s;
    if (idle <= 0)
        return;
    int interval = idle / 3 > 0 ? idle / 3 : 1;
    int count = 3;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(
        fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void
welcome(struct server *srv, int fd, const struct sockaddr_storage *peer,
    bool is_unix)
{
    const struct config *config = &srv->config;
    if ((int64_t)srv->session_count >= config->maxclients) {
        turn_away(srv, fd, "-ERR max number of clients reached\r\n");
        return;
    }
    bool has_password =
        config->requirepass != NULL && config->requirepass[0] != '\0';
    if (config->protected_mode && !has_password && !is_loopback(peer)) {
        turn_away(srv, fd, denied);
        return;
    }
    if (!is_unix)
        set_tcp_options(srv, fd);
    struct session *session = session_new(srv, fd);
    struct sockaddr_storage local = { .ss_family = AF_UNIX };
    socklen_t len = sizeof(local);
    if (!is_unix)
        (void)getsockname(fd, (struct sockaddr *)&local, &len);
    session->address = print_address(peer, unix_path);
    session->local_address = print_address(&local, unix_path);
    if (is_unix)
        session->flags |= SESSION_UNIX;
    srv->stats.connections++;
    transport_start(session);
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct server *srv = arg;
    bool is_unix = false;
    (void)what;
    for (int i = 0; i < listener_count; i++)
        if (listeners[i].fd == fd)
            is_unix = listeners[i].is_unix;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage peer = { .ss_family = AF_UNIX };
        socklen_t len = sizeof(peer);
        int client = accept4(
            fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log_warning("Accepting client connection: %s", strerror(errno));
            return;
        }
        if (is_unix)
            peer.ss_family = AF_UNIX;
        welcome(srv, client, &peer, is_unix);
    }
}

/* ---- listening --------------------------------------------------------- */

static enum status
add_listener(struct server *srv, int fd, bool is_unix)
{
    struct event *event =
        event_new(srv->base, fd, EV_READ | EV_PERSIST, on_connection, srv);
    if (event == NULL || event_add(event, NULL) != 0)
        return STATUS_NO_MEMORY;
    listeners[listener_count].fd = fd;
    listeners[listener_count].event = event;
    listeners[listener_count].is_unix = is_unix;
    listener_count++;
    return STATUS_OK;
}

/* name: an IPv4 or IPv6 address, "*" or "::*". */
static bool
parse_address(const char *name, int port, struct sockaddr_storage *address,
    socklen_t *len)
{
    memset(address, 0, sizeof(*address));
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;
    if (strcmp(name, "*") == 0)
        name = "0.0.0.0";
    if (strcmp(name, "::*") == 0)
        name = "::";
    if (strcmp(name, "localhost") == 0)
        name = "127.0.0.1";
    if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *len = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *len = sizeof(*v6);
        return true;
    }
    return false;
}

static int
open_tcp(const struct server *srv, const char *name)
{
    struct sockaddr_storage address;
    socklen_t len;
    int on = 1;
    if (!parse_address(name, (int)srv->config.port, &address, &len)) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = socket(
        address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, len) == 0 &&
        listen(fd, (int)srv->config.tcp_backlog) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static bool
may_be_unavailable(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT ||
           error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT ||
           error == EPFNOSUPPORT || error == ENOPROTOOPT;
}

static enum status
open_all_tcp(struct server *srv, char *error, size_t error_size)
{
    const struct config *config = &srv->config;
    for (int i = 0; i < config->bind_count && config->port != 0; i++) {
        const char *name = config->bind[i];
        bool is_optional = name[0] == '-';
        name += is_optional ? 1 : 0;
        int fd = open_tcp(srv, name);
        if (fd < 0 && is_optional && may_be_unavailable(errno))
            continue;
        if (fd < 0) {
            (void)snprintf(error, error_size,
                "Could not create server TCP listening socket %s:%lld: %s",
                name, (long long)config->port, strerror(errno));
            return STATUS_IO;
        }
        enum status status = add_listener(srv, fd, false);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status
open_unix(struct server *srv, char *error, size_t error_size)
{
    const char *path = srv->config.unixsocket;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (path == NULL || path[0] == '\0')
        return STATUS_OK;
    if (strlen(path) >= sizeof(address.sun_path)) {
        (void)snprintf(error, error_size,
            "Failed opening Unix socket: the path %s is too long", path);
        return STATUS_INVALID;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, (int)srv->config.tcp_backlog) != 0) {
        (void)snprintf(error, error_size, "Failed opening Unix socket: %s: %s",
            path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return STATUS_IO;
    }
    if (srv->config.unixsocketperm != 0)
        (void)chmod(path, (mode_t)srv->config.unixsocketperm);
    unix_path = memory_copy_text(path);
    return add_listener(srv, fd, true);
}

enum status
listener_open(struct server *srv, char *error, size_t error_size)
{
    enum status status = open_all_tcp(srv, error, error_size);
    if (status == STATUS_OK)
        status = open_unix(srv, error, error_size);
    if (status == STATUS_OK && listener_count == 0) {
        (void)snprintf(
            error, error_size, "Configured to not listen anywhere, exiting.");
        status = STATUS_INVALID;
    }
    if (status != STATUS_OK)
        listener_close();
    return status;
}

void
listener_close(void)
{
    for (int i = 0; i < listener_count; i++) {
        event_free(listeners[i].event);
        (void)close(listeners[i].fd);
    }
    listener_count = 0;
    if (unix_path != NULL)
        (void)unlink(unix_path);
    memory_free(unix_path);
    unix_path = NULL;
}
