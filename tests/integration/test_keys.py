"""Commands on keys of any type, compared with redis-server."""

import random

import pytest

from samebytes import parse, plain_twin, twin, twin_servers  # noqa: F401

SCRIPTS = {
    "del": r"""
        mset a 1 b 2 c 3
        del a
        del a b missing b
        exists c
        unlink c c
        unlink missing
        rpush list a b
        hset h f v
        del list h
        dbsize
        del
        unlink
    """,
    "exists": r"""
        exists missing
        mset a 1 b 2
        exists a b a missing
        touch a b a missing
        touch missing
        exists
        touch
        type a
        rpush list x
        type list
        hset h f v
        type h
        type missing
        type
        dbsize
    """,
    "rename": r"""
        rename missing x
        renamenx missing x
        rename missing missing
        set a 1 ex 100
        rename a b
        exists a
        get b
        ~ttl b
        rename b b
        renamenx b b
        set c 2
        renamenx b c
        rename b c
        get c
        ~ttl c
        renamenx c d
        get d
        rpush list 1 2 3
        rename list d
        type d
        lrange d 0 -1
        set s v
        rename s d
        get d
        dbsize
        rename a
    """,
    "move": r"""
        set a 1
        move a 0
        move a 16
        move a -1
        move a abc
        move a 99999999999
        move missing 1
        move a 1
        exists a
        select 1
        get a
        select 0
        set a 2
        move a 1
        get a
        set t v ex 100
        move t 1
        select 1
        ~ttl t
        rpush list 1 2
        move list 0
        dbsize
        select 0
        lrange list 0 -1
        dbsize
    """,
    "copy": r"""
        copy missing x
        set a hello ex 100
        copy a b
        get b
        ~ttl b
        copy a b
        set a other
        copy a b replace
        get b
        ttl b
        copy a a
        copy a a db 0
        copy a a db 1
        copy a a db 1
        copy a a db 1 replace
        copy a x db 16
        copy a x db abc
        copy a x db
        copy a x db 99999999999
        copy a x bogus
        copy a x REPLACE DB 2
        select 1
        get a
        dbsize
        select 2
        get x
        select 0
        rpush list 1 2 3
        copy list list2
        rpush list 4
        lrange list2 0 -1
        hset h f v g w
        copy h h2
        hset h f x
        hget h2 f
        copy h list2 replace
        type list2
        append a more
        copy a raw
        append raw x
        get a
        get raw
        set i 5
        copy i j
        incr j
        get i
        object encoding j
        copy a
    """,
    "all": r"""
        randomkey
        keys *
        dbsize
        set only 1
        randomkey
        keys *
        mset one 1 two 2 three 3 four 4 h?llo 5 hello 6 hallo 7
        ?keys *
        ?keys *o*
        ?keys t??
        ?keys h[ae]llo
        ?keys h[^e]llo
        ?keys h\\?llo
        ?keys [a-h]*
        ?keys nothing*
        keys one
        keys
        keys a b
        dbsize
        select 3
        keys *
        dbsize
        set x 1
        flushdb
        dbsize
        select 0
        dbsize
        flushdb sync
        dbsize
        set a 1
        select 3
        set b 1
        flushall async
        dbsize
        select 0
        dbsize
        flushall bogus
        flushdb sync async
        flushdb async extra
        FLUSHDB ASYNC
        flushall SYNC
    """,
    "swap": r"""
        set a 0
        select 1
        set b 1
        swapdb 0 1
        get a
        get b
        select 0
        get b
        swapdb 0 1
        get a
        swapdb 0 0
        swapdb 0 16
        swapdb -1 0
        swapdb a 0
        swapdb 0 b
        swapdb 99999999999 0
        swapdb 0
        select 5
        swapdb 5 6
        set z 1
        swapdb 6 5
        select 6
        get z
        select 0
    """,
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script(twin, name):  # noqa: F811
    twin.run(SCRIPTS[name])


def test_copy_and_rename_of_long_values(twin):  # noqa: F811
    value = bytes(range(256)) * 200
    twin.same("SET", "a", value)
    twin.same("COPY", "a", "b")
    twin.same("SETRANGE", "b", 20_000, "changed")
    twin.same("GET", "a")
    twin.same("GET", "b")
    twin.same("COPY", "b", "a", "REPLACE")
    twin.same("GET", "a")
    twin.same("DBSIZE")
    twin.same("RENAME", "a", "c")
    twin.same("GET", "c")
    twin.same("MOVE", "c", 4)
    twin.same("SELECT", 4)
    twin.same("GET", "c")
    twin.same("COPY", "c", "b", "DB", 0)
    twin.same("COPY", "c", "b", "DB", 0, "REPLACE")
    twin.same("SELECT", 0)
    twin.same("GET", "b")


def test_rename_keeps_collections(twin):  # noqa: F811
    twin.same("RPUSH", "l", *range(300))
    for i in range(200):
        twin.same("HSET", "h", f"field{i}", i)
    twin.same("RENAME", "l", "l2")
    twin.same("LPUSH", "l2", "first")
    twin.same("LRANGE", "l2", 0, -1)
    twin.same("MOVE", "h", 1)
    twin.same("SELECT", 1)
    twin.same("HLEN", "h")
    twin.same("HGET", "h", "field7")
    twin.same("DEL", "h")
    twin.same("DBSIZE")


def test_the_rows_of_the_command_table(plain_twin):  # noqa: F811
    """COMMAND INFO's facts; only what 7.2 changed may differ from 7.0."""
    names = ("set get getset getdel getex setnx setex psetex mget mset msetnx "
             "append strlen getrange setrange substr incr decr incrby decrby "
             "incrbyfloat lcs del unlink exists touch type rename renamenx "
             "move copy keys randomkey dbsize flushdb flushall swapdb scan "
             "expire pexpire expireat pexpireat ttl pttl expiretime "
             "pexpiretime persist sort sort_ro").split()
    for name in names:
        ours = plain_twin.same("COMMAND", "INFO", name, mark="!")[0]
        theirs = plain_twin.redis.ask("COMMAND", "INFO", name)
        theirs = parse(theirs)[0]
        assert ours is not None, name
        assert ours[:2] == theirs[:2], name
        assert set(ours[2]) == set(theirs[2]), name
        assert ours[3:6] == theirs[3:6], name
        assert set(ours[6]) == set(theirs[6]), name


def test_get_keys(plain_twin):  # noqa: F811
    plain_twin.run("""
        command getkeys get a
        command getkeys mset a 1 b 2
        command getkeys mget a b c
        command getkeys copy a b
        command getkeys rename a b
        command getkeys lcs a b len
        command getkeys set a b
        command getkeysandflags copy a b
        command getkeysandflags del a b
        command getkeysandflags mset a 1 b 2
    """)


KEYS = ["a", "b", "c", "d"]
FAR = [33177117420, 33177117421, 33177117422]  # seconds


def random_request(rng):
    """A request on keys; the time it takes does not show in the reply."""
    def key():
        return rng.choice(KEYS)

    def db():
        return rng.choice([0, 0, 1, 2, 3])

    return rng.choice([
        lambda: ["SET", key(), rng.choice(["1", "v" * 50, "w" * 20_000])],
        lambda: ["SET", key(), "t", "EXAT", rng.choice(FAR)],
        lambda: ["SET", key(), "t", "KEEPTTL"],
        lambda: ["RPUSH", key(), "x", "y"],
        lambda: ["LPOP", key()],
        lambda: ["HSET", key(), "f", rng.randrange(9)],
        lambda: ["HDEL", key(), "f"],
        lambda: ["APPEND", key(), "z" * rng.choice([1, 5000])],
        lambda: ["GET", key()],
        lambda: ["LRANGE", key(), 0, -1],
        lambda: ["HGETALL", key()],
        lambda: ["DEL", key(), key()],
        lambda: ["UNLINK", key()],
        lambda: ["EXISTS", *KEYS],
        lambda: ["TYPE", key()],
        lambda: ["RENAME", key(), key()],
        lambda: ["RENAMENX", key(), key()],
        lambda: ["MOVE", key(), db()],
        lambda: ["COPY", key(), key(), "DB", db()],
        lambda: ["COPY", key(), key(), "DB", db(), "REPLACE"],
        lambda: ["EXPIREAT", key(), rng.choice(FAR),
                 *rng.choice([[], ["NX"], ["XX"], ["GT"], ["LT"]])],
        lambda: ["PEXPIREAT", key(), 1],
        lambda: ["EXPIRETIME", key()],
        lambda: ["PERSIST", key()],
        lambda: ["GETEX", key(), "PXAT", rng.choice(FAR) * 1000],
        lambda: ["KEYS", "*"],
        lambda: ["DBSIZE"],
        lambda: ["SELECT", db()],
        lambda: ["SWAPDB", db(), db()],
        lambda: ["FLUSHDB"] if rng.random() < 0.1 else ["DBSIZE"],
        lambda: ["SORT", key(), "ALPHA", "STORE", key()],
    ])()


@pytest.mark.parametrize("seed", range(4))
def test_random_requests(twin, seed):  # noqa: F811
    rng = random.Random(seed)
    for _ in range(800):
        request = random_request(rng)
        twin.same(*request, mark="?" if request[0] == "KEYS" else "")
