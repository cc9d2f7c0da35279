/*
 * mailbox.c -- many senders, one receiver, and hardly a system call.
 *
 * The queue is a stack that senders push onto with one compare-and-swap and
 * the receiver takes whole with one exchange; it turns the stack over to get
 * the oldest first.  No lock, so a sender that is preempted stops nobody.
 * (Taking all at once is also what makes the stack safe: nothing is ever
 * popped singly, so there is no ABA.)
 *
 * head has three kinds of value:
 *
 *      NULL      nothing queued, the receiver is busy
 *      &asleep   nothing queued, the receiver sleeps on the futex
 *      a node    the newest message
 *
 * Only the sender that finds &asleep wakes the receiver, and only the one
 * that finds the queue empty writes to the eventfd, so sending to a busy
 * thread costs no system call.  The futex word is only a place to sleep at;
 * the truth is in head.  The receiver resets the word before it looks at
 * head, and a sender changes head before it sets the word: in that order no
 * wake-up is lost, and a late one costs another look.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mailbox.h"
#include "server/base/memory.h"

#define MAILBOX_NO_FD (-1)

struct mailbox {
    _Atomic(struct mailbox_node *) head;
    _Atomic uint32_t is_awake; /* the futex word */
    int fd;
};

static struct mailbox_node asleep;

struct mailbox *
mailbox_new(bool with_fd)
{
    struct mailbox *mailbox = memory_zalloc(sizeof(*mailbox));

    atomic_init(&mailbox->head, NULL);
    atomic_init(&mailbox->is_awake, 0);
    mailbox->fd = MAILBOX_NO_FD;
    if (with_fd) {
        mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        CHECK(mailbox->fd >= 0);
    }
    return mailbox;
}

void
mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    CHECK(atomic_load(&mailbox->head) == NULL);
    if (mailbox->fd != MAILBOX_NO_FD)
        close(mailbox->fd);
    memory_free(mailbox);
}

int
mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

/* Sleep while *word is 0, at most timeout_ms (-1: for ever).  May return */
/* early for no reason. */
static void
futex_wait(_Atomic uint32_t *word, int64_t timeout_ms)
{
    struct timespec timeout = {
        .tv_sec = timeout_ms / 1000,
        .tv_nsec = timeout_ms % 1000 * 1000000,
    };
    long answer = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0,
        timeout_ms < 0 ? NULL : &timeout, NULL, 0);

    CHECK(
        answer == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
}

static void
futex_wake(_Atomic uint32_t *word)
{
    CHECK(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
}

static void
signal_fd(int fd)
{
    uint64_t one = 1;
    ssize_t written;

    do
        written = write(fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the descriptor is readable anyway. */
    CHECK(written == sizeof(one) || errno == EAGAIN);
}

void
mailbox_send(struct mailbox *mailbox, struct mailbox_node *node)
{
    struct mailbox_node *head = atomic_load(&mailbox->head);
    /* After the swap the receiver may free anything it was sent. */
    int fd = mailbox->fd;

    do
        node->next = head == &asleep ? NULL : head;
    while (!atomic_compare_exchange_weak(&mailbox->head, &head, node));
    if (head == &asleep) {
        atomic_store(&mailbox->is_awake, 1);
        futex_wake(&mailbox->is_awake);
    }
    if (fd != MAILBOX_NO_FD && (head == NULL || head == &asleep))
        signal_fd(fd);
}

static struct mailbox_node *
reverse(struct mailbox_node *node)
{
    struct mailbox_node *oldest = NULL;

    while (node != NULL) {
        struct mailbox_node *next = node->next;
        node->next = oldest;
        oldest = node;
        node = next;
    }
    return oldest;
}

struct mailbox_node *
mailbox_take_all(struct mailbox *mailbox)
{
    if (mailbox->fd != MAILBOX_NO_FD) {
        /* Before the exchange: a message that comes between the two signals */
        /* again, and the next call finds nothing, which is harmless. */
        uint64_t count;
        ssize_t got;
        do
            got = read(mailbox->fd, &count, sizeof(count));
        while (got < 0 && errno == EINTR);
        CHECK(got == sizeof(count) || errno == EAGAIN);
    }
    return reverse(atomic_exchange(&mailbox->head, NULL));
}

/* Sleep until head is no longer &asleep or the time is over. */
static void
sleep_until(struct mailbox *mailbox, int64_t deadline_us)
{
    for (;;) {
        int64_t left_ms = -1;
        if (deadline_us >= 0) {
            int64_t left_us = deadline_us - clock_monotonic_us();
            if (left_us <= 0)
                return;
            left_ms = (left_us + 999) / 1000;
        }
        atomic_store(&mailbox->is_awake, 0);
        if (atomic_load(&mailbox->head) != &asleep)
            return;
        futex_wait(&mailbox->is_awake, left_ms);
    }
}

struct mailbox_node *
mailbox_wait(struct mailbox *mailbox, int timeout_ms)
{
    int64_t deadline_us = -1;
    struct mailbox_node *expected = NULL;

    if (timeout_ms > 0)
        deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    if (timeout_ms != 0 &&
        atomic_compare_exchange_strong(&mailbox->head, &expected, &asleep)) {
        sleep_until(mailbox, deadline_us);
        /* Awake by timeout: say so.  If a message came, it stays. */
        expected = &asleep;
        atomic_compare_exchange_strong(&mailbox->head, &expected, NULL);
    }
    return mailbox_take_all(mailbox);
}

bool
mailbox_has_mail(const struct mailbox *mailbox)
{
    struct mailbox_node *head =
        atomic_load_explicit(&mailbox->head, memory_order_relaxed);

    return head != NULL && head != &asleep;
}
