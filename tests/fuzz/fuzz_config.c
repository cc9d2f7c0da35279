/*
 * fuzz_config.c -- any bytes as a redis.conf: refused with a reason, or read.
 *
 * What was read is printed again by each row, and setting a row to its own
 * text must leave it as it is.  include is not followed: inputs that name it
 * are left out, so that the fuzzer does not read the machine's files.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/config_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
names_include(const uint8_t *data, size_t size)
{
    static const char word[] = "include";

    for (size_t i = 0; i + sizeof(word) - 1 <= size; i++)
        if (strncasecmp((const char *)data + i, word, sizeof(word) - 1) == 0)
            return true;
    /* The same may be spelt with \x escapes. */
    return memchr(data, '\\', size) != NULL &&
           memmem(data, size, "\\x", 2) != NULL;
}

static void
check_row(struct config *config, const struct config_row *row)
{
    struct buf before = BUF_INIT;
    struct buf after = BUF_INIT;
    struct buf error = BUF_INIT;
    struct slice value;

    config_value_print(row, config, &before);
    value = buf_slice(&before);
    if (row->kind != CONFIG_BIND && row->kind != CONFIG_OUTPUT) {
        CHECK(config_value_parse(row, config, &value, 1, &error) == STATUS_OK);
        config_value_print(row, config, &after);
        CHECK(slice_equal(buf_slice(&before), buf_slice(&after)));
    }
    buf_fini(&before);
    buf_fini(&after);
    buf_fini(&error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct buf error = BUF_INIT;
    char path[32];
    int fd;

    if (names_include(data, size) || (fd = memfd_create("conf", 0)) < 0)
        return 0;
    CHECK(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    config_init(&config);
    if (config_load(&config, path, false, NULL, 0, &error) == STATUS_OK)
        CHECK(error.len == 0);
    else
        CHECK(error.len > 0);
    for (const struct config_row *row = config_table; row->name != NULL; row++)
        check_row(&config, row);
    config_fini(&config);
    buf_fini(&error);
    (void)close(fd);
    return 0;
}
