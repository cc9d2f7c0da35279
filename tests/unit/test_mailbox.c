/*
 * test_mailbox.c -- order, waiting, and many senders at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/mailbox.h"

#define SENDERS 4
#define MESSAGES 20000

struct message {
    struct mailbox_node node; /* first, so that a cast finds it */
    int sender;
    int number;
};

struct sender {
    pthread_t thread;
    struct mailbox *mailbox;
    struct message *messages;
};

static bool
is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

static void
test_oldest_first(void **state)
{
    struct message messages[3];
    struct mailbox *mailbox = mailbox_new(false);

    (void)state;
    assert_int_equal(mailbox_fd(mailbox), -1);
    assert_null(mailbox_take_all(mailbox));
    for (int i = 0; i < 3; i++)
        mailbox_send(mailbox, &messages[i].node);
    assert_true(mailbox_has_mail(mailbox));
    struct mailbox_node *node = mailbox_take_all(mailbox);
    for (int i = 0; i < 3; i++, node = node->next)
        assert_ptr_equal(node, &messages[i].node);
    assert_null(node);
    assert_false(mailbox_has_mail(mailbox));
    mailbox_free(mailbox);
    mailbox_free(NULL);
}

static void
test_descriptor(void **state)
{
    struct message messages[2];
    struct mailbox *mailbox = mailbox_new(true);

    (void)state;
    int fd = mailbox_fd(mailbox);
    assert_false(is_readable(fd));
    mailbox_send(mailbox, &messages[0].node);
    mailbox_send(mailbox, &messages[1].node);
    assert_true(is_readable(fd));
    assert_non_null(mailbox_take_all(mailbox));
    assert_false(is_readable(fd));
    mailbox_send(mailbox, &messages[0].node);
    assert_true(is_readable(fd));
    assert_non_null(mailbox_wait(mailbox, 0));
    assert_false(is_readable(fd));
    mailbox_free(mailbox);
}

static void
test_wait_times_out(void **state)
{
    struct message message;
    struct mailbox *mailbox = mailbox_new(false);
    int64_t start_us = clock_monotonic_us();

    (void)state;
    assert_null(mailbox_wait(mailbox, 0));
    assert_null(mailbox_wait(mailbox, 20));
    assert_true(clock_monotonic_us() - start_us >= 20000);
    assert_false(mailbox_has_mail(mailbox));
    mailbox_send(mailbox, &message.node);
    assert_ptr_equal(mailbox_wait(mailbox, -1), &message.node);
    mailbox_free(mailbox);
}

static void *
send_all(void *arg)
{
    struct sender *sender = arg;

    for (int i = 0; i < MESSAGES; i++)
        mailbox_send(sender->mailbox, &sender->messages[i].node);
    return NULL;
}

static void
start_senders(struct sender senders[SENDERS], struct mailbox *mailbox)
{
    for (int s = 0; s < SENDERS; s++) {
        senders[s].mailbox = mailbox;
        senders[s].messages = calloc(MESSAGES, sizeof(struct message));
        assert_non_null(senders[s].messages);
        for (int i = 0; i < MESSAGES; i++) {
            senders[s].messages[i].sender = s;
            senders[s].messages[i].number = i;
        }
        assert_int_equal(
            pthread_create(&senders[s].thread, NULL, send_all, &senders[s]), 0);
    }
}

/* Receive everything; each sender's messages must come in order. */
static void
receive_all(struct mailbox *mailbox, bool with_fd, int timeout_ms)
{
    struct sender senders[SENDERS];
    int next[SENDERS] = { 0 };
    int received = 0;

    start_senders(senders, mailbox);
    while (received < SENDERS * MESSAGES) {
        struct mailbox_node *node;
        if (with_fd) {
            struct pollfd poll_fd = { mailbox_fd(mailbox), POLLIN, 0 };
            assert_int_equal(poll(&poll_fd, 1, 10000), 1);
            node = mailbox_take_all(mailbox);
        } else {
            node = mailbox_wait(mailbox, timeout_ms);
        }
        for (; node != NULL; node = node->next) {
            struct message *message = (struct message *)node;
            assert_int_equal(message->number, next[message->sender]);
            next[message->sender]++;
            received++;
        }
    }
    for (int s = 0; s < SENDERS; s++) {
        pthread_join(senders[s].thread, NULL);
        free(senders[s].messages);
    }
    assert_null(mailbox_take_all(mailbox));
}

static void
test_many_senders(void **state)
{
    struct mailbox *mailbox = mailbox_new(false);

    (void)state;
    receive_all(mailbox, false, -1);
    receive_all(mailbox, false, 1);
    mailbox_free(mailbox);
}

static void
test_many_senders_with_descriptor(void **state)
{
    struct mailbox *mailbox = mailbox_new(true);

    (void)state;
    receive_all(mailbox, true, 0);
    receive_all(mailbox, false, -1);
    mailbox_free(mailbox);
}

struct echo {
    struct mailbox *to;
    struct mailbox *from;
};

static void *
echo_all(void *arg)
{
    struct echo *echo = arg;

    for (int i = 0; i < MESSAGES; i++)
        mailbox_send(echo->from, mailbox_wait(echo->to, -1));
    return NULL;
}

/* One message to and fro: every send meets a sleeper or one falling asleep. */
static void
test_ping_pong(void **state)
{
    struct echo echo = { mailbox_new(false), mailbox_new(false) };
    struct message message;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, echo_all, &echo), 0);
    for (int i = 0; i < MESSAGES; i++) {
        mailbox_send(echo.to, &message.node);
        assert_ptr_equal(mailbox_wait(echo.from, -1), &message.node);
    }
    pthread_join(thread, NULL);
    mailbox_free(echo.to);
    mailbox_free(echo.from);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_wait_times_out),
        cmocka_unit_test(test_many_senders),
        cmocka_unit_test(test_many_senders_with_descriptor),
        cmocka_unit_test(test_ping_pong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
