"""Commands that wait for a list, compared with redis-server: who gets what.

A script is text, one step a line: "who: request | request ...".  A step is
over when its client has an answer or is seen to wait; then the next begins.
At the end each client must have got the same bytes from both servers.
Besides requests there are

    unblock WHO [TIMEOUT|ERROR]   CLIENT UNBLOCK with that client's id
    hang up                       the connection is closed
    expect WHO                    wait until that client has an answer
"""

import select
import shlex
import time

import pytest

from samebytes import Raw, resp, twin_servers  # noqa: F401

PATIENCE_S = 10.0

SCRIPTS = {
    "simple": """
        A: blpop l 0
        B: rpush l x
        B: exists l
        A: brpop l 0
        B: rpush l 1 2 3
        B: lrange l 0 -1
        A: blpop l 0
        A: blpop l m 0
        A: blmpop 0 2 l m left count 10
        B: lpush m 1 2 3
        B: lrange m 0 -1
    """,
    "fairness": """
        A: blpop l 0
        B: brpop l 0
        C: blpop l m 0
        D: blmove l n left right 0
        E: rpush l 1
        E: rpush l 2 3 4 5 6
        E: lrange l 0 -1
        E: lrange n 0 -1
    """,
    "two clients two keys in multi": """
        A: blpop a 0
        B: blpop b 0
        C: multi
        C: lpush b 1
        C: lpush a 2
        C: exec
    """,
    "push then del in multi does not wake": """
        A: blpop l 0
        B: multi
        B: lpush l a
        B: del l
        B: exec
        B: lpush l b
    """,
    "push del push": """
        A: blpop l 0
        B: multi
        B: lpush l a
        B: del l
        B: lpush l b
        B: exec
    """,
    "push del set does not wake": """
        A: blpop l 0
        B: multi
        B: lpush l a
        B: del l
        B: set l foo
        B: exec
        B: del l
        B: lpush l b
    """,
    "wrong type does not wake": """
        A: blpop l 0
        B: set l x
        B: del l
        B: hset l f v
        B: del l
        B: lpush l y
    """,
    "same key twice": """
        A: blpop l m l 0
        B: lpush l a b c
        B: lrange l 0 -1
    """,
    "blmove chain": """
        A: brpoplpush a b 0
        B: brpoplpush b c 0
        C: blmove c d left left 0
        E: rpush a x
        E: lrange d 0 -1
        E: exists a b c
    """,
    "circular": """
        A: brpoplpush a b 0
        B: brpoplpush b a 0
        E: rpush a x
        E: lrange a 0 -1
        E: lrange b 0 -1
    """,
    "self": """
        A: brpoplpush a a 0
        E: rpush a x y
        E: lrange a 0 -1
    """,
    "blmove destination wrong type": """
        A: blmove a b left right 0
        E: set b x
        E: rpush a 1
        E: lrange a 0 -1
        A: blmove a b left right 0
    """,
    "blmove dest wrong at once missing source": """
        E: set b x
        A: blmove a b left right 0
        E: rpush a 1
    """,
    "linked lmove and blpop": """
        A: blpop t 0
        E: rpush s 1 2
        E: lmove s t left left
        E: lrange s 0 -1
        E: exists t
    """,
    "blpop and blmove with value pushed to dest blocked": """
        A: blpop t 0
        B: blmove s t left right 0
        E: rpush s v
    """,
    "rename wakes": """
        A: blpop t 0
        E: rpush s 1 2
        E: rename s t
        E: lrange t 0 -1
    """,
    "copy wakes": """
        A: blpop t 0
        E: rpush s 1 2
        E: copy s t
        E: lrange t 0 -1
    """,
    "move wakes": """
        A: select 1
        A: blpop s 0
        E: rpush s 1 2
        E: move s 1
        E: select 1
        E: lrange s 0 -1
    """,
    "other db does not wake": """
        A: select 1
        A: blpop s 0
        E: rpush s 1 2
        E: select 1
        E: rpush s 3
    """,
    "swapdb wakes": """
        A: select 1
        A: blpop s 0
        E: rpush s 1 2
        E: swapdb 0 1
        E: select 1
        E: lrange s 0 -1
    """,
    "in multi": """
        A: multi
        A: blpop l 0
        A: brpop l 0
        A: blmove l m left left 0
        A: brpoplpush l m 0
        A: blmpop 0 1 l left
        A: rpush l 1 2 3
        A: blpop l 0
        A: blmove l m left left 0
        A: brpoplpush l l 0
        A: blmpop 0 1 l left
        A: exec
    """,
    "timeouts": """
        A: blpop l 0.2
        E: expect A
        A: brpop l 0.2
        E: expect A
        A: blmove l m left left 0.2
        E: expect A
        A: brpoplpush l m 0.2
        E: expect A
        A: blmpop 0.2 1 l left
        E: expect A
    """,
    "client unblock": """
        A: blpop l 0
        E: unblock A
        A: blpop l 0
        E: unblock A TIMEOUT
        A: blmove l m left left 0
        E: unblock A TIMEOUT
        A: blmpop 0 1 l left
        E: unblock A ERROR
        E: unblock A ERROR
        E: rpush l a
        E: lrange l 0 -1
    """,
    "unblock keeps the place of others": """
        A: blpop l 0
        B: blpop l 0
        C: blpop l 0
        E: unblock A
        E: rpush l 1 2
    """,
    "pipelined behind a block": """
        A: blpop l 0 | ping | lpush r x
        E: exists r
        E: rpush l a
        E: exists r
    """,
    "served clients pipelined": """
        A: blpop l 0 | blpop l 0
        E: rpush l a b
    """,
    "served client pushes again": """
        A: blpop l 0 | rpush l z
        B: blpop l 0
        E: rpush l a
    """,
    "insert variants": """
        A: blpop l 0
        E: lpushx l a
        E: rpushx l a
        E: linsert l before a b
        E: lpush l a
    """,
    "flushall": """
        A: blpop l 0
        E: flushall
        E: rpush l a
    """,
    "expired while blocked": """
        A: blpop l 0
        E: multi
        E: rpush l a
        E: pexpireat l 1
        E: exec
        E: rpush l b
    """,
    "disconnected client is skipped": """
        A: blpop l 0
        B: blpop l 0
        A: hang up
        E: rpush l x y
        E: lrange l 0 -1
    """,
    "errors": """
        A: blpop l -1
        A: blpop l x
        A: blpop l nan
        A: blmove l m left right -1
        A: blmove l m left right x
        A: blmove l m up right x
        A: brpoplpush l m x
        A: blmpop x 1 l left
        A: blmpop -1 1 l left
        A: blmpop 0 0 l left
        A: blmpop x 0 l left
        A: blmpop 0 2 l left
        A: blmpop 0 1 l left count 0
        A: blpop l
        A: blmpop 0 1 l
    """,
    "blmpop": """
        A: blmpop 0 2 a b right count 2
        B: blmpop 0 2 b a left
        E: rpush b 1 2 3 4
        E: lrange b 0 -1
    """,
}


