"""SETBIT and GETBIT, compared with redis-server."""

import random

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    setbit
    setbit a
    setbit a 0
    setbit a 0 1 1
    getbit a
    getbit a 0 0
    getbit none 0
    getbit none 4294967295
    setbit a 1 1
    get a
    setbit a 1 1
    setbit a 1 0
    get a
    strlen a
    setbit a 100 0
    strlen a
    get a
    setbit a 7 1
    setbit a 8 1
    get a
    getbit a 8
    getbit a 9
    getbit a 100000
    setbit a -1 1
    setbit a 4294967296 1
    setbit a 4294967296 x
    setbit a abc 1
    setbit a 1.5 1
    setbit a "" 1
    setbit a 0 2
    setbit a 0 -1
    setbit a 0 x
    setbit a 9223372036854775807 1
    setbit a 9223372036854775808 1
    getbit a -1
    getbit a 4294967296
    getbit a abc
    set n 10
    getbit n 3
    setbit n 7 0
    object encoding n
    get n
    rpush l 1
    setbit l 0 1
    getbit l 0
    setbit l 0 2
    set t v ex 100
    setbit t 3 1
    ~ ttl t
    command info setbit getbit
    command getkeysandflags setbit a 0 1
    command getkeysandflags getbit a 0
"""

CHANGES = r"""
    set k a
    watch k
    setbit k 1 1
    multi
    ping
    exec
    watch k
    setbit k 1 0
    multi
    ping
    exec
    watch k
    setbit k 100 0
    multi
    ping
    exec
"""


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_what_counts_as_a_change(plain_twin):  # noqa: F811
    plain_twin.run(CHANGES)


def test_bits_of_long_strings(twin):  # noqa: F811
    """Across the sizes at which a string is cut into chunks."""
    rng = random.Random(1)
    for name, size in (("empty", 0), ("flat", 3000), ("chunked", 100_000)):
        twin.same("SET", name, rng.randbytes(size))
        for _ in range(150):
            at = rng.randrange(rng.choice((64, 30_000, 140_000)) * 8)
            if rng.random() < 0.7:
                twin.same("SETBIT", name, at, rng.randrange(2))
            twin.same("GETBIT", name, at)
        twin.same("GET", name)


def test_a_bit_far_away_survives_a_kill(start):
    server = start()
    client = server.connect()
    assert client.call("SETBIT", "far", 4_000_000_000, 1) == 0
    assert client.call("STRLEN", "far") == 500_000_001
    server.kill()
    server.start()
    client = server.connect()
    assert client.call("STRLEN", "far") == 500_000_001
    assert client.call("GETBIT", "far", 4_000_000_000) == 1
    assert client.call("GETBIT", "far", 3_999_999_999) == 0
    assert client.call("GETBIT", "far", 17) == 0
