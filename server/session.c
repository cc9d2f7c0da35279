/*
 * session.c -- a client's life, and the bytes it is owed.
 *
 * A session is never freed under somebody's feet: session_close() says that it
 * is to end, and the flush at the end of the pass (transport.c) frees it.
 *
 * An idle session is cheap: its buffers are given back when they are empty
 * (transport.c keeps a little for a busy one, cron.c takes that too).
 */
#include <inttypes.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/blocked_table.h"
#include "server/commands/transaction.h"
#include "server/loop.h"
#include "server/release.h"
#include "server/server.h"
#include "server/transport.h"
#include "server/watch.h"

#define FLAGS_SIZE 16 /* letters of CLIENT LIST's flags, with the NUL */

struct session *
session_new(struct server *srv, int fd)
{
    struct session *session = memory_zalloc(sizeof(*session));
    session->server = srv;
    session->id = ++srv->next_session_id;
    session->fd = fd;
    session->resp = 2;
    session->durability = (enum durability)srv->config.durability;
    session->created_ms = session->last_used_ms = clock_wall_ms();
    if (fd < 0)
        session->flags |= SESSION_INTERNAL;
    /* Who came while no password was asked for stays in, as in Redis. */
    if (!session_needs_auth(session))
        session->flags |= SESSION_AUTHENTICATED;
    parser_init(&session->parser);
    buf_init(&session->in);
    buf_init(&session->out);
    buf_init(&session->pushes);
    map_add(&srv->sessions_by_id, &session->node, hash_u64(session->id));
    session->next = srv->sessions;
    if (session->next != NULL)
        session->next->previous = session;
    srv->sessions = session;
    srv->session_count++;
    return session;
}

static void
unlink_session(struct session *session)
{
    struct server *srv = session->server;
    if (session->next != NULL)
        session->next->previous = session->previous;
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        srv->sessions = session->next;
    map_remove(&srv->sessions_by_id, &session->node);
    srv->session_count--;
    if (session->flags & SESSION_MONITOR)
        srv->monitor_count--;
    if (session->is_dirty) {
        struct session **at = &srv->dirty;
        while (*at != session)
            at = &(*at)->next_dirty;
        *at = session->next_dirty;
    }
}

void
session_free(struct session *session)
{
    if (session == NULL)
        return;
    blocked_forget(session);
    watch_remove_all(session);
    transaction_discard(session);
    release_remove(session);
    loop_forget(session);
    transport_stop(session);
    unlink_session(session);
    if (session->fd >= 0)
        (void)close(session->fd);
    parser_fini(&session->parser);
    buf_fini(&session->in);
    buf_fini(&session->out);
    buf_fini(&session->pushes);
    memory_free(session->marks);
    memory_free(session->name);
    memory_free(session->lib_name);
    memory_free(session->lib_version);
    memory_free(session->address);
    memory_free(session->local_address);
    memory_free(session);
}

void
session_close(struct session *session)
{
    session->flags |= SESSION_CLOSE_NOW;
    session_mark_dirty(session);
}

static bool
has_id(const struct map_node *node, const void *key)
{
    const uint64_t *id = key;
    return MAP_ENTRY(node, const struct session, node)->id == *id;
}

struct session *
session_find(struct server *srv, uint64_t id)
{
    struct map_node *node =
        map_find(&srv->sessions_by_id, hash_u64(id), has_id, &id);
    return node != NULL ? MAP_ENTRY(node, struct session, node) : NULL;
}

void
session_mark_dirty(struct session *session)
{
    if (session->is_dirty)
        return;
    session->is_dirty = true;
    session->next_dirty = session->server->dirty;
    session->server->dirty = session;
}

bool
session_needs_auth(const struct session *session)
{
    const char *password = session->server->config.requirepass;
    return password != NULL && password[0] != '\0' &&
           !(session->flags & SESSION_AUTHENTICATED);
}

