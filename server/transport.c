/*
 * transport.c -- reading requests, writing replies.
 *
 * Raw events and read(2)/write(2), no bufferevents: those read twice to see
 * EAGAIN and register for writing before they know that they must.
 *
 * Reading: into one buffer that all sessions share; requests are run straight
 * from it, and only what is left of an unfinished one is kept in session->in.
 * An idle session therefore owns no buffer.  What belongs to a large bulk
 * string goes straight into session->in, with room for all of it.
 *
 * Writing: nothing is written while requests run.  At the end of the pass each
 * dirty session gets one write() with all that is released; only if the
 * socket is full is the write event registered.
 *
 * The end of the input is not the end of the session as long as replies are
 * held: somebody who sends commands and shuts down his side still wants them.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/commands/transaction.h"
#include "server/executor.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/transport.h"

#define READ_SIZE (64 * 1024)       /* bytes a read() may bring */
#define BIG_READ_SIZE (1024 * 1024) /* bytes at most of one such read() */
#define KEEP_SIZE (4 * 1024)        /* bytes of an empty buffer that is kept */
#define COMPACT_SIZE (16 * 1024)    /* bytes sent before the rest moves up */

static char read_buffer[READ_SIZE];
static bool is_any_paused; /* perhaps: see transport_resume_all() */

/* ---- reading ----------------------------------------------------------- */

static void
close_over_query_limit(struct session *session)
{
    struct buf line = BUF_INIT;
    session_describe(session, &line);
    log_warning("Closing client that reached max query buffer length: %.*s",
        (int)line.len, line.data);
    buf_fini(&line);
    session->server->stats.query_limit_disconnections++;
    session_close(session);
}

static bool
may_run(const struct session *session)
{
    return (session->flags & (SESSION_BLOCKED | SESSION_CLOSE_AFTER_REPLY |
                                 SESSION_CLOSE_NOW)) == 0;
}

/* Bytes of input came in read_buffer. */
static void
take_shared(struct session *session, size_t len)
{
    size_t used = 0;
    if (may_run(session))
        used = executor_run_bytes(session, slice_make(read_buffer, len));
    if (used < len && !(session->flags & SESSION_CLOSE_AFTER_REPLY))
        buf_append(&session->in, read_buffer + used, len - used);
}

/* The client sent its last byte, or is gone. */
static void
end_input(struct session *session)
{
    bool owes = session->sent < session->out.len;
    if (session->flags & SESSION_BLOCKED || !owes) {
        session_close(session);
        return;
    }
    transport_pause(session);
    session->flags |= SESSION_CLOSE_AFTER_REPLY;
    session_mark_dirty(session);
}

/* Room in session->in for what is known to come, within the limit. */
static enum status
reserve_input(struct session *session, size_t *room)
{
    size_t wanted = session->parser.wanted + 2;
    *room = wanted > READ_SIZE ? wanted : READ_SIZE;
    if (*room > BIG_READ_SIZE)
        *room = BIG_READ_SIZE;
    if (session->in.size - session->in.len >= *room)
        return STATUS_OK;
    return buf_try_reserve(
        &session->in, wanted > READ_SIZE ? wanted : READ_SIZE);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct session *session = arg;
    struct server *srv = session->server;
    (void)what;
    if (session->flags & SESSION_CLOSE_NOW)
        return;
    char *into = read_buffer;
    size_t room = READ_SIZE;
    bool is_shared = session->in.len == 0;
    if (!is_shared) {
        if (reserve_input(session, &room) != STATUS_OK) {
            close_over_query_limit(session);
            return;
        }
        into = session->in.data + session->in.len;
    }
    ssize_t n = read(fd, into, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (n < 0)
            session_close(session);
        else
            end_input(session);
        return;
    }
    loop_update_clocks();
    session->last_used_ms = loop_wall_ms();
    session->bytes_in += (size_t)n;
    srv->stats.net_in += (size_t)n;
    srv->stats.reads++;
    if (is_shared) {
        take_shared(session, (size_t)n);
    } else {
        session->in.len += (size_t)n;
        if (may_run(session))
            executor_run_input(session);
    }
    /* What MULTI has queued is input that was not run yet. */
    if (session->in.len + transaction_memory(session) >
        srv->config.client_query_buffer_limit)
        close_over_query_limit(session);
}

void
transport_start(struct session *session)
{
    session->read_event = event_new(session->server->base, session->fd,
        EV_READ | EV_PERSIST, on_readable, session);
    CHECK(session->read_event != NULL);
    CHECK(event_add(session->read_event, NULL) == 0);
    session->is_reading = true;
}

