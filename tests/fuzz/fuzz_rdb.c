/*
 * fuzz_rdb.c -- the reader of RESTORE's payloads against anything a client
 * sends: as a whole payload, and, since a mutation seldom has the right CRC,
 * as the body of one.
 *
 * What is read, written again in our own form, must read the same.
 */
#include <stddef.h>
#include <stdint.h>

#include "server/base/check.h"
#include "server/rdb.h"

#define STRING_SIZE_MAX (1 << 20) /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    enum key_type type;
    uint64_t count;
    uint64_t crc;    /* of all parts with their lengths */
    struct buf body; /* the parts in our own form, without the head */
};

static void
add(struct seen *seen, struct slice part)
{
    uint64_t len = part.len;
    seen->crc = rdb_crc(seen->crc, &len, sizeof(len));
    seen->crc = rdb_crc(seen->crc, part.data, part.len);
    rdb_put_string(&seen->body, part);
}

static bool
see(enum key_type type, struct slice first, struct slice second, void *arg)
{
    struct seen *seen = arg;
    CHECK(seen->count == 0 || (seen->type == type && type != KEY_STRING));
    CHECK(first.len <= STRING_SIZE_MAX && second.len <= STRING_SIZE_MAX);
    seen->type = type;
    seen->count++;
    add(seen, first);
    if (type == KEY_HASH)
        add(seen, second);
    return true;
}

static void
check_written(const struct seen *first)
{
    struct seen second = { .type = KEY_NONE, .body = BUF_INIT };
    struct buf payload = BUF_INIT;
    struct slice body;

    rdb_put_type(&payload, first->type);
    if (first->type != KEY_STRING)
        rdb_put_len(&payload, first->count);
    buf_append_slice(&payload, buf_slice(&first->body));
    rdb_put_footer(&payload);
    CHECK(rdb_check_footer(buf_slice(&payload), &body));
    CHECK(rdb_read(body, STRING_SIZE_MAX, see, &second) == STATUS_OK);
    CHECK(second.type == first->type && second.count == first->count);
    CHECK(second.crc == first->crc);
    buf_fini(&second.body);
    buf_fini(&payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = { .type = KEY_NONE, .body = BUF_INIT };
    struct slice input = slice_make(data, size);
    struct slice body = input;

    (void)rdb_check_footer(input, &body);
    if (rdb_read(body, STRING_SIZE_MAX, see, &seen) == STATUS_OK)
        check_written(&seen);
    buf_fini(&seen.body);
    return 0;
}
