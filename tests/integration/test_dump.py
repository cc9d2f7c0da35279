"""DUMP and RESTORE, both ways between Walden and redis-server."""

import random
import struct

import pytest

LISTPACK, HASHTABLE = 40, 3000

# The forms that older versions of Redis wrote, and what is in them.  The
# bodies, without version and CRC.
OLD_FORMS = {
    "list, plain": (b"\x01\x03\x01a\xc0\x05\xc1\x00\x01",
                    [b"a", b"5", b"256"]),
    "hash, plain": (b"\x04\x01\x01f\xc2\x00\x00\x01\x00",
                    {b"f": b"65536"}),
}


def crc64(data):
    """CRC-64 "Jones", bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95ac9329ac4bc9b5 if crc & 1 else 0)
    return crc


def seal(body, version=10):
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def ziplist(*entries):
    """A ziplist of short strings."""
    data, previous, last = b"", 0, 10
    for entry in entries:
        last = 10 + len(data)
        encoded = bytes([previous, len(entry)]) + entry
        data += encoded
        previous = len(encoded)
    return struct.pack("<IIH", len(data) + 11, last, len(entries)) + data + \
        b"\xff"


def string(data):
    assert len(data) < 64
    return bytes([len(data)]) + data


OLD_FORMS["hash, zipmap"] = (
    b"\x09" + string(b"\x01\x01f\x02\x01vwx\xff"), {b"f": b"vw"})
OLD_FORMS["list, ziplist"] = (
    b"\x0a" + string(ziplist(b"a", b"", b"bcd")), [b"a", b"", b"bcd"])
OLD_FORMS["hash, ziplist"] = (
    b"\x0d" + string(ziplist(b"f", b"1", b"g", b"2")), {b"f": b"1", b"g": b"2"})
OLD_FORMS["list, quicklist"] = (
    b"\x0e\x02" + string(ziplist(b"a", b"b")) + string(ziplist(b"c")),
    [b"a", b"b", b"c"])


def state(connection, key):
    kind = connection.call("type", key)
    if kind == b"string":
        return connection.call("get", key)
    if kind == b"list":
        return connection.call("lrange", key, 0, -1)
    if kind == b"hash":
        flat = connection.call("hgetall", key)
        return dict(zip(flat[::2], flat[1::2]))
    return kind


@pytest.fixture
def both(walden, oracle):
    connections = walden.connect(), oracle.connect()
    yield connections
    for connection in connections:
        connection.close()


def values(rng):
    """Elements of every encoding that listpacks and strings know."""
    yield from (b"", b"0", b"-1", b"12", b"13", b"127", b"128", b"-128",
                b"4095", b"4096", b"-4097", b"32767", b"-32768", b"8388607",
                b"-8388608", b"2147483647", b"-2147483648", b"2147483648",
                b"9223372036854775807", b"-9223372036854775808",
                b"9223372036854775808", b"007", b"+1", b"a" * 63, b"b" * 64,
                b"c" * 4095, b"d" * 4096, b"e" * 16382, b"f" * 16384,
                b"g" * 70000, b"ab" * 5000, bytes(range(256)) * 3)
    for _ in range(100):
        yield rng.randbytes(rng.choice((1, 5, 30, 200, 5000)))
        yield b"%d" % rng.getrandbits(rng.randrange(1, 64))


def fill(connection, rng):
    """Keys of all types that can be dumped; answers their names."""
    everything = list(values(rng))
    requests = [("set", b"s:%d" % i, value)
                for i, value in enumerate(everything)]
    requests += [("rpush", b"list:one", value) for value in everything]
    requests += [("rpush", b"list:small", b"%d" % i) for i in range(20)]
    requests += [("rpush", b"list:long", b"%d" % rng.getrandbits(40))
                 for i in range(HASHTABLE)]
    requests += [("hset", b"hash:small", b"f%d" % i, b"%d" % (i * i * i))
                 for i in range(LISTPACK)]
    requests += [("hset", b"hash:large", b"field:%d" % i, b"v" * (i % 100))
                 for i in range(HASHTABLE)]
    requests += [("hset", b"hash:wide", value, value)
                 for value in everything]
    connection.pipeline(requests)
    return sorted({request[1] for request in requests})


def hand_over(source, target):
    for key in fill(source, random.Random(4)):
        payload = source.call("dump", key)
        assert target.call("restore", b"copy:" + key, 0, payload) == b"OK", key
        assert state(target, b"copy:" + key) == state(source, key), key
        if source.call("type", key) != b"list":  # 7.2 calls small ones so
            assert target.call("object", "encoding", b"copy:" + key) in (
                source.call("object", "encoding", key), b"raw", b"embstr")


def test_redis_restores_our_dump(both):
    hand_over(both[0], both[1])


def test_we_restore_redis_dump(both):
    hand_over(both[1], both[0])


def test_we_restore_our_dump_from_the_file(start):
    walden = start()
    with_memory = walden.connect()
    names = fill(with_memory, random.Random(5))
    with_memory.call("debug", "reload")
    for key in names:
        payload = with_memory.call("dump", key)
        with_memory.call("debug", "evict")
        assert with_memory.call("restore", key, 0, payload, "replace") == b"OK"
    before = {key: state(with_memory, key) for key in names}
    with_memory.call("debug", "reload")
    assert {key: state(with_memory, key) for key in names} == before


@pytest.mark.parametrize("form", sorted(OLD_FORMS))
def test_old_forms(both, form):
    body, expected = OLD_FORMS[form]
    for connection in both:
        assert connection.call("restore", "k", 0, seal(body, 6)) == b"OK"
        assert state(connection, "k") == expected


def errors(connection):
    """The replies to wrong requests."""
    connection.call("set", "taken", "1")
    good = connection.call("dump", "taken")
    bad_crc = good[:-1] + bytes([good[-1] ^ 1])
    text = "restore"
    requests = [
        (text,), (text, "k"), (text, "k", "0"), ("dump",), ("dump", "k", "k"),
        ("dump", "missing"),
        (text, "k", 0, b""), (text, "k", 0, b"short"), (text, "k", 0, bad_crc),
        (text, "k", 0, seal(b"\x00\x01a", 99)), (text, "k", "x", good),
        (text, "k", -1, good), (text, "taken", 0, good),
        (text, "taken", "x", good), (text, "taken", 0, bad_crc, "replace"),
        (text, "k", 0, good, "bogus"), (text, "k", 0, good, "freq"),
        (text, "k", 0, good, "freq", 256), (text, "k", 0, good, "freq", -2),
        (text, "k", 0, good, "idletime", -1),
        (text, "k", 0, good, "idletime", 1, "freq", 1),
        (text, "k", 0, good, "idletime", "x"),
        (text, "k", 0, seal(b"")), (text, "k", 0, seal(b"\x00")),
        (text, "k", 0, seal(b"\xfe")),
        (text, "k", 0, seal(b"\x01\x00")), (text, "k", 0, seal(b"\x04\x00")),
        (text, "k", 0, seal(b"\x10" + string(b"\x07\0\0\0\0\0\xff"))),
        (text, "k", 0, seal(b"\x12\x01\x03\x01a")),
        (text, "k", 0, good, "replace", "absttl", "idletime", 5),
        ("object", "idletime", "k"),
        (text, "taken", 1, good, "replace", "absttl"), ("exists", "taken"),
        (text, "k", 100000, good, "replace"), ("persist", "k"),
    ]
    return [(request, str(connection.call(*request))) for request in requests]


def test_errors(both):
    ours, theirs = errors(both[0]), errors(both[1])
    for ours_one, theirs_one in zip(ours, theirs):
        assert ours_one[1] == theirs_one[1], ours_one[0]


def test_damaged_payloads_change_nothing(client):
    """Whatever byte is wrong, with a CRC that is right."""
    rng = random.Random(6)
    client.call("rpush", "list", "a", "1", "b" * 100)
    client.call("set", "old", "value")
    body = b"\x12\x01\x02" + string(
        b"\x0f\0\0\0\x03\0\x81a\x02\x01\x01\x82bc\x03\xff"[:15])
    for _ in range(3000):
        damaged = bytearray(body)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        reply = client.call("restore", "old", 0, seal(bytes(damaged)),
                            "replace")
        if reply == b"OK":
            client.call("set", "old", "value")
        else:
            assert reply == b"ERR Bad data format", reply
            assert client.call("get", "old") == b"value"


@pytest.mark.parametrize("body", [
    b"\x00\x05abc",  # redis-server reads on into version and CRC
    b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\xc4", b"\x00\xff",
    b"\x01\x80\xff\xff\xff\xff\x01a", b"\x12\x01\x01", b"\x12\x81",
    b"\x04\x02\x01f\x01a\x01f\x01b"])  # one field twice: Redis looks away
def test_stricter_than_redis(client, body):
    reply = client.call("restore", "k", 0, seal(body))
    assert reply == b"ERR Bad data format"


def test_lzf_bomb_is_refused(client):
    """A few bytes that claim to unpack to four gigabytes."""
    body = b"\x00\xc3\x03\x80" + struct.pack(">I", 0xffffffff) + b"\xff\xff\x00"
    reply = client.call("restore", "k", 0, seal(body))
    assert reply == b"ERR Bad data format"


def test_blocked_client_is_served(walden, client):
    client.call("rpush", "source", "a", "b")
    payload = client.call("dump", "source")
    waiter = walden.connect()
    waiter.send(("blpop", "target", 10))
    while b"cmd=blpop" not in client.call("client", "list"):
        pass
    client.call("restore", "target", 0, payload)
    assert waiter.read(1)[0] == [b"target", b"a"]
    waiter.close()


def test_ttl(client):
    payload = None
    client.call("set", "a", "1")
    payload = client.call("dump", "a")
    client.call("restore", "b", 50000, payload)
    assert 40000 < client.call("pttl", "b") <= 50000
    at_ms = client.call("pexpiretime", "b")
    client.call("restore", "c", at_ms, payload, "absttl")
    assert client.call("pexpiretime", "c") == at_ms
    reply = client.call("restore", "d", 2 ** 63 - 1, payload)
    assert reply == b"ERR Invalid TTL value, must be >= 0"
    assert client.call("exists", "d") == 0
