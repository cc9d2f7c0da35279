/*
 * connection.c -- the writing connection.
 *
 * A commit is: BEGIN IMMEDIATE, one row into the journal, big values straight
 * into their tables, COMMIT with fsync.
 *
 * When a commit fails.  SQLite writes a transaction's frames to the WAL, syncs
 * it, and only then publishes the frames in the shared WAL index.  A failure
 * at any step leaves them unpublished: no connection sees the transaction, and
 * the next one is written over its frames.  Two things remain to fear.
 *   - The kernel may have dropped, with the failed sync, older frames too:
 *     those of fold slices since the last successful sync, which were not
 *     synced themselves.  A later commit would be appended behind that hole,
 *     its own sync would succeed, and recovery would stop at the hole.
 *   - Frames of the failed transaction may have reached the disk all the same.
 * So a connection that failed is not used again.  It is opened anew, the WAL
 * is checkpointed completely and truncated (walcheck.c has read it through
 * first, and repeated what earlier checkpoints had copied), and only then a
 * probe is committed, at the beginning of a new WAL with a new salt: nothing
 * old can follow it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/faultpoint.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "storage/database.h"
#include "storage/schema.h"

#include "storage/connection.h"
#include "storage/tap.h"

/*
 * Bytes of page cache.  Not more: when a COMMIT follows a page split, SQLite
 * 3.40 walks over all of the cache's hash table (the split has used the page
 * number of the lock byte, the COMMIT drops what lies beyond the file's end),
 * 0.3 ms in a cache of 64 MiB.
 */
#define CACHE_SIZE (16 * 1024 * 1024)
#define RECOVERY_SLICE_US 50000
/*
 * How long a checkpoint, and with it the next commit, waits for the shipper.
 * The first that finds it behind does not wait but asks it to hurry; the next
 * one waits for what is left.
 */
#define TAKER_WAIT_MS 1000 /* between two looks at a full outbox */
#define TAP_PATIENCE_MS 100
/* A frame of the WAL: its header and a page. */
#define FRAME_SIZE (24 + DATABASE_PAGE_SIZE)

static int
count_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct connection *connection = arg;

    (void)db;
    (void)name;
    /* All was copied: it may have started again.  Assume so; at worst some */
    /* frames are counted as not copied that are. */
    if (connection->copied_frames >= connection->wal_frames ||
        (uint64_t)frames < connection->wal_frames)
        connection->copied_frames = 0;
    connection->wal_frames = (uint64_t)frames;
    if (connection->tap != NULL)
        tap_publish(connection->tap, (uint64_t)frames, connection->seq,
            connection->is_synced);
    return SQLITE_OK;
}

/* The rows of batches that wrote straight into tables; see direct.h. */
static enum status
load_direct(struct connection *connection)
{
    struct slice changes;
    enum status status;
    uint64_t id = 0;

    while ((status = journal_next_direct(
                connection->journal, id, &id, &changes)) == STATUS_OK) {
        status = direct_add(connection->direct, id, changes);
        if (status != STATUS_OK)
            break;
    }
    journal_rest(connection->journal);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status
open_parts(struct connection *connection, const struct store_options *options)
{
    struct fold_context context;
    enum status status;
    int64_t garbage = 0;

    status = transaction_open(&connection->transaction, connection->db);
    if (status == STATUS_OK)
        status = table_open(&connection->tables, connection->db);
    if (status == STATUS_OK)
        status = journal_open(
            &connection->journal, connection->db, options->journal_row_size);
    if (status == STATUS_OK)
        status = database_get_number(
            connection->db, "SELECT EXISTS(SELECT 1 FROM garbage)", &garbage);
    if (status != STATUS_OK)
        return status;
    connection->has_garbage = garbage != 0;
    connection->direct = direct_new();
    context = (struct fold_context){ .transaction = connection->transaction,
        .tables = connection->tables,
        .journal = connection->journal,
        .direct = connection->direct,
        .generation_size = options->generation_size };
    connection->fold = fold_new(&context, 0);
    if (journal_last_seq(connection->journal) > connection->seq)
        connection->seq = journal_last_seq(connection->journal);
    return load_direct(connection);
}

enum status
connection_open(struct connection *connection,
    const struct store_options *options, char *error, size_t error_size)
{
    const char *path = options->path;
    enum status status;

    status = database_open(&connection->db, path, options->vfs, false,
        CACHE_SIZE, error, error_size);
    if (status != STATUS_OK)
        return status;
    status = schema_open(connection->db, path, error, error_size);
    if (status == STATUS_OK) {
        sqlite3_wal_hook(connection->db, count_frames, connection);
        status = open_parts(connection, options);
        if (status != STATUS_OK)
            snprintf(error, error_size, "cannot use %s: %s (%s)", path,
                status_text(status), sqlite3_errmsg(connection->db));
    }
    if (status != STATUS_OK)
        connection_close(connection);
    return status;
}

void
connection_close(struct connection *connection)
{
    struct tap *tap = connection->tap;
    uint64_t seq = connection->seq;

    fold_free(connection->fold);
    direct_free(connection->direct);
    journal_close(connection->journal);
    table_close(connection->tables);
    transaction_close(connection->transaction);
    if (connection->db != NULL)
        database_close(connection->db);
    *connection = (struct connection){ .tap = tap, .seq = seq };
}

enum status
connection_fold_all(
    struct connection *connection, uint64_t seq, uint64_t wal_size_max)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK && (fold_is_active(connection->fold) ||
                                      journal_rows(connection->journal) > 0)) {
        if (!fold_is_active(connection->fold))
            fold_start(connection->fold, seq);
        status = fold_step(connection->fold, RECOVERY_SLICE_US);
        if (status == STATUS_OK &&
            connection_wal_size(connection) > wal_size_max) {
            status =
                connection_checkpoint(connection, SQLITE_CHECKPOINT_PASSIVE);
            if (status == STATUS_BUSY)
                status = STATUS_OK; /* the WAL only grows a little more */
        }
    }
    connection->has_garbage |= fold_take_garbage(connection->fold);
    return status;
}

