/*
 * storefixture.h -- a store in a temporary folder, for tests.
 *
 * Everything fails the test that called it.
 */
#ifndef WALDEN_TESTS_UNIT_STOREFIXTURE_H
#define WALDEN_TESTS_UNIT_STOREFIXTURE_H

#include "storage/store.h"
#include "tests/unit/tempdir.h"

struct storefixture {
    char dir[TEMPDIR_SIZE];
    char path[TEMPDIR_SIZE + 16];
    struct store_options options;
    struct store *store;
    uint64_t seq;
};

void storefixture_open(struct storefixture *f);
int storefixture_set_up(void **state);
int storefixture_tear_down(void **state);
/* The next report of a kind; others are passed over. */
struct store_report storefixture_wait_report_of(
    struct store *store, enum store_report_kind kind);
struct store_report storefixture_wait_report(
    struct storefixture *f, enum store_report_kind kind);
struct batch *storefixture_next_batch(struct storefixture *f);
/* Commit batch and free it. */
enum status storefixture_commit(struct storefixture *f, struct batch *batch);
void storefixture_sync(struct storefixture *f);
void storefixture_put_key(struct batch *batch, uint64_t id, uint32_t db,
    const char *name, enum key_type type, const char *value);
void storefixture_change(struct batch *batch, enum row_op op,
    enum row_table table, uint64_t id, struct slice sub, struct slice value);
void storefixture_delete_key(
    struct batch *batch, uint64_t id, enum key_type type);
void storefixture_put_field(
    struct batch *batch, uint64_t id, const char *field, const char *value);
void storefixture_assert_key(
    struct storefixture *f, uint32_t db, const char *name, const char *value);
void storefixture_assert_field(
    struct storefixture *f, uint64_t id, const char *field, const char *value);
/* One number from the file, through a connection of the test's own. */
int64_t storefixture_query(struct storefixture *f, const char *sql);
void storefixture_reopen_after_crash(struct storefixture *f);

#endif
