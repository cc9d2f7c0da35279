"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: replies compared with redis-server's,
step by step, and what only Walden promises: the reply of EXEC waits."""

import pytest

# (client, request) in order; the replies must be the same bytes.
SCRIPTS = {
    "queue": [
        ("a", "multi"), ("a", "set x 1"), ("a", "incr x"), ("a", "get x"),
        ("a", "exec"), ("a", "exec"), ("a", "discard")],
    "empty": [("a", "multi"), ("a", "exec")],
    "nested": [("a", "multi"), ("a", "multi"), ("a", "set x 1"),
               ("a", "exec"), ("a", "get x")],
    "watch inside": [("a", "multi"), ("a", "watch x"), ("a", "exec")],
    "refused while queueing": [
        ("a", "multi"), ("a", "set x"), ("a", "set x 1"), ("a", "exec"),
        ("a", "exists x"), ("a", "multi"), ("a", "nosuch a b"),
        ("a", "exec"), ("a", "ping")],
    "error while running": [
        ("a", "set x abc"), ("a", "multi"), ("a", "incr x"),
        ("a", "set y 1"), ("a", "exec"), ("a", "get y")],
    "discard": [("a", "multi"), ("a", "set x 1"), ("a", "discard"),
                ("a", "exists x"), ("a", "exec")],
    "watch broken": [
        ("a", "watch x"), ("b", "set x 1"), ("a", "multi"), ("a", "set x 2"),
        ("a", "exec"), ("a", "get x")],
    "watch kept": [
        ("a", "watch x"), ("b", "set y 1"), ("a", "multi"), ("a", "set x 2"),
        ("a", "exec"), ("a", "get x")],
    "unwatch": [
        ("a", "watch x"), ("b", "set x 1"), ("a", "unwatch"), ("a", "multi"),
        ("a", "set x 2"), ("a", "exec")],
    "discard unwatches": [
        ("a", "watch x"), ("b", "set x 1"), ("a", "multi"), ("a", "discard"),
        ("a", "multi"), ("a", "exec")],
    "watch then delete": [
        ("a", "set x 1"), ("a", "watch x"), ("b", "del x"), ("a", "multi"),
        ("a", "exec")],
    "watch of a key that is not there and is deleted": [
        ("a", "watch x"), ("b", "del x"), ("a", "multi"), ("a", "exec")],
    "flushall breaks what existed": [
        ("a", "set x 1"), ("a", "watch x"), ("b", "flushall"),
        ("a", "multi"), ("a", "exec")],
    "flushall leaves what did not exist": [
        ("a", "watch x"), ("b", "flushall"), ("a", "multi"), ("a", "exec")],
    "flushdb of another database": [
        ("a", "set x 1"), ("a", "watch x"), ("b", "select 1"),
        ("b", "flushdb"), ("a", "multi"), ("a", "exec")],
    "swapdb brings the key": [
        ("b", "select 1"), ("b", "set x 1"), ("a", "watch x"),
        ("b", "swapdb 0 1"), ("a", "multi"), ("a", "exec")],
    "swapdb of others": [
        ("a", "watch x"), ("b", "swapdb 2 3"), ("a", "multi"), ("a", "exec")],
    "expiry breaks": [
        ("a", "set x 1"), ("a", "watch x"), ("b", "pexpireat x 1"),
        ("a", "multi"), ("a", "exec")],
    "renamed onto": [
        ("a", "watch x"), ("b", "set y 1"), ("b", "rename y x"),
        ("a", "multi"), ("a", "exec")],
    "own change breaks": [
        ("a", "watch x"), ("a", "set x 1"), ("a", "multi"), ("a", "exec")],
    "select in the queue": [
        ("a", "multi"), ("a", "select 2"), ("a", "set x 2"), ("a", "exec"),
        ("a", "get x"), ("a", "select 0"), ("a", "exists x")],
    "blocking commands do not block": [
        ("a", "multi"), ("a", "blpop l 0"), ("a", "exec")],
    "same key twice": [
        ("a", "watch x x"), ("b", "set x 1"), ("a", "multi"), ("a", "exec")],
    "two watchers": [
        ("a", "watch x"), ("b", "watch x"), ("a", "set x 1"), ("b", "multi"),
        ("b", "exec"), ("a", "multi"), ("a", "exec")],
    "arity": [("a", "multi now"), ("a", "exec now"), ("a", "discard now"),
              ("a", "watch"), ("a", "unwatch now")],
    "exec refused by arity ends nothing": [
        ("a", "multi"), ("a", "exec now"), ("a", "exec")],
}


def run(server, script):
    clients, replies = {}, []
    for name, request in script:
        if name not in clients:
            clients[name] = server.connect()
        replies.append((request, clients[name].call(*request.split())))
    for connection in clients.values():
        connection.close()
    return replies


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_redis(walden, oracle, name):
    assert run(walden, SCRIPTS[name]) == run(oracle, SCRIPTS[name])


def test_d1_exec_is_whole_after_a_kill(start):
    """D1: what one EXEC did is in one batch."""
    server = start()
    a = server.connect()
    for i in range(50):
        a.pipeline([("multi",), ("set", "a", str(i)), ("set", "b", str(i)),
                    ("exec",)])
    server.kill()
    server.start()
    b = server.connect()
    assert b.call("get", "a") == b.call("get", "b") == b"49"


def test_watch_of_a_key_outside_memory(walden):
    a, b = walden.connect(), walden.connect()
    a.call("set", "x", "1")
    a.call("save")
    walden.stop()
    walden.start()
    a, b = walden.connect(), walden.connect()
    assert a.call("watch", "x") == b"OK"
    b.call("set", "x", "2")
    a.call("multi")
    assert a.call("exec") is None