class Client:
    def __init__(self, port, version):
        self.raw = Raw(port)
        assert not self.raw.ask("HELLO", version).startswith(b"-")
        self.sock = self.raw.connection.sock
        self.id = self.raw.ask("CLIENT", "ID")[1:-2].decode()
        self.got = b""
        self.expected = 0  # requests sent

    def send(self, requests):
        self.expected += len(requests)
        self.sock.sendall(b"".join(resp.encode(args) for args in requests))

    def gather(self, patience_s):
        """Take what has arrived, waiting for the first of it."""
        while select.select([self.sock], [], [], patience_s)[0]:
            data = self.sock.recv(1 << 16)
            assert data, "hung up"
            self.got += data
            patience_s = 0

    def answers(self):
        parser = resp.Parser()
        parser.feed(self.got)
        return len(parser.take())


class Stage:
    """The clients of one script on one server."""

    def __init__(self, port, version):
        self.port, self.version = port, version
        self.clients = {}
        self.control = Raw(port)
        self.control.ask("FLUSHALL")

    def is_waiting(self, client):
        line = self.control.ask("CLIENT", "LIST", "ID", client.id)
        return b" flags=b" in line

    def settle(self, client):
        """Until client has all its answers or waits."""
        until = time.monotonic() + PATIENCE_S
        while client.answers() < client.expected:
            client.gather(0.002)
            if client.answers() < client.expected and self.is_waiting(client):
                return
            assert time.monotonic() < until, "neither an answer nor a wait"

    def expect(self, client):
        until = time.monotonic() + PATIENCE_S
        while client.answers() < client.expected:
            client.gather(0.01)
            assert time.monotonic() < until, "no answer"

    def step(self, line):
        name, text = (part.strip() for part in line.split(":", 1))
        if name not in self.clients:
            self.clients[name] = Client(self.port, self.version)
        client = self.clients[name]
        words = shlex.split(text)
        if text == "hang up":
            client.raw.close()
            del self.clients[name]
            until = time.monotonic() + PATIENCE_S
            while self.control.ask("CLIENT", "LIST", "ID", client.id) not in (
                    b"$0\r\n\r\n", b"=4\r\ntxt:\r\n"):
                assert time.monotonic() < until
        elif words[0] == "expect":
            self.expect(self.clients[words[1]])
        else:
            if words[0] == "unblock":
                words = ["CLIENT", "UNBLOCK", self.clients[words[1]].id,
                         *words[2:]]
                client.send([words])
            else:
                client.send([shlex.split(part) for part in text.split("|")])
            self.settle(client)

    def play(self, script):
        for line in script.strip().splitlines():
            self.step(line)

    def close(self):
        for client in self.clients.values():
            client.raw.close()
        self.control.close()


