/*
 * faultvfs.c -- the disk that fails or loses its power.
 *
 * Writes go through to the real files at once, so reading and shared memory
 * are the real VFS's business; syncs do not.  Each file keeps a log of its
 * operations since the last sync, with the bytes that were there before.  A
 * cut undoes the whole log, newest first, which gives what was surely on the
 * disk, and then does a random part of it again.
 *
 * After a sync that failed, operations of that sync stay in the log as lost,
 * and all later ones behind them, synced or not, to be done again in order.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/memory.h"

#include "tests/fault/faultvfs.h"

#define SECTOR_SIZE 512
#define PATH_SIZE 256

enum op_state { OP_PENDING, OP_SYNCED, OP_LOST };

/* A write or a truncation of one file. */
struct op {
    struct op *older;
    enum op_state state;
    int64_t offset;   /* truncation: the new size */
    int64_t old_size; /* of the file */
    size_t old_len;
    char *old; /* what was at offset: up to the end of a truncation */
    size_t len;
    char *data; /* NULL: a truncation */
};

/* What a path has been through; outlives its handles. */
struct shadow {
    struct shadow *next;
    char path[PATH_SIZE];
    struct op *newest;
};

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
    struct shadow *shadow; /* NULL: a file without a name */
};

struct disk {
    pthread_mutex_t lock;
    struct shadow *shadows;
    uint64_t ops;
    uint64_t syncs;
    uint64_t fail_at, fail_times;
    int fail_code;
    uint64_t fail_sync_at, fail_sync_times;
    char fail_sync_of[PATH_SIZE];
    uint64_t fail_sync_of_times;
    bool is_open_failing;
    uint64_t cut_at;
    uint64_t random;
    bool is_cut;
    bool has_fired;
};

static struct disk disk = { .lock = PTHREAD_MUTEX_INITIALIZER };
static sqlite3_vfs vfs;
static sqlite3_io_methods methods;

static uint64_t
next_random(void)
{
    disk.random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = disk.random;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- the log ------------------------------------------------------------ */

static struct shadow *
find_shadow(const char *path)
{
    struct shadow *shadow;

    for (shadow = disk.shadows; shadow != NULL; shadow = shadow->next)
        if (strcmp(shadow->path, path) == 0)
            return shadow;
    shadow = memory_zalloc(sizeof(*shadow));
    snprintf(shadow->path, sizeof(shadow->path), "%s", path);
    shadow->next = disk.shadows;
    disk.shadows = shadow;
    return shadow;
}

static void
free_op(struct op *op)
{
    memory_free(op->old);
    memory_free(op->data);
    memory_free(op);
}

static void
clear_log(struct shadow *shadow)
{
    struct op *op;

    while ((op = shadow->newest) != NULL) {
        shadow->newest = op->older;
        free_op(op);
    }
}

/* What file holds from offset on, at most len bytes. */
static size_t
read_old(struct fault_file *file, int64_t size, int64_t offset, size_t len,
    char **old)
{
    int rc;

    if (offset >= size)
        return 0;
    if ((int64_t)len > size - offset)
        len = (size_t)(size - offset);
    *old = memory_alloc(len + 1);
    rc = file->real->pMethods->xRead(file->real, *old, (int)len, offset);
    CHECK(rc == SQLITE_OK);
    return len;
}

/* Log a write (data) or a truncation (NULL) before it is done. */
static void
log_op(struct fault_file *file, const void *data, size_t len, int64_t offset)
{
    struct op *op = memory_zalloc(sizeof(*op));
    sqlite3_int64 size = 0;
    int rc = file->real->pMethods->xFileSize(file->real, &size);

    CHECK(rc == SQLITE_OK);
    op->offset = offset;
    op->old_size = size;
    op->len = len;
    if (data != NULL) {
        op->data = memory_alloc(len + 1);
        memcpy(op->data, data, len);
    } else {
        len = size > offset ? (size_t)(size - offset) : 0;
    }
    op->old_len = read_old(file, size, offset, len, &op->old);
    op->older = file->shadow->newest;
    file->shadow->newest = op;
}

/* A sync: everything pending is on the disk, or, if it failed, lost. */
static void
settle_log(struct shadow *shadow, bool is_lost)
{
    bool has_lost = is_lost;
    struct op *op;

    for (op = shadow->newest; op != NULL; op = op->older) {
        if (op->state == OP_PENDING)
            op->state = is_lost ? OP_LOST : OP_SYNCED;
        has_lost = has_lost || op->state == OP_LOST;
    }
    if (!has_lost)
        clear_log(shadow);
}

/* ---- faults ------------------------------------------------------------- */

static bool
is_within(uint64_t at, uint64_t first, uint64_t times)
{
    return first != 0 && at >= first && at - first < times;
}

/* Count an operation; SQLITE_OK or what it shall fail with. */
static int
pass(bool is_sync, bool *is_cut_now)
{
    *is_cut_now = false;
    if (disk.is_cut)
        return SQLITE_IOERR;
    disk.ops++;
    disk.syncs += is_sync;
    if (disk.ops == disk.cut_at) {
        disk.is_cut = true;
        disk.has_fired = true;
        *is_cut_now = true;
        return SQLITE_IOERR;
    }
    if (is_within(disk.ops, disk.fail_at, disk.fail_times)) {
        disk.has_fired = true;
        return disk.fail_code;
    }
    if (is_sync &&
        is_within(disk.syncs, disk.fail_sync_at, disk.fail_sync_times)) {
        disk.has_fired = true;
        return SQLITE_IOERR_FSYNC;
    }
    return SQLITE_OK;
}

/* ---- file methods ------------------------------------------------------- */

static struct fault_file *
file_of(sqlite3_file *file)
{
    return (struct fault_file *)(void *)file;
}

static int
file_close(sqlite3_file *file)
{
    sqlite3_file *real = file_of(file)->real;
    int rc = real->pMethods == NULL ? SQLITE_OK : real->pMethods->xClose(real);

    sqlite3_free(real);
    return rc;
}

static int
file_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xRead(real, data, len, offset);
}

