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
check_word(const struct config_ignored_row *row, const struct slice *words,
    size_t count, struct buf *error)
{
    int64_t number;
    uint64_t bytes;
    if (row->kind == 't')
        return STATUS_OK;
    if (count != 1)
        return fail(error, "wrong number of arguments");
    if (row->kind == 'b' && !slice_is(words[0], "yes") &&
        !slice_is(words[0], "no"))
        return fail(error, "argument must be 'yes' or 'no'");
    if (row->kind == 'i' && !number_parse_i64(words[0], &number))
        return fail(error, "argument couldn't be parsed into an integer");
    if (row->kind == 'm' && !number_parse_memory(words[0], &bytes))
        return fail(error, "argument must be a memory value");
    return STATUS_OK;
}

static enum status
print_words(const struct config_ignored_row *row, const struct slice *words,
    size_t count, struct buf *text, struct buf *error)
{
    enum status status = check_word(row, words, count, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (i > 0)
            buf_append_byte(text, ' ');
        buf_append_slice(text, words[i]);
    }
    return status;
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

enum status
config_ignored_parse(const struct config_ignored_row *row,
    struct config *config, const struct slice *words, size_t count,
    bool is_added, struct buf *error)
{
    struct config_ignored *ignored = find_ignored(config, row);
    struct buf text = BUF_INIT;
    enum status status;
    if (row->kind == 's')
        status = print_save(words, count, &text, error);
    else if (row->kind == 'e' && count == 1)
        status = print_events(words[0], &text, error);
    else
        status = print_words(row, words, count, &text, error);
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
