/*
 * upload.c -- a large PUT in parts.
 *
 *   PROBING? -> BEGIN -> PARTS -> END ----------> OVER
 *                          |       | \            ^ ^
 *                          |       |  404-> LOOK -+ |
 *                          +-------+-----> ABORT ---+
 *
 * An answer that was lost: BEGIN is sent again, and the first upload, whose id
 * nobody knows, is left to keepertidy.c.  A part is sent again, and replaces
 * itself.  END is sent again; "no such upload" then may mean that the first
 * END did it, so the object is looked at: the name says what is in it, its size
 * and time that it is this one.  With if_none_match that is left to the
 * caller, as after any lost answer (STATUS_CONFLICT).
 *
 * The probe is an upload like another, of PROBE_TEXT over an object that
 * was PUT before; see upload.h for why.
 */
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/memory.h"

#include "replication/backoff.h"
#include "replication/sigv4.h"
#include "replication/upload.h"

#define HASH_SLICE_SIZE (1024 * 1024) /* bytes hashed in one step */
#define PART_TIMEOUT_MS 60000
#define PART_SPEED_MIN 100    /* bytes a ms below which a part is given up */
#define END_TIMEOUT_MS 300000 /* stores put the parts together meanwhile */
#define TRIES_MIN 3           /* of any request; of an abort no more */
#define PART_SIZE_STEP (1024 * 1024)
#define PROBE_NAME "walden-upload-probe"
#define PROBE_TEXT                                                 \
    "Walden ends an upload to this name with If-None-Match: * to " \
    "learn whether the store refuses it.\n"

enum upload_state {
    UPLOAD_PROBING, /* the probe, another upload, is under way */
    UPLOAD_PLAIN,   /* the probe's own: the object that must be in the way */
    UPLOAD_BEGIN,
    UPLOAD_PARTS,
    UPLOAD_END,
    UPLOAD_LOOK,
    UPLOAD_ABORT, /* nothing of what failed shall stay */
    UPLOAD_OVER
};

enum slot_state {
    SLOT_FREE,
    SLOT_HASHING,
    SLOT_SENT,
    SLOT_ANSWERED,
    SLOT_WAITING, /* to be sent again */
    SLOT_JUDGED   /* being released */
};

/* One request; all but the parts use the first slot alone. */
struct slot {
    struct objectstore_request request;
    enum slot_state state;
    struct sigv4_hasher *hasher;
    uint64_t hashed; /* bytes */
    char hash[SIGV4_HASH_HEX_SIZE];
    struct backoff backoff;
    int64_t retry_at_ms;
};

struct upload {
    struct upload *next;
    struct objectstore *store;
    struct objectstore_request *request; /* NULL: the caller has gone */
    enum upload_state state;
    struct buf name, id;
    char (*etags)[OBJECTSTORE_ETAG_SIZE];
    uint64_t part_size;
    unsigned part_count, next_part, done_count;
    struct slot slots[UPLOAD_PARALLEL];
    int64_t give_up_ms;  /* moves on with every success */
    int64_t deadline_ms; /* the caller's */
    /* How it ends: from ABORT on. */
    enum status status;
    char error[256];
    struct objectstore_request probe;
    bool is_probed; /* it has been answered */
};

uint64_t
upload_part_size(uint64_t size_min, uint64_t object_size)
{
    uint64_t size = (object_size + UPLOAD_PARTS_MAX - 1) / UPLOAD_PARTS_MAX;

    if (size <= size_min)
        return size_min;
    return (size + PART_SIZE_STEP - 1) / PART_SIZE_STEP * PART_SIZE_STEP;
}

bool
upload_is_for(
    const struct objectstore *store, const struct objectstore_request *request)
{
    if (request->op != OBJECTSTORE_PUT || request->body_fd < 0 ||
        store->upload_size_min == 0)
        return false;
    return request->body_size > (request->if_none_match
                                        ? store->put_size_max
                                        : store->upload_size_min);
}

static int64_t
now_ms(struct objectstore *store)
{
    return store->ops->now_ms != NULL ? store->ops->now_ms(store)
                                      : clock_monotonic_us() / 1000;
}

/* ---- slots -------------------------------------------------------------- */

