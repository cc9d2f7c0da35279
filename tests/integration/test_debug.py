"""DEBUG and OBJECT."""

import pytest

import servers
from samebytes import plain_twin, twin, twin_servers  # noqa: F401

FILL = r"""
    set num 12
    set str abc
    set raw aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    hset hash a b c d
    rpush list a b c
    expire str 10000
    select 3
    set other 1
    select 0
"""

SCRIPT = r"""
    object
    object foo
    object encoding
    object encoding nosuch
    object freq nosuch
    object idletime nosuch
    object refcount nosuch
    object encoding num
    object encoding str
    object encoding raw
    object encoding hash
    object freq num
    object refcount str
    debug
    debug foo
    debug digest
    debug digest-value num str raw hash list nosuch
    debug sleep 0
    debug set-active-expire 0
    debug set-active-expire 1
    debug object nosuch
    debug listpack nosuch
    debug listpack num
    debug listpack hash
    debug quicklist-packed-threshold 100
    debug quicklist-packed-threshold 0
    debug quicklist-packed-threshold 1kb
    debug quicklist-packed-threshold abc
    debug quicklist-packed-threshold 5gb
    debug populate abc
    debug populate -1
    debug populate 0 key abc
    setrange part 0 12
    object refcount part
    object refcount num
    set big 10000
    object refcount big
    debug error foo
    debug error "FOO bar"
    debug log hello
    debug change-repl-id
    debug htstats 99
    debug reload
    debug digest
    get num
    lrange list 0 -1
    hgetall hash
"""

KINDS = ["string", "integer", "double", "null", "array", "set", "map",
         "verbatim", "true", "false", "bignum", "foo"]


def test_same_as_redis(twin):  # noqa: F811
    twin.run(FILL)
    twin.run(SCRIPT)


@pytest.mark.parametrize("kind", KINDS)
def test_protocol(twin, kind):  # noqa: F811
    twin.same("DEBUG", "PROTOCOL", kind)


def test_protocol_attribute(client):
    client.call("HELLO", "3")
    client.sock.sendall(b"DEBUG PROTOCOL attrib\r\n")
    wanted = (b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90"
              b"\r\n$39\r\nSome real reply following the attribute\r\n")
    seen = b""
    while len(seen) < len(wanted):
        seen += client.sock.recv(1000)
    assert seen == wanted


def test_idle_time_counts_seconds(client):
    client.call("SET", "a", "1")
    assert client.call("OBJECT", "IDLETIME", "a") in (0, 1)


def test_lfu_counts(start):
    client = start(maxmemory_policy="allkeys-lfu").connect()
    client.call("SET", "a", "1")
    for _ in range(50):
        client.call("GET", "a")
    assert client.call("OBJECT", "FREQ", "a") >= 5
    assert client.call("OBJECT", "IDLETIME", "a").startswith(b"ERR An LFU")


def test_digest_survives_restart_and_eviction(start):
    server = start()
    client = server.connect()
    for i in range(500):
        client.call("SET", f"s{i}", "x" * i)
        client.call("RPUSH", f"l{i % 7}", str(i))
        client.call("HSET", f"h{i % 5}", f"f{i}", str(i))
    client.call("SET", "long", "y" * 100_000)
    digest = client.call("DEBUG", "DIGEST")
    assert client.call("DEBUG", "RELOAD") == b"OK"
    assert client.call("DEBUG", "DIGEST") == digest
    assert client.call("DEBUG", "FOLD") == b"OK"
    assert client.call("DEBUG", "EVICT") > 0
    assert client.call("DEBUG", "DIGEST") == digest
    server.kill()
    server.start()
    assert server.connect().call("DEBUG", "DIGEST") == digest


def test_populate(client):
    assert client.call("SET", "key:3", "mine") == b"OK"
    assert client.call("DEBUG", "POPULATE", "10") == b"OK"
    assert client.call("DBSIZE") == 10
    assert client.call("GET", "key:3") == b"mine"
    assert client.call("GET", "key:4") == b"value:4"
    assert client.call("DEBUG", "POPULATE", "2", "big", "5000") == b"OK"
    assert client.call("STRLEN", "big:1") == 5000


@pytest.mark.parametrize("how", ["SEGFAULT", "ASSERT", "PANIC"])
def test_crash_keeps_what_was_acknowledged(start, how):
    server = start()
    client = server.connect()
    client.call("SET", "a", "1")
    with pytest.raises((servers.ServerDied, ConnectionError)):
        client.call("DEBUG", how)
    server.kill()
    server.start()
    assert server.connect().call("GET", "a") == b"1"
