/*
 * test_keyspace_model.c -- random changes against a model, with commits, folds,
 * evictions, reloads after a failed commit (D2) and restarts in between; every
 * key is compared afterwards (D3), and that what is not folded stays in memory
 * is checked on the way (D4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/base/memory.h"
#include "server/base/random.h"
#include "storage/objects/hash.h"
#include "storage/objects/list.h"
#include "storage/objects/string.h"
#include "tests/unit/fixture.h"

#define NAMES 40
#define FIELDS 30
#define LIST_LEN_MAX 60
#define STRING_SIZE_MAX (80 * 1024)

/* ---- the model ----------------------------------------------------------- */

struct model {
    enum key_type type;
    int64_t expire_at_ms;
    int fields[FIELDS]; /* -1: not there */
    int list[LIST_LEN_MAX];
    size_t len;   /* of the list or string */
    char *string; /* STRING_SIZE_MAX */
};

static struct model models[FIXTURE_DATABASES][NAMES];

static void
model_clear(struct model *model)
{
    char *string = model->string;

    memset(model, 0, sizeof(*model));
    memset(model->fields, -1, sizeof(model->fields));
    model->expire_at_ms = -1;
    model->string = string;
    if (string == NULL)
        model->string = memory_alloc(STRING_SIZE_MAX);
}

static size_t
model_fields(const struct model *model)
{
    size_t count = 0;

    for (int i = 0; i < FIELDS; i++)
        count += model->fields[i] >= 0;
    return count;
}

static void
assert_string(struct key *key, const struct model *model)
{
    struct buf out = BUF_INIT;

    assert_int_equal(string_len(key->string), model->len);
    assert_int_equal(string_read(key->string, keyspace_reader(fixture_keyspace),
                         key->id, 0, model->len, &out),
        STATUS_OK);
    if (model->len > 0)
        assert_memory_equal(out.data, model->string, model->len);
    buf_fini(&out);
}

static void
assert_key(int db, int name)
{
    const struct model *model = &models[db][name];
    char text[32];
    struct slice value;
    struct key *key;

    snprintf(text, sizeof(text), "key:%d", name);
    key = fixture_find(db, text);
    if (model->type == KEY_NONE) {
        assert_null(key);
        return;
    }
    assert_non_null(key);
    assert_int_equal(key->type, model->type);
    assert_int_equal(key->expire_at_ms, model->expire_at_ms);
    if (model->type == KEY_STRING) {
        assert_string(key, model);
    } else if (model->type == KEY_HASH) {
        assert_int_equal(hash_object_len(key->hash), model_fields(model));
        for (int i = 0; i < FIELDS; i++) {
            bool is_there = hash_object_get(key->hash,
                slice_make(&"abcdefghijklmnopqrstuvwxyz0123456789"[i], 1),
                &value);
            assert_int_equal(is_there, model->fields[i] >= 0);
            snprintf(text, sizeof(text), "%d", model->fields[i]);
            if (is_there)
                assert_true(slice_equal(value, slice_from_text(text)));
        }
    } else {
        assert_int_equal(list_len(key->list), model->len);
        for (size_t i = 0; i < model->len; i++) {
            snprintf(text, sizeof(text), "%d", model->list[i]);
            assert_true(
                slice_equal(list_get(key->list, i), slice_from_text(text)));
        }
    }
}

static void
assert_all(void)
{
    keyspace_check(fixture_keyspace);
    for (int db = 0; db < FIXTURE_DATABASES; db++) {
        uint64_t live = 0, expiring = 0;
        for (int name = 0; name < NAMES; name++) {
            live += models[db][name].type != KEY_NONE;
            expiring += models[db][name].expire_at_ms >= 0;
        }
        assert_int_equal(keyspace_count(fixture_keyspace, db), live);
        assert_int_equal(
            keyspace_expiring_count(fixture_keyspace, db), expiring);
        for (int name = 0; name < NAMES; name++)
            assert_key(db, name);
    }
    keyspace_check(fixture_keyspace);
}

struct found {
    int db;
    int names[NAMES]; /* visits */
};

static bool
note_name(struct slice name, enum key_type type, void *arg)
{
    struct found *found = arg;
    int number = 0;

    assert_true(name.len > 4);
    for (size_t i = 4; i < name.len; i++)
        number = number * 10 + (name.data[i] - '0');
    assert_true(number < NAMES);
    assert_int_equal(type, models[found->db][number].type);
    found->names[number]++;
    return true;
}

/* KEYS and SCAN find each key once, whatever the fold is doing. */
static void
assert_scan(int db, size_t wanted)
{
    struct found found = { .db = db };
    uint64_t cursor = 0;

    do {
        assert_int_equal(keyspace_scan(fixture_keyspace, db, &cursor, wanted,
                             note_name, &found),
            STATUS_OK);
    } while (cursor != 0);
    for (int name = 0; name < NAMES; name++)
        assert_int_equal(found.names[name], models[db][name].type != KEY_NONE);
}

/* ---- random changes ------------------------------------------------------ */

