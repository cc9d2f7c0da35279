"""The store goes away under load and comes back.

OUTAGE_SECONDS (5) says for how long; a minute when run long."""

import os
import subprocess
import threading
import time

import pytest

import book
import harness
import place

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "5"))


class Readers:
    """Reads all the time; slowest() is the longest it ever waited."""

    def __init__(self, port_owner):
        self.connection = port_owner.connect()
        self.stop = threading.Event()
        self.longest = 0.0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            self.connection.call("GET", "steady")
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.001)

    def slowest(self):
        self.stop.set()
        self.thread.join(10)
        return self.longest


def resident_mb(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


@pytest.mark.parametrize("how", ["hang", "kill"])
def test_outage(begin, own_ceph, how):
    where = harness.new_place(own_ceph.client, "outage")
    server = begin(where)
    client = server.connect()
    client.call("SET", "steady", "x")
    books = book.Book(7)
    books.check(server.port)
    load = books.begin(server.port, pace=0.003)
    readers = Readers(server)
    time.sleep(1)
    before = resident_mb(server)
    (own_ceph.hang if how == "hang" else own_ceph.kill_gateway)()
    try:
        time.sleep(SECONDS)
        during = place.info(client)
        memory = resident_mb(server) - before
    finally:
        (own_ceph.go_on if how == "hang" else own_ceph.start_gateway)()
    assert during["lag_seconds"] > SECONDS / 2, during
    time.sleep(1)
    books.end(load)
    assert readers.slowest() < 1.0
    # What waits, waits on the disk.
    assert memory < 64
    place.wait_shipped(client, 60)
    place.wait_until("no lag", lambda: place.info(client)["lag_seconds"] == 0,
                     10)
    assert place.info(client)["outbox_bytes"] == 0
    server.kill()
    server.remove()
    books.check(begin(where).port)


def push(client, count, size=20000):
    for number in range(count):
        client.call("SET", f"big{number}", os.urandom(size // 2).hex())


def test_full_outbox_stalls_writes_not_reads(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_outbox_limit="1mb",
                   bucket_outbox_full="stall", journal_fold_size="64kb",
                   fold_idle_ms=50)
    client, other = server.connect(), server.connect()
    client.call("SET", "steady", "x")
    place.wait_shipped(client)
    proxy.rule("hang", method="PUT")
    done = threading.Event()

    def write():
        push(client, 2000)
        done.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    time.sleep(4)
    readers = Readers(server)
    time.sleep(1)
    assert readers.slowest() < 1.0
    now = place.info(other)
    assert not done.is_set(), "writes were not stalled"
    # One WAL may be above it: what fills it is seen when it is taken.
    assert now["outbox_bytes"] < 16 << 20, now
    proxy.clear()
    assert done.wait(60)
    thread.join(10)
    place.wait_shipped(other, 60)
    server.kill()
    server.remove()
    assert begin(behind_proxy).connect().call("DBSIZE") == 2001


def test_full_outbox_resnapshots(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_outbox_limit="1mb",
                   bucket_outbox_full="resnapshot", journal_fold_size="64kb",
                   fold_idle_ms=50)
    client = server.connect()
    place.wait_shipped(client)
    proxy.rule("status", code=500, method="PUT")
    push(client, 1000)
    time.sleep(1)
    assert place.info(client)["outbox_bytes"] < 16 << 20
    proxy.clear()
    place.wait_shipped(client, 60)
    server.kill()
    server.remove()
    assert begin(behind_proxy).connect().call("DBSIZE") == 1000


def test_rotated_keys(begin, own_ceph):
    """403 for a while: nothing is lost, reads go on."""
    where = harness.new_place(own_ceph.client, "rotated")
    conf = f"{own_ceph.folder}/ceph.conf"

    def admin(*words):
        subprocess.run(["radosgw-admin", "-c", conf, *words], check=True,
                       capture_output=True, timeout=60)

    server = begin(where)
    client = server.connect()
    client.call("SET", "a", "1")
    place.wait_shipped(client)
    admin("user", "suspend", "--uid=test")
    try:
        client.call("SET", "a", "2")
        assert client.call("WAIT", 1, 2500) == 0
        assert client.call("GET", "a") == b"2"
        assert place.info(client)["last_error"]
        assert server.is_alive()
    finally:
        admin("user", "enable", "--uid=test")
    place.wait_shipped(client, 60)
    server.kill()
    server.remove()
    assert begin(where).connect().call("GET", "a") == b"2"
