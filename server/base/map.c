/*
 * map.c -- an intrusive hash table that grows and shrinks a little at a time.
 *
 * A table of 2^bits buckets puts a hash into bucket hash >> (64 - bits), so a
 * bucket is a stretch of hash space and the buckets are in hash order.  While
 * the map changes size there are two tables, and one mark divides hash space
 * between them:
 *
 *      0                    mark                                  2^64
 *      |---- in buckets ----|------------ in old_buckets ----------|
 *                           moved << (64 - old_bits)
 *
 * Every hash therefore has exactly one bucket at any time: a lookup reads one
 * chain, a new entry goes where a lookup would look for it, and a scan is
 * simply a walk from position to position.  Each change moves the mark on by
 * at most MAP_STEP old buckets; load limits are such that the mark reaches
 * the end well before the next change of size is due.
 *
 * low remembers a part of hash space known to be empty, so that emptying a
 * map with map_pop() does not search the same buckets again and again.
 *
 *   M1  Every node is in the one bucket its hash belongs to.
 *   M2  count is the number of nodes.
 *   M3  No node's hash is below low << 32.
 */
#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/map.h"
#include "server/base/memory.h"

#define MAP_STEP 16         /* old buckets moved by one change */
#define MAP_BITS_MIN 2      /* the smallest table has four buckets */
#define MAP_BITS_MAX 48     /* scan cursors cannot tell more apart */
#define MAP_SHRINK_FACTOR 8 /* shrink below one entry in so many buckets */
#define MAP_CURSOR_SHIFT 16 /* a cursor is the top 48 bits of a hash */
#define MAP_RANDOM_TRIES 64 /* random buckets tried before walking on */
#define MAP_FAIR_TRIES 4096 /* the same, where fairness is asked for */
#define MAP_FAIR_CHAIN 8    /* entries of a bucket that are told apart */

static inline size_t
bucket_of(uint64_t hash, uint8_t bits)
{
    return (size_t)(hash >> (64 - bits));
}

static inline size_t
bucket_count(uint8_t bits)
{
    return (size_t)1 << bits;
}

static inline bool
is_in_old(const struct map *map, uint64_t hash)
{
    return map->old_buckets != NULL &&
           bucket_of(hash, map->old_bits) >= map->moved;
}

/* The one bucket that hash belongs to; the map has a table. */
static inline struct map_node **
find_bucket(const struct map *map, uint64_t hash)
{
    if (is_in_old(map, hash))
        return &map->old_buckets[bucket_of(hash, map->old_bits)];
    return &map->buckets[bucket_of(hash, map->bits)];
}

/* Where the stretch of hash's bucket ends: the first hash behind it, 0 for */
/* the end of hash space. */
static uint64_t
bucket_end(const struct map *map, uint64_t hash)
{
    if (is_in_old(map, hash)) {
        unsigned shift = 64 - map->old_bits;
        return ((hash >> shift) + 1) << shift;
    }
    unsigned shift = 64 - map->bits;
    uint64_t end = ((hash >> shift) + 1) << shift;
    if (map->old_buckets != NULL) {
        /* When shrinking, the mark may lie inside a bucket. */
        uint64_t mark = (uint64_t)map->moved << (64 - map->old_bits);
        if (end == 0 || mark < end)
            end = mark;
    }
    return end;
}

void
map_init(struct map *map)
{
    *map = (struct map){ 0 };
}

void
map_fini(struct map *map)
{
    memory_free(map->buckets);
    memory_free(map->old_buckets);
    map_init(map);
}

static void
visit_table(
    struct map_node **buckets, size_t count, map_visit_fn visit, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        struct map_node *node = buckets[i];
        while (node != NULL) {
            /* visit may free the node. */
            struct map_node *next = node->next;
            visit(node, arg);
            node = next;
        }
    }
}

void
map_clear(struct map *map, map_visit_fn visit, void *arg)
{
    if (map->buckets != NULL)
        visit_table(map->buckets, bucket_count(map->bits), visit, arg);
    if (map->old_buckets != NULL)
        visit_table(map->old_buckets, bucket_count(map->old_bits), visit, arg);
    map_fini(map);
}

/* Move one old bucket's nodes to where they belong behind the mark. */
static void
move_bucket(struct map *map)
{
    struct map_node *node = map->old_buckets[map->moved];

    map->old_buckets[map->moved] = NULL;
    while (node != NULL) {
        struct map_node *next = node->next;
        struct map_node **bucket =
            &map->buckets[bucket_of(node->hash, map->bits)];
        node->next = *bucket;
        *bucket = node;
        node = next;
    }
    map->moved++;
}

static void
step(struct map *map)
{
    size_t old_count = bucket_count(map->old_bits);

    for (int i = 0; i < MAP_STEP && map->moved < old_count; i++)
        move_bucket(map);
    if (map->moved == old_count) {
        memory_free(map->old_buckets);
        map->old_buckets = NULL;
        map->old_bits = 0;
        map->moved = 0;
    }
}