static void
change_string(struct key *key, int db, struct slice name, struct model *model)
{
    struct edit edit;
    size_t offset, len = 1 + random_below(random_below(3) ? 50 : 30000);
    char *data;

    if (key == NULL || key->type != KEY_STRING || random_below(3) == 0) {
        model_clear(model);
        model->type = KEY_STRING;
        model->len = len;
        for (size_t i = 0; i < len; i++)
            model->string[i] = (char)random_u64();
        (void)keyspace_set_string(
            fixture_keyspace, db, name, slice_make(model->string, len), false);
        return;
    }
    offset = random_below(STRING_SIZE_MAX - len);
    if (random_below(2) && model->len + len < STRING_SIZE_MAX)
        offset = model->len;
    data = memory_alloc(len);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)random_u64();
    if (offset > model->len)
        memset(model->string + model->len, 0, offset - model->len);
    memcpy(model->string + offset, data, len);
    if (offset + len > model->len)
        model->len = offset + len;
    edit = keyspace_edit(fixture_keyspace, key);
    assert_int_equal(
        string_write(&key->string, &edit, keyspace_reader(fixture_keyspace),
            offset, slice_make(data, len)),
        STATUS_OK);
    assert_true(keyspace_touch(fixture_keyspace, key));
    memory_free(data);
}

static void
change_hash(struct key *key, int db, struct slice name, struct model *model)
{
    struct edit edit;
    char text[32];

    if (key == NULL || key->type != KEY_HASH) {
        if (key != NULL)
            keyspace_delete(fixture_keyspace, key);
        model_clear(model);
        model->type = KEY_HASH;
        key = keyspace_create(fixture_keyspace, db, name, KEY_HASH,
            hash_object_new(KEY_LISTPACK));
    }
    edit = keyspace_edit(fixture_keyspace, key);
    for (int i = 0; i < 4; i++) {
        int at = (int)random_below(FIELDS);
        struct slice field =
            slice_make(&"abcdefghijklmnopqrstuvwxyz0123456789"[at], 1);
        bool is_put = random_below(5) < 3;
        model->fields[at] = is_put ? (int)random_below(1000) : -1;
        snprintf(text, sizeof(text), "%d", model->fields[at]);
        if (is_put)
            (void)hash_object_put(
                key->hash, &edit, field, slice_from_text(text));
        else
            (void)hash_object_remove(key->hash, &edit, field);
    }
    if (!keyspace_touch(fixture_keyspace, key))
        model_clear(model);
}

static void
change_list(struct key *key, int db, struct slice name, struct model *model)
{
    struct edit edit;
    char text[32];

    if (key == NULL || key->type != KEY_LIST) {
        if (key != NULL)
            keyspace_delete(fixture_keyspace, key);
        model_clear(model);
        model->type = KEY_LIST;
        key = keyspace_create(fixture_keyspace, db, name, KEY_LIST, list_new());
    }
    edit = keyspace_edit(fixture_keyspace, key);
    for (int i = 0; i < 4; i++) {
        size_t at = random_below(model->len + 1);
        int number = (int)random_below(1000);
        snprintf(text, sizeof(text), "%d", number);
        if (model->len < LIST_LEN_MAX && random_below(5) < 3) {
            list_insert(key->list, &edit, at, slice_from_text(text));
            memmove(model->list + at + 1, model->list + at,
                (model->len++ - at) * sizeof(int));
            model->list[at] = number;
        } else if (at < model->len) {
            list_remove(key->list, &edit, at, 1);
            memmove(model->list + at, model->list + at + 1,
                (--model->len - at) * sizeof(int));
        }
    }
    if (!keyspace_touch(fixture_keyspace, key))
        model_clear(model);
}

static void
model_take(struct model *to, const struct model *from)
{
    char *string = to->string;

    memcpy(string, from->string, from->len < STRING_SIZE_MAX ? from->len : 0);
    if (from->type == KEY_STRING)
        memcpy(string, from->string, from->len);
    *to = *from;
    to->string = string;
}

/* Rename or copy to another name, replacing what is there. */
static void
change_place(struct key *key, int db, int name)
{
    int to_db = (int)random_below(FIXTURE_DATABASES);
    int to_name = (int)random_below(NAMES);
    char text[32];
    struct slice slice;
    struct key *there;

    if (key == NULL || (to_db == db && to_name == name))
        return;
    snprintf(text, sizeof(text), "key:%d", to_name);
    slice = slice_from_text(text);
    there = fixture_find(to_db, text);
    if (there != NULL)
        keyspace_delete(fixture_keyspace, there);
    model_take(&models[to_db][to_name], &models[db][name]);
    if (random_below(3) == 0) {
        assert_int_equal(
            keyspace_copy(fixture_keyspace, key, to_db, slice), STATUS_OK);
        return;
    }
    assert_non_null(keyspace_rename(fixture_keyspace, key, to_db, slice));
    model_clear(&models[db][name]);
}