static bool
may_checkpoint(struct connection *connection, int mode)
{
    bool is_patient =
        mode != SQLITE_CHECKPOINT_PASSIVE || connection->is_tap_asked;

    if (connection->tap == NULL)
        return true;
    connection->is_tap_asked =
        !tap_may_reset(connection->tap, is_patient ? TAP_PATIENCE_MS : 0);
    return !connection->is_tap_asked;
}

enum status
connection_checkpoint(struct connection *connection, int mode)
{
    int frames = 0;
    int copied = 0;
    int rc;

    if (!may_checkpoint(connection, mode)) /* B2 */
        return STATUS_BUSY;
    if (FAULT_FAILS("checkpoint.before"))
        rc = SQLITE_IOERR;
    else
        rc = sqlite3_wal_checkpoint_v2(
            connection->db, NULL, mode, &frames, &copied);
    if (connection->tap != NULL)
        tap_end_reset(connection->tap, rc == SQLITE_OK && copied == frames);
    if (rc != SQLITE_OK)
        return database_status(rc);
    FAULT_POINT("checkpoint.after");
    connection->wal_frames = (uint64_t)frames;
    connection->copied_frames = (uint64_t)copied;
    return copied < frames ? STATUS_BUSY : STATUS_OK;
}

void
connection_wait_for_taker(struct connection *connection, uint64_t wal_size_max)
{
    if (connection->tap == NULL)
        return;
    while (connection_wal_size(connection) > wal_size_max &&
           tap_is_stalled(connection->tap, TAKER_WAIT_MS))
        continue;
}

uint64_t
connection_wal_size(const struct connection *connection)
{
    if (connection->wal_frames < connection->copied_frames)
        return 0;
    return (connection->wal_frames - connection->copied_frames) * FRAME_SIZE;
}

/* ---- committing --------------------------------------------------------- */