void
transport_stop(struct session *session)
{
    if (session->read_event != NULL)
        event_free(session->read_event);
    if (session->write_event != NULL)
        event_free(session->write_event);
    session->read_event = NULL;
    session->write_event = NULL;
}

void
transport_pause(struct session *session)
{
    if (!session->is_reading)
        return;
    session->is_reading = false;
    is_any_paused = true;
    if (session->read_event != NULL)
        (void)event_del(session->read_event);
}

void
transport_resume(struct session *session)
{
    if (session->is_reading || session->read_event == NULL ||
        session->flags & SESSION_CLOSE_AFTER_REPLY)
        return;
    session->is_reading = true;
    CHECK(event_add(session->read_event, NULL) == 0);
    loop_resume(session);
}

void
transport_resume_all(struct server *srv)
{
    if (!is_any_paused || release_is_full(srv))
        return;
    is_any_paused = false;
    for (struct session *session = srv->sessions; session != NULL;
         session = session->next)
        transport_resume(session);
}

/* ---- writing ----------------------------------------------------------- */

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    session_mark_dirty(arg);
}

static void
want_writable(struct session *session)
{
    if (session->write_event == NULL) {
        session->write_event = event_new(
            session->server->base, session->fd, EV_WRITE, on_writable, session);
        CHECK(session->write_event != NULL);
    }
    CHECK(event_add(session->write_event, NULL) == 0);
}

/* Drop the sent bytes from out. */
static void
compact(struct session *session)
{
    size_t sent = session->sent;
    if (sent == session->out.len) {
        buf_clear(&session->out, KEEP_SIZE);
    } else {
        if (sent < COMPACT_SIZE || sent < session->out.len / 2)
            return;
        buf_consume(&session->out, sent);
    }
    for (size_t i = session->marks_at; i < session->marks_len; i++)
        session->marks[i].end -= sent;
    session->released -= sent;
    session->sent = 0;
}

/* false: the session is over. */
static bool
flush(struct session *session)
{
    if (session->flags & SESSION_CLOSE_NOW)
        return false;
    if (session->fd < 0) /* a test's: its owner reads out itself */
        return true;
#ifdef WALDEN_DEBUG
    release_check(session);
#endif
    if (session->sent < session->released) {
        ssize_t n = send(session->fd, session->out.data + session->sent,
            session->released - session->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n > 0) {
            session->sent += (size_t)n;
            session->bytes_out += (size_t)n;
            session->server->stats.net_out += (size_t)n;
            session->server->stats.writes++;
        }
        if (session->sent < session->released)
            want_writable(session);
    }
    if (session->sent > 0)
        compact(session);
    return !(session->flags & SESSION_CLOSE_AFTER_REPLY) ||
           session->sent < session->out.len;
}

void
transport_flush_all(struct server *srv)
{
    struct session *session;
    while ((session = srv->dirty) != NULL) {
        srv->dirty = session->next_dirty;
        session->is_dirty = false;
        if (!flush(session))
            session_free(session);
    }
}

/* ---- limits ------------------------------------------------------------ */

static bool
is_over_limit(struct session *session, const struct config_output_limit *limit)
{
    size_t owed = session->out.len - session->sent;
    if (limit->hard > 0 && owed >= limit->hard)
        return true;
    if (limit->soft == 0 || owed < limit->soft) {
        session->soft_limit_since_ms = 0;
        return false;
    }
    int64_t now_ms = loop_wall_ms();
    if (session->soft_limit_since_ms == 0)
        session->soft_limit_since_ms = now_ms;
    return now_ms - session->soft_limit_since_ms > limit->soft_seconds * 1000;
}

void
transport_check_limits(struct session *session)
{
    struct server *srv = session->server;
    if (session->fd < 0 || session->flags & SESSION_CLOSE_NOW ||
        !is_over_limit(
            session, &srv->config.output_limits[session_class(session)]))
        return;
    struct buf line = BUF_INIT;
    session_describe(session, &line);
    log_warning("Client %.*s scheduled to be closed ASAP for overcoming of "
                "output buffer limits.",
        (int)line.len, line.data);
    buf_fini(&line);
    srv->stats.output_limit_disconnections++;
    session_close(session);
}

void
transport_shrink(struct session *session)
{
    if (session->out.len == 0)
        buf_clear(&session->out, 0);
    if (session->in.len == 0 && !(session->flags & SESSION_BLOCKED) &&
        !session->is_running) {
        buf_clear(&session->in, 0);
        size_t bulk_size_max = session->parser.bulk_size_max;
        parser_fini(&session->parser);
        parser_init(&session->parser);
        session->parser.bulk_size_max = bulk_size_max;
    }
    if (session->marks_len == 0) {
        memory_free(session->marks);
        session->marks = NULL;
        session->marks_size = 0;
    }
}
