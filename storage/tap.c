/*
 * tap.c -- committed WAL frames, for whoever ships them.
 *
 * Shared between COMMIT and SHIP: one mutex guards the two positions; nobody
 * holds it over I/O.  The frames themselves are read through a descriptor of
 * the tap's own (closing it would drop SQLite's locks only if SQLite had the
 * same file open through fcntl locks: WAL files carry none, the -shm does).
 *
 * Why reading is safe without any lock of SQLite's: frames up to a published
 * position are never rewritten before tap_may_reset() said yes, because the
 * only connection that writes or checkpoints is the committer's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/memory.h"

#include "storage/tap.h"

#define READ_FRAMES 64 /* at once */

struct tap {
    char *wal_path;
    int fd; /* -1: not open yet; SHIP and COMMIT read by pread */
    pthread_mutex_t mutex;
    pthread_cond_t taken_changed;
    struct tap_position current, taken; /* under mutex */
    uint32_t page_size;                 /* under mutex; 0: unknown */
    uint64_t frames;  /* COMMIT's: of the current WAL; 0: salts unknown */
    tap_wake_fn wake; /* under mutex */
    void *wake_arg;
    bool is_stalled, never_stalls; /* under mutex */
    int holds;                     /* under mutex */
    bool is_resetting; /* under mutex: a checkpoint of the whole WAL runs */
};

