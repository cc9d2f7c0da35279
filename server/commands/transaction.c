/*
 * transaction.c -- MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * The queue keeps a copy of each request: one allocation that holds the
 * slices and, behind them, their bytes.  EXEC first makes the keys of all
 * queued commands resident, so that a failing disk stops it before the first
 * one ran; then it runs them.  All their changes are in one batch (D1), since
 * a batch is never sealed within a command.
 */
#include "server/commands/transaction.h"

#include "server/base/memory.h"
#include "server/executor.h"
#include "server/watch.h"

struct queued {
    const struct command *command;
    struct slice *argv; /* own allocation, with the bytes */
    size_t argc;
};

struct transaction {
    struct queued *queue;
    size_t len, size;
    unsigned flags; /* of all commands together */
    size_t bytes;   /* of all arguments together */
};

/* ---- the queue --------------------------------------------------------- */

static struct slice *
copy_arguments(const struct call *call, size_t *bytes)
{
    size_t size = call->argc * sizeof(struct slice);
    for (size_t i = 0; i < call->argc; i++)
        size += call->argv[i].len;
    struct slice *argv = memory_alloc(size);
    *bytes += size;
    char *at = (char *)(argv + call->argc);
    for (size_t i = 0; i < call->argc; i++) {
        argv[i] = slice_make(at, call->argv[i].len);
        if (call->argv[i].len > 0)
            memcpy(at, call->argv[i].data, call->argv[i].len);
        at += call->argv[i].len;
    }
    return argv;
}

void
transaction_queue(struct call *call)
{
    struct transaction *transaction = call->session->transaction;
    /* What cannot be executed any more needs no memory. */
    if (call->session->flags & (SESSION_MULTI_FAILED | SESSION_WATCH_BROKEN))
        return;
    if (transaction->len == transaction->size) {
        transaction->size = transaction->size > 0 ? 2 * transaction->size : 4;
        transaction->queue = memory_realloc(transaction->queue,
            transaction->size * sizeof(*transaction->queue));
    }
    struct queued *queued = &transaction->queue[transaction->len++];
    queued->command = call->command;
    queued->argc = call->argc;
    queued->argv = copy_arguments(call, &transaction->bytes);
    transaction->flags |= call->command->flags;
}

static void
free_transaction(struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->len; i++)
        memory_free(transaction->queue[i].argv);
    memory_free(transaction->queue);
    memory_free(transaction);
}

void
transaction_discard(struct session *session)
{
    if (session->transaction != NULL)
        free_transaction(session->transaction);
    session->transaction = NULL;
    session->flags &= ~(unsigned)(SESSION_MULTI | SESSION_MULTI_FAILED);
    watch_remove_all(session);
}

unsigned
transaction_flags(const struct session *session)
{
    return session->transaction != NULL ? session->transaction->flags : 0;
}

int
transaction_len(const struct session *session)
{
    if (!(session->flags & SESSION_MULTI))
        return -1;
    return (int)session->transaction->len;
}

size_t
transaction_memory(const struct session *session)
{
    const struct transaction *transaction = session->transaction;
    if (transaction == NULL)
        return 0;
    return sizeof(*transaction) +
           transaction->size * sizeof(*transaction->queue) + transaction->bytes;
}

/* ---- commands ---------------------------------------------------------- */

static void
multi(struct call *call)
{
    if (call->session->flags & SESSION_MULTI) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    call->session->transaction =
        memory_zalloc(sizeof(*call->session->transaction));
    call->session->flags |= SESSION_MULTI;
    reply_ok(call->reply);
}

static void
discard(struct call *call)
{
    if (!(call->session->flags & SESSION_MULTI)) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(call->session);
    reply_ok(call->reply);
}

static struct call
make_call(const struct call *exec, const struct queued *queued)
{
    struct call call = *exec;
    call.command = queued->command;
    call.argv = queued->argv;
    call.argc = queued->argc;
    call.db = exec->session->db;
    call.is_in_exec = true;
    return call;
}

