/*
 * secret.c -- AUTH, HELLO ... AUTH and CONFIG SET of a password.
 */
#include "server/secret.h"

bool
secret_is_argument(const struct call *call, size_t at)
{
    const struct slice *argv = call->argv;

    if (at == 0)
        return false;
    if (slice_is(argv[0], "auth"))
        return true;
    if (slice_is(argv[0], "hello"))
        return (at >= 3 && slice_is(argv[at - 1], "auth")) ||
               (at >= 4 && slice_is(argv[at - 2], "auth"));
    if (slice_is(argv[0], "config") && call->argc > 3 &&
        slice_is(argv[1], "set"))
        return at % 2 == 1 && at >= 3 &&
               (slice_is(argv[at - 1], "requirepass") ||
                   slice_is(argv[at - 1], "masterauth") ||
                   slice_is(argv[at - 1], "tls-key-file-pass"));
    return false;
}
