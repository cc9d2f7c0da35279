/*
 * config.c -- reading, getting and setting directives.
 *
 * Sources, each overriding those before: defaults, the file (with what it
 * includes, in place), the arguments.  "--name a b" is the line "name a b".
 *
 * CONFIG SET changes all or nothing: what was set before one that fails is set
 * back to the text it had.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "resp/parser.h"
#include "server/base/check.h"
#include "server/base/glob.h"
#include "server/base/memory.h"
#include "server/config_table.h"
#include "server/version.h"

#define INCLUDE_DEPTH_MAX 16
#define FILE_SIZE_MAX (16 * 1024 * 1024) /* bytes */
#define MAXMEMORY_SHARE 4                /* of the machine's memory */
#define READ_SIZE 4096
#define NAME_SIZE 128 /* bytes of a name in an error */
#define BLANKS " \t\r\n"

/* Where a line comes from, for errors. */
struct origin {
    const char *path; /* NULL: the arguments */
    int line;
    int depth;
};

static enum status load_included(
    struct config *config, const char *path, int depth, struct buf *error);

/* ---- defaults ---------------------------------------------------------- */

static uint64_t
default_maxmemory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0)
        return 0;
    return (uint64_t)pages * (uint64_t)size / MAXMEMORY_SHARE;
}

static void
set_default(const struct config_row *row, struct config *config)
{
    struct buf scratch = BUF_INIT;
    struct buf error = BUF_INIT;
    struct slice *words = NULL;
    size_t count = 0;
    size_t size = 0;
    struct slice empty = SLICE("");
    CHECK(parser_split_line(slice_from_text(row->value), &scratch, &words,
              &count, &size) == STATUS_OK);
    if (count == 0)
        CHECK(config_value_parse(row, config, &empty, 1, &error) == STATUS_OK);
    else
        CHECK(
            config_value_parse(row, config, words, count, &error) == STATUS_OK);
    memory_free(words);
    buf_fini(&scratch);
    buf_fini(&error);
}

void
config_init(struct config *config)
{
    memset(config, 0, sizeof(*config));
    for (const struct config_row *row = config_table; row->name != NULL; row++)
        if (row->value != NULL)
            set_default(row, config);
    config->maxmemory = default_maxmemory();
}

void
config_fini(struct config *config)
{
    for (const struct config_row *row = config_table; row->name != NULL; row++)
        if (row->kind == CONFIG_TEXT)
            memory_free(*(char **)((char *)config + row->offset));
    for (int i = 0; i < config->bind_count; i++)
        memory_free(config->bind[i]);
    while (config->ignored != NULL) {
        struct config_ignored *ignored = config->ignored;
        config->ignored = ignored->next;
        memory_free(ignored->value);
        memory_free(ignored);
    }
    memset(config, 0, sizeof(*config));
}

bool
config_is_lfu(const struct config *config)
{
    return config->maxmemory_policy == 1 || config->maxmemory_policy == 5;
}

/* ---- lines ------------------------------------------------------------- */

static enum status
fail(struct buf *error, const struct origin *origin, struct slice line,
    const char *reason)
{
    buf_printf(
        error, "\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\n", VERSION_REDIS);
    if (origin->path != NULL)
        buf_printf(error,
            "Reading the configuration file %s, at line %d\n>>> '%.*s'\n",
            origin->path, origin->line, (int)line.len, line.data);
    else
        buf_printf(error, "Reading the command line\n>>> '%.*s'\n",
            (int)line.len, line.data);
    buf_printf(error, "%s\n", reason);
    return STATUS_INVALID;
}

/* appendfsync and durability say the same; the later one holds. */
static void
couple(struct config *config, const struct config_row *row)
{
    struct buf error = BUF_INIT;
    if (strcmp(row->name, "durability") == 0)
        (void)config_apply_durability(config, &error);
    else if (strcmp(row->name, "appendfsync") == 0)
        (void)config_apply_appendfsync(config, &error);
    buf_fini(&error);
}

