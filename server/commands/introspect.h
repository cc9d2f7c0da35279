/*
 * introspect.h -- rows as COMMAND and ACL show them to clients.
 */
#ifndef WALDEN_SERVER_COMMANDS_INTROSPECT_H
#define WALDEN_SERVER_COMMANDS_INTROSPECT_H

#include "server/command.h"

/* The row's categories, with those that follow from its flags. */
unsigned introspect_categories(const struct command *command);
/* Of a category's name; 0: no such category. */
unsigned introspect_find_category(struct slice name);
/* All names of categories. */
void introspect_reply_categories(struct reply *reply);
/* "name" or "parent|name". */
void introspect_reply_name(struct reply *reply, const struct command *command);
/* "name" or "name|subcommand"; NULL: no such command. */
const struct command *introspect_find_full_name(struct slice name);
/* COMMAND INFO's element for it, subcommands included. */
void introspect_reply_info(struct reply *reply, const struct command *command);
size_t introspect_count_subcommands(const struct command *command);
/* flags: enum key_flag; a set of words. */
void introspect_reply_key_flags(struct reply *reply, unsigned flags);

#endif
