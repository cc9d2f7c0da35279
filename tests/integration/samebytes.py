"""The same requests to Walden and to redis-server, the replies compared byte
for byte.

A script is text, one request a line, split as a shell would and with Python's
escapes in double quotes.  A line may begin with a mark:

    ~   the reply is a number that depends on the clock: compare roughly
    ?   the reply is an array in any order
    !   for Walden only; nothing is compared
"""

import pathlib
import shlex
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

import resp  # noqa: E402
import servers  # noqa: E402

CLOCK_TOLERANCE = 500  # of a reply marked "~"

# How a script is run: protocol version, and whether everything is pushed out
# of Walden's memory before each request.
MODES = {"resp2": (2, False), "resp3": (3, False), "cold": (2, True)}


class Raw:
    """One connection that answers the exact bytes of a reply."""

    def __init__(self, port):
        self.connection = servers.Connection(port, timeout=20.0)

    def ask(self, *args):
        self.connection.sock.sendall(resp.encode(args))
        parser, data = resp.Parser(), b""
        while True:
            piece = self.connection.sock.recv(1 << 18)
            assert piece, f"hung up on {args[0]!r}"
            data += piece
            parser.feed(piece)
            if parser.take():
                return data

    def close(self):
        self.connection.close()


def parse(data):
    parser = resp.Parser()
    parser.feed(data)
    return parser.take()[0]


def split(line):
    """A line of a script to arguments (bytes)."""
    words = shlex.shlex(line, posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.commenters = ""
    words.escape = ""
    return [w.encode().decode("unicode_escape").encode("latin-1")
            for w in words]


class Twin:
    def __init__(self, walden_port, redis_port):
        self.walden, self.redis = Raw(walden_port), Raw(redis_port)
        self.is_cold = False

    def reset(self, version, is_cold):
        for side in (self.walden, self.redis):
            assert not side.ask("HELLO", version).startswith(b"-")
            side.ask("SELECT", "0")
            side.ask("FLUSHALL")
        self.is_cold = is_cold

    def same(self, *args, mark=""):
        """Ask both and insist on one answer; it is returned, parsed."""
        if self.is_cold:
            self.walden.ask("DEBUG", "FOLD")
            self.walden.ask("DEBUG", "EVICT")
        ours = self.walden.ask(*args)
        if mark == "!":
            return parse(ours)
        theirs = self.redis.ask(*args)
        a, b = parse(ours), parse(theirs)
        shown = " ".join(repr(x) for x in args)[:400]
        if mark == "~" and isinstance(a, int) and isinstance(b, int):
            assert abs(a - b) <= CLOCK_TOLERANCE, shown
        elif mark == "?" and isinstance(a, list) and isinstance(b, list):
            assert sorted(a) == sorted(b), shown
        else:
            assert ours[:2000] == theirs[:2000] and ours == theirs, shown
        return a

    def run(self, script):
        for line in script.strip().splitlines():
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            mark = line[0] if line[0] in "~?!" else ""
            self.same(*split(line[len(mark):]), mark=mark)

    def close(self):
        self.walden.close()
        self.redis.close()


@pytest.fixture(scope="session")
def twin_servers():
    walden = servers.Server(servers.WALDEN, {"enable-debug-command": "yes"})
    redis = servers.Server(servers.redis_server(),
                           {"save": "", "enable-debug-command": "yes"})
    with walden, redis:
        walden.start()
        redis.start()
        yield walden, redis


@pytest.fixture(params=sorted(MODES))
def twin(request, twin_servers):
    """A Twin on empty databases, in each of the modes."""
    pair = Twin(twin_servers[0].port, twin_servers[1].port)
    pair.reset(*MODES[request.param])
    yield pair
    pair.close()


@pytest.fixture
def plain_twin(twin_servers):
    """A Twin on empty databases, RESP2."""
    pair = Twin(twin_servers[0].port, twin_servers[1].port)
    pair.reset(*MODES["resp2"])
    yield pair
    pair.close()
