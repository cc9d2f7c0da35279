/*
 * evict.c -- keeping memory under maxmemory.
 *
 * Sampled LRU or LFU as Redis does it (evict.c there): a few random keys are
 * looked at, the best candidates are kept in a small pool from round to round,
 * and the best of the pool goes.  Only clean keys are candidates (D4), so when
 * samples keep turning up dirty ones, the answer is to fold.
 *
 * LFU packs 16 bits of minutes and 8 bits of a logarithmic counter into
 * key->access, with Redis's defaults: lfu-log-factor 10, lfu-decay-time 1.
 */
#include "storage/evict.h"

#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/base/random.h"
#include "storage/resident.h"

#define EVICT_SAMPLES 5     /* maxmemory-samples */
#define EVICT_MISSES_MAX 32 /* rounds without a candidate: give up */
#define EVICT_STEP 8        /* rounds between looks at the clock */
/* A round's time grows with what is above memory_max, in percent of it, up */
/* to this many: or fast writers would outrun their evictions. */
#define EVICT_OVER_MAX 100
#define EVICT_ALL_STEP 256 /* entries of a map at a time */
#define LFU_INIT_VALUE 5   /* counters decay towards 0, new ones start */
#define LFU_LOG_FACTOR 10
#define LFU_COUNTER_MAX 255

/* ---- how much a key is used ---------------------------------------------- */

static uint32_t
lfu_minutes(const struct keyspace *keyspace)
{
    return (uint32_t)((keyspace->now_ms / 60000) & 0xffff);
}

/* The counter, less one for each minute since it was last looked at. */
static uint32_t
lfu_counter(const struct keyspace *keyspace, const struct key *key)
{
    uint32_t counter = key->access & 0xff;
    uint32_t minutes = (lfu_minutes(keyspace) - (key->access >> 8)) & 0xffff;

    return minutes >= counter ? 0 : counter - minutes;
}

static uint32_t
lfu_increment(uint32_t counter)
{
    uint32_t base = counter > LFU_INIT_VALUE ? counter - LFU_INIT_VALUE : 0;

    if (counter == LFU_COUNTER_MAX)
        return counter;
    return counter + (random_below(base * LFU_LOG_FACTOR + 1) == 0);
}

void
evict_count_access(struct keyspace *keyspace, struct key *key)
{
    if (!keyspace->options.is_lfu) {
        key->access = (uint32_t)(keyspace->now_ms / 1000);
        return;
    }
    key->access =
        lfu_minutes(keyspace) << 8 | lfu_increment(lfu_counter(keyspace, key));
}

uint64_t
evict_idle_s(const struct keyspace *keyspace, const struct key *key)
{
    int64_t now_s = keyspace->now_ms / 1000;

    if (keyspace->options.is_lfu || now_s < (int64_t)key->access)
        return 0;
    return (uint64_t)(now_s - (int64_t)key->access);
}

unsigned
evict_frequency(const struct keyspace *keyspace, const struct key *key)
{
    return keyspace->options.is_lfu ? lfu_counter(keyspace, key) : 0;
}

/* The larger, the sooner it goes. */
static uint64_t
uselessness(const struct keyspace *keyspace, const struct key *key)
{
    if (keyspace->options.is_lfu)
        return LFU_COUNTER_MAX - lfu_counter(keyspace, key);
    return evict_idle_s(keyspace, key);
}

/* ---- the pool ------------------------------------------------------------ */

static bool
is_candidate(const struct keyspace *keyspace, const struct key *key)
{
    return resident_is_live(key) && resident_is_clean(keyspace, key);
}

/* The pool is in order, the most useless last; a full one loses its first. */
static void
pool_add(struct keyspace *keyspace, struct key *key)
{
    struct key **pool = keyspace->pool;
    uint64_t useless = uselessness(keyspace, key);
    size_t at = 0;

    if (key->is_pooled)
        return;
    while (
        at < keyspace->pool_count && uselessness(keyspace, pool[at]) < useless)
        at++;
    if (keyspace->pool_count == RESIDENT_POOL_SIZE) {
        if (at == 0)
            return;
        pool[0]->is_pooled = false;
        at--;
        for (size_t i = 0; i < at; i++)
            pool[i] = pool[i + 1];
    } else {
        for (size_t i = keyspace->pool_count; i > at; i--)
            pool[i] = pool[i - 1];
        keyspace->pool_count++;
    }
    pool[at] = key;
    key->is_pooled = true;
}