static void
note_answer(struct objectstore_request *request)
{
    ((struct slot *)request->arg)->state = SLOT_ANSWERED;
}

static void
prepare(struct upload *upload, struct slot *slot, enum objectstore_op op)
{
    memset(slot, 0, sizeof(*slot));
    objectstore_request_init(&slot->request, op, buf_slice(&upload->name));
    slot->request.upload = buf_slice(&upload->id);
    slot->request.done = note_answer;
    slot->request.arg = slot;
}

static void
send(struct upload *upload, struct slot *slot)
{
    slot->state = SLOT_SENT;
    upload->store->ops->submit(upload->store, &slot->request);
}

static void
release(struct slot *slot)
{
    sigv4_hasher_free(slot->hasher);
    slot->hasher = NULL;
    objectstore_request_fini(&slot->request);
    slot->state = SLOT_FREE;
}

static void
drop_slots(struct upload *upload)
{
    for (size_t i = 0; i < UPLOAD_PARALLEL; i++) {
        struct slot *slot = &upload->slots[i];
        if (slot->state == SLOT_SENT)
            upload->store->ops->cancel(upload->store, &slot->request);
        /* Who judges it still reads it. */
        if (slot->state != SLOT_FREE && slot->state != SLOT_JUDGED)
            release(slot);
    }
}

/* ---- ends --------------------------------------------------------------- */

/* It failed, or is given up. */
static void
fail(struct upload *upload, enum status status, const char *why)
{
    upload->status = status;
    snprintf(upload->error, sizeof(upload->error), "%s", why);
    drop_slots(upload);
    upload->state = upload->id.len > 0 ? UPLOAD_ABORT : UPLOAD_OVER;
}

static void
succeed(struct upload *upload)
{
    upload->status = STATUS_OK;
    upload->error[0] = '\0';
    upload->state = UPLOAD_OVER;
}

static void
answer(struct upload *upload)
{
    struct objectstore_request *request = upload->request;

    upload->request = NULL;
    if (request == NULL)
        return;
    request->status = upload->status;
    memcpy(request->error, upload->error, sizeof(request->error));
    request->done(request);
}

static void
free_upload(struct upload *upload)
{
    struct upload **link = &upload->store->uploads;

    while (*link != upload)
        link = &(*link)->next;
    *link = upload->next;
    drop_slots(upload);
    buf_fini(&upload->name);
    buf_fini(&upload->id);
    memory_free(upload->etags);
    memory_free(upload);
}

/* ---- what each state sends ---------------------------------------------- */

static struct upload *
make(struct objectstore *store, struct objectstore_request *request)
{
    struct upload *upload = memory_zalloc(sizeof(*upload));

    upload->store = store;
    upload->request = request;
    upload->state = UPLOAD_BEGIN;
    buf_append_slice(&upload->name, request->name);
    upload->part_size =
        upload_part_size(store->upload_size_min, request->body_size);
    upload->part_count =
        (unsigned)((request->body_size + upload->part_size - 1) /
                   upload->part_size);
    upload->etags = memory_zalloc(upload->part_count * sizeof(*upload->etags));
    upload->give_up_ms = now_ms(store) + UPLOAD_PATIENCE_MS;
    upload->deadline_ms = request->timeout_ms > 0
                              ? now_ms(store) + request->timeout_ms
                              : INT64_MAX;
    upload->next = store->uploads;
    store->uploads = upload;
    return upload;
}

static void
note_probed(struct objectstore_request *request)
{
    ((struct upload *)request->arg)->is_probed = true;
}

static void
send_probe(struct upload *upload)
{
    struct objectstore_request *probe = &upload->probe;

    objectstore_request_init(probe, OBJECTSTORE_PUT, SLICE(PROBE_NAME));
    probe->body = SLICE(PROBE_TEXT);
    probe->body_size = probe->body.len;
    probe->if_none_match = true;
    probe->done = note_probed;
    probe->arg = upload;
    make(upload->store, probe)->state = UPLOAD_PLAIN;
    upload->state = UPLOAD_PROBING;
}

static void
send_plain(struct upload *upload, struct slot *slot)
{
    prepare(upload, slot, OBJECTSTORE_PUT);
    slot->request.body = upload->request->body;
    send(upload, slot);
}