static void
change_database(void)
{
    int db = (int)random_below(FIXTURE_DATABASES);
    int other = (int)random_below(FIXTURE_DATABASES);
    struct model swap[NAMES];

    if (random_below(3) == 0) {
        keyspace_flush(fixture_keyspace, db);
        for (int i = 0; i < NAMES; i++)
            model_clear(&models[db][i]);
        return;
    }
    keyspace_swap(fixture_keyspace, db, other);
    memcpy(swap, models[db], sizeof(swap));
    memcpy(models[db], models[other], sizeof(swap));
    memcpy(models[other], swap, sizeof(swap));
}

static void
random_change(void)
{
    int db = (int)random_below(FIXTURE_DATABASES);
    int name = (int)random_below(NAMES);
    struct model *model = &models[db][name];
    char text[32];
    struct slice slice;
    struct key *key;

    keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
    snprintf(text, sizeof(text), "key:%d", name);
    slice = slice_from_text(text);
    key = fixture_find(db, text);
    switch (random_below(12)) {
    case 0:
    case 1:
    case 2:
        change_string(key, db, slice, model);
        break;
    case 3:
    case 4:
    case 5:
        change_hash(key, db, slice, model);
        break;
    case 6:
    case 7:
    case 8:
        change_list(key, db, slice, model);
        break;
    case 9:
        if (key == NULL)
            break;
        model->expire_at_ms = random_below(2) ? -1
                                              : FIXTURE_NOW_MS + 100000 +
                                                    (int64_t)random_below(9);
        keyspace_set_expiry(fixture_keyspace, key, model->expire_at_ms);
        break;
    case 10:
        if (random_below(3) > 0) {
            change_place(key, db, name);
        } else if (key != NULL) {
            keyspace_delete(fixture_keyspace, key);
            model_clear(model);
        }
        break;
    case 11:
        if (random_below(8) == 0)
            change_database();
        break;
    }
}

/* What the COMMIT thread has to say so far. */
static void
take_reports(void)
{
    struct store_report report;

    while (store_next_report(fixture_store, &report)) {
        assert_int_not_equal(report.kind, STORE_BATCH);
        if (report.kind == STORE_FOLDED)
            keyspace_set_folded(fixture_keyspace, report.folded_seq);
    }
}

static void
evict_some(void)
{
    struct keyspace_options limits = { .databases = FIXTURE_DATABASES };
    struct keyspace_stats stats;

    keyspace_stats(fixture_keyspace, &stats);
    limits.memory_max = 1 + random_below(stats.memory + 1);
    keyspace_set_options(fixture_keyspace, &limits);
    (void)keyspace_evict(fixture_keyspace, 1000);
}

static void
random_event(void)
{
    switch (random_below(60)) {
    case 0:
        fixture_fold();
        break;
    case 1:
        fixture_fold();
        (void)keyspace_evict_all(fixture_keyspace);
        break;
    case 2:
        (void)keyspace_evict_all(fixture_keyspace);
        break;
    case 3:
        fixture_commit();
        assert_int_equal(keyspace_reload(fixture_keyspace), STATUS_OK);
        keyspace_check(fixture_keyspace);
        keyspace_resume(fixture_keyspace);
        break;
    case 4:
        if (random_below(3) == 0)
            fixture_restart(random_below(2));
        break;
    case 5:
        (void)keyspace_reap(fixture_keyspace, 100);
        break;
    case 6:
    case 7:
        store_request_fold(fixture_store);
        break;
    case 8:
    case 9:
    case 10:
        take_reports();
        break;
    case 11:
        evict_some();
        break;
    case 12:
    case 13:
        assert_scan((int)random_below(FIXTURE_DATABASES), SIZE_MAX);
        break;
    case 14:
    case 15:
        assert_scan((int)random_below(FIXTURE_DATABASES), 1 + random_below(20));
        break;
    default:
        fixture_commit();
    }
}

/* The next run's; WALDEN_SEED chooses it. */
static uint64_t seed = 11;

static void
test_matches_model_D2_D3_D4(void **state)
{
    (void)state;
    for (int db = 0; db < FIXTURE_DATABASES; db++)
        for (int name = 0; name < NAMES; name++)
            model_clear(&models[db][name]);
    print_message("WALDEN_SEED=%llu\n", (unsigned long long)seed);
    random_set_seed(seed++);
    for (int i = 0; i < 6000; i++) {
        random_change();
        if (random_below(5) == 0)
            random_event();
        if (i % 150 == 0) {
            keyspace_begin(fixture_keyspace, FIXTURE_NOW_MS);
            assert_all();
            for (int db = 0; db < FIXTURE_DATABASES; db++)
                assert_scan(db, 3);
        }
    }
    fixture_restart(false);
    assert_all();
    fixture_restart(true);
    assert_all();
    for (int db = 0; db < FIXTURE_DATABASES; db++)
        for (int name = 0; name < NAMES; name++)
            memory_free(models[db][name].string);
    memset(models, 0, sizeof(models));
}

int
main(void)
{
    const char *text = getenv("WALDEN_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_matches_model_D2_D3_D4, fixture_set_up, fixture_tear_down),
    };

    if (text != NULL)
        seed = strtoull(text, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
