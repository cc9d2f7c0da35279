/*
 * config_value.c -- a directive's value and its text.
 *
 * The errors are Redis's: CONFIG SET repeats them after its own words.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/base/number.h"
#include "server/config_table.h"

#define WRONG_COUNT "wrong number of arguments"

static void *
field(const struct config_row *row, struct config *config)
{
    return (char *)config + row->offset;
}

static const void *
const_field(const struct config_row *row, const struct config *config)
{
    return (const char *)config + row->offset;
}

static bool
parse_bool(struct slice word, bool *value)
{
    *value = slice_is(word, "yes");
    return *value || slice_is(word, "no");
}

static enum status
fail(struct buf *error, const char *text)
{
    buf_append_text(error, text);
    return STATUS_INVALID;
}

static enum status
parse_int(const struct config_row *row, int64_t *value, struct slice word,
    struct buf *error)
{
    int64_t number;
    if (!number_parse_i64(word, &number))
        return fail(error, "argument couldn't be parsed into an integer");
    if (number < row->min || number > row->max) {
        buf_printf(error, "argument must be between %lld and %lld inclusive",
            (long long)row->min, (long long)row->max);
        return STATUS_INVALID;
    }
    *value = number;
    return STATUS_OK;
}

static enum status
parse_octal(const struct config_row *row, int64_t *value, struct slice word,
    struct buf *error)
{
    int64_t number = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '7' || number > INT32_MAX)
            return fail(
                error, "argument couldn't be parsed as an octal number");
        number = number * 8 + (word.data[i] - '0');
    }
    if (word.len == 0 || number > row->max) {
        buf_printf(error, "argument must be between %llo and %llo inclusive",
            (unsigned long long)row->min, (unsigned long long)row->max);
        return STATUS_INVALID;
    }
    *value = number;
    return STATUS_OK;
}

static enum status
parse_memory(const struct config_row *row, uint64_t *value, struct slice word,
    struct buf *error)
{
    uint64_t number;
    if (!number_parse_memory(word, &number))
        return fail(error, "argument must be a memory value");
    if (number < (uint64_t)row->min || number > (uint64_t)row->max) {
        buf_printf(error, "argument must be between %lld and %lld inclusive",
            (long long)row->min, (long long)row->max);
        return STATUS_INVALID;
    }
    *value = number;
    return STATUS_OK;
}

static void
set_text(char **text, struct slice word)
{
    char *copy = NULL;
    if (word.len > 0) {
        copy = memory_alloc(word.len + 1);
        memcpy(copy, word.data, word.len);
        copy[word.len] = '\0';
    }
    memory_free(*text);
    *text = copy;
}

static enum status
parse_text(char **text, struct slice word, struct buf *error)
{
    if (word.len > 0 && memchr(word.data, '\0', word.len) != NULL)
        return fail(error, "argument must not hold a NUL byte");
    set_text(text, word);
    return STATUS_OK;
}

static enum status
parse_word(const struct config_row *row, int64_t *value, struct slice word,
    struct buf *error)
{
    for (int64_t i = 0; row->words[i] != NULL; i++) {
        if (slice_is(word, row->words[i])) {
            *value = i;
            return STATUS_OK;
        }
    }
    buf_append_text(error, "argument(s) must be one of the following: ");
    for (int64_t i = 0; row->words[i] != NULL; i++)
        buf_printf(error, "%s%s", i > 0 ? ", " : "", row->words[i]);
    return STATUS_INVALID;
}

static enum status
parse_bind(struct config *config, const struct slice *words, size_t count,
    struct buf *error)
{
    if (count > CONFIG_BIND_MAX)
        return fail(error, "Too many bind addresses specified.");
    if (count == 1 && words[0].len == 0)
        count = 0;
    for (int i = 0; i < config->bind_count; i++)
        memory_free(config->bind[i]);
    config->bind_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        config->bind[i] = NULL;
        set_text(&config->bind[i], words[i]);
        if (config->bind[i] == NULL)
            config->bind[i] = memory_copy_text("");
    }
    return STATUS_OK;
}

static int
class_by_name(struct slice name)
{
    static const char *const names[] = { "normal", "slave", "pubsub" };
    for (int i = 0; i < CONFIG_CLIENT_CLASSES; i++)
        if (slice_is(name, names[i]))
            return i;
    return slice_is(name, "replica") ? 1 : -1;
}

static enum status
parse_output(struct config *config, const struct slice *words, size_t count,
    struct buf *error)
{
    struct config_output_limit limits[CONFIG_CLIENT_CLASSES];
    memcpy(limits, config->output_limits, sizeof(limits));
    if (count == 0 || count % 4 != 0)
        return fail(error, "Wrong number of arguments in buffer limit "
                           "configuration.");
    for (size_t i = 0; i < count; i += 4) {
        int class = class_by_name(words[i]);
        if (class < 0)
            return fail(error, "Invalid client class specified in buffer limit "
                               "configuration.");
        struct config_output_limit *limit = &limits[class];
        if (!number_parse_memory(words[i + 1], &limit->hard) ||
            !number_parse_memory(words[i + 2], &limit->soft) ||
            !number_parse_i64(words[i + 3], &limit->soft_seconds) ||
            limit->soft_seconds < 0)
            return fail(error, "Error in hard, soft or soft_seconds setting in "
                               "buffer limit configuration.");
    }
    memcpy(config->output_limits, limits, sizeof(limits));
    return STATUS_OK;
}

enum status
config_value_parse(const struct config_row *row, struct config *config,
    const struct slice *words, size_t count, struct buf *error)
{
    if (row->kind == CONFIG_BIND)
        return parse_bind(config, words, count, error);
    if (row->kind == CONFIG_OUTPUT)
        return parse_output(config, words, count, error);
    if (count != 1)
        return fail(error, WRONG_COUNT);
    switch (row->kind) {
    case CONFIG_BOOL:
        if (!parse_bool(words[0], field(row, config)))
            return fail(error, "argument must be 'yes' or 'no'");
        return STATUS_OK;
    case CONFIG_INT:
        return parse_int(row, field(row, config), words[0], error);
    case CONFIG_OCTAL:
        return parse_octal(row, field(row, config), words[0], error);
    case CONFIG_MEMORY:
        return parse_memory(row, field(row, config), words[0], error);
    case CONFIG_TEXT:
        return parse_text(field(row, config), words[0], error);
    case CONFIG_WORD:
        return parse_word(row, field(row, config), words[0], error);
    default:
        return fail(error, WRONG_COUNT);
    }
}

static void
print_output(const struct config *config, struct buf *out)
{
    static const char *const names[] = { "normal", "slave", "pubsub" };
    for (int i = 0; i < CONFIG_CLIENT_CLASSES; i++) {
        const struct config_output_limit *limit = &config->output_limits[i];
        buf_printf(out, "%s%s %llu %llu %lld", i > 0 ? " " : "", names[i],
            (unsigned long long)limit->hard, (unsigned long long)limit->soft,
            (long long)limit->soft_seconds);
    }
}

void
config_value_print(
    const struct config_row *row, const struct config *config, struct buf *out)
{
    const void *value = const_field(row, config);
    switch (row->kind) {
    case CONFIG_BOOL:
        buf_append_text(out, *(const bool *)value ? "yes" : "no");
        break;
    case CONFIG_INT:
        buf_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case CONFIG_OCTAL:
        buf_printf(out, "%llo", (unsigned long long)*(const int64_t *)value);
        break;
    case CONFIG_MEMORY:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case CONFIG_TEXT:
        if (*(char *const *)value != NULL)
            buf_append_text(out, *(char *const *)value);
        break;
    case CONFIG_WORD:
        buf_append_text(out, row->words[*(const int64_t *)value]);
        break;
    case CONFIG_BIND:
        for (int i = 0; i < config->bind_count; i++)
            buf_printf(out, "%s%s", i > 0 ? " " : "", config->bind[i]);
        break;
    case CONFIG_OUTPUT:
        print_output(config, out);
        break;
    }
}

/* ---- a word of a line -------------------------------------------------- */

void
config_value_quote(struct slice value, struct buf *out)
{
    bool is_plain = value.len > 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c <= ' ' || c == '"' || c == '\'' || c == '\\' || c >= 0x7f ||
            c == '#')
            is_plain = false;
    }
    if (is_plain) {
        buf_append_slice(out, value);
        return;
    }
    buf_append_byte(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_byte(out, (char)c);
    }
    buf_append_byte(out, '"');
}
