/*
 * schema.c -- the tables.
 *
 * Element tables have no rowid: their rows are stored in the order of (key,
 * element), so a collection is one run of pages, found and walked by its key.
 * zsets.score has no declared type on purpose: in a REAL column SQLite stores
 * numbers without a fraction as integers, and -0.0 would come back as 0.0.
 *
 * A journal row's id is seq << 16 | part: the rowid is then the order, and an
 * insert appends to the right edge of the tree.
 *
 * The views are for people.  meta rows "db.<logical>" say which physical
 * database number stands behind a logical one; a number without such a row
 * stands for itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "server/base/random.h"
#include "storage/database.h"

#include "storage/schema.h"

#define DATABASE_ID_DIGITS 40
#define HASH_SEED_DIGITS 32

static const char schema_tables[] =
    "CREATE TABLE meta("
    " name TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE keys("
    " id INTEGER PRIMARY KEY,"
    " db INTEGER NOT NULL,"
    " name BLOB NOT NULL,"
    " type INTEGER NOT NULL,"
    " encoding INTEGER NOT NULL,"
    " expire_at INTEGER,"
    " version INTEGER NOT NULL,"
    " size INTEGER NOT NULL,"
    " value BLOB,"
    " UNIQUE(db, name));"
    "CREATE INDEX keys_by_expiry ON keys(expire_at)"
    " WHERE expire_at IS NOT NULL;"

    "CREATE TABLE hashes("
    " key INTEGER NOT NULL, field BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(key, field)) WITHOUT ROWID;"
    "CREATE TABLE lists("
    " key INTEGER NOT NULL, pos INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(key, pos)) WITHOUT ROWID;"
    "CREATE TABLE sets("
    " key INTEGER NOT NULL, member BLOB NOT NULL,"
    " PRIMARY KEY(key, member)) WITHOUT ROWID;"
    "CREATE TABLE zsets("
    " key INTEGER NOT NULL, member BLOB NOT NULL, score NOT NULL,"
    " PRIMARY KEY(key, member)) WITHOUT ROWID;"
    "CREATE TABLE blobs("
    " key INTEGER NOT NULL, chunk INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY(key, chunk)) WITHOUT ROWID;"

    "CREATE TABLE garbage("
    " kind INTEGER NOT NULL, id INTEGER NOT NULL,"
    " PRIMARY KEY(kind, id)) WITHOUT ROWID;"
    "CREATE TABLE journal("
    " id INTEGER PRIMARY KEY, has_direct INTEGER NOT NULL,"
    " changes BLOB NOT NULL);";

/* garbage.kind 7 is ROW_DB; types and encodings as in rowchange.h; */
/* 4294967295 is TABLE_PARKED_DB. */
static const char schema_views[] =
    "CREATE VIEW redis_keys AS SELECT"
    " k.id, coalesce((SELECT CAST(substr(name, 4) AS INTEGER) FROM meta"
    "  WHERE name GLOB 'db.[0-9]*' AND CAST(value AS INTEGER) = k.db), k.db)"
    "  AS db,"
    " CAST(k.name AS TEXT) AS name,"
    " CASE k.type WHEN 1 THEN 'string' WHEN 2 THEN 'list' WHEN 3 THEN 'set'"
    "  WHEN 4 THEN 'zset' WHEN 5 THEN 'hash' WHEN 6 THEN 'stream' END AS type,"
    " k.size, k.expire_at,"
    " datetime(k.expire_at / 1000.0, 'unixepoch') AS expires"
    " FROM keys k WHERE k.db <> 4294967295 AND NOT EXISTS"
    "  (SELECT 1 FROM garbage WHERE kind = 7 AND id = k.db);"

    "CREATE VIEW redis_strings AS SELECT r.db, r.name,"
    " CAST(CASE k.encoding WHEN 3 THEN"
    "  (SELECT group_concat(data, '') FROM"
    "   (SELECT data FROM blobs WHERE key = k.id ORDER BY chunk))"
    "  ELSE k.value END AS TEXT) AS value, r.expires"
    " FROM redis_keys r JOIN keys k USING (id) WHERE k.type = 1;"

    "CREATE VIEW redis_hashes AS SELECT r.db, r.name,"
    " CAST(h.field AS TEXT) AS field, CAST(h.value AS TEXT) AS value"
    " FROM redis_keys r JOIN hashes h ON h.key = r.id"
    " WHERE r.type = 'hash';"

    "CREATE VIEW redis_lists AS SELECT r.db, r.name,"
    " row_number() OVER (PARTITION BY l.key ORDER BY l.pos) - 1 AS position,"
    " CAST(l.value AS TEXT) AS value"
    " FROM redis_keys r JOIN lists l ON l.key = r.id"
    " WHERE r.type = 'list';"

    "CREATE VIEW redis_sets AS SELECT r.db, r.name,"
    " CAST(s.member AS TEXT) AS member"
    " FROM redis_keys r JOIN sets s ON s.key = r.id WHERE r.type = 'set';"

    "CREATE VIEW redis_zsets AS SELECT r.db, r.name,"
    " CAST(z.member AS TEXT) AS member, z.score"
    " FROM redis_keys r JOIN zsets z ON z.key = r.id WHERE r.type = 'zset';";

