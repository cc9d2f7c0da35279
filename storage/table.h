/*
 * table.h -- writing rows into the tables: one prepared statement for each
 * thing that can happen to a row.
 *
 * Nothing here begins or ends a transaction; the caller does.
 * Private to storage/.  Thread: the connection's.
 */
#ifndef WALDEN_STORAGE_TABLE_H
#define WALDEN_STORAGE_TABLE_H

#include "storage/rowchange.h"

#include <sqlite3.h>

/* keys.db of a row whose name was taken while its own new row is yet to be */
/* written; name: its id.  No database has this number. */
#define TABLE_PARKED_DB UINT32_MAX

struct table_writer;

MUST_CHECK enum status table_open(struct table_writer **writer, sqlite3 *db);
void table_close(struct table_writer *writer);

/* The connection.  Lent. */
sqlite3 *table_database(const struct table_writer *writer);

/* Which table holds the elements of a key of this type; ROW_META: none. */
enum row_table table_of_type(enum key_type type);
/* Its SQL name. */
const char *table_name(enum row_table table);

/* A row of another id with that name is parked: see TABLE_PARKED_DB. */
MUST_CHECK enum status table_put_key(
    struct table_writer *writer, const struct key_row *row);
/* version and size of a key's row; nothing if there is no such row. */
MUST_CHECK enum status table_touch_key(
    struct table_writer *writer, uint64_t id, uint64_t version, uint64_t size);
MUST_CHECK enum status table_delete_key(
    struct table_writer *writer, uint64_t id);

/* One row of any table but keys: an element, or of meta. */
MUST_CHECK enum status table_put(
    struct table_writer *writer, const struct row_change *change);
MUST_CHECK enum status table_delete(
    struct table_writer *writer, const struct row_change *change);

/* Delete at most limit elements of key id.  *deleted: how many. */
MUST_CHECK enum status table_delete_elements(struct table_writer *writer,
    enum row_table table, uint64_t id, int limit, int *deleted);

/* kind: the table whose rows of id are nobody's; ROW_DB: all keys of id. */
MUST_CHECK enum status table_put_garbage(
    struct table_writer *writer, enum row_table kind, uint64_t id);
MUST_CHECK enum status table_delete_garbage(
    struct table_writer *writer, enum row_table kind, uint64_t id);
/* STATUS_NOT_FOUND: none left. */
MUST_CHECK enum status table_first_garbage(
    struct table_writer *writer, enum row_table *kind, uint64_t *id);
/* Any key of a physical database. */
MUST_CHECK enum status table_first_key(struct table_writer *writer, uint64_t db,
    uint64_t *id, enum key_type *type);

/* Rows written since table_open(). */
uint64_t table_rows_written(const struct table_writer *writer);

#endif
