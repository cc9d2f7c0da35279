"""Expiry commands, compared with redis-server."""

import time

import pytest

from samebytes import parse, plain_twin, twin, twin_servers  # noqa: F401

SCRIPTS = {
    "expire": r"""
        expire missing 10
        set k v
        expire k 100
        ~ttl k
        ~pttl k
        pexpire k 50000
        ~pttl k
        expireat k 33177117420
        ttl missing
        expiretime k
        pexpiretime k
        pexpireat k 33177117420499
        expiretime k
        pexpireat k 33177117420500
        expiretime k
        pexpiretime k
        persist k
        persist k
        persist missing
        ttl k
        pttl k
        expiretime k
        pexpiretime k
        ttl missing
        pttl missing
        expiretime missing
        pexpiretime missing
        expire k
        ttl
    """,
    "errors": r"""
        set k v
        expire k abc
        expire k 1.5
        expire k ""
        expire k 9223372036854775807
        expire k -9223372036854775808
        expire k 9223372036854775
        pexpire k 9223372036854775807
        expireat k 9223372036854775807
        exists k
        expire k 10 bogus
        expire k 10 nx xx
        expire k 10 nx gt
        expire k 10 nx lt
        expire k 10 gt lt
        expire k abc gt lt
        expire k 10 xx gt
        expire missing 10 bogus
        expire missing abc
        ttl k
        pexpireat k 9223372036854775807
        pexpiretime k
        ~pttl k
    """,
    "past": r"""
        set k v
        expire k 0
        exists k
        set k v
        expire k -1
        exists k
        set k v
        pexpire k -1
        dbsize
        set k v
        expireat k 1
        get k
        set k v
        pexpireat k -1
        exists k
        set k v
        pexpireat k -9223372036854775808
        exists k
        rpush l a b c
        expire l -1
        exists l
        set k v
        expire k -1 lt
        exists k
        set k v ex 100
        expire k -1 gt
        exists k
        expire k -1 nx
        exists k
        expire k -1 xx
        exists k
    """,
    "conditions": r"""
        set k v
        expire k 100 xx
        expire k 100 gt
        ttl k
        expire k 100 nx
        expire k 200 nx
        ~ttl k
        expire k 200 gt
        expire k 150 gt
        ~ttl k
        expire k 300 lt
        expire k 50 lt
        ~ttl k
        expire k 400 xx
        ~ttl k
        expire k 500 xx gt
        expire k 450 xx gt
        expire k 300 xx lt
        ~ttl k
        persist k
        expire k 100 lt
        ~ttl k
        persist k
        expire k 100 xx lt
        pexpire k 100000 NX
        pexpire k 90000 LT
        pexpireat k 33177117420000 GT
        expireat k 33177117421 gt
        expireat k 33177117421 gt
        expireat k 33177117421 lt
        pexpiretime k
        expire k 10 nx nx
        expire k 10 xx xx
    """,
    "kept and dropped": r"""
        set k v ex 100
        append k w
        ~ttl k
        setrange k 0 z
        ~ttl k
        set k w
        ttl k
        rpush l a
        expire l 100
        rpush l b
        ~ttl l
        lpop l
        ~ttl l
        lpop l
        ttl l
        rpush l a
        ttl l
        hset h f v
        expire h 100
        hset h g v
        ~ttl h
        persist h
        ttl h
        set a v ex 100
        set b v
        rename b a
        ttl a
        set b v ex 50
        rename b a
        ~ttl a
        mset a 1
        ttl a
        set n 1 ex 100
        incr n
        ~ttl n
        getset n 5
        ttl n
    """,
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script(twin, name):  # noqa: F811
    twin.run(SCRIPTS[name])


def test_keys_go_when_their_time_is_up(twin):  # noqa: F811
    twin.same("SET", "a", "1", "PX", 60)
    twin.same("RPUSH", "l", "x", "y")
    twin.same("PEXPIRE", "l", 60)
    twin.same("SET", "long", "z" * 9000, "PX", 60)
    twin.same("SET", "stays", "1", "EX", 100)
    twin.same("GET", "stays")
    time.sleep(0.15)
    twin.same("GET", "a")
    twin.same("EXISTS", "a", "l", "long", "stays")
    twin.same("TYPE", "l")
    twin.same("LRANGE", "l", 0, -1)
    twin.same("TTL", "long")
    twin.same("KEYS", "*")
    twin.same("SET", "a", "2", "XX")
    twin.same("SET", "a", "2", "NX")
    twin.same("RENAME", "l", "m")
    twin.same("PERSIST", "long")
    twin.same("APPEND", "long", "new")
    twin.same("GET", "long")
    twin.same("RANDOMKEY", mark="!")


PAUSED = """
    get a
    exists a l stays
    ttl a
    type l
    lrange l 0 -1
    object encoding a
    keys *
    scan 0 count 1000
    dbsize
"""


def expired_keys(side):
    text = parse(side.ask("INFO", "stats")).decode()
    return int(text.split("expired_keys:")[1].split()[0])


@pytest.mark.parametrize("pause_ms", [1000, 60000])
def test_a_pause_hides_and_deletes_nothing(twin, pause_ms):  # noqa: F811
    """One that ends by itself, and one that is ended."""
    sides = (twin.walden, twin.redis)
    twin.same("SET", "a", "1", "PX", 60)
    twin.same("RPUSH", "l", "x")
    twin.same("PEXPIRE", "l", 60)
    twin.same("SET", "stays", "1")
    twin.same("CLIENT", "PAUSE", pause_ms, "WRITE")
    before = [expired_keys(side) for side in sides]
    try:
        time.sleep(0.2)
        twin.run(PAUSED)
        assert before == [expired_keys(side) for side in sides]
    finally:
        if pause_ms > 1000:
            twin.same("CLIENT", "UNPAUSE")
    twin.run("""
        rpush l y
        lrange l 0 -1
        set a 2 keepttl
        ttl a
        append a 3
        dbsize
    """)
    assert [count + 2 for count in before] == \
        [expired_keys(side) for side in sides]


def test_the_sweep_needs_no_access(plain_twin):  # noqa: F811
    for i in range(50):
        plain_twin.same("SET", f"k{i}", "v", "PX", 50)
    plain_twin.same("SET", "stays", "v")
    until = time.monotonic() + 5
    while plain_twin.walden.ask("DBSIZE") != b":1\r\n":
        assert time.monotonic() < until, "expired keys are still counted"
        time.sleep(0.02)


def test_restart_keeps_the_moment(twin_servers, plain_twin):  # noqa: F811
    walden = twin_servers[0]
    plain_twin.same("SET", "k", "v", "PXAT", 33177117420123)
    plain_twin.same("SET", "soon", "v", "PX", 50)
    plain_twin.same("RPUSH", "l", "a")
    plain_twin.same("EXPIREAT", "l", 33177117420)
    walden.kill()
    time.sleep(0.1)
    walden.start()
    connection = walden.connect()
    assert connection.call("PEXPIRETIME", "k") == 33177117420123
    assert connection.call("EXPIRETIME", "l") == 33177117420
    assert connection.call("EXISTS", "soon") == 0
    connection.close()
