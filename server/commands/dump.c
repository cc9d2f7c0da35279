/*
 * dump.c -- DUMP and RESTORE: a value as bytes that another server takes.
 *
 * The form is that of Redis's RDB files (server/rdb.h).  RESTORE builds the
 * value beside the keyspace first, and only when all of it is right does the
 * old key go and the new one come: a payload that is refused changes nothing.
 */
#include "server/config_table.h"
#include "server/rdb.h"
#include "server/server.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"
#include "storage/objects/string.h"

#define ERROR_FORMAT "ERR Bad data format"
#define LFU_COUNTER_MAX 255
#define LFU_MINUTES_MASK 0xffff
#define DUMP_SLACK 32 /* bytes of a payload beside a string's own */

/* ---- DUMP ---------------------------------------------------------------- */

static enum status
put_string(struct call *call, const struct key *key, struct buf *out)
{
    size_t len = string_len(key->string);
    struct buf value = BUF_INIT;
    enum status status = buf_try_reserve(out, len + DUMP_SLACK);
    if (status == STATUS_OK)
        status = buf_try_reserve(&value, len);
    if (status == STATUS_OK)
        status = string_read(key->string, keyspace_reader(call->keyspace),
            key->id, 0, len, &value);
    if (status == STATUS_OK)
        rdb_put_string(out, buf_slice(&value));
    buf_fini(&value);
    return status;
}

static void
put_list(const struct list *list, struct buf *out)
{
    struct list_iter iter;
    struct slice value;
    rdb_put_len(out, list_len(list));
    list_iter_start(&iter, list, 0, LIST_HEAD);
    while (list_iter_next(&iter, &value))
        rdb_put_string(out, value);
}

static void
put_field(struct slice field, struct slice value, void *arg)
{
    rdb_put_string(arg, field);
    rdb_put_string(arg, value);
}

static void
dump(struct call *call)
{
    struct key *key = call_find(call, 1);
    if (key == NULL) {
        reply_null(call->reply);
        return;
    }
    struct buf out = BUF_INIT;
    enum status status = STATUS_OK;
    rdb_put_type(&out, (enum key_type)key->type);
    switch (key->type) {
    case KEY_STRING:
        status = put_string(call, key, &out);
        break;
    case KEY_LIST:
        put_list(key->list, &out);
        break;
    case KEY_HASH:
        rdb_put_len(&out, hash_object_len(key->hash));
        hash_object_each(key->hash, put_field, &out);
        break;
    default:
        status = STATUS_UNSUPPORTED;
        break;
    }
    if (status == STATUS_OK) {
        rdb_put_footer(&out);
        reply_slice(call->reply, buf_slice(&out));
    } else {
        call_reply_status(call, status);
    }
    buf_fini(&out);
}

/* ---- RESTORE ------------------------------------------------------------- */

struct restore_options {
    bool may_replace, is_absolute;
    int64_t idle_s, frequency; /* -1: not said */
};

