/*
 * faultpoint.c -- dying and failing on request, in debug builds only.
 *
 * The environment is read once, at the first passage.  Death is SIGKILL: no
 * handler, no flush, no atexit; it is as near to a crash as a process can do
 * to itself.  Stopping is SIGSTOP: the whole process, until somebody continues
 * it.  The list file gets one whole line a passage through O_APPEND,
 * so several threads and processes may write it.
 */
#include "server/base/faultpoint.h"

#ifdef WALDEN_DEBUG

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/check.h"

#define FAULTPOINT_NAME_SIZE 128 /* bytes, with the NUL */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char armed[FAULTPOINT_NAME_SIZE]; /* "": none */
static int signal_sent = SIGKILL;        /* 0: none, the passage fails */
static _Atomic long left;                /* passages until it fires */
static int list_fd = -1;

/* WALDEN_FAULT="name[:nth][=kill|stop|fail]" */
static void
read_fault(const char *text)
{
    size_t len = strcspn(text, ":=");
    long nth = 1;

    CHECK(len < sizeof(armed));
    memcpy(armed, text, len);
    text += len;
    if (*text == ':') {
        char *end;
        nth = strtol(text + 1, &end, 10);
        CHECK(nth > 0);
        text = end;
    }
    if (*text == '=') {
        signal_sent = strcmp(text + 1, "kill") == 0   ? SIGKILL
                      : strcmp(text + 1, "stop") == 0 ? SIGSTOP
                                                      : 0;
        CHECK(signal_sent != 0 || strcmp(text + 1, "fail") == 0);
    } else {
        CHECK(*text == '\0');
    }
    atomic_store(&left, nth);
}

static void
read_environment(void)
{
    const char *fault = getenv("WALDEN_FAULT");
    const char *list = getenv("WALDEN_FAULT_LIST");

    if (fault != NULL)
        read_fault(fault);
    if (list != NULL) {
        list_fd = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        CHECK(list_fd >= 0);
    }
}

static void
list_name(const char *name)
{
    char line[FAULTPOINT_NAME_SIZE + 1];
    int len = snprintf(line, sizeof(line), "%s\n", name);

    CHECK(len > 0 && len < (int)sizeof(line));
    CHECK(write(list_fd, line, (size_t)len) == len);
}

bool
faultpoint_pass(const char *name)
{
    pthread_once(&once, read_environment);
    if (list_fd >= 0)
        list_name(name);
    if (strcmp(name, armed) != 0 || atomic_fetch_sub(&left, 1) != 1)
        return false;
    if (signal_sent != 0)
        kill(getpid(), signal_sent);
    if (signal_sent == SIGKILL)
        pause();
    return signal_sent == 0;
}

#endif
