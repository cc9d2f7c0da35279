/*
 * debug.c -- DEBUG: what Redis's test suite and people in trouble ask.
 *
 * Subcommands are found in the table at the foot of this file and not by
 * COMMAND, which knows DEBUG as one command, as Redis's does.  They name keys
 * in places of their own, so they make them resident themselves.
 *
 * What speaks of structures that are not here (listpacks, dictionaries) says
 * something plausible of the same shape.  RELOAD is the real thing: the
 * journal is folded, the WAL checkpointed, and all that is in memory is
 * dropped, so that whatever is asked next comes from the file.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/glob.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/base/random.h"
#include "server/digest.h"
#include "server/commands/object.h"
#include "server/server.h"
#include "storage/objects/hash.h"
#include "storage/objects/string.h"

#define LOG_MESSAGE_MAX 1024 /* bytes of DEBUG LOG that are logged */
#define POPULATE_NAME_MAX 512
#define PACKED_MAX (UINT64_C(1) << 32) /* bytes */

static const char *const help_lines[] = { "ASSERT",
    "    Crash by assertion failed.", "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.", "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message. Useful for "
    "clients",
    "    unit tests to simulate Redis errors.", "EVICT",
    "    Drop from memory all that the database file has. Returns the number "
    "of keys.",
    "FOLD",
    "    Write the journal's changes into their tables, and checkpoint.",
    "HTSTATS <dbid>",
    "    Return hash table statistics of the specified Redis database.",
    "HTSTATS-KEY <key>",
    "    Like HTSTATS but for the hash table stored at <key>'s value.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.", "LOADAOF",
    "    Same as RELOAD.", "LOG <message>",
    "    Write <message> to the server log.", "OBJECT <key>",
    "    Show low level info about `key` and associated value.", "PANIC",
    "    Crash the server simulating a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>. If <prefix> is "
    "specified then",
    "    it is used instead of the 'key' prefix.", "PROTOCOL <type>",
    "    Reply with a test value of the specified type. <type> can be: "
    "string,",
    "    integer, double, bignum, null, array, set, map, attrib, push, "
    "verbatim,",
    "    true, false.", "QUICKLIST <key> [<0|1>]",
    "    Show low level info about the quicklist encoding of <key>.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted for compatibility; elements are always stored one by one.",
    "RELOAD [option ...]",
    "    Save, drop all that is in memory, and read it again from the "
    "database file.",
    "SDSLEN <key>",
    "    Show low level SDS string info representing `key` and value.",
    "SEGFAULT", "    Crash the server with sigsegv.", "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background when they are "
    "not",
    "    accessed (otherwise the Redis behavior). Setting it to 1 reenables "
    "back the",
    "    default.", "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "STRINGMATCH-LEN <pattern> <string>",
    "    Return 1 if <pattern> matches <string>, 0 if not.", NULL };

/* ---- keys --------------------------------------------------------------- */

/* The key at argv[at], loaded; NULL: an error was replied. */
static struct key *
find_key(struct call *call, size_t at)
{
    enum status status =
        keyspace_prepare(call->keyspace, call->db, call->argv[at], true);

    if (status != STATUS_OK) {
        call_reply_status(call, status);
        return NULL;
    }
    struct key *key = keyspace_peek(call->keyspace, call->db, call->argv[at]);
    if (key == NULL)
        reply_error(call->reply, ERROR_NO_KEY);
    return key;
}

static void
debug_object(struct call *call)
{
    struct key *key = find_key(call, 2);
    char text[256];

    if (key == NULL)
        return;
    (void)snprintf(text, sizeof(text),
        "Value at:%p refcount:1 encoding:%s serializedlength:%llu lru:%u "
        "lru_seconds_idle:%lld",
        key->object, object_encoding(key), (unsigned long long)key->memory,
        key->access & 0xffffff, (long long)object_idle_s(call, key));
    reply_simple(call->reply, text);
}

static void
debug_sdslen(struct call *call)
{
    struct key *key = find_key(call, 2);
    char text[256];

    if (key == NULL)
        return;
    if (key->type != KEY_STRING) {
        reply_error(call->reply, "ERR Not an sds encoded string.");
        return;
    }
    (void)snprintf(text, sizeof(text),
        "key_sds_len:%u, key_sds_avail:0, key_zmalloc: %u, val_sds_len:%zu, "
        "val_sds_avail:0, val_zmalloc: %zu",
        key->name_len, key->name_len, string_len(key->string),
        string_memory(key->string));
    reply_simple(call->reply, text);
}

