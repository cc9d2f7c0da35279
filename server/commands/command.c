/*
 * command.c -- COMMAND: the server describes its own commands.
 *
 * COMMAND and COMMAND INFO say what introspect.c makes of a row, COMMAND DOCS
 * what docs.c makes of its syntax.
 */
#include "server/base/glob.h"
#include "server/base/memory.h"
#include "server/commands/docs.h"
#include "server/commands/introspect.h"
#include "server/server.h"

static size_t
count_commands(void)
{
    size_t count = 0;

    for (const struct command *command = command_next(NULL); command != NULL;
         command = command_next(command))
        count++;
    return count;
}

/* ---- INFO --------------------------------------------------------------- */

static void
command_all(struct call *call)
{
    if (call->argc > 1 && !call_arg_is(call, 1, "info")) {
        struct slice name = call->argv[1];

        reply_error_format(call->reply,
            "ERR unknown subcommand '%.*s'. Try COMMAND HELP.",
            (int)(name.len < 128 ? name.len : 128), name.data);
        return;
    }
    reply_array(call->reply, count_commands());
    for (const struct command *command = command_next(NULL); command != NULL;
         command = command_next(command))
        introspect_reply_info(call->reply, command);
}

static void
command_info(struct call *call)
{
    if (call->argc == 2) {
        command_all(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (size_t at = 2; at < call->argc; at++) {
        const struct command *command =
            introspect_find_full_name(call->argv[at]);

        if (command == NULL)
            reply_null(call->reply);
        else
            introspect_reply_info(call->reply, command);
    }
}

/* ---- DOCS --------------------------------------------------------------- */

static void
reply_pair(struct reply *reply, const char *name, const char *value)
{
    if (value == NULL)
        return;
    reply_bulk_text(reply, name);
    reply_bulk_text(reply, value);
}

static void
reply_doc_flags(struct reply *reply, const struct command *command)
{
    bool is_deprecated = command->deprecated_since != NULL;
    bool is_system = (command->flags & CMD_SYSTEM) != 0;

    if (!is_deprecated && !is_system)
        return;
    reply_bulk_text(reply, "doc_flags");
    reply_set(reply, (size_t)is_deprecated + is_system);
    if (is_deprecated)
        reply_simple(reply, "deprecated");
    if (is_system)
        reply_simple(reply, "syscmd");
}

static void
reply_docs(struct reply *reply, const struct command *command)
{
    size_t subcommands = introspect_count_subcommands(command);
    struct docs_arg *args = docs_parse(command);
    const char *const texts[][2] = { { "summary", command->summary },
        { "since", command->since }, { "group", command->group },
        { "complexity", command->complexity },
        { "deprecated_since", command->deprecated_since },
        { "replaced_by", command->replaced_by } };
    bool has_flags =
        command->deprecated_since != NULL || (command->flags & CMD_SYSTEM) != 0;
    size_t fields = (size_t)has_flags + (args != NULL) + (subcommands > 0);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        fields += texts[i][1] != NULL;
    reply_map(reply, fields);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        reply_pair(reply, texts[i][0], texts[i][1]);
    reply_doc_flags(reply, command);
    if (args != NULL) {
        reply_bulk_text(reply, "arguments");
        docs_reply(reply, args);
    }
    docs_free(args);
    if (subcommands == 0)
        return;
    reply_bulk_text(reply, "subcommands");
    reply_map(reply, subcommands);
    for (size_t i = 0; i < subcommands; i++) {
        introspect_reply_name(reply, &command->subcommands[i]);
        reply_docs(reply, &command->subcommands[i]);
    }
}

static void
command_docs(struct call *call)
{
    size_t deferred = reply_defer(call->reply), count = 0;

    if (call->argc == 2) {
        for (const struct command *command = command_next(NULL);
             command != NULL; command = command_next(command)) {
            introspect_reply_name(call->reply, command);
            reply_docs(call->reply, command);
            count++;
        }
    }
    for (size_t at = 2; at < call->argc; at++) {
        const struct command *command =
            introspect_find_full_name(call->argv[at]);

        if (command == NULL)
            continue;
        introspect_reply_name(call->reply, command);
        reply_docs(call->reply, command);
        count++;
    }
    reply_map_end(call->reply, deferred, count);
}

/* ---- LIST, COUNT -------------------------------------------------------- */

struct filter {
    enum { FILTER_NONE, FILTER_CATEGORY, FILTER_PATTERN, FILTER_NOTHING } by;
    unsigned category;
    struct slice pattern;
};

static bool
filter_fits(const struct filter *filter, const struct command *command)
{
    if (filter->by == FILTER_CATEGORY)
        return (introspect_categories(command) & filter->category) != 0;
    if (filter->by == FILTER_NOTHING)
        return false;
    if (filter->by == FILTER_NONE)
        return true;
    struct buf name = BUF_INIT;
    if (command->parent != NULL)
        buf_printf(&name, "%s|", command->parent->name);
    buf_append_text(&name, command->name);
    bool is_match = glob_match_nocase(filter->pattern, buf_slice(&name));
    buf_fini(&name);
    return is_match;
}

static void
list_filtered(struct call *call, const struct filter *filter)
{
    size_t deferred = reply_defer(call->reply), count = 0;

    for (const struct command *command = command_next(NULL); command != NULL;
         command = command_next(command)) {
        if (filter_fits(filter, command)) {
            introspect_reply_name(call->reply, command);
            count++;
        }
        for (size_t i = 0; i < introspect_count_subcommands(command); i++) {
            if (!filter_fits(filter, &command->subcommands[i]))
                continue;
            introspect_reply_name(call->reply, &command->subcommands[i]);
            count++;
        }
    }
    reply_array_end(call->reply, deferred, count);
}

static void
command_list(struct call *call)
{
    struct filter filter = { FILTER_NONE, 0, SLICE("") };

    if (call->argc != 2 &&
        (call->argc != 5 || !call_arg_is(call, 2, "FILTERBY"))) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 5) {
        if (call_arg_is(call, 3, "MODULE")) {
            filter.by = FILTER_NOTHING; /* there are no modules */
        } else if (call_arg_is(call, 3, "ACLCAT")) {
            filter.by = FILTER_CATEGORY;
            filter.category = introspect_find_category(call->argv[4]);
        } else if (call_arg_is(call, 3, "PATTERN")) {
            filter.by = FILTER_PATTERN;
            filter.pattern = call->argv[4];
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return;
        }
    }
    list_filtered(call, &filter);
}

static void
command_count(struct call *call)
{
    reply_int(call->reply, (int64_t)count_commands());
}

/* ---- GETKEYS ------------------------------------------------------------ */

/* What the request does to a key, where its row can only say what it might: */
/* of the rows with such flags, SET reads the key if it says GET. */
static unsigned
request_key_flags(const struct slice *argv, size_t argc, unsigned flags)
{
    if (!(flags & KEYS_VARIABLE))
        return flags;
    for (size_t i = 3; i < argc; i++)
        if (slice_is(argv[i], "get"))
            return KEYS_RW | KEYS_ACCESS | KEYS_UPDATE;
    return KEYS_OW | KEYS_UPDATE;
}

static void
reply_keys(struct call *call, bool with_flags)
{
    struct slice *argv = call->argv + 2;
    size_t argc = call->argc - 2, size = 0;
    struct command_key *keys = NULL;
    const struct command *command = command_find(argv[0]);

    if (command != NULL && command->subcommands != NULL && argc > 1)
        command = command_find_sub(command, argv[1]);
    if (command == NULL) {
        reply_error(call->reply, "ERR Invalid command specified");
        return;
    }
    if (command->keys.first == 0 && command->keys.count_at == 0 &&
        command->keys2.first == 0 && command->keys2.count_at == 0) {
        reply_error(call->reply, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(command, argc)) {
        reply_error(call->reply,
            "ERR Invalid number of arguments specified for command");
        return;
    }
    int count = command_get_keys(command, argv, argc, &keys, &size);
    if (count < 0)
        reply_error(call->reply, "ERR Invalid arguments specified for command");
    else
        reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++) {
        if (with_flags)
            reply_array(call->reply, 2);
        reply_slice(call->reply, argv[keys[i].at]);
        if (with_flags)
            introspect_reply_key_flags(
                call->reply, request_key_flags(argv, argc, keys[i].flags));
    }
    memory_free(keys);
}

static void
command_getkeys(struct call *call)
{
    reply_keys(call, false);
}

static void
command_getkeysandflags(struct call *call)
{
    reply_keys(call, true);
}

static void
command_help(struct call *call)
{
    static const char *const lines[] = { "(no subcommand)",
        "    Return details about all Redis commands.", "COUNT",
        "    Return the total number of commands in this Redis server.", "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.", "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.", "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
        NULL };

    call_reply_help(call, lines);
}

/* ---- the table ---------------------------------------------------------- */

#define ROW(NAME, RUN, ARITY, SINCE, SUMMARY, COMPLEXITY, SYNTAX, TIPS) \
    {                                                                   \
        .name = NAME, .run = RUN, .arity = ARITY,                       \
        .flags = CMD_LOADING | CMD_STALE, .acl = ACL_CONNECTION,        \
        .since = SINCE, .group = "server", .summary = SUMMARY,          \
        .complexity = COMPLEXITY, .syntax = SYNTAX, .tips = TIPS        \
    }

#define UNORDERED "nondeterministic_output_order"

static struct command command_subcommands[] = {
    ROW("count", command_count, 2, "2.8.13", "Returns a count of commands.",
        "O(1)", NULL, NULL),
    ROW("docs", command_docs, -2, "7.0.0",
        "Returns documentary information about one, multiple or all "
        "commands.",
        "O(N) where N is the number of commands to look up",
        "[command-name [command-name ...]]", UNORDERED),
    ROW("getkeys", command_getkeys, -3, "2.8.13",
        "Extracts the key names from an arbitrary command.",
        "O(N) where N is the number of arguments to the command",
        "command [arg [arg ...]]", NULL),
    ROW("getkeysandflags", command_getkeysandflags, -3, "7.0.0",
        "Extracts the key names and access flags for an arbitrary command.",
        "O(N) where N is the number of arguments to the command",
        "command [arg [arg ...]]", NULL),
    ROW("help", command_help, 2, "5.0.0",
        "Returns helpful text about the different subcommands.", "O(1)", NULL,
        NULL),
    ROW("info", command_info, -2, "2.8.13",
        "Returns information about one, multiple or all commands.",
        "O(N) where N is the number of commands to look up",
        "[command-name [command-name ...]]", UNORDERED),
    ROW("list", command_list, -2, "7.0.0", "Returns a list of command names.",
        "O(N) where N is the total number of Redis commands",
        "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
        UNORDERED),
    { .name = NULL },
};

struct command commands_command[] = {
    { .name = "command",
        .run = command_all,
        .arity = -1,
        .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_CONNECTION,
        .since = "2.8.13",
        .group = "server",
        .summary = "Returns detailed information about all commands.",
        .complexity = "O(N) where N is the total number of Redis commands",
        .tips = UNORDERED,
        .subcommands = command_subcommands },
    { .name = NULL },
};
