/*
 * session.h -- one client: its connection, its state, its held-back replies.
 *
 * Replies are written into out in request order (R2).  A mark says up to
 * which byte of out the bytes wait for which batch; marks grow in both.
 *
 *   out:  [ sent | may leave | waits for seq 7 | waits for seq 8 | ...
 *           ^sent            ^released
 *
 *   R1  No byte beyond released is given to the socket; released moves only
 *       when the store reports the seq durable (release.c).
 *   R3  Bytes held back count against the client's output limit.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_SESSION_H
#define WALDEN_SERVER_SESSION_H

#include "resp/parser.h"
#include "resp/reply.h"
#include "server/command.h"

struct event;

enum durability { DURABILITY_MEMORY, DURABILITY_DISK, DURABILITY_BUCKET };

enum session_flag {
    SESSION_CLOSE_AFTER_REPLY = 1 << 0, /* QUIT, protocol errors */
    SESSION_CLOSE_NOW = 1 << 1,         /* freed at the end of the pass */
    SESSION_MONITOR = 1 << 2,
    SESSION_MULTI = 1 << 3,        /* queueing */
    SESSION_MULTI_FAILED = 1 << 4, /* EXECABORT */
    SESSION_WATCH_BROKEN = 1 << 5, /* EXEC answers null */
    SESSION_REPLY_OFF = 1 << 6,
    SESSION_REPLY_SKIP_NEXT = 1 << 7,
    SESSION_REPLY_SKIP = 1 << 8,
    SESSION_NO_EVICT = 1 << 9,
    SESSION_NO_TOUCH = 1 << 10,
    SESSION_AUTHENTICATED = 1 << 11,
    SESSION_BLOCKED = 1 << 12, /* no request is read meanwhile */
    SESSION_UNIX = 1 << 13,
    SESSION_PUSHES = 1 << 14,  /* has pushes held: see reset */
    SESSION_INTERNAL = 1 << 15 /* no socket (tests) */
};

/* What a stretch of held bytes is, which says what becomes of it when its */
/* batch fails: a reply becomes an error, a push goes, a follower stays. */
enum session_stretch {
    STRETCH_REPLY,   /* replies that wait for a batch of their own */
    STRETCH_PUSH,    /* messages that wait for a batch of their own */
    STRETCH_FOLLOWER /* bytes that only wait their turn (R2) */
};

struct session_mark {
    size_t end;       /* offset in out */
    uint64_t seq;     /* batch to wait for */
    uint32_t replies; /* replies of requests that end in this stretch */
    enum session_stretch stretch;
    bool is_bucket; /* wait until the bucket has it, not only the disk */
};

/* A place in the list of sessions that wait for one batch (release.c). */
struct session_held {
    struct session *next;
    struct session **link; /* what points here; NULL: not in the list */
};

struct session {
    struct session *next, *previous; /* all sessions */
    struct session *next_dirty;      /* have something to write */
    struct session *next_resumed;    /* input to run at the end of the pass */
    struct session_held held[3];     /* waits for an odd or even seq, or */
                                     /* for the bucket */
    struct map_node node;            /* in sessions_by_id */
    struct server *server;
    uint64_t id;
    int fd;
    struct event *read_event, *write_event;
    unsigned flags; /* enum session_flag */
    uint8_t resp;   /* 2 or 3 */
    enum durability durability;
    int db; /* logical */

    struct parser parser;
    struct buf in; /* what was read and not yet run */

    struct buf out;
    size_t sent, released; /* offsets in out */
    struct session_mark *marks;
    size_t marks_len, marks_at, marks_size;
    uint64_t observed_seq; /* largest seq any request observed */
    struct buf pushes;     /* met while a reply was being written */
    uint64_t pushes_seq;

    struct transaction *transaction; /* MULTI queue; NULL: none */
    struct watch *watches;           /* WATCHed keys; NULL: none */
    struct blocked *blocked;         /* what it waits for; NULL */

    char *name, *lib_name, *lib_version; /* NULL: not set */
    char *address, *local_address;       /* "ip:port" or "path:0" */
    int64_t created_ms, last_used_ms;    /* wall clock */
    const struct command *last_command;  /* asked for; NULL: none, unknown */
    uint64_t bytes_in, bytes_out;
    bool is_dirty;    /* in the dirty list */
    bool is_reading;  /* false: read event is off */
    bool is_resumed;  /* in the resumed list */
    bool is_replying; /* between begin_reply and end_reply */
    bool is_running;  /* its input is being run */
    int64_t soft_limit_since_ms;
};

struct session *session_new(struct server *server, int fd);
void session_free(struct session *session);
/* End it once the pass is over (safe from anywhere, also for others). */
void session_close(struct session *session);
/* Find by id, or NULL. */
struct session *session_find(struct server *server, uint64_t id);

/* Begin writing a reply: the sink appends to session->out. */
void session_begin_reply(struct session *session, struct reply *reply);
/* All of out since the last mark waits for seq (0: for nothing beyond what */
/* is already held); replies: how many requests were answered (0 or 1). */
void session_end_reply(struct session *session, uint64_t seq, uint32_t replies);
/* A message nobody asked for (push, MONITOR line): copies data; it waits */
/* for seq. */
void session_push(struct session *session, struct slice data, uint64_t seq);

/* Put it in the list of those that have something to write or to end. */
void session_mark_dirty(struct session *session);
/* Is a password asked for that it has not given yet? */
bool session_needs_auth(const struct session *session);
/* The row of config.output_limits that holds for it. */
int session_class(const struct session *session);

/* "memory", "disk" or "bucket". */
const char *session_durability_text(enum durability durability);

/* CLIENT LIST's line, no newline at the end. */
void session_describe(struct session *session, struct buf *out);
size_t session_memory(const struct session *session); /* bytes */

#endif