/* false: an error has been replied. */
static bool
parse_options(struct call *call, struct restore_options *options)
{
    *options = (struct restore_options){ .idle_s = -1, .frequency = -1 };
    for (size_t i = 4; i < call->argc; i++) {
        bool has_value = i + 1 < call->argc;
        if (call_arg_is(call, i, "replace")) {
            options->may_replace = true;
        } else if (call_arg_is(call, i, "absttl")) {
            options->is_absolute = true;
        } else if (call_arg_is(call, i, "idletime") && has_value &&
                   options->frequency == -1) {
            if (!call_get_i64(call, ++i, &options->idle_s, NULL))
                return false;
            if (options->idle_s < 0) {
                reply_error(
                    call->reply, "ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
        } else if (call_arg_is(call, i, "freq") && has_value &&
                   options->idle_s == -1) {
            if (!call_get_i64(call, ++i, &options->frequency, NULL))
                return false;
            if (options->frequency < 0 ||
                options->frequency > LFU_COUNTER_MAX) {
                reply_error(call->reply,
                    "ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* When the key is to expire; -1: never.  false: an error has been replied. */
static bool
get_expiry(
    struct call *call, const struct restore_options *options, int64_t *at_ms)
{
    int64_t ttl_ms;
    if (!call_get_i64(call, 2, &ttl_ms, NULL))
        return false;
    /* Redis lets the sum overflow; a key that was to live long is gone then. */
    if (ttl_ms < 0 ||
        (!options->is_absolute && ttl_ms > INT64_MAX - call->now_ms)) {
        reply_error(call->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    if (ttl_ms == 0)
        *at_ms = -1;
    else
        *at_ms = options->is_absolute ? ttl_ms : ttl_ms + call->now_ms;
    return true;
}

/* A value that no key has yet. */
struct value {
    enum key_type type; /* KEY_NONE: nothing yet */
    struct buf string;
    struct list *list;
    struct hash_object *hash;
};

static bool
add_part(enum key_type type, struct slice first, struct slice second, void *arg)
{
    struct value *value = arg;
    value->type = type;
    if (type == KEY_STRING) {
        buf_append_slice(&value->string, first);
        return true;
    }
    if (type == KEY_LIST) {
        if (value->list == NULL)
            value->list = list_new();
        list_push(value->list, NULL, LIST_TAIL, first);
        return true;
    }
    if (value->hash == NULL)
        value->hash = hash_object_new(KEY_LISTPACK);
    /* A field that is there twice is no hash. */
    return hash_object_put(value->hash, NULL, first, second);
}

static void
value_fini(struct value *value)
{
    buf_fini(&value->string);
    list_free(value->list);
    hash_object_free(value->hash);
}

struct target {
    struct hash_object *hash;
    struct edit edit;
};

static void
add_field(struct slice field, struct slice value, void *arg)
{
    struct target *target = arg;
    (void)hash_object_put(target->hash, &target->edit, field, value);
}

/* There is no key of that name. */
static struct key *
create(struct call *call, const struct value *value)
{
    struct slice name = call->argv[1];
    struct key *key;
    if (value->type == KEY_STRING)
        return keyspace_set_string(
            call->keyspace, call->db, name, buf_slice(&value->string), false);
    if (value->type == KEY_LIST) {
        struct list_iter iter;
        struct slice element;
        key = keyspace_create(
            call->keyspace, call->db, name, KEY_LIST, list_new());
        struct edit edit = keyspace_edit(call->keyspace, key);
        list_iter_start(&iter, value->list, 0, LIST_HEAD);
        while (list_iter_next(&iter, &element))
            list_push(key->list, &edit, LIST_TAIL, element);
    } else {
        key = keyspace_create(call->keyspace, call->db, name, KEY_HASH,
            hash_object_new(KEY_LISTPACK));
        struct target target = { key->hash,
            keyspace_edit(call->keyspace, key) };
        hash_object_each(value->hash, add_field, &target);
    }
    keyspace_touch(call->keyspace, key);
    return key;
}

/* How often or how long ago the key was used, if the policy counts it. */
static void
set_access(
    struct call *call, struct key *key, const struct restore_options *options)
{
    if (config_is_lfu(&call->server->config)) {
        uint32_t minutes = (uint32_t)(call->now_ms / 60000) & LFU_MINUTES_MASK;
        if (options->frequency >= 0)
            key->access = minutes << 8 | (uint32_t)options->frequency;
    } else if (options->idle_s >= 0) {
        int64_t now_s = call->now_ms / 1000;
        key->access =
            (uint32_t)(options->idle_s < now_s ? now_s - options->idle_s : 0);
    }
}

/* Read the payload; false: an error has been replied. */
static bool
read_payload(struct call *call, struct value *value)
{
    struct slice body;
    if (!rdb_check_footer(call->argv[3], &body)) {
        reply_error(
            call->reply, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    enum status status = rdb_read(
        body, call->server->config.proto_max_bulk_len, add_part, value);
    if (status != STATUS_OK)
        reply_error(call->reply, ERROR_FORMAT);
    return status == STATUS_OK;
}

static void
restore(struct call *call)
{
    struct restore_options options;
    int64_t expire_at_ms;
    struct value value = { .type = KEY_NONE, .string = BUF_INIT };
    if (!parse_options(call, &options))
        return;
    struct key *old = keyspace_peek(call->keyspace, call->db, call->argv[1]);
    if (old != NULL && !options.may_replace) {
        reply_error(call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!get_expiry(call, &options, &expire_at_ms))
        return;
    if (read_payload(call, &value)) {
        if (old != NULL)
            keyspace_delete(call->keyspace, old);
        /* One that has expired already is not made. */
        if (expire_at_ms < 0 || expire_at_ms > call->now_ms) {
            struct key *key = create(call, &value);
            if (expire_at_ms >= 0)
                keyspace_set_expiry(call->keyspace, key, expire_at_ms);
            set_access(call, key, &options);
        }
        reply_ok(call->reply);
    }
    value_fini(&value);
}

struct command commands_dump[] = {
    { .name = "dump",
        .run = dump,
        .arity = 2,
        .flags = CMD_READONLY,
        .keys = { 1, 1, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_KEYSPACE,
        .since = "2.6.0",
        .summary = "Returns a serialized representation of the value stored at "
                   "a key.",
        .complexity =
            "O(1) to access the key and additional O(N*M) to serialize it, "
            "where N is the number of Redis objects composing the value and M "
            "their average size. For small string values the time complexity "
            "is thus O(1)+O(1*M) where M is small, so simply O(1).",
        .group = "generic",
        .syntax = "key",
        .tips = "nondeterministic_output" },
    { .name = "restore",
        .run = restore,
        .arity = -4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_NO_OBJECT,
        .keys = { 1, 1, 1, 0, KEYS_OW | KEYS_UPDATE },
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,
        .since = "2.6.0",
        .summary = "Creates a key from the serialized representation of a "
                   "value.",
        .complexity =
            "O(1) to create the new key and additional O(N*M) to reconstruct "
            "the serialized value, where N is the number of Redis objects "
            "composing the value and M their average size. For small string "
            "values the time complexity is thus O(1)+O(1*M) where M is small, "
            "so simply O(1). However for sorted set values the complexity is "
            "O(N*M*log(N)) because inserting values into sorted sets is "
            "O(log(N)).",
        .group = "generic",
        .syntax = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME "
                  "seconds] [FREQ frequency]" },
    { .name = NULL },
};
