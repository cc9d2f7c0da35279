"""Signals, pidfile, daemonize, logfile."""

import os
import signal
import subprocess
import time

import conftest
import servers


def test_sigterm_keeps_everything(start):
    server = start()
    server.connect().call("set", "a", "1")
    assert server.stop() == 0
    assert not os.path.exists(os.path.join(server.folder, "walden.db-wal"))
    server.start()
    assert server.connect().call("get", "a") == b"1"


def test_sigint(start):
    server = start()
    connection = server.connect()
    connection.send(*[("incr", "n") for _ in range(1000)])
    connection.read(1000)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    server.start()
    assert server.connect().call("get", "n") == b"1000"


def test_sighup_is_ignored(start):
    server = start()
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert server.connect().call("ping") == b"PONG"


def test_sigterm_with_a_blocked_client(start):
    server = start()
    blocked = server.connect()
    blocked.send(("blpop", "q", "0"))
    time.sleep(0.1)
    assert server.stop() == 0


def test_pidfile_and_logfile(start):
    server = start(pidfile="walden.pid", logfile="log.txt")
    path = os.path.join(server.folder, "walden.pid")
    with open(path) as file:
        assert int(file.read()) == server.process.pid
    with open(os.path.join(server.folder, "log.txt")) as file:
        assert "Ready to accept connections" in file.read()
    server.stop()
    assert not os.path.exists(path)


def test_daemonize(tmp_path):
    port = servers.free_port()
    done = subprocess.run(
        [conftest.BINARY, "--port", str(port), "--dir", str(tmp_path),
         "--daemonize", "yes", "--pidfile", "p.pid", "--logfile", "l.txt"],
        timeout=20)
    assert done.returncode == 0
    until = time.monotonic() + 10
    text = ""
    while not text.endswith("\n"):
        assert time.monotonic() < until, "no pid file"
        time.sleep(0.05)
        if (tmp_path / "p.pid").exists():
            text = (tmp_path / "p.pid").read_text()
    pid = int(text)
    try:
        connection = servers.Connection(port)
        assert connection.call("ping") == b"PONG"
    finally:
        os.kill(pid, signal.SIGTERM)
    while (tmp_path / "p.pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not (tmp_path / "p.pid").exists()
