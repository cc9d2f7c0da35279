/*
 * string_number.c -- strings as numbers: INCR DECR INCRBY DECRBY INCRBYFLOAT.
 *
 * The number is its decimal form; the new one replaces it as SET KEEPTTL would.
 */
#include <math.h>

#include "server/base/number.h"
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/string.h"

static void
increment(struct call *call, int64_t by)
{
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    int64_t value = 0;
    if (key != NULL && !string_get_i64(key->string, &value)) {
        reply_error(call->reply, ERROR_NOT_INTEGER);
        return;
    }
    if (__builtin_add_overflow(value, by, &value)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    char text[NUMBER_I64_SIZE];
    size_t len = number_format_i64(text, value);
    keyspace_set_string(
        call->keyspace, call->db, call->argv[1], slice_make(text, len), true);
    reply_int(call->reply, value);
}

static void
incr(struct call *call)
{
    increment(call, 1);
}

static void
decr(struct call *call)
{
    increment(call, -1);
}

static void
incrby(struct call *call)
{
    int64_t by;
    if (call_get_i64(call, 2, &by, NULL))
        increment(call, by);
}

static void
decrby(struct call *call)
{
    int64_t by;
    if (!call_get_i64(call, 2, &by, NULL))
        return;
    /* Its negative does not exist. */
    if (by == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    else
        increment(call, -by);
}

/* The key's value as a number, 0 without a key; false: error replied. */
static bool
get_float(struct call *call, const struct key *key, long double *value)
{
    *value = 0;
    if (key == NULL)
        return true;
    struct buf scratch = BUF_INIT;
    struct slice text;
    /* No number is longer; do not read what is hopeless. */
    enum status status = STATUS_OK;
    bool is_number = false;
    if (string_len(key->string) < NUMBER_LONG_DOUBLE_SIZE) {
        status = string_value_get(call, key, &scratch, &text);
        is_number =
            status == STATUS_OK && number_parse_long_double(text, value);
    }
    if (status != STATUS_OK)
        call_reply_status(call, status);
    else if (!is_number)
        reply_error(call->reply, ERROR_NOT_FLOAT);
    buf_fini(&scratch);
    return is_number;
}

static void
incrbyfloat(struct call *call)
{
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    long double value, by;
    if (!get_float(call, key, &value))
        return;
    if (!number_parse_long_double(call->argv[2], &by)) {
        reply_error(call->reply, ERROR_NOT_FLOAT);
        return;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUMBER_LONG_DOUBLE_SIZE];
    size_t len = number_format_long_double(text, value);
    key = keyspace_set_string(
        call->keyspace, call->db, call->argv[1], slice_make(text, len), true);
    keyspace_mark_text(call->keyspace, key);
    reply_bulk(call->reply, text, len);
}

struct command commands_string_number[] = {
    { .name = "incr",
        .run = incr,
        .arity = 2,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Increments the integer value of a key by one. Uses 0 as "
                   "initial value if the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key" },
    { .name = "decr",
        .run = decr,
        .arity = 2,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Decrements the integer value of a key by one. Uses 0 as "
                   "initial value if the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key" },
    { .name = "incrby",
        .run = incrby,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Increments the integer value of a key by a number. Uses 0 "
                   "as initial value if the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key increment" },
    { .name = "decrby",
        .run = decrby,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Decrements a number from the integer value of a key. Uses "
                   "0 as initial value if the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key decrement" },
    { .name = "incrbyfloat",
        .run = incrbyfloat,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "2.6.0",
        .summary = "Increment the floating point value of a key by a number. "
                   "Uses 0 as initial value if the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key increment" },
    { .name = NULL },
};