static void
send_begin(struct upload *upload, struct slot *slot)
{
    prepare(upload, slot, OBJECTSTORE_UPLOAD_BEGIN);
    slot->request.timestamp_ms = upload->request->timestamp_ms;
    send(upload, slot);
}

/* Cut the next part off. */
static void
start_part(struct upload *upload, struct slot *slot)
{
    const struct objectstore_request *whole = upload->request;
    uint64_t from = upload->next_part * upload->part_size;
    uint64_t left = whole->body_size - from;
    struct objectstore_request *part = &slot->request;

    if (upload->next_part == upload->part_count)
        return;
    prepare(upload, slot, OBJECTSTORE_UPLOAD_PART);
    part->part = ++upload->next_part;
    if (whole->body_fd < 0) { /* the probe: one part */
        part->body = whole->body;
        send(upload, slot);
        return;
    }
    part->body_fd = whole->body_fd;
    part->body_from = from;
    part->body_size = left < upload->part_size ? left : upload->part_size;
    part->timeout_ms =
        PART_TIMEOUT_MS + (int64_t)(part->body_size / PART_SPEED_MIN);
    slot->hasher = sigv4_hasher_new();
    slot->state = SLOT_HASHING;
}

static void
hash_slice(struct upload *upload, struct slot *slot)
{
    const struct objectstore_request *part = &slot->request;
    uint64_t left = part->body_size - slot->hashed;
    uint64_t len = left < HASH_SLICE_SIZE ? left : HASH_SLICE_SIZE;

    if (sigv4_hasher_add_file(slot->hasher, part->body_fd,
            part->body_from + slot->hashed, len) != STATUS_OK) {
        fail(upload, STATUS_IO, "the file could not be read");
        return;
    }
    slot->hashed += len;
    if (slot->hashed < part->body_size)
        return;
    sigv4_hasher_finish(slot->hasher, slot->hash);
    slot->request.body_hash = slot->hash;
    send(upload, slot);
}

static void
send_end(struct upload *upload, struct slot *slot)
{
    prepare(upload, slot, OBJECTSTORE_UPLOAD_END);
    slot->request.etags = (const char(*)[OBJECTSTORE_ETAG_SIZE])upload->etags;
    slot->request.part = upload->part_count;
    slot->request.if_none_match = upload->request->if_none_match;
    slot->request.timeout_ms = END_TIMEOUT_MS;
    send(upload, slot);
}

static void
send_look(struct upload *upload, struct slot *slot)
{
    prepare(upload, slot, OBJECTSTORE_HEAD);
    send(upload, slot);
}

static void
send_abort(struct upload *upload, struct slot *slot)
{
    prepare(upload, slot, OBJECTSTORE_UPLOAD_ABORT);
    send(upload, slot);
}

/* ---- what each answer means --------------------------------------------- */

static void
judge_plain(struct upload *upload, struct slot *slot)
{
    if (slot->request.status == STATUS_OK)
        upload->state = UPLOAD_BEGIN;
    else
        fail(upload, slot->request.status, slot->request.error);
}

static void
judge_begin(struct upload *upload, struct slot *slot)
{
    if (slot->request.status != STATUS_OK) {
        fail(upload, slot->request.status, slot->request.error);
        return;
    }
    buf_append_slice(&upload->id, buf_slice(&slot->request.answer));
    upload->state = UPLOAD_PARTS;
}

static void
judge_part(struct upload *upload, struct slot *slot)
{
    enum status status = slot->request.status;

    if (status != STATUS_OK) {
        /* Aborted by somebody: a rule of the bucket, say.  Begin again. */
        fail(upload, status == STATUS_NOT_FOUND ? STATUS_IO : status,
            slot->request.error);
        return;
    }
    memcpy(upload->etags[slot->request.part - 1], slot->request.etag,
        OBJECTSTORE_ETAG_SIZE);
    if (++upload->done_count == upload->part_count)
        upload->state = UPLOAD_END;
}

static void
judge_end(struct upload *upload, struct slot *slot)
{
    enum status status = slot->request.status;

    if (status == STATUS_OK)
        succeed(upload);
    else if (status == STATUS_NOT_FOUND)
        upload->state = UPLOAD_LOOK;
    else
        fail(upload, status, slot->request.error);
}