static void
debug_listpack(struct call *call)
{
    struct key *key = find_key(call, 2);

    if (key == NULL)
        return;
    if (strcmp(object_encoding(key), "listpack") != 0)
        reply_error(call->reply, "ERR Not a listpack encoded object.");
    else
        reply_simple(call->reply, "Listpack structure printed on stdout");
}

static void
debug_quicklist(struct call *call)
{
    struct key *key = find_key(call, 2);

    if (key == NULL)
        return;
    if (strcmp(object_encoding(key), "quicklist") != 0)
        reply_error(call->reply, "ERR Not a quicklist encoded object.");
    else
        reply_simple(call->reply, "Quicklist structure printed on stdout");
}

/* Accepted: elements are stored one by one whatever their size. */
static void
debug_packed_threshold(struct call *call)
{
    uint64_t bytes;

    if (number_parse_memory(call->argv[2], &bytes) && bytes <= PACKED_MAX)
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR argument must be a memory value bigger "
                                 "than 1 and smaller than 4gb");
}

/* ---- hash tables -------------------------------------------------------- */

/* Redis's words for a table of so many elements, a power of two of slots. */
static void
write_table(struct buf *out, const char *title, uint64_t count)
{
    uint64_t size = 4;

    while (size < count)
        size *= 2;
    buf_printf(out, "%sHash table 0 stats (main hash table):\n", title);
    if (count == 0)
        buf_append_text(out, "No stats available for empty dictionaries\n");
    else
        buf_printf(out, " table size: %llu\n number of elements: %llu\n",
            (unsigned long long)size, (unsigned long long)count);
}