static int
file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    struct fault_file *f = file_of(file);
    bool is_cut_now;
    int rc;

    pthread_mutex_lock(&disk.lock);
    rc = pass(false, &is_cut_now);
    if (rc == SQLITE_OK || is_cut_now) {
        /* A write under way when the power goes may arrive, too. */
        if (f->shadow != NULL)
            log_op(f, data, (size_t)len, offset);
        if (!is_cut_now)
            rc = f->real->pMethods->xWrite(f->real, data, len, offset);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct fault_file *f = file_of(file);
    bool is_cut_now;
    int rc;

    pthread_mutex_lock(&disk.lock);
    rc = pass(false, &is_cut_now);
    if (rc == SQLITE_OK) {
        if (f->shadow != NULL)
            log_op(f, NULL, 0, size);
        rc = f->real->pMethods->xTruncate(f->real, size);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static bool
has_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path), suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(path + len - suffix_len, suffix) == 0;
}

/* Shall a sync of this file fail, whatever its number? */
static bool
is_sync_of_failing(const struct shadow *shadow)
{
    if (disk.fail_sync_of_times == 0 || shadow == NULL ||
        !has_suffix(shadow->path, disk.fail_sync_of))
        return false;
    disk.fail_sync_of_times--;
    disk.has_fired = true;
    return true;
}

static int
file_sync(sqlite3_file *file, int flags)
{
    struct fault_file *f = file_of(file);
    bool is_cut_now;
    int rc;

    (void)flags;
    pthread_mutex_lock(&disk.lock);
    rc = pass(true, &is_cut_now);
    if (rc == SQLITE_OK && is_sync_of_failing(f->shadow))
        rc = SQLITE_IOERR_FSYNC;
    if (f->shadow != NULL) {
        /* The power may go just after a sync is done, untold. */
        if (rc == SQLITE_OK || (is_cut_now && next_random() % 2 == 0))
            settle_log(f->shadow, false);
        else if (!disk.is_cut)
            settle_log(f->shadow, true);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xFileSize(real, size);
}

static int
file_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xLock(real, level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xUnlock(real, level);
}

static int
file_check_lock(sqlite3_file *file, int *is_reserved)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xCheckReservedLock(real, is_reserved);
}

