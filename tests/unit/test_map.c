/*
 * test_map.c -- the map against a plain array, and the scan guarantee while
 * the map grows and shrinks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/hash.h"
#include "server/base/map.h"
#include "server/base/random.h"

#define ENTRIES 20000

struct entry {
    struct map_node node;
    uint64_t key;
    uint32_t visits;
    bool is_in;
    bool is_stable; /* stays in the map for a whole scan */
};

static struct entry entries[ENTRIES];

static bool
match(const struct map_node *node, const void *key)
{
    const struct entry *entry =
        (const struct entry *)(const void *)((const char *)node -
                                             offsetof(struct entry, node));

    return entry->key == *(const uint64_t *)key;
}

static void
count_visit(struct map_node *node, void *arg)
{
    (void)arg;
    MAP_ENTRY(node, struct entry, node)->visits++;
}

static uint64_t
hash_of(size_t i)
{
    return hash_u64(i * 2654435761u + 1);
}

static void
add(struct map *map, size_t i)
{
    entries[i].key = i;
    entries[i].is_in = true;
    map_add(map, &entries[i].node, hash_of(i));
}

static void
drop(struct map *map, size_t i)
{
    entries[i].is_in = false;
    map_remove(map, &entries[i].node);
}

static void
check_all(const struct map *map)
{
    size_t count = 0;

    map_check(map);
    for (size_t i = 0; i < ENTRIES; i++) {
        uint64_t key = i;
        struct map_node *node = map_find(map, hash_of(i), match, &key);
        assert_ptr_equal(node, entries[i].is_in ? &entries[i].node : NULL);
        count += entries[i].is_in;
    }
    assert_int_equal(map->count, count);
}

static int
reset(void **state)
{
    (void)state;
    random_set_seed(42);
    memset(entries, 0, sizeof(entries));
    return 0;
}

static void
test_random_operations(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    /* Waves: mostly additions, then mostly removals. */
    for (int wave = 0; wave < 8; wave++) {
        for (int i = 0; i < 40000; i++) {
            size_t k = random_below(ENTRIES);
            bool want_in = random_below(100) < (wave % 2 == 0 ? 95 : 4);
            if (want_in && !entries[k].is_in)
                add(&map, k);
            else if (!want_in && entries[k].is_in)
                drop(&map, k);
            if (i % 4000 == 0)
                map_check(&map);
        }
        check_all(&map);
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        if (entries[i].is_in)
            drop(&map, i);
    }
    assert_int_equal(map.count, 0);
    assert_int_equal(map_memory(&map), 0);
    map_fini(&map);
}

/* One whole scan while others come (target above) or go (below). */
static void
scan_under_change(struct map *map, size_t target, size_t wanted)
{
    uint64_t cursor = 0;

    for (size_t i = 0; i < ENTRIES; i++) {
        entries[i].visits = 0;
        /* One in sixteen stays all the time. */
        entries[i].is_stable = entries[i].is_in && i % 16 == 0;
    }
    do {
        cursor = map_scan(map, cursor, wanted, count_visit, NULL);
        assert_true(cursor >> 48 == 0);
        for (int j = 0; j < 40; j++) {
            size_t k = random_below(ENTRIES);
            if (map->count < target && !entries[k].is_in)
                add(map, k);
            else if (map->count > target && entries[k].is_in &&
                     !entries[k].is_stable)
                drop(map, k);
        }
    } while (cursor != 0);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (entries[i].is_stable)
            assert_int_equal(entries[i].visits, 1);
    }
    map_check(map);
}

static void
test_scan_guarantee(void **state)
{
    static const size_t targets[] = { 64, ENTRIES, 2000, 12000, 100, 5000 };
    struct map map;

    (void)state;
    map_init(&map);
    for (size_t i = 0; i < ENTRIES / 2; i++)
        add(&map, i);
    for (int round = 0; round < 60; round++)
        scan_under_change(&map, targets[random_below(6)], 1 + random_below(50));
    while (map_pop(&map) != NULL)
        continue;
    map_fini(&map);
}

static void
test_scan_in_the_middle_of_a_resize(void **state)
{
    struct map map;

    (void)state;
    /* Stop at every size, so also in every state of a move; scan it all. */
    map_init(&map);
    for (size_t n = 0; n < 3000; n++) {
        add(&map, n);
        if (n % 7 != 0 && (n & (n + 1)) != 0)
            continue;
        for (size_t i = 0; i <= n; i++)
            entries[i].visits = 0;
        uint64_t cursor = 0;
        do
            cursor = map_scan(&map, cursor, 3, count_visit, NULL);
        while (cursor != 0);
        struct map_iter iter;
        map_iter_start(&iter, &map);
        for (struct map_node *node; (node = map_iter_next(&iter)) != NULL;)
            MAP_ENTRY(node, struct entry, node)->visits++;
        for (size_t i = 0; i <= n; i++)
            assert_int_equal(entries[i].visits, 2);
    }
    for (size_t n = 0; n < 3000; n++) {
        drop(&map, n);
        size_t seen = 0;
        struct map_iter iter;
        map_iter_start(&iter, &map);
        while (map_iter_next(&iter) != NULL)
            seen++;
        assert_int_equal(seen, map.count);
    }
    map_fini(&map);
}

