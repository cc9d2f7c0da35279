/*
 * admission.c -- the questions a request must pass before it runs.
 *
 * The order is Redis 7.2's, so that the error a client gets is the same when
 * there is more than one to give.  There is no out-of-memory refusal:
 * maxmemory sizes a cache, not the data.
 */
#include <ctype.h>
#include <stdio.h>

#include "server/admission.h"
#include "server/base/log.h"
#include "server/blocked_table.h"
#include "server/commands/transaction.h"
#include "server/server.h"

#define UNKNOWN_NAME_SIZE 128 /* bytes of a name and of arguments repeated */

typedef enum verdict (*admission_fn)(struct call *call);

/*
 * Refuse with an error.  A queue that lacks one of its commands must not be
 * executed; a refused EXEC ends its transaction.
 */
static enum verdict
refuse(struct call *call, const char *text)
{
    struct session *session = call->session;
    if (call->command != NULL && strcmp(call->command->name, "exec") == 0) {
        bool is_plain = strncmp(text, "ERR ", 4) == 0;
        transaction_discard(session);
        reply_error_format(call->reply,
            "EXECABORT Transaction discarded because of: %s",
            is_plain ? text + 4 : text);
        return VERDICT_REFUSED;
    }
    if (session->flags & SESSION_MULTI)
        session->flags |= SESSION_MULTI_FAILED;
    reply_error(call->reply, text);
    return VERDICT_REFUSED;
}

/* Bytes of s up to its first NUL, as printf's %s would take them. */
static int
printed_len(struct slice s, size_t max)
{
    return (int)strnlen(s.data, s.len < max ? s.len : max);
}

/* Browsers that are made to talk to us by a malicious page. */
static enum verdict
check_attack(struct call *call)
{
    if (!slice_is(call->argv[0], "host:") && !slice_is(call->argv[0], "post"))
        return VERDICT_PASS;
    log_warning("Possible SECURITY ATTACK detected. It looks like somebody is "
                "sending POST or Host: commands to Redis. This is likely due "
                "to an attacker attempting to use Cross Protocol Scripting to "
                "compromise your Redis instance. Connection aborted.");
    session_close(call->session);
    return VERDICT_REFUSED;
}

static enum verdict
refuse_unknown(struct call *call)
{
    struct buf text = BUF_INIT;
    struct buf args = BUF_INIT;
    for (size_t i = 1; i < call->argc && args.len < UNKNOWN_NAME_SIZE; i++)
        buf_printf(&args, "'%.*s' ",
            printed_len(call->argv[i], UNKNOWN_NAME_SIZE - args.len),
            call->argv[i].data);
    buf_printf(&text, "ERR unknown command '%.*s', with args beginning with: ",
        printed_len(call->argv[0], UNKNOWN_NAME_SIZE), call->argv[0].data);
    buf_append_slice(&text, buf_slice(&args));
    buf_append_byte(&text, '\0');
    enum verdict verdict = refuse(call, text.data);
    buf_fini(&args);
    buf_fini(&text);
    return verdict;
}

static enum verdict
refuse_unknown_sub(struct call *call, const struct command *parent)
{
    char name[UNKNOWN_NAME_SIZE];
    size_t len = 0;
    for (; parent->name[len] != '\0' && len + 1 < sizeof(name); len++)
        name[len] = (char)toupper((unsigned char)parent->name[len]);
    name[len] = '\0';
    char text[3 * UNKNOWN_NAME_SIZE];
    (void)snprintf(text, sizeof(text),
        "ERR unknown subcommand '%.*s'. Try %s HELP.",
        printed_len(call->argv[1], UNKNOWN_NAME_SIZE), call->argv[1].data,
        name);
    return refuse(call, text);
}

static enum verdict
find_command(struct call *call)
{
    const struct command *command = command_find(call->argv[0]);
    call->session->last_command = NULL;
    if (command == NULL)
        return refuse_unknown(call);
    if (command->subcommands != NULL && call->argc > 1) {
        const struct command *sub = command_find_sub(command, call->argv[1]);
        if (sub == NULL && command->run == NULL)
            return refuse_unknown_sub(call, command);
        if (sub != NULL)
            command = sub;
    }
    call->command = command;
    call->session->last_command = command;
    return VERDICT_PASS;
}

