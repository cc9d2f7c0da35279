"""INFO, MEMORY, CONFIG GET at start-up of clients and tools."""

import re
import time

import pytest

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    info nosuch
    info cluster
    info modules
    time x
    lastsave x
    bgsave foo
    bgsave schedule x
    shutdown foo
    shutdown abort
    shutdown save nosave
    shutdown nosave abort
    role
    replicaof no one
    slaveof no one
    acl whoami
    acl users
    acl cat
    acl cat foo
    memory usage nosuch
    memory usage nosuch samples
    memory usage nosuch samples -1
    memory usage nosuch samples a
    memory purge
    memory doctor
    memory foo
    config
    config foo
    config get
    config get appendonly
    config get nosuch
    config set
    config set foo bar
    config set foo
    config set a b c
    config rewrite
    config resetstat
"""

# Of Redis 7.0, not of 7.2 or without meaning here.
FIELDS_LEFT_OUT = re.compile(
    rb"used_memory_(vm|functions|scripts_eval)|number_of_(functions|libr)"
    rb"|atomicvar_api|reply_buffer_")


def sections(text):
    result, name = {}, None
    for line in text.splitlines():
        if line.startswith(b"# "):
            name = line[2:]
            result[name] = {}
        elif line:
            key, value = line.split(b":", 1)
            result[name][key] = value
    return result


def info(client, *words):
    return sections(client.call("INFO", *words))


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_has_redis_sections_and_fields(plain_twin):  # noqa: F811
    for words in ((), ("all",), ("everything",), ("default",),
                  ("server", "clients", "memory")):
        ours = sections(plain_twin.same("INFO", *words, mark="!"))
        theirs = sections(
            b"\r\n".join(plain_twin.redis.ask("INFO", *words)
                         .split(b"\r\n")[1:]))
        assert [s for s in ours if s not in (b"Storage", b"Bucket")] == \
            list(theirs)
        for name, fields in theirs.items():
            if name in (b"Commandstats", b"Latencystats", b"Errorstats",
                        b"Keyspace"):
                continue
            missing = [f for f in fields.keys() - ours[name].keys()
                       if not FIELDS_LEFT_OUT.match(f)]
            assert not missing, name


def test_what_clients_read(client):
    all_of_it = info(client)
    assert all_of_it[b"Server"][b"redis_version"].startswith(b"7.2.")
    assert all_of_it[b"Server"][b"redis_mode"] == b"standalone"
    assert len(all_of_it[b"Server"][b"run_id"]) == 40
    assert all_of_it[b"Persistence"][b"loading"] == b"0"
    assert all_of_it[b"Replication"][b"role"] == b"master"
    assert all_of_it[b"Memory"][b"maxmemory_policy"] == b"noeviction"
    assert int(all_of_it[b"Memory"][b"used_memory"]) > 0
    assert int(all_of_it[b"Memory"][b"used_memory_rss"]) > 0


def test_statistics(client):
    client.call("CONFIG", "RESETSTAT")
    for i in range(10):
        client.call("SET", f"k{i}", "1")
    client.call("GET", "k1")
    client.call("GET", "missing")
    client.call("EXPIRE", "k1", "1000")
    client.call("HSET", "k1", "a", "b")
    client.call("NOSUCH")
    seen = info(client, "everything")
    assert seen[b"Keyspace"][b"db0"].startswith(b"keys=10,expires=1,")
    stats = seen[b"Commandstats"]
    assert stats[b"cmdstat_set"].startswith(b"calls=10,")
    assert b"failed_calls=1" in stats[b"cmdstat_hset"]
    assert seen[b"Errorstats"][b"errorstat_WRONGTYPE"] == b"count=1"
    assert seen[b"Errorstats"][b"errorstat_ERR"] == b"count=1"
    assert seen[b"Stats"][b"keyspace_hits"] == b"1"
    assert seen[b"Stats"][b"keyspace_misses"] == b"1"
    assert b"latency_percentiles_usec_set" in seen[b"Latencystats"]
    storage = seen[b"Storage"]
    assert int(storage[b"durable_seq"]) >= 10
    assert int(storage[b"commits"]) >= 10
    assert storage[b"durability"] == b"disk"
    assert storage[b"storage_status"] == b"ok"
    client.call("CONFIG", "RESETSTAT")
    assert b"cmdstat_set" not in info(client, "all")[b"Commandstats"]


def test_save_brings_the_tables_level(client):
    client.call("SET", "a", "1")
    assert client.call("SAVE") == b"OK"
    storage = info(client, "storage")[b"Storage"]
    assert storage[b"folded_seq"] == storage[b"durable_seq"]
    assert storage[b"journal_rows"] == b"0"
    assert info(client)[b"Persistence"][b"rdb_changes_since_last_save"] == b"0"
    assert client.call("BGSAVE") == b"Background saving started"
    assert client.call("BGREWRITEAOF") == \
        b"Background append only file rewriting started"
    assert client.call("MULTI") == b"OK"
    assert client.call("SAVE").startswith(b"ERR Command not allowed inside")


def test_memory(client):
    client.call("SET", "a", "x" * 1000)
    assert client.call("MEMORY", "USAGE", "a") > 1000
    assert client.call("MEMORY", "USAGE", "a", "SAMPLES", "0") > 1000
    stats = client.call("MEMORY", "STATS")
    stats = dict(zip(stats[::2], stats[1::2]))
    assert stats[b"keys.count"] == 1
    assert stats[b"total.allocated"] > 0
    assert client.call("MEMORY", "MALLOC-STATS")


def test_config_get_takes_many_patterns(client):
    reply = client.call("CONFIG", "GET", "maxmemory*", "save", "maxmemory")
    names = reply[::2]
    assert len(names) == len(set(names))
    assert {b"maxmemory", b"maxmemory-policy", b"save"} <= set(names)


@pytest.mark.parametrize("name,value", [
    ("maxmemory", "abc"), ("hz", "abc"), ("maxmemory-policy", "foo"),
    ("slowlog-max-len", "-5"), ("databases", "5"), ("port", "99999999")])
def test_config_set_refuses(plain_twin, name, value):  # noqa: F811
    plain_twin.same("CONFIG", "SET", name, value)


def figures(client, section):
    text = client.call("INFO", section)
    return {name: value for found in sections(text).values()
            for name, value in found.items()}


def test_rates_after_resetstat(client):
    """What is counted from 0 again is no rate of 2^64 a second."""
    for _ in range(2000):
        client.call("PING")
    assert client.call("CONFIG", "RESETSTAT") == b"OK"
    time.sleep(0.5)
    found = figures(client, "stats")
    for name in (b"instantaneous_ops_per_sec", b"instantaneous_input_kbps",
                 b"instantaneous_output_kbps"):
        assert 0 <= float(found[name]) < 1e6


def test_who_watches_and_who_waits_is_counted(walden):
    client, watcher, waiter = (walden.connect() for _ in range(3))
    watcher.call("WATCH", "a", "b")
    waiter.send(("BLPOP", "a", "c", "d", "100"))
    deadline = time.monotonic() + 10
    while figures(client, "clients")[b"blocked_clients"] != b"1":
        assert time.monotonic() < deadline
    found = figures(client, "clients")
    assert found[b"watching_clients"] == b"1"
    assert found[b"total_watched_keys"] == b"2"
    assert found[b"total_blocking_keys"] == b"3"
    assert found[b"clients_in_timeout_table"] == b"1"
    watcher.call("UNWATCH")
    waiter.close()
    deadline = time.monotonic() + 10
    while figures(client, "clients")[b"blocked_clients"] != b"0":
        assert time.monotonic() < deadline
    found = figures(client, "clients")
    for name in (b"watching_clients", b"total_watched_keys",
                 b"total_blocking_keys", b"clients_in_timeout_table"):
        assert found[name] == b"0"


def test_who_is_paused_is_blocked(walden):
    client, writer, reader = (walden.connect() for _ in range(3))
    client.call("CLIENT", "PAUSE", "60000", "WRITE")
    assert reader.call("GET", "a") is None
    writer.send(("SET", "a", "1"))
    deadline = time.monotonic() + 10
    while figures(client, "clients")[b"blocked_clients"] != b"1":
        assert time.monotonic() < deadline
    client.call("CLIENT", "UNPAUSE")
    assert writer.read(1) == [b"OK"]
    assert figures(client, "clients")[b"blocked_clients"] == b"0"


def test_where_it_listens(start, tmp_path):
    server = start(bind=["127.0.0.1", "-::1"], unixsocket=tmp_path / "w.sock")
    found = figures(server.connect(), "server")
    tcp = found[b"listener0"].split(b",")
    assert tcp[0] == b"name=tcp" and tcp[1] == b"bind=127.0.0.1"
    assert tcp[-1] == b"port=%d" % server.port
    assert found[b"listener1"] == b"name=unix,bind=%b" % (
        str(tmp_path / "w.sock").encode())


def test_reads_and_writes_are_counted(client):
    before = figures(client, "stats")
    for _ in range(10):
        client.call("PING")
    after = figures(client, "stats")
    for name in (b"total_reads_processed", b"total_writes_processed"):
        assert 11 <= int(after[name]) - int(before[name]) <= 12
