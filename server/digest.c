/*
 * digest.c -- the digest of keys and data sets.
 *
 * Redis's scheme (debug.c there): parts whose order matters are mixed
 * (digest = SHA1(digest xor SHA1(part))), parts whose order does not are
 * xored (digest ^= SHA1(part)).  Equal data gives equal digests, also between
 * Redis and Walden, which is what makes it worth having: a data set that was
 * moved can be compared with one command.
 *
 * All keys are read, a step at a time; what memory does not hold is loaded and
 * may be evicted again between steps, so the data set may be larger than
 * memory.
 */
#include <arpa/inet.h>
#include <openssl/sha.h>

#include "server/digest.h"
#include "server/server.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"
#include "storage/objects/string.h"

#define STEP_IDS 256         /* ids looked at in one step */
#define STEP_EVICT_US 100000 /* spent on evicting after one step */

/* ---- xor and mix -------------------------------------------------------- */

static void
xor_digest(unsigned char digest[DIGEST_SIZE], const void *data, size_t len)
{
    unsigned char hash[SHA_DIGEST_LENGTH];

    (void)SHA1(data, len, hash);
    for (int i = 0; i < DIGEST_SIZE; i++)
        digest[i] ^= hash[i];
}

static void
mix_digest(unsigned char digest[DIGEST_SIZE], const void *data, size_t len)
{
    unsigned char mixed[SHA_DIGEST_LENGTH];

    xor_digest(digest, data, len);
    (void)SHA1(digest, DIGEST_SIZE, mixed);
    memcpy(digest, mixed, DIGEST_SIZE);
}

/* ---- values ------------------------------------------------------------- */

static enum status
add_string(struct call *call, const struct key *key, unsigned char *digest)
{
    struct buf value = BUF_INIT;
    enum status status =
        string_read(key->string, keyspace_reader(call->keyspace), key->id, 0,
            string_len(key->string), &value);

    if (status == STATUS_OK)
        mix_digest(digest, value.data != NULL ? value.data : "", value.len);
    buf_fini(&value);
    return status;
}

static void
add_list(const struct list *list, unsigned char *digest)
{
    struct list_iter iter;
    struct slice value;

    if (list_len(list) == 0)
        return;
    list_iter_start(&iter, list, 0, LIST_HEAD);
    while (list_iter_next(&iter, &value))
        mix_digest(digest, value.data, value.len);
}

static void
add_field(struct slice field, struct slice value, void *arg)
{
    unsigned char pair[DIGEST_SIZE] = { 0 };

    mix_digest(pair, field.data, field.len);
    mix_digest(pair, value.data, value.len);
    xor_digest(arg, pair, DIGEST_SIZE);
}

/* The numbers of Redis's types. */
static uint32_t
redis_type(enum key_type type)
{
    static const uint32_t numbers[KEY_TYPE_COUNT] = { [KEY_STRING] = 0,
        [KEY_LIST] = 1,
        [KEY_SET] = 2,
        [KEY_ZSET] = 3,
        [KEY_HASH] = 4,
        [KEY_STREAM] = 6 };

    return numbers[type];
}

static enum status
add_key(struct call *call, const struct key *key, unsigned char *digest)
{
    uint32_t type = htonl(redis_type((enum key_type)key->type));
    enum status status = STATUS_OK;

    mix_digest(digest, &type, sizeof(type));
    if (key->type == KEY_STRING)
        status = add_string(call, key, digest);
    else if (key->type == KEY_LIST)
        add_list(key->list, digest);
    else if (key->type == KEY_HASH)
        hash_object_each(key->hash, add_field, digest);
    if (key->expire_at_ms != -1)
        xor_digest(digest, "!!expire!!", 10);
    return status;
}

static enum status
add_named(struct call *call, int db, struct slice name, bool with_name,
    unsigned char *digest)
{
    enum status status = keyspace_prepare(call->keyspace, db, name, true);

    if (status != STATUS_OK)
        return status;
    struct key *key = keyspace_peek(call->keyspace, db, name);
    if (key == NULL)
        return STATUS_OK;
    if (with_name)
        mix_digest(digest, name.data, name.len);
    return add_key(call, key, digest);
}

enum status
digest_value(
    struct call *call, struct slice name, unsigned char digest[DIGEST_SIZE])
{
    memset(digest, 0, DIGEST_SIZE);
    return add_named(call, call->db, name, false, digest);
}

/* ---- databases ---------------------------------------------------------- */

/* Names, each with its length before it: the visitor may not load. */
static bool
collect(struct slice name, enum key_type type, void *arg)
{
    (void)type;
    buf_append(arg, &name.len, sizeof(name.len));
    buf_append_slice(arg, name);
    return true;
}

static enum status
add_names(struct call *call, int db, struct slice names, unsigned char *digest)
{
    while (names.len > 0) {
        unsigned char one[DIGEST_SIZE] = { 0 };
        struct slice name;

        memcpy(&name.len, names.data, sizeof(name.len));
        name.data = names.data + sizeof(name.len);
        enum status status = add_named(call, db, name, true, one);
        if (status != STATUS_OK)
            return status;
        xor_digest(digest, one, DIGEST_SIZE);
        names.data = name.data + name.len;
        names.len -= sizeof(name.len) + name.len;
    }
    return STATUS_OK;
}

static enum status
add_database(struct call *call, int db, unsigned char *digest)
{
    uint64_t cursor = 0;
    struct buf names = BUF_INIT;
    enum status status;

    do {
        buf_clear(&names, SIZE_MAX);
        status = keyspace_scan(
            call->keyspace, db, &cursor, STEP_IDS, collect, &names);
        if (status == STATUS_OK)
            status = add_names(call, db, buf_slice(&names), digest);
        (void)keyspace_evict(call->keyspace, STEP_EVICT_US);
    } while (status == STATUS_OK && cursor != 0);
    buf_fini(&names);
    return status;
}

enum status
digest_all(struct call *call, unsigned char digest[DIGEST_SIZE])
{
    memset(digest, 0, DIGEST_SIZE);
    for (int db = 0; db < call->server->config.databases; db++) {
        uint32_t number = htonl((uint32_t)db);

        if (keyspace_count(call->keyspace, db) == 0)
            continue;
        mix_digest(digest, &number, sizeof(number));
        enum status status = add_database(call, db, digest);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}