struct tap *
tap_new(const char *database_path)
{
    struct tap *tap = memory_zalloc(sizeof(*tap));
    size_t size = strlen(database_path) + sizeof("-wal");
    pthread_condattr_t attributes;

    tap->wal_path = memory_alloc(size);
    snprintf(tap->wal_path, size, "%s-wal", database_path);
    tap->fd = -1;
    pthread_mutex_init(&tap->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tap->taken_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return tap;
}

void
tap_free(struct tap *tap)
{
    if (tap == NULL)
        return;
    if (tap->fd >= 0)
        close(tap->fd);
    pthread_cond_destroy(&tap->taken_changed);
    pthread_mutex_destroy(&tap->mutex);
    memory_free(tap->wal_path);
    memory_free(tap);
}

/*
 * The WAL's descriptor, opened at need.  SQLite keeps one WAL file as long as
 * a connection is open, so it is opened once.
 */
static int
wal_fd(struct tap *tap)
{
    pthread_mutex_lock(&tap->mutex);
    if (tap->fd < 0)
        tap->fd = open(tap->wal_path, O_RDONLY | O_CLOEXEC);
    int fd = tap->fd;
    pthread_mutex_unlock(&tap->mutex);
    return fd;
}

static bool
read_exactly(int fd, void *data, size_t len, uint64_t offset)
{
    char *at = data;

    while (len > 0) {
        ssize_t got = pread(fd, at, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return true;
}

/* ---- COMMIT ------------------------------------------------------------- */

void
tap_publish(struct tap *tap, uint64_t frames, uint64_t seq, bool is_synced)
{
    char header[TAP_WAL_HEADER_SIZE];
    bool is_new_wal = tap->frames == 0;
    tap_wake_fn wake;
    void *arg;

    /* A WAL that was started over has other salts. */
    if (is_new_wal)
        CHECK(read_exactly(wal_fd(tap), header, sizeof(header), 0));
    tap->frames = frames;
    pthread_mutex_lock(&tap->mutex);
    if (is_new_wal) {
        tap->page_size = bytes_get_be32(header + 8);
        tap->current.salt1 = bytes_get_be32(header + 16);
        tap->current.salt2 = bytes_get_be32(header + 20);
    }
    tap->current.offset =
        TAP_WAL_HEADER_SIZE +
        frames * (TAP_FRAME_HEADER_SIZE + (uint64_t)tap->page_size);
    tap->current.seq = seq;
    tap->current.is_synced = is_synced;
    tap->current.is_in_file = false;
    tap->is_resetting = false;
    wake = tap->wake;
    arg = tap->wake_arg;
    pthread_mutex_unlock(&tap->mutex);
    if (wake != NULL)
        wake(false, arg);
}

static bool
is_all_taken(const struct tap *tap)
{
    if (tap->holds > 0)
        return false;
    if (tap->wake == NULL)
        return true;
    return tap_is_same_wal(&tap->taken, &tap->current) &&
           tap->taken.offset == tap->current.offset;
}

/* timeout_ms from now, on the condition's clock. */
static struct timespec
deadline(int timeout_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    return until;
}

bool
tap_may_reset(struct tap *tap, int timeout_ms)
{
    struct timespec until = deadline(timeout_ms);
    bool is_taken;

    pthread_mutex_lock(&tap->mutex);
    if (!is_all_taken(tap)) {
        tap_wake_fn wake = tap->wake;
        void *arg = tap->wake_arg;
        pthread_mutex_unlock(&tap->mutex);
        if (wake != NULL)
            wake(true, arg);
        pthread_mutex_lock(&tap->mutex);
    }
    while (!is_all_taken(tap))
        if (pthread_cond_timedwait(&tap->taken_changed, &tap->mutex, &until) ==
            ETIMEDOUT)
            break;
    is_taken = is_all_taken(tap);
    tap->is_resetting = is_taken;
    pthread_mutex_unlock(&tap->mutex);
    /* The next frames may stand in a WAL that was started over: look. */
    if (is_taken)
        tap->frames = 0;
    return is_taken;
}

bool
tap_is_stalled(struct tap *tap, int timeout_ms)
{
    struct timespec until = deadline(timeout_ms);

    pthread_mutex_lock(&tap->mutex);
    while (tap->is_stalled && !tap->never_stalls)
        if (pthread_cond_timedwait(&tap->taken_changed, &tap->mutex, &until) ==
            ETIMEDOUT)
            break;
    bool is_stalled = tap->is_stalled && !tap->never_stalls;
    pthread_mutex_unlock(&tap->mutex);
    return is_stalled;
}

void
tap_end_reset(struct tap *tap, bool is_whole)
{
    pthread_mutex_lock(&tap->mutex);
    tap->is_resetting = false;
    if (is_whole)
        tap->current.is_in_file = true;
    pthread_mutex_unlock(&tap->mutex);
}

/* ---- SHIP --------------------------------------------------------------- */

void
tap_set_wake(struct tap *tap, tap_wake_fn wake, void *arg)
{
    pthread_mutex_lock(&tap->mutex);
    tap->wake = wake;
    tap->wake_arg = arg;
    pthread_cond_broadcast(&tap->taken_changed);
    pthread_mutex_unlock(&tap->mutex);
}

void
tap_current(struct tap *tap, struct tap_position *position)
{
    pthread_mutex_lock(&tap->mutex);
    *position = tap->current;
    pthread_mutex_unlock(&tap->mutex);
}

void
tap_set_taken(struct tap *tap, const struct tap_position *position)
{
    pthread_mutex_lock(&tap->mutex);
    tap->taken = *position;
    pthread_cond_broadcast(&tap->taken_changed);
    pthread_mutex_unlock(&tap->mutex);
}

void
tap_set_stalled(struct tap *tap, bool is_stalled)
{
    pthread_mutex_lock(&tap->mutex);
    tap->is_stalled = is_stalled;
    pthread_cond_broadcast(&tap->taken_changed);
    pthread_mutex_unlock(&tap->mutex);
}

void
tap_end_stalls(struct tap *tap)
{
    pthread_mutex_lock(&tap->mutex);
    tap->never_stalls = true;
    pthread_cond_broadcast(&tap->taken_changed);
    pthread_mutex_unlock(&tap->mutex);
}

bool
tap_try_hold(struct tap *tap)
{
    pthread_mutex_lock(&tap->mutex);
    bool is_free = !tap->is_resetting;
    if (is_free)
        tap->holds++;
    pthread_mutex_unlock(&tap->mutex);
    return is_free;
}

void
tap_release(struct tap *tap)
{
    pthread_mutex_lock(&tap->mutex);
    CHECK(tap->holds > 0);
    tap->holds--;
    pthread_cond_broadcast(&tap->taken_changed);
    pthread_mutex_unlock(&tap->mutex);
}

enum status
tap_sync(struct tap *tap)
{
    int fd = wal_fd(tap);

    return fd >= 0 && fdatasync(fd) == 0 ? STATUS_OK : STATUS_IO;
}

/* A run of frames that was read at once. */
static enum status
visit_frames(const char *frames, size_t count, uint32_t page_size,
    const struct tap_position *wal, uint64_t offset, uint32_t *commit,
    tap_frame_fn visit, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        const char *frame = frames + i * (TAP_FRAME_HEADER_SIZE + page_size);
        uint32_t page = bytes_get_be32(frame);
        if (bytes_get_be32(frame + 8) != wal->salt1 ||
            bytes_get_be32(frame + 12) != wal->salt2 || page == 0)
            return STATUS_CORRUPT;
        *commit = bytes_get_be32(frame + 4);
        enum status status = visit(page, offset + TAP_FRAME_HEADER_SIZE,
            frame + TAP_FRAME_HEADER_SIZE, arg);
        if (status != STATUS_OK)
            return status;
        offset += TAP_FRAME_HEADER_SIZE + page_size;
    }
    return STATUS_OK;
}

enum status
tap_read(struct tap *tap, uint64_t from, uint64_t to, uint32_t *page_size,
    uint32_t *commit, tap_frame_fn visit, void *arg)
{
    enum status status = STATUS_OK;
    int fd = wal_fd(tap);
    struct tap_position wal;
    uint64_t frame_size;

    pthread_mutex_lock(&tap->mutex);
    wal = tap->current;
    *page_size = tap->page_size;
    pthread_mutex_unlock(&tap->mutex);
    frame_size = TAP_FRAME_HEADER_SIZE + (uint64_t)*page_size;
    if (fd < 0 || from < TAP_WAL_HEADER_SIZE || to > wal.offset || from > to ||
        (to - from) % frame_size != 0)
        return STATUS_INVALID;
    char *frames = memory_alloc(READ_FRAMES * frame_size);
    *commit = 0;
    while (from < to && status == STATUS_OK) {
        size_t count = (to - from) / frame_size;
        if (count > READ_FRAMES)
            count = READ_FRAMES;
        if (!read_exactly(fd, frames, count * frame_size, from))
            status = STATUS_IO;
        else
            status = visit_frames(
                frames, count, *page_size, &wal, from, commit, visit, arg);
        from += count * frame_size;
    }
    memory_free(frames);
    /* The last frame of a transaction says the size; every other says 0. */
    if (status == STATUS_OK && *commit == 0)
        status = STATUS_CORRUPT;
    return status;
}

enum status
tap_read_page(
    struct tap *tap, uint64_t data_offset, void *data, uint32_t page_size)
{
    int fd = wal_fd(tap);

    return fd >= 0 && read_exactly(fd, data, page_size, data_offset)
               ? STATUS_OK
               : STATUS_IO;
}