static enum status
set_words(struct config *config, const struct slice *words, size_t count,
    int depth, struct buf *reason, struct buf *error)
{
    if (slice_is(words[0], "include") && count == 2) {
        char path[READ_SIZE];
        if (words[1].len >= sizeof(path)) {
            buf_append_text(reason, "The path is too long");
            return STATUS_INVALID;
        }
        (void)snprintf(
            path, sizeof(path), "%.*s", (int)words[1].len, words[1].data);
        return load_included(config, path, depth + 1, error);
    }
    enum status special;
    if (config_special_read(config, words, count, &special, reason))
        return special;
    const struct config_row *row = config_table_find(words[0]);
    if (row != NULL) {
        enum status status =
            config_value_parse(row, config, words + 1, count - 1, reason);
        if (status == STATUS_OK)
            couple(config, row);
        return status;
    }
    const struct config_ignored_row *ignored =
        config_table_find_ignored(words[0]);
    if (ignored != NULL && count >= 2)
        return config_ignored_parse(
            ignored, config, words + 1, count - 1, true, reason);
    buf_append_text(reason, "Bad directive or wrong number of arguments");
    return STATUS_INVALID;
}

static struct slice
trim(struct slice line)
{
    while (line.len > 0 && strchr(BLANKS, line.data[0]) != NULL &&
           line.data[0] != '\0') {
        line.data++;
        line.len--;
    }
    while (line.len > 0 && line.data[line.len - 1] != '\0' &&
           strchr(BLANKS, line.data[line.len - 1]) != NULL)
        line.len--;
    return line;
}

static enum status
load_line(struct config *config, struct slice line, const struct origin *origin,
    struct buf *error)
{
    struct buf scratch = BUF_INIT;
    struct buf reason = BUF_INIT;
    struct slice *words = NULL;
    size_t count = 0;
    size_t size = 0;
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return STATUS_OK;
    enum status status =
        parser_split_line(line, &scratch, &words, &count, &size);
    if (status != STATUS_OK) {
        status = fail(
            error, origin, line, "Unbalanced quotes in configuration line");
    } else if (count > 0) {
        status = set_words(config, words, count, origin->depth, &reason, error);
        if (status != STATUS_OK && error->len == 0) {
            buf_append_byte(&reason, '\0');
            status = fail(error, origin, line, reason.data);
        }
    }
    memory_free(words);
    buf_fini(&scratch);
    buf_fini(&reason);
    return status;
}

static enum status
load_text(struct config *config, struct slice text, struct origin *origin,
    struct buf *error)
{
    size_t at = 0;
    while (at < text.len) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len =
            end != NULL ? (size_t)(end - text.data) - at : text.len - at;
        origin->line++;
        enum status status =
            load_line(config, slice_make(text.data + at, len), origin, error);
        if (status != STATUS_OK)
            return status;
        at += len + 1;
    }
    return STATUS_OK;
}

static enum status
read_all(FILE *file, struct buf *text)
{
    size_t n;
    do {
        buf_reserve(text, READ_SIZE);
        n = fread(text->data + text->len, 1, READ_SIZE, file);
        text->len += n;
    } while (n > 0 && text->len <= FILE_SIZE_MAX);
    if (ferror(file) || text->len > FILE_SIZE_MAX)
        return STATUS_IO;
    return STATUS_OK;
}

static enum status
load_file(struct config *config, const char *path, int depth, struct buf *error)
{
    struct origin origin = { path, 0, depth };
    if (depth > INCLUDE_DEPTH_MAX) {
        buf_printf(
            error, "Fatal error, config files include each other: %s\n", path);
        return STATUS_INVALID;
    }
    bool is_stdin = strcmp(path, "-") == 0 && depth == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL) {
        enum status status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
        buf_printf(error, "Fatal error, can't open config file '%s': %s\n",
            path, strerror(errno));
        return status;
    }
    struct buf text = BUF_INIT;
    enum status status = read_all(file, &text);
    if (!is_stdin)
        (void)fclose(file);
    if (status != STATUS_OK)
        buf_printf(error, "Fatal error, can't read config file '%s'\n", path);
    else
        status = load_text(config, buf_slice(&text), &origin, error);
    buf_fini(&text);
    return status;
}

/* A path that is a pattern may match nothing. */
static enum status
load_included(
    struct config *config, const char *path, int depth, struct buf *error)
{
    glob_t found;
    enum status status = STATUS_OK;
    if (strpbrk(path, "*?[") == NULL)
        return load_file(config, path, depth, error);
    if (glob(path, 0, NULL, &found) != 0)
        return STATUS_OK;
    for (size_t i = 0; i < found.gl_pathc && status == STATUS_OK; i++)
        status = load_file(config, found.gl_pathv[i], depth, error);
    globfree(&found);
    return status;
}