/* A SELECT in the queue moves the keys that follow it; those are prepared by */
/* executor_call(). */
static enum status
prepare_all(const struct call *exec, const struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->len; i++) {
        struct call call = make_call(exec, &transaction->queue[i]);
        enum status status = executor_prepare(&call);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static void
run_all(struct call *exec, struct transaction *transaction)
{
    reply_array(exec->reply, transaction->len);
    for (size_t i = 0; i < transaction->len; i++) {
        struct call call = make_call(exec, &transaction->queue[i]);
        executor_call(&call);
    }
}

static void
exec_command(struct call *call)
{
    struct session *session = call->session;
    if (!(session->flags & SESSION_MULTI)) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    enum status status = watch_refresh(session);
    if (status == STATUS_OK)
        status = prepare_all(call, session->transaction);
    bool is_refused = (session->flags & SESSION_MULTI_FAILED) != 0;
    bool is_broken = (session->flags & SESSION_WATCH_BROKEN) != 0;
    struct transaction *transaction = session->transaction;
    session->transaction = NULL;
    transaction_discard(session);
    if (is_refused)
        reply_error(call->reply,
            "EXECABORT Transaction discarded because of previous errors.");
    else if (is_broken)
        reply_null_array(call->reply);
    else if (status != STATUS_OK)
        call_reply_status(call, status);
    else
        run_all(call, transaction);
    free_transaction(transaction);
}

static void
watch(struct call *call)
{
    if (call->session->flags & SESSION_MULTI) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    /* A WATCH that is broken already stays so whatever is added. */
    for (size_t i = 1;
         i < call->argc && !(call->session->flags & SESSION_WATCH_BROKEN); i++)
        watch_add(call->session, call->db, call->argv[i],
            keyspace_peek(call->keyspace, call->db, call->argv[i]) != NULL);
    reply_ok(call->reply);
}

static void
unwatch(struct call *call)
{
    watch_remove_all(call->session);
    reply_ok(call->reply);
}

#define TRANSACTION_FLAGS \
    (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY)

struct command commands_transaction[] = {
    {
        .name = "multi",
        .run = multi,
        .arity = 1,
        .flags = TRANSACTION_FLAGS | CMD_NOT_QUEUED,
        .acl = ACL_TRANSACTION,
        .since = "1.2.0",
        .summary = "Starts a transaction.",
        .complexity = "O(1)",
        .group = "transactions",
    },
    {
        .name = "exec",
        .run = exec_command,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG |
                 CMD_NOT_QUEUED,
        .acl = ACL_TRANSACTION,
        .since = "1.2.0",
        .summary = "Executes all commands in a transaction.",
        .complexity = "Depends on commands in the transaction",
        .group = "transactions",
    },
    {
        .name = "discard",
        .run = discard,
        .arity = 1,
        .flags = TRANSACTION_FLAGS | CMD_NOT_QUEUED,
        .acl = ACL_TRANSACTION,
        .since = "2.0.0",
        .summary = "Discards a transaction.",
        .complexity = "O(N), when N is the number of queued commands",
        .group = "transactions",
    },
    {
        .name = "watch",
        .run = watch,
        .arity = -2,
        .flags = TRANSACTION_FLAGS | CMD_NOT_QUEUED | CMD_NO_OBJECT,
        .keys = { .first = 1, .last = -1, .step = 1, .flags = KEYS_RO },
        .acl = ACL_TRANSACTION,
        .since = "2.2.0",
        .summary = "Monitors changes to keys to determine the execution of a "
                   "transaction.",
        .complexity = "O(1) for every key.",
        .group = "transactions",
        .syntax = "key [key ...]",
    },
    {
        .name = "unwatch",
        .run = unwatch,
        .arity = 1,
        .flags = TRANSACTION_FLAGS,
        .acl = ACL_TRANSACTION,
        .since = "2.2.0",
        .summary = "Forgets about watched keys of a transaction.",
        .complexity = "O(1)",
        .group = "transactions",
    },
    { 0 },
};
