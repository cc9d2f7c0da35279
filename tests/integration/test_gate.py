"""The output gate on a slow disk: who waits for a sync, and who does not."""

import errno
import re
import time

import pytest
import resp
import servers

SYNC_MS = 600
# What has to wait takes longer than this, in seconds, and the rest less.
LIMIT = 0.35


class Timed:
    """A connection that notes when each of its replies came."""

    def __init__(self, server):
        self.connection = server.connect()
        self.connection.call("ping")

    def send(self, *requests):
        self.began = time.monotonic()
        self.connection.send(*requests)

    def read(self):
        """The next reply, and how long after the request it came."""
        reply = self.connection.read()[0]
        return reply, time.monotonic() - self.began

    def ask(self, *request):
        self.send(request)
        return self.read()


@pytest.fixture
def slow(start_on_disk):
    server, disk = start_on_disk()
    connection = server.connect()
    connection.call("set", "key", "old")
    connection.call("set", "other", "there")
    connection.call("rpush", "list", "a")
    time.sleep(0.2)  # until everything is synced
    disk.order(sync_ms=SYNC_MS)
    return server, disk


def held_write(server):
    """A write that has been executed and is not yet on disk."""
    writer = Timed(server)
    writer.send(("set", "key", "new"))
    time.sleep(0.03)
    return writer


def test_r1_writer_waits_for_the_sync(slow):
    reply, seconds = Timed(slow[0]).ask("set", "key", "new")
    assert reply == b"OK" and seconds > LIMIT


def test_r1_reader_of_an_uncommitted_key_waits(slow):
    reader = Timed(slow[0])
    held_write(slow[0])
    reply, seconds = reader.ask("get", "key")
    assert reply == b"new" and seconds > LIMIT


def test_r1_reader_of_another_key_does_not_wait(slow):
    reader = Timed(slow[0])
    writer = held_write(slow[0])
    reply, seconds = reader.ask("get", "other")
    assert reply == b"there" and seconds < LIMIT
    reply, seconds = writer.read()
    assert reply == b"OK" and seconds > LIMIT


@pytest.mark.parametrize("request_", (
    ("dbsize",), ("keys", "*"), ("scan", "0"), ("randomkey",),
    ("mget", "other", "key"), ("exists", "key"), ("type", "key"),
    ("ttl", "key")), ids=lambda r: r[0])
def test_r1_what_looks_at_the_key_waits(slow, request_):
    reader = Timed(slow[0])
    held_write(slow[0])
    _, seconds = reader.ask(*request_)
    assert seconds > LIMIT


def test_r1_client_is_woken_after_the_sync(slow):
    blocked = Timed(slow[0])
    blocked.send(("blpop", "queue", "0"))
    pusher = Timed(slow[0])
    pusher.send(("rpush", "queue", "job"))
    reply, seconds = blocked.read()
    assert reply == [b"queue", b"job"] and seconds > LIMIT


def test_r1_transaction_that_reads_waits(slow):
    reader = Timed(slow[0])
    held_write(slow[0])
    reader.send(("multi",), ("get", "key"), ("exec",))
    assert reader.read()[0] == b"OK"
    assert reader.read()[0] == b"QUEUED"
    reply, seconds = reader.read()
    assert reply == [b"new"] and seconds > LIMIT


def test_r1_killed_before_the_sync_nobody_was_told(slow):
    server, disk = slow
    reader = Timed(server)
    held_write(server)
    reader.send(("get", "key"))
    time.sleep(0.05)
    server.kill()
    with pytest.raises((servers.ServerDied, OSError)):
        reader.read()
    disk.order()
    server.start()
    assert server.connect().call("get", "key") in (b"old", b"new")


def test_r2_replies_leave_in_order(slow):
    """What stands before the write leaves at once, what follows waits."""
    client = Timed(slow[0])
    client.send(("get", "other"), ("ping",), ("set", "key", "new"), ("ping",),
                ("get", "other"), ("get", "key"))
    for expected in (b"there", b"PONG"):
        reply, seconds = client.read()
        assert reply == expected and seconds < LIMIT
    for expected in (b"OK", b"PONG", b"there", b"new"):
        reply, seconds = client.read()
        assert reply == expected and seconds > LIMIT


def test_r2_each_client_has_an_order_of_its_own(slow):
    clients = [Timed(slow[0]) for _ in range(5)]
    for i, client in enumerate(clients):
        client.send(("incr", "n"), ("echo", str(i)), ("incr", "n"))
    for i, client in enumerate(clients):
        first, echo, second = (client.read()[0] for _ in range(3))
        assert first < second and echo == str(i).encode()


@pytest.mark.parametrize("limit", ("1mb", "64mb"))
def test_r3_reading_stops_when_too_much_is_held(start_on_disk, limit):
    """R3: beyond the bound nobody's requests are read, before it all are."""
    server, disk = start_on_disk(held_replies_max=limit)
    flood, watcher = server.connect(), Timed(server)
    flood.call("set", "big", "x" * 100_000)
    disk.order(sync_ms=SYNC_MS)
    requests = [("set", "k", "v")] + [("get", "big")] * 100
    flood.send(*requests)
    time.sleep(0.1)
    reply, seconds = watcher.ask("info", "storage")
    held = int(re.search(rb"held_replies_bytes:(\d+)", reply).group(1))
    if limit == "1mb":
        assert seconds > LIMIT - 0.1 and held < 1_500_000
    else:
        assert seconds < LIMIT and held > 9_000_000
    assert len(flood.read(len(requests))) == len(requests)


def test_durability_memory_does_not_wait(slow):
    client = Timed(slow[0])
    assert client.ask("client", "durability", "memory")[0] == b"OK"
    reply, seconds = client.ask("set", "key", "new")
    assert reply == b"OK" and seconds < LIMIT


def test_d2_failed_sync_is_an_error_and_heals(start_on_disk):
    """D2: the open replies are errors, writes are refused, reads go on."""
    server, disk = start_on_disk()
    client = server.connect()
    assert client.call("set", "key", "old") == b"OK"
    disk.order(sync_errno=errno.EIO)
    reply = client.call("set", "key", "new")
    assert isinstance(reply, resp.Error) and reply.startswith(b"MISCONF")
    assert client.call("get", "key") == b"old"
    assert client.call("set", "other", "1").startswith(b"MISCONF")
    disk.order()
    until = time.monotonic() + 10
    while client.call("set", "key", "healed") != b"OK":
        assert time.monotonic() < until
        time.sleep(0.1)
    server.kill()
    server.start()
    assert server.connect().call("get", "key") == b"healed"
