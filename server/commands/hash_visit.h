/*
 * hash_visit.h -- the hash commands that visit fields they were not told.
 * Their rows stand in hash.c's table.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_COMMANDS_HASH_VISIT_H
#define WALDEN_SERVER_COMMANDS_HASH_VISIT_H

#include "server/command.h"

void hash_visit_hgetall(struct call *call);
void hash_visit_hkeys(struct call *call);
void hash_visit_hvals(struct call *call);
void hash_visit_hrandfield(struct call *call);
void hash_visit_hscan(struct call *call);

#endif
