"""The hash commands, compared with redis-server."""

import pytest

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPTS = {
    "set and get": r"""
        hset h a 1 b 2
        hset h a 3 c 4
        hget h a
        hget h none
        hget none a
        hlen h
        hlen none
        hexists h a
        hexists h z
        hexists none a
        hstrlen h a
        hstrlen h z
        hstrlen none a
        hset h long 0123456789
        hstrlen h long
        hmget h a z b
        hmget none a b
        hmset h d 5 e 6
        ?hgetall h
        ?hkeys h
        ?hvals h
        ?hgetall none
        ?hkeys none
        ?hvals none
        HSET h "" empty
        HSET h e ""
        HGET h ""
        hget h e
        hstrlen h e
    """,
    "same field twice": r"""
        hset h a 1 a 2
        ?hgetall h
    """,
    "arguments of set": r"""
        hset h a
        hset h a b c
        hmset h a
        hmset h a b c
        hset
        hmget h
    """,
    "set if new": r"""
        hsetnx h a 1
        hsetnx h a 2
        hsetnx h b 2
        ?hgetall h
    """,
    "delete": r"""
        hset h a 1 b 2 c 3
        hdel h a z
        hdel h a
        hdel none a
        hdel h b c c
        exists h
        hdel h
    """,
    "integers": r"""
        hincrby h n 5
        hincrby h n -7
        hget h n
        hincrby h n x
        hincrby h n 1.5
        HSET h s x p " 1" big 9223372036854775807 small -9223372036854775808 e ""
        hincrby h s 1
        hincrby h p 1
        hincrby h e 1
        hincrby h big 1
        hincrby h small -1
        hincrby h big -9223372036854775808
        hincrby h big 0
        hincrby none n 9223372036854775808
        exists none
    """,
    "floats": r"""
        hincrbyfloat h f 10.5
        hincrbyfloat h f 0.1
        hincrbyfloat h f -5
        hincrbyfloat h f 5.0e3
        hincrbyfloat h f 1.0e-7
        hget h f
        hincrbyfloat h g 3
        hincrbyfloat h g 0
        hincrbyfloat h g x
        hincrbyfloat h g nan
        hincrbyfloat h g inf
        hincrbyfloat h g -inf
        hincrbyfloat h g 1e5000
        HINCRBYFLOAT h g ""
        HSET h s x e "" i inf sp " 1" bl "1 "
        hincrbyfloat h s 1
        hincrbyfloat h e 1
        hincrbyfloat h i 1
        hincrbyfloat h sp 1
        hincrbyfloat h bl 1
        hincrbyfloat none x y
        exists none
        hset h m 17179869184
        hincrbyfloat h m 1.1
        hincrbyfloat h n 1.23e30
        hincrby h n 1
    """,
    "random": r"""
        hset h a 1
        hrandfield h
        hrandfield h 1
        hrandfield h 5
        hrandfield h -3
        hrandfield h 0
        hrandfield h 1 withvalues
        hrandfield h 5 withvalues
        hrandfield h -2 withvalues
        hrandfield h 0 withvalues
        hrandfield none
        hrandfield none 1
        hrandfield none 1 withvalues
        hrandfield h x
        hrandfield h 1 foo
        hrandfield h 1 withvalues x
        hrandfield h 9223372036854775807
        hrandfield h -9223372036854775808
        hrandfield h 9223372036854775807 withvalues
        hrandfield h -9223372036854770000 withvalues
        hrandfield none x
    """,
    "scan": r"""
        hset h a 1
        hscan h 0
        hscan h 0 count 1
        hscan h 0 match a*
        hscan h 0 match *a count 100
        hscan h 0 match z
        hscan h 7
        hscan h -1
        hscan h x
        HSCAN h " 1"
        hscan h 1x
        HSCAN h ""
        hscan h 99999999999999999999999
        hscan h 18446744073709551615
        hscan h 0 count 0
        hscan h 0 count x
        hscan h 0 count
        hscan h 0 match
        hscan h 0 type string
        hscan h 0 novalues
        hscan none 0
        hscan none 0 count 0
        hscan none x
        hscan h
    """,
    "another type": r"""
        set s v
        hset s a 1
        hset s a
        hsetnx s a 1
        hmset s a 1
        hget s a
        hmget s a
        ?hgetall s
        ?hkeys s
        ?hvals s
        hlen s
        hexists s a
        hstrlen s a
        hdel s a
        hincrby s a 1
        hincrby s a x
        hincrbyfloat s a 1
        hincrbyfloat s a x
        hrandfield s
        hrandfield s 1
        hrandfield s 1 foo
        hscan s 0
        hscan s x
        hscan s 0 count 0
        rpush l a
        hset l a b
    """,
    "expiry": r"""
        hset h a 1
        expire h 100
        hset h b 2
        ~ttl h
        hdel h a b
        hset h a 1
        ~ttl h
    """,
    "encodings": r"""
        hset h a 1
        object encoding h
        HSET h b 0123456789012345678901234567890123456789012345678901234567890123
        object encoding h
        HSET h c 01234567890123456789012345678901234567890123456789012345678901234
        object encoding h
        hdel h c
        object encoding h
        hsetnx i a 1
        HSETNX i a 01234567890123456789012345678901234567890123456789012345678901234
        object encoding i
    """,
}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script(twin, name):  # noqa: F811
    twin.run(SCRIPTS[name])


