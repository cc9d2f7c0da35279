/*
 * hash_visit.c -- the hash commands that visit fields they were not told:
 * HGETALL and its halves, HRANDFIELD, HSCAN.
 *
 * HRANDFIELD with a positive count wants distinct fields.  Two ways, by the
 * share asked for:
 *
 *   more than a third   one pass over all fields that takes each with the
 *                       probability (still wanted) / (still to come): every
 *                       subset is equally likely (Knuth, TAOCP vol. 2, 3.4.2,
 *                       algorithm S)
 *   less                draw random fields and drop those drawn before: on
 *                       average at most 1.5 draws for each
 *
 * HSCAN's cursor is a position in hash space (base/map.h); a listpack is
 * visited whole, as Redis does.
 */
#include "server/base/glob.h"
#include "server/base/random.h"
#include "server/commands/hash_visit.h"
#include "storage/objects/hash.h"

/* HRANDFIELD repeats fields as often as it is told: this many at most, so */
/* that one request cannot fill the memory. */
#define RANDOM_REPEATS_MAX (INT64_C(1) << 26)
/* One draw in this many or more is a repetition at worst; see above. */
#define RANDOM_SHARE 3
#define SCAN_COUNT_DEFAULT 10

/* What of a field goes into the reply. */
enum part { PART_FIELD = 1 << 0, PART_VALUE = 1 << 1 };

struct visit {
    struct reply *reply;
    unsigned parts;
    bool is_nested; /* each pair is an array of its own */
};

static void
reply_pair(const struct visit *visit, struct slice field, struct slice value)
{
    if (visit->is_nested)
        reply_array(visit->reply, 2);
    if (visit->parts & PART_FIELD)
        reply_slice(visit->reply, field);
    if (visit->parts & PART_VALUE)
        reply_slice(visit->reply, value);
}

static void
visit_all(struct slice field, struct slice value, void *arg)
{
    reply_pair(arg, field, value);
}

/* ---- HGETALL HKEYS HVALS ------------------------------------------------- */

static void
get_all(struct call *call, unsigned parts)
{
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    size_t len = key != NULL ? hash_object_len(key->hash) : 0;
    if (parts == (PART_FIELD | PART_VALUE))
        reply_map(call->reply, len);
    else
        reply_array(call->reply, len);
    struct visit visit = { call->reply, parts, false };
    if (key != NULL)
        hash_object_each(key->hash, visit_all, &visit);
}

void
hash_visit_hgetall(struct call *call)
{
    get_all(call, PART_FIELD | PART_VALUE);
}

void
hash_visit_hkeys(struct call *call)
{
    get_all(call, PART_FIELD);
}

void
hash_visit_hvals(struct call *call)
{
    get_all(call, PART_VALUE);
}

/* ---- HRANDFIELD ---------------------------------------------------------- */

struct selection {
    const struct visit *visit;
    size_t wanted, left; /* fields still to take, still to come */
};

static void
visit_selection(struct slice field, struct slice value, void *arg)
{
    struct selection *selection = arg;
    if (random_below(selection->left--) >= selection->wanted)
        return;
    selection->wanted--;
    reply_pair(selection->visit, field, value);
}

/* count different fields, count being far below the number of fields. */
static void
reply_drawn(
    const struct visit *visit, const struct hash_object *hash, size_t count)
{
    struct hash_object *drawn = hash_object_new(KEY_HASHTABLE);
    while (hash_object_len(drawn) < count) {
        struct slice field, value;
        hash_object_random(hash, &field, &value);
        if (hash_object_put(drawn, NULL, field, SLICE("")))
            reply_pair(visit, field, value);
    }
    hash_object_free(drawn);
}

static void
reply_distinct(
    struct visit *visit, const struct hash_object *hash, size_t count)
{
    size_t len = hash_object_len(hash);
    if (count > len)
        count = len;
    reply_array(visit->reply,
        visit->parts & PART_VALUE && !visit->is_nested ? count * 2 : count);
    if (count < len / RANDOM_SHARE) {
        reply_drawn(visit, hash, count);
        return;
    }
    struct selection selection = { visit, count, len };
    hash_object_each(hash, visit_selection, &selection);
}

