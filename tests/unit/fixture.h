/*
 * fixture.h -- a keyspace over a real store in a temporary file, for tests.
 *
 * One at a time; everything fails the test that called it.
 */
#ifndef WALDEN_TESTS_UNIT_FIXTURE_H
#define WALDEN_TESTS_UNIT_FIXTURE_H

#include "storage/keyspace.h"

#define FIXTURE_DATABASES 3
#define FIXTURE_NOW_MS INT64_C(1000000) /* the wall clock */

/* What the store is opened with; changed before a restart. */
extern struct store_options fixture_options;
extern struct store *fixture_store;
extern struct keyspace *fixture_keyspace;
/* A batch that came back, for the next keyspace_seal(). */
extern struct batch *fixture_spare;

/* For cmocka. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Wait for a report; what was folded has been told to the keyspace. */
struct store_report fixture_next_report(void);
/* Seal and commit what there is. */
void fixture_commit(void);
/* Commit and fold everything. */
void fixture_fold(void);
/* Commit, close (with_fold) or stop dead, and open again. */
void fixture_restart(bool with_fold);

/* The key, prepared with its object, or NULL. */
struct key *fixture_find(int db, const char *name);
void fixture_set(int db, const char *name, const char *value);
/* name holds this flat string; NULL: nothing. */
void fixture_assert_value(int db, const char *name, const char *value);

#endif
