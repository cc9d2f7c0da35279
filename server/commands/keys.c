/*
 * keys.c -- commands on single keys of any type: DEL UNLINK EXISTS TOUCH TYPE
 * RENAME RENAMENX MOVE COPY.
 *
 * None of them but COPY needs the objects: a key's row changes, and what
 * belongs to it follows its id.  UNLINK is DEL: a dropped object is always
 * freed in slices, and its rows are garbage for the COMMIT thread.
 *
 * The keys of a request are made resident in the session's database before
 * the handler runs; MOVE and COPY, which name another one, see to their
 * destination themselves.
 */
#include "server/base/random.h"
#include "server/server.h"

#include "server/commands/keys.h"

#define ERROR_SAME_OBJECT "ERR source and destination objects are the same"
#define ERROR_DB_RANGE "ERR DB index is out of range"

const char *
keys_type_name(enum key_type type)
{
    static const char *const names[KEY_TYPE_COUNT] = {
        [KEY_NONE] = "none",
        [KEY_STRING] = "string",
        [KEY_LIST] = "list",
        [KEY_SET] = "set",
        [KEY_ZSET] = "zset",
        [KEY_HASH] = "hash",
        [KEY_STREAM] = "stream",
    };
    return names[type];
}

static void
del(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++) {
        struct key *key =
            keyspace_peek(call->keyspace, call->db, call->argv[i]);
        if (key == NULL)
            continue;
        keyspace_delete(call->keyspace, key);
        count++;
    }
    reply_int(call->reply, count);
}

static void
exists(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += call_peek(call, i) != NULL;
    reply_int(call->reply, count);
}

static void
touch(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += call_find(call, i) != NULL;
    reply_int(call->reply, count);
}

static void
type(struct call *call)
{
    struct key *key = call_peek(call, 1);
    reply_simple(call->reply,
        keys_type_name(key == NULL ? KEY_NONE : (enum key_type)key->type));
}

/* What stands at name gives way; false: there is something, and it may not. */
static bool
make_room(struct call *call, int db, struct slice name, bool may_replace)
{
    struct key *key = keyspace_find(call->keyspace, db, name);
    if (key == NULL)
        return true;
    if (may_replace)
        keyspace_delete(call->keyspace, key);
    return may_replace;
}

/* false: there is no key at argv[1]; replied. */
static bool
rename_generic(struct call *call, bool may_replace, bool *is_done)
{
    struct key *key = keyspace_find(call->keyspace, call->db, call->argv[1]);
    if (key == NULL) {
        reply_error(call->reply, ERROR_NO_KEY);
        return false;
    }
    if (slice_equal(call->argv[1], call->argv[2])) {
        *is_done = may_replace;
        return true;
    }
    *is_done = make_room(call, call->db, call->argv[2], may_replace);
    if (*is_done)
        keyspace_rename(call->keyspace, key, call->db, call->argv[2]);
    return true;
}

static void
rename_key(struct call *call)
{
    bool is_done;
    if (rename_generic(call, true, &is_done))
        reply_ok(call->reply);
}

static void
renamenx(struct call *call)
{
    bool is_done;
    if (rename_generic(call, false, &is_done))
        reply_int(call->reply, is_done);
}

/* argv[at] as the number of a database; false: error replied. */
static bool
get_db(struct call *call, size_t at, int *db)
{
    int64_t number;
    if (!call_get_i64_in(call, at, INT32_MIN, INT32_MAX, &number, NULL))
        return false;
    if (number < 0 || number >= call->server->config.databases) {
        reply_error(call->reply, ERROR_DB_RANGE);
        return false;
    }
    *db = (int)number;
    return true;
}

/* Make the key at name resident in a database that is not the session's; */
/* false: it could not be read, replied. */
static bool
prepare_in(struct call *call, int db, struct slice name)
{
    if (db == call->db)
        return true;
    enum status status = keyspace_prepare(call->keyspace, db, name, false);
    if (status != STATUS_OK)
        call_reply_status(call, status);
    return status == STATUS_OK;
}

static void
move(struct call *call)
{
    int db;
    if (!get_db(call, 2, &db))
        return;
    if (db == call->db) {
        reply_error(call->reply, ERROR_SAME_OBJECT);
        return;
    }
    if (!prepare_in(call, db, call->argv[1]))
        return;
    struct key *key = keyspace_find(call->keyspace, call->db, call->argv[1]);
    bool can_move = key != NULL && make_room(call, db, call->argv[1], false);
    if (can_move)
        keyspace_rename(call->keyspace, key, db, call->argv[1]);
    reply_int(call->reply, can_move);
}

struct copy_options {
    int db;
    bool may_replace;
};

static bool
parse_copy(struct call *call, struct copy_options *options)
{
    *options = (struct copy_options){ .db = call->db };
    for (size_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "replace")) {
            options->may_replace = true;
        } else if (call_arg_is(call, i, "db") && i + 1 < call->argc) {
            if (!get_db(call, ++i, &options->db))
                return false;
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (options->db == call->db && slice_equal(call->argv[1], call->argv[2])) {
        reply_error(call->reply, ERROR_SAME_OBJECT);
        return false;
    }
    return true;
}