static enum status
use_wal(sqlite3 *db)
{
    sqlite3_stmt *statement;
    enum status status;
    int rc;

    status = database_prepare(db, "PRAGMA journal_mode=WAL", &statement);
    if (status != STATUS_OK)
        return status;
    rc = sqlite3_step(statement);
    status = database_status(rc);
    if (rc == SQLITE_ROW && !slice_is(database_column(statement, 0), "wal"))
        status = STATUS_UNSUPPORTED; /* a file system without shared memory */
    sqlite3_finalize(statement);
    return status;
}

static enum status
create_meta(sqlite3 *db)
{
    char id[DATABASE_ID_DIGITS + 1];
    char seed[HASH_SEED_DIGITS + 1];
    char sql[512];

    random_hex(id, DATABASE_ID_DIGITS);
    random_hex(seed, HASH_SEED_DIGITS);
    snprintf(sql, sizeof(sql),
        "INSERT INTO meta(name, value) VALUES"
        " ('schema', '%d'), ('database_id', '%s'), ('hash_seed', '%s'),"
        " ('seq', '0')",
        SCHEMA_VERSION, id, seed);
    return database_exec(db, sql);
}

/* One transaction: after a crash the file is empty or complete. */
static enum status
create_schema(sqlite3 *db)
{
    char sql[128];
    enum status status;

    snprintf(sql, sizeof(sql), "PRAGMA page_size=%d", DATABASE_PAGE_SIZE);
    status = database_exec(db, sql);
    if (status == STATUS_OK)
        status = use_wal(db);
    if (status == STATUS_OK)
        status = database_exec(db, "PRAGMA synchronous=FULL; BEGIN IMMEDIATE");
    if (status == STATUS_OK)
        status = database_exec(db, schema_tables);
    if (status == STATUS_OK)
        status = database_exec(db, schema_views);
    if (status == STATUS_OK)
        status = create_meta(db);
    snprintf(sql, sizeof(sql),
        "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
        SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
    if (status == STATUS_OK)
        status = database_exec(db, sql);
    return status;
}

enum status
schema_open(sqlite3 *db, const char *path, char *error, size_t error_size)
{
    int64_t application_id = 0;
    int64_t version = 0;
    int64_t objects = 0;
    enum status status;

    status = database_get_number(db, "PRAGMA application_id", &application_id);
    if (status == STATUS_OK)
        status = database_get_number(db, "PRAGMA user_version", &version);
    if (status == STATUS_OK)
        status = database_get_number(
            db, "SELECT count(*) FROM sqlite_schema", &objects);
    if (status == STATUS_OK && application_id == 0 && objects == 0) {
        status = create_schema(db);
    } else if (status == STATUS_OK && application_id != SCHEMA_APPLICATION_ID) {
        snprintf(error, error_size,
            "%s is an SQLite database, but not one of Walden's", path);
        return STATUS_CORRUPT;
    } else if (status == STATUS_OK && version < SCHEMA_VERSION) {
        snprintf(error, error_size,
            "%s has a schema that never was (schema %" PRId64 ")", path,
            version);
        return STATUS_CORRUPT;
    } else if (status == STATUS_OK && version > SCHEMA_VERSION) {
        snprintf(error, error_size,
            "%s was written by a newer Walden (schema %" PRId64
            ", this one knows %d)",
            path, version, SCHEMA_VERSION);
        return STATUS_NEWER_VERSION;
    } else if (status == STATUS_OK) {
        status = use_wal(db);
    }
    if (status == STATUS_UNSUPPORTED)
        snprintf(error, error_size,
            "the file system of %s does not allow SQLite's WAL mode", path);
    else if (status != STATUS_OK)
        snprintf(error, error_size, "cannot use %s as a database: %s", path,
            sqlite3_errmsg(db));
    return status;
}
