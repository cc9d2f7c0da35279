/*
 * acl.c -- ACL, as far as one user goes.
 *
 * There is one user, "default", who may do everything; what clients and tools
 * ask about it is answered.  Making users is not there: SETUSER and its kin
 * are unknown subcommands.
 */
#include "server/base/random.h"
#include "server/commands/admin.h"
#include "server/commands/introspect.h"
#include "server/server.h"

#define PASSWORD_BITS_DEFAULT 256
#define PASSWORD_BITS_MAX 4096

static void
acl_cat(struct call *call)
{
    size_t deferred, count = 0;

    if (call->argc == 2) {
        introspect_reply_categories(call->reply);
        return;
    }
    if (call->argc > 3) {
        call_reply_subcommand_error(call);
        return;
    }
    unsigned category = introspect_find_category(call->argv[2]);
    if (category == 0) {
        reply_error_format(call->reply, "ERR Unknown category '%.*s'",
            (int)(call->argv[2].len < 128 ? call->argv[2].len : 128),
            call->argv[2].data);
        return;
    }
    deferred = reply_defer(call->reply);
    for (const struct command *command = command_next(NULL); command != NULL;
         command = command_next(command)) {
        if (introspect_categories(command) & category) {
            introspect_reply_name(call->reply, command);
            count++;
        }
        for (const struct command *sub = command->subcommands;
             sub != NULL && sub->name != NULL; sub++) {
            if (!(introspect_categories(sub) & category))
                continue;
            introspect_reply_name(call->reply, sub);
            count++;
        }
    }
    reply_array_end(call->reply, deferred, count);
}

static void
acl_whoami(struct call *call)
{
    reply_bulk_text(call->reply, "default");
}

static void
acl_users(struct call *call)
{
    reply_array(call->reply, 1);
    reply_bulk_text(call->reply, "default");
}

static void
acl_list(struct call *call)
{
    const char *password = call->server->config.requirepass;
    bool has_password = password != NULL && password[0] != '\0';

    reply_array(call->reply, 1);
    reply_bulk_text(call->reply,
        has_password ? "user default on sanitize-payload ~* &* +@all"
                     : "user default on nopass sanitize-payload ~* &* +@all");
}

static void
acl_genpass(struct call *call)
{
    int64_t bits = PASSWORD_BITS_DEFAULT;
    char text[PASSWORD_BITS_MAX / 4 + 1];

    if (call->argc > 3) {
        call_reply_subcommand_error(call);
        return;
    }
    if (call->argc == 3 && !call_get_i64(call, 2, &bits, NULL))
        return;
    if (bits <= 0 || bits > PASSWORD_BITS_MAX) {
        reply_error(call->reply,
            "ERR ACL GENPASS argument must be the number of bits for the "
            "output password, a positive number up to 4096");
        return;
    }
    random_hex(text, (size_t)(bits + 3) / 4);
    reply_bulk_text(call->reply, text);
}

static void
acl_help(struct call *call)
{
    static const char *const lines[] = { "CAT [<category>]",
        "    List all commands that belong to <category>, or all command "
        "categories",
        "    when no category is specified.", "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` "
        "argument can",
        "    be used to specify a different size.", "LIST",
        "    Show users details in config file format.", "USERS",
        "    List all the registered usernames.", "WHOAMI",
        "    Return the current connection username.", NULL };

    call_reply_help(call, lines);
}

#define FLAGS_OWN (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

struct command acl_subcommands[] = {
    { .name = "cat",
        .run = acl_cat,
        .arity = -2,
        .flags = FLAGS_OWN,
        .since = "6.0.0",
        .group = "server",
        .summary = "Lists the ACL categories, or the commands inside a "
                   "category.",
        .complexity = "O(1) since the categories and commands are a fixed "
                      "set.",
        .syntax = "[category]" },
    { .name = "genpass",
        .run = acl_genpass,
        .arity = -2,
        .flags = FLAGS_OWN,
        .since = "6.0.0",
        .group = "server",
        .summary = "Generates a pseudorandom, secure password that can be "
                   "used to identify ACL users.",
        .complexity = "O(1)",
        .syntax = "[bits]" },
    { .name = "help",
        .run = acl_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .since = "6.0.0",
        .group = "server",
        .summary = ADMIN_HELP_SUMMARY,
        .complexity = "O(1)" },
    { .name = "list",
        .run = acl_list,
        .arity = 2,
        .flags = CMD_ADMIN | FLAGS_OWN,
        .since = "6.0.0",
        .group = "server",
        .summary = "Dumps the effective rules in ACL file format.",
        .complexity = "O(N). Where N is the number of configured users." },
    { .name = "users",
        .run = acl_users,
        .arity = 2,
        .flags = CMD_ADMIN | FLAGS_OWN,
        .since = "6.0.0",
        .group = "server",
        .summary = "Lists all ACL users.",
        .complexity = "O(N). Where N is the number of configured users." },
    { .name = "whoami",
        .run = acl_whoami,
        .arity = 2,
        .flags = FLAGS_OWN,
        .since = "6.0.0",
        .group = "server",
        .summary = "Returns the authenticated username of the current "
                   "connection.",
        .complexity = "O(1)" },
    { .name = NULL },
};