def gather_same(stages):
    """What each client got; waits for a late answer on either side."""
    until = time.monotonic() + PATIENCE_S
    while True:
        for stage in stages:
            for client in stage.clients.values():
                client.gather(0.005)
        got = [{name: client.got for name, client in stage.clients.items()}
               for stage in stages]
        if time.monotonic() > until or all(
                len(got[0][name]) == len(got[1][name]) for name in got[0]):
            return got


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script(twin_servers, name, version):  # noqa: F811
    stages = [Stage(server.port, version) for server in twin_servers]
    try:
        for stage in stages:
            stage.play(SCRIPTS[name])
        ours, theirs = gather_same(stages)
        assert ours == theirs
    finally:
        for stage in stages:
            stage.close()


def play_alone(port, script):
    stage = Stage(port, 2)
    try:
        stage.play(script)
        for client in stage.clients.values():
            client.gather(0.05)
        return {name: client.got for name, client in stage.clients.items()}
    finally:
        stage.close()


def test_request_runs_anew_when_served(twin_servers):  # noqa: F811
    """Redis 7.2 runs the whole request again, and looks at its keys in the
    order of its arguments; 7.0 took the key that became ready."""
    got = play_alone(twin_servers[0].port, """
        A: blpop a b c 0
        B: multi
        B: rpush c 1
        B: rpush b 2
        B: rpush a 3
        B: exec
        A: expect A
        B: lrange c 0 -1
    """)
    assert got["A"] == b"*2\r\n$1\r\na\r\n$1\r\n3\r\n"
    assert got["B"].endswith(b"*1\r\n$1\r\n1\r\n")


def test_key_of_another_type_when_served(twin_servers):  # noqa: F811
    """As test_request_runs_anew_when_served: a key retyped meanwhile."""
    got = play_alone(twin_servers[0].port, """
        A: blpop a b 0
        B: set a x
        B: rpush b 1
        A: expect A
        B: lrange b 0 -1
    """)
    assert got["A"].startswith(b"-WRONGTYPE ")
    assert got["B"].endswith(b"*1\r\n$1\r\n1\r\n")
