"""The list commands that never wait, compared with redis-server."""

import pytest

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPTS = {
    "push and pop": r"""
        lpush l a b c
        rpush l d
        lrange l 0 -1
        llen l
        lpop l
        rpop l
        lpop l 0
        lpop l 5
        exists l
        lpop l
        rpop l
        lpop l 0
        rpop l 2
        llen l
        lpushx l a
        rpushx l a
        exists l
        rpush l 1 2 3 4 5
        rpop l 2
        lpop l 2
        lpushx l x y
        rpushx l z
        lrange l 0 -1
        LPUSH l ""
        lpop l
    """,
    "arguments of pop": r"""
        rpush l a
        lpop l -1
        lpop l x
        lpop l 1 2
        rpop l 99999999999999999999
        rpop l 9223372036854775807
        lpush l
        lpush
    """,
    "index and range": r"""
        rpush l a b c d e
        lindex l 0
        lindex l -1
        lindex l 4
        lindex l 5
        lindex l -6
        lindex l x
        lindex none x
        lindex none 0
        lrange l 1 3
        lrange l -2 -1
        lrange l -100 100
        lrange l 3 1
        lrange l 5 10
        lrange l 0 -6
        lrange l -9223372036854775808 9223372036854775807
        lrange l 9223372036854775807 -9223372036854775808
        lrange none 0 -1
        lrange none a b
        lrange l 0 x
    """,
    "set": r"""
        rpush l a b c
        lset l 0 a
        lset l -1 c
        lset l 3 x
        lset l -4 x
        lset l x x
        lset none x x
        lrange l 0 -1
    """,
    "insert": r"""
        rpush l a b c
        linsert l before a 0
        linsert l after c 9
        linsert l before c x
        linsert l after nothing x
        linsert l around a x
        linsert none before a x
        linsert none around a x
        lrange l 0 -1
    """,
    "trim": r"""
        rpush l 0 1 2 3 4 5 6 7 8 9
        ltrim l 1 -2
        lrange l 0 -1
        ltrim l 0 100
        lrange l 0 -1
        ltrim l -3 -1
        lrange l 0 -1
        ltrim l x 1
        ltrim none 0 1
        ltrim l 5 1
        exists l
    """,
    "remove": r"""
        rpush l a b a c a b a
        lrem l 2 a
        lrange l 0 -1
        lrem l -1 a
        lrange l 0 -1
        lrem l 0 b
        lrange l 0 -1
        lrem l 5 none
        lrem l x a
        lrem none 0 a
        lrem l -9223372036854775808 a
        lrem l 0 c
        exists l
    """,
    "position": r"""
        rpush l a b c 1 2 3 c c
        lpos l a
        lpos l c
        lpos l c rank 2
        lpos l c rank -1
        lpos l c rank -3
        lpos l c rank 4
        lpos l c count 0
        lpos l c count 2
        lpos l c count 1
        lpos l c rank -1 count 2
        lpos l c rank 2 count 0
        lpos l c count 0 maxlen 1
        lpos l c count 0 maxlen 3
        lpos l c maxlen 2
        lpos l c rank -1 maxlen 1
        lpos l b rank -1 maxlen 6
        lpos l none
        lpos l none count 0
        lpos none c
        lpos none c count 0
        lpos l c rank 0
        lpos l c rank x
        lpos l c count -1
        lpos l c count x
        lpos l c maxlen -1
        lpos l c foo 1
        lpos l c rank
        lpos l c rank 1 rank 2
    """,
    "move": r"""
        rpush l a b c
        lmove l m left right
        lmove l m right left
        lrange m 0 -1
        lmove l m left left
        exists l
        lmove l m left left
        rpoplpush l m
        rpoplpush m m
        lrange m 0 -1
        lmove m m left right
        lmove m m left left
        lmove m m right right
        lrange m 0 -1
        lmove m l up left
        lmove m l left up
        lmove m l left
        rpoplpush m n
        rpoplpush n n
        lrange n 0 -1
    """,
    "pop of several keys": r"""
        rpush l a b c d
        rpush m 1 2
        lmpop 1 l left
        lmpop 2 none l right count 2
        lmpop 3 none l m left count 10
        exists l
        lmpop 2 none l left
        lmpop 2 l m right count 10
        lmpop 1 none left count 10
        lmpop 0 l left
        lmpop -1 l left
        lmpop x l left
        lmpop 2 l left
        lmpop 1 l up
        lmpop 1 l left count 0
        lmpop 1 l left count x
        lmpop 1 l left count
        lmpop 1 l left count 1 count 2
        lmpop 1 l left foo 1
        lmpop 1 l left extra
        lmpop 9223372036854775807 l left
        lmpop 1 l
    """,
    "another type": r"""
        set s v
        rpush l a
        lpush s a
        rpushx s a
        lpop s
        lpop s 1
        lpop s 0
        llen s
        lindex s 0
        lindex s x
        lset s 0 x
        lset s x x
        linsert s before a b
        lrange s 0 -1
        lrange s a b
        ltrim s 0 1
        lrem s 0 a
        lpos s a
        lpos s a rank 0
        lmove s l left left
        lmove l s left left
        lmove none s left left
        rpoplpush l s
        lmpop 2 none s left
        lmpop 2 l s left
        lmpop 2 l s left
        blpop s 0
        blpop none s 0
        blmove s l left left 0
        blmpop 0 1 s left
        get s
        hset h a b
        rpush h x
    """,
    "expiry and lists": r"""
        rpush l a
        expire l 100
        rpush l b
        ~ttl l
        lpop l 2
        rpush l a
        ~ttl l
    """,
    "encodings": r"""
        rpush l a
        type l
    """,
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script(twin, name):  # noqa: F811
    twin.run(SCRIPTS[name])


def test_long_lists(twin):  # noqa: F811
    """Many nodes: both ends, the middle, and what leaves in stretches."""
    for start in range(0, 2000, 100):
        twin.same("RPUSH", "l", *range(start, start + 100))
    for start in (0, 1, 127, 128, 129, 999, 1000, 1998, 1999, 2000):
        twin.same("LINDEX", "l", start)
        twin.same("LINDEX", "l", -1 - start)
        twin.same("LRANGE", "l", start, start + 150)
        twin.same("LPOS", "l", start, "RANK", -1)
    for pivot in (0, 64, 128, 700, 1999):
        twin.same("LINSERT", "l", "BEFORE", pivot, f"before {pivot}")
        twin.same("LINSERT", "l", "AFTER", pivot, f"after {pivot}")
    twin.same("LSET", "l", 1234, "set")
    twin.same("LRANGE", "l", 0, -1)
    twin.same("LTRIM", "l", 300, -300)
    twin.same("LREM", "l", 0, "set")
    twin.same("LPOP", "l", 130)
    twin.same("RPOP", "l", 130)
    twin.same("LRANGE", "l", 0, -1)
    twin.same("LMPOP", 1, "l", "LEFT", "COUNT", 5000)
    twin.same("EXISTS", "l")


def test_insert_between_again_and_again(twin):  # noqa: F811
    """The gap between two positions is halved until none is left."""
    twin.same("RPUSH", "l", "first", "last")
    for i in range(60):
        twin.same("LINSERT", "l", "BEFORE", "last", i)
    for i in range(60):
        twin.same("LINSERT", "l", "AFTER", "first", -i)
    twin.same("LRANGE", "l", 0, -1)


def test_large_values(twin):  # noqa: F811
    sizes = (0, 1, 4095, 8192, 16384, 16385, 1000000)
    for i, size in enumerate(sizes):
        twin.same("RPUSH", "l", bytes([65 + i]) * size)
    for i in range(len(sizes)):
        twin.same("LINDEX", "l", i)
    twin.same("LMOVE", "l", "m", "RIGHT", "LEFT")
    twin.same("LPOS", "l", b"C" * 4095)
    twin.same("LRANGE", "l", 0, -1)
    twin.same("LPOP", "m")


def test_watch_sees_every_change(plain_twin):  # noqa: F811
    """Also LTRIM that removes nothing, as Redis has it; not LREM."""
    changes = ("LPUSH l x", "LSET l 0 a", "LTRIM l 0 -1", "LREM l 0 none",
               "LMOVE l l LEFT RIGHT", "RPOPLPUSH l m", "LPOP l 0", "LPOP l",
               "LINSERT l BEFORE none x", "LPUSHX none x")
    for change in changes:
        plain_twin.same("DEL", "l", "m")
        plain_twin.same("RPUSH", "l", "a", "b", "c")
        plain_twin.same("WATCH", "l", "m", "none")
        plain_twin.same(*change.split())
        plain_twin.same("MULTI")
        plain_twin.same("PING")
        plain_twin.same("EXEC")
