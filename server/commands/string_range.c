/*
 * string_range.c -- commands on a part of a string: APPEND SETRANGE GETRANGE
 * SUBSTR STRLEN.
 *
 * A long value is touched where the command says and nowhere else: a changed
 * chunk is one row change, and STRLEN does not even load the object.
 */
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/string.h"

/* Write data at offset of key's string; a failure is replied. */
static bool
write_part(struct call *call, struct key *key, size_t offset, struct slice data)
{
    struct edit edit = keyspace_edit(call->keyspace, key);
    enum status status = string_write(
        &key->string, &edit, keyspace_reader(call->keyspace), offset, data);
    if (status != STATUS_OK) {
        call_reply_status(call, status);
        return false;
    }
    keyspace_touch(call->keyspace, key);
    return true;
}

static void
append(struct call *call)
{
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    struct slice data = call->argv[2];
    if (key == NULL) {
        keyspace_set_string(
            call->keyspace, call->db, call->argv[1], data, false);
        reply_int(call->reply, (int64_t)data.len);
        return;
    }
    size_t len = string_len(key->string);
    if (string_value_check_size(call, len, data.len) &&
        write_part(call, key, len, data))
        reply_int(call->reply, (int64_t)(len + data.len));
}

/* SETRANGE where no key is: zero bytes up to offset, then data. */
static void
setrange_new(struct call *call, size_t offset, struct slice data)
{
    struct key *key = keyspace_set_string(
        call->keyspace, call->db, call->argv[1], SLICE(""), false);
    if (write_part(call, key, offset, data))
        reply_int(call->reply, (int64_t)(offset + data.len));
    else
        keyspace_delete(call->keyspace, key);
}

static void
setrange(struct call *call)
{
    int64_t offset;
    if (!call_get_i64(call, 2, &offset, NULL))
        return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    struct slice data = call->argv[3];
    size_t len = key == NULL ? 0 : string_len(key->string);
    if (data.len == 0) {
        reply_int(call->reply, (int64_t)len);
        return;
    }
    if (!string_value_check_size(call, (uint64_t)offset, data.len))
        return;
    if (key == NULL) {
        setrange_new(call, (size_t)offset, data);
        return;
    }
    if (!write_part(call, key, (size_t)offset, data))
        return;
    reply_int(call->reply, (int64_t)string_len(key->string));
}

static void
getrange(struct call *call)
{
    int64_t start, end;
    if (!call_get_i64(call, 2, &start, NULL) ||
        !call_get_i64(call, 3, &end, NULL))
        return;
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (is_wrong)
        return;
    int64_t len = key == NULL ? 0 : (int64_t)string_len(key->string);
    /* Both before the head and the wrong way round: nothing, although each */
    /* alone would be clamped to the head. */
    bool is_empty = start < 0 && end < 0 && start > end;
    if (start < 0)
        start = start + len < 0 ? 0 : start + len;
    if (end < 0)
        end = end + len < 0 ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (is_empty || len == 0 || start > end) {
        reply_bulk(call->reply, "", 0);
        return;
    }
    enum status status = string_value_reply_range(
        call, key, (size_t)start, (size_t)(end - start + 1));
    if (status != STATUS_OK)
        call_reply_status(call, status);
}

static void
strlen_command(struct call *call)
{
    bool is_wrong;
    struct key *key = call_find_typed(call, 1, KEY_STRING, &is_wrong);
    if (!is_wrong)
        reply_int(call->reply, key == NULL ? 0 : (int64_t)key->size);
}

struct command commands_string_range[] = {
    { .name = "append",
        .run = append,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_INSERT },
        .acl = ACL_STRING,
        .since = "2.0.0",
        .summary = "Appends a string to the value of a key. Creates the key if "
                   "it doesn't exist.",
        .complexity =
            "O(1). The amortized time complexity is O(1) assuming the appended "
            "value is small and the already present value is of any size, "
            "since the dynamic string library used by Redis will double the "
            "free space available on every reallocation.",
        .group = "string",
        .syntax = "key value" },
    { .name = "strlen",
        .run = strlen_command,
        .arity = 2,
        .flags = CMD_READONLY | CMD_FAST | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_RO },
        .acl = ACL_STRING,
        .since = "2.2.0",
        .summary = "Returns the length of a string value.",
        .complexity = "O(1)",
        .group = "string",
        .syntax = "key" },
    { .name = "getrange",
        .run = getrange,
        .arity = 4,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_STRING,
        .since = "2.4.0",
        .summary = "Returns a substring of the string stored at a key.",
        .complexity =
            "O(N) where N is the length of the returned string. The complexity "
            "is ultimately determined by the returned length, but because "
            "creating a substring from an existing string is very cheap, it "
            "can be considered O(1) for small strings.",
        .group = "string",
        .syntax = "key start end" },
    { .name = "setrange",
        .run = setrange,
        .arity = 4,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = { 1, 1, 1, 0, KEYS_RW | KEYS_UPDATE },
        .acl = ACL_STRING,
        .since = "2.2.0",
        .summary = "Overwrites a part of a string value with another by an "
                   "offset. Creates the key if it doesn't exist.",
        .complexity = "O(1), not counting the time taken to copy the new "
                      "string in place. Usually, this string is very small so "
                      "the amortized complexity is O(1). Otherwise, complexity "
                      "is O(M) with M being the length of the value argument.",
        .group = "string",
        .syntax = "key offset value" },
    { .name = "substr",
        .run = getrange,
        .arity = 4,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_STRING,
        .since = "1.0.0",
        .deprecated_since = "2.0.0",
        .replaced_by = "`GETRANGE`",
        .summary = "Returns a substring from a string value.",
        .complexity =
            "O(N) where N is the length of the returned string. The complexity "
            "is ultimately determined by the returned length, but because "
            "creating a substring from an existing string is very cheap, it "
            "can be considered O(1) for small strings.",
        .group = "string",
        .syntax = "key start end" },
    { .name = NULL },
};
