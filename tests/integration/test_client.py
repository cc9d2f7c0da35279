"""CLIENT."""

import threading
import time

import pytest

import servers
from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    client
    client foo
    client getname
    client setname "x y"
    client setname xy
    client getname
    client setname ""
    client getname
    client setname
    client getredir
    client trackinginfo
    client tracking off
    client tracking foo
    client caching yes
    client kill 1.2.3.4:5
    client kill id 0
    client kill id 99999
    client kill id abc
    client kill type foo
    client kill type master
    client kill user foo
    client kill skipme foo
    client kill skipme yes id
    client kill foo bar
    client list id
    client list id abc
    client list type foo
    client list foo
    client list type master
    client list type replica
    client list type pubsub
    client no-evict on
    client no-evict off
    client no-evict x
    client pause a
    client pause -1
    client pause 10 foo
    client unpause
    client unblock a
    client unblock 999999
    client unblock 999999 foo
    client unblock 999999 error
    client reply on
    client reply foo
    client id x
"""


def fields(line):
    return dict(pair.split("=", 1) for pair in line.decode().split())


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_list_has_redis_fields(plain_twin):  # noqa: F811
    ours = fields(plain_twin.same("CLIENT", "INFO", mark="!"))
    theirs = plain_twin.redis.ask("CLIENT", "INFO").split(b"\r\n")[1]
    assert not set(fields(theirs)) - set(ours)
    assert ours["cmd"] == "client|info"
    assert ours["flags"] == "N"
    # The request at hand: *2 $6 CLIENT $4 INFO.
    assert ours["qbuf"] == fields(theirs)["qbuf"] == "26"


def test_list_tells_what_each_does(walden):
    one, two = walden.connect(), walden.connect()
    assert two.call("CLIENT", "NO-EVICT", "ON") == b"OK"
    assert two.call("CLIENT", "NO-TOUCH", "ON") == b"OK"
    two.call("MULTI")
    two.call("GET", "a")

    def second():
        return fields(one.call("CLIENT", "LIST").splitlines()[1])

    found = second()
    # What it asked last, not what ran last.
    assert (found["flags"], found["cmd"], found["multi"]) == ("xeT", "get",
                                                              "1")
    two.call("NOSUCH")
    assert second()["cmd"] == "NULL"
    two.call("RESET")
    assert (second()["flags"], second()["cmd"]) == ("N", "reset")


def test_setinfo(client):
    assert client.call("CLIENT", "SETINFO", "LIB-NAME", "lib") == b"OK"
    assert client.call("CLIENT", "SETINFO", "lib-ver", "1.2") == b"OK"
    assert client.call("CLIENT", "SETINFO", "lib-ver", "1 2") == \
        b"ERR lib-ver cannot contain spaces, newlines or special characters."
    assert client.call("CLIENT", "SETINFO", "foo", "1") == \
        b"ERR Unrecognized option 'foo'"
    info = fields(client.call("CLIENT", "INFO"))
    assert (info["lib-name"], info["lib-ver"]) == ("lib", "1.2")


def test_durability(client):
    assert client.call("CLIENT", "DURABILITY") == b"disk"
    assert client.call("CLIENT", "DURABILITY", "MEMORY") == b"OK"
    assert client.call("CLIENT", "DURABILITY") == b"memory"
    assert client.call("CLIENT", "DURABILITY", "bucket").startswith(b"ERR")
    assert client.call("CLIENT", "DURABILITY", "x") == b"ERR syntax error"
    assert client.call("CLIENT", "DURABILITY", "disk") == b"OK"


def test_kill_by_every_filter(walden):
    killer = walden.connect()
    for how in ("ID", "ADDR", "LADDR", "old"):
        victim = walden.connect()
        info = fields(victim.call("CLIENT", "INFO"))
        if how == "old":
            assert killer.call("CLIENT", "KILL", info["addr"]) == b"OK"
        else:
            value = {"ID": info["id"], "ADDR": info["addr"],
                     "LADDR": info["laddr"]}[how]
            count = killer.call("CLIENT", "KILL", how, value)
            assert count >= 1
        with pytest.raises((servers.ServerDied, ConnectionError)):
            victim.call("PING")
        victim.close()
    assert killer.call("PING") == b"PONG"
    me = str(killer.call("CLIENT", "ID"))
    assert killer.call("CLIENT", "KILL", "ID", me) == 0
    assert killer.call("CLIENT", "KILL", "ID", me, "SKIPME", "no") == 1
    with pytest.raises((servers.ServerDied, ConnectionError)):
        killer.call("PING")


def test_list_filters(walden):
    one, two = walden.connect(), walden.connect()
    ids = [str(c.call("CLIENT", "ID")) for c in (one, two)]
    lines = one.call("CLIENT", "LIST").decode().splitlines()
    assert [fields(line.encode())["id"] for line in lines] == ids
    line = one.call("CLIENT", "LIST", "ID", ids[1], "12345").decode()
    assert fields(line.encode())["id"] == ids[1] and line.count("\n") == 1
    assert len(one.call("CLIENT", "LIST", "TYPE", "normal").splitlines()) == 2


def test_reply_off_and_skip(client):
    client.send(("CLIENT", "REPLY", "OFF"), ("SET", "a", "1"),
                ("CLIENT", "REPLY", "ON"), ("GET", "a"))
    assert client.read(2) == [b"OK", b"1"]
    client.send(("CLIENT", "REPLY", "SKIP"), ("SET", "a", "2"),
                ("GET", "a"))
    assert client.read(1) == [b"2"]


def test_pause_and_unpause(walden):
    one, two = walden.connect(), walden.connect()
    assert one.call("CLIENT", "PAUSE", "60000", "WRITE") == b"OK"
    assert two.call("GET", "a") is None
    two.send(("SET", "a", "1"))
    time.sleep(0.2)
    assert one.call("GET", "a") is None
    assert one.call("CLIENT", "UNPAUSE") == b"OK"
    assert two.read(1) == [b"OK"]


def test_unblock(walden):
    waiter, other = walden.connect(), walden.connect()
    number = str(waiter.call("CLIENT", "ID"))
    assert other.call("CLIENT", "UNBLOCK", number) == 0
    for how, reply in (("TIMEOUT", None), ("ERROR",
                       b"UNBLOCKED client unblocked via CLIENT UNBLOCK")):
        waiter.send(("BLPOP", "nokey", "0"))
        deadline = time.monotonic() + 10
        while other.call("CLIENT", "UNBLOCK", number, how) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert waiter.read(1) == [reply]


def test_many_clients_are_listed(walden):
    clients = [walden.connect() for _ in range(50)]
    results = []

    def ask(one):
        results.append(len(one.call("CLIENT", "LIST").splitlines()))

    threads = [threading.Thread(target=ask, args=(c,)) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [50] * 50