static bool
begins_with_dashes(const char *argument)
{
    return strncmp(argument, "--", 2) == 0;
}

/* Does "--name value" stand in one argument? */
static bool
holds_value(const char *argument)
{
    const char *blank = strpbrk(argument, BLANKS);
    return blank != NULL && blank[strspn(blank, BLANKS)] != '\0';
}

/* "--save" has a history: without a value it means "". */
static bool
is_empty_save(char *const *arguments, int count, int at)
{
    return slice_is(slice_from_text(arguments[at]), "--save") &&
           (at + 1 == count || begins_with_dashes(arguments[at + 1]));
}

/* "--port" "7000" -> the line "port 7000".  Behind a name stands its value, */
/* whatever it looks like. */
static enum status
load_arguments(
    struct config *config, char *const *arguments, int count, struct buf *error)
{
    struct origin origin = { NULL, 0, 0 };
    struct buf line = BUF_INIT;
    enum status status = STATUS_OK;
    bool is_value_due = false;
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        if (begins_with_dashes(arguments[i]) && !is_value_due) {
            status = load_line(config, buf_slice(&line), &origin, error);
            buf_clear(&line, READ_SIZE);
            buf_append_text(&line, arguments[i] + 2);
            is_value_due = !holds_value(arguments[i]);
            if (is_empty_save(arguments, count, i)) {
                buf_append_text(&line, " \"\"");
                is_value_due = false;
            }
        } else {
            buf_append_byte(&line, ' ');
            config_value_quote(slice_from_text(arguments[i]), &line);
            is_value_due = false;
        }
    }
    if (status == STATUS_OK && line.len > 0)
        status = load_line(config, buf_slice(&line), &origin, error);
    buf_fini(&line);
    return status;
}

enum status
config_load(struct config *config, const char *path, bool has_stdin,
    char *const *arguments, int argument_count, struct buf *error)
{
    enum status status = STATUS_OK;
    if (path != NULL && path[0] != '\0')
        status = load_file(config, path, 0, error);
    if (status == STATUS_OK && has_stdin)
        status = load_file(config, "-", 0, error);
    if (status == STATUS_OK)
        status = load_arguments(config, arguments, argument_count, error);
    return status;
}

/* ---- CONFIG GET -------------------------------------------------------- */

void
config_get(const struct config *config, struct slice pattern,
    config_visit_fn visit, void *arg)
{
    struct buf value = BUF_INIT;
    for (const struct config_row *row = config_table; row->name != NULL;
         row++) {
        const char *names[] = { row->name, row->alias };
        for (int i = 0; i < 2; i++) {
            if (names[i] == NULL ||
                !glob_match_nocase(pattern, slice_from_text(names[i])))
                continue;
            buf_clear(&value, READ_SIZE);
            if (!(row->flags & CONFIG_SECRET))
                config_value_print(row, config, &value);
            visit(names[i], buf_slice(&value), arg);
        }
    }
    for (const struct config_ignored_row *row = config_ignored_table;
         row->name != NULL; row++) {
        const char *names[] = { row->name, row->alias };
        for (int i = 0; i < 2 && row->value != NULL; i++)
            if (names[i] != NULL &&
                glob_match_nocase(pattern, slice_from_text(names[i])))
                visit(names[i], config_ignored_value(config, row), arg);
    }
    buf_fini(&value);
}

/* ---- CONFIG SET -------------------------------------------------------- */

/* One pair.  Values of several words are split at blanks. */
static enum status
set_pair(struct config *config, struct slice name, struct slice value,
    struct buf *error)
{
    const struct config_row *row = config_table_find(name);
    const struct config_ignored_row *ignored = config_table_find_ignored(name);
    struct buf scratch = BUF_INIT;
    struct slice *words = NULL;
    size_t count = 0;
    size_t size = 0;
    enum status status;
    if (row != NULL && row->kind != CONFIG_BIND && row->kind != CONFIG_OUTPUT)
        return config_value_parse(row, config, &value, 1, error);
    if (row == NULL)
        return config_ignored_parse(ignored, config, &value, 1, false, error);
    status = parser_split_line(value, &scratch, &words, &count, &size);
    if (status == STATUS_OK)
        status = config_value_parse(row, config, words, count, error);
    else
        buf_append_text(error, "unbalanced quotes");
    memory_free(words);
    buf_fini(&scratch);
    return status;
}

