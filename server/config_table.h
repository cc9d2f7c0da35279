/*
 * config_table.h -- the table of directives, for the files of config.
 */
#ifndef WALDEN_SERVER_CONFIG_TABLE_H
#define WALDEN_SERVER_CONFIG_TABLE_H

#include "server/config.h"

enum config_kind {
    CONFIG_BOOL,   /* bool: yes, no */
    CONFIG_INT,    /* int64_t, min to max */
    CONFIG_OCTAL,  /* int64_t */
    CONFIG_MEMORY, /* uint64_t, "64mb", min to max */
    CONFIG_TEXT,   /* char *, NULL for an empty one */
    CONFIG_WORD,   /* int64_t: index into words */
    CONFIG_BIND,   /* the addresses */
    CONFIG_OUTPUT  /* client-output-buffer-limit */
};

enum config_row_flag {
    CONFIG_FIXED = 1 << 0,     /* CONFIG SET refuses it */
    CONFIG_PROTECTED = 1 << 1, /* likewise, in Redis's other words */
    CONFIG_SECRET = 1 << 2     /* CONFIG GET does not show it */
};

struct config_row {
    const char *name;
    const char *alias; /* an older name, or NULL */
    enum config_kind kind;
    size_t offset;     /* of the field in struct config */
    const char *value; /* default; NULL: config_init() computes it */
    int64_t min, max;
    const char *const *words; /* ends with NULL */
    unsigned flags;
    /* Make a change take effect.  false: error says why not. */
    bool (*apply)(struct config *config, struct buf *error);
};

/* A directive of Redis that means nothing here. */
struct config_ignored_row {
    const char *name;
    const char *alias;
    const char *value; /* Redis's default; NULL: CONFIG GET does not know it */
    char kind;         /* b: yes/no, i: number, m: memory, p: memory or */
                       /* percent, t: text, s: save, e: events */
    bool is_fixed;     /* CONFIG SET refuses it */
};

/* One that a file or CONFIG SET named. */
struct config_ignored {
    struct config_ignored *next;
    const struct config_ignored_row *row;
    char *value;
};

/* Both end with a row without name. */
extern const struct config_row config_table[];
extern const struct config_ignored_row config_ignored_table[];

/* The row of a name or an alias in any case; NULL. */
const struct config_row *config_table_find(struct slice name);
const struct config_ignored_row *config_table_find_ignored(struct slice name);

/* ---- config_value.c: a directive's value and its text ------------------ */

/*
 * Set row's field from the words of its line (without the name).
 * Fails: STATUS_INVALID; error then holds Redis's text.
 */
MUST_CHECK enum status config_value_parse(const struct config_row *row,
    struct config *config, const struct slice *words, size_t count,
    struct buf *error);
/* Append what CONFIG GET says. */
void config_value_print(
    const struct config_row *row, const struct config *config, struct buf *out);
/* Append value as a word of a line, quoted if it has to be. */
void config_value_quote(struct slice value, struct buf *out);

/* ---- config_ignored.c: the same for what means nothing here ------------ */

/* is_added: lines of a file, whose save points add up. */
MUST_CHECK enum status config_ignored_parse(
    const struct config_ignored_row *row, struct config *config,
    const struct slice *words, size_t count, bool is_added, struct buf *error);
struct slice config_ignored_value(
    const struct config *config, const struct config_ignored_row *row);

/* ---- config_special.c -------------------------------------------------- */

/*
 * The directives with a meaning of their own: true if words (with the name)
 * are one of them; status is then STATUS_OK, or STATUS_INVALID with the reason
 * in error.
 */
bool config_special_read(const struct config *config, const struct slice *words,
    size_t count, enum status *status, struct buf *error);

/* ---- config_apply.c ---------------------------------------------------- */

bool config_apply_log(struct config *config, struct buf *error);
bool config_apply_storage(struct config *config, struct buf *error);
bool config_apply_objects(struct config *config, struct buf *error);
bool config_apply_hz(struct config *config, struct buf *error);
bool config_apply_bind(struct config *config, struct buf *error);
bool config_apply_port(struct config *config, struct buf *error);
bool config_apply_clients(struct config *config, struct buf *error);
bool config_apply_durability(struct config *config, struct buf *error);
bool config_apply_appendfsync(struct config *config, struct buf *error);

/* ---- config.c ---------------------------------------------------------- */

/* Does maxmemory-policy count accesses rather than note the last one? */
bool config_is_lfu(const struct config *config);

#endif
