/*
 * failure.c -- a failed commit (D2).
 *
 * The batch that failed, and the open one that builds on it, are lost: their
 * replies are still here, held, and become errors.  Memory is dropped and
 * built again from what is on disk; WATCHes are broken; clients that block on
 * keys go on waiting, and are looked at again when writes are accepted.  Reads
 * are served; writes are refused with MISCONF until a probe commit succeeds,
 * which is tried every second.
 *
 * If even reading the database fails there is nothing true to serve from: the
 * process ends, and the file has all that was acknowledged.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/base/log.h"
#include "server/blocked_table.h"
#include "server/commands/transaction.h"
#include "server/failure.h"
#include "server/release.h"
#include "server/watch.h"

void
failure_begin(struct server *srv, enum status outcome)
{
    struct store_stats stats;
    store_stats(srv->store, &stats);
    (void)snprintf(srv->failure, sizeof(srv->failure),
        "MISCONF Errors writing to the database file: %.150s. Writes are "
        "refused until it succeeds.",
        stats.last_error[0] != '\0' ? stats.last_error : status_text(outcome));
    log_warning("%s", srv->failure);
    srv->is_misconfigured = true;
    release_fail(srv, srv->failure);
    watch_break_all(srv);
    enum status status = keyspace_reload(srv->keyspace);
    if (status != STATUS_OK) {
        log_warning("Cannot read the database after a failed commit: %s. "
                    "Exiting; nothing acknowledged is lost.",
            status_text(status));
        exit(1);
    }
    /* They may wait for what only the lost batches had taken away. */
    blocked_signal(srv, -1, slice_make(NULL, SIZE_MAX), KEY_NONE);
    server_saved(UINT64_MAX, outcome);
}

void
failure_retry(struct server *srv)
{
    if (srv->is_misconfigured)
        store_resume(srv->store);
}

void
failure_end(struct server *srv, enum status outcome)
{
    if (!srv->is_misconfigured || outcome != STATUS_OK)
        return;
    srv->is_misconfigured = false;
    srv->failure[0] = '\0';
    keyspace_resume(srv->keyspace);
    log_notice("The database file takes commits again; writes are accepted");
}