/*
 * Copy key over what argv[2] names.  The chunks of a long string are read
 * while it is copied, which may fail; so the copy is made under a name that
 * nobody has, and only then does the old key go.
 */
static enum status
copy_over(struct call *call, struct key *key, int db)
{
    char name[64];
    random_hex(name, sizeof(name) - 1);
    struct slice temporary = slice_make(name, sizeof(name) - 1);
    enum status status = keyspace_prepare(call->keyspace, db, temporary, false);
    if (status == STATUS_OK)
        status = keyspace_copy(call->keyspace, key, db, temporary);
    if (status != STATUS_OK)
        return status;
    struct slice name_to = call->argv[2];
    keyspace_delete(call->keyspace, keyspace_peek(call->keyspace, db, name_to));
    keyspace_rename(call->keyspace,
        keyspace_peek(call->keyspace, db, temporary), db, name_to);
    return STATUS_OK;
}

static void
copy(struct call *call)
{
    struct copy_options options;
    if (!parse_copy(call, &options))
        return;
    struct key *key = call_find(call, 1);
    if (key == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    if (!prepare_in(call, options.db, call->argv[2]))
        return;
    bool is_taken =
        keyspace_find(call->keyspace, options.db, call->argv[2]) != NULL;
    if (is_taken && !options.may_replace) {
        reply_int(call->reply, 0);
        return;
    }
    enum status status;
    if (is_taken)
        status = copy_over(call, key, options.db);
    else
        status = keyspace_copy(call->keyspace, key, options.db, call->argv[2]);
    if (status == STATUS_OK)
        reply_int(call->reply, 1);
    else
        call_reply_status(call, status);
}

struct command commands_keys[] = {
    { .name = "del",
        .run = del,
        .arity = -2,
        .flags = CMD_WRITE | CMD_NO_OBJECT,
        .keys = { 1, -1, 1, 0, KEYS_RM | KEYS_DELETE },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Deletes one or more keys.",
        .complexity =
            "O(N) where N is the number of keys that will be removed. When a "
            "key to remove holds a value other than a string, the individual "
            "complexity for this key is O(M) where M is the number of elements "
            "in the list, set, sorted set or hash. Removing a single key that "
            "holds a string value is O(1).",
        .group = "generic",
        .syntax = "key [key ...]",
        .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "unlink",
        .run = del,
        .arity = -2,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, -1, 1, 0, KEYS_RM | KEYS_DELETE },
        .acl = ACL_KEYSPACE,
        .since = "4.0.0",
        .summary = "Asynchronously deletes one or more keys.",
        .complexity = "O(1) for each key removed regardless of its size. Then "
                      "the command does O(N) work in a different thread in "
                      "order to reclaim memory, where N is the number of "
                      "allocations the deleted objects where composed of.",
        .group = "generic",
        .syntax = "key [key ...]",
        .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "exists",
        .run = exists,
        .arity = -2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, -1, 1, 0, KEYS_RO },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Determines whether one or more keys exist.",
        .complexity = "O(N) where N is the number of keys to check.",
        .group = "generic",
        .syntax = "key [key ...]",
        .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "touch",
        .run = touch,
        .arity = -2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, -1, 1, 0, KEYS_RO },
        .acl = ACL_KEYSPACE,
        .since = "3.2.1",
        .summary = "Returns the number of existing keys out of those specified "
                   "after updating the time they were last accessed.",
        .complexity =
            "O(N) where N is the number of keys that will be touched.",
        .group = "generic",
        .syntax = "key [key ...]",
        .tips = "request_policy:multi_shard,response_policy:agg_sum" },
    { .name = "type",
        .run = type,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Determines the type of value stored at a key.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key" },
    { .name = "rename",
        .run = rename_key,
        .arity = 3,
        .flags = CMD_WRITE | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Renames a key and overwrites the destination.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key newkey" },
    { .name = "renamenx",
        .run = renamenx,
        .arity = 3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_DELETE },
        .keys2 = { 2, 2, 1, 0, KEYS_OW | KEYS_INSERT },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Renames a key only when the target key name doesn't exist.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key newkey" },
    { .name = "move",
        .run = move,
        .arity = 3,
        .flags = CMD_WRITE | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_ACCESS | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "1.0.0",
        .summary = "Moves a key to another database.",
        .complexity = "O(1)",
        .group = "generic",
        .syntax = "key db" },
    { .name = "copy",
        .run = copy,
        .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .keys2 = { 2, 2, 1, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE,
        .since = "6.2.0",
        .summary = "Copies the value of a key to a new key.",
        .complexity = "O(N) worst case for collections, where N is the number "
                      "of nested items. O(1) for string values.",
        .group = "generic",
        .syntax = "source destination [DB destination-db] [REPLACE]" },
    { .name = NULL },
};