static void
reply_repeated(
    struct visit *visit, const struct hash_object *hash, size_t count)
{
    reply_array(visit->reply,
        visit->parts & PART_VALUE && !visit->is_nested ? count * 2 : count);
    for (size_t i = 0; i < count; i++) {
        struct slice field, value;
        hash_object_random(hash, &field, &value);
        reply_pair(visit, field, value);
    }
}

/* count and WITHVALUES at argv[2..]; false: an error has been replied. */
static bool
parse_random_count(struct call *call, int64_t *count)
{
    if (!call_get_i64_in(call, 2, -INT64_MAX, INT64_MAX, count, NULL))
        return false;
    bool has_values = call->argc == 4;
    if (call->argc > 4 || (has_values && !call_arg_is(call, 3, "withvalues"))) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    int64_t limit = INT64_MAX / 2;
    if ((has_values && (*count > limit || *count < -limit)) ||
        *count < -RANDOM_REPEATS_MAX) {
        reply_error(call->reply, "ERR value is out of range");
        return false;
    }
    return true;
}

void
hash_visit_hrandfield(struct call *call)
{
    bool has_count = call->argc > 2;
    int64_t count = 1;
    if (has_count && !parse_random_count(call, &count))
        return;
    bool is_wrong = false;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    struct visit visit = { call->reply, PART_FIELD, false };
    if (!has_count) {
        struct slice field, value;
        if (key == NULL) {
            reply_null(call->reply);
            return;
        }
        hash_object_random(key->hash, &field, &value);
        reply_slice(call->reply, field);
        return;
    }
    if (call->argc == 4) {
        visit.parts |= PART_VALUE;
        visit.is_nested = call->reply->version == 3;
    }
    if (key == NULL || count == 0)
        reply_array(call->reply, 0);
    else if (count > 0)
        reply_distinct(&visit, key->hash, (size_t)count);
    else
        reply_repeated(&visit, key->hash, (size_t)-count);
}

/* ---- HSCAN --------------------------------------------------------------- */

struct scan {
    struct buf found;     /* of struct slice: field, value, field, ... */
    struct slice pattern; /* .data NULL: all */
    int64_t count;
};

/* Slices are lent by the hash, which does not change meanwhile. */
static void
visit_scanned(struct slice field, struct slice value, void *arg)
{
    struct scan *scan = arg;
    if (scan->pattern.data != NULL && !glob_match(scan->pattern, field))
        return;
    buf_append(&scan->found, &field, sizeof(field));
    buf_append(&scan->found, &value, sizeof(value));
}

/* MATCH and COUNT at argv[3..]; false: an error has been replied. */
static bool
parse_scan(struct call *call, struct scan *scan)
{
    for (size_t i = 3; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "match")) {
            scan->pattern = call->argv[i + 1];
        } else if (has_value && call_arg_is(call, i, "count")) {
            if (!call_get_i64(call, i + 1, &scan->count, NULL))
                return false;
            if (scan->count < 1) {
                reply_error(call->reply, ERROR_SYNTAX);
                return false;
            }
        } else {
            reply_error(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void
hash_visit_hscan(struct call *call)
{
    uint64_t cursor;
    bool is_wrong = false;
    if (!call_get_cursor(call, 2, &cursor))
        return;
    struct key *key = call_find_typed(call, 1, KEY_HASH, &is_wrong);
    if (is_wrong)
        return;
    struct scan scan = { BUF_INIT, { NULL, 0 }, SCAN_COUNT_DEFAULT };
    /* Redis looks at the options only where there is a hash. */
    if (key != NULL && !parse_scan(call, &scan))
        return;
    cursor = key == NULL ? 0
                         : hash_object_scan(key->hash, cursor,
                               (size_t)scan.count, visit_scanned, &scan);
    reply_array(call->reply, 2);
    reply_bulk_i64(call->reply, (int64_t)cursor);
    size_t count = scan.found.len / sizeof(struct slice);
    const struct slice *found = (const void *)scan.found.data;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        reply_slice(call->reply, found[i]);
    buf_fini(&scan.found);
}
