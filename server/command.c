/*
 * command.c -- the index of all commands, and where their keys stand.
 *
 * Names are found by a lower-case copy on the stack: no name is longer than
 * NAME_SIZE_MAX, so a longer one is not looked for.
 */
#include <ctype.h>

#include "server/base/check.h"
#include "server/base/hash.h"
#include "server/base/memory.h"
#include "server/base/number.h"
#include "server/command.h"

#define NAME_SIZE_MAX 128 /* bytes; rename-command may ask for long ones */

static struct command *const families[] = {
    commands_string,
    commands_string_range,
    commands_string_number,
    commands_bitmap,
    commands_lcs,
    commands_sort,
    commands_keys,
    commands_keys_all,
    commands_expire,
    commands_dump,
    commands_list,
    commands_hash,
    commands_transaction,
    commands_connection,
    commands_client,
    commands_command,
    commands_config,
    commands_admin,
    commands_debug,
    commands_object,
};
#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

static struct map commands_by_name;

/* ---- names ------------------------------------------------------------- */

/* name in lower case, with a NUL; it is shorter than NAME_SIZE_MAX. */
static void
to_lower(struct slice name, char lower[NAME_SIZE_MAX])
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    lower[name.len] = '\0';
}

/* What a row answers to; "": nothing. */
static const char *
called(const struct command *command)
{
    return command->called != NULL ? command->called : command->name;
}

/* By looking at every row: the index is not there yet. */
static struct command *
find_called(const char *name)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        for (struct command *c = families[i]; c->name != NULL; c++)
            if (strcmp(called(c), name) == 0)
                return c;
    return NULL;
}

enum status
command_rename(struct slice name, struct slice to)
{
    char from_text[NAME_SIZE_MAX];
    char to_text[NAME_SIZE_MAX];
    CHECK(commands_by_name.count == 0);
    if (name.len >= NAME_SIZE_MAX)
        return STATUS_NOT_FOUND;
    to_lower(name, from_text);
    struct command *command =
        from_text[0] != '\0' ? find_called(from_text) : NULL;
    if (command == NULL)
        return STATUS_NOT_FOUND;
    if (to.len >= NAME_SIZE_MAX)
        return STATUS_LIMIT;
    to_lower(to, to_text);
    if (to.len > 0 && find_called(to_text) != NULL)
        return STATUS_EXISTS;
    memory_free(command->called);
    command->called = memory_copy_text(to_text);
    return STATUS_OK;
}

/* ---- the index --------------------------------------------------------- */

static void
init_subcommands(struct command *parent)
{
    /* Rows of subcommands stand in tables of their family, which are not */
    /* const there; the parent's pointer is, for the readers' sake. */
    struct command *sub = (struct command *)parent->subcommands;
    for (; sub != NULL && sub->name != NULL; sub++) {
        sub->parent = parent;
        sub->stats = memory_zalloc(sizeof(*sub->stats));
        if (sub->group == NULL)
            sub->group = parent->group;
    }
}

void
command_init(void)
{
    if (commands_by_name.count > 0)
        return;
    map_init(&commands_by_name);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        for (struct command *c = families[i]; c->name != NULL; c++) {
            CHECK(strlen(c->name) < NAME_SIZE_MAX);
            CHECK(called(c)[0] == '\0' ||
                  command_find(slice_from_text(called(c))) == NULL);
            c->stats = memory_zalloc(sizeof(*c->stats));
            init_subcommands(c);
            if (called(c)[0] != '\0')
                map_add(&commands_by_name, &c->node,
                    hash_slice(slice_from_text(called(c))));
        }
    }
}

static bool
has_name(const struct map_node *node, const void *key)
{
    const struct slice *name = key;
    const struct command *command = MAP_ENTRY(node, const struct command, node);
    return slice_equal(slice_from_text(called(command)), *name);
}

struct command *
command_find(struct slice name)
{
    char lower[NAME_SIZE_MAX];
    if (name.len >= sizeof(lower))
        return NULL;
    to_lower(name, lower);
    struct slice wanted = slice_make(lower, name.len);
    struct map_node *node =
        map_find(&commands_by_name, hash_slice(wanted), has_name, &wanted);
    return node != NULL ? MAP_ENTRY(node, struct command, node) : NULL;
}

struct command *
command_find_sub(const struct command *parent, struct slice name)
{
    const struct command *sub = parent->subcommands;
    for (; sub != NULL && sub->name != NULL; sub++)
        if (slice_is(name, sub->name))
            return (struct command *)sub;
    return NULL;
}

/* The row after it, whether it answers to a name or not. */
static struct command *
next_row(const struct command *command)
{
    size_t family = 0;
    if (command != NULL) {
        /* The row after it, in its family or the next that has one. */
        if (command[1].name != NULL)
            return (struct command *)(command + 1);
        const struct command *end = command + 1;
        for (; family < FAMILY_COUNT; family++) {
            const struct command *c = families[family];
            while (c->name != NULL)
                c++;
            if (c == end)
                break;
        }
        family++;
    }
    while (family < FAMILY_COUNT && families[family]->name == NULL)
        family++;
    return family < FAMILY_COUNT ? families[family] : NULL;
}

struct command *
command_next(const struct command *command)
{
    struct command *next = next_row(command);
    while (next != NULL && called(next)[0] == '\0')
        next = next_row(next);
    return next;
}

bool
command_arity_fits(const struct command *command, size_t argc)
{
    if (command->arity >= 0)
        return argc == (size_t)command->arity;
    return argc >= (size_t)-command->arity;
}

/* ---- keys -------------------------------------------------------------- */

struct key_list {
    struct command_key **keys;
    size_t *size;
    size_t len;
};

static void
add_key(struct key_list *list, size_t at, unsigned flags)
{
    if (list->len == *list->size) {
        *list->size = *list->size > 0 ? 2 * *list->size : 8;
        *list->keys =
            memory_realloc(*list->keys, *list->size * sizeof(**list->keys));
    }
    (*list->keys)[list->len++] = (struct command_key){ at, flags };
}

/* false: the arguments do not fit the spec. */
static bool
add_spec(struct key_list *list, const struct command_keys *spec,
    struct slice *argv, size_t argc)
{
    if (spec->count_at > 0) {
        size_t at = (size_t)spec->count_at;
        int64_t count;
        if (at >= argc || !number_parse_i64(argv[at], &count) || count <= 0 ||
            (uint64_t)count > argc - at - 1)
            return false;
        for (size_t i = at + 1; i <= at + (size_t)count; i++)
            add_key(list, i, spec->flags);
        return true;
    }
    if (spec->first == 0)
        return true;
    int64_t last = spec->last >= 0 ? spec->last : (int64_t)argc + spec->last;
    if ((size_t)spec->first >= argc || last >= (int64_t)argc)
        return false;
    size_t step = spec->step > 0 ? (size_t)spec->step : 1;
    for (size_t i = (size_t)spec->first; (int64_t)i <= last; i += step)
        add_key(list, i, spec->flags);
    return true;
}

int
command_get_keys(const struct command *command, struct slice *argv, size_t argc,
    struct command_key **keys, size_t *size)
{
    struct key_list list = { keys, size, 0 };
    if (!add_spec(&list, &command->keys, argv, argc) ||
        !add_spec(&list, &command->keys2, argv, argc) || list.len > INT32_MAX)
        return -1;
    size_t at = command->find_key != NULL ? command->find_key(argv, argc) : 0;
    if (at > 0)
        add_key(&list, at, KEYS_OW | KEYS_UPDATE);
    return (int)list.len;
}
