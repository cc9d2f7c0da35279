/*
 * introspect.c -- rows as clients read them.
 *
 * Everything is read from the rows of the tables; nothing is stated here
 * twice.  Two things follow from a row instead of standing in it:
 *   - the ACL categories that Redis derives from flags (@write, @fast, ...);
 *   - the legacy "first, last, step" of commands with two key specs.
 */
#include <stdio.h>

#include "server/commands/introspect.h"

struct word {
    unsigned flag;
    const char *text;
};

static const struct word flag_words[] = { { CMD_WRITE, "write" },
    { CMD_READONLY, "readonly" }, { CMD_DENYOOM, "denyoom" },
    { CMD_ADMIN, "admin" }, { CMD_PUBSUB, "pubsub" },
    { CMD_NOSCRIPT, "noscript" }, { CMD_BLOCKING, "blocking" },
    { CMD_LOADING, "loading" }, { CMD_STALE, "stale" },
    { CMD_SKIP_MONITOR, "skip_monitor" }, { CMD_SKIP_SLOWLOG, "skip_slowlog" },
    { CMD_FAST, "fast" }, { CMD_NO_AUTH, "no_auth" },
    { CMD_NO_ASYNC_LOADING, "no_async_loading" }, { CMD_NO_MULTI, "no_multi" },
    { CMD_MOVABLEKEYS, "movablekeys" }, { CMD_ALLOW_BUSY, "allow_busy" },
    { 0, NULL } };

static const struct word acl_words[] = { { ACL_KEYSPACE, "keyspace" },
    { ACL_READ, "read" }, { ACL_WRITE, "write" }, { ACL_SET, "set" },
    { ACL_SORTEDSET, "sortedset" }, { ACL_LIST, "list" }, { ACL_HASH, "hash" },
    { ACL_STRING, "string" }, { ACL_BITMAP, "bitmap" },
    { ACL_HYPERLOGLOG, "hyperloglog" }, { ACL_GEO, "geo" },
    { ACL_STREAM, "stream" }, { ACL_PUBSUB, "pubsub" }, { ACL_ADMIN, "admin" },
    { ACL_FAST, "fast" }, { ACL_SLOW, "slow" }, { ACL_BLOCKING, "blocking" },
    { ACL_DANGEROUS, "dangerous" }, { ACL_CONNECTION, "connection" },
    { ACL_TRANSACTION, "transaction" }, { ACL_SCRIPTING, "scripting" },
    { 0, NULL } };

static const struct word key_words[] = { { KEYS_RO, "RO" }, { KEYS_RW, "RW" },
    { KEYS_OW, "OW" }, { KEYS_RM, "RM" }, { KEYS_ACCESS, "access" },
    { KEYS_UPDATE, "update" }, { KEYS_INSERT, "insert" },
    { KEYS_DELETE, "delete" }, { KEYS_NOT_KEY, "not_key" },
    { KEYS_INCOMPLETE, "incomplete" }, { KEYS_VARIABLE, "variable_flags" },
    { 0, NULL } };

/* ---- what follows from a row -------------------------------------------- */

unsigned
introspect_categories(const struct command *command)
{
    static const unsigned implied[][2] = { { CMD_WRITE, ACL_WRITE },
        { CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS }, { CMD_PUBSUB, ACL_PUBSUB },
        { CMD_FAST, ACL_FAST }, { CMD_BLOCKING, ACL_BLOCKING } };
    unsigned acl = command->acl;

    for (size_t i = 0; i < sizeof(implied) / sizeof(implied[0]); i++)
        if (command->flags & implied[i][0])
            acl |= implied[i][1];
    if ((command->flags & CMD_READONLY) && !(acl & ACL_SCRIPTING))
        acl |= ACL_READ;
    return acl & ACL_FAST ? acl : acl | ACL_SLOW;
}

unsigned
introspect_find_category(struct slice name)
{
    for (const struct word *word = acl_words; word->text != NULL; word++)
        if (slice_is(name, word->text))
            return word->flag;
    return 0;
}

void
introspect_reply_categories(struct reply *reply)
{
    reply_array(reply, sizeof(acl_words) / sizeof(acl_words[0]) - 1);
    for (const struct word *word = acl_words; word->text != NULL; word++)
        reply_bulk_text(reply, word->text);
}

void
introspect_reply_name(struct reply *reply, const struct command *command)
{
    struct buf name = BUF_INIT;

    if (command->parent != NULL)
        buf_printf(&name, "%s|%s", command->parent->name, command->name);
    else
        buf_append_text(&name, command->name);
    reply_slice(reply, buf_slice(&name));
    buf_fini(&name);
}

