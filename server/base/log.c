/*
 * log.c -- one line, one write(2).
 *
 * A line is put together in a buffer on the stack and written at once with
 * O_APPEND, so lines of several threads and processes do not mix.  The file
 * is opened for every line, so whoever rotates it need not tell us.  A log
 * that cannot be written is no reason to stop serving: the line is lost.
 *
 *      4711:M 21 Nov 2026 02:03:11.123 * Ready to accept connections
 *
 * The sign says the level: "." debug, "-" verbose, "*" notice, "#" warning.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"

#define LOG_LINE_SIZE 1280 /* bytes; a longer line is cut, as in Redis */
#define LOG_FILE_MODE 0644

static _Atomic int level_min = LOG_LEVEL_NOTICE;
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER;
static char path_now[PATH_MAX]; /* under path_lock; "": standard output */

static int
open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_FILE_MODE);
}

enum status
log_open(const char *path)
{
    if (path == NULL)
        path = "";
    if (strlen(path) >= sizeof(path_now))
        return STATUS_INVALID;
    if (path[0] != '\0') {
        int fd = open_file(path);
        if (fd < 0)
            return errno == EACCES ? STATUS_DENIED : STATUS_IO;
        close(fd);
    }
    pthread_mutex_lock(&path_lock);
    strcpy(path_now, path);
    pthread_mutex_unlock(&path_lock);
    return STATUS_OK;
}

void
log_set_level(enum log_level level)
{
    atomic_store(&level_min, level);
}

/* "pid:M date time sign "; answer: bytes written. */
static size_t
format_head(char *line, size_t size, enum log_level level)
{
    static const char signs[] = ".-*#";
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    char date[64];
    struct tm local;

    localtime_r(&seconds, &local);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &local);
    int len = snprintf(line, size, "%d:M %s.%03d %c ", (int)getpid(), date,
        (int)(now_ms % 1000), signs[level]);
    return len < 0 ? 0 : (size_t)len;
}

static void
write_line(const char *line, size_t len)
{
    int fd = STDOUT_FILENO;
    char path[PATH_MAX];

    pthread_mutex_lock(&path_lock);
    strcpy(path, path_now);
    pthread_mutex_unlock(&path_lock);
    if (path[0] != '\0')
        fd = open_file(path);
    if (fd < 0)
        return;
    ssize_t written;
    do
        written = write(fd, line, len);
    while (written < 0 && errno == EINTR);
    if (fd != STDOUT_FILENO)
        close(fd);
}

static void __attribute__((format(printf, 2, 0)))
log_line(enum log_level level, const char *format, va_list args)
{
    char line[LOG_LINE_SIZE];
    int saved_errno = errno;

    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed))
        return;
    size_t len = format_head(line, sizeof(line), level);
    int text_len = vsnprintf(line + len, sizeof(line) - len, format, args);
    if (text_len > 0)
        len += (size_t)text_len;
    if (len > sizeof(line) - 1)
        len = sizeof(line) - 1;
    line[len++] = '\n';
    write_line(line, len);
    errno = saved_errno;
}

void
log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_DEBUG, format, args);
    va_end(args);
}

void
log_verbose(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_VERBOSE, format, args);
    va_end(args);
}

void
log_notice(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_NOTICE, format, args);
    va_end(args);
}

void
log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_WARNING, format, args);
    va_end(args);
}
