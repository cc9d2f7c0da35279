/*
 * call.c -- what many handlers say or ask.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/number.h"
#include "server/server.h"

#define MICROSECONDS 1000000
/* Digits of a cursor, with room for a sign and leading zeros. */
#define CURSOR_TEXT_SIZE 64
#define NAME_SIZE 64 /* bytes of a command's name in upper case */

/* A read of a key counts as a hit or a miss, as Redis has it. */
static struct key *
count_lookup(struct call *call, struct key *key)
{
    if (call->command->flags & CMD_READONLY) {
        if (key != NULL)
            call->server->stats.keyspace_hits++;
        else
            call->server->stats.keyspace_misses++;
    }
    return key;
}

struct key *
call_find(struct call *call, size_t at)
{
    return count_lookup(
        call, keyspace_find(call->keyspace, call->db, call->argv[at]));
}

struct key *
call_peek(struct call *call, size_t at)
{
    return count_lookup(
        call, keyspace_peek(call->keyspace, call->db, call->argv[at]));
}

struct key *
call_find_typed(
    struct call *call, size_t at, enum key_type type, bool *is_wrong)
{
    struct key *key = call_find(call, at);
    *is_wrong = key != NULL && key->type != type;
    if (!*is_wrong)
        return key;
    reply_error(call->reply, ERROR_WRONG_TYPE);
    return NULL;
}

bool
call_get_i64(struct call *call, size_t at, int64_t *value, const char *error)
{
    if (number_parse_i64(call->argv[at], value))
        return true;
    reply_error(call->reply, error != NULL ? error : ERROR_NOT_INTEGER);
    return false;
}

bool
call_get_i64_in(struct call *call, size_t at, int64_t min, int64_t max,
    int64_t *value, const char *error)
{
    int64_t number;
    if (!call_get_i64(call, at, &number, error))
        return false;
    if (number >= min && number <= max) {
        *value = number;
        return true;
    }
    if (error != NULL)
        reply_error(call->reply, error);
    else if (min == 0 && max >= INT32_MAX)
        reply_error(call->reply, ERROR_NOT_POSITIVE);
    else
        reply_error_format(call->reply,
            "ERR value is out of range, value must between %lld and %lld",
            (long long)min, (long long)max);
    return false;
}

bool
call_get_double(struct call *call, size_t at, double *value, const char *error)
{
    if (number_parse_double(call->argv[at], value))
        return true;
    reply_error(call->reply, error != NULL ? error : ERROR_NOT_FLOAT);
    return false;
}

bool
call_get_cursor(struct call *call, size_t at, uint64_t *cursor)
{
    struct slice text = call->argv[at];
    char copy[CURSOR_TEXT_SIZE];
    if (text.len < sizeof(copy)) {
        char *end;
        if (text.len > 0)
            memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        errno = 0;
        uint64_t value = strtoull(copy, &end, 10);
        if (!isspace((unsigned char)copy[0]) && *end == '\0' && errno == 0) {
            *cursor = value;
            return true;
        }
    }
    reply_error(call->reply, "ERR invalid cursor");
    return false;
}

bool
call_arg_is(const struct call *call, size_t at, const char *word)
{
    return at < call->argc && slice_is(call->argv[at], word);
}

bool
call_get_deadline(struct call *call, size_t at, int64_t *deadline_us)
{
    long double seconds;
    if (call->is_retry) {
        *deadline_us = call->block_deadline_us;
        return true;
    }
    if (!number_parse_long_double(call->argv[at], &seconds)) {
        reply_error(call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    if (seconds * 1000 > (long double)INT64_MAX) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    if (seconds < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    *deadline_us = INT64_MAX;
    if (seconds == 0)
        return true;
    int64_t now_us = clock_monotonic_us();
    /* Redis counts whole milliseconds, rounded up. */
    long double ms = ceill(seconds * 1000);
    if (ms > (long double)(INT64_MAX - call->now_ms)) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    if (ms < (long double)((INT64_MAX - now_us) / 1000))
        *deadline_us = now_us + (int64_t)ms * 1000;
    return true;
}

/* The name of the container command, in upper case. */
static void
get_container_name(const struct call *call, char name[NAME_SIZE])
{
    const struct command *command = call->command;
    const char *text =
        command->parent != NULL ? command->parent->name : command->name;
    size_t len = 0;
    for (; text[len] != '\0' && len + 1 < NAME_SIZE; len++)
        name[len] = (char)toupper((unsigned char)text[len]);
    name[len] = '\0';
}

void
call_reply_subcommand_error(struct call *call)
{
    char name[NAME_SIZE];
    get_container_name(call, name);
    struct slice sub = call->argc > 1 ? call->argv[1] : SLICE("");
    int len = (int)(sub.len < 128 ? sub.len : 128);
    reply_error_format(call->reply,
        "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
        "Try %s HELP.",
        len, sub.data, name);
}

void
call_reply_help(struct call *call, const char *const *lines)
{
    char name[NAME_SIZE];
    char head[NAME_SIZE + 80];
    size_t count = 0;
    get_container_name(call, name);
    while (lines[count] != NULL)
        count++;
    reply_array(call->reply, count + 3);
    (void)snprintf(head, sizeof(head),
        "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_simple(call->reply, head);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

void
call_reply_status(struct call *call, enum status status)
{
    reply_error_format(call->reply,
        "ERR the database file could not be read: %s", status_text(status));
}
