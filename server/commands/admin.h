/*
 * admin.h -- the subcommand tables of the rows of commands_admin, each in a
 * file of its own.  Each ends with a row without name.
 */
#ifndef WALDEN_SERVER_COMMANDS_ADMIN_H
#define WALDEN_SERVER_COMMANDS_ADMIN_H

#include "server/command.h"

#define ADMIN_HELP_SUMMARY \
    "Returns helpful text about the different subcommands."

extern struct command acl_subcommands[];     /* acl.c */
extern struct command memory_subcommands[];  /* memory.c */
extern struct command slowlog_subcommands[]; /* slowlog.c */
extern struct command latency_subcommands[]; /* latency.c */

#endif