const struct command *
introspect_find_full_name(struct slice name)
{
    const char *bar = memchr(name.data, '|', name.len);

    if (bar == NULL)
        return command_find(name);
    size_t len = (size_t)(bar - name.data);
    const struct command *parent = command_find(slice_make(name.data, len));
    if (parent == NULL || parent->subcommands == NULL)
        return NULL;
    return command_find_sub(parent, slice_make(bar + 1, name.len - len - 1));
}

/* ---- COMMAND INFO ------------------------------------------------------- */

static void
reply_words(struct reply *reply, const struct word *words, unsigned flags,
    const char *prefix)
{
    size_t count = 0;

    for (const struct word *word = words; word->text != NULL; word++)
        count += (flags & word->flag) != 0;
    reply_set(reply, count);
    for (const struct word *word = words; word->text != NULL; word++) {
        char text[32];

        if (!(flags & word->flag))
            continue;
        (void)snprintf(text, sizeof(text), "%s%s", prefix, word->text);
        reply_simple(reply, text);
    }
}

/* tips: comma separated. */
static void
reply_tips(struct reply *reply, const char *tips)
{
    size_t count = 0, deferred = reply_defer(reply);

    while (tips != NULL && *tips != '\0') {
        size_t len = strcspn(tips, ",");

        reply_bulk(reply, tips, len);
        count++;
        tips += len;
        tips += *tips == ',';
    }
    reply_set_end(reply, deferred, count);
}

static void
reply_search(struct reply *reply, const struct command_keys *keys)
{
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "index");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 1);
    reply_bulk_text(reply, "index");
    reply_int(reply, keys->count_at > 0 ? keys->count_at : keys->first);
}

static void
reply_find_keys(struct reply *reply, const struct command_keys *keys)
{
    bool is_counted = keys->count_at > 0;
    static const char *const names[2][3] = { { "lastkey", "keystep", "limit" },
        { "keynumidx", "firstkey", "keystep" } };
    int values[2][3] = { { keys->last < 0 ? keys->last
                                          : keys->last - keys->first,
                             keys->step, 0 },
        { 0, 1, keys->step > 0 ? keys->step : 1 } };

    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, is_counted ? "keynum" : "range");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 3);
    for (int i = 0; i < 3; i++) {
        reply_bulk_text(reply, names[is_counted][i]);
        reply_int(reply, values[is_counted][i]);
    }
}

static bool
has_keys(const struct command_keys *keys)
{
    return keys->first != 0 || keys->count_at != 0;
}

static void
reply_key_specs(struct reply *reply, const struct command *command)
{
    const struct command_keys *specs[] = { &command->keys, &command->keys2 };

    reply_set(
        reply, (size_t)has_keys(&command->keys) + has_keys(&command->keys2));
    for (size_t i = 0; i < 2; i++) {
        if (!has_keys(specs[i]))
            continue;
        reply_map(reply, 3);
        reply_bulk_text(reply, "flags");
        reply_words(reply, key_words, specs[i]->flags, "");
        reply_search(reply, specs[i]);
        reply_find_keys(reply, specs[i]);
    }
}

/* The range that clients from before key specs read. */
static void
reply_legacy_range(struct reply *reply, const struct command *command)
{
    struct command_keys range = command->keys;
    const struct command_keys *other = &command->keys2;

    if (range.count_at > 0)
        range = (struct command_keys){ 0 };
    if (other->first > 0 && other->count_at == 0 && range.first > 0) {
        if (other->first < range.first)
            range.first = other->first;
        if (other->last < 0 || (range.last > 0 && other->last > range.last))
            range.last = other->last;
        range.step = 1;
    }
    reply_int(reply, range.first);
    reply_int(reply, range.last);
    reply_int(reply, range.step);
}

size_t
introspect_count_subcommands(const struct command *command)
{
    size_t count = 0;

    if (command->subcommands != NULL)
        while (command->subcommands[count].name != NULL)
            count++;
    return count;
}

void
introspect_reply_info(struct reply *reply, const struct command *command)
{
    size_t subcommands = introspect_count_subcommands(command);

    reply_array(reply, 10);
    introspect_reply_name(reply, command);
    reply_int(reply, command->arity);
    reply_words(reply, flag_words, command->flags, "");
    reply_legacy_range(reply, command);
    reply_words(reply, acl_words, introspect_categories(command), "@");
    reply_tips(reply, command->tips);
    reply_key_specs(reply, command);
    if (subcommands == 0)
        reply_set(reply, 0); /* as Redis does; else they are an array */
    else
        reply_array(reply, subcommands);
    for (size_t i = 0; i < subcommands; i++)
        introspect_reply_info(reply, &command->subcommands[i]);
}

void
introspect_reply_key_flags(struct reply *reply, unsigned flags)
{
    reply_words(reply, key_words, flags, "");
}
