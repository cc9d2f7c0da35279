/*
 * string.c -- strings as whole values: SET and GET in all their forms.
 *
 * SET, GETEX and their elder kin share their options: one table says which
 * command takes which, and which of them exclude each other.
 *
 * SET does not need the object it replaces, so its row says CMD_NO_OBJECT;
 * only with GET does it load the old value itself.
 */
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/string.h"

enum option {
    OPTION_NX = 1 << 0,
    OPTION_XX = 1 << 1,
    OPTION_GET = 1 << 2,
    OPTION_KEEPTTL = 1 << 3,
    OPTION_PERSIST = 1 << 4,
    OPTION_EX = 1 << 5,
    OPTION_PX = 1 << 6,
    OPTION_EXAT = 1 << 7,
    OPTION_PXAT = 1 << 8
};
#define OPTION_TIMES (OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT)
#define OPTION_EXPIRIES (OPTION_TIMES | OPTION_KEEPTTL | OPTION_PERSIST)
#define OPTIONS_OF_SET \
    (OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL | OPTION_TIMES)
#define OPTIONS_OF_GETEX (OPTION_PERSIST | OPTION_TIMES)

struct options {
    unsigned set;   /* enum option */
    size_t time_at; /* argv index of the time, if one of OPTION_TIMES */
};

static const struct option_word {
    const char *word;
    unsigned option;
    unsigned excludes; /* itself aside: the last of the same kind counts */
} option_words[] = {
    { "nx", OPTION_NX, OPTION_XX },
    { "xx", OPTION_XX, OPTION_NX },
    { "get", OPTION_GET, 0 },
    { "keepttl", OPTION_KEEPTTL, OPTION_EXPIRIES },
    { "persist", OPTION_PERSIST, OPTION_EXPIRIES },
    { "ex", OPTION_EX, OPTION_EXPIRIES },
    { "px", OPTION_PX, OPTION_EXPIRIES },
    { "exat", OPTION_EXAT, OPTION_EXPIRIES },
    { "pxat", OPTION_PXAT, OPTION_EXPIRIES },
};
#define OPTION_WORDS (sizeof(option_words) / sizeof(option_words[0]))

/* The word at argv[at] if it may stand there, or NULL. */
static const struct option_word *
find_option(const struct call *call, size_t at, unsigned allowed, unsigned set)
{
    for (size_t i = 0; i < OPTION_WORDS; i++) {
        const struct option_word *word = &option_words[i];
        if (!call_arg_is(call, at, word->word))
            continue;
        bool is_allowed = (word->option & allowed) != 0 &&
                          (word->excludes & ~word->option & set) == 0;
        return is_allowed ? word : NULL;
    }
    return NULL;
}

