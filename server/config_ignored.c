/*
 * config_ignored.c -- directives of Redis that mean nothing here.
 *
 * Their values are checked all the same, kept, and shown as Redis shows them:
 * who moves a redis.conf or a program that sets them should meet no surprise,
 * and a typing error is found here rather than on the way back.
 */
#include <stdlib.h>
#include <string.h>

#include "resp/parser.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "server/config_table.h"

static enum status
fail(struct buf *error, const char *text)
{
    buf_append_text(error, text);
    return STATUS_INVALID;
}

static struct config_ignored *
find_ignored(const struct config *config, const struct config_ignored_row *row)
{
    struct config_ignored *ignored = config->ignored;
    while (ignored != NULL && ignored->row != row)
        ignored = ignored->next;
    return ignored;
}

/* ---- values of one word ------------------------------------------------ */

static enum status
print_bool(struct slice word, struct buf *text, struct buf *error)
{
    if (!slice_is(word, "yes") && !slice_is(word, "no"))
        return fail(error, "argument must be 'yes' or 'no'");
    buf_append_text(text, slice_is(word, "yes") ? "yes" : "no");
    return STATUS_OK;
}

static enum status
print_number(struct slice word, struct buf *text, struct buf *error)
{
    int64_t number;
    if (!number_parse_i64(word, &number))
        return fail(error, "argument couldn't be parsed into an integer");
    buf_append_slice(text, word);
    return STATUS_OK;
}

static enum status
print_memory(struct slice word, struct buf *text, struct buf *error)
{
    uint64_t bytes;
    if (!number_parse_memory(word, &bytes))
        return fail(error, "argument must be a memory value");
    buf_printf(text, "%llu", (unsigned long long)bytes);
    return STATUS_OK;
}

/* Bytes, or a share of maxmemory. */
static enum status
print_share(struct slice word, struct buf *text, struct buf *error)
{
    struct buf unused = BUF_INIT;
    int64_t percent;
    enum status status = print_memory(word, text, &unused);
    buf_fini(&unused);
    if (status == STATUS_OK)
        return STATUS_OK;
    if (word.len < 2 || word.data[word.len - 1] != '%' ||
        !number_parse_i64(slice_make(word.data, word.len - 1), &percent) ||
        percent < 0)
        return fail(error, "argument must be a memory or percent value");
    if (percent > 100)
        return fail(error, "percentage argument must be less or equal to 100");
    buf_printf(text, "%d%s", (int)percent, percent > 0 ? "%" : "");
    return STATUS_OK;
}

static enum status
print_text(const struct slice *words, size_t count, struct buf *text)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(text, ' ');
        buf_append_slice(text, words[i]);
    }
    return STATUS_OK;
}

/* ---- notify-keyspace-events -------------------------------------------- */

/* "A" stands for all classes but "m" and "n"; K and E come last, as Redis */
/* prints them. */
static enum status
print_events(struct slice word, struct buf *text, struct buf *error)
{
    static const char all[] = "g$lshzxetd";
    static const char letters[] = "g$lshzxetdnKEm";
    bool has[sizeof(letters)] = { false };
    bool has_all = true;
    for (size_t i = 0; i < word.len; i++) {
        const char *at = strchr(letters, word.data[i]);
        if (word.data[i] == 'A')
            memset(has, true, sizeof(all) - 1);
        else if (word.data[i] != '\0' && at != NULL)
            has[at - letters] = true;
        else
            return fail(error, "Invalid event class character. Use "
                               "'Ag$lshzxeKEtmdn'.");
    }
    for (size_t i = 0; i < sizeof(all) - 1; i++)
        has_all = has_all && has[i];
    if (has_all)
        buf_append_byte(text, 'A');
    /* Redis forgets to print "n" behind "A". */
    for (size_t i = has_all ? sizeof(all) : 0; letters[i] != '\0'; i++)
        if (has[i])
            buf_append_byte(text, letters[i]);
    return STATUS_OK;
}

/* ---- save -------------------------------------------------------------- */

/* strtoll()'s leniency is Redis's. */
static bool
parse_lenient(struct slice word, long long *number)
{
    char text[32];
    char *end;
    if (word.len >= sizeof(text))
        return false;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    *number = strtoll(text, &end, 10);
    return *end == '\0';
}

/* Pairs of seconds and changes, however they are quoted. */
static enum status
print_save(const struct slice *words, size_t count, struct buf *text,
    struct buf *error)
{
    struct buf scratch = BUF_INIT;
    struct slice *parts = NULL;
    size_t len = 0, size = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = parser_split_line(words[i], &scratch, &parts, &len, &size);
    if (len % 2 != 0)
        status = STATUS_INVALID;
    for (size_t i = 0; i < len && status == STATUS_OK; i++) {
        long long number = 0;
        if (!parse_lenient(parts[i], &number) || number < (i % 2 == 0))
            status = STATUS_INVALID;
        buf_printf(text, "%s%lld", text->len > 0 ? " " : "", number);
    }
    memory_free(parts);
    buf_fini(&scratch);
    if (status != STATUS_OK)
        return fail(error, "Invalid save parameters");
    return STATUS_OK;
}

/* ---- for config.c ------------------------------------------------------ */

static enum status
print_value(const struct config_ignored_row *row, const struct slice *words,
    size_t count, struct buf *text, struct buf *error)
{
    if (row->kind == 't')
        return print_text(words, count, text);
    if (row->kind == 's')
        return print_save(words, count, text, error);
    if (count != 1)
        return fail(error, "wrong number of arguments");
    switch (row->kind) {
    case 'b':
        return print_bool(words[0], text, error);
    case 'i':
        return print_number(words[0], text, error);
    case 'm':
        return print_memory(words[0], text, error);
    case 'p':
        return print_share(words[0], text, error);
    default:
        return print_events(words[0], text, error);
    }
}

enum status
config_ignored_parse(const struct config_ignored_row *row,
    struct config *config, const struct slice *words, size_t count,
    bool is_added, struct buf *error)
{
    struct config_ignored *ignored = find_ignored(config, row);
    struct buf text = BUF_INIT;
    enum status status = print_value(row, words, count, &text, error);
    if (status != STATUS_OK) {
        buf_fini(&text);
        return status;
    }
    if (ignored == NULL) {
        ignored = memory_zalloc(sizeof(*ignored));
        ignored->row = row;
        ignored->next = config->ignored;
        config->ignored = ignored;
    } else if (row->kind == 's' && is_added && text.len > 0) {
        struct buf sum = BUF_INIT;
        buf_printf(
            &sum, "%s%s", ignored->value, ignored->value[0] != '\0' ? " " : "");
        buf_append_slice(&sum, buf_slice(&text));
        buf_fini(&text);
        text = sum;
    }
    buf_append_byte(&text, '\0');
    memory_free(ignored->value);
    ignored->value = memory_copy_text(text.data);
    buf_fini(&text);
    return STATUS_OK;
}

struct slice
config_ignored_value(
    const struct config *config, const struct config_ignored_row *row)
{
    const struct config_ignored *ignored = find_ignored(config, row);
    const char *value = ignored != NULL ? ignored->value : row->value;
    return value != NULL ? slice_from_text(value) : SLICE("");
}
