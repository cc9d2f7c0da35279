"""Where the threads run on two processors: tried under load, and let go."""

import os
import time

import pytest


@pytest.fixture
def two_processors():
    """This process, and what it starts, may use two processors only."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one processor: nothing to choose")
    some = set(sorted(before)[:2])
    os.sched_setaffinity(0, some)
    yield some
    os.sched_setaffinity(0, before)


def bound_threads(pid, cpus):
    """How many threads may not use all of cpus."""
    return sum(os.sched_getaffinity(int(thread)) != cpus
               for thread in os.listdir(f"/proc/{pid}/task"))


def load(connection, pid, cpus, seconds):
    """Write; answers the most threads that were seen bound."""
    requests = [("SET", f"k{number}", "x" * 20) for number in range(200)]
    most = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.send(*requests)
        connection.read(len(requests))
        most = max(most, bound_threads(pid, cpus))
    return most


def test_threads_share_a_processor_for_a_while(start, two_processors):
    server = start()
    pid = server.process.pid
    connection = server.connect()
    for _ in range(2):
        # LOOP and COMMIT, at least while that is being tried.
        assert load(connection, pid, two_processors, 2.5) == 2
        time.sleep(1.5)
        assert bound_threads(pid, two_processors) == 0
    connection.close()


def test_threads_are_let_go_without_other_work(start, two_processors):
    # Nothing else makes the COMMIT thread look at the clock.
    server = start(fold_idle_ms=-1)
    connection = server.connect()
    assert load(connection, server.process.pid, two_processors, 2.5) == 2
    time.sleep(0.5)
    assert bound_threads(server.process.pid, two_processors) == 0
    connection.close()


def test_one_processor_is_no_choice(start, two_processors):
    only = {min(two_processors)}
    os.sched_setaffinity(0, only)
    server = start()
    connection = server.connect()
    assert load(connection, server.process.pid, only, 1) == 0
    connection.close()
