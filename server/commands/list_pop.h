/*
 * list_pop.h -- elements leaving a list, and the reply that carries them.
 *
 * A list that would become empty is not emptied: its key is deleted, which is
 * one row change however long the list was.  key may therefore be gone after
 * each of these; the caller has it loaded, and touches it no more.
 *
 * Thread: LOOP.
 */
#ifndef WALDEN_SERVER_COMMANDS_LIST_POP_H
#define WALDEN_SERVER_COMMANDS_LIST_POP_H

#include "server/command.h"
#include "storage/objects/list.h"

/* Reply the element at end, as a bulk string, and remove it. */
void list_pop_one(struct call *call, struct key *key, enum list_end end);
/* Reply up to count elements from end on, as an array, and remove them. */
void list_pop_range(
    struct call *call, struct key *key, enum list_end end, uint64_t count);
/* Remove [index, index + count), which is not empty; no reply. */
void list_pop_remove(
    struct call *call, struct key *key, size_t index, size_t count);

#endif
