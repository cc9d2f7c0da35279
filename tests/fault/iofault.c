/*
 * iofault.c -- a disk that fails or is slow, for any program (LD_PRELOAD).
 *
 * Calls that write, resize or sync a file whose path contains IOFAULT_MATCH
 * first ask here.  Two ways to say what shall happen:
 *
 *   IOFAULT_DELAY_US=5000     every fsync and fdatasync takes that much longer,
 *                             for the whole life of the process
 *   IOFAULT_CONTROL=path      a file of at least 64 bytes that a test rewrites
 *                             in place at any time (it is mapped, so a change
 *                             is seen at once, without a system call):
 *
 *       "GEN WRITE_ERRNO WRITE_COUNT SYNC_ERRNO SYNC_COUNT DELAY_US\n"
 *
 *   GEN differs from the one before: the counts begin anew.  WRITE_ERRNO is
 *   what the next WRITE_COUNT writes (and truncates, and allocations) fail
 *   with, 0 for none; a count of -1 is for ever.  SYNC likewise.
 *
 * A real full disk also makes short writes and lets small ones through; see
 * tests/crash/full_disk.py for one of those.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_SIZE 64

static const char *match;
static const char *control; /* mapped; NULL: none */
static long delay_always_us;

static atomic_long generation = -1;
static atomic_long writes_left, syncs_left;

/* The next definition of a libc function, found once. */
#define REAL(name)                                 \
    static __typeof__(name) *real;                 \
    if (real == NULL) {                            \
        *(void **)&real = dlsym(RTLD_NEXT, #name); \
    }

static void __attribute__((constructor)) iofault_start(void)
{
    match = getenv("IOFAULT_MATCH");
    const char *delay = getenv("IOFAULT_DELAY_US");
    if (delay != NULL) {
        delay_always_us = atol(delay);
    }
    const char *path = getenv("IOFAULT_CONTROL");
    if (path == NULL) {
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (fd >= 0) {
        map = mmap(NULL, CONTROL_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (map == MAP_FAILED) {
        fprintf(stderr, "iofault: cannot map %s\n", path);
        abort();
    }
    control = map;
}

static bool
is_matched(int fd)
{
    char link[64], path[4096];
    if (match == NULL) {
        return false;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0) {
        return false;
    }
    path[len] = '\0';
    return strstr(path, match) != NULL;
}

/* What the control file says now. */
struct orders {
    long generation;
    int write_errno, sync_errno;
    long write_count, sync_count;
    long delay_us;
};

static struct orders
read_orders(void)
{
    struct orders orders = { 0 };
    char text[CONTROL_SIZE + 1];
    memcpy(text, control, CONTROL_SIZE);
    text[CONTROL_SIZE] = '\0';
    if (sscanf(text, "%ld %d %ld %d %ld %ld", &orders.generation,
            &orders.write_errno, &orders.write_count, &orders.sync_errno,
            &orders.sync_count, &orders.delay_us) != 6) {
        return (struct orders){ 0 };
    }
    if (atomic_exchange(&generation, orders.generation) != orders.generation) {
        atomic_store(&writes_left, orders.write_count);
        atomic_store(&syncs_left, orders.sync_count);
    }
    return orders;
}

/* One of left is used up; false: none was left. */
static bool
use_up(atomic_long *left)
{
    long now = atomic_load(left);
    while (now != 0) {
        if (now < 0 || atomic_compare_exchange_weak(left, &now, now - 1)) {
            return true;
        }
    }
    return false;
}

/* May a write to fd go on?  If not, errno is set. */
static bool
may_write(int fd)
{
    if (control == NULL || !is_matched(fd)) {
        return true;
    }
    struct orders orders = read_orders();
    if (orders.write_errno != 0 && use_up(&writes_left)) {
        errno = orders.write_errno;
        return false;
    }
    return true;
}

static bool
may_sync(int fd)
{
    if ((control == NULL && delay_always_us == 0) || !is_matched(fd)) {
        return true;
    }
    struct orders orders = { 0 };
    if (control != NULL) {
        orders = read_orders();
    }
    long delay_us = delay_always_us + orders.delay_us;
    if (delay_us > 0) {
        struct timespec time = { delay_us / 1000000,
            delay_us % 1000000 * 1000 };
        nanosleep(&time, NULL);
    }
    if (orders.sync_errno != 0 && use_up(&syncs_left)) {
        errno = orders.sync_errno;
        return false;
    }
    return true;
}

ssize_t
write(int fd, const void *data, size_t size)
{
    REAL(write);
    return may_write(fd) ? real(fd, data, size) : -1;
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    return may_write(fd) ? real(fd, parts, count) : -1;
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
    REAL(pwrite);
    return may_write(fd) ? real(fd, data, size, offset) : -1;
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    REAL(pwrite64);
    return may_write(fd) ? real(fd, data, size, offset) : -1;
}

int
ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    return may_write(fd) ? real(fd, size) : -1;
}

int
ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    return may_write(fd) ? real(fd, size) : -1;
}

/* Answers an error number, as POSIX wants it. */
int
posix_fallocate(int fd, off_t offset, off_t size)
{
    REAL(posix_fallocate);
    return may_write(fd) ? real(fd, offset, size) : errno;
}

int
fsync(int fd)
{
    REAL(fsync);
    return may_sync(fd) ? real(fd) : -1;
}

int
fdatasync(int fd)
{
    REAL(fdatasync);
    return may_sync(fd) ? real(fd) : -1;
}