static void
test_equal_hashes(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    for (size_t i = 0; i < 100; i++) {
        entries[i].key = i;
        /* Both ends of hash space. */
        map_add(&map, &entries[i].node, i % 2 == 0 ? 0 : UINT64_MAX);
    }
    map_check(&map);
    for (uint64_t i = 0; i < 100; i++)
        assert_ptr_equal(map_find(&map, i % 2 == 0 ? 0 : UINT64_MAX, match, &i),
            &entries[i].node);
    uint64_t cursor = map_scan(&map, 0, 1, count_visit, NULL);
    while (cursor != 0)
        cursor = map_scan(&map, cursor, 1, count_visit, NULL);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(entries[i].visits, 1);
    assert_int_equal(map_scan(&map, UINT64_MAX, 1, count_visit, NULL), 0);
    map_clear(&map, count_visit, NULL);
    assert_int_equal(map.count, 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(entries[i].visits, 2);
}

static void
test_replace_pop_clear(void **state)
{
    struct map map;
    struct entry fresh = { .key = 5 };
    uint64_t key = 5;

    (void)state;
    map_init(&map);
    assert_null(map_pop(&map));
    for (size_t i = 0; i < 1000; i++)
        add(&map, i);
    map_replace(&map, &entries[5].node, &fresh.node);
    map_check(&map);
    assert_ptr_equal(map_find(&map, hash_of(5), match, &key), &fresh.node);
    size_t popped = 0;
    while (map_pop(&map) != NULL) {
        popped++;
        if (popped % 50 == 0)
            map_check(&map);
        /* An addition among the pops. */
        if (popped == 500)
            add(&map, 2000);
    }
    assert_int_equal(popped, 1001);
    assert_int_equal(map_memory(&map), 0);
    add(&map, 1);
    map_clear(&map, count_visit, NULL);
    assert_int_equal(entries[1].visits, 1);
    map_check(&map);
}

static void
test_random_reaches_all(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    assert_null(map_random(&map, 7));
    for (size_t i = 0; i < 100; i++)
        add(&map, i);
    for (int i = 0; i < 100000; i++)
        count_visit(map_random(&map, random_u64()), NULL);
    for (size_t i = 0; i < 100; i++)
        assert_in_range(entries[i].visits, 100, 6000);
    /* Nearly empty: pop leaves the table as large as it was. */
    for (size_t i = 100; i < ENTRIES; i++)
        add(&map, i);
    while (map.count > 1)
        map_pop(&map);
    for (int i = 0; i < 100; i++)
        assert_non_null(map_random(&map, random_u64()));
    map_pop(&map);
    map_fini(&map);
}

/* Chi-squared of draws over count entries, as a multiple of the expected. */
static double
unfairness(const struct map *map, size_t count, int draws)
{
    double expected = (double)draws / (double)count, sum = 0;

    for (size_t i = 0; i < count; i++)
        entries[i].visits = 0;
    for (int i = 0; i < draws; i++)
        count_visit(map_random_fair(map, random_u64()), NULL);
    for (size_t i = 0; i < count; i++) {
        double off = (double)entries[i].visits - expected;
        sum += off * off / expected;
    }
    return sum / (double)(count - 1);
}

static void
test_random_is_fair(void **state)
{
    struct map map;

    (void)state;
    map_init(&map);
    assert_null(map_random_fair(&map, 7));
    /* Also while a table grows, at any stage of it. */
    for (size_t i = 0; i < 300; i++) {
        add(&map, i);
        if (i % 37 == 36)
            assert_true(unfairness(&map, i + 1, 20000) < 3.0);
    }
    while (map.count > 1)
        map_pop(&map);
    assert_non_null(map_random_fair(&map, random_u64()));
    map_pop(&map);
    map_fini(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_random_operations, reset),
        cmocka_unit_test_setup(test_scan_guarantee, reset),
        cmocka_unit_test_setup(test_scan_in_the_middle_of_a_resize, reset),
        cmocka_unit_test_setup(test_equal_hashes, reset),
        cmocka_unit_test_setup(test_replace_pop_clear, reset),
        cmocka_unit_test_setup(test_random_reaches_all, reset),
        cmocka_unit_test_setup(test_random_is_fair, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
