/*
 * release.c -- the output gate.
 *
 * The two lists are intrusive and doubly linked, so that a session that goes
 * leaves them in O(1).  A session may be in both: its older replies wait for
 * the batch that is out, its newer ones for the open one.
 *
 * After a failed commit every stretch that waited for a lost batch of its own
 * turns into errors, one for each request.  Followers (a PONG behind a held
 * SET) are true whatever happened and leave as they are: were they replaced
 * too, a client would take a SELECT for refused that has taken place.
 */
#include "server/base/check.h"
#include "server/release.h"
#include "server/server.h"

/* Index of the third list: sessions that wait for the bucket, for any seq. */
#define BUCKET 2

static struct {
    struct session *sessions;
    size_t count;
} lists[3]; /* by seq & 1, and BUCKET */

static uint64_t bucket_seq; /* the largest wanted there */
static uint64_t disk_seq; /* the largest waited for only until it is on disk */

static void
link_held(struct session *session, unsigned which)
{
    struct session_held *held = &session->held[which];
    if (held->link != NULL)
        return;
    held->next = lists[which].sessions;
    held->link = &lists[which].sessions;
    if (held->next != NULL)
        held->next->held[which].link = &held->next;
    lists[which].sessions = session;
    lists[which].count++;
}

void
release_add(struct session *session, uint64_t seq, bool is_bucket)
{
    CHECK(seq <= session->server->durable_seq + 2);
    /* What waits for the bucket waits for the disk first. */
    if (seq > session->server->durable_seq)
        link_held(session, seq & 1);
    else
        CHECK(is_bucket);
    if (!is_bucket) {
        disk_seq = seq > disk_seq ? seq : disk_seq;
        return;
    }
    link_held(session, BUCKET);
    if (seq > bucket_seq)
        bucket_seq = seq;
}

static void
unlink_held(struct session *session, unsigned which)
{
    struct session_held *held = &session->held[which];
    if (held->link == NULL)
        return;
    *held->link = held->next;
    if (held->next != NULL)
        held->next->held[which].link = held->link;
    held->link = NULL;
    lists[which].count--;
}

static void
forget_marks(struct session *session)
{
    session->marks_at = 0;
    session->marks_len = 0;
}

void
release_remove(struct session *session)
{
    unlink_held(session, 0);
    unlink_held(session, 1);
    unlink_held(session, BUCKET);
    if (session->marks_at < session->marks_len) {
        size_t end = session->marks[session->marks_len - 1].end;
        session->server->stats.held_bytes -= end - session->released;
    }
    forget_marks(session);
}

static bool
is_reached(const struct server *srv, const struct session_mark *mark)
{
    return mark->seq <= (mark->is_bucket ? srv->shipped_seq : srv->durable_seq);
}

/* Move released past the marks that are reached (R2: in their order). */
static void
release_marks(struct session *session)
{
    struct server *srv = session->server;
    size_t before = session->released;
    while (session->marks_at < session->marks_len &&
           is_reached(srv, &session->marks[session->marks_at]))
        session->released = session->marks[session->marks_at++].end;
    if (session->released == before)
        return;
    srv->stats.held_bytes -= session->released - before;
    if (session->marks_at == session->marks_len)
        forget_marks(session);
    session_mark_dirty(session);
}

void
release_advance(struct server *srv, uint64_t seq)
{
    CHECK(seq >= srv->durable_seq);
    uint64_t next = srv->durable_seq + 1;
    for (srv->durable_seq = seq; next <= seq; next++) {
        struct session *session;
        while ((session = lists[next & 1].sessions) != NULL) {
            unlink_held(session, next & 1);
            release_marks(session);
        }
    }
}

static bool
has_bucket_mark(const struct session *session)
{
    for (size_t i = session->marks_at; i < session->marks_len; i++)
        if (session->marks[i].is_bucket)
            return true;
    return false;
}

void
release_advance_bucket(struct server *srv, uint64_t seq)
{
    CHECK(seq >= srv->shipped_seq && seq <= srv->durable_seq);
    srv->shipped_seq = seq;
    struct session *session = lists[BUCKET].sessions;
    while (session != NULL) {
        struct session *next = session->held[BUCKET].next;
        release_marks(session);
        if (!has_bucket_mark(session))
            unlink_held(session, BUCKET);
        session = next;
    }
}

uint64_t
release_bucket_seq(void)
{
    return bucket_seq;
}

