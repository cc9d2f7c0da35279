/*
 * shippersend.c -- the shipper's requests.
 */
#include "server/base/check.h"
#include "server/base/faultpoint.h"

#include "replication/shippersend.h"
#include "replication/shipperstate.h"

#define PUT_TIMEOUT_MS 30000
#define PUT_SPEED_MIN 100 /* bytes a ms below which a PUT is given up */

/* ---- requests ----------------------------------------------------------- */

static void
note_done(struct objectstore_request *request)
{
    ((struct shipper *)request->arg)->is_done = true;
}

static void
send(struct shipper *shipper, enum shipper_phase phase)
{
    shipper->phase = phase;
    shipper->is_done = false;
    shipper->sent_ms = shipper->now_ms;
    shipper->request.done = note_done;
    shipper->request.arg = shipper;
    objectstore_submit(shipper->store, &shipper->request);
}

void
shippersend_put(struct shipper *shipper)
{
    uint64_t txid = shipper->spans[0].txid;
    struct objectstore_request *request = &shipper->request;
    struct ltx_header header = { 0 };

    layout_format_name(shipper->name, 0, txid, txid);
    objectstore_request_fini(request);
    objectstore_request_init(
        request, OBJECTSTORE_PUT, slice_from_text(shipper->name));
    if (shipper->body_fd >= 0) {
        request->body_fd = shipper->body_fd;
        request->body_size = shipper->body_size;
    } else {
        request->body = buf_slice(&shipper->body);
    }
    request->if_none_match = shipper->options.can_fence;
    /* The name and the contents part company only if the disk lies. */
    CHECK(
        shipperstate_read_header(shipper, &header) && header.max_txid == txid);
    request->timestamp_ms = header.timestamp_ms;
    /* A stalled connection is noticed by the store; this bounds a slow one. */
    request->timeout_ms =
        PUT_TIMEOUT_MS + (int64_t)(request->body_size / PUT_SPEED_MIN);
    FAULT_POINT("ship.before_put");
    shipper->status.puts++;
    shipper->last_put_ms = shipper->now_ms;
    send(shipper, PHASE_PUT);
    FAULT_POINT("ship.sent_put");
}

void
shippersend_check(struct shipper *shipper)
{
    objectstore_request_fini(&shipper->request);
    objectstore_request_init(
        &shipper->request, OBJECTSTORE_GET, slice_from_text(shipper->name));
    shipper->request.range_len = SHIPPERSTATE_CHECK_SIZE_MAX;
    send(shipper, PHASE_CHECK);
}

void
shippersend_head(struct shipper *shipper)
{
    uint64_t txid = shipper->status.shipped_txid;

    layout_format_name(shipper->name, 0, txid, txid);
    objectstore_request_fini(&shipper->request);
    objectstore_request_init(
        &shipper->request, OBJECTSTORE_LIST, SLICE("0000/"));
    if (txid > 0)
        shipper->request.list_after = slice_from_text(shipper->name);
    send(shipper, PHASE_HEAD);
}

bool
shippersend_load_outbox(struct shipper *shipper)
{
    const struct outbox_file *first;

    /* What was shipped but could not be removed then. */
    while ((first = outbox_first(shipper->outbox)) != NULL &&
           first->txid < shipper->spans[0].txid)
        if (outbox_remove_first(shipper->outbox) != STATUS_OK) {
            shipperstate_note_failure(
                shipper, "outbox", "a file cannot be removed");
            shipperstate_retry_later(shipper, 0);
            return false;
        }
    if (first == NULL || shipper->body_txid == first->txid)
        return true;
    if (outbox_read_first(shipper->outbox, &shipper->body_fd) != STATUS_OK) {
        shipperstate_note_failure(
            shipper, "outbox", "the oldest file cannot be read");
        shipperstate_retry_later(shipper, 0);
        return false;
    }
    shipper->body_size = first->size;
    shipper->body_txid = first->txid;
    return true;
}
