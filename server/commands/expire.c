/*
 * expire.c -- when keys go: EXPIRE and its kin, TTL and its kin, PERSIST.
 *
 * A time to live becomes a moment at once (call->now_ms plus it); only the
 * moment is stored.  A moment that has passed already deletes the key.
 */
#include "server/server.h"

enum condition {
    CONDITION_NX = 1 << 0, /* only if it never expires */
    CONDITION_XX = 1 << 1, /* only if it expires */
    CONDITION_GT = 1 << 2, /* only if it then lives longer */
    CONDITION_LT = 1 << 3  /* only if it then lives shorter */
};

static const struct {
    const char *word;
    unsigned condition;
} condition_words[] = {
    { "nx", CONDITION_NX },
    { "xx", CONDITION_XX },
    { "gt", CONDITION_GT },
    { "lt", CONDITION_LT },
};
#define CONDITION_WORDS (sizeof(condition_words) / sizeof(condition_words[0]))

/* 0: not one of them. */
static unsigned
find_condition(const struct call *call, size_t at)
{
    for (size_t i = 0; i < CONDITION_WORDS; i++) {
        if (call_arg_is(call, at, condition_words[i].word))
            return condition_words[i].condition;
    }
    return 0;
}

/* argv[3] and what follows; false: error replied. */
static bool
parse_conditions(struct call *call, unsigned *conditions)
{
    *conditions = 0;
    for (size_t i = 3; i < call->argc; i++) {
        unsigned condition = find_condition(call, i);
        if (condition == 0) {
            reply_error_format(call->reply, "ERR Unsupported option %.*s",
                (int)call->argv[i].len, call->argv[i].data);
            return false;
        }
        *conditions |= condition;
    }
    unsigned others = CONDITION_XX | CONDITION_GT | CONDITION_LT;
    if ((*conditions & CONDITION_NX) != 0 && (*conditions & others) != 0) {
        reply_error(call->reply, "ERR NX and XX, GT or LT options at the same "
                                 "time are not compatible");
        return false;
    }
    if ((*conditions & CONDITION_GT) != 0 &&
        (*conditions & CONDITION_LT) != 0) {
        reply_error(call->reply,
            "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* Does a key that expires at old_ms (-1: never, which is later than any */
/* moment) take the new one? */
static bool
is_met(unsigned conditions, int64_t old_ms, int64_t new_ms)
{
    bool expires = old_ms != -1;
    if ((conditions & CONDITION_NX) != 0 && expires)
        return false;
    if ((conditions & CONDITION_XX) != 0 && !expires)
        return false;
    if ((conditions & CONDITION_GT) != 0 && (!expires || new_ms <= old_ms))
        return false;
    if ((conditions & CONDITION_LT) != 0 && expires && new_ms >= old_ms)
        return false;
    return true;
}

/* argv[2], in units of unit_ms and counted from base_ms, as a moment; false: */
/* error replied. */
static bool
get_moment(struct call *call, int64_t unit_ms, int64_t base_ms, int64_t *at_ms)
{
    if (!call_get_i64(call, 2, at_ms, NULL))
        return false;
    if (!__builtin_mul_overflow(*at_ms, unit_ms, at_ms) &&
        !__builtin_add_overflow(*at_ms, base_ms, at_ms))
        return true;
    reply_error_format(call->reply, "ERR invalid expire time in '%s' command",
        call->command->name);
    return false;
}

static void
expire_generic(struct call *call, int64_t unit_ms, int64_t base_ms)
{
    unsigned conditions;
    int64_t at_ms;
    if (!parse_conditions(call, &conditions) ||
        !get_moment(call, unit_ms, base_ms, &at_ms))
        return;
    struct key *key = keyspace_find(call->keyspace, call->db, call->argv[1]);
    if (key == NULL || !is_met(conditions, key->expire_at_ms, at_ms)) {
        reply_int(call->reply, 0);
        return;
    }
    if (at_ms <= call->now_ms)
        keyspace_delete(call->keyspace, key);
    else
        keyspace_set_expiry(call->keyspace, key, at_ms);
    reply_int(call->reply, 1);
}

static void
expire(struct call *call)
{
    expire_generic(call, 1000, call->now_ms);
}

static void
pexpire(struct call *call)
{
    expire_generic(call, 1, call->now_ms);
}

static void
expireat(struct call *call)
{
    expire_generic(call, 1000, 0);
}

static void
pexpireat(struct call *call)
{
    expire_generic(call, 1, 0);
}

/* Reply when argv[1] goes, counted from base_ms, in units of unit_ms. */
static void
reply_expiry(struct call *call, int64_t unit_ms, int64_t base_ms)
{
    struct key *key = call_peek(call, 1);
    if (key == NULL) {
        reply_int(call->reply, -2);
        return;
    }
    if (key->expire_at_ms == -1) {
        reply_int(call->reply, -1);
        return;
    }
    int64_t left_ms = key->expire_at_ms - base_ms;
    if (left_ms < 0)
        left_ms = 0;
    /* To the nearest second; the parts apart, so that it cannot overflow. */
    int64_t units = left_ms / unit_ms;
    if (left_ms % unit_ms >= (unit_ms + 1) / 2)
        units++;
    reply_int(call->reply, units);
}

static void
ttl(struct call *call)
{
    reply_expiry(call, 1000, call->now_ms);
}

static void
pttl(struct call *call)
{
    reply_expiry(call, 1, call->now_ms);
}

static void
expiretime(struct call *call)
{
    reply_expiry(call, 1000, 0);
}

static void
pexpiretime(struct call *call)
{
    reply_expiry(call, 1, 0);
}

static void
persist(struct call *call)
{
    struct key *key = keyspace_find(call->keyspace, call->db, call->argv[1]);
    bool has_expiry = key != NULL && key->expire_at_ms != -1;
    if (has_expiry)
        keyspace_set_expiry(call->keyspace, key, -1);
    reply_int(call->reply, has_expiry);
}

struct command commands_expire[] = {
    { .name = "expire",
        .run = expire,
        .arity = -3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Sets the expiration time of a key in seconds.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key seconds [NX | XX | GT | LT]" },
    { .name = "pexpire",
        .run = pexpire,
        .arity = -3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "2.6.0",
        .summary = "Sets the expiration time of a key in milliseconds.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key milliseconds [NX | XX | GT | LT]" },
    { .name = "expireat",
        .run = expireat,
        .arity = -3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "1.2.0",
        .summary = "Sets the expiration time of a key to a Unix timestamp.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key unix-time-seconds [NX | XX | GT | LT]" },
    { .name = "pexpireat",
        .run = pexpireat,
        .arity = -3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "2.6.0",
        .summary = "Sets the expiration time of a key to a Unix milliseconds "
                   "timestamp.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key unix-time-milliseconds [NX | XX | GT | LT]" },
    { .name = "ttl",
        .run = ttl,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Returns the expiration time in seconds of a key.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key",
        .tips = "nondeterministic_output" },
    { .name = "pttl",
        .run = pttl,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_KEYSPACE,
        .since = "2.6.0",
        .summary = "Returns the expiration time in milliseconds of a key.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key",
        .tips = "nondeterministic_output" },
    { .name = "expiretime",
        .run = expiretime,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_KEYSPACE,
        .since = "7.0.0",
        .summary = "Returns the expiration time of a key as a Unix timestamp.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key" },
    { .name = "pexpiretime",
        .run = pexpiretime,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_KEYSPACE,
        .since = "7.0.0",
        .summary = "Returns the expiration time of a key as a Unix "
                   "milliseconds timestamp.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key" },
    { .name = "persist",
        .run = persist,
        .arity = 2,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "2.2.0",
        .summary = "Removes the expiration time of a key.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key" },
    { .name = NULL },
};
