"""COMMAND, compared with redis-server row by row."""

import subprocess

from samebytes import Raw, parse, plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    command foo
    command info nosuch
    command docs nosuch
    command list filterby
    command list filterby foo bar
    command list filterby module foo
    command list filterby aclcat foo
    command list filterby pattern xyz*
    command getkeys get a
    command getkeys foo a
    command getkeys ping a
    command getkeys mset a b c d
    command getkeys lmpop 2 a b left
    command getkeys lmpop x a b left
    command getkeys object encoding x
    command getkeysandflags mset a b c d
    command getkeysandflags get a
    command getkeysandflags set a b
    command getkeysandflags set a b ex 10 GET
    command getkeysandflags set get get
    command getkeysandflags lmove a b left right
    command getkeys sort a
    command getkeys sort a by b get c store d
    command getkeys sort a store x limit 0 store get store y desc
    command getkeys sort a store
    command getkeys sort a get store
    command getkeysandflags sort a store b
    command getkeys sort_ro a by b
    command info sort_ro|x
"""

# Where 7.2 differs from the 7.0 that is asked.
ROWS_NEWER = {b"command|getkeys": {"arity"},
              b"command|getkeysandflags": {"arity"},
              b"wait": {"flags", "acl"}}
ARGUMENTS_NEWER = {b"client|kill", b"client|list", b"command|getkeys",
                   b"command|getkeysandflags",
                   b"config|get"}  # there a block of one argument
FIELDS = ["name", "arity", "flags", "first", "last", "step", "acl"]
BLOCKING_SCRIPTABLE = {b"blmove", b"blpop", b"brpop", b"brpoplpush",
                       b"blmpop"}


def rows(reply, found=None):
    found = {} if found is None else found
    for row in reply:
        found[bytes(row[0])] = row
        rows(row[9], found)
    return found


def plain(value):
    return sorted(value) if isinstance(value, list) else value


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_list_has_subcommands(plain_twin):  # noqa: F811
    ours = set(parse(plain_twin.walden.ask("COMMAND", "LIST")))
    theirs = set(parse(plain_twin.redis.ask("COMMAND", "LIST")))
    assert {b"get", b"client", b"client|list", b"config|get"} <= ours & theirs
    assert ours == set(rows(parse(plain_twin.walden.ask("COMMAND"))))


def test_every_row_is_redis_row(plain_twin):  # noqa: F811
    ours = rows(parse(plain_twin.walden.ask("COMMAND")))
    theirs = rows(parse(plain_twin.redis.ask("COMMAND")))
    for name in ours.keys() & theirs.keys():
        for at, field in enumerate(FIELDS):
            if field in ROWS_NEWER.get(name, ()):
                continue
            a, b = plain(ours[name][at]), plain(theirs[name][at])
            if name in BLOCKING_SCRIPTABLE and field == "flags":
                b = [flag for flag in b if flag != b"noscript"]
            assert a == b, (name, field)


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2]))


def shape(args):
    """Types, tokens, flags and nesting; names are free."""
    result = []
    for one in map(pairs, args):
        result.append((one[b"type"], one.get(b"token"),
                       sorted(one.get(b"flags", [])),
                       shape(one.get(b"arguments", []))))
    return result


def all_docs(side):
    """By full name; subcommands as what contains them."""
    found, reply = {}, parse(side.ask("COMMAND", "DOCS"))
    todo = [pairs(reply)]
    while todo:
        for name, doc in todo.pop().items():
            found[name] = doc = pairs(doc)
            todo.append(pairs(doc.get(b"subcommands", [])))
    return found


# "history" is left out on purpose: no client reads it, and it would be most of
# some rows.
DOCS_FIELDS = [b"since", b"group", b"complexity", b"doc_flags",
               b"deprecated_since", b"replaced_by"]


def test_every_row_is_documented_as_in_redis(plain_twin):  # noqa: F811
    ours, theirs = all_docs(plain_twin.walden), all_docs(plain_twin.redis)
    common = ours.keys() & theirs.keys()
    assert len(common) > 150
    for name in common:
        for field in DOCS_FIELDS:
            a, b = ours[name].get(field), theirs[name].get(field)
            if field == b"complexity" and b is not None:
                b = b.replace(b"..", b".")
            assert a == b, (name, field)


def test_arguments_have_redis_shape(plain_twin):  # noqa: F811
    ours, theirs = all_docs(plain_twin.walden), all_docs(plain_twin.redis)
    for name in ours.keys() & theirs.keys() - ARGUMENTS_NEWER:
        assert shape(ours[name].get(b"arguments", [])) == \
            shape(theirs[name].get(b"arguments", [])), name


def test_docs_of_everything(client):
    docs = pairs(client.call("COMMAND", "DOCS"))
    assert len(docs) == client.call("COMMAND", "COUNT")
    listed = client.call("COMMAND", "LIST")
    assert set(docs) == {name for name in listed if b"|" not in name}
    for name, doc in docs.items():
        doc = pairs(doc)
        assert doc[b"summary"] and doc[b"since"] and doc[b"group"], name
    assert b"client|kill" in pairs(pairs(docs[b"client"])[b"subcommands"])


def test_list_filters(client):
    assert sorted(client.call("COMMAND", "LIST", "FILTERBY", "PATTERN",
                              "ge*")) == [b"get", b"getbit", b"getdel", b"getex",
                                          b"getrange", b"getset"]
    assert b"hget" in client.call(
        "COMMAND", "LIST", "FILTERBY", "ACLCAT", "hash")


def test_redis_cli_reads_the_docs(walden):
    out = subprocess.run(
        ["redis-cli", "-p", str(walden.port)], input="help set\n",
        env={"FAKETTY": "1", "TERM": "dumb", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=20, check=True).stdout
    assert "key value [NX|XX] [GET] [EX seconds|PX milliseconds|" in out
