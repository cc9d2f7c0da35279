/*
 * map.h -- an intrusive hash table that never pauses and can be scanned.
 *
 * The caller's entry embeds a struct map_node and owns its memory.  Buckets
 * are chosen by the TOP bits of the hash, so a walk over the buckets is a walk
 * in hash order whatever the table's size: a scan cursor is a position in hash
 * space and stays good when the table grows, shrinks or is built anew from
 * disk.  Growing and shrinking move a few buckets at each change (two tables
 * meanwhile); a bucket i of the small table becomes 2i and 2i+1 of the large.
 *
 *   Scan guarantee: an entry in the map from the first call to the last is
 *   visited at least once.
 *
 * Thread: the owner's.  Cost: O(1) each, at most MAP_STEP buckets moved.
 */
#ifndef WALDEN_BASE_MAP_H
#define WALDEN_BASE_MAP_H

#include "server/base/slice.h"

#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

/* Does the entry that embeds node have this key? */
typedef bool (*map_match_fn)(const struct map_node *node, const void *key);
/* Called for each entry; a scan's visitor must not add or remove. */
typedef void (*map_visit_fn)(struct map_node *node, void *arg);

struct map {
    struct map_node **buckets;     /* 2^bits of them; NULL while empty */
    struct map_node **old_buckets; /* being emptied, or NULL */
    size_t count;                  /* entries */
    size_t moved;                  /* old buckets emptied so far */
    uint8_t bits;
    uint8_t old_bits;
    uint32_t low; /* no entry's hash is below low << 32 */
};

void map_init(struct map *map);

/* Frees the table, not the entries: take them out first, or use map_clear. */
void map_fini(struct map *map);

/* Visit (and typically free) every entry, then be empty. */
void map_clear(struct map *map, map_visit_fn visit, void *arg);

/* The entry, or NULL.  key is passed to match unchanged. */
struct map_node *map_find(
    const struct map *map, uint64_t hash, map_match_fn match, const void *key);
/*
 * Have the processor fetch what map_find() of hash is going to read, without
 * waiting for it: the bucket, and, a little later, the bucket's first node.
 * Worth while when many hashes are known before the first is looked up.
 * map_prefetch_node() answers where that node is, NULL if there is none; it
 * need not have this hash.
 */
void map_prefetch_bucket(const struct map *map, uint64_t hash);
const struct map_node *map_prefetch_node(const struct map *map, uint64_t hash);

/* Add node, which must not be there yet, under hash. */
void map_add(struct map *map, struct map_node *node, uint64_t hash);

/* Remove node, which must be there. */
void map_remove(struct map *map, struct map_node *node);

/* Put fresh (same key, same hash) where stale is.  stale leaves the map. */
void map_replace(
    struct map *map, struct map_node *stale, struct map_node *fresh);

/*
 * Visit at least one bucket from cursor on, and further ones until wanted
 * entries were visited or the end is reached.  Start with 0; the answer is the
 * next cursor, 0 at the end.  Cursors fit in 48 bits.
 */
uint64_t map_scan(const struct map *map, uint64_t cursor, size_t wanted,
    map_visit_fn visit, void *arg);

/* A random entry (random: 64 random bits), fair within a bucket's length; */
/* NULL when empty. */
struct map_node *map_random(const struct map *map, uint64_t random);
/* As map_random(), but each entry is as likely as any other, whatever the */
/* length of its bucket.  Cost: some ten buckets are looked at. */
struct map_node *map_random_fair(const struct map *map, uint64_t random);

/* Every entry, in hash order; for loops that change nothing. */
struct map_iter {
    const struct map *map;
    struct map_node *next;
    size_t bucket;
    bool is_old;
};
void map_iter_start(struct map_iter *iter, const struct map *map);
struct map_node *map_iter_next(struct map_iter *iter);

/* Take out and give any entry of the map, or NULL: to free it in slices. */
struct map_node *map_pop(struct map *map);

/* Bytes of the tables. */
size_t map_memory(const struct map *map);

/* Check the invariants (every node in its bucket, count right); debug. */
void map_check(const struct map *map);

#define MAP_ENTRY(node, type, member) \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
