/*
 * hash.c -- the hash commands that name their fields, and the table of all
 * hash commands.
 *
 * Values are lent by the hash and copied once, into the reply.  Those that
 * visit fields they were not told (HGETALL, HRANDFIELD, HSCAN ...):
 * hash_visit.c.
 */
#include <math.h>

#include "server/base/number.h"
#include "server/commands/hash_visit.h"
#include "storage/objects/hash.h"

#define OVERFLOW_TEXT "ERR increment or decrement would overflow"

/* ---- what several of them do --------------------------------------------- */

/* The hash at argv[1], made if need be; NULL: an error has been replied. */
static struct key *
find_or_create(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (key == NULL && !is_wrong) {
        key = keyspace_create(call->keyspace, call->db, call->argv[1], KEY_HASH,
            hash_object_new(KEY_LISTPACK));
    }
    return key;
}

/* Put the pairs of argv[2..]; answer: how many fields are new. */
static int64_t
put_pairs(struct call *call, struct key *key)
{
    struct edit edit = keyspace_edit(call->keyspace, key);
    int64_t created = 0;
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        if (hash_object_put(key->hash, &edit, call->argv[i], call->argv[i + 1]))
            created++;
    }
    keyspace_touch(call->keyspace, key);
    return created;
}

static void
put_one(struct call *call, struct key *key, struct slice value)
{
    struct edit edit = keyspace_edit(call->keyspace, key);
    hash_object_put(key->hash, &edit, call->argv[2], value);
    keyspace_touch(call->keyspace, key);
}

/* ---- writing ------------------------------------------------------------- */

/* Do the pairs of argv[2..] fit the rows they will be? */
static bool
check_pairs(struct call *call)
{
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        if (call->argv[i].len + call->argv[i + 1].len > ROWCHANGE_SIZE_MAX) {
            reply_error_format(call->reply,
                "ERR field and value together exceed %d bytes",
                ROWCHANGE_SIZE_MAX);
            return false;
        }
    }
    return true;
}

/* HSET and HMSET; false: an error has been replied. */
static bool
set_pairs(struct call *call, int64_t *created)
{
    if (call->argc % 2 != 0) {
        reply_error_format(call->reply,
            "ERR wrong number of arguments for '%s' command",
            call->command->name);
        return false;
    }
    if (!check_pairs(call))
        return false;
    struct key *key = find_or_create(call);
    if (key == NULL)
        return false;
    *created = put_pairs(call, key);
    return true;
}

static void
hset(struct call *call)
{
    int64_t created;
    if (set_pairs(call, &created))
        reply_int(call->reply, created);
}

static void
hmset(struct call *call)
{
    int64_t created;
    if (set_pairs(call, &created))
        reply_ok(call->reply);
}

static void
hsetnx(struct call *call)
{
    if (!check_pairs(call))
        return;
    struct key *key = find_or_create(call);
    if (key == NULL)
        return;
    if (hash_object_get(key->hash, call->argv[2], NULL)) {
        reply_int(call->reply, 0);
        return;
    }
    put_one(call, key, call->argv[3]);
    reply_int(call->reply, 1);
}

static void
hdel(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    int64_t removed = 0;
    if (key != NULL) {
        struct edit edit = keyspace_edit(call->keyspace, key);
        for (size_t i = 2; i < call->argc; i++) {
            if (hash_object_remove(key->hash, &edit, call->argv[i]))
                removed++;
        }
        if (removed > 0)
            keyspace_touch(call->keyspace, key);
    }
    reply_int(call->reply, removed);
}

/* ---- counting ------------------------------------------------------------ */

/*
 * The hash at argv[1] (NULL: none yet) and the value of argv[2] in it, which
 * stays as it is where there is none.  false: an error has been replied.
 */
static bool
find_counter(struct call *call, struct key **key, struct slice *value)
{
    bool is_wrong = false;
    *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (*key != NULL)
        hash_object_get((*key)->hash, call->argv[2], value);
    return !is_wrong;
}

