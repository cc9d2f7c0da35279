/*
 * docs.h -- COMMAND DOCS' arguments, made from a row's syntax text.
 *
 * The notation is that of Redis's documentation:
 *
 *   word            an argument the client fills in
 *   TOKEN           a fixed word (no lower-case letter in it)
 *   TOKEN word      an argument that follows its token; several words after a
 *                   token are one block
 *   [ ... ]         may be left out
 *   < ... >         a group
 *   a | b           one of
 *   word [word ...] may be repeated; so may several words together
 */
#ifndef WALDEN_SERVER_COMMANDS_DOCS_H
#define WALDEN_SERVER_COMMANDS_DOCS_H

#include "server/command.h"

enum docs_type {
    DOCS_STRING,
    DOCS_INTEGER,
    DOCS_DOUBLE,
    DOCS_KEY,
    DOCS_PATTERN,
    DOCS_UNIX_TIME,
    DOCS_PURE_TOKEN,
    DOCS_ONEOF,
    DOCS_BLOCK
};

struct docs_arg {
    struct docs_arg *next;
    struct docs_arg *children; /* DOCS_ONEOF, DOCS_BLOCK */
    enum docs_type type;
    char *name;
    char *token;  /* NULL: none */
    int key_spec; /* DOCS_KEY: index of the key spec */
    bool is_optional, is_multiple, is_multiple_token;
};

/* The arguments of command, in order; NULL if there are none.  The caller */
/* frees the answer. */
struct docs_arg *docs_parse(const struct command *command);
void docs_free(struct docs_arg *args); /* with all that follow it */
/* The value of "arguments". */
void docs_reply(struct reply *reply, const struct docs_arg *args);

#endif
