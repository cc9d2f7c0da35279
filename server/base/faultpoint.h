/*
 * faultpoint.h -- named places where a test makes the process die or fail.
 *
 * FAULT_POINT("commit.before_sync") is nothing in a release build.  In a debug
 * build the variable WALDEN_FAULT="name[:nth][=kill|stop|fail]" arms one: at
 * the nth passage (default 1) the process kills itself with SIGKILL, or stops
 * until SIGCONT ("stop"), or FAULT_FAILS("name") answers true once ("fail").
 * WALDEN_FAULT_LIST=path makes every passage append its name to a file, so
 * that a test can find all names.
 */
#ifndef WALDEN_BASE_FAULTPOINT_H
#define WALDEN_BASE_FAULTPOINT_H

#include <stdbool.h>

#ifdef WALDEN_DEBUG
bool faultpoint_pass(const char *name);
#define FAULT_POINT(name) ((void)faultpoint_pass(name))
#define FAULT_FAILS(name) faultpoint_pass(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_FAILS(name) (false)
#endif

#endif