static void
debug_htstats(struct call *call)
{
    struct buf out = BUF_INIT;
    int64_t db;

    if (!call_get_i64(call, 2, &db, NULL))
        return;
    if (db < 0 || db >= call->server->config.databases) {
        reply_error(call->reply, "ERR Out of range database");
        return;
    }
    write_table(
        &out, "[Dictionary HT]\n", keyspace_count(call->keyspace, (int)db));
    write_table(&out, "[Expires HT]\n",
        keyspace_expiring_count(call->keyspace, (int)db));
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

static void
debug_htstats_key(struct call *call)
{
    struct key *key = find_key(call, 2);
    struct buf out = BUF_INIT;

    if (key == NULL)
        return;
    if (strcmp(object_encoding(key), "hashtable") != 0) {
        reply_error(call->reply,
            "ERR The value stored at the specified key is not represented "
            "using an hash table");
        return;
    }
    write_table(&out, "", key->size);
    reply_verbatim(call->reply, "txt", out.data, out.len);
    buf_fini(&out);
}

/* ---- digests ------------------------------------------------------------ */

static void
reply_digest(struct reply *reply, const unsigned char digest[DIGEST_SIZE])
{
    char text[2 * DIGEST_SIZE + 1];

    for (int i = 0; i < DIGEST_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    reply_simple(reply, text);
}

static void
debug_digest(struct call *call)
{
    unsigned char digest[DIGEST_SIZE];
    enum status status = digest_all(call, digest);

    keyspace_observe_all(call->keyspace);
    if (status == STATUS_OK)
        reply_digest(call->reply, digest);
    else
        call_reply_status(call, status);
}

static void
debug_digest_value(struct call *call)
{
    size_t deferred = reply_defer(call->reply);

    for (size_t at = 2; at < call->argc; at++) {
        unsigned char digest[DIGEST_SIZE];
        enum status status = digest_value(call, call->argv[at], digest);

        if (status == STATUS_OK)
            reply_digest(call->reply, digest);
        else
            call_reply_status(call, status);
    }
    reply_array_end(call->reply, deferred, call->argc - 2);
}

/* ---- storage ------------------------------------------------------------ */

static void
debug_reload(struct call *call)
{
    for (size_t at = 2; at < call->argc; at++) {
        if (!call_arg_is(call, at, "MERGE") &&
            !call_arg_is(call, at, "NOFLUSH") &&
            !call_arg_is(call, at, "NOSAVE")) {
            reply_error(call->reply,
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and "
                "NOSAVE options.");
            return;
        }
    }
    server_reload(call);
}

static void
debug_fold(struct call *call)
{
    server_save(call, false);
}

static void
debug_evict(struct call *call)
{
    reply_int(call->reply, (int64_t)keyspace_evict_all(call->keyspace));
}

/* One key, unless it exists; false: error replied. */
static bool
populate_one(struct call *call, struct slice name, struct slice value)
{
    enum status status =
        keyspace_prepare(call->keyspace, call->db, name, false);

    if (status != STATUS_OK) {
        call_reply_status(call, status);
        return false;
    }
    if (keyspace_peek(call->keyspace, call->db, name) == NULL)
        (void)keyspace_set_string(call->keyspace, call->db, name, value, false);
    return true;
}

static void
debug_populate(struct call *call)
{
    struct slice prefix = SLICE("key");
    int64_t count, size = 0;
    struct buf name = BUF_INIT, value = BUF_INIT;
    bool is_good = true;

    if (!call_get_i64_in(call, 2, 0, INT64_MAX, &count, ERROR_NOT_POSITIVE))
        return;
    if (call->argc > 3)
        prefix = call->argv[3];
    if (prefix.len > POPULATE_NAME_MAX) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc > 4 && !call_get_i64_in(call, 4, 0,
                              (int64_t)call->server->config.proto_max_bulk_len,
                              &size, ERROR_NOT_POSITIVE))
        return;
    for (int64_t i = 0; i < count && is_good; i++) {
        buf_clear(&name, SIZE_MAX);
        buf_clear(&value, SIZE_MAX);
        buf_append_slice(&name, prefix);
        buf_printf(&name, ":%lld", (long long)i);
        buf_printf(&value, "value:%lld", (long long)i);
        if (size > 0) {
            buf_reserve(&value, (size_t)size);
            if (value.len < (size_t)size)
                memset(value.data + value.len, 0, (size_t)size - value.len);
            value.len = (size_t)size;
        }
        is_good = populate_one(call, buf_slice(&name), buf_slice(&value));
    }
    if (is_good)
        reply_ok(call->reply);
    buf_fini(&name);
    buf_fini(&value);
}

/* ---- replies of every kind ---------------------------------------------- */

static void
protocol_string(struct reply *reply)
{
    reply_bulk_text(reply, "Hello World");
}

static void
protocol_integer(struct reply *reply)
{
    reply_int(reply, 12345);
}

static void
protocol_double(struct reply *reply)
{
    reply_double(reply, 3.141);
}

static void
protocol_bignum(struct reply *reply)
{
    reply_big_number(reply, "1234567999999999999999999999999999999");
}

static void
protocol_null(struct reply *reply)
{
    reply_null(reply);
}

static void
protocol_array(struct reply *reply)
{
    reply_array(reply, 3);
    for (int i = 0; i < 3; i++)
        reply_int(reply, i);
}

static void
protocol_set(struct reply *reply)
{
    reply_set(reply, 3);
    for (int i = 0; i < 3; i++)
        reply_int(reply, i);
}

static void
protocol_map(struct reply *reply)
{
    reply_map(reply, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(reply, i);
        reply_bool(reply, i == 1);
    }
}

static void
protocol_attrib(struct reply *reply)
{
    if (reply->version >= 3) {
        reply_attribute(reply, 1);
        reply_bulk_text(reply, "key-popularity");
        reply_array(reply, 2);
        reply_bulk_text(reply, "key:123");
        reply_int(reply, 90);
    }
    reply_bulk_text(reply, "Some real reply following the attribute");
}

static void
protocol_push(struct reply *reply)
{
    if (reply->version < 3) {
        reply_error(reply, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(reply, 2);
    reply_bulk_text(reply, "server-cpu-usage");
    reply_int(reply, 42);
    reply_bulk_text(reply, "Some real reply following the push reply");
}

static void
protocol_verbatim(struct reply *reply)
{
    static const char text[] = "This is a verbatim\nstring";

    reply_verbatim(reply, "txt", text, sizeof(text) - 1);
}

static void
protocol_true(struct reply *reply)
{
    reply_bool(reply, true);
}

static void
protocol_false(struct reply *reply)
{
    reply_bool(reply, false);
}

static void
debug_protocol(struct call *call)
{
    static const struct {
        const char *name;
        void (*write)(struct reply *reply);
    } kinds[] = { { "string", protocol_string },
        { "integer", protocol_integer }, { "double", protocol_double },
        { "bignum", protocol_bignum }, { "null", protocol_null },
        { "array", protocol_array }, { "set", protocol_set },
        { "map", protocol_map }, { "attrib", protocol_attrib },
        { "push", protocol_push }, { "verbatim", protocol_verbatim },
        { "true", protocol_true }, { "false", protocol_false } };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!call_arg_is(call, 2, kinds[i].name))
            continue;
        kinds[i].write(call->reply);
        return;
    }
    reply_error(call->reply,
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|"
        "verbatim|true|false");
}

/* ---- the rest ----------------------------------------------------------- */

static void
debug_sleep(struct call *call)
{
    double seconds = 0; /* also of what is no number, as in Redis */

    (void)number_parse_double(call->argv[2], &seconds);
    if (seconds < 0)
        seconds = 0;
    if (seconds > INT32_MAX)
        seconds = INT32_MAX;
    double whole = floor(seconds);
    struct timespec time = { (time_t)whole, (long)((seconds - whole) * 1e9) };
    (void)nanosleep(&time, NULL);
    reply_ok(call->reply);
}

static void
debug_set_active_expire(struct call *call)
{
    call->server->active_expire = !slice_equal(call->argv[2], SLICE("0"));
    reply_ok(call->reply);
}

static void
debug_error(struct call *call)
{
    struct buf text = BUF_INIT;

    buf_append_slice(&text, call->argv[2]);
    buf_append_byte(&text, '\0');
    reply_error(call->reply, text.data);
    buf_fini(&text);
}

static void
debug_log(struct call *call)
{
    char text[LOG_MESSAGE_MAX];
    size_t len = call->argv[2].len;

    if (len >= sizeof(text))
        len = sizeof(text) - 1;
    for (size_t i = 0; i < len; i++) {
        char c = call->argv[2].data[i];
        text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    text[len] = '\0';
    log_warning("DEBUG LOG: %s", text);
    reply_ok(call->reply);
}

static void
debug_stringmatch_len(struct call *call)
{
    reply_int(call->reply, glob_match(call->argv[2], call->argv[3]));
}

static void
debug_change_repl_id(struct call *call)
{
    log_notice("Changing replication IDs after receiving change-repl-id");
    random_hex(call->server->run_id, 40);
    reply_ok(call->reply);
}

/* What other servers need and this one has no use for. */
static void
debug_ignore(struct call *call)
{
    reply_ok(call->reply);
}

static void
debug_segfault(struct call *call)
{
    (void)call;
    (void)raise(SIGSEGV);
}

static void
debug_assert(struct call *call)
{
    CHECK(call == NULL);
}

static void
debug_panic(struct call *call)
{
    (void)call;
    log_warning("Panic, as DEBUG PANIC asked for");
    abort();
}

static void
debug_help(struct call *call)
{
    call_reply_help(call, help_lines);
}

/* ---- the table ---------------------------------------------------------- */

static const struct {
    const char *name;
    command_fn run;
    size_t argc_min, argc_max; /* with "debug" and the name; 0: no limit */
} subcommands[] = {
    { "assert", debug_assert, 2, 2 },
    { "change-repl-id", debug_change_repl_id, 2, 2 },
    { "digest", debug_digest, 2, 2 },
    { "digest-value", debug_digest_value, 2, 0 },
    { "dict-resizing", debug_ignore, 3, 3 },
    { "error", debug_error, 3, 3 },
    { "evict", debug_evict, 2, 2 },
    { "fold", debug_fold, 2, 2 },
    { "help", debug_help, 2, 2 },
    { "htstats", debug_htstats, 3, 4 },
    { "htstats-key", debug_htstats_key, 3, 4 },
    { "jmap", debug_ignore, 2, 2 },
    { "listpack", debug_listpack, 3, 3 },
    { "loadaof", debug_reload, 2, 2 },
    { "log", debug_log, 3, 3 },
    { "object", debug_object, 3, 4 },
    { "panic", debug_panic, 2, 2 },
    { "pause-cron", debug_ignore, 3, 3 },
    { "populate", debug_populate, 3, 5 },
    { "protocol", debug_protocol, 3, 3 },
    { "quicklist", debug_quicklist, 3, 4 },
    { "quicklist-packed-threshold", debug_packed_threshold, 3, 3 },
    { "reload", debug_reload, 2, 0 },
    { "replicate", debug_ignore, 3, 0 },
    { "replybuffer", debug_ignore, 4, 4 },
    { "sdslen", debug_sdslen, 3, 3 },
    { "segfault", debug_segfault, 2, 2 },
    { "set-active-expire", debug_set_active_expire, 3, 3 },
    { "set-disable-deny-scripts", debug_ignore, 3, 3 },
    { "set-skip-checksum-validation", debug_ignore, 3, 3 },
    { "sleep", debug_sleep, 3, 3 },
    { "stringmatch-len", debug_stringmatch_len, 4, 4 },
};

static void
debug(struct call *call)
{
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        if (!call_arg_is(call, 1, subcommands[i].name))
            continue;
        if (call->argc < subcommands[i].argc_min ||
            (subcommands[i].argc_max > 0 &&
                call->argc > subcommands[i].argc_max))
            break;
        subcommands[i].run(call);
        return;
    }
    call_reply_subcommand_error(call);
}

struct command commands_debug[] = {
    { .name = "debug",
        .run = debug,
        .arity = -2,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE |
                 CMD_PROTECTED | CMD_SYSTEM,
        .since = "1.0.0",
        .group = "server",
        .summary = "A container for debugging commands.",
        .complexity = "Depends on subcommand." },
    { .name = NULL },
};
