/*
 * tool.h -- the command-line tools for a bucket:
 *
 *   walden restore [options] URL file.db   a database file from the history
 *   walden ls [options] URL                what the history consists of
 *   walden verify [options] URL            restore to a scratch file and check
 *
 * Exit codes: 0 done, 1 failed (the reason names the object), 2 wrong usage.
 */
#ifndef WALDEN_SERVER_TOOL_H
#define WALDEN_SERVER_TOOL_H

#include <stdbool.h>

/* Is argv[1] the name of a tool?  Then *exit_code is what it ended with. */
bool tool_run(int argc, char **argv, int *exit_code);

#endif
