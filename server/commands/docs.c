/*
 * docs.c -- from "key value [NX | XX] [EX seconds | KEEPTTL]" to the nested
 * maps that redis-cli makes its hints of.
 *
 * A row states its syntax once, as people read it; this file reads it by
 * recursive descent:
 *
 *   list      = sequence { "|" sequence }          up to a closing bracket
 *   sequence  = { item }
 *   item      = "[" list "]" | "<" list ">" | TOKEN { word | repeat } | word
 *   repeat    = "[" what-stood-just-before "..." "]"
 *
 * The types of arguments are not in the text: they follow from their names,
 * which Redis's documentation uses consistently ("key", "seconds", "count").
 * The text is our own, so what it does wrong is a bug of the row: the parser
 * reads as far as it can and the tests compare the outcome with Redis's.
 *
 * A step of repetition ends with the word "...", which parses as an argument
 * of that name and is taken out again by the sequence that contains it.
 */
#include "server/commands/docs.h"

#include "server/base/memory.h"

#include <ctype.h>

#define NAME_SIZE_MAX 128 /* bytes of a name put together from parts */

struct cursor {
    const char *at;
    const struct command *command;
    int keys_seen;
};

/* ---- nodes -------------------------------------------------------------- */

static struct docs_arg *
new_arg(enum docs_type type, const char *name, size_t len)
{
    struct docs_arg *arg = memory_zalloc(sizeof(*arg));

    arg->type = type;
    arg->name = memory_alloc(len + 1);
    memcpy(arg->name, name, len);
    arg->name[len] = '\0';
    return arg;
}

void
docs_free(struct docs_arg *args)
{
    while (args != NULL) {
        struct docs_arg *next = args->next;

        docs_free(args->children);
        memory_free(args->name);
        memory_free(args->token);
        memory_free(args);
        args = next;
    }
}

static size_t
count_args(const struct docs_arg *args)
{
    size_t count = 0;

    for (; args != NULL; args = args->next)
        count++;
    return count;
}

/* A oneof or a block; its name is made of its children's. */
static struct docs_arg *
new_group(enum docs_type type, struct docs_arg *children)
{
    char name[NAME_SIZE_MAX];
    size_t len = 0;

    for (const struct docs_arg *child = children; child != NULL;
         child = child->next) {
        size_t more = strlen(child->name);
        if (len + more + 1 > sizeof(name))
            break;
        if (len > 0)
            name[len++] = '-';
        memcpy(name + len, child->name, more);
        len += more;
    }
    struct docs_arg *group = new_arg(type, name, len);
    group->children = children;
    return group;
}

/* ---- what a name says --------------------------------------------------- */

static bool
is_one_of(const char *name, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(name, *words) == 0)
            return true;
    return false;
}

static enum docs_type
guess_type(const struct command *command, const char *name)
{
    static const char *const keys[] = { "key", "key1", "key2", "newkey",
        "source", "destination", NULL };
    static const char *const integers[] = { "count", "seconds", "milliseconds",
        "index", "start", "stop", "end", "offset", "increment", "decrement",
        "numkeys", "db", "index1", "index2", "source-db", "destination-db",
        "destination-db", "client-id", "protover", "cursor", "len",
        "min-match-len", "rank", "num-matches", "limit", "numreplicas",
        "numlocal", "version", "port", "idle-time", "frequency", "threshold",
        "bit", "timeout-ms", "samples", "bits", "ttl", NULL };
    static const char *const doubles[] = { "score", "longitude", "latitude",
        "radius", "width", "height", "weight", NULL };

    if (is_one_of(name, keys) &&
        (command->keys.first != 0 || command->keys.count_at != 0))
        return DOCS_KEY;
    if (strcmp(name, "pattern") == 0)
        return DOCS_PATTERN;
    if (strncmp(name, "unix-time", strlen("unix-time")) == 0)
        return DOCS_UNIX_TIME;
    if (strcmp(name, "timeout") == 0)
        return strcmp(command->group, "list") == 0 ||
                       strcmp(command->group, "sorted-set") == 0
                   ? DOCS_DOUBLE
                   : DOCS_INTEGER;
    if (strcmp(name, "increment") == 0 &&
        strstr(command->name, "float") != NULL)
        return DOCS_DOUBLE;
    if (is_one_of(name, integers) ||
        (strcmp(name, "value") == 0 && strcmp(command->group, "bitmap") == 0))
        return DOCS_INTEGER;
    return is_one_of(name, doubles) ? DOCS_DOUBLE : DOCS_STRING;
}

/* ---- words -------------------------------------------------------------- */

static void
skip_blanks(struct cursor *cursor)
{
    while (*cursor->at == ' ')
        cursor->at++;
}