/* There is no such upload any more: did an END before do it? */
static void
judge_look(struct upload *upload, struct slot *slot)
{
    const struct objectstore_request *seen = &slot->request;
    const struct objectstore_request *wanted = upload->request;

    buf_clear(&upload->id, 0);
    if (wanted->if_none_match)
        fail(upload, STATUS_CONFLICT, "the upload is no more");
    else if (seen->status == STATUS_OK &&
             seen->object_size == wanted->body_size &&
             seen->meta_timestamp_ms == wanted->timestamp_ms)
        succeed(upload);
    else
        fail(upload, STATUS_IO, "the upload was aborted by somebody else");
}

static void
judge_abort(struct upload *upload, struct slot *slot)
{
    if (slot->request.status != STATUS_OK &&
        slot->request.status != STATUS_NOT_FOUND)
        upload->store->uploads_left++;
    upload->state = UPLOAD_OVER;
}

/* The store has been asked whether it obeys the condition. */
static void
judge_probe(struct upload *upload)
{
    const struct objectstore_request *probe = &upload->probe;
    struct objectstore *store = upload->store;

    if (!upload->is_probed)
        return;
    if (probe->status == STATUS_OK || probe->status == STATUS_CONFLICT ||
        probe->status == STATUS_UNSUPPORTED) {
        store->is_condition_known = true;
        store->is_condition_obeyed = probe->status == STATUS_CONFLICT;
        upload->state = UPLOAD_BEGIN;
    } else {
        fail(upload, probe->status, probe->error);
    }
}

static const struct {
    void (*send)(struct upload *, struct slot *);
    void (*judge)(struct upload *, struct slot *);
} states[] = {
    [UPLOAD_PLAIN] = { send_plain, judge_plain },
    [UPLOAD_BEGIN] = { send_begin, judge_begin },
    [UPLOAD_PARTS] = { start_part, judge_part },
    [UPLOAD_END] = { send_end, judge_end },
    [UPLOAD_LOOK] = { send_look, judge_look },
    [UPLOAD_ABORT] = { send_abort, judge_abort },
    [UPLOAD_OVER] = { NULL, NULL },
};

/* ---- steps -------------------------------------------------------------- */

/* Failed for a while.  Answer: it will be sent again. */
static bool
put_off(struct upload *upload, struct slot *slot, int64_t now)
{
    struct objectstore_request *request = &slot->request;

    if (!backoff_is_transient(request->status))
        return false;
    /* It may have been begun all the same, under an id that nobody knows. */
    if (upload->state == UPLOAD_BEGIN && request->status != STATUS_BUSY &&
        request->status != STATUS_DENIED)
        upload->store->uploads_left++;
    bool is_patient = upload->state != UPLOAD_ABORT && now < upload->give_up_ms;
    if (!is_patient && slot->backoff.failures + 1 >= TRIES_MIN)
        return false;
    slot->retry_at_ms =
        now + backoff_next_ms(&slot->backoff, request->retry_after_ms);
    slot->state = SLOT_WAITING;
    return true;
}

static void
judge_slot(struct upload *upload, struct slot *slot, int64_t now)
{
    if (put_off(upload, slot, now))
        return;
    if (slot->request.status == STATUS_OK)
        upload->give_up_ms = now + UPLOAD_PATIENCE_MS;
    slot->state = SLOT_JUDGED;
    states[upload->state].judge(upload, slot);
    release(slot);
}

static void
step_slot(struct upload *upload, struct slot *slot, int64_t now)
{
    switch (slot->state) {
    case SLOT_HASHING:
        hash_slice(upload, slot);
        break;
    case SLOT_ANSWERED:
        judge_slot(upload, slot, now);
        break;
    case SLOT_WAITING:
        if (slot->retry_at_ms <= now)
            send(upload, slot);
        break;
    default:
        break;
    }
}

static bool
is_busy(const struct upload *upload)
{
    for (size_t i = 0; i < UPLOAD_PARALLEL; i++)
        if (upload->slots[i].state != SLOT_FREE)
            return true;
    return false;
}

