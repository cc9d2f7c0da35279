/*
 * test_release.c -- the output gate on sessions without sockets.
 *
 * R1 and R2, and what becomes of held replies when their batch fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/blocked_table.h"
#include "server/release.h"
#include "server/server.h"
#include "server/watch.h"

static struct session *
set_up(void)
{
    memset(&server, 0, sizeof(server));
    map_init(&server.sessions_by_id);
    map_init(&server.errors);
    server.durable_seq = 10;
    server.config.held_replies_max = 1000;
    server.blocked = blocked_table_new();
    server.watches = watch_table_new();
    return session_new(&server, -1);
}

static void
tear_down(struct session *session)
{
    session_free(session);
    blocked_table_free(server.blocked);
    watch_table_free(server.watches);
    map_fini(&server.sessions_by_id);
    assert_int_equal(server.stats.held_bytes, 0);
    assert_false(release_is_awaited(&server, server.durable_seq + 1));
    assert_false(release_is_awaited(&server, server.durable_seq + 2));
}

static void
say(struct session *session, const char *text, uint64_t seq)
{
    struct reply reply;
    session_begin_reply(session, &reply);
    reply_simple(&reply, text);
    session_end_reply(session, seq, 1);
}

static void
assert_released(const struct session *session, const char *text)
{
    assert_int_equal(session->released, strlen(text));
    assert_memory_equal(session->out.data, text, strlen(text));
}

static void
r1_reply_waits_for_its_batch(void **state)
{
    (void)state;
    struct session *session = set_up();
    say(session, "a", 0);
    assert_released(session, "+a\r\n");
    say(session, "b", 11);
    assert_released(session, "+a\r\n");
    assert_true(release_is_awaited(&server, 11));
    assert_int_equal(release_count(&server, 11), 1);
    release_advance(&server, 11);
    assert_released(session, "+a\r\n+b\r\n");
    say(session, "c", 11);
    assert_released(session, "+a\r\n+b\r\n+c\r\n");
    tear_down(session);
}

static void
r2_replies_leave_in_order(void **state)
{
    (void)state;
    struct session *session = set_up();
    say(session, "open", 12);
    say(session, "out", 11);
    say(session, "free", 0);
    release_advance(&server, 11);
    assert_released(session, "");
    release_advance(&server, 12);
    assert_released(session, "+open\r\n+out\r\n+free\r\n");
    tear_down(session);
}

static void
r2_two_batches(void **state)
{
    (void)state;
    struct session *session = set_up();
    say(session, "1", 11);
    say(session, "2", 11);
    say(session, "3", 12);
    assert_int_equal(session->marks_len, 2);
    release_advance(&server, 11);
    assert_released(session, "+1\r\n+2\r\n");
    assert_true(release_is_awaited(&server, 12));
    say(session, "4", 13);
    release_advance(&server, 12);
    assert_released(session, "+1\r\n+2\r\n+3\r\n");
    release_advance(&server, 13);
    assert_released(session, "+1\r\n+2\r\n+3\r\n+4\r\n");
    tear_down(session);
}

static void
r3_held_bytes_are_counted(void **state)
{
    (void)state;
    struct session *session = set_up();
    char text[1200];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(release_is_full(&server));
    say(session, text, 11);
    assert_int_equal(server.stats.held_bytes, sizeof(text) + 2);
    assert_true(release_is_full(&server));
    release_advance(&server, 11);
    assert_false(release_is_full(&server));
    tear_down(session);
}

/* A client that never catches up must not collect marks. */
static void
r3_marks_do_not_pile_up(void **state)
{
    (void)state;
    struct session *session = set_up();
    for (uint64_t seq = 11; seq < 10011; seq++) {
        say(session, "a", seq);
        say(session, "b", 0);
        say(session, "c", seq + 1);
        release_advance(&server, seq);
    }
    assert_in_range(session->marks_size, 1, 16);
    release_advance(&server, 10011);
    assert_int_equal(session->released, session->out.len);
    tear_down(session);
}

static void
d2_lost_replies_become_errors(void **state)
{
    (void)state;
    struct session *session = set_up();
    say(session, "fine", 0);
    say(session, "lost", 11);
    say(session, "lost", 11);
    say(session, "PONG", 0);
    session_push(session, SLICE(">1\r\n+push\r\n"), 12);
    say(session, "lost", 12);
    session->observed_seq = 12;
    release_fail(&server, "MISCONF no");
    assert_released(session, "+fine\r\n-MISCONF no\r\n-MISCONF no\r\n+PONG\r\n"
                             "-MISCONF no\r\n");
    assert_int_equal(session->observed_seq, 10);
    assert_int_equal(session->marks_len, 0);
    tear_down(session);
}

static void
push_within_a_reply_follows_it(void **state)
{
    (void)state;
    struct session *session = set_up();
    struct reply reply;
    session_begin_reply(session, &reply);
    reply_array(&reply, 2);
    session_push(session, SLICE("+push\r\n"), 0);
    reply_int(&reply, 1);
    reply_int(&reply, 2);
    session_end_reply(session, 0, 1);
    assert_released(session, "*2\r\n:1\r\n:2\r\n+push\r\n");
    tear_down(session);
}

static void
session_that_ends_waits_no_longer(void **state)
{
    (void)state;
    struct session *session = set_up();
    struct session *other = session_new(&server, -1);
    say(session, "a", 11);
    say(other, "b", 11);
    say(other, "c", 12);
    assert_int_equal(release_count(&server, 11), 2);
    session_free(other);
    assert_int_equal(release_count(&server, 11), 1);
    assert_int_equal(release_count(&server, 12), 0);
    release_advance(&server, 11);
    assert_released(session, "+a\r\n");
    tear_down(session);
}

/* Only then may the loop put off a commit until an upload is asked for. */
static void
who_waits_only_for_the_bucket(void **state)
{
    (void)state;
    struct session *session = set_up();
    struct session *other = session_new(&server, -1);
    /* The gate remembers the seqs of the tests before. */
    server.durable_seq = 20000;
    session->durability = DURABILITY_BUCKET;
    say(session, "a", 20001);
    assert_true(release_is_awaited(&server, 20001));
    assert_false(release_is_awaited_on_disk(20001));
    assert_int_equal(release_bucket_count(), 1);
    assert_int_equal(release_bucket_seq(), 20001);
    say(other, "b", 20001);
    assert_true(release_is_awaited_on_disk(20001));
    assert_false(release_is_awaited_on_disk(20002));
    assert_int_equal(release_bucket_count(), 1);
    release_advance(&server, 20001);
    assert_released(other, "+b\r\n");
    assert_released(session, "");
    say(other, "lost", 20002);
    release_fail(&server, "MISCONF no");
    assert_false(release_is_awaited_on_disk(20002));
    release_advance_bucket(&server, 20001);
    assert_released(session, "+a\r\n");
    assert_int_equal(release_bucket_count(), 0);
    session_free(other);
    tear_down(session);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r1_reply_waits_for_its_batch),
        cmocka_unit_test(r2_replies_leave_in_order),
        cmocka_unit_test(r2_two_batches),
        cmocka_unit_test(r3_held_bytes_are_counted),
        cmocka_unit_test(r3_marks_do_not_pile_up),
        cmocka_unit_test(d2_lost_replies_become_errors),
        cmocka_unit_test(push_within_a_reply_follows_it),
        cmocka_unit_test(session_that_ends_waits_no_longer),
        cmocka_unit_test(who_waits_only_for_the_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
