"""A whole database as a value, for comparing with a model or another server."""

READERS = {
    b"string": lambda name: ("GET", name),
    b"list": lambda name: ("LRANGE", name, 0, -1),
    b"hash": lambda name: ("HGETALL", name),
}


def names(connection, count=1000):
    """All names of the selected database, sorted."""
    found = set()
    cursor = b"0"
    while True:
        cursor, part = connection.call("SCAN", cursor, "COUNT", count)
        found.update(part)
        if cursor == b"0":
            return sorted(found)


def read_database(connection, db):
    """{name: (value, expire_at_ms)}; value is bytes, list or dict."""
    connection.call("SELECT", db)
    kept = []
    requests = []
    every = names(connection)
    types = connection.pipeline([("TYPE", name) for name in every])
    for name, kind in zip(every, types):
        if kind == b"none":  # expired meanwhile
            continue
        kept.append((name, bytes(kind)))
        requests += [READERS[bytes(kind)](name), ("PEXPIRETIME", name)]
    replies = connection.pipeline(requests)
    state = {}
    for (name, kind), value, at in zip(kept, replies[::2], replies[1::2]):
        if at == -2 or value is None:
            continue
        if kind == b"hash":
            value = dict(zip(value[::2], value[1::2]))
        state[name] = (value, at)
    return state


def difference(expected, found, tolerance_ms=0):
    """The first difference of two such values, in words; None: none."""
    for name in sorted(set(expected) | set(found)):
        want, have = expected.get(name), found.get(name)
        if want == have:
            continue
        if (want is not None and have is not None and want[0] == have[0]
                and min(want[1], have[1]) >= 0
                and abs(want[1] - have[1]) <= tolerance_ms):
            continue
        return f"{name!r}: expected {brief(want)}, found {brief(have)}"
    return None


def brief(entry):
    text = repr(entry)
    return text if len(text) < 160 else f"{text[:110]}...({len(text)})"
