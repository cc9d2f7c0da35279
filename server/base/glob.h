/*
 * glob.h -- Redis's pattern language: * ? [abc] [^a] [a-z] \x.
 * Limits: nesting of stars is bounded so that a pattern cannot run for ever
 * (GLOB_STARS_MAX backtracking work, as Redis 7.2's fix).
 *
 * As in Redis, "*" does not match the empty text: KEYS, SCAN and whoever else
 * means "everything" asks whether the pattern is "*" before asking here.
 */
#ifndef WALDEN_BASE_GLOB_H
#define WALDEN_BASE_GLOB_H

#include "server/base/slice.h"

bool glob_match(struct slice pattern, struct slice text);
bool glob_match_nocase(struct slice pattern, struct slice text);

#endif
