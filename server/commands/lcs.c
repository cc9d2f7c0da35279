/*
 * lcs.c -- LCS: the longest common subsequence of two strings.
 *
 * The textbook dynamic programme: lens[i][j] is the length for the first i
 * bytes of a and the first j of b.  Walking back from the far corner gives
 * one longest subsequence, last byte first, and with it the stretches that
 * both strings share.  Where two ways are equally long the walk drops a byte
 * of b, as Redis does: which of several answers is given shows in the reply.
 *
 * The table takes 4 bytes for each pair of positions; what a client may ask
 * for is bounded by proto-max-bulk-len.
 */
#include "server/base/memory.h"
#include "server/server.h"

#include "server/commands/string_value.h"

struct lcs {
    struct slice a, b;
    uint32_t *lens; /* (a.len + 1) x (b.len + 1) */
    bool wants_len, wants_index, wants_match_len;
    int64_t match_len_min;
};

/* A stretch of equal bytes: len of them from a_at and b_at on. */
struct match {
    size_t a_at, b_at, len;
};

static uint32_t *
lens_at(const struct lcs *lcs, size_t i, size_t j)
{
    return &lcs->lens[i * (lcs->b.len + 1) + j];
}

static bool
parse_options(struct call *call, struct lcs *lcs)
{
    for (size_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "idx")) {
            lcs->wants_index = true;
        } else if (call_arg_is(call, i, "len")) {
            lcs->wants_len = true;
        } else if (call_arg_is(call, i, "withmatchlen")) {
            lcs->wants_match_len = true;
        } else if (call_arg_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!call_get_i64(call, ++i, &lcs->match_len_min, NULL))
                return false;
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (lcs->wants_index && lcs->wants_len) {
        reply_error(call->reply, "ERR If you want both the length and indexes, "
                                 "please just use IDX.");
        return false;
    }
    return true;
}

/* Find both keys; false: one is no string, replied. */
static bool
find_keys(struct call *call, struct key *keys[2])
{
    for (size_t i = 0; i < 2; i++)
        keys[i] = keyspace_find(call->keyspace, call->db, call->argv[1 + i]);
    for (size_t i = 0; i < 2; i++) {
        if (keys[i] != NULL && keys[i]->type != KEY_STRING) {
            reply_error(call->reply,
                "ERR The specified keys must contain string values");
            return false;
        }
    }
    return true;
}

/* Allocate the table; false: too large, replied. */
static bool
alloc_lens(struct call *call, struct lcs *lcs)
{
    if (lcs->a.len >= UINT32_MAX - 1 || lcs->b.len >= UINT32_MAX - 1) {
        reply_error(call->reply, "ERR String too long for LCS");
        return false;
    }
    size_t size;
    if (__builtin_mul_overflow(lcs->a.len + 1, lcs->b.len + 1, &size) ||
        __builtin_mul_overflow(size, sizeof(*lcs->lens), &size) ||
        size > call->server->config.proto_max_bulk_len) {
        reply_error(call->reply, "ERR Insufficient memory, transient memory "
                                 "for LCS exceeds proto-max-bulk-len");
        return false;
    }
    lcs->lens = memory_try_alloc(size);
    if (lcs->lens == NULL) {
        reply_error(call->reply, "ERR Insufficient memory, failed allocating "
                                 "transient memory for LCS");
        return false;
    }
    return true;
}

static void
fill_lens(struct lcs *lcs)
{
    for (size_t j = 0; j <= lcs->b.len; j++)
        *lens_at(lcs, 0, j) = 0;
    for (size_t i = 1; i <= lcs->a.len; i++) {
        uint32_t *above = lens_at(lcs, i - 1, 0), *row = lens_at(lcs, i, 0);
        row[0] = 0;
        for (size_t j = 1; j <= lcs->b.len; j++) {
            if (lcs->a.data[i - 1] == lcs->b.data[j - 1])
                row[j] = above[j - 1] + 1;
            else
                row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
        }
    }
}

/*
 * The next stretch on the way back from (*i, *j), which move to its start;
 * false: no more.
 */