/* The big values, straight into their tables. */
static enum status
write_direct(struct connection *connection, const struct batch *batch)
{
    struct bytes bytes = bytes_from(buf_slice(&batch->direct));
    struct row_change change;
    enum status status;

    while ((status = rowchange_next(&bytes, &change)) == STATUS_OK) {
        CHECK(change.op == ROW_PUT);
        CHECK(change.table != ROW_KEY && change.table != ROW_META);
        status = table_put(connection->tables, &change);
        if (status != STATUS_OK)
            return status;
        if (FAULT_FAILS("direct.written"))
            return STATUS_IO;
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status
write_batch(struct connection *connection, const struct batch *batch)
{
    enum status status = journal_insert(connection->journal, batch);

    if (status == STATUS_OK && FAULT_FAILS("commit.inserted"))
        return STATUS_IO;
    if (status == STATUS_OK && batch->direct.len > 0)
        status = write_direct(connection, batch);
    if (status == STATUS_OK && FAULT_FAILS("commit.before_commit"))
        return STATUS_IO;
    return status;
}

/*
 * Let the fold know which rows are newer in their tables.  If the COMMIT then
 * fails this is wrong, and harmless: nothing is folded until the connection
 * has been opened anew, with an index read from the journal.
 */
static enum status
note_direct(struct connection *connection, const struct batch *batch)
{
    uint64_t id = batch->seq << JOURNAL_PART_BITS;
    struct slice changes;
    enum status status = STATUS_OK;
    uint64_t at = id - 1;

    if (!journal_splits(connection->journal, batch))
        return direct_add(connection->direct, id, buf_slice(&batch->changes));
    while (status == STATUS_OK) {
        status = journal_next(connection->journal, at, &at, &changes);
        if (status == STATUS_OK)
            status = direct_add(connection->direct, at, changes);
    }
    journal_rest(connection->journal);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
connection_commit(struct connection *connection, const struct batch *batch,
    bool is_synchronous)
{
    enum status status;

    DCHECK(sqlite3_get_autocommit(connection->db) != 0); /* D1 */
    if (FAULT_FAILS("commit.begin"))
        return STATUS_IO;
    status = transaction_begin(connection->transaction, is_synchronous);
    if (status != STATUS_OK)
        return status;
    uint64_t seq = connection->seq;
    status = write_batch(connection, batch);
    if (status == STATUS_OK && batch->direct.len > 0)
        status = note_direct(connection, batch);
    connection->seq = batch->seq;
    connection->is_synced = is_synchronous;
    DCHECK(status != STATUS_OK ||
           sqlite3_get_autocommit(connection->db) == 0); /* D1: still the one */
    if (status == STATUS_OK)
        status = transaction_commit(connection->transaction);
    else
        transaction_rollback(connection->transaction);
    connection->is_synced = false;
    if (status != STATUS_OK) {
        connection->seq = seq;
        return status;
    }
    journal_inserted(connection->journal, batch);
    FAULT_POINT("commit.after_commit");
    return STATUS_OK;
}

enum status
connection_probe(struct connection *connection)
{
    struct row_change change = { .op = ROW_PUT,
        .table = ROW_META,
        .sub = SLICE("probe"),
        .value = SLICE("1") };
    enum status status;

    status = transaction_begin(connection->transaction, true);
    if (status != STATUS_OK)
        return status;
    status = table_put(connection->tables, &change);
    if (status == STATUS_OK && FAULT_FAILS("probe.before_commit"))
        status = STATUS_IO;
    if (status != STATUS_OK) {
        transaction_rollback(connection->transaction);
        return status;
    }
    return transaction_commit(connection->transaction);
}

/* ---- counters ----------------------------------------------------------- */

static enum status
get_meta(
    struct connection *connection, const char *name, char *text, size_t size)
{
    sqlite3_stmt *statement;
    enum status status;
    int rc;

    status = database_prepare(
        connection->db, "SELECT value FROM meta WHERE name=?1", &statement);
    if (status != STATUS_OK)
        return status;
    database_bind_text(statement, 1, slice_from_text(name));
    rc = sqlite3_step(statement);
    status = rc == SQLITE_DONE ? STATUS_NOT_FOUND : database_status(rc);
    if (status == STATUS_OK) {
        struct slice value = database_column(statement, 0);

        if (value.len < size) {
            memcpy(text, value.data, value.len);
            text[value.len] = '\0';
        } else {
            status = STATUS_CORRUPT;
        }
    }
    sqlite3_finalize(statement);
    return status;
}

/* A decimal; missing: fallback. */
static enum status
get_number(struct connection *connection, const char *name, uint64_t fallback,
    uint64_t *number)
{
    char text[64];
    enum status status = get_meta(connection, name, text, sizeof(text));

    if (status == STATUS_NOT_FOUND) {
        *number = fallback;
        return STATUS_OK;
    }
    if (status != STATUS_OK)
        return status;
    return number_parse_u64(slice_from_text(text), number) ? STATUS_OK
                                                           : STATUS_CORRUPT;
}

static bool
parse_hex(const char *text, uint8_t *bytes, size_t len)
{
    size_t i;

    if (strlen(text) != 2 * len)
        return false;
    for (i = 0; i < len; i++) {
        char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };
        char *end;

        bytes[i] = (uint8_t)strtoul(digits, &end, 16);
        if (*end != '\0')
            return false;
    }
    return true;
}

enum status
connection_read_counters(
    struct connection *connection, struct store_counters *counters)
{
    struct store_counters out = { 0 };
    char seed[64];
    enum status status;
    int64_t last_id = 0;

    status = get_number(connection, "next_id", 1, &out.next_id);
    if (status == STATUS_OK)
        status = get_number(connection, "seq", 0, &out.seq);
    if (status == STATUS_OK)
        status = get_meta(connection, "database_id", out.database_id,
            sizeof(out.database_id));
    if (status == STATUS_OK)
        status = get_meta(connection, "hash_seed", seed, sizeof(seed));
    if (status == STATUS_OK &&
        !parse_hex(seed, out.hash_seed, sizeof(out.hash_seed)))
        status = STATUS_CORRUPT;
    if (status == STATUS_OK)
        status = database_get_number(
            connection->db, "SELECT coalesce(max(id), 0) FROM keys", &last_id);
    if (status == STATUS_NOT_FOUND)
        status = STATUS_CORRUPT;
    if (status != STATUS_OK)
        return status;
    /* Never give an id out twice, whatever the counter says. */
    if (out.next_id <= (uint64_t)last_id)
        out.next_id = (uint64_t)last_id + 1;
    if (out.seq < journal_last_seq(connection->journal))
        out.seq = journal_last_seq(connection->journal);
    *counters = out;
    return STATUS_OK;
}
