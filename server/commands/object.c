/*
 * object.c -- OBJECT.
 *
 * None of its subcommands needs the object itself: a key that is resident
 * without it answers from its row.  They do not count as an access.
 */
#include "server/commands/object.h"
#include "server/config_table.h"
#include "server/server.h"
#include "storage/objects/object.h"
#include "storage/objects/string.h"

#define SHARED_INTEGERS 10000 /* Redis shares the objects of 0 to 9999 */
#define LFU_DECAY_MINUTES_MASK 0xffff

const char *
object_encoding(const struct key *key)
{
    static const char *const words[] = { [KEY_RAW] = "raw",
        [KEY_INT] = "int",
        [KEY_EMBSTR] = "embstr",
        [KEY_CHUNKED] = "raw",
        [KEY_LISTPACK] = "listpack",
        [KEY_QUICKLIST] = "quicklist",
        [KEY_HASHTABLE] = "hashtable",
        [KEY_INTSET] = "intset",
        [KEY_SKIPLIST] = "skiplist",
        [KEY_STREAM_TREE] = "stream" };
    size_t encoding = key->object != NULL
                          ? object_kind(key->type)->encoding(key->object)
                          : key->encoding;

    return encoding < sizeof(words) / sizeof(words[0]) ? words[encoding]
                                                       : "unknown";
}

int64_t
object_idle_s(const struct call *call, const struct key *key)
{
    int64_t idle_s = call->now_ms / 1000 - (int64_t)key->access;

    return idle_s > 0 ? idle_s : 0;
}

/* The key asked about; NULL: there is none, and null was replied. */
static struct key *
find_key(struct call *call)
{
    struct key *key = keyspace_peek(call->keyspace, call->db, call->argv[2]);

    if (key == NULL)
        reply_null(call->reply);
    return key;
}

static void
encoding(struct call *call)
{
    struct key *key = find_key(call);

    if (key != NULL)
        reply_bulk_text(call->reply, object_encoding(key));
}

/* The counter of the last access, less one for each decay time since. */
static int64_t
decayed_counter(const struct call *call, const struct key *key)
{
    int64_t decay_min = call->server->config.lfu_decay_time_min;
    int64_t counter = key->access & 0xff;
    uint32_t now_min =
        (uint32_t)(call->now_ms / 60000) & LFU_DECAY_MINUTES_MASK;
    uint32_t idle_min = (now_min - (key->access >> 8)) & LFU_DECAY_MINUTES_MASK;

    if (decay_min > 0)
        counter -= idle_min / decay_min;
    return counter > 0 ? counter : 0;
}

static void
freq(struct call *call)
{
    struct key *key = find_key(call);

    if (key == NULL)
        return;
    if (config_is_lfu(&call->server->config))
        reply_int(call->reply, decayed_counter(call, key));
    else
        reply_error(call->reply,
            "ERR An LFU maxmemory policy is not selected, access frequency "
            "not tracked. Please note that when switching between policies "
            "at runtime LRU and LFU data will take some time to adjust.");
}

static void
idletime(struct call *call)
{
    struct key *key = find_key(call);

    if (key == NULL)
        return;
    if (!config_is_lfu(&call->server->config))
        reply_int(call->reply, object_idle_s(call, key));
    else
        reply_error(call->reply,
            "ERR An LFU maxmemory policy is selected, idle time not tracked. "
            "Please note that when switching between policies at runtime LRU "
            "and LFU data will take some time to adjust.");
}

/* Redis's figure: small integers are shared there. */
static void
refcount(struct call *call)
{
    struct key *key = find_key(call);
    int64_t value;

    if (key == NULL)
        return;
    bool is_shared =
        key->type == KEY_STRING && key->object != NULL &&
        object_kind(KEY_STRING)->encoding(key->object) == KEY_INT &&
        string_get_i64(key->string, &value) && value >= 0 &&
        value < SHARED_INTEGERS;
    reply_int(call->reply, is_shared ? INT32_MAX : 1);
}

static void
help(struct call *call)
{
    static const char *const lines[] = { "ENCODING <key>",
        "    Return the kind of internal representation used in order to "
        "store the value",
        "    associated with a <key>.", "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned "
        "integer is",
        "    proportional to the logarithm of the recent access frequency of "
        "the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated "
        "number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with "
        "the specified",
        "    <key>.", NULL };

    call_reply_help(call, lines);
}

#define ROW(NAME, RUN, SINCE, SUMMARY, FLAGS)                                  \
    {                                                                          \
        .name = NAME, .run = RUN, .arity = 3, .flags = CMD_READONLY | (FLAGS), \
        .keys = { 2, 2, 1, 0, KEYS_RO }, .acl = ACL_KEYSPACE, .since = SINCE,  \
        .group = "generic", .summary = SUMMARY, .complexity = "O(1)",          \
        .syntax = "key", .tips = "nondeterministic_output"                     \
    }

static struct command object_subcommands[] = {
    ROW("encoding", encoding, "2.2.3",
        "Returns the internal encoding of a Redis object.", CMD_NO_OBJECT),
    ROW("freq", freq, "4.0.0",
        "Returns the logarithmic access frequency counter of a Redis object.",
        CMD_NO_OBJECT),
    { .name = "help",
        .run = help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_KEYSPACE,
        .since = "6.2.0",
        .group = "generic",
        .summary = "Returns helpful text about the different subcommands.",
        .complexity = "O(1)" },
    ROW("idletime", idletime, "2.2.3",
        "Returns the time since the last access to a Redis object.",
        CMD_NO_OBJECT),
    ROW("refcount", refcount, "2.2.3",
        "Returns the reference count of a value of a key.", 0),
    { .name = NULL },
};

struct command commands_object[] = {
    { .name = "object",
        .arity = -2,
        .since = "2.2.3",
        .group = "generic",
        .summary = "A container for object introspection commands.",
        .complexity = "Depends on subcommand.",
        .subcommands = object_subcommands },
    { .name = NULL },
};