static void
start_resize(struct map *map, uint8_t bits)
{
    struct map_node **buckets =
        memory_zalloc(bucket_count(bits) * sizeof(*buckets));

    map->old_buckets = map->buckets;
    map->old_bits = map->bits;
    map->moved = 0;
    map->buckets = buckets;
    map->bits = bits;
}

/* Before an addition: one more step of a resize, or begin one if due. */
static void
make_room(struct map *map)
{
    if (map->buckets == NULL) {
        map->bits = MAP_BITS_MIN;
        map->buckets =
            memory_zalloc(bucket_count(map->bits) * sizeof(*map->buckets));
    } else if (map->old_buckets == NULL &&
               map->count >= bucket_count(map->bits) &&
               map->bits < MAP_BITS_MAX) {
        start_resize(map, map->bits + 1);
    }
    if (map->old_buckets != NULL)
        step(map);
}

/* After a removal. */
static void
give_room(struct map *map)
{
    if (map->count == 0) {
        map_fini(map);
        return;
    }
    if (map->old_buckets == NULL && map->bits > MAP_BITS_MIN &&
        map->count < bucket_count(map->bits) / MAP_SHRINK_FACTOR) {
        /* Two bits less: neither growing nor shrinking is due soon. */
        uint8_t bits = map->bits - 2;
        start_resize(map, bits < MAP_BITS_MIN ? MAP_BITS_MIN : bits);
    }
    if (map->old_buckets != NULL)
        step(map);
}

struct map_node *
map_find(
    const struct map *map, uint64_t hash, map_match_fn match, const void *key)
{
    if (map->count == 0)
        return NULL;
    struct map_node *node = *find_bucket(map, hash);
    while (node != NULL) {
        if (node->hash == hash && match(node, key))
            return node;
        node = node->next;
    }
    return NULL;
}

void
map_prefetch_bucket(const struct map *map, uint64_t hash)
{
    if (map->count > 0)
        __builtin_prefetch(find_bucket(map, hash));
}

const struct map_node *
map_prefetch_node(const struct map *map, uint64_t hash)
{
    const struct map_node *node;

    if (map->count == 0)
        return NULL;
    node = *find_bucket(map, hash);
    __builtin_prefetch(node);
    return node;
}