int
session_class(const struct session *session)
{
    return session->flags & SESSION_PUSHES &&
                   !(session->flags & SESSION_MONITOR)
               ? 2
               : 0;
}

/* ---- replies ----------------------------------------------------------- */

void
session_begin_reply(struct session *session, struct reply *reply)
{
    DCHECK(!session->is_replying);
    reply_init(reply, &session->out, session->resp);
    reply->is_muted =
        (session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP)) != 0;
    session->is_replying = true;
}

/*
 * Room for one more mark.  Those that were reached go first: a client that
 * always has some outstanding would otherwise collect them for ever.
 */
static void
reserve_mark(struct session *session)
{
    if (session->marks_len < session->marks_size)
        return;
    size_t left = session->marks_len - session->marks_at;
    if (left <= session->marks_size / 2 && session->marks_at > 0) {
        memmove(session->marks, session->marks + session->marks_at,
            left * sizeof(*session->marks));
        session->marks_at = 0;
        session->marks_len = left;
        return;
    }
    session->marks_size = session->marks_size > 0 ? 2 * session->marks_size : 2;
    session->marks = memory_realloc(
        session->marks, session->marks_size * sizeof(*session->marks));
}

/* Note that out[start, len) waits for seq. */
static void
add_mark(struct session *session, size_t start, uint64_t seq, bool is_bucket,
    uint32_t replies, enum session_stretch stretch)
{
    struct session_mark *last =
        session->marks_len > 0 ? &session->marks[session->marks_len - 1] : NULL;
    session->server->stats.held_bytes += session->out.len - start;
    if (last != NULL && last->seq == seq && last->is_bucket == is_bucket &&
        last->stretch == stretch && last->replies < UINT32_MAX) {
        last->end = session->out.len;
        last->replies += replies;
        return;
    }
    reserve_mark(session);
    session->marks[session->marks_len++] = (struct session_mark){
        .end = session->out.len,
        .seq = seq,
        .replies = replies,
        .stretch = stretch,
        .is_bucket = is_bucket,
    };
    release_add(session, seq, is_bucket);
}

/* Close the stretch that began after the last mark. */
static void
end_stretch(struct session *session, uint64_t seq, uint32_t replies,
    enum session_stretch stretch)
{
    bool is_bucket = session->durability == DURABILITY_BUCKET;
    if (seq <= (is_bucket ? session->server->shipped_seq
                          : session->server->durable_seq)) {
        seq = 0;
        stretch = STRETCH_FOLLOWER;
    }
    uint64_t held_seq = 0;
    size_t start = session->released;
    if (session->marks_len > 0) {
        const struct session_mark *last =
            &session->marks[session->marks_len - 1];
        held_seq = last->seq;
        start = last->end;
        if (seq < held_seq)
            is_bucket = last->is_bucket;
    }
    if (session->out.len == start)
        return;
    if (seq < held_seq)
        seq = held_seq; /* R2 */
    if (seq > 0) {
        add_mark(session, start, seq, is_bucket, replies, stretch);
        return;
    }
    session->released = session->out.len;
    session_mark_dirty(session);
}

void
session_end_reply(struct session *session, uint64_t seq, uint32_t replies)
{
    session->is_replying = false;
    end_stretch(session, seq, replies, STRETCH_REPLY);
    if (session->pushes.len > 0) {
        buf_append_slice(&session->out, buf_slice(&session->pushes));
        buf_clear(&session->pushes, 0);
        end_stretch(session, session->pushes_seq, 0, STRETCH_PUSH);
    }
}

void
session_push(struct session *session, struct slice data, uint64_t seq)
{
    if (session->flags & SESSION_CLOSE_NOW)
        return;
    if (session->is_replying) {
        /* Not into the middle of a reply. */
        if (session->pushes.len == 0 || session->pushes_seq < seq)
            session->pushes_seq = seq;
        buf_append_slice(&session->pushes, data);
        return;
    }
    buf_append_slice(&session->out, data);
    end_stretch(session, seq, 0, STRETCH_PUSH);
    transport_check_limits(session);
}

