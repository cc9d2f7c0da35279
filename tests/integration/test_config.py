"""Command line, redis.conf, CONFIG GET, SET and REWRITE."""

import pathlib
import socket
import subprocess

import pytest

import conftest
import servers

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*args, **kwargs):
    return subprocess.run([conftest.BINARY, *map(str, args)], timeout=20,
                          capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize("line, reason", [
    ("nosuch 1", "Bad directive or wrong number of arguments"),
    ("port abc", "argument couldn't be parsed into an integer"),
    ("port 70000", "argument must be between 0 and 65535 inclusive"),
    ("port", "wrong number of arguments"),
    ("daemonize maybe", "argument must be 'yes' or 'no'"),
    ("maxmemory 1zb", "argument must be a memory value"),
    ("loglevel loud", "argument(s) must be one of the following: debug"),
    ('dir "x', "Unbalanced quotes in configuration line"),
    ("appendonly maybe", "argument must be 'yes' or 'no'"),
    ("enable-debug-command maybe", "must be one of the following: no"),
    ("replicaof 127.0.0.1 6379", "This server cannot be a replica"),
    ("slaveof 127.0.0.1 6379", "This server cannot be a replica"),
    ("aclfile /etc/redis/users.acl", "ACL files are not supported"),
    ("user bob on >secret ~* +@all", "ACL users are not supported"),
    ("user default on #1234 ~* +@all", "ACL users are not supported"),
    ("user default on nopass ~app:* +@all", "ACL users are not supported"),
    ("user default", "ACL users are not supported"),
    ("rename-command nosuch x", "No such command in rename-command"),
    ("rename-command get SET", "Target command name already exists"),
    ("rename-command get", "Bad directive or wrong number of arguments"),
])
def test_errors_name_file_and_line(tmp_path, line, reason):
    path = tmp_path / "w.conf"
    path.write_text(f"# a comment\nport 7000\n{line}\n")
    done = run(path)
    assert done.returncode == 1
    assert "*** FATAL CONFIG FILE ERROR (Redis 7.2" in done.stderr
    assert f"{path}, at line 3" in done.stderr
    assert f">>> '{line}'" in done.stderr
    assert reason in done.stderr


def test_no_such_file(tmp_path):
    done = run(tmp_path / "none.conf")
    assert done.returncode == 1
    assert "can't open config file" in done.stderr


def test_wrong_argument():
    done = run("--nosuch", "1")
    assert done.returncode == 1
    assert "Bad directive" in done.stderr


@pytest.mark.parametrize("line", [
    "sanitize-dump-payload clients", "tls-auth-clients optional",
    "requirepass foo\nuser default on sanitize-payload #2c26b46b68ffc68ff99b453c"
    "1d30413413422d706483bfa0f98a5e886266e7ae ~* &* +@all",
    "save 60 1 300 10", "oom-score-adj absolute", "cluster-enabled no"])
def test_redis_words_that_mean_nothing_here(start, tmp_path, line):
    path = tmp_path / "redis.conf"
    path.write_text(line + "\n")
    start(include=str(path))


def test_version_and_help():
    assert run("--version").stdout.startswith("Walden server v=")
    assert run("-v").returncode == 0
    assert "Usage: walden" in run("--help").stderr
    assert run("-h").returncode == 0


def test_file_include_and_arguments(tmp_path):
    port = servers.free_port()
    (tmp_path / "more.conf").write_text("timeout 7\nmaxclients 50\n")
    (tmp_path / "w.conf").write_text(
        f"port 1\ninclude {tmp_path}/more.conf\nmaxclients 60\n"
        f"dir {tmp_path}\nsave 900 1\nsave 300 10\nappendonly yes\n")
    process = subprocess.Popen(
        [conftest.BINARY, tmp_path / "w.conf", "--port", str(port),
         "--logfile", "log.txt"])
    server = servers.Server(conftest.BINARY, folder=str(tmp_path), port=port)
    server.process = process
    try:
        server.wait_until_up()
        client = server.connect()
        get = client.call("config", "get", "timeout", "maxclients", "save",
                          "appendonly")
        values = dict(zip(get[::2], get[1::2]))
        assert values == {b"timeout": b"7", b"maxclients": b"60",
                          b"save": b"900 1 300 10", b"appendonly": b"yes"}
        log = (tmp_path / "log.txt").read_text()
        for name in ("save", "appendonly"):
            assert log.count(f"The directive '{name}' means nothing") == 1
    finally:
        server.kill()


def test_standard_input(tmp_path):
    port = servers.free_port()
    process = subprocess.Popen([conftest.BINARY, "-"],
                               stdin=subprocess.PIPE, cwd=tmp_path)
    process.stdin.write(f"port {port}\nlogfile l.txt\n".encode())
    process.stdin.close()
    server = servers.Server(conftest.BINARY, folder=str(tmp_path), port=port)
    server.process = process
    try:
        server.wait_until_up()
    finally:
        server.kill()


def test_redis_directives_are_all_known(walden, oracle):
    def names(server):
        get = server.connect().call("config", "get", "*")
        return set(get[::2])

    assert names(oracle) - names(walden) == set()


def test_example_starts(start):
    server = start()
    server.stop()
    done = subprocess.Popen(
        [conftest.BINARY, ROOT / "redis.conf.example", "--port",
         str(server.port), "--dir", server.folder, "--logfile", "l.txt"])
    server.process = done
    server.wait_until_up()
    assert server.stop() == 0


def test_set_is_all_or_nothing(client):
    with_bad = client.call("config", "set", "timeout", "9", "maxclients", "x")
    assert with_bad.startswith(b"ERR CONFIG SET failed (possibly related to "
                               b"argument 'maxclients') - argument couldn't")
    assert client.call("config", "get", "timeout")[1] == b"0"
    assert client.call("config", "set", "timeout", "9",
                       "maxclients", "99") == b"OK"
    assert client.call("config", "get", "maxclients")[1] == b"99"


@pytest.mark.parametrize("pairs", [
    ["maxmemory", "x"], ["port", "99999"], ["daemonize", "yes"],
    ["databases", "3"], ["timeout", "-1"], ["timeout", "abc"],
    ["appendonly", "maybe"], ["loglevel", "loud"], ["nosuch", "1"],
    ["timeout", "1", "timeout", "2"], ["dir", "/tmp"],
    ["client-output-buffer-limit", "normal 1 2"],
    ["client-output-buffer-limit", "wrong 1 2 3"],
    ["slowlog-log-slower-than", "-2"], ["hz", "5"], ["save", ""],
    ["client-query-buffer-limit", "1"], ["proto-max-bulk-len", "2mb"],
])
def test_set_as_redis(client, oracle, pairs):
    other = oracle.connect()
    ours = client.call("config", "set", *pairs)
    theirs = other.call("config", "set", *pairs)
    if pairs[0] == "loglevel":  # 7.2 has no "nothing", 7.0 neither
        ours = ours.replace(b", nothing", b"")
    assert ours == theirs


def test_appendfsync_is_durability(client):
    def get(name):
        return client.call("config", "get", name)[1]

    assert get("durability") == b"disk"
    assert get("appendfsync") == b"always"
    client.call("config", "set", "appendfsync", "everysec")
    assert get("durability") == b"memory"
    client.call("config", "set", "durability", "disk")
    assert get("appendfsync") == b"always"


@pytest.mark.parametrize("pairs", [["bind", "192.0.2.1"], ["port", None]])
def test_what_cannot_be_listened_on(client, oracle, pairs):
    other = oracle.connect()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        pairs = [p or str(taken.getsockname()[1]) for p in pairs]
        assert client.call("config", "set", *pairs) == \
            other.call("config", "set", *pairs)
    assert client.call("config", "get", "port")[1] not in pairs


def test_port_can_change(client):
    port = servers.free_port()
    assert client.call("config", "set", "port", str(port)) == b"OK"
    assert servers.Connection(port).call("ping") == b"PONG"


def test_rewrite(tmp_path):
    port = servers.free_port()
    path = tmp_path / "w.conf"
    path.write_text(
        f"# first\nport {port}\n\n# why\ntimeout 3\ntimeout 4\n"
        f"dir {tmp_path}\nlogfile l.txt\nappendonly yes\n")
    server = servers.Server(conftest.BINARY, folder=str(tmp_path), port=port)
    server.process = subprocess.Popen([conftest.BINARY, path])
    try:
        server.wait_until_up()
        client = server.connect()
        client.call("config", "set", "timeout", "5", "maxclients", "77",
                    "requirepass", 'a "b')
        assert client.call("config", "rewrite") == b"OK"
        first = path.read_text()
        assert first.startswith(f"# first\nport {port}\n\n# why\ntimeout 5\n")
        assert first.count("timeout") == 1
        assert "# Generated by CONFIG REWRITE\n" in first
        assert "maxclients 77\n" in first
        assert 'requirepass "a \\"b"\n' in first
        assert client.call("config", "rewrite") == b"OK"
        assert sorted(path.read_text().split("\n")) == \
            sorted(first.split("\n"))
        assert server.stop() == 0
        server.process = subprocess.Popen([conftest.BINARY, path])
        server.wait_until_up()
        client = server.connect()
        assert client.call("auth", 'a "b') == b"OK"
        assert client.call("config", "get", "maxclients")[1] == b"77"
    finally:
        server.kill()


RENAMES = """user default on nopass sanitize-payload ~* &* +@all
aclfile ""
rename-command CONFIG ""
rename-command flushall b840fc02d524045429941cc15f59e41cb7be6c52
rename-command GET Fetch
rename-command set get
"""


def test_renamed_commands(start, tmp_path):
    """As redis-server does, given the same file."""
    path = tmp_path / "renames.conf"
    path.write_text(RENAMES)
    requests = [
        ("config", "get", "port"), ("flushall",), ("get", "k", "v"),
        ("FETCH", "k"), ("set", "k", "v"), ("fetch",),
        ("B840fc02d524045429941cc15f59e41cb7be6c52",), ("fetch", "k"),
        ("multi",), ("get", "k", "w"), ("set", "a", "b"), ("exec",),
        ("command", "info", "config", "set", "fetch"),
        ("command", "getkeys", "fetch", "k"),
        ("command", "getkeys", "set", "k", "v"),
    ]
    answers = []
    for binary in (conftest.BINARY, servers.redis_server()):
        server = servers.Server(binary, {"include": str(path)})
        try:
            server.start()
            connection = server.connect()
            answers.append([connection.call(*request)
                            for request in requests])
            listed = connection.call("command", "list")
            assert b"config" not in listed
            connection.close()
        finally:
            server.remove()
    for request, ours, theirs in zip(requests, *answers):
        if request[:2] == ("command", "info"):
            assert [row is not None and bool(row) for row in ours] == \
                [row is not None and bool(row) for row in theirs]
        else:
            assert ours == theirs, request


def outside_address():
    """An address of this machine that is not loopback; None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def ask_at(host, port, request):
    with socket.create_connection((host, port), 10) as sock:
        sock.sendall(request + b"\r\n")
        return sock.recv(1000)


@pytest.mark.parametrize("word, near, far", [
    ("no", False, False), ("local", True, False), ("yes", True, True)])
def test_debug_is_protected(start, oracle, word, near, far):
    server = start(enable_debug_command=word, bind="0.0.0.0",
                   protected_mode="no")
    refusal = ask_at("127.0.0.1", oracle.port, b"debug sleep 0")
    assert refusal.startswith(b"-ERR DEBUG command not allowed.")
    assert ask_at("127.0.0.1", server.port, b"debug sleep 0") == \
        (b"+OK\r\n" if near else refusal)
    address = outside_address()
    if address is not None:
        assert ask_at(address, server.port, b"debug sleep 0") == \
            (b"+OK\r\n" if far else refusal)


def test_debug_is_local_by_default(client):
    assert client.call("config", "get", "enable-debug-command") == [
        b"enable-debug-command", b"local"]
    reply = client.call("config", "set", "enable-debug-command", "yes")
    assert b"can't set immutable config" in reply
