/*
 * keys_all.c -- commands on all keys at once: KEYS SCAN RANDOMKEY DBSIZE
 * FLUSHDB FLUSHALL SWAPDB.
 *
 * SCAN's cursor is the id of the last key looked at, so it needs no state, is
 * good across restarts, and every key that is there from the first call to
 * the last is reported exactly once.  A step looks at COUNT ids, whatever
 * database they belong to.
 *
 * FLUSH and SWAP remap database numbers and take the same time for any number
 * of keys; ASYNC and SYNC are accepted and mean the same.
 */
#include <inttypes.h>
#include <stdio.h>

#include "server/base/glob.h"
#include "server/base/number.h"
#include "server/server.h"

#include "server/commands/keys.h"

#define SCAN_COUNT_DEFAULT 10

struct filter {
    struct reply *reply;
    size_t found;
    bool has_pattern, has_type;
    struct slice pattern;
    enum key_type type;
};

static bool
reply_if_wanted(struct slice name, enum key_type type, void *arg)
{
    struct filter *filter = arg;
    if ((!filter->has_type || filter->type == type) &&
        (!filter->has_pattern || glob_match(filter->pattern, name))) {
        reply_slice(filter->reply, name);
        filter->found++;
    }
    return true;
}

static void
filter_set_pattern(struct filter *filter, struct slice pattern)
{
    filter->pattern = pattern;
    filter->has_pattern = !slice_equal(pattern, SLICE("*"));
}

/* A type nobody has heard of matches no key. */
static void
filter_set_type(struct filter *filter, struct slice name)
{
    filter->has_type = true;
    filter->type = KEY_NONE;
    for (enum key_type type = KEY_STRING; type < KEY_TYPE_COUNT; type++) {
        if (slice_is(name, keys_type_name(type)))
            filter->type = type;
    }
}

/* Reading the keys failed: an error instead of what was written since start. */
static void
reply_scan_error(struct call *call, size_t start, enum status status)
{
    call->reply->out->len = start;
    call_reply_status(call, status);
}

static void
keys(struct call *call)
{
    struct filter filter = { .reply = call->reply };
    filter_set_pattern(&filter, call->argv[1]);
    size_t start = call->reply->out->len;
    size_t deferred = reply_defer(call->reply);
    uint64_t cursor = 0;
    enum status status = keyspace_scan(
        call->keyspace, call->db, &cursor, SIZE_MAX, reply_if_wanted, &filter);
    if (status != STATUS_OK) {
        reply_scan_error(call, start, status);
        return;
    }
    reply_array_end(call->reply, deferred, filter.found);
}

