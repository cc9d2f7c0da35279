/*
 * config_apply.c -- what has to be told when a directive changes.
 *
 * Each looks at the whole configuration and does nothing for one that is not
 * the server's (tests, reading a file).
 */
#include "server/base/log.h"
#include "server/bucket.h"
#include "server/config_table.h"
#include "server/listener.h"
#include "server/loop.h"
#include "server/run.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"

#define ERROR_SIZE 256

/* Indexes into the words of appendfsync. */
enum { FSYNC_EVERYSEC, FSYNC_ALWAYS, FSYNC_NO };

static bool
is_live(const struct config *config)
{
    return config == &server.config && server.store != NULL;
}

bool
config_apply_log(struct config *config, struct buf *error)
{
    (void)error;
    if (is_live(config))
        log_set_level((enum log_level)config->loglevel);
    return true;
}

bool
config_apply_storage(struct config *config, struct buf *error)
{
    (void)error;
    if (is_live(config))
        server_apply_storage();
    return true;
}

bool
config_apply_objects(struct config *config, struct buf *error)
{
    (void)error;
    if (config != &server.config)
        return true;
    hash_object_limits.listpack_entries =
        (size_t)config->hash_max_listpack_entries;
    hash_object_limits.listpack_value = (size_t)config->hash_max_listpack_value;
    list_limits.listpack_size = (int)config->list_max_listpack_size;
    return true;
}

bool
config_apply_hz(struct config *config, struct buf *error)
{
    (void)error;
    if (is_live(config))
        loop_set_hz(config->hz);
    return true;
}

static bool
listen_again(struct config *config, const char *complaint, struct buf *error)
{
    char reason[ERROR_SIZE] = "";
    if (!is_live(config))
        return true;
    listener_close();
    if (listener_open(&server, reason, sizeof(reason)) == STATUS_OK)
        return true;
    log_warning("%s", reason);
    buf_append_text(error, complaint);
    return false;
}

bool
config_apply_port(struct config *config, struct buf *error)
{
    return listen_again(
        config, "Unable to listen on this port. Check server logs.", error);
}

bool
config_apply_bind(struct config *config, struct buf *error)
{
    return listen_again(
        config, "Failed to bind to specified addresses.", error);
}

bool
config_apply_clients(struct config *config, struct buf *error)
{
    if (!is_live(config))
        return true;
    int64_t wanted = config->maxclients;
    server_raise_file_limit();
    if (config->maxclients == wanted)
        return true;
    buf_printf(error,
        "The operating system is not able to handle the specified number of "
        "clients, try with %lld",
        (long long)config->maxclients);
    return false;
}

/* Sessions that have the default level get the new one. */
static void
change_level(struct config *config)
{
    if (!is_live(config))
        return;
    for (struct session *session = server.sessions; session != NULL;
         session = session->next)
        if (session->durability == server.durability)
            session->durability = (enum durability)config->durability;
    server.durability = (enum durability)config->durability;
}

bool
config_apply_durability(struct config *config, struct buf *error)
{
    if (is_live(config) && server.bucket == NULL &&
        config->durability == CONFIG_DURABILITY_BUCKET) {
        buf_append_text(error, BUCKET_MISSING);
        return false;
    }
    bool is_disk = config->durability != CONFIG_DURABILITY_MEMORY;
    if (is_disk != (config->appendfsync == FSYNC_ALWAYS))
        config->appendfsync = is_disk ? FSYNC_ALWAYS : FSYNC_EVERYSEC;
    change_level(config);
    return true;
}

bool
config_apply_appendfsync(struct config *config, struct buf *error)
{
    (void)error;
    bool is_disk = config->appendfsync == FSYNC_ALWAYS;
    if (is_disk == (config->durability != CONFIG_DURABILITY_MEMORY))
        return true;
    config->durability =
        is_disk ? CONFIG_DURABILITY_DISK : CONFIG_DURABILITY_MEMORY;
    change_level(config);
    return true;
}