/* Read argv[first] and what follows; false: error replied. */
static bool
parse_options(
    struct call *call, size_t first, unsigned allowed, struct options *options)
{
    *options = (struct options){ 0, 0 };
    for (size_t i = first; i < call->argc; i++) {
        const struct option_word *word =
            find_option(call, i, allowed, options->set);
        bool is_time = word != NULL && (word->option & OPTION_TIMES) != 0;
        if (word == NULL || (is_time && i + 1 == call->argc)) {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
        options->set |= word->option;
        if (is_time)
            options->time_at = ++i;
    }
    return true;
}

/*
 * The moment that the time option at argv[at] means; *expire_at_ms stays as it
 * is without one.  false: error replied.
 */
static bool
get_expiry(
    struct call *call, const struct options *options, int64_t *expire_at_ms)
{
    unsigned kind = options->set & OPTION_TIMES;
    if (kind == 0)
        return true;
    int64_t at_ms;
    if (!call_get_i64(call, options->time_at, &at_ms, NULL))
        return false;
    int64_t unit_ms = (kind & (OPTION_EX | OPTION_EXAT)) != 0 ? 1000 : 1;
    int64_t base_ms = (kind & (OPTION_EX | OPTION_PX)) != 0 ? call->now_ms : 0;
    if (at_ms <= 0 || __builtin_mul_overflow(at_ms, unit_ms, &at_ms) ||
        __builtin_add_overflow(at_ms, base_ms, &at_ms)) {
        reply_error_format(call->reply,
            "ERR invalid expire time in '%s' command", call->command->name);
        return false;
    }
    *expire_at_ms = at_ms;
    return true;
}

/* argv[1] holds value from now on, until expire_at_ms (-1: for ever). */
static void
store_value(struct call *call, struct slice value, bool keep_expiry,
    int64_t expire_at_ms)
{
    struct key *key = keyspace_set_string(
        call->keyspace, call->db, call->argv[1], value, keep_expiry);
    if (expire_at_ms != -1)
        keyspace_set_expiry(call->keyspace, key, expire_at_ms);
}

/* Reply the value of argv[1], or null; *key is NULL then.  false: an error */
/* was replied. */
static bool
reply_value(struct call *call, struct key **key)
{
    bool is_wrong;
    *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return false;
    if (*key != NULL)
        return string_value_reply(call, *key);
    reply_null(call->reply);
    return true;
}

/* SET ... GET: reply the old value, whose object has to be loaded first. */
static bool
reply_old_value(struct call *call)
{
    enum status status =
        keyspace_prepare(call->keyspace, call->db, call->argv[1], true);
    if (status != STATUS_OK) {
        call_reply_status(call, status);
        return false;
    }
    struct key *key;
    return reply_value(call, &key);
}

static void
set_with_options(struct call *call)
{
    struct options options;
    int64_t expire_at_ms = -1;
    if (!parse_options(call, 3, OPTIONS_OF_SET, &options) ||
        !get_expiry(call, &options, &expire_at_ms))
        return;
    bool wants_old = (options.set & OPTION_GET) != 0;
    if (wants_old && !reply_old_value(call))
        return;
    if ((options.set & (OPTION_NX | OPTION_XX)) != 0) {
        bool exists =
            keyspace_find(call->keyspace, call->db, call->argv[1]) != NULL;
        if (exists != ((options.set & OPTION_XX) != 0)) {
            if (!wants_old)
                reply_null(call->reply);
            return;
        }
    }
    store_value(
        call, call->argv[2], (options.set & OPTION_KEEPTTL) != 0, expire_at_ms);
    if (!wants_old)
        reply_ok(call->reply);
}

static void
set(struct call *call)
{
    if (call->argc > 3) {
        set_with_options(call);
        return;
    }
    keyspace_set_string(
        call->keyspace, call->db, call->argv[1], call->argv[2], false);
    reply_ok(call->reply);
}

static void
setnx(struct call *call)
{
    if (keyspace_find(call->keyspace, call->db, call->argv[1]) != NULL) {
        reply_int(call->reply, 0);
        return;
    }
    store_value(call, call->argv[2], false, -1);
    reply_int(call->reply, 1);
}

/* SETEX and PSETEX: key time value. */
static void
set_until(struct call *call, enum option kind)
{
    struct options options = { .set = kind, .time_at = 2 };
    int64_t expire_at_ms = -1;
    if (!get_expiry(call, &options, &expire_at_ms))
        return;
    store_value(call, call->argv[3], false, expire_at_ms);
    reply_ok(call->reply);
}

static void
setex(struct call *call)
{
    set_until(call, OPTION_EX);
}

static void
psetex(struct call *call)
{
    set_until(call, OPTION_PX);
}

static void
get(struct call *call)
{
    struct key *key;
    if (!reply_value(call, &key))
        return; /* the error is the reply */
}

static void
getset(struct call *call)
{
    struct key *key;
    if (reply_value(call, &key))
        store_value(call, call->argv[2], false, -1);
}

static void
getdel(struct call *call)
{
    struct key *key;
    if (reply_value(call, &key) && key != NULL)
        keyspace_delete(call->keyspace, key);
}

static void
getex(struct call *call)
{
    struct options options;
    if (!parse_options(call, 2, OPTIONS_OF_GETEX, &options))
        return;
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    if (key == NULL) {
        reply_null(call->reply);
        return;
    }
    int64_t expire_at_ms = -1;
    if (!get_expiry(call, &options, &expire_at_ms) ||
        !string_value_reply(call, key))
        return;
    bool has_time = (options.set & OPTION_TIMES) != 0;
    bool persists = (options.set & OPTION_PERSIST) != 0;
    if (has_time && expire_at_ms <= call->now_ms)
        keyspace_delete(call->keyspace, key);
    else if (has_time || (persists && key->expire_at_ms != -1))
        keyspace_set_expiry(call->keyspace, key, expire_at_ms);
}

static void
mget(struct call *call)
{
    struct reply *reply = call->reply;
    size_t start = reply->out->len;
    reply_array(reply, call->argc - 1);
    for (size_t i = 1; i < call->argc; i++) {
        struct key *key = call_find(call, i);
        if (key == NULL || key->type != KEY_STRING) {
            reply_null(reply);
            continue;
        }
        enum status status =
            string_value_reply_range(call, key, 0, string_len(key->string));
        if (status != STATUS_OK) {
            /* The elements so far would be read as a reply of their own. */
            reply->out->len = start;
            call_reply_status(call, status);
            return;
        }
    }
}

/* MSET and MSETNX: an even number of arguments; false: error replied. */
static bool
has_pairs(struct call *call)
{
    if (call->argc % 2 != 0)
        return true;
    reply_error_format(call->reply,
        "ERR wrong number of arguments for '%s' command", call->command->name);
    return false;
}

static void
set_pairs(struct call *call)
{
    for (size_t i = 1; i + 1 < call->argc; i += 2)
        keyspace_set_string(
            call->keyspace, call->db, call->argv[i], call->argv[i + 1], false);
}

static void
mset(struct call *call)
{
    if (!has_pairs(call))
        return;
    set_pairs(call);
    reply_ok(call->reply);
}

static void
msetnx(struct call *call)
{
    if (!has_pairs(call))
        return;
    for (size_t i = 1; i < call->argc; i += 2) {
        if (keyspace_find(call->keyspace, call->db, call->argv[i]) != NULL) {
            reply_int(call->reply, 0);
            return;
        }
    }
    set_pairs(call);
    reply_int(call->reply, 1);
}

struct command commands_string[] = {
    { .name = "set",
        .run = set,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0,
            KEYS_RW | KEYS_ACCESS | KEYS_UPDATE | KEYS_VARIABLE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Sets the string value of a key, ignoring its type. The key "
                   "is created if it doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax =
            "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT "
            "unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]" },
    { .name = "get",
        .run = get,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Returns the string value of a key.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key" },
    { .name = "getset",
        .run = getset,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .deprecated_since = "6.2.0",
        .replaced_by = "`SET` with the `!GET` argument",
        .summary = "Returns the previous string value of a key after setting "
                   "it to a new value.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key value" },
    { .name = "getdel",
        .run = getdel,
        .arity = 2,
        .flags = CMD_WRITE | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .acl = ACL_STRING,
        .since = "6.2.0",
        .summary = "Returns the string value of a key after deleting the key.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key" },
    { .name = "getex",
        .run = getex,
        .arity = -2,
        .flags = CMD_WRITE | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "6.2.0",
        .summary = "Returns the string value of a key after setting its "
                   "expiration time.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds "
                  "| PXAT unix-time-milliseconds | PERSIST]" },
    { .name = "setnx",
        .run = setnx,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_OW | KEYS_INSERT },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary =
            "Set the string value of a key only when the key doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key value" },
    { .name = "setex",
        .run = setex,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "2.0.0",
        .summary = "Sets the string value and expiration time of a key. "
                   "Creates the key if it doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key seconds value" },
    { .name = "psetex",
        .run = psetex,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "2.6.0",
        .summary = "Sets both string value and expiration time in milliseconds "
                   "of a key. The key is created if it doesn't exist.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key milliseconds value" },
    { .name = "mget",
        .run = mget,
        .arity = -2,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, -1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .summary = "Atomically returns the string values of one or more keys.",
        .complexity = "O(N) where N is the number of keys to retrieve.",
        .group = "string",
        .syntax = "key [key ...]",
        .tips = "request_policy:multi_shard" },
    { .name = "mset",
        .run = mset,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, -1, 2, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "1.0.1",
        .summary = "Atomically creates or modifies the string values of one or "
                   "more keys.",
        .complexity = "O(N) where N is the number of keys to set.",
        .group = "string",
        .syntax = "key value [key value ...]",
        .tips = "request_policy:multi_shard,response_policy:all_succeeded" },
    { .name = "msetnx",
        .run = msetnx,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, -1, 2, 0, KEYS_OW | KEYS_INSERT },
        .acl = ACL_STRING,
        .since = "1.0.1",
        .summary = "Atomically modifies the string values of one or more keys "
                   "only when all keys don't exist.",
        .complexity = "O(N) where N is the number of keys to set.",
        .group = "string",
        .syntax = "key value [key value ...]",
        .tips = "request_policy:multi_shard,response_policy:agg_min" },
    { .name = NULL },
};
