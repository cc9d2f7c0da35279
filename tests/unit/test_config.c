/*
 * test_config.c -- the config table, and that redis.conf.example says the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/config_table.h"
#include "tests/unit/tempdir.h"

#define EXAMPLE "redis.conf.example"
#define LINE_SIZE 512

static void
get(const struct config *config, const char *name, char *text, size_t size)
{
    struct buf value = BUF_INIT;
    const struct config_row *row = config_table_find(slice_from_text(name));
    if (row != NULL)
        config_value_print(row, config, &value);
    else
        buf_append_slice(
            &value, config_ignored_value(config,
                        config_table_find_ignored(slice_from_text(name))));
    (void)snprintf(text, size, "%.*s", (int)value.len, value.data);
    buf_fini(&value);
}

static void
assert_value(const struct config *config, const char *name, const char *wanted)
{
    char text[LINE_SIZE];
    get(config, name, text, sizeof(text));
    assert_string_equal(text, wanted);
}

static enum status
load(struct config *config, const char *first, const char *second)
{
    char *arguments[] = { (char *)first, (char *)second };
    struct buf error = BUF_INIT;
    enum status status = config_load(
        config, NULL, false, arguments, second != NULL ? 2 : 1, &error);
    assert_int_equal(status != STATUS_OK, error.len > 0);
    buf_fini(&error);
    return status;
}

static void
defaults_are_what_the_table_says(void **state)
{
    struct config config;
    (void)state;
    config_init(&config);
    assert_int_equal(config.port, 6379);
    assert_int_equal(config.bind_count, 2);
    assert_string_equal(config.bind[1], "-::1");
    assert_true(config.maxmemory > 0);
    assert_int_equal(config.durability, CONFIG_DURABILITY_DISK);
    assert_value(&config, "maxmemory-policy", "noeviction");
    assert_value(&config, "save", "3600 1 300 100 60 10000");
    config_fini(&config);
}

static void
names_are_unique(void **state)
{
    (void)state;
    for (const struct config_row *row = config_table; row->name != NULL;
         row++) {
        assert_ptr_equal(config_table_find(slice_from_text(row->name)), row);
        assert_null(config_table_find_ignored(slice_from_text(row->name)));
    }
    for (const struct config_ignored_row *row = config_ignored_table;
         row->name != NULL; row++)
        assert_ptr_equal(
            config_table_find_ignored(slice_from_text(row->name)), row);
}

/* The example: every row once, at its default (maxmemory is computed), each */
/* under a comment. */
static void
example_has_every_row(void **state)
{
    struct config config;
    struct buf error = BUF_INIT;
    char line[LINE_SIZE];
    char before[LINE_SIZE];
    char after[LINE_SIZE];
    (void)state;
    for (const struct config_row *row = config_table; row->name != NULL;
         row++) {
        FILE *file = fopen(EXAMPLE, "re");
        int count = 0;
        size_t len = strlen(row->name);
        assert_non_null(file);
        while (fgets(line, sizeof(line), file) != NULL) {
            const char *at = strncmp(line, "# ", 2) == 0 ? line + 2 : line;
            bool is_shown = at == line || strcmp(row->name, "maxmemory") == 0;
            if (is_shown && strncmp(at, row->name, len) == 0 && at[len] == ' ')
                count++;
        }
        (void)fclose(file);
        if (count != 1)
            print_error(
                "%s stands %d times in the example\n", row->name, count);
        assert_int_equal(count, 1);
    }
    struct config usual;
    config_init(&usual);
    config_init(&config);
    assert_int_equal(
        config_load(&config, EXAMPLE, false, NULL, 0, &error), STATUS_OK);
    for (const struct config_row *row = config_table; row->name != NULL;
         row++) {
        get(&usual, row->name, before, sizeof(before));
        get(&config, row->name, after, sizeof(after));
        assert_string_equal(before, after);
    }
    assert_null(config.ignored);
    config_fini(&config);
    config_fini(&usual);
    buf_fini(&error);
}

static void
arguments_are_lines(void **state)
{
    struct config config;
    (void)state;
    config_init(&config);
    assert_int_equal(load(&config, "--maxmemory", "1mb"), STATUS_OK);
    assert_value(&config, "maxmemory", "1048576");
    assert_int_equal(load(&config, "--maxmemory", "1m"), STATUS_OK);
    assert_value(&config, "maxmemory", "1000000");
    assert_int_equal(load(&config, "--requirepass", "a \"b\" \x01"), STATUS_OK);
    assert_string_equal(config.requirepass, "a \"b\" \x01");
    assert_int_equal(load(&config, "--save", ""), STATUS_OK);
    assert_value(&config, "save", "");
    assert_int_equal(load(&config, "--HZ", "20"), STATUS_OK);
    assert_int_equal(config.hz, 20);
    assert_int_equal(load(&config, "--hz", "0"), STATUS_INVALID);
    assert_int_equal(load(&config, "--hz", NULL), STATUS_INVALID);
    assert_int_equal(load(&config, "--nosuch", "1"), STATUS_INVALID);
    assert_int_equal(load(&config, "--maxmemory", "-1"), STATUS_INVALID);
    assert_int_equal(load(&config, "--unixsocketperm", "888"), STATUS_INVALID);
    assert_int_equal(config.hz, 20);
    config_fini(&config);
}

static void
include_that_includes_itself_ends(void **state)
{
    struct config config;
    struct buf error = BUF_INIT;
    char folder[TEMPDIR_SIZE], path[TEMPDIR_SIZE + 16];
    (void)state;
    tempdir_make(folder, "config");
    (void)snprintf(path, sizeof(path), "%s/redis.conf", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "include %s\n", path);
    assert_int_equal(fclose(file), 0);
    config_init(&config);
    assert_int_equal(
        config_load(&config, path, false, NULL, 0, &error), STATUS_INVALID);
    tempdir_remove(folder);
    config_fini(&config);
    buf_fini(&error);
}

static void
set_is_all_or_nothing(void **state)
{
    struct config config;
    struct buf error = BUF_INIT;
    const char *failed = NULL;
    struct slice pairs[] = { SLICE("timeout"), SLICE("5"), SLICE("bind"),
        SLICE("::1 127.0.0.1"), SLICE("hz"), SLICE("x") };
    (void)state;
    config_init(&config);
    assert_int_equal(
        config_set(&config, pairs, 3, &failed, &error), STATUS_INVALID);
    assert_string_equal(failed, "hz");
    assert_int_equal(config.timeout_s, 0);
    assert_value(&config, "bind", "127.0.0.1 -::1");
    assert_int_equal(config_set(&config, pairs, 2, &failed, &error), STATUS_OK);
    assert_int_equal(config.timeout_s, 5);
    assert_value(&config, "bind", "::1 127.0.0.1");
    config_fini(&config);
    buf_fini(&error);
}

static void
durability_and_appendfsync_agree(void **state)
{
    struct config config;
    (void)state;
    config_init(&config);
    assert_int_equal(load(&config, "--appendfsync", "no"), STATUS_OK);
    assert_value(&config, "durability", "memory");
    assert_int_equal(load(&config, "--durability", "disk"), STATUS_OK);
    assert_value(&config, "appendfsync", "always");
    config_fini(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_what_the_table_says),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(example_has_every_row),
        cmocka_unit_test(arguments_are_lines),
        cmocka_unit_test(include_that_includes_itself_ends),
        cmocka_unit_test(set_is_all_or_nothing),
        cmocka_unit_test(durability_and_appendfsync_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