def test_large_hash(twin):  # noqa: F811
    """Across the listpack's limit and back down."""
    twin.same("CONFIG", "SET", "hash-max-listpack-entries", 128)
    for start in range(0, 400, 50):
        pairs = [w for i in range(start, start + 50) for w in (f"f{i}", i)]
        twin.same("HSET", "h", *pairs)
        twin.same("OBJECT", "ENCODING", "h")
    twin.same("HGETALL", "h", mark="?")
    twin.same("HMGET", "h", *(f"f{i}" for i in range(0, 500, 7)))
    for i in range(0, 390, 30):
        twin.same("HDEL", "h", *(f"f{n}" for n in range(i, i + 30)))
    twin.same("HKEYS", "h", mark="?")
    twin.same("OBJECT", "ENCODING", "h")


def test_large_values(twin):  # noqa: F811
    for i, size in enumerate((0, 1, 64, 65, 4096, 16385, 1000000)):
        twin.same("HSET", "h", f"f{i}", bytes([65 + i]) * size)
        twin.same("HSTRLEN", "h", f"f{i}")
        twin.same("HGET", "h", f"f{i}")
    twin.same("HSET", "h", b"n" * 70000, "long field")
    twin.same("HGET", "h", b"n" * 70000)
    twin.same("HVALS", "h", mark="?")


def pairs_of(flat):
    return dict(zip(flat[::2], flat[1::2]))


def fill(ask, count):
    model = {b"f%d" % i: b"%d" % i for i in range(count)}
    for start in range(0, count, 100):
        part = [w for i in range(start, min(start + 100, count))
                for w in (f"f{i}", i)]
        ask("HSET", "h", *part)
    return model


@pytest.mark.parametrize("size", [1, 50, 2000])
def test_scan_visits_all(plain_twin, size):  # noqa: F811
    def ask(*args):
        return plain_twin.same(*args, mark="!")

    model = fill(ask, size)
    for options in ([], ["COUNT", 1], ["COUNT", 77], ["MATCH", "*1*"]):
        seen, cursor, calls = {}, b"0", 0
        while True:
            cursor, part = ask("HSCAN", "h", cursor, *options)
            seen.update(pairs_of(part))
            calls += 1
            if calls % 5 == 0:
                ask("DEBUG", "FOLD")
                ask("DEBUG", "EVICT")
            if cursor == b"0":
                break
        wanted = {f: v for f, v in model.items()
                  if "MATCH" not in options or b"1" in f}
        assert seen == wanted
        assert size > 50 or calls == 1


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_scan_while_it_changes(plain_twin, size):  # noqa: F811
    """What is there all the time is seen."""
    def ask(*args):
        return plain_twin.same(*args, mark="!")

    model = fill(ask, size)
    seen, cursor, step = {}, b"0", 0
    while True:
        cursor, part = ask("HSCAN", "h", cursor, "COUNT", 3)
        seen.update(pairs_of(part))
        for i in range(20):
            ask("HSET", "h", f"new{step}-{i}", "x")
        if step % 2:
            ask("HDEL", "h", *(f"new{step - 1}-{i}" for i in range(20)))
        step += 1
        if cursor == b"0" or step > 3000:
            break
    assert model.items() <= seen.items()


@pytest.mark.parametrize("size", [5, 100, 1000])
def test_random_fields(plain_twin, size):  # noqa: F811
    def ask(*args):
        return plain_twin.same(*args, mark="!")

    model = fill(ask, size)
    for count in {1, 2, size // 4, size // 3, size // 2, size - 1, size,
                  size + 10}:
        fields = ask("HRANDFIELD", "h", count)
        assert len(fields) == len(set(fields)) == min(count, size)
        assert set(fields) <= set(model)
        flat = ask("HRANDFIELD", "h", count, "WITHVALUES")
        assert len(flat) == 2 * min(count, size)
        assert pairs_of(flat).items() <= model.items()
        assert len(pairs_of(flat)) == min(count, size)
        flat = ask("HRANDFIELD", "h", -count, "WITHVALUES")
        assert len(flat) == 2 * count
        assert pairs_of(flat).items() <= model.items()


@pytest.mark.parametrize("count", [1, 3, 5, -5])
def test_random_fields_are_fair(plain_twin, count):  # noqa: F811
    """Each of ten fields about equally often."""
    def ask(*args):
        return plain_twin.same(*args, mark="!")

    model = fill(ask, 10)
    drawn = dict.fromkeys(model, 0)
    for _ in range(2000 // abs(count)):
        for field in ask("HRANDFIELD", "h", count):
            drawn[field] += 1
    assert min(drawn.values()) > 120 and max(drawn.values()) < 290


def test_watch_sees_every_change(plain_twin):  # noqa: F811
    for change in ("HSET h a 1", "HDEL h z", "HDEL h a", "HSETNX h a 2",
                   "HSETNX h n 2", "HINCRBY h a 0", "HINCRBY h a x",
                   "HINCRBYFLOAT h a 0"):
        plain_twin.same("DEL", "h")
        plain_twin.same("HSET", "h", "a", "1", "b", "2")
        plain_twin.same("WATCH", "h")
        plain_twin.same(*change.split())
        plain_twin.same("MULTI")
        plain_twin.same("PING")
        plain_twin.same("EXEC")