/* Start what the state has to send, where there is room. */
static void
fill_slots(struct upload *upload)
{
    const struct objectstore_request *request = upload->request;

    if (upload->state == UPLOAD_PARTS) {
        for (size_t i = 0; i < UPLOAD_PARALLEL; i++)
            if (upload->slots[i].state == SLOT_FREE)
                start_part(upload, &upload->slots[i]);
        return;
    }
    if (upload->state == UPLOAD_OVER || is_busy(upload))
        return;
    if (upload->state == UPLOAD_BEGIN && request->if_none_match &&
        request->body_fd >= 0) {
        if (!upload->store->is_condition_known) {
            send_probe(upload);
            return;
        }
        if (!upload->store->is_condition_obeyed) {
            fail(upload, STATUS_INVALID,
                "the file is larger than 5 GiB, and at the end of an upload "
                "in parts the store ignores If-None-Match");
            return;
        }
    }
    states[upload->state].send(upload, &upload->slots[0]);
}

/* ms until there is something to do; -1: nothing but answers. */
static int64_t
wait_ms(const struct upload *upload, int64_t now)
{
    int64_t first = upload->deadline_ms;

    for (size_t i = 0; i < UPLOAD_PARALLEL; i++) {
        const struct slot *slot = &upload->slots[i];
        if (slot->state == SLOT_HASHING || slot->state == SLOT_ANSWERED)
            return 0;
        if (slot->state == SLOT_WAITING && slot->retry_at_ms < first)
            first = slot->retry_at_ms;
    }
    if (first == INT64_MAX)
        return -1;
    return first > now ? first - now : 0;
}

static void
step(struct upload *upload, int64_t now)
{
    enum upload_state before;

    if (now >= upload->deadline_ms && upload->state < UPLOAD_ABORT) {
        (void)upload_cancel(upload->store, &upload->probe);
        fail(upload, STATUS_TIMEOUT, "the upload took too long");
        upload->deadline_ms = INT64_MAX;
    }
    do {
        before = upload->state;
        if (before == UPLOAD_PROBING)
            judge_probe(upload);
        for (size_t i = 0; i < UPLOAD_PARALLEL; i++)
            step_slot(upload, &upload->slots[i], now);
        if (upload->state != UPLOAD_PROBING)
            fill_slots(upload);
    } while (upload->state != before);
}

int64_t
upload_step_all(struct objectstore *store)
{
    int64_t now = now_ms(store), first = -1;
    struct upload *upload = store->uploads;

    while (upload != NULL) {
        step(upload, now);
        if (upload->state == UPLOAD_OVER) {
            answer(upload);
            free_upload(upload);
            upload = store->uploads; /* the list may be another */
            first = 0;
            continue;
        }
        int64_t wait = wait_ms(upload, now);
        if (wait >= 0 && (first < 0 || wait < first))
            first = wait;
        upload = upload->next;
    }
    return first;
}

void
upload_start(struct objectstore *store, struct objectstore_request *request)
{
    struct upload *upload = make(store, request);

    request->status = STATUS_OK;
    request->http_status = 0;
    request->retry_after_ms = 0;
    request->error[0] = '\0';
    if (request->body_size > UPLOAD_OBJECT_SIZE_MAX)
        fail(upload, STATUS_INVALID,
            "the file is larger than 5 TiB, which is all that S3 takes");
}

bool
upload_cancel(struct objectstore *store, struct objectstore_request *request)
{
    struct upload *upload = store->uploads;

    while (upload != NULL && upload->request != request)
        upload = upload->next;
    if (upload == NULL)
        return false;
    if (upload->state == UPLOAD_PROBING)
        (void)upload_cancel(store, &upload->probe);
    fail(upload, STATUS_TIMEOUT, "given up");
    upload->deadline_ms = INT64_MAX;
    answer(upload);
    return true;
}

bool
upload_is_under_way(const struct objectstore *store, struct slice id)
{
    for (const struct upload *upload = store->uploads; upload != NULL;
         upload = upload->next)
        if (slice_equal(buf_slice(&upload->id), id))
            return true;
    return false;
}

void
upload_end_all(struct objectstore *store)
{
    while (store->uploads != NULL) {
        struct upload *upload = store->uploads;
        if (upload->request != NULL)
            (void)upload_cancel(store, upload->request);
        else
            free_upload(upload);
    }
}