/* The best candidate leaves the pool, or NULL. */
static struct key *
pool_pop(struct keyspace *keyspace)
{
    while (keyspace->pool_count > 0) {
        struct key *key = keyspace->pool[--keyspace->pool_count];
        key->is_pooled = false;
        if (is_candidate(keyspace, key))
            return key;
    }
    return NULL;
}

/* ---- rounds -------------------------------------------------------------- */

static size_t
names_in_memory(const struct keyspace *keyspace)
{
    size_t names = 0;

    for (int i = 0; i < keyspace->databases_count; i++)
        names += keyspace->databases[i]->keys.count;
    return names;
}

/* A database with the chance of its share of the names, or NULL. */
static struct physical *
random_home(const struct keyspace *keyspace)
{
    size_t names = names_in_memory(keyspace);
    uint64_t at;

    if (names == 0)
        return NULL;
    at = random_below(names);
    for (int i = 0; i < keyspace->databases_count; i++) {
        struct physical *home = keyspace->databases[i];
        if (at < home->keys.count)
            return home;
        at -= home->keys.count;
    }
    return NULL;
}

/* true: a key was evicted. */
static bool
evict_one(struct keyspace *keyspace)
{
    struct physical *home = random_home(keyspace);
    struct key *key;

    if (home == NULL)
        return false;
    for (int i = 0; i < EVICT_SAMPLES; i++) {
        key = resident_key_of(map_random(&home->keys, random_u64()));
        if (is_candidate(keyspace, key))
            pool_add(keyspace, key);
    }
    key = pool_pop(keyspace);
    if (key == NULL)
        return false;
    resident_evict(keyspace, key);
    return true;
}

bool
evict_run(struct keyspace *keyspace, int64_t budget_us)
{
    uint64_t memory_max = keyspace->options.memory_max;
    int64_t end_us;
    int misses = 0;

    if (memory_max == 0 || keyspace->memory <= memory_max)
        return false;
    if (keyspace->dirty_count >= names_in_memory(keyspace))
        return true;
    uint64_t over = (keyspace->memory - memory_max) / (memory_max / 100 + 1);
    if (over > EVICT_OVER_MAX)
        over = EVICT_OVER_MAX;
    end_us = clock_monotonic_us() + budget_us * (int64_t)(1 + over);
    do {
        for (int i = 0; i < EVICT_STEP; i++) {
            misses = evict_one(keyspace) ? 0 : misses + 1;
            if (keyspace->memory <= memory_max)
                return false;
            if (misses > EVICT_MISSES_MAX)
                return keyspace->dirty_count > 0;
        }
    } while (clock_monotonic_us() < end_us);
    return false;
}

/* ---- everything ---------------------------------------------------------- */

struct collecting {
    struct keyspace *keyspace;
    struct key **keys;
    size_t count, size;
};

static void
collect(struct map_node *node, void *arg)
{
    struct collecting *collecting = arg;
    struct key *key = resident_key_of(node);

    if (!is_candidate(collecting->keyspace, key))
        return;
    if (collecting->count == collecting->size) {
        collecting->size = collecting->size * 2 + EVICT_ALL_STEP;
        collecting->keys = memory_realloc(
            collecting->keys, collecting->size * sizeof(struct key *));
    }
    collecting->keys[collecting->count++] = key;
}

static int
compare_pointers(const void *a, const void *b)
{
    const struct key *const *one = a, *const *two = b;

    return *one < *two ? -1 : *one > *two;
}

uint64_t
evict_all(struct keyspace *keyspace)
{
    struct collecting collecting = { keyspace, NULL, 0, 0 };
    uint64_t evicted = 0;

    while (resident_settle(keyspace, EVICT_ALL_STEP))
        continue;
    for (int i = 0; i < keyspace->databases_count; i++) {
        uint64_t cursor = 0;
        do {
            collecting.count = 0;
            cursor = map_scan(&keyspace->databases[i]->keys, cursor,
                EVICT_ALL_STEP, collect, &collecting);
            /* A scan may visit an entry twice. */
            if (collecting.count > 1)
                qsort(collecting.keys, collecting.count, sizeof(struct key *),
                    compare_pointers);
            for (size_t k = 0; k < collecting.count; k++) {
                if (k > 0 && collecting.keys[k] == collecting.keys[k - 1])
                    continue;
                resident_evict(keyspace, collecting.keys[k]);
                evicted++;
            }
        } while (cursor != 0);
    }
    memory_free(collecting.keys);
    return evicted;
}
