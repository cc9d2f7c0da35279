/*
 * secret.c -- AUTH, HELLO ... AUTH and CONFIG SET of a password.
 *
 * Commands are told by their rows: rename-command changes what they are called.
 */
#include "server/secret.h"

/* Directives that hold a secret, whether CONFIG SET takes them or not. */
static bool
is_directive(struct slice name)
{
    static const char *const names[] = { "requirepass", "masterauth",
        "tls-key-file-pass", "tls-client-key-file-pass", "bucket-access-key",
        "bucket-secret-key", "bucket-session-token" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

bool
secret_is_argument(const struct call *call, size_t at)
{
    const struct slice *argv = call->argv;
    const struct command *command = call->command;
    struct slice name = slice_from_text(command->name);

    if (at == 0)
        return false;
    if (slice_is(name, "auth"))
        return true;
    if (slice_is(name, "hello"))
        return (at >= 3 && slice_is(argv[at - 1], "auth")) ||
               (at >= 4 && slice_is(argv[at - 2], "auth"));
    return slice_is(name, "set") && command->parent != NULL && at >= 3 &&
           at % 2 == 1 && is_directive(argv[at - 1]);
}
