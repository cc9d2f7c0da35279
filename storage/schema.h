/*
 * schema.h -- the tables: making them in a new file, knowing them in an old
 * one.  The file format is described in storage/README.md.
 *
 * Private to storage/.
 */
#ifndef WALDEN_STORAGE_SCHEMA_H
#define WALDEN_STORAGE_SCHEMA_H

#include "server/base/status.h"

#include <sqlite3.h>
#include <stddef.h>

/* "Wldn": PRAGMA application_id, so that file(1) and we know our own. */
#define SCHEMA_APPLICATION_ID 0x576c646e
/* PRAGMA user_version.  A file with a larger one is refused. */
#define SCHEMA_VERSION 1

/*
 * Make sure db is a Walden database of this version in WAL mode; make it one
 * if it is empty.
 * Fails: STATUS_NEWER_VERSION, STATUS_CORRUPT (not a database, or somebody
 * else's), and what the disk says; error then holds a sentence.
 */
MUST_CHECK enum status schema_open(
    sqlite3 *db, const char *path, char *error, size_t error_size);

#endif
