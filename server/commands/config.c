/*
 * config.c -- CONFIG: the directives while the server runs.
 *
 * What a directive is, which text it takes and what happens after a change
 * stands in its row (server/config_table.c); this file only words the replies.
 */
#include "server/config.h"
#include "server/base/memory.h"
#include "server/info.h"
#include "server/server.h"

struct found {
    struct reply *reply;
    const char **names; /* already said, by another pattern */
    size_t len, size;
};

static void
add_found(const char *name, struct slice value, void *arg)
{
    struct found *found = arg;

    for (size_t i = 0; i < found->len; i++)
        if (strcmp(found->names[i], name) == 0)
            return;
    if (found->len == found->size) {
        found->size = found->size > 0 ? 2 * found->size : 16;
        found->names =
            memory_realloc(found->names, found->size * sizeof(*found->names));
    }
    found->names[found->len++] = name;
    reply_bulk_text(found->reply, name);
    reply_slice(found->reply, value);
}

static void
config_do_get(struct call *call)
{
    struct found found = { .reply = call->reply };
    size_t deferred = reply_defer(call->reply);

    for (size_t at = 2; at < call->argc; at++)
        config_get(&call->server->config, call->argv[at], add_found, &found);
    reply_map_end(call->reply, deferred, found.len);
    memory_free(found.names);
}

static void
config_do_set(struct call *call)
{
    const char *failed = NULL;
    struct buf error = BUF_INIT;

    if (call->argc % 2 != 0) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    enum status status = config_set(&call->server->config, call->argv + 2,
        (call->argc - 2) / 2, &failed, &error);
    buf_append_byte(&error, '\0');
    if (status == STATUS_OK)
        reply_ok(call->reply);
    else if (status == STATUS_NOT_FOUND)
        reply_error_format(call->reply,
            "ERR Unknown option or number of arguments for CONFIG SET - "
            "'%.128s'",
            failed != NULL ? failed : "");
    else
        reply_error_format(call->reply,
            "ERR CONFIG SET failed (possibly related to argument '%.128s') "
            "- %s",
            failed != NULL ? failed : "", error.data);
    buf_fini(&error);
}

static void
config_do_rewrite(struct call *call)
{
    const char *path = call->server->config_file;

    if (path[0] == '\0') {
        reply_error(
            call->reply, "ERR The server is running without a config file");
        return;
    }
    enum status status = config_rewrite(&call->server->config, path);
    if (status == STATUS_OK)
        reply_ok(call->reply);
    else
        reply_error_format(
            call->reply, "ERR Rewriting config file: %s", status_text(status));
}

static void
config_resetstat(struct call *call)
{
    info_reset();
    reply_ok(call->reply);
}

static void
config_help(struct call *call)
{
    static const char *const lines[] = { "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their "
        "values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.", "RESETSTAT",
        "    Reset statistics reported by the INFO command.", "REWRITE",
        "    Rewrite the configuration file.", NULL };

    call_reply_help(call, lines);
}

#define FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

static struct command config_subcommands[] = {
    { .name = "get",
        .run = config_do_get,
        .arity = -3,
        .flags = FLAGS,
        .since = "2.0.0",
        .group = "server",
        .summary = "Returns the effective values of configuration "
                   "parameters.",
        .complexity = "O(N) when N is the number of configuration "
                      "parameters provided",
        .syntax = "parameter [parameter ...]" },
    { .name = "help",
        .run = config_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .since = "5.0.0",
        .group = "server",
        .summary = "Returns helpful text about the different subcommands.",
        .complexity = "O(1)" },
    { .name = "resetstat",
        .run = config_resetstat,
        .arity = 2,
        .flags = FLAGS,
        .since = "2.0.0",
        .group = "server",
        .summary = "Resets the server's statistics.",
        .complexity = "O(1)",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "rewrite",
        .run = config_do_rewrite,
        .arity = 2,
        .flags = FLAGS,
        .since = "2.8.0",
        .group = "server",
        .summary = "Persists the effective configuration to file.",
        .complexity = "O(1)",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "set",
        .run = config_do_set,
        .arity = -4,
        .flags = FLAGS,
        .since = "2.0.0",
        .group = "server",
        .summary = "Sets configuration parameters in-flight.",
        .complexity = "O(N) when N is the number of configuration "
                      "parameters provided",
        .syntax = "parameter value [parameter value ...]",
        .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = NULL },
};

struct command commands_config[] = {
    { .name = "config",
        .arity = -2,
        .since = "2.0.0",
        .group = "server",
        .summary = "A container for server configuration commands.",
        .complexity = "Depends on subcommand.",
        .subcommands = config_subcommands },
    { .name = NULL },
};
