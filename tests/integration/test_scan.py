"""SCAN: errors compared with redis-server, the guarantee tested on its own,
because cursors are not comparable."""

import pytest

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

ERRORS = r"""
    scan
    scan abc
    scan -1x
    scan 1.5
    scan 18446744073709551616
    scan " 1"
    scan 0 count
    scan 0 count 0
    scan 0 count -1
    scan 0 count abc
    scan 0 match
    scan 0 bogus 1
    scan 0 match * bogus
    scan 0 type
    scan 0
    scan 0 match * count 100 type string
    set only v
    scan 0
    scan 0 COUNT 100 MATCH o*
    scan 0 match x*
    scan 0 type string
    scan 0 type STRING
    scan +0
    scan -0
    scan 00
    scan ""
    scan +
    scan " 0"
    scan "0 "
    scan 0 type list
    scan 0 type bogus
    scan 0 match o* match x*
"""


def test_errors_and_forms(twin):  # noqa: F811
    twin.run(ERRORS)


def walk(twin, *options):  # noqa: F811
    """Every key of one whole iteration, and the number of calls."""
    found, cursor, calls = [], b"0", 0
    while True:
        cursor, names = twin.same("SCAN", cursor, *options, mark="!")
        found += names
        calls += 1
        assert calls < 10_000
        if cursor == b"0":
            return found, calls


@pytest.fixture
def names(twin):  # noqa: F811
    wanted = {b"key:%d" % i for i in range(500)}
    twin.same("MSET", *(x for name in wanted for x in (name, "v")))
    twin.same("RPUSH", "list:1", "a")
    twin.same("HSET", "hash:1", "f", "v")
    return wanted | {b"list:1", b"hash:1"}


def test_everything_once(twin, names):  # noqa: F811
    for options in ((), ("COUNT", 1), ("COUNT", 7), ("COUNT", 100_000)):
        found, calls = walk(twin, *options)
        assert sorted(found) == sorted(names), options
        if options == ("COUNT", 7):
            assert calls > 10


def test_filters(twin, names):  # noqa: F811
    found, _ = walk(twin, "MATCH", "key:1*")
    assert set(found) == {n for n in names if n.startswith(b"key:1")}
    found, _ = walk(twin, "TYPE", "list")
    assert found == [b"list:1"]
    found, _ = walk(twin, "TYPE", "hash", "MATCH", "hash*")
    assert found == [b"hash:1"]
    found, _ = walk(twin, "TYPE", "zset")
    assert found == []


def test_keys_that_stay_are_seen_whatever_happens(twin, names):  # noqa: F811
    """The guarantee: keys there from the first call to the last are given."""
    stay = {n for n in names if hash_of(n) % 2 == 0}
    go = sorted(names - stay)
    found, cursor, turn = [], b"0", 0
    while True:
        cursor, some = twin.same("SCAN", cursor, "COUNT", 20, mark="!")
        found += some
        if cursor == b"0":
            break
        for name in go[turn * 10:turn * 10 + 10]:
            twin.same("DEL", name)
        twin.same("SET", f"new:{turn}", "v")
        twin.same("INCRBY", "counter", 1)
        turn += 1
    assert stay <= set(found)
    assert len(found) == len(set(found))


def hash_of(name):
    return sum(name)


def test_other_databases_do_not_show(twin, names):  # noqa: F811
    twin.same("SELECT", 1)
    twin.same("SET", "other", "v")
    assert walk(twin)[0] == [b"other"]
    twin.same("SWAPDB", 0, 1)
    assert set(walk(twin)[0]) == names
    twin.same("SELECT", 0)
    assert walk(twin)[0] == [b"other"]
    twin.same("FLUSHDB")
    assert walk(twin)[0] == []


def test_a_cursor_survives_a_restart(twin_servers):  # noqa: F811
    walden = twin_servers[0]
    connection = walden.connect()
    connection.call("FLUSHALL")
    for i in range(200):
        connection.call("SET", f"k{i}", "v")
    cursor, found = connection.call("SCAN", "0", "COUNT", 50)
    connection.close()
    walden.kill()
    walden.start()
    connection = walden.connect()
    while cursor != b"0":
        cursor, some = connection.call("SCAN", cursor, "COUNT", 50)
        found += some
    assert sorted(found) == sorted(b"k%d" % i for i in range(200))
    connection.call("FLUSHALL")
    connection.close()
