/*
 * client_filter.c -- CLIENT LIST and CLIENT KILL.
 *
 * Both walk all sessions.  A session that is killed is only marked: it goes at
 * the end of the pass, so the walk stays valid.  The caller itself is closed
 * after its reply.
 */
#include "server/commands/client_filter.h"
#include "server/server.h"

#include "server/base/number.h"

enum client_type {
    CLIENT_NORMAL,
    CLIENT_MASTER,
    CLIENT_REPLICA,
    CLIENT_PUBSUB,
    CLIENT_TYPE_COUNT
};

#define CLIENT_ANY CLIENT_TYPE_COUNT

struct filter {
    enum client_type type;               /* CLIENT_ANY: all */
    uint64_t id;                         /* 0: all */
    struct slice address, local_address; /* data NULL: all */
    bool skip_me;
    bool is_never; /* nobody can match */
};

/* As "%.*s" wants it, and not beyond what an error line should hold. */
static int
text_len(struct slice text)
{
    return (int)(text.len < 128 ? text.len : 128);
}

static bool
parse_type(struct slice word, enum client_type *type)
{
    static const char *const words[] = { "normal", "master", "replica",
        "pubsub" };

    for (size_t i = 0; i < CLIENT_TYPE_COUNT; i++) {
        if (slice_is(word, words[i])) {
            *type = (enum client_type)i;
            return true;
        }
    }
    if (!slice_is(word, "slave"))
        return false;
    *type = CLIENT_REPLICA;
    return true;
}

/* MONITOR clients count as normal, as in Redis. */
static enum client_type
session_type(const struct session *session)
{
    (void)session;
    return CLIENT_NORMAL;
}

static bool
is_text(struct slice wanted, const char *text)
{
    return text != NULL && slice_equal(wanted, slice_from_text(text));
}

static bool
filter_fits(const struct filter *filter, const struct session *session)
{
    if (filter->is_never || (session->flags & SESSION_CLOSE_NOW))
        return false;
    if (filter->type != CLIENT_ANY && session_type(session) != filter->type)
        return false;
    if (filter->id != 0 && session->id != filter->id)
        return false;
    if (filter->address.data != NULL &&
        !is_text(filter->address, session->address))
        return false;
    return filter->local_address.data == NULL ||
           is_text(filter->local_address, session->local_address);
}

/* ---- LIST --------------------------------------------------------------- */

static void
describe_line(const struct session *session, struct buf *out)
{
    session_describe((struct session *)session, out);
    buf_append_byte(out, '\n');
}

/* false: error replied. */
static bool
list_by_ids(struct call *call, struct buf *out)
{
    for (size_t at = 3; at < call->argc; at++) {
        int64_t id;

        if (!call_get_i64(call, at, &id, "ERR Invalid client ID"))
            return false;
        struct session *session = session_find(call->server, (uint64_t)id);
        if (session != NULL)
            describe_line(session, out);
    }
    return true;
}

/* Oldest first; the list of sessions is newest first. */
static void
list_by_type(struct call *call, enum client_type type, struct buf *out)
{
    struct filter filter = { .type = type };
    struct session *oldest = call->session;

    while (oldest->next != NULL)
        oldest = oldest->next;
    for (struct session *session = oldest; session != NULL;
         session = session->previous)
        if (filter_fits(&filter, session))
            describe_line(session, out);
}

void
client_filter_list(struct call *call)
{
    enum client_type type = CLIENT_ANY;
    struct buf out = BUF_INIT;
    bool is_good = true;

    if (call->argc == 4 && call_arg_is(call, 2, "TYPE")) {
        is_good = parse_type(call->argv[3], &type);
        if (is_good)
            list_by_type(call, type, &out);
        else
            reply_error_format(call->reply, "ERR Unknown client type '%.*s'",
                text_len(call->argv[3]), call->argv[3].data);
    } else if (call->argc > 3 && call_arg_is(call, 2, "ID")) {
        is_good = list_by_ids(call, &out);
    } else if (call->argc == 2) {
        list_by_type(call, type, &out);
    } else {
        is_good = false;
        reply_error(call->reply, ERROR_SYNTAX);
    }
    if (is_good)
        reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

/* ---- KILL --------------------------------------------------------------- */

/* One option and its value; false: error replied. */
static bool
parse_kill_option(struct call *call, size_t at, struct filter *filter)
{
    struct slice value = call->argv[at + 1];

    if (call_arg_is(call, at, "ID")) {
        int64_t id;

        if (!call_get_i64_in(call, at + 1, 1, INT64_MAX, &id,
                "ERR client-id should be greater than 0"))
            return false;
        filter->id = (uint64_t)id;
    } else if (call_arg_is(call, at, "TYPE")) {
        if (!parse_type(value, &filter->type)) {
            reply_error_format(call->reply, "ERR Unknown client type '%.*s'",
                text_len(value), value.data);
            return false;
        }
    } else if (call_arg_is(call, at, "ADDR")) {
        filter->address = value;
    } else if (call_arg_is(call, at, "LADDR")) {
        filter->local_address = value;
    } else if (call_arg_is(call, at, "USER")) {
        if (!slice_equal(value, SLICE("default"))) {
            reply_error_format(call->reply, "ERR No such user '%.*s'",
                text_len(value), value.data);
            return false;
        }
    } else if (call_arg_is(call, at, "SKIPME") &&
               (slice_is(value, "yes") || slice_is(value, "no"))) {
        filter->skip_me = slice_is(value, "yes");
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static int64_t
kill_matching(struct call *call, const struct filter *filter)
{
    int64_t killed = 0;

    for (struct session *session = call->server->sessions, *next;
         session != NULL; session = next) {
        next = session->next;
        if (!filter_fits(filter, session))
            continue;
        if (session != call->session)
            session_close(session);
        else if (filter->skip_me)
            continue;
        else
            session->flags |= SESSION_CLOSE_AFTER_REPLY;
        killed++;
    }
    return killed;
}

void
client_filter_kill(struct call *call)
{
    struct filter filter = { .type = CLIENT_ANY };

    if (call->argc == 3) {
        filter.address = call->argv[2];
        if (kill_matching(call, &filter) == 0)
            reply_error(call->reply, "ERR No such client");
        else
            reply_ok(call->reply);
        return;
    }
    filter.skip_me = true;
    if (call->argc % 2 != 0) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    for (size_t at = 2; at < call->argc; at += 2)
        if (!parse_kill_option(call, at, &filter))
            return;
    reply_int(call->reply, kill_matching(call, &filter));
}
