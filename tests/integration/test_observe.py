"""MONITOR, SLOWLOG, LATENCY."""

import socket
import time

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    slowlog
    slowlog foo
    slowlog get -2
    slowlog get a
    slowlog get 1 2
    slowlog reset
    slowlog len
    slowlog get
    latency reset
    latency latest
    latency history foo
    latency graph foo
    latency reset a b
    latency doctor
    latency histogram nosuch
    latency foo
"""


def test_same_as_redis(twin):  # noqa: F811
    twin.run(SCRIPT)


def test_slowlog_keeps_the_newest(client):
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "0",
                "slowlog-max-len", "5")
    client.call("CLIENT", "SETNAME", "me")
    client.call("SLOWLOG", "RESET")
    for i in range(10):
        client.call("SET", f"k{i}", "v")
    entries = client.call("SLOWLOG", "GET", "3")
    assert [e[3] for e in entries] == [[b"SET", b"k9", b"v"],
                                       [b"SET", b"k8", b"v"],
                                       [b"SET", b"k7", b"v"]]
    assert entries[0][0] == entries[1][0] + 1
    assert abs(entries[0][1] - time.time()) < 5
    assert entries[0][5] == b"me" and entries[0][4].startswith(b"127.0.0.1:")
    assert client.call("SLOWLOG", "LEN") == 5
    assert len(client.call("SLOWLOG", "GET", "-1")) == 5
    client.call("CONFIG", "SET", "slowlog-max-len", "1")
    client.call("PING")
    assert client.call("SLOWLOG", "LEN") == 1


def test_slowlog_cuts_long_requests_and_hides_secrets(client):
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.call("RPUSH", "l", *(["x"] * 100))
    newest = client.call("SLOWLOG", "GET", "1")[0][3]
    assert len(newest) == 32
    assert newest[31] == b"... (71 more arguments)"
    client.call("SET", "a", "y" * 200)
    newest = client.call("SLOWLOG", "GET", "1")[0][3]
    assert newest[2] == b"y" * 128 + b"... (72 more bytes)"
    client.call("AUTH", "default", "hunter2")
    assert b"hunter2" not in b"".join(
        word for e in client.call("SLOWLOG", "GET", "-1") for word in e[3])


def test_latency_monitor(client):
    client.call("CONFIG", "SET", "latency-monitor-threshold", "10")
    client.call("DEBUG", "SLEEP", "0.05")
    [[name, at, newest, worst]] = client.call("LATENCY", "LATEST")
    assert name == b"command" and 50 <= newest <= 5000 and worst >= newest
    assert abs(at - time.time()) < 5
    assert client.call("LATENCY", "HISTORY", "command") == [[at, newest]]
    graph = client.call("LATENCY", "GRAPH", "command")
    assert graph.startswith(b"command - high %d ms" % newest)
    assert b"command: 1 latency spikes" in client.call("LATENCY", "DOCTOR")
    assert client.call("LATENCY", "RESET", "other") == 0
    assert client.call("LATENCY", "RESET") == 1
    assert client.call("LATENCY", "LATEST") == []


def test_histogram_counts_each_call_once(client):
    client.call("CONFIG", "RESETSTAT")
    for _ in range(7):
        client.call("SET", "a", "1")
    name, (_, calls, _, buckets) = client.call("LATENCY", "HISTOGRAM", "set")
    assert name == b"set" and calls == 7 and buckets[-1] == 7
    assert buckets[0::2] == sorted(buckets[0::2])
    assert buckets[1::2] == sorted(buckets[1::2])


def test_monitor_sees_every_request(walden):
    monitor, other = walden.connect(), walden.connect()
    assert monitor.call("MONITOR") == b"OK"
    other.call("SET", 'a\n"\x01', "1")
    other.call("SELECT", "3")
    other.call("GET", "b")
    other.call("AUTH", "default", "hunter2")
    other.call("CONFIG", "GET", "save")
    other.call("PING")
    lines = monitor.read(5)
    assert b'[0 127.0.0.1:' in lines[0]
    assert lines[0].endswith(b'"SET" "a\\n\\"\\x01" "1"')
    assert b"[3 127.0.0.1:" in lines[1] and lines[1].endswith(b'"SELECT" "3"')
    assert b"[3 127.0.0.1:" in lines[2]
    assert lines[3].endswith(b'"AUTH" "(redacted)" "(redacted)"')
    assert lines[4].endswith(b'"PING"')
    assert monitor.call("RESET") == b"RESET"
    other.call("PING")
    assert monitor.call("PING") == b"PONG"


def test_monitor_names_the_unix_socket(start, tmp_path):
    path = str(tmp_path / "w.sock")
    server = start(unixsocket=path)
    monitor = server.connect()
    monitor.call("MONITOR")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(b"PING\r\n")
        assert sock.recv(100) == b"+PONG\r\n"
    assert monitor.read(1)[0].endswith(b' [0 unix:%b] "PING"' % path.encode())


def test_who_monitors_does_not_touch_keys(plain_twin):  # noqa: F811
    plain_twin.run("""
        multi
        set a 1
        monitor
        get a
        set a 1
        del a
        multi
        ping
        exec
        reset
        get a
    """)


def test_slowlog_hides_secrets_of_renamed_commands(start, tmp_path):
    (tmp_path / "w.conf").write_text("rename-command auth enter\n"
                                     "rename-command config adjust\n")
    client = start(include=str(tmp_path / "w.conf")).connect()
    client.call("ADJUST", "SET", "slowlog-log-slower-than", "0")
    client.call("ENTER", "hunter2")
    client.call("ENTER", "default", "hunter2")
    client.call("ADJUST", "SET", "timeout", "0", "requirepass", "hunter2")
    client.call("ENTER", "hunter2")
    client.call("ADJUST", "SET", "tls-client-key-file-pass", "hunter2")
    client.call("ADJUST", "SET", "bucket-secret-key", "hunter2")
    words = [word for entry in client.call("SLOWLOG", "GET", "-1")
             for word in entry[3]]
    assert b"hunter2" not in words and words.count(b"(redacted)") == 7


def test_monitor_lines_wait_for_the_commit(walden):
    """R1: what a line tells of is on disk when the line arrives."""
    monitor, writer = walden.connect(), walden.connect()
    monitor.call("MONITOR")
    for i in range(50):
        writer.send(("SET", "a", str(i)))
    lines = monitor.read(50)
    assert lines[-1].endswith(b'"SET" "a" "49"')
    walden.kill()
    walden.start()
    assert walden.connect().call("GET", "a") == b"49"