void
map_add(struct map *map, struct map_node *node, uint64_t hash)
{
    make_room(map);
    struct map_node **bucket = find_bucket(map, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    if (map->count == 0 || hash >> 32 < map->low)
        map->low = (uint32_t)(hash >> 32);
    map->count++;
}

/* The pointer that points to node, which must be in the map. */
static struct map_node **
find_link(struct map *map, const struct map_node *node)
{
    CHECK(map->count > 0);
    struct map_node **link = find_bucket(map, node->hash);
    while (*link != node) {
        CHECK(*link != NULL);
        link = &(*link)->next;
    }
    return link;
}

void
map_remove(struct map *map, struct map_node *node)
{
    struct map_node **link = find_link(map, node);

    *link = node->next;
    node->next = NULL;
    map->count--;
    give_room(map);
}

void
map_replace(struct map *map, struct map_node *stale, struct map_node *fresh)
{
    struct map_node **link = find_link(map, stale);

    fresh->hash = stale->hash;
    fresh->next = stale->next;
    *link = fresh;
    stale->next = NULL;
}

uint64_t
map_scan(const struct map *map, uint64_t cursor, size_t wanted,
    map_visit_fn visit, void *arg)
{
    size_t visited = 0;

    if (map->count == 0 || cursor >> (64 - MAP_CURSOR_SHIFT) != 0)
        return 0;
    uint64_t at = cursor << MAP_CURSOR_SHIFT;
    do {
        uint64_t end = bucket_end(map, at);
        struct map_node *node = *find_bucket(map, at);
        while (node != NULL) {
            struct map_node *next = node->next;
            /* A cursor from a larger table may point into a bucket: what is */
            /* before it was visited then. */
            if (node->hash >> MAP_CURSOR_SHIFT >= cursor) {
                visit(node, arg);
                visited++;
            }
            node = next;
        }
        at = end;
        cursor = at >> MAP_CURSOR_SHIFT;
    } while (at != 0 && visited < wanted);
    return cursor;
}

static struct map_node *
pick_in_bucket(struct map_node *first, uint64_t random)
{
    uint64_t len = 0;
    struct map_node *node;

    for (node = first; node != NULL; node = node->next)
        len++;
    node = first;
    for (uint64_t i = random % len; i > 0; i--)
        node = node->next;
    return node;
}

struct map_node *
map_random(const struct map *map, uint64_t random)
{
    struct map_node *first = NULL;
    uint64_t at = random;

    if (map->count == 0)
        return NULL;
    for (int i = 0; i < MAP_RANDOM_TRIES; i++) {
        first = *find_bucket(map, at);
        if (first != NULL)
            return pick_in_bucket(first, hash_u64(~at));
        at = hash_u64(at + UINT64_C(0x9e3779b97f4a7c15));
    }
    /* A table that is nearly empty: the next entry in hash order. */
    while (first == NULL) {
        at = bucket_end(map, at);
        first = *find_bucket(map, at);
    }
    return pick_in_bucket(first, hash_u64(~at));
}

static uint64_t
chain_len(const struct map_node *node)
{
    uint64_t len = 0;
    for (; node != NULL; node = node->next)
        len++;
    return len;
}

/*
 * A position in hash space is in a bucket of length len with a probability
 * that is the bucket's width; taking it with the probability len / width (both
 * in proportion to their largest) makes all entries equal.  Buckets longer than
 * MAP_FAIR_CHAIN, about one in a million, lose a little.
 */
struct map_node *
map_random_fair(const struct map *map, uint64_t random)
{
    uint8_t narrowest = map->bits;
    uint64_t at = random;

    if (map->old_buckets != NULL && map->old_bits > narrowest)
        narrowest = map->old_bits;
    for (int i = 0; i < MAP_FAIR_TRIES && map->count > 0; i++) {
        uint8_t bits = is_in_old(map, at) ? map->old_bits : map->bits;
        struct map_node *first = *find_bucket(map, at);
        uint64_t sides = (uint64_t)MAP_FAIR_CHAIN << (narrowest - bits);
        at = hash_u64(at + UINT64_C(0x9e3779b97f4a7c15));
        if (at % sides < chain_len(first))
            return pick_in_bucket(first, hash_u64(~at));
        at = hash_u64(at + UINT64_C(0x9e3779b97f4a7c15));
    }
    return map_random(map, at);
}

/* How many buckets of the new table can hold entries. */
static size_t
new_buckets_used(const struct map *map)
{
    if (map->buckets == NULL)
        return 0;
    if (map->old_buckets == NULL)
        return bucket_count(map->bits);
    if (map->bits >= map->old_bits)
        return map->moved << (map->bits - map->old_bits);
    unsigned shift = map->old_bits - map->bits;
    return (map->moved + bucket_count((uint8_t)shift) - 1) >> shift;
}

void
map_iter_start(struct map_iter *iter, const struct map *map)
{
    *iter = (struct map_iter){ .map = map };
}

struct map_node *
map_iter_next(struct map_iter *iter)
{
    const struct map *map = iter->map;

    while (iter->next == NULL && !iter->is_old) {
        if (iter->bucket < new_buckets_used(map)) {
            iter->next = map->buckets[iter->bucket++];
        } else {
            iter->is_old = true;
            iter->bucket = map->moved;
        }
    }
    while (iter->next == NULL) {
        if (map->old_buckets == NULL ||
            iter->bucket >= bucket_count(map->old_bits))
            return NULL;
        iter->next = map->old_buckets[iter->bucket++];
    }
    struct map_node *node = iter->next;
    iter->next = node->next;
    return node;
}

struct map_node *
map_pop(struct map *map)
{
    if (map->count == 0)
        return NULL;
    uint64_t at = (uint64_t)map->low << 32;
    struct map_node **bucket = find_bucket(map, at);
    while (*bucket == NULL) {
        at = bucket_end(map, at);
        CHECK(at != 0);
        bucket = find_bucket(map, at);
    }
    /* No resizing here: whoever pops means to empty the map. */
    map->low = (uint32_t)(at >> 32);
    struct map_node *node = *bucket;
    *bucket = node->next;
    node->next = NULL;
    map->count--;
    if (map->count == 0)
        map_fini(map);
    return node;
}

size_t
map_memory(const struct map *map)
{
    return memory_usable(map->buckets) + memory_usable(map->old_buckets);
}

/* Check one table; answer its number of nodes. */
static size_t
check_table(
    const struct map *map, struct map_node **buckets, uint8_t bits, bool is_old)
{
    size_t nodes = 0;

    for (size_t i = 0; i < bucket_count(bits); i++) {
        for (struct map_node *node = buckets[i]; node; node = node->next) {
            CHECK(is_in_old(map, node->hash) == is_old);
            CHECK(bucket_of(node->hash, bits) == i);
            CHECK(node->hash >> 32 >= map->low);
            nodes++;
        }
    }
    return nodes;
}

void
map_check(const struct map *map)
{
    size_t nodes = 0;

    CHECK((map->count == 0) == (map->buckets == NULL));
    if (map->buckets != NULL)
        nodes += check_table(map, map->buckets, map->bits, false);
    if (map->old_buckets != NULL) {
        CHECK(map->moved < bucket_count(map->old_bits));
        nodes += check_table(map, map->old_buckets, map->old_bits, true);
    }
    CHECK(nodes == map->count);
}