static enum verdict
check_arity(struct call *call)
{
    const struct command *command = call->command;
    if (command->run != NULL && command_arity_fits(command, call->argc))
        return VERDICT_PASS;
    char text[2 * UNKNOWN_NAME_SIZE];
    (void)snprintf(text, sizeof(text),
        "ERR wrong number of arguments for '%s%s%s' command",
        command->parent != NULL ? command->parent->name : "",
        command->parent != NULL ? "|" : "", command->name);
    return refuse(call, text);
}

/* Does the client sit on this machine? */
static bool
is_local(const struct session *session)
{
    static const char *const beginnings[] = { "127.",
        "[::1]:", "[::ffff:127." };
    if (session->flags & SESSION_UNIX)
        return true;
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (session->address != NULL && strncmp(session->address, beginnings[i],
                                            strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static enum verdict
check_protected(struct call *call)
{
    if (!(call->command->flags & CMD_PROTECTED))
        return VERDICT_PASS;
    int64_t who = call->server->config.enable_debug_command;
    if (who == CONFIG_DEBUG_YES ||
        (who == CONFIG_DEBUG_LOCAL && is_local(call->session)))
        return VERDICT_PASS;
    return refuse(call,
        "ERR DEBUG command not allowed. If the enable-debug-command option is "
        "set to \"local\", you can run it from a local connection, otherwise "
        "you need to set this option in the configuration file, and then "
        "restart the server.");
}

static enum verdict
check_auth(struct call *call)
{
    if (call->command->flags & CMD_NO_AUTH ||
        !session_needs_auth(call->session))
        return VERDICT_PASS;
    return refuse(call, "NOAUTH Authentication required.");
}

static enum verdict
check_multi(struct call *call)
{
    if (!(call->session->flags & SESSION_MULTI) ||
        !(call->command->flags & CMD_NO_MULTI) ||
        call->command->flags & CMD_NOT_QUEUED)
        return VERDICT_PASS;
    return refuse(call, "ERR Command not allowed inside a transaction");
}

/* Flags of the request, or of all that its EXEC would run. */
static unsigned
effective_flags(const struct call *call)
{
    unsigned flags = call->command->flags;
    if (strcmp(call->command->name, "exec") == 0)
        flags |= transaction_flags(call->session);
    return flags;
}

/* D2: after a failed commit. */
static enum verdict
check_disk(struct call *call)
{
    if (!call->server->is_misconfigured || !(effective_flags(call) & CMD_WRITE))
        return VERDICT_PASS;
    return refuse(call, call->server->failure);
}

/* To Redis a client that monitors is a kind of replica. */
static enum verdict
check_monitor(struct call *call)
{
    if (!(call->session->flags & SESSION_MONITOR) ||
        !(effective_flags(call) & (CMD_WRITE | CMD_READONLY)))
        return VERDICT_PASS;
    return refuse(call, "ERR Replica can't interact with the keyspace");
}

/* In a pause nothing changes: what expires is hidden and stays. */
static enum verdict
check_pause(struct call *call)
{
    struct server *srv = call->server;
    if (srv->pause_until_ms == 0)
        return VERDICT_PASS;
    bool is_over = call->now_ms >= srv->pause_until_ms;
    keyspace_keep_expired(call->keyspace, !is_over);
    if (is_over) {
        srv->pause_until_ms = 0;
        return VERDICT_PASS;
    }
    if (srv->pause_is_write_only && !(effective_flags(call) & CMD_WRITE))
        return VERDICT_PASS;
    blocked_on_pause(call);
    return VERDICT_POSTPONED;
}

static enum verdict
queue_in_multi(struct call *call)
{
    if (!(call->session->flags & SESSION_MULTI) ||
        call->command->flags & CMD_NOT_QUEUED)
        return VERDICT_PASS;
    transaction_queue(call);
    reply_simple(call->reply, "QUEUED");
    return VERDICT_QUEUED;
}

static const admission_fn questions[] = {
    check_attack,
    find_command,
    check_arity,
    check_protected,
    check_auth,
    check_multi,
    check_disk,
    check_monitor,
    check_pause,
    queue_in_multi,
};

enum verdict
admission_judge(struct call *call)
{
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        enum verdict verdict = questions[i](call);
        if (verdict != VERDICT_PASS)
            return verdict;
    }
    return VERDICT_PASS;
}