size_t
release_bucket_count(void)
{
    return lists[BUCKET].count;
}

/* Is what the mark waits for lost?  Without the bucket, for good. */
static bool
is_lost(
    const struct server *srv, const struct session_mark *mark, bool no_bucket)
{
    return mark->seq > srv->durable_seq || (no_bucket && mark->is_bucket);
}

/* What the client gets instead of the held stretches that are lost. */
static void
fail_session(struct session *session, const char *error, bool no_bucket)
{
    struct server *srv = session->server;
    struct buf rest = BUF_INIT;
    struct reply reply;
    reply_init(&reply, &rest, session->resp);
    size_t start = session->released, kept = 0, base = session->released;
    for (size_t i = session->marks_at; i < session->marks_len; i++) {
        struct session_mark mark = session->marks[i];
        bool mark_is_lost = is_lost(srv, &mark, no_bucket);
        if (!mark_is_lost || mark.stretch == STRETCH_FOLLOWER)
            buf_append(&rest, session->out.data + start, mark.end - start);
        else if (mark.stretch == STRETCH_REPLY)
            for (uint32_t n = 0; n < mark.replies; n++)
                reply_error(&reply, error);
        start = mark.end;
        mark.end = base + rest.len;
        if (!mark_is_lost) {
            session->marks[kept++] = mark; /* goes on waiting */
        } else if (kept > 0) {
            session->marks[kept - 1].end = mark.end; /* R2: behind it */
        }
    }
    DCHECK(start == session->out.len);
    srv->stats.held_bytes -= start - base;
    session->out.len = base;
    buf_append_slice(&session->out, buf_slice(&rest));
    session->marks_at = 0;
    session->marks_len = kept;
    if (kept == 0)
        session->released = session->out.len;
    else
        srv->stats.held_bytes += session->out.len - base;
    release_marks(session);
    buf_fini(&rest);
    session_mark_dirty(session);
}

void
release_fail(struct server *srv, const char *error)
{
    for (unsigned which = 0; which < 2; which++) {
        struct session *session;
        while ((session = lists[which].sessions) != NULL) {
            unlink_held(session, 0);
            unlink_held(session, 1);
            fail_session(session, error, false);
            if (!has_bucket_mark(session))
                unlink_held(session, BUCKET);
        }
    }
    for (struct session *session = srv->sessions; session != NULL;
         session = session->next)
        if (session->observed_seq > srv->durable_seq)
            session->observed_seq = srv->durable_seq;
    if (bucket_seq > srv->durable_seq)
        bucket_seq = srv->durable_seq;
    if (disk_seq > srv->durable_seq)
        disk_seq = srv->durable_seq;
}

void
release_fail_bucket(const char *error)
{
    struct session *session;
    while ((session = lists[BUCKET].sessions) != NULL) {
        unlink_held(session, 0);
        unlink_held(session, 1);
        unlink_held(session, BUCKET);
        fail_session(session, error, true);
    }
}

bool
release_is_awaited(const struct server *srv, uint64_t seq)
{
    return seq > srv->durable_seq && lists[seq & 1].sessions != NULL;
}

bool
release_is_awaited_on_disk(uint64_t seq)
{
    return disk_seq >= seq;
}

size_t
release_count(const struct server *srv, uint64_t seq)
{
    return seq > srv->durable_seq ? lists[seq & 1].count : 0;
}

bool
release_is_full(const struct server *srv)
{
    return srv->stats.held_bytes > srv->config.held_replies_max;
}

/* ---- checks ------------------------------------------------------------- */

void
release_check(const struct session *session)
{
    size_t end = session->released;
    uint64_t seq = 0;

    DCHECK(session->sent <= end && end <= session->out.len); /* R1 */
    for (size_t i = session->marks_at; i < session->marks_len; i++) {
        const struct session_mark *mark = &session->marks[i];

        DCHECK(i > session->marks_at ||
               !is_reached(session->server, mark));   /* R1 */
        DCHECK(mark->end >= end && mark->seq >= seq); /* R2 */
        end = mark->end;
        seq = mark->seq;
    }
    DCHECK(end <= session->out.len);
}

void
release_check_held(const struct server *srv)
{
    size_t held = 0;

    for (const struct session *session = srv->sessions; session != NULL;
         session = session->next)
        if (session->marks_at < session->marks_len)
            held +=
                session->marks[session->marks_len - 1].end - session->released;
    DCHECK(held == srv->stats.held_bytes); /* R3 */
    (void)held;
}
