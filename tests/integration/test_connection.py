"""PING, ECHO, SELECT, AUTH, HELLO, RESET, QUIT, WAIT, WAITAOF."""

import time

import pytest

import servers
from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    ping
    ping hello
    ping a b
    echo
    echo x
    select 99
    select -1
    select abc
    select 4294967296
    select -4294967296
    select 99999999999999999999
    select 1
    select 0
    auth x
    auth default x
    auth foo x
    auth a b c
    hello 4
    hello 1
    hello a
    hello 2 setname
    hello 2 foo
    hello 3 auth default
    hello 3 setname "a b"
    hello 2 auth foo bar
    wait 0 0
    wait 1 20
    wait a 1
    wait 1 -1
    wait 1 a
    wait 1
    quit
"""

IN_MULTI = r"""
    multi
    ping
    wait 1 0
    exec
    multi
    ping
    reset
    exec
    get x
    quit
"""


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_in_multi_same_as_redis(plain_twin):  # noqa: F811
    plain_twin.run(IN_MULTI)


def test_hello_describes_the_server(walden):
    for version in (2, 3):
        client = walden.connect()
        reply = client.call("HELLO", version, "SETNAME", "me")
        pairs = dict(zip(reply[::2], reply[1::2]))
        assert pairs[b"server"] == b"redis"
        assert pairs[b"version"].startswith(b"7.2.")
        assert pairs[b"proto"] == version
        assert pairs[b"mode"] == b"standalone"
        assert pairs[b"role"] == b"master"
        assert pairs[b"modules"] == []
        assert client.call("CLIENT", "GETNAME") == b"me"
        client.close()


def test_password(start):
    server = start(requirepass="secret")
    client = server.connect()
    assert client.call("GET", "a").startswith(b"NOAUTH")
    assert client.call("HELLO", "3").startswith(b"NOAUTH HELLO must be")
    assert client.call("AUTH", "wrong").startswith(b"WRONGPASS")
    assert client.call("AUTH", "secre").startswith(b"WRONGPASS")
    assert client.call("AUTH", "secrett").startswith(b"WRONGPASS")
    assert client.call("AUTH", "").startswith(b"WRONGPASS")
    assert client.call("GET", "a").startswith(b"NOAUTH")
    assert client.call("AUTH", "default", "secret") == b"OK"
    assert client.call("GET", "a") is None
    assert client.call("RESET") == b"RESET"
    assert client.call("GET", "a").startswith(b"NOAUTH")
    assert client.call("HELLO", "2", "AUTH", "default", "secret")[0] == \
        b"server"
    assert client.call("SET", "a", "1") == b"OK"


def test_reset_forgets_everything(client):
    client.call("HELLO", "3", "SETNAME", "me")
    client.call("SELECT", "5")
    client.call("CLIENT", "DURABILITY", "memory")
    client.call("WATCH", "x")
    client.call("MULTI")
    client.call("PING")
    assert client.call("RESET") == b"RESET"
    assert client.call("EXEC").startswith(b"ERR EXEC without MULTI")
    assert client.call("CLIENT", "GETNAME") is None
    assert client.call("CLIENT", "DURABILITY") == b"disk"
    assert b" db=0 " in client.call("CLIENT", "INFO")


def test_quit_closes_after_the_reply(client):
    client.send(("SET", "a", "1"), ("QUIT",), ("SET", "a", "2"))
    assert client.read(2) == [b"OK", b"OK"]
    with pytest.raises((servers.ServerDied, ConnectionError)):
        client.read(1)


def test_wait_counts_no_replicas(client):
    client.call("SET", "a", "1")
    begin = time.monotonic()
    assert client.call("WAIT", "1", "100") == 0
    assert 0.09 < time.monotonic() - begin < 5
    assert client.call("WAIT", "0", "0") == 0


def test_waitaof_answers_from_the_disk(client):
    assert client.call("CLIENT", "DURABILITY", "memory") == b"OK"
    for i in range(20):
        client.call("SET", "a", str(i))
        assert client.call("WAITAOF", "1", "0", "0") == [1, 0]
    assert client.call("WAITAOF", "1", "1", "50") == [1, 0]
    assert client.call("WAITAOF", "2", "0", "0").startswith(
        b"ERR value is out of range")
    assert client.call("WAITAOF", "x", "0", "0").startswith(
        b"ERR value is not an integer")
    assert client.call("WAITAOF", "0", "-1", "0").startswith(
        b"ERR value is out of range, must be positive")
    assert client.call("WAITAOF", "0", "0", "-1") == \
        b"ERR timeout is negative"
