/*
 * string_value.c -- the bytes of a string key, for handlers.
 *
 * A chunk that cannot be read is found out in the middle of a reply whose
 * length has been announced already.  Nothing of a reply has left the process
 * while its handler runs, so what was written is cut off again and the error
 * takes its place.
 */
#include "server/server.h"

#include "server/commands/string_value.h"
#include "storage/objects/string.h"

enum status
string_value_reply_range(
    struct call *call, const struct key *key, size_t at, size_t len)
{
    struct reply *reply = call->reply;
    if (!string_is_chunked(key->string)) {
        reply_bulk(reply, string_flat(key->string).data + at, len);
        return STATUS_OK;
    }
    size_t start = reply->out->len;
    reply_bulk_begin(reply, len);
    if (!reply->is_muted) {
        enum status status = string_read(key->string,
            keyspace_reader(call->keyspace), key->id, at, len, reply->out);
        if (status != STATUS_OK) {
            reply->out->len = start;
            return status;
        }
    }
    reply_bulk_end(reply);
    return STATUS_OK;
}

bool
string_value_reply(struct call *call, const struct key *key)
{
    enum status status =
        string_value_reply_range(call, key, 0, string_len(key->string));
    if (status != STATUS_OK)
        call_reply_status(call, status);
    return status == STATUS_OK;
}

enum status
string_value_get(struct call *call, const struct key *key, struct buf *scratch,
    struct slice *value)
{
    if (!string_is_chunked(key->string)) {
        *value = string_flat(key->string);
        return STATUS_OK;
    }
    size_t start = scratch->len, len = string_len(key->string);
    enum status status = string_read(
        key->string, keyspace_reader(call->keyspace), key->id, 0, len, scratch);
    if (status == STATUS_OK)
        *value = slice_make(scratch->data + start, len);
    return status;
}

bool
string_value_check_size(struct call *call, uint64_t len, uint64_t extra)
{
    uint64_t max = call->server->config.proto_max_bulk_len;
    if (len <= max && extra <= max - len)
        return true;
    reply_error(call->reply,
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}