static int
file_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *real = file_of(file)->real;

    /* Would resize the file behind the log's back. */
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK;
    return real->pMethods->xFileControl(real, op, arg);
}

static int
file_sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR_SIZE;
}

static int
file_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xDeviceCharacteristics(real);
}

static int
file_shm_map(
    sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xShmMap(real, page, size, extend, at);
}

static int
file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xShmLock(real, offset, n, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = file_of(file)->real;

    real->pMethods->xShmBarrier(real);
}

static int
file_shm_unmap(sqlite3_file *file, int with_delete)
{
    sqlite3_file *real = file_of(file)->real;

    return real->pMethods->xShmUnmap(real, with_delete);
}

static sqlite3_io_methods methods = {
    .iVersion = 2, /* no memory mapping */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the VFS ------------------------------------------------------------ */

static sqlite3_vfs *
real_vfs(void)
{
    return vfs.pAppData;
}

static int
vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
    int *out_flags)
{
    struct fault_file *f = file_of(file);
    int rc;

    (void)self;
    f->base.pMethods = NULL;
    pthread_mutex_lock(&disk.lock);
    rc = disk.is_open_failing ? SQLITE_CANTOPEN : SQLITE_OK;
    pthread_mutex_unlock(&disk.lock);
    if (rc != SQLITE_OK)
        return rc;
    f->real = sqlite3_malloc(real_vfs()->szOsFile);
    memset(f->real, 0, (size_t)real_vfs()->szOsFile);
    rc = real_vfs()->xOpen(real_vfs(), name, f->real, flags, out_flags);
    if (rc != SQLITE_OK) {
        sqlite3_free(f->real);
        return rc;
    }
    pthread_mutex_lock(&disk.lock);
    f->shadow = name == NULL ? NULL : find_shadow(name);
    pthread_mutex_unlock(&disk.lock);
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *self, const char *name, int sync_dir)
{
    int rc = SQLITE_IOERR;

    (void)self;
    pthread_mutex_lock(&disk.lock);
    if (!disk.is_cut) {
        clear_log(find_shadow(name));
        rc = real_vfs()->xDelete(real_vfs(), name, sync_dir);
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

void
faultvfs_register(void)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    if (sqlite3_vfs_find(FAULTVFS_NAME) != NULL)
        return;
    vfs = *real; /* what is not replaced does not look at its VFS */
    vfs.zName = FAULTVFS_NAME;
    vfs.pAppData = real;
    vfs.szOsFile = sizeof(struct fault_file);
    vfs.pNext = NULL;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

void
faultvfs_reset(void)
{
    struct shadow *shadow;

    while ((shadow = disk.shadows) != NULL) {
        disk.shadows = shadow->next;
        clear_log(shadow);
        memory_free(shadow);
    }
    disk.ops = disk.syncs = 0;
    disk.fail_at = disk.fail_sync_at = disk.cut_at = 0;
    disk.fail_sync_of_times = 0;
    disk.is_open_failing = false;
    disk.is_cut = disk.has_fired = false;
}

uint64_t
faultvfs_count(void)
{
    uint64_t count;

    pthread_mutex_lock(&disk.lock);
    count = disk.ops;
    pthread_mutex_unlock(&disk.lock);
    return count;
}

void
faultvfs_fail(uint64_t nth, uint64_t times, int code)
{
    pthread_mutex_lock(&disk.lock);
    disk.fail_at = nth;
    disk.fail_times = times;
    disk.fail_code = code;
    disk.has_fired = false;
    pthread_mutex_unlock(&disk.lock);
}

void
faultvfs_fail_sync(uint64_t nth, uint64_t times)
{
    pthread_mutex_lock(&disk.lock);
    disk.fail_sync_at = nth;
    disk.fail_sync_times = times;
    disk.has_fired = false;
    pthread_mutex_unlock(&disk.lock);
}

void
faultvfs_fail_sync_of(const char *suffix, uint64_t times)
{
    pthread_mutex_lock(&disk.lock);
    snprintf(disk.fail_sync_of, sizeof(disk.fail_sync_of), "%s", suffix);
    disk.fail_sync_of_times = times;
    disk.has_fired = false;
    pthread_mutex_unlock(&disk.lock);
}

void
faultvfs_fail_open(bool is_failing)
{
    pthread_mutex_lock(&disk.lock);
    disk.is_open_failing = is_failing;
    pthread_mutex_unlock(&disk.lock);
}

void
faultvfs_arm_cut(uint64_t nth, uint64_t seed)
{
    pthread_mutex_lock(&disk.lock);
    disk.cut_at = nth;
    disk.random = seed;
    disk.has_fired = false;
    pthread_mutex_unlock(&disk.lock);
}

void
faultvfs_cut_now(void)
{
    pthread_mutex_lock(&disk.lock);
    disk.is_cut = true;
    pthread_mutex_unlock(&disk.lock);
}

bool
faultvfs_is_cut(void)
{
    bool is_cut;

    pthread_mutex_lock(&disk.lock);
    is_cut = disk.is_cut;
    pthread_mutex_unlock(&disk.lock);
    return is_cut;
}

bool
faultvfs_has_fired(void)
{
    bool has_fired;

    pthread_mutex_lock(&disk.lock);
    has_fired = disk.has_fired;
    pthread_mutex_unlock(&disk.lock);
    return has_fired;
}

/* ---- after a cut -------------------------------------------------------- */

static void
must_write(int fd, const char *data, size_t len, int64_t offset)
{
    CHECK(pwrite(fd, data, len, offset) == (ssize_t)len);
}

static void
undo(int fd, const struct op *op)
{
    if (op->old_len > 0)
        must_write(fd, op->old, op->old_len, op->offset);
    CHECK(ftruncate(fd, op->old_size) == 0);
}

/* All of a write, or each of its sectors with even chances. */
static void
redo_write(int fd, const struct op *op, bool is_torn)
{
    size_t at = 0;

    while (at < op->len) {
        size_t left = op->len - at;
        size_t sector =
            SECTOR_SIZE -
            (size_t)((uint64_t)(op->offset + (int64_t)at) % SECTOR_SIZE);

        if (sector > left)
            sector = left;
        if (!is_torn || next_random() % 2 == 0)
            must_write(fd, op->data + at, sector, op->offset + (int64_t)at);
        at += sector;
    }
}

static void
redo(int fd, const struct op *op)
{
    uint64_t chance = next_random() % 3;

    if (op->state == OP_LOST)
        return;
    if (op->state == OP_PENDING && chance == 0)
        return;
    if (op->data == NULL)
        CHECK(ftruncate(fd, op->offset) == 0);
    else
        redo_write(fd, op, op->state == OP_PENDING && chance == 1);
}

/* The log oldest first. */
static struct op *
reverse(struct op *op)
{
    struct op *out = NULL;

    while (op != NULL) {
        struct op *older = op->older;

        op->older = out;
        out = op;
        op = older;
    }
    return out;
}

static void
cut_file(struct shadow *shadow)
{
    struct op *op;
    int fd;

    if (shadow->newest == NULL)
        return;
    fd = open(shadow->path, O_RDWR);
    if (fd >= 0) {
        for (op = shadow->newest; op != NULL; op = op->older)
            undo(fd, op);
        shadow->newest = reverse(shadow->newest);
        for (op = shadow->newest; op != NULL; op = op->older)
            redo(fd, op);
        close(fd);
    }
    clear_log(shadow);
}

void
faultvfs_cut(uint64_t seed)
{
    struct shadow *shadow;
    char shm[PATH_SIZE + 8];

    disk.random = seed;
    for (shadow = disk.shadows; shadow != NULL; shadow = shadow->next) {
        cut_file(shadow);
        snprintf(shm, sizeof(shm), "%s-shm", shadow->path);
        unlink(shm);
    }
    faultvfs_reset();
}