static size_t
word_len(const char *at)
{
    return strcspn(at, " []<>|");
}

static bool
is_token(const char *word, size_t len)
{
    if (len == 0 || (len == 3 && memcmp(word, "...", 3) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if (islower((unsigned char)word[i]))
            return false;
    return true;
}

static struct docs_arg *
take_word(struct cursor *cursor)
{
    size_t len = word_len(cursor->at);
    struct docs_arg *arg = new_arg(DOCS_STRING, cursor->at, len);

    cursor->at += len;
    arg->type = guess_type(cursor->command, arg->name);
    if (arg->type == DOCS_KEY) {
        bool has_second = cursor->command->keys2.first != 0 ||
                          cursor->command->keys2.count_at != 0;
        arg->key_spec = has_second && cursor->keys_seen > 0 ? 1 : 0;
        cursor->keys_seen++;
    }
    return arg;
}

/* ---- the grammar -------------------------------------------------------- */

static struct docs_arg *parse_list(struct cursor *cursor, char closing);

/* Is at a "[" group that ends in "..." and holds no other group? */
static bool
is_repeat(const char *at)
{
    if (*at != '[')
        return false;
    const char *end = at + 1 + strcspn(at + 1, "[]<>|");
    return *end == ']' && end - at >= 4 && memcmp(end - 3, "...", 3) == 0;
}

static size_t
repeat_words(const char *at)
{
    size_t words = 0;

    for (at++; *at != ']';) {
        at += strspn(at, " ");
        size_t len = word_len(at);
        words += len > 0;
        at += len;
    }
    return words - 1; /* without the "..." */
}

/*
 * "[field value ...]" after args: the words it repeats stand last in args; one
 * becomes multiple, several become a block first.  Words with tokens count
 * two.
 */
static struct docs_arg *
apply_repeat(struct cursor *cursor, struct docs_arg *args)
{
    size_t words = repeat_words(cursor->at);
    size_t count = count_args(args);
    struct docs_arg **first = &args;

    cursor->at = strchr(cursor->at, ']') + 1;
    for (size_t left = count; left > 1; left--) {
        size_t covered = 0;
        for (struct docs_arg *arg = *first; arg != NULL; arg = arg->next)
            covered += arg->token != NULL && arg->children == NULL &&
                               arg->type != DOCS_PURE_TOKEN
                           ? 2
                           : 1;
        if (covered <= words)
            break;
        first = &(*first)->next;
    }
    if (*first == NULL)
        return args;
    if ((*first)->next != NULL)
        *first = new_group(DOCS_BLOCK, *first);
    (*first)->is_multiple = true;
    (*first)->is_multiple_token = (*first)->token != NULL && words > 1;
    return args;
}

static char *
copy_word(const char *word, size_t len)
{
    char *copy = memory_alloc(len + 1);

    memcpy(copy, word, len);
    copy[len] = '\0';
    return copy;
}

/* TOKEN, with the words or the group that belong to it. */
static struct docs_arg *
parse_token(struct cursor *cursor)
{
    size_t len = word_len(cursor->at);
    char *token = copy_word(cursor->at, len);
    struct docs_arg *args = NULL, **tail = &args;

    cursor->at += len;
    skip_blanks(cursor);
    if (*cursor->at == '<') {
        cursor->at++;
        args = parse_list(cursor, '>');
    }
    while (args == NULL || args->type < DOCS_PURE_TOKEN) {
        skip_blanks(cursor);
        len = word_len(cursor->at);
        if (args != NULL && is_repeat(cursor->at) &&
            !is_token(cursor->at + 1, word_len(cursor->at + 1))) {
            args = apply_repeat(cursor, args);
            for (tail = &args; *tail != NULL;)
                tail = &(*tail)->next;
        } else if (len > 0 && *cursor->at != '.' &&
                   !is_token(cursor->at, len)) {
            *tail = take_word(cursor);
            tail = &(*tail)->next;
        } else {
            break;
        }
    }
    if (args == NULL) {
        args = new_arg(DOCS_PURE_TOKEN, token, strlen(token));
        for (char *c = args->name; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
    } else if (args->next != NULL) {
        args = new_group(DOCS_BLOCK, args);
    }
    memory_free(args->token);
    args->token = token;
    return args;
}

static struct docs_arg *
parse_item(struct cursor *cursor)
{
    char opening = *cursor->at;

    if (opening == '[' || opening == '<') {
        cursor->at++;
        struct docs_arg *group = parse_list(cursor, opening == '[' ? ']' : '>');
        if (group != NULL && opening == '[')
            group->is_optional = true;
        return group;
    }
    if (is_token(cursor->at, word_len(cursor->at)))
        return parse_token(cursor);
    return take_word(cursor);
}

/* Take the word "..." off the end of args. */
static struct docs_arg *
strip_dots(struct docs_arg *args, bool *was_there)
{
    struct docs_arg **tail = &args;

    *was_there = false;
    if (args == NULL)
        return NULL;
    while ((*tail)->next != NULL)
        tail = &(*tail)->next;
    if (strcmp((*tail)->name, "...") != 0)
        return args;
    docs_free(*tail);
    *tail = NULL;
    *was_there = true;
    return args;
}

/* Items up to "|", the closing bracket or the end; a list of args. */
static struct docs_arg *
parse_sequence(struct cursor *cursor)
{
    struct docs_arg *args = NULL;
    bool is_multiple;

    for (;;) {
        skip_blanks(cursor);
        if (*cursor->at == '\0' || strchr("]>|", *cursor->at) != NULL)
            break;
        if (args != NULL && is_repeat(cursor->at)) {
            args = apply_repeat(cursor, args);
            continue;
        }
        struct docs_arg **tail = &args;
        while (*tail != NULL)
            tail = &(*tail)->next;
        *tail = parse_item(cursor);
    }
    args = strip_dots(args, &is_multiple);
    if (is_multiple && args != NULL) {
        if (args->next != NULL)
            args = new_group(DOCS_BLOCK, args);
        args->is_multiple = true;
    }
    return args;
}

/* Up to closing, which is taken: one arg, NULL if there is nothing. */
static struct docs_arg *
parse_list(struct cursor *cursor, char closing)
{
    struct docs_arg *alternatives = NULL, **tail = &alternatives;

    for (;;) {
        struct docs_arg *args = parse_sequence(cursor);
        if (args != NULL && args->next != NULL)
            args = new_group(DOCS_BLOCK, args);
        *tail = args;
        if (args != NULL)
            tail = &args->next;
        if (*cursor->at != '|')
            break;
        cursor->at++;
    }
    if (*cursor->at == closing)
        cursor->at++;
    if (alternatives != NULL && alternatives->next != NULL)
        alternatives = new_group(DOCS_ONEOF, alternatives);
    return alternatives;
}

struct docs_arg *
docs_parse(const struct command *command)
{
    struct cursor cursor = { command->syntax, command, 0 };

    if (command->syntax == NULL)
        return NULL;
    struct docs_arg *args = parse_sequence(&cursor);
    if (*cursor.at != '|')
        return args;
    /* Alternatives at the top: one argument. */
    docs_free(args);
    cursor = (struct cursor){ command->syntax, command, 0 };
    return parse_list(&cursor, '\0');
}

/* ---- the reply ---------------------------------------------------------- */

static void
reply_flags(struct reply *reply, const struct docs_arg *arg)
{
    reply_bulk_text(reply, "flags");
    reply_set(reply,
        (size_t)arg->is_optional + arg->is_multiple + arg->is_multiple_token);
    if (arg->is_optional)
        reply_simple(reply, "optional");
    if (arg->is_multiple)
        reply_simple(reply, "multiple");
    if (arg->is_multiple_token)
        reply_simple(reply, "multiple_token");
}

static void
reply_arg(struct reply *reply, const struct docs_arg *arg)
{
    static const char *const types[] = { "string", "integer", "double", "key",
        "pattern", "unix-time", "pure-token", "oneof", "block" };
    bool has_flags = arg->is_optional || arg->is_multiple;
    bool is_value = arg->type < DOCS_PURE_TOKEN;
    bool is_group = arg->type == DOCS_ONEOF || arg->type == DOCS_BLOCK;

    reply_map(reply, 2 + (size_t)is_value + (arg->type == DOCS_KEY) +
                         (arg->token != NULL) + has_flags + is_group);
    reply_bulk_text(reply, "name");
    reply_bulk_text(reply, arg->name);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, types[arg->type]);
    if (is_value) {
        reply_bulk_text(reply, "display_text");
        reply_bulk_text(reply, arg->name);
    }
    if (arg->type == DOCS_KEY) {
        reply_bulk_text(reply, "key_spec_index");
        reply_int(reply, arg->key_spec);
    }
    if (arg->token != NULL) {
        reply_bulk_text(reply, "token");
        reply_bulk_text(reply, arg->token);
    }
    if (has_flags)
        reply_flags(reply, arg);
    if (is_group) {
        reply_bulk_text(reply, "arguments");
        docs_reply(reply, arg->children);
    }
}

void
docs_reply(struct reply *reply, const struct docs_arg *args)
{
    reply_array(reply, count_args(args));
    for (; args != NULL; args = args->next)
        reply_arg(reply, args);
}
