/*
 * config_special.c -- directives that are neither a value nor to be ignored.
 *
 * rename-command changes the table of commands and is seen by nobody
 * afterwards: CONFIG does not know it, as in Redis.
 *
 * What asks for protection or for a role that is not here is refused: a server
 * that starts without a password that its file asks for, or as a master where
 * the file says replica, does harm before anybody reads its log.
 */
#include <stdio.h>

#include <openssl/sha.h>

#include "server/command.h"
#include "server/config_table.h"

static enum status
fail(struct buf *error, const char *text)
{
    buf_append_text(error, text);
    return STATUS_INVALID;
}

static enum status
rename_command(const struct config *config, const struct slice *words,
    size_t count, struct buf *error)
{
    (void)config;
    if (count != 3)
        return fail(error, "Bad directive or wrong number of arguments");
    switch (command_rename(words[1], words[2])) {
    case STATUS_OK:
        return STATUS_OK;
    case STATUS_NOT_FOUND:
        return fail(error, "No such command in rename-command");
    case STATUS_EXISTS:
        return fail(error, "Target command name already exists");
    default:
        return fail(error, "The new name in rename-command is too long");
    }
}

/* One of the words that say: everybody may do everything. */
static bool
is_open(struct slice rule)
{
    static const char *const rules[] = { "on", "nopass", "sanitize-payload",
        "skip-sanitize-payload", "~*", "&*", "+@all", "allkeys", "allchannels",
        "allcommands" };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (slice_is(rule, rules[i]))
            return true;
    return false;
}

/* "#" and the SHA-256 of requirepass, which stands further up in the file. */
static bool
is_password(const struct config *config, struct slice rule)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    char text[2 * SHA256_DIGEST_LENGTH + 2] = "#";
    if (config->requirepass == NULL)
        return false;
    (void)SHA256((const unsigned char *)config->requirepass,
        strlen(config->requirepass), hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(text + 1 + 2 * i, 3, "%02x", hash[i]);
    return slice_equal(rule, slice_from_text(text));
}

/* "user default on nopass ~* &* +@all", or with the password of requirepass: */
/* CONFIG REWRITE of Redis leaves it in every file. */
static enum status
check_user(const struct config *config, const struct slice *words, size_t count,
    struct buf *error)
{
    bool is_harmless = count > 2 && slice_is(words[1], "default");
    for (size_t i = 2; i < count && is_harmless; i++)
        is_harmless = is_open(words[i]) || is_password(config, words[i]);
    if (is_harmless)
        return STATUS_OK;
    return fail(error,
        "ACL users are not supported: remove the line, and protect the server "
        "with requirepass");
}

static enum status
refuse_aclfile(const struct config *config, const struct slice *words,
    size_t count, struct buf *error)
{
    (void)config;
    if (count == 2 && words[1].len == 0)
        return STATUS_OK;
    return fail(error,
        "ACL files are not supported: remove the line, and protect the server "
        "with requirepass");
}

static enum status
refuse_replicaof(const struct config *config, const struct slice *words,
    size_t count, struct buf *error)
{
    (void)config;
    if (count == 2 && words[1].len == 0)
        return STATUS_OK;
    return fail(error,
        "This server cannot be a replica: remove the line to start it with "
        "data of its own");
}

static const struct {
    const char *name;
    enum status (*read)(const struct config *config, const struct slice *words,
        size_t count, struct buf *error);
} specials[] = {
    { "rename-command", rename_command },
    { "user", check_user },
    { "aclfile", refuse_aclfile },
    { "replicaof", refuse_replicaof },
    { "slaveof", refuse_replicaof },
};

bool
config_special_read(const struct config *config, const struct slice *words,
    size_t count, enum status *status, struct buf *error)
{
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (!slice_is(words[0], specials[i].name))
            continue;
        *status = specials[i].read(config, words, count, error);
        return true;
    }
    return false;
}
