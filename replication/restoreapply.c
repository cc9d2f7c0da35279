/*
 * restoreapply.c -- bytes of LTX files become pages of a database file.
 *
 *   give --> queue --> decoder --> run of pages --> pwrite
 *
 * The disk is not asked to begin before the fsync at the end: measured, that
 * takes longer, since pages that are being written out are in the way of those
 * that come.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"

#include "replication/ltx.h"
#include "replication/restoreapply.h"

struct restoreapply {
    int fd;
    void (*wake)(void *arg);
    void *arg;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct restoreapply_piece *first, **last; /* under mutex */
    bool is_ending;                           /* under mutex */
    atomic_bool has_failed;

    /* The thread's. */
    struct ltx_decoder *decoder;
    char *run; /* pages that follow one another, to be written */
    size_t run_len;
    uint64_t run_offset;
    uint32_t page_size, commit;
    struct restore_result result;
    enum status status;
    struct buf error;
};

/* ---- writing ------------------------------------------------------------ */

static enum status
write_run(struct restoreapply *apply)
{
    size_t at = 0;

    while (at < apply->run_len) {
        ssize_t n = pwrite(apply->fd, apply->run + at, apply->run_len - at,
            (off_t)(apply->run_offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            buf_printf(
                &apply->error, "writing the database: %s", strerror(errno));
            return errno == ENOSPC ? STATUS_FULL : STATUS_IO;
        }
        at += (size_t)n;
    }
    apply->run_len = 0;
    return STATUS_OK;
}

/* ltx_room_fn: the place after the run, if the page follows it. */
static enum status
find_room(uint32_t page, size_t size, void **room, void *arg)
{
    struct restoreapply *apply = arg;
    uint64_t offset = (uint64_t)(page - 1) * size;

    if (apply->run_len > 0 &&
        (offset != apply->run_offset + apply->run_len ||
            apply->run_len + size > RESTOREAPPLY_RUN_SIZE)) {
        enum status status = write_run(apply);
        if (status != STATUS_OK)
            return status;
    }
    if (apply->run_len == 0)
        apply->run_offset = offset;
    *room = apply->run + apply->run_len;
    return STATUS_OK;
}

static enum status
take_page(uint32_t page, const void *data, void *arg)
{
    struct restoreapply *apply = arg;

    (void)page;
    (void)data; /* lies in the run */
    apply->run_len += ltx_decoder_header(apply->decoder)->page_size;
    apply->result.pages++;
    return STATUS_OK;
}

/* ---- a piece ------------------------------------------------------------ */

static enum status
refuse(
    struct restoreapply *apply, const struct layout_file *file, const char *why)
{
    char name[LAYOUT_NAME_SIZE];

    layout_format_name(name, file->level, file->min_txid, file->max_txid);
    buf_printf(&apply->error, "object %s: %s", name, why);
    return STATUS_CORRUPT;
}

/* The file is whole: is it the one its name says? */
static enum status
end_file(struct restoreapply *apply, const struct layout_file *file)
{
    const struct ltx_header *header = ltx_decoder_header(apply->decoder);
    struct restore_result *result = &apply->result;

    if (ltx_decoder_finish(apply->decoder) != STATUS_OK)
        return refuse(apply, file, ltx_decoder_error(apply->decoder));
    if (header->min_txid != file->min_txid ||
        header->max_txid != file->max_txid)
        return refuse(apply, file, "its header names other txids");
    if (apply->page_size != 0 && header->page_size != apply->page_size)
        return refuse(apply, file, "its page size differs");
    apply->page_size = header->page_size;
    apply->commit = header->commit;
    result->txid = header->max_txid;
    result->timestamp_ms = header->timestamp_ms;
    result->checksum = ltx_decoder_post_checksum(apply->decoder);
    result->wal_salt1 = header->wal_salt1;
    result->wal_salt2 = header->wal_salt2;
    result->wal_end = header->wal_offset + header->wal_size;
    result->files++;
    ltx_decoder_free(apply->decoder);
    apply->decoder = NULL;
    return STATUS_OK;
}

static enum status
apply_piece(struct restoreapply *apply, const struct restoreapply_piece *piece)
{
    if (apply->decoder == NULL) {
        apply->decoder = ltx_decoder_new(take_page, apply);
        ltx_decoder_set_room(apply->decoder, find_room);
    }
    enum status status =
        ltx_decoder_feed(apply->decoder, piece->bytes.data, piece->bytes.len);
    if (status == STATUS_CORRUPT)
        return refuse(apply, piece->file, ltx_decoder_error(apply->decoder));
    if (status != STATUS_OK)
        return status;
    apply->result.bytes += piece->bytes.len;
    return piece->is_last ? end_file(apply, piece->file) : STATUS_OK;
}

/* ---- the thread --------------------------------------------------------- */

/* The next piece; NULL: none will come. */
static struct restoreapply_piece *
next_piece(struct restoreapply *apply)
{
    struct restoreapply_piece *piece;

    pthread_mutex_lock(&apply->mutex);
    while (apply->first == NULL && !apply->is_ending)
        pthread_cond_wait(&apply->changed, &apply->mutex);
    piece = apply->first;
    if (piece != NULL) {
        apply->first = piece->next;
        if (apply->first == NULL)
            apply->last = &apply->first;
    }
    pthread_mutex_unlock(&apply->mutex);
    return piece;
}

static void *
run(void *arg)
{
    struct restoreapply *apply = arg;
    struct restoreapply_piece *piece;

    while ((piece = next_piece(apply)) != NULL) {
        if (apply->status == STATUS_OK)
            apply->status = apply_piece(apply, piece);
        if (apply->status != STATUS_OK)
            atomic_store(&apply->has_failed, true);
        pthread_mutex_lock(&apply->mutex);
        atomic_store(&piece->is_applied, true); /* no longer ours */
        pthread_cond_broadcast(&apply->changed);
        pthread_mutex_unlock(&apply->mutex);
        apply->wake(apply->arg);
    }
    if (apply->status == STATUS_OK)
        apply->status = write_run(apply);
    return NULL;
}

/* ---- the interface ------------------------------------------------------ */

struct restoreapply *
restoreapply_start(int fd, void (*wake)(void *arg), void *arg)
{
    struct restoreapply *apply = memory_zalloc(sizeof(*apply));

    apply->fd = fd;
    apply->wake = wake;
    apply->arg = arg;
    apply->run = memory_alloc(RESTOREAPPLY_RUN_SIZE);
    apply->last = &apply->first;
    buf_init(&apply->error);
    pthread_mutex_init(&apply->mutex, NULL);
    pthread_cond_init(&apply->changed, NULL);
    CHECK(pthread_create(&apply->thread, NULL, run, apply) == 0);
    return apply;
}

void
restoreapply_give(struct restoreapply *apply, struct restoreapply_piece *piece)
{
    piece->next = NULL;
    pthread_mutex_lock(&apply->mutex);
    *apply->last = piece;
    apply->last = &piece->next;
    pthread_cond_broadcast(&apply->changed);
    pthread_mutex_unlock(&apply->mutex);
}

bool
restoreapply_has_failed(const struct restoreapply *apply)
{
    return atomic_load(&apply->has_failed);
}

void
restoreapply_wait(
    struct restoreapply *apply, const struct restoreapply_piece *piece)
{
    pthread_mutex_lock(&apply->mutex);
    while (!atomic_load(&piece->is_applied))
        pthread_cond_wait(&apply->changed, &apply->mutex);
    pthread_mutex_unlock(&apply->mutex);
}

enum status
restoreapply_finish(struct restoreapply *apply, struct restore_result *result,
    uint64_t *size, struct buf *error)
{
    enum status status;

    pthread_mutex_lock(&apply->mutex);
    apply->is_ending = true;
    pthread_cond_broadcast(&apply->changed);
    pthread_mutex_unlock(&apply->mutex);
    pthread_join(apply->thread, NULL);
    status = apply->status;
    if (status == STATUS_OK) {
        *result = apply->result;
        *size = (uint64_t)apply->commit * apply->page_size;
    } else {
        buf_append_slice(error, buf_slice(&apply->error));
    }
    ltx_decoder_free(apply->decoder);
    pthread_cond_destroy(&apply->changed);
    pthread_mutex_destroy(&apply->mutex);
    buf_fini(&apply->error);
    memory_free(apply->run);
    memory_free(apply);
    return status;
}
