/*
 * shipperstate.c -- spans, the file being shipped, failures.
 */
#include <stdio.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/memory.h"

#include "replication/shipperstate.h"

/* ---- spans -------------------------------------------------------------- */

void
shipperstate_push_span(
    struct shipper *shipper, uint64_t txid, const struct tap_position *end)
{
    if (shipper->span_count == shipper->span_size) {
        shipper->span_size =
            shipper->span_size == 0 ? 16 : 2 * shipper->span_size;
        shipper->spans = memory_realloc(
            shipper->spans, shipper->span_size * sizeof(*shipper->spans));
    }
    shipper->spans[shipper->span_count++] =
        (struct shipper_span){ txid, *end, shipper->now_ms };
    shipper->status.taken_txid = txid;
    shipper->taken = *end;
    shipper->last_take_ms = shipper->now_ms;
}

void
shipperstate_drop_first_span(struct shipper *shipper)
{
    shipper->span_count--;
    memmove(shipper->spans, shipper->spans + 1,
        shipper->span_count * sizeof(*shipper->spans));
}

/* The WAL stays as it is while an image is made and sent. */
bool
shipperstate_hold_wal(struct shipper *shipper)
{
    if (!shipper->is_holding)
        shipper->is_holding = tap_try_hold(shipper->tap);
    return shipper->is_holding;
}

void
shipperstate_release_wal(struct shipper *shipper)
{
    if (shipper->is_holding)
        tap_release(shipper->tap);
    shipper->is_holding = false;
}

/* ---- the file being shipped ---------------------------------------------- */

void
shipperstate_drop_body(struct shipper *shipper)
{
    if (shipper->body_fd >= 0)
        close(shipper->body_fd);
    shipper->body_fd = -1;
    shipper->body_txid = 0;
    buf_clear(&shipper->body, 1024 * 1024);
}

/* The header of the file being shipped. */
bool
shipperstate_read_header(
    const struct shipper *shipper, struct ltx_header *header)
{
    char bytes[LTX_HEADER_SIZE];

    if (shipper->body_fd < 0)
        return ltx_decode_header(
                   shipper->body.data, shipper->body.len, header) == STATUS_OK;
    return pread(shipper->body_fd, bytes, sizeof(bytes), 0) ==
               (ssize_t)sizeof(bytes) &&
           ltx_decode_header(bytes, sizeof(bytes), header) == STATUS_OK;
}

/* ---- failures ----------------------------------------------------------- */

void
shipperstate_note_failure(
    struct shipper *shipper, const char *what, const char *why)
{
    struct shipper_status *status = &shipper->status;

    status->failures++;
    if (status->error[0] == '\0')
        log_warning("bucket: %s: %s; trying again", what, why);
    snprintf(status->error, sizeof(status->error), "%.40s: %.200s", what, why);
}

void
shipperstate_retry_later(struct shipper *shipper, int64_t retry_after_ms)
{
    shipper->retry_at_ms =
        shipper->now_ms + backoff_next_ms(&shipper->backoff, retry_after_ms);
}

void
shipperstate_fence(struct shipper *shipper, const char *why)
{
    shipper->status.state = SHIPPER_FENCED;
    shipper->phase = PHASE_IDLE; /* the request that told it is over */
    snprintf(shipper->status.error, sizeof(shipper->status.error), "%s", why);
    shipperstate_release_wal(shipper);
    log_warning("bucket: %s. This server no longer owns the prefix.", why);
}