static void
hincrby(struct call *call)
{
    int64_t increment, value = 0;
    struct key *key;
    struct slice text = SLICE("0");
    if (!call_get_i64(call, 3, &increment, NULL) ||
        !find_counter(call, &key, &text))
        return;
    if (!number_parse_i64(text, &value)) {
        reply_error(call->reply, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(value, increment, &value)) {
        reply_error(call->reply, OVERFLOW_TEXT);
        return;
    }
    if (key == NULL)
        key = find_or_create(call);
    char digits[NUMBER_I64_SIZE];
    put_one(call, key, slice_make(digits, number_format_i64(digits, value)));
    reply_int(call->reply, value);
}

static void
hincrbyfloat(struct call *call)
{
    long double increment, value = 0;
    struct key *key;
    struct slice text = SLICE("0");
    if (!number_parse_long_double(call->argv[3], &increment)) {
        reply_error(call->reply, ERROR_NOT_FLOAT);
        return;
    }
    if (isnan(increment) || isinf(increment)) {
        reply_error(call->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!find_counter(call, &key, &text))
        return;
    if (!number_parse_long_double(text, &value)) {
        reply_error(call->reply, "ERR hash value is not a float");
        return;
    }
    value += increment;
    if (isnan(value) || isinf(value)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    if (key == NULL)
        key = find_or_create(call);
    char digits[NUMBER_LONG_DOUBLE_SIZE];
    struct slice sum =
        slice_make(digits, number_format_long_double(digits, value));
    put_one(call, key, sum);
    reply_slice(call->reply, sum);
}

/* ---- reading ------------------------------------------------------------- */

static void
hget(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    struct slice value;
    if (is_wrong)
        return;
    if (key != NULL && hash_object_get(key->hash, call->argv[2], &value))
        reply_slice(call->reply, value);
    else
        reply_null(call->reply);
}

static void
hmget(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    struct slice value;
    if (is_wrong)
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        if (key != NULL && hash_object_get(key->hash, call->argv[i], &value))
            reply_slice(call->reply, value);
        else
            reply_null(call->reply);
    }
}

static void
hlen(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    reply_int(
        call->reply, key != NULL ? (int64_t)hash_object_len(key->hash) : 0);
}

static void
hexists(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    bool is_there =
        key != NULL && hash_object_get(key->hash, call->argv[2], NULL);
    reply_int(call->reply, is_there ? 1 : 0);
}

static void
hstrlen(struct call *call)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    struct slice value = { NULL, 0 };
    if (is_wrong)
        return;
    if (key != NULL)
        hash_object_get(key->hash, call->argv[2], &value);
    reply_int(call->reply, (int64_t)value.len);
}

/* ---- the table ----------------------------------------------------------- */

struct command commands_hash[] = {
    { .name = "hset",
        .run = hset,
        .arity = -4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Creates or modifies the value of a field in a hash.",
        .complexity =
            "O(1) for each field/value pair added, so O(N) to add N "
            "field/value pairs when the command is called with multiple "
            "field/value pairs.",
        .group = "hash",
        .syntax = "key field value [field value ...]" },
    { .name = "hsetnx",
        .run = hsetnx,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Sets the value of a field in a hash only when the field "
                   "doesn't exist.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field value" },
    { .name = "hmset",
        .run = hmset,
        .arity = -4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .deprecated_since = "4.0.0",
        .replaced_by = "`HSET` with multiple field-value pairs",
        .summary = "Sets the values of multiple fields.",
        .complexity = "O(N) where N is the number of fields being set.",
        .group = "hash",
        .syntax = "key field value [field value ...]" },
    { .name = "hget",
        .run = hget,
        .arity = 3,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns the value of a field in a hash.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field" },
    { .name = "hmget",
        .run = hmget,
        .arity = -3,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns the values of all fields in a hash.",
        .complexity = "O(N) where N is the number of fields being requested.",
        .group = "hash",
        .syntax = "key field [field ...]" },
    { .name = "hgetall",
        .run = hash_visit_hgetall,
        .arity = 2,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns all fields and values in a hash.",
        .complexity = "O(N) where N is the size of the hash.",
        .group = "hash",
        .syntax = "key",
        .tips = "nondeterministic_output_order" },
    { .name = "hkeys",
        .run = hash_visit_hkeys,
        .arity = 2,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns all fields in a hash.",
        .complexity = "O(N) where N is the size of the hash.",
        .group = "hash",
        .syntax = "key",
        .tips = "nondeterministic_output_order" },
    { .name = "hvals",
        .run = hash_visit_hvals,
        .arity = 2,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns all values in a hash.",
        .complexity = "O(N) where N is the size of the hash.",
        .group = "hash",
        .syntax = "key",
        .tips = "nondeterministic_output_order" },
    { .name = "hlen",
        .run = hlen,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Returns the number of fields in a hash.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key" },
    { .name = "hexists",
        .run = hexists,
        .arity = 3,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Determines whether a field exists in a hash.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field" },
    { .name = "hstrlen",
        .run = hstrlen,
        .arity = 3,
        .flags = CMD_READONLY | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_HASH,
        .since = "3.2.0",
        .summary = "Returns the length of the value of a field.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field" },
    { .name = "hdel",
        .run = hdel,
        .arity = -3,
        .flags = CMD_WRITE | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_DELETE },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary = "Deletes one or more fields and their values from a hash. "
                   "Deletes the hash if no fields remain.",
        .complexity = "O(N) where N is the number of fields to be removed.",
        .group = "hash",
        .syntax = "key field [field ...]" },
    { .name = "hincrby",
        .run = hincrby,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_HASH,
        .since = "2.0.0",
        .summary =
            "Increments the integer value of a field in a hash by a "
            "number. Uses 0 as initial value if the field doesn't exist.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field increment" },
    { .name = "hincrbyfloat",
        .run = hincrbyfloat,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_HASH,
        .since = "2.6.0",
        .summary =
            "Increments the floating point value of a field by a number. "
            "Uses 0 as initial value if the field doesn't exist.",
        .complexity = "O(1)",
        .group = "hash",
        .syntax = "key field increment" },
    { .name = "hrandfield",
        .run = hash_visit_hrandfield,
        .arity = -2,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "6.2.0",
        .summary = "Returns one or more random fields from a hash.",
        .complexity = "O(N) where N is the number of fields returned",
        .group = "hash",
        .syntax = "key [count [WITHVALUES]]",
        .tips = "nondeterministic_output" },
    { .name = "hscan",
        .run = hash_visit_hscan,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_HASH,
        .since = "2.8.0",
        .summary = "Iterates over fields and values of a hash.",
        .complexity =
            "O(1) for every call. O(N) for a complete iteration, "
            "including enough command calls for the cursor to return back"
            " to 0. N is the number of elements inside the collection.",
        .group = "hash",
        .syntax = "key cursor [MATCH pattern] [COUNT count]",
        .tips = "nondeterministic_output" },
    { .name = NULL },
};