static bool
next_match(const struct lcs *lcs, size_t *i, size_t *j, struct match *match)
{
    while (*i > 0 && *j > 0 && lcs->a.data[*i - 1] != lcs->b.data[*j - 1]) {
        if (*lens_at(lcs, *i - 1, *j) > *lens_at(lcs, *i, *j - 1))
            (*i)--;
        else
            (*j)--;
    }
    match->len = 0;
    while (*i > 0 && *j > 0 && lcs->a.data[*i - 1] == lcs->b.data[*j - 1]) {
        (*i)--;
        (*j)--;
        match->len++;
    }
    match->a_at = *i;
    match->b_at = *j;
    return match->len > 0;
}

static void
reply_subsequence(struct call *call, const struct lcs *lcs)
{
    size_t i = lcs->a.len, j = lcs->b.len;
    size_t left = *lens_at(lcs, i, j);
    char *text = memory_try_alloc(left + 1);
    if (text == NULL) {
        call_reply_status(call, STATUS_NO_MEMORY);
        return;
    }
    size_t len = left;
    struct match match;
    while (next_match(lcs, &i, &j, &match)) {
        left -= match.len;
        memcpy(text + left, lcs->a.data + match.a_at, match.len);
    }
    reply_bulk(call->reply, text, len);
    memory_free(text);
}

static void
reply_range(struct reply *reply, size_t at, size_t len)
{
    reply_array(reply, 2);
    reply_int(reply, (int64_t)at);
    reply_int(reply, (int64_t)(at + len - 1));
}

static void
reply_index(struct call *call, const struct lcs *lcs)
{
    struct reply *reply = call->reply;
    size_t i = lcs->a.len, j = lcs->b.len;
    int64_t total = *lens_at(lcs, i, j);
    reply_map(reply, 2);
    reply_bulk_text(reply, "matches");
    size_t deferred = reply_defer(reply), count = 0;
    struct match match;
    while (next_match(lcs, &i, &j, &match)) {
        if ((int64_t)match.len < lcs->match_len_min)
            continue;
        reply_array(reply, lcs->wants_match_len ? 3 : 2);
        reply_range(reply, match.a_at, match.len);
        reply_range(reply, match.b_at, match.len);
        if (lcs->wants_match_len)
            reply_int(reply, (int64_t)match.len);
        count++;
    }
    reply_array_end(reply, deferred, count);
    reply_bulk_text(reply, "len");
    reply_int(reply, total);
}

static void
run_lcs(struct call *call, struct lcs *lcs)
{
    if (!parse_options(call, lcs) || !alloc_lens(call, lcs))
        return;
    fill_lens(lcs);
    if (lcs->wants_index)
        reply_index(call, lcs);
    else if (lcs->wants_len)
        reply_int(call->reply, *lens_at(lcs, lcs->a.len, lcs->b.len));
    else
        reply_subsequence(call, lcs);
    memory_free(lcs->lens);
}

static void
lcs(struct call *call)
{
    struct key *keys[2];
    if (!find_keys(call, keys))
        return;
    struct lcs state = { .a = SLICE(""), .b = SLICE("") };
    struct slice *values[2] = { &state.a, &state.b };
    struct buf scratch[2] = { BUF_INIT, BUF_INIT };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 2 && status == STATUS_OK; i++) {
        if (keys[i] != NULL)
            status = string_value_get(call, keys[i], &scratch[i], values[i]);
    }
    if (status != STATUS_OK)
        call_reply_status(call, status);
    else
        run_lcs(call, &state);
    buf_fini(&scratch[0]);
    buf_fini(&scratch[1]);
}

struct command commands_lcs[] = {
    { .name = "lcs",
        .run = lcs,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = { 1, 2, 1, 0, KEYS_RO | KEYS_ACCESS },
        .acl = ACL_STRING,
        .since = "7.0.0",
        .summary = "Finds the longest common substring.",
        .complexity =
            "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        .group = "string",
        .syntax = "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]" },
    { .name = NULL },
};
