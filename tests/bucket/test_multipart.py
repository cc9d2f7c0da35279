"""Snapshots too large for one part go up in several, and come back.

On a gateway of their own: deleted snapshots stay in its memory for long.
"""

import os
import re

import pytest

import harness
import place

import faultproxy
import servers

# More than two parts of UPLOAD_PART_SIZE.
MEGABYTES = 80
PART = "partNumber="
END = "?uploadId="
KEEPER = {"bucket_compaction_intervals": "1 0 0", "bucket_snapshot_interval": 5,
          "bucket_retention": 6, "bucket_level0_retention": 2}


@pytest.fixture
def bucket(own_ceph):
    return harness.new_place(own_ceph.client, "large")


@pytest.fixture
def proxy(own_ceph):
    faults = faultproxy.FaultProxy(
        own_ceph.port, servers.free_port(), servers.free_port())
    yield faults
    faults.stop()


@pytest.fixture
def behind_proxy(own_ceph, proxy):
    return harness.new_place(own_ceph.client, "large", proxy.port)


def fill(server):
    """Random bytes, all shipped; answers a connection."""
    client = server.connect()
    for number in range(MEGABYTES):
        client.pipeline(("SET", f"{number}:{part}", os.urandom(10240))
                        for part in range(100))
    client.call("SAVE")
    place.wait_shipped(client, 120)
    return client


def stir(client):
    """Ship something, so that the keeper's rounds go on."""
    client.call("INCR", "stirred")
    place.wait_shipped(client)


def uploads(where):
    """Ids of the uploads that were neither ended nor aborted."""
    answer = where.client.call("GET", f"/{where.bucket}",
                               {"uploads": "", "prefix": where.prefix})
    return re.findall(rb"<UploadId>(.*?)</UploadId>", answer)


def wait_for_snapshot(where, client, timeout=60):
    """Until there is one of the whole database."""
    def is_there():
        stir(client)
        return any(size > MEGABYTES << 20
                   for name, size in where.names().items()
                   if name.startswith("0009/"))
    place.wait_until("a large snapshot", is_there, timeout)


def check(where, client):
    """It is the whole database."""
    done = where.tool("verify", where.url)
    assert done.returncode == 0, done.stderr
    value = client.call("GET", f"{MEGABYTES // 2}:7")
    with where.restore() as restored:
        restored.start()
        assert restored.connect().call("GET", f"{MEGABYTES // 2}:7") == value


def test_a_large_snapshot_goes_up_in_parts(begin, bucket):
    server = begin(bucket, **KEEPER)
    client = fill(server)
    wait_for_snapshot(bucket, client)
    assert place.info(client)["requests_put"] > MEGABYTES // 32
    check(bucket, client)


def test_parts_that_fail_are_sent_again(begin, behind_proxy, proxy):
    server = begin(behind_proxy, **KEEPER)
    proxy.rule("status", code=503, path=PART, times=2)
    proxy.rule("cut_request", bytes=1 << 20, path=PART, times=2)
    proxy.rule("drop_answer", path=PART, times=2)
    proxy.rule("wrong_upload", path=PART, times=1)
    client = fill(server)
    wait_for_snapshot(behind_proxy, client)
    struck = proxy.counts()["struck"]
    assert struck["status"] == 2 and struck["cut_request"] == 2, struck
    assert struck["drop_answer"] == 2 and struck["wrong_upload"] == 1, struck
    proxy.clear()
    check(behind_proxy, client)


def test_answers_that_are_lost(begin, behind_proxy, proxy):
    """Of the beginning and of the end."""
    server = begin(behind_proxy, **KEEPER)
    proxy.rule("drop_answer", method="POST", path=END, times=1)
    client = fill(server)
    wait_for_snapshot(behind_proxy, client)
    assert proxy.counts()["struck"] == {"drop_answer": 1}
    check(behind_proxy, client)
    # One whose id nobody has learned: it is aborted when it is old.
    proxy.rule("drop_answer", method="POST", path="?uploads=", times=1)
    place.wait_until("a beginning without an answer", lambda: stir(client) or
                     proxy.counts()["struck"]["drop_answer"] == 2, 60)
    left = set(uploads(behind_proxy))
    assert left
    place.wait_until("its abort", lambda: stir(client) or
                     left.isdisjoint(uploads(behind_proxy)), 60)


def test_the_end_fails_behind_a_200(begin, behind_proxy, proxy):
    server = begin(behind_proxy, **KEEPER)
    proxy.rule("status", code=200, method="POST", path=END, times=2,
               body="<Error><Code>InternalError</Code></Error>")
    client = fill(server)
    wait_for_snapshot(behind_proxy, client)
    assert proxy.counts()["struck"] == {"status": 2}
    check(behind_proxy, client)


def test_what_a_killed_process_left_is_aborted(begin, behind_proxy, proxy):
    server = begin(behind_proxy, **KEEPER)
    client = fill(server)
    proxy.rule("hang", path=PART)
    place.wait_until("a part that hangs",
                     lambda: stir(client) or "hang" in proxy.counts()["struck"],
                     60)
    left = uploads(behind_proxy)
    assert len(left) == 1
    server.kill()
    proxy.clear()
    server.start(timeout=60)
    client = server.connect()
    place.wait_until("the abort of what was left", lambda: stir(client) or
                     left[0] not in uploads(behind_proxy), 60)
    wait_for_snapshot(behind_proxy, client)
    check(behind_proxy, client)
    place.wait_until("the end of every upload",
                     lambda: not uploads(behind_proxy))