/* May name be set at all, and is it named once? */
static enum status
check_pair(struct slice *pairs, size_t at, struct buf *error)
{
    const struct config_row *row = config_table_find(pairs[at]);
    const struct config_ignored_row *ignored =
        config_table_find_ignored(pairs[at]);
    if (row == NULL && ignored == NULL)
        return STATUS_NOT_FOUND;
    for (size_t i = 0; i < at; i += 2) {
        if (row != NULL ? config_table_find(pairs[i]) == row
                        : config_table_find_ignored(pairs[i]) == ignored) {
            buf_append_text(error, "duplicate parameter");
            return STATUS_INVALID;
        }
    }
    const char *reason = NULL;
    if (row != NULL && row->flags & CONFIG_PROTECTED)
        reason = "can't set protected config";
    else if (row != NULL ? row->flags & CONFIG_FIXED : ignored->is_fixed)
        reason = "can't set immutable config";
    if (reason == NULL)
        return STATUS_OK;
    buf_append_text(error, reason);
    return STATUS_INVALID;
}

static void
get_text(const struct config *config, struct slice name, struct buf *text)
{
    const struct config_row *row = config_table_find(name);
    if (row != NULL)
        config_value_print(row, config, text);
    else
        buf_append_slice(text,
            config_ignored_value(config, config_table_find_ignored(name)));
}

/* Call each apply function once. */
static bool
apply(struct config *config, struct slice *pairs, size_t count,
    const char **failed_name, struct buf *error)
{
    for (size_t i = 0; i < count; i += 2) {
        const struct config_row *row = config_table_find(pairs[i]);
        bool is_done = row == NULL || row->apply == NULL;
        for (size_t j = 0; j < i && !is_done; j += 2) {
            const struct config_row *earlier = config_table_find(pairs[j]);
            is_done = earlier != NULL && earlier->apply == row->apply;
        }
        if (!is_done && !row->apply(config, error)) {
            *failed_name = row->name;
            return false;
        }
    }
    return true;
}

/* name as the table spells it; lent until the next call. */
static const char *
name_of(struct slice name)
{
    static char unknown[NAME_SIZE];
    const struct config_row *row = config_table_find(name);
    if (row != NULL)
        return row->alias != NULL && slice_is(name, row->alias) ? row->alias
                                                                : row->name;
    const struct config_ignored_row *ignored = config_table_find_ignored(name);
    if (ignored != NULL)
        return ignored->name;
    (void)snprintf(unknown, sizeof(unknown), "%.*s",
        (int)(name.len < NAME_SIZE ? name.len : NAME_SIZE), name.data);
    return unknown;
}

enum status
config_set(struct config *config, struct slice *pairs, size_t count,
    const char **failed_name, struct buf *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 2 * count && status == STATUS_OK; i += 2) {
        *failed_name = name_of(pairs[i]);
        status = check_pair(pairs, i, error);
    }
    if (status != STATUS_OK)
        return status;
    struct buf *old = memory_zalloc((count + 1) * sizeof(*old));
    size_t done = 0;
    for (; done < count && status == STATUS_OK; done++) {
        get_text(config, pairs[2 * done], &old[done]);
        *failed_name = name_of(pairs[2 * done]);
        status = set_pair(config, pairs[2 * done], pairs[2 * done + 1], error);
    }
    if (status == STATUS_OK &&
        !apply(config, pairs, 2 * count, failed_name, error))
        status = STATUS_INVALID;
    if (status != STATUS_OK) {
        struct buf unused = BUF_INIT;
        const char *unused_name;
        for (size_t i = 0; i < done; i++)
            CHECK(set_pair(config, pairs[2 * i], buf_slice(&old[i]), &unused) ==
                  STATUS_OK);
        (void)apply(config, pairs, 2 * done, &unused_name, &unused);
        buf_fini(&unused);
    }
    for (size_t i = 0; i < count; i++)
        buf_fini(&old[i]);
    memory_free(old);
    return status;
}