/* ---- CLIENT LIST ------------------------------------------------------- */

static void
describe_flags(const struct session *session, char text[FLAGS_SIZE])
{
    size_t len = 0;
    if (session->flags & SESSION_MONITOR)
        text[len++] = 'O';
    if (session->flags & SESSION_MULTI)
        text[len++] = 'x';
    if (session->flags & SESSION_BLOCKED)
        text[len++] = 'b';
    if (session->flags & SESSION_WATCH_BROKEN)
        text[len++] = 'd';
    if (session->flags & SESSION_CLOSE_AFTER_REPLY)
        text[len++] = 'c';
    if (session->flags & SESSION_CLOSE_NOW)
        text[len++] = 'A';
    if (session->flags & SESSION_UNIX)
        text[len++] = 'U';
    if (session->flags & SESSION_NO_EVICT)
        text[len++] = 'e';
    if (session->flags & SESSION_NO_TOUCH)
        text[len++] = 'T';
    if (len == 0)
        text[len++] = 'N';
    text[len] = '\0';
}

static void
describe_command(const struct session *session, struct buf *out)
{
    const struct command *command = session->last_command;
    if (command == NULL)
        buf_append_text(out, " cmd=NULL");
    else if (command->parent != NULL)
        buf_printf(out, " cmd=%s|%s", command->parent->name, command->name);
    else
        buf_printf(out, " cmd=%s", command->name);
}

const char *
session_durability_text(enum durability durability)
{
    static const char *const texts[] = { "memory", "disk", "bucket" };
    return texts[durability];
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Walden's own: the newest change the client wrote or saw, and how much of */
/* that the disk and the bucket have. */
static void
describe_positions(const struct session *session, struct buf *out)
{
    uint64_t seq = session->observed_seq;
    buf_printf(out,
        " durability=%s seq=%" PRIu64 " disk-seq=%" PRIu64
        " bucket-seq=%" PRIu64,
        session_durability_text(session->durability), seq,
        least(seq, session->server->durable_seq),
        least(seq, session->server->shipped_seq));
}

/* Bytes received and not yet answered.  A request that is run straight from */
/* the buffer of all sessions is in none of its own. */
static size_t
query_len(const struct session *session)
{
    if (session->in.len == 0 && session->is_running)
        return session->parser.consumed;
    return session->in.len;
}

void
session_describe(struct session *session, struct buf *out)
{
    int64_t now_ms = clock_wall_ms();
    char flags[FLAGS_SIZE];
    describe_flags(session, flags);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s",
        (unsigned long long)session->id,
        session->address != NULL ? session->address : "",
        session->local_address != NULL ? session->local_address : "",
        session->fd, session->name != NULL ? session->name : "");
    buf_printf(out, " age=%lld idle=%lld flags=%s db=%d sub=0 psub=0 ssub=0",
        (long long)((now_ms - session->created_ms) / 1000),
        (long long)((now_ms - session->last_used_ms) / 1000), flags,
        session->db);
    buf_printf(out, " multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu",
        transaction_len(session), query_len(session),
        session->in.size - session->in.len, transaction_memory(session));
    buf_printf(out, " rbs=%zu rbp=%zu obl=%zu oll=0 omem=0 tot-mem=%zu",
        session->out.size, session->out.len, session->out.len - session->sent,
        session_memory(session));
    buf_printf(out, " events=%s%s", session->is_reading ? "r" : "",
        session->sent < session->released ? "w" : "");
    describe_command(session, out);
    buf_printf(out, " user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
        session->resp, session->lib_name != NULL ? session->lib_name : "",
        session->lib_version != NULL ? session->lib_version : "");
    describe_positions(session, out);
}

size_t
session_memory(const struct session *session)
{
    return sizeof(*session) + session->in.size + session->out.size +
           session->pushes.size + transaction_memory(session) +
           session->marks_size * sizeof(*session->marks) +
           session->parser.argv_size * sizeof(struct slice);
}
