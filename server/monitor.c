/*
 * monitor.c -- MONITOR: each request, as a line, to each client that asked.
 *
 *   +1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
 *
 * A line tells of a write, so it is held back until that is durable, like any
 * push (R1): the seq the request observed goes with it.
 */
#include "server/base/clock.h"
#include "server/monitor.h"
#include "server/secret.h"
#include "server/server.h"

void
monitor_append_quoted(struct buf *out, struct slice text)
{
    static const char plain[] = "\n\r\t\a\b\\\"", escape[] = "nrtab\\\"";

    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        const char *at = c != '\0' ? strchr(plain, c) : NULL;

        if (at != NULL)
            buf_printf(out, "\\%c", escape[at - plain]);
        else if (c >= ' ' && c <= '~')
            buf_append_byte(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
    buf_append_byte(out, '"');
}

/* The database is the one after the request: SELECT shows where it led. */
static void
write_line(struct buf *line, const struct call *call)
{
    const struct session *session = call->session;
    int64_t now_us = clock_wall_us();
    int db = session != NULL ? session->db : call->db;

    buf_printf(line, "+%lld.%06lld ", (long long)(now_us / 1000000),
        (long long)(now_us % 1000000));
    if (session == NULL || session->address == NULL)
        buf_printf(line, "[%d lua]", db);
    else if (session->flags & SESSION_UNIX)
        buf_printf(line, "[%d unix:%s]", db, call->server->config.unixsocket);
    else
        buf_printf(line, "[%d %s]", db, session->address);
    for (size_t i = 0; i < call->argc; i++) {
        buf_append_byte(line, ' ');
        monitor_append_quoted(line, secret_is_argument(call, i)
                                        ? SLICE(SECRET_SHOWN_AS)
                                        : call->argv[i]);
    }
    buf_append_text(line, "\r\n");
}

void
monitor_feed(const struct call *call, uint64_t seq)
{
    struct buf line = BUF_INIT;

    write_line(&line, call);
    for (struct session *session = call->server->sessions; session != NULL;
         session = session->next)
        if (session->flags & SESSION_MONITOR)
            session_push(session, buf_slice(&line), seq);
    buf_fini(&line);
}
