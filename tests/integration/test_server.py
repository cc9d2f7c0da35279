"""Connections, protocol errors, limits, the gate, and waiting clients."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

import conftest
import resp
import servers


def raw(server, data, wait=0.3, half_close=False):
    """Send bytes, answer all that comes until the server is quiet."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        sock.settimeout(wait)
        answer = b""
        try:
            while piece := sock.recv(65536):
                answer += piece
        except TimeoutError:
            pass
        return answer


RAW = {
    "unknown": b"foo a b\r\n",
    "unknown with long arguments": b"foo " + b"x" * 300 + b" y\r\n",
    "unknown with newline": b"*2\r\n$3\r\nf\no\r\n$1\r\na\r\n",
    "arity": b"set x\r\nget\r\nget a b\r\n",
    "subcommand": b"config foo\r\nclient\r\nconfig get\r\n",
    "multibulk": b"*x\r\n",
    "multibulk too many": b"*2147483648\r\n",
    "bulk": b"*1\r\n$x\r\n",
    "bulk negative": b"*1\r\n$-5\r\n",
    "no dollar": b"*1\r\nfoo\r\n",
    "quotes": b"set \"x\r\n",
    "inline empty": b"\r\n\r\nping\r\n",
    "upper case": b"PING\r\npInG\r\n",
    "empty array": b"*0\r\n*-1\r\nping\r\n",
    "pipeline": b"set a 1\r\nget a\r\nincr a\r\nping\r\nget nope\r\n",
    "quit": b"ping\r\nquit\r\nping\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_raw_as_redis(walden, oracle, name):
    assert raw(walden, RAW[name]) == raw(oracle, RAW[name])


def test_replies_of_a_half_closed_client(walden):
    """Somebody who sends and shuts down his side still gets his replies."""
    assert raw(walden, b"set a 1\r\nget a\r\n", half_close=True) == \
        b"+OK\r\n$1\r\n1\r\n"


def test_r2_order_in_a_pipeline(client):
    """R2: reads that wait for nothing do not overtake held replies."""
    requests = []
    for i in range(500):
        requests += [("set", f"k{i}", str(i)), ("ping",), ("get", f"k{i}")]
    replies = client.pipeline(requests)
    assert replies == [x for i in range(500)
                       for x in (b"OK", b"PONG", str(i).encode())]


def test_r1_acknowledged_is_on_disk(start):
    """R1: kill right after the reply; the write is there."""
    server = start()
    for i in range(10):
        connection = server.connect()
        assert connection.call("set", "n", str(i)) == b"OK"
        server.kill()
        server.start()
        assert server.connect().call("get", "n") == str(i).encode()


def test_r3_held_replies_are_bounded(start):
    """R3: a flood of large replies behind writes is answered in full."""
    server = start(held_replies_max="1mb")
    connection = server.connect()
    connection.call("set", "big", "x" * 100_000)
    requests = []
    for i in range(300):
        requests += [("set", "k", str(i)), ("get", "big")]
    answers = []
    sender = threading.Thread(target=connection.send, args=requests)
    sender.start()
    answers = connection.read(len(requests))
    sender.join()
    assert all(len(x) == 100_000 for x in answers[1::2])


def test_large_values(client):
    value = os.urandom(3_000_000).hex().encode()
    assert client.call("set", "v", value) == b"OK"
    assert client.call("get", "v") == value


def test_bulk_limit(start):
    server = start(proto_max_bulk_len="1mb")
    answer = raw(server, b"*2\r\n$3\r\nGET\r\n$2000000\r\n")
    assert answer == b"-ERR Protocol error: invalid bulk length\r\n"


def test_query_limit(start):
    server = start(client_query_buffer_limit="1mb")
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(10)
        with pytest.raises(OSError):
            for _ in range(100):
                sock.sendall(b"*1000000\r\n" + b"$100\r\n" + b"x" * 99_000)
            if sock.recv(100) == b"":
                raise OSError("closed")


def test_query_limit_counts_what_multi_queued(start):
    """As 7.2 does (7.0 does not)."""
    server = start(client_query_buffer_limit="1mb")
    one = server.connect()
    one.call("MULTI")
    for _ in range(8):
        assert one.call("SET", "a", "x" * 100_000) == b"QUEUED"
    assert one.call("EXEC") == [b"OK"] * 8
    one.call("MULTI")
    with pytest.raises((OSError, servers.ServerDied)):
        for _ in range(100):
            one.call("SET", "a", "x" * 100_000)
    assert server.connect().call("PING") == b"PONG"


def test_maxclients(start):
    server = start(maxclients=2)
    time.sleep(0.5)  # until the connection that waited for the start is gone
    first, second = server.connect(), server.connect()
    assert first.call("ping") == second.call("ping") == b"PONG"
    assert raw(server, b"") == \
        b"-ERR max number of clients reached\r\n"


def test_password(start, oracle):
    server = start(requirepass="secret")
    oracle.connect().call("config", "set", "requirepass", "secret")
    script = b"get a\r\nset a\r\nauth wrong\r\nauth secret\r\nget a\r\n"
    assert raw(server, script) == raw(oracle, script)
    big = b"*2\r\n$4\r\nECHO\r\n$20000\r\n"
    assert raw(server, big) == raw(oracle, big)
    many = b"*11\r\n"
    assert raw(server, many) == raw(oracle, many)


def test_unix_socket(start):
    server = start(unixsocket="w.sock", unixsocketperm="700")
    path = os.path.join(server.folder, "w.sock")
    assert os.stat(path).st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(b"ping\r\n")
        assert sock.recv(100) == b"+PONG\r\n"
    server.stop()
    assert not os.path.exists(path)


def test_idle_timeout(start):
    server = start(timeout=1)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(6)
        sock.sendall(b"ping\r\n")
        assert sock.recv(100) == b"+PONG\r\n"
        assert sock.recv(100) == b""


def test_blocked_client_is_served_and_times_out(walden):
    a, b = walden.connect(), walden.connect()
    a.send(("blpop", "q", "0"))
    time.sleep(0.1)
    b.call("rpush", "q", "x")
    assert a.read()[0] == [b"q", b"x"]
    began = time.monotonic()
    assert a.call("blpop", "q", "0.2") is None
    assert 0.15 < time.monotonic() - began < 1


def test_input_behind_a_blocked_request(walden):
    a, b = walden.connect(), walden.connect()
    a.send(("blpop", "q", "0"), ("set", "after", "1"), ("get", "after"))
    time.sleep(0.1)
    assert b.call("exists", "after") == 0
    b.call("rpush", "q", "x")
    assert a.read(3) == [[b"q", b"x"], b"OK", b"1"]


def test_blocked_client_that_hangs_up(walden):
    a, b = walden.connect(), walden.connect()
    a.send(("blpop", "q", "0"))
    time.sleep(0.1)
    a.close()
    time.sleep(0.1)
    b.call("rpush", "q", "x")
    assert b.call("llen", "q") == 1


def test_other_type_does_not_wake(walden):
    a, b = walden.connect(), walden.connect()
    a.send(("blpop", "q", "0"))
    time.sleep(0.1)
    b.call("set", "q", "text")
    b.call("del", "q")
    b.call("rpush", "q", "x")
    assert a.read()[0] == [b"q", b"x"]


def test_pause(walden):
    a, b = walden.connect(), walden.connect()
    assert b.call("client", "pause", "400", "write") == b"OK"
    began = time.monotonic()
    assert b.call("get", "x") is None
    assert time.monotonic() - began < 0.2
    assert a.call("set", "x", "1") == b"OK"
    assert time.monotonic() - began > 0.3


def test_unpause(walden):
    a, b = walden.connect(), walden.connect()
    b.call("client", "pause", "60000", "write")
    a.send(("set", "x", "1"))
    time.sleep(0.1)
    b.call("client", "unpause")
    assert a.read()[0] == b"OK"


def test_pause_that_is_followed_by_another(walden):
    """Requests that waited for one pause and meet the next wait again."""
    clients = [walden.connect(timeout=5) for _ in range(5)]
    assert clients[0].call("client", "pause", "200", "all") == b"OK"
    clients[0].send(("client", "pause", "300", "all"))
    time.sleep(0.05)
    for client in clients[1:]:
        client.send(("set", "x", "1"))
        time.sleep(0.01)
    assert [client.read() for client in clients] == [[b"OK"]] * 5


def test_save_under_load(walden):
    """SAVE does not wait for a moment in which nobody writes."""
    load = subprocess.Popen(
        ["redis-benchmark", "-p", str(walden.port), "-q", "-t", "set",
         "-n", "100000000", "-r", "1000", "-P", "16", "-c", "20"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        assert walden.connect(timeout=10).call("save") == b"OK"
        assert load.poll() is None
    finally:
        load.kill()
        load.wait()


def test_a_request_that_waits_is_one_request(walden):
    """MONITOR and the statistics know it once, however often it is tried."""
    monitor, waiter, writer = (walden.connect() for _ in range(3))
    assert monitor.call("monitor") == b"OK"
    waiter.send(("blpop", "q", "0"))
    time.sleep(0.05)
    writer.call("set", "q", "text")
    writer.call("del", "q")
    writer.call("rpush", "q", "x")
    assert waiter.read()[0] == [b"q", b"x"]
    writer.call("echo", "end")
    lines = []
    while not lines or b'"echo"' not in lines[-1]:
        lines += monitor.read()
    assert sum(b'"blpop"' in line for line in lines) == 1
    assert b"cmdstat_blpop:calls=1," in writer.call("info", "commandstats")


def test_memory_durability_is_committed_in_a_moment(start):
    server = start(durability="memory")
    server.connect().call("set", "a", "1")
    time.sleep(1)
    server.kill()
    server.start()
    assert server.connect().call("get", "a") == b"1"


def test_save(client):
    client.call("set", "a", "1")
    assert client.call("save") == b"OK"
    assert client.call("bgsave").startswith(b"Background saving")


def test_second_instance_is_refused(walden):
    done = subprocess.run(
        [conftest.BINARY, "--port", str(servers.free_port()), "--dir",
         walden.folder], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "Cannot open the database" in done.stdout


def start_and_fail(folder, *directives, user=None):
    """What a server that cannot start says."""
    try:
        ended = subprocess.run(
            [os.path.abspath(conftest.BINARY), "--port",
             str(servers.free_port()), "--dir", str(folder), *directives],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10,
            user=user)
    except PermissionError:
        pytest.skip("the program is where nobody else may run it")
    assert ended.returncode == 1
    return ended.stdout


def test_snapshot_of_redis_is_refused(tmp_path):
    """It is left as it is, and the way out is told."""
    snapshot = tmp_path / "dump.rdb"
    snapshot.write_bytes(b"REDIS0010" + bytes(100))
    said = start_and_fail(tmp_path, "--dbfilename", "dump.rdb")
    assert b"snapshot made by Redis" in said
    assert snapshot.read_bytes() == b"REDIS0010" + bytes(100)


def test_file_that_cannot_be_written_is_refused(start):
    """Better than to start and refuse every write."""
    server = start()
    server.connect().call("set", "a", "1")
    server.stop()
    nobody = 65534 if os.geteuid() == 0 else None
    database = os.path.join(server.folder, "walden.db")
    os.chmod(server.folder, 0o777)
    os.chmod(database, 0o444)
    lock = database + "-lock"
    os.chmod(lock, 0o666)
    said = start_and_fail(server.folder, user=nobody)
    assert b"for writing" in said


def set_type(walden, name, number):
    """Write over a key's type in the file.  Answers the one it had."""
    assert walden.stop() == 0
    path = os.path.join(walden.folder, "walden.db")
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        had = db.execute("SELECT type FROM keys WHERE name = ?",
                         (name,)).fetchone()[0]
        db.execute("UPDATE keys SET type = ? WHERE name = ?", (number, name))
    walden.start()
    return had


UNREADABLE = [
    ("GET", "bad"), ("SET", "bad", "x"), ("DEL", "good", "bad"),
    ("MSET", "good", "x", "bad", "x"), ("RENAME", "good", "bad"),
    ("RENAME", "bad", "good"), ("LPUSH", "bad", "x"), ("TTL", "bad"),
    ("COPY", "good", "bad", "REPLACE"), ("EXPIRE", "bad", "10"),
    ("SORT", "l", "BY", "b*"), ("SORT", "l", "STORE", "bad"),
]


def test_a_key_that_cannot_be_read_is_an_error(walden):
    """The command or transaction does not run, and what there is stays."""
    client = walden.connect()
    client.call("MSET", "good", "1", "bad", "2")
    client.call("RPUSH", "l", "ad")
    had = set_type(walden, b"bad", 99)
    client = walden.connect()
    for request in UNREADABLE:
        answer = client.call(*request)
        assert isinstance(answer, resp.Error), request
        assert b"could not be read" in bytes(answer), request
    assert client.call("MGET", "good", "l") == [b"1", None]
    client.call("MULTI")
    client.call("SET", "good", "3")
    client.call("GET", "bad")
    assert b"could not be read" in bytes(client.call("EXEC"))
    set_type(walden, b"bad", had)
    client = walden.connect()
    assert client.call("MGET", "good", "bad") == [b"1", b"2"]
    assert client.call("LRANGE", "l", 0, -1) == [b"ad"]


def test_port_in_use_is_refused(walden, tmp_path):
    done = subprocess.run(
        [conftest.BINARY, "--port", str(walden.port), "--dir", str(tmp_path)],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "Could not create server TCP listening socket" in done.stdout


def test_many_connections(start):
    server = start(maxclients=3000)
    connections = [server.connect() for _ in range(900)]
    for connection in connections:
        connection.send(("incr", "n"))
    values = [connection.read()[0] for connection in connections]
    assert sorted(values) == list(range(1, 901))


def test_redis_py(walden):
    redis = pytest.importorskip("redis")
    client = redis.Redis(port=walden.port)
    with client.pipeline() as pipe:
        pipe.set("a", 1).incr("a").get("a")
        assert pipe.execute() == [True, 2, b"2"]