static bool
parse_scan(struct call *call, struct filter *filter, size_t *wanted)
{
    *wanted = SCAN_COUNT_DEFAULT;
    for (size_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "count")) {
            int64_t count;
            if (!call_get_i64(call, i + 1, &count, NULL))
                return false;
            if (count < 1) {
                reply_error(call->reply, ERROR_SYNTAX);
                return false;
            }
            *wanted = (size_t)count;
        } else if (has_value && call_arg_is(call, i, "match")) {
            filter_set_pattern(filter, call->argv[i + 1]);
        } else if (has_value && call_arg_is(call, i, "type")) {
            filter_set_type(filter, call->argv[i + 1]);
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static void
reply_cursor(struct reply *reply, uint64_t cursor)
{
    char text[NUMBER_I64_SIZE + 1];
    int len = snprintf(text, sizeof(text), "%" PRIu64, cursor);
    reply_bulk(reply, text, (size_t)len);
}

/*
 * The cursor comes first in the reply but is known last: the keys are
 * gathered in a reply of their own.
 */
static void
scan(struct call *call)
{
    uint64_t cursor;
    if (!call_get_cursor(call, 1, &cursor))
        return;
    struct buf names = BUF_INIT;
    struct reply gathered;
    reply_init(&gathered, &names, call->reply->version);
    struct filter filter = { .reply = &gathered };
    size_t wanted;
    if (!parse_scan(call, &filter, &wanted))
        return;
    enum status status = keyspace_scan(
        call->keyspace, call->db, &cursor, wanted, reply_if_wanted, &filter);
    if (status == STATUS_OK) {
        reply_array(call->reply, 2);
        reply_cursor(call->reply, cursor);
        reply_array(call->reply, filter.found);
        if (!call->reply->is_muted)
            buf_append_slice(call->reply->out, buf_slice(&names));
    } else {
        call_reply_status(call, status);
    }
    buf_fini(&names);
}

static void
randomkey(struct call *call)
{
    struct buf name = BUF_INIT;
    enum status status = keyspace_random(call->keyspace, call->db, &name);
    if (status == STATUS_OK)
        reply_slice(call->reply, buf_slice(&name));
    else if (status == STATUS_NOT_FOUND)
        reply_null(call->reply);
    else
        call_reply_status(call, status);
    buf_fini(&name);
}

static void
dbsize(struct call *call)
{
    reply_int(call->reply, (int64_t)keyspace_count(call->keyspace, call->db));
}

/* db -1: all of them. */
static void
flush(struct call *call, int db)
{
    bool is_valid = call->argc == 1 ||
                    (call->argc == 2 && (call_arg_is(call, 1, "sync") ||
                                            call_arg_is(call, 1, "async")));
    if (!is_valid) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    keyspace_flush(call->keyspace, db);
    reply_ok(call->reply);
}

static void
flushdb(struct call *call)
{
    flush(call, call->db);
}

static void
flushall(struct call *call)
{
    flush(call, -1);
}

static void
swapdb(struct call *call)
{
    int64_t first, second;
    if (!call_get_i64_in(call, 1, INT32_MIN, INT32_MAX, &first,
            "ERR invalid first DB index") ||
        !call_get_i64_in(call, 2, INT32_MIN, INT32_MAX, &second,
            "ERR invalid second DB index"))
        return;
    int64_t count = call->server->config.databases;
    if (first < 0 || first >= count || second < 0 || second >= count) {
        reply_error(call->reply, "ERR DB index is out of range");
        return;
    }
    if (first != second)
        keyspace_swap(call->keyspace, (int)first, (int)second);
    reply_ok(call->reply);
}

struct command commands_keys_all[] = {
    { .name = "keys",
        .run = keys,
        .arity = 2,
        .flags = CMD_READONLY | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,
        .since = "1.0.0",
        .summary = "Returns all key names that match a pattern.",
        .complexity = "O(N) with N being the number of keys in the database, "
                      "under the assumption that the key names in the database "
                      "and the given pattern have limited length.",
        .group = "generic",
        .syntax = "pattern",
        .tips = "request_policy:all_shards,nondeterministic_output_order" },
    { .name = "scan",
        .run = scan,
        .arity = -2,
        .flags = CMD_READONLY | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE,
        .since = "2.8.0",
        .summary = "Iterates over the key names in the database.",
        .complexity =
            "O(1) for every call. O(N) for a complete iteration, including "
            "enough command calls for the cursor to return back to 0. N is the "
            "number of elements inside the collection.",
        .group = "generic",
        .syntax = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        .tips = "nondeterministic_output,request_policy:special,response_"
                "policy:special" },
    { .name = "randomkey",
        .run = randomkey,
        .arity = 1,
        .flags = CMD_READONLY | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Returns a random key name from the database.",
        .complexity = "O(1)",
        .group = "generic",
        .tips = "request_policy:all_shards,response_policy:special,"
                "nondeterministic_output" },
    { .name = "dbsize",
        .run = dbsize,
        .arity = 1,
        .flags = CMD_READONLY | CMD_FAST | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Returns the number of keys in the database.",
        .complexity = "O(1)",
        .group = "server",
        .tips = "request_policy:all_shards,response_policy:agg_sum" },
    { .name = "flushdb",
        .run = flushdb,
        .arity = -1,
        .flags = CMD_WRITE | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,
        .since = "1.0.0",
        .summary = "Remove all keys from the current database.",
        .complexity =
            "O(N) where N is the number of keys in the selected database",
        .group = "server",
        .syntax = "[ASYNC | SYNC]",
        .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "flushall",
        .run = flushall,
        .arity = -1,
        .flags = CMD_WRITE | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,
        .since = "1.0.0",
        .summary = "Removes all keys from all databases.",
        .complexity =
            "O(N) where N is the total number of keys in all databases",
        .group = "server",
        .syntax = "[ASYNC | SYNC]",
        .tips = "request_policy:all_shards,response_policy:all_succeeded" },
    { .name = "swapdb",
        .run = swapdb,
        .arity = 3,
        .flags = CMD_WRITE | CMD_FAST | CMD_SEES_ALL,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,
        .since = "4.0.0",
        .summary = "Swaps two Redis databases.",
        .complexity = "O(N) where N is the count of clients watching or "
                      "blocking on keys from both databases.",
        .group = "server",
        .syntax = "index1 index2" },
    { .name = NULL },
};
