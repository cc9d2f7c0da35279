"""What may stand behind the program's name, as redis-server takes it."""

import subprocess

import pytest

import conftest
import servers


@pytest.fixture
def run(tmp_path, request):
    """run(binary, arguments, stdin): a client of the server started so."""

    def begin(binary, arguments, stdin=""):
        folder = tmp_path / binary.rsplit("/", 1)[-1]
        folder.mkdir(exist_ok=True)
        port = servers.free_port()
        server = servers.Server(binary, folder=str(folder), port=port)
        request.addfinalizer(server.kill)
        words = [word.format(port=port, folder=folder) for word in arguments]
        server.process = subprocess.Popen(
            [binary, *words], cwd=folder, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL)
        server.process.stdin.write(stdin.format(port=port).encode())
        server.process.stdin.close()
        server.wait_until_up()
        return server.connect()

    return begin


NAMES = ("save", "appendonly", "timeout", "requirepass", "maxclients")


def values(client):
    found = {}
    for name in NAMES:
        found[name] = client.call("config", "get", name)[1]
    return found


@pytest.mark.parametrize("arguments, stdin", [
    (["--port", "{port}", "--save", "--appendonly", "yes"], ""),
    (["--port", "{port}", "--save"], ""),
    (["--port", "{port}", "--save", "60 1 300 10"], ""),
    (["--port", "{port}", "--save", "60", "1", "--save", "300", "10"], ""),
    (["--port {port}", "--timeout 7", "--save", ""], ""),
    (["--port {port} "], ""),
    (["--port", "{port}", "--TIMEOUT", "7", "--maxclients", "50",
      "--maxclients", "60"], ""),
    (["-"], "port {port}\ntimeout 9\n"),
    (["-", "--timeout", "8"], "port {port}\ntimeout 9\n"),
    (["--timeout", "8", "-"], "port {port}\ntimeout 9\n"),
    (["w.conf", "--maxclients", "70", "-"],
     "port {port}\ntimeout 9\nmaxclients 80\n"),
])
def test_forms(run, arguments, stdin, tmp_path):
    answers = []
    for binary in (conftest.BINARY, servers.redis_server()):
        folder = tmp_path / binary.rsplit("/", 1)[-1]
        folder.mkdir(exist_ok=True)
        (folder / "w.conf").write_text("timeout 5\nsave 900 1\nport 1\n")
        answers.append(values(run(binary, arguments, stdin)))
    assert answers[0] == answers[1]


def test_a_value_may_look_like_a_name(run):
    """Behind a name stands its value, whatever it looks like."""
    arguments = ["--port", "{port}", "--requirepass", "--secret"]
    for binary in (conftest.BINARY, servers.redis_server()):
        client = run(binary, arguments)
        assert client.call("auth", "--secret") == b"OK"


def test_include_takes_a_pattern(run, tmp_path):
    """Files in order of their names; none is no error where there could be
    any."""
    for name, text in (("10.conf", "timeout 1\nmaxclients 51\n"),
                       ("20.conf", "timeout 2\n"), ("30.no", "timeout 3\n")):
        (tmp_path / name).write_text(text)
    config = (f"port {{port}}\ninclude {tmp_path}/*.conf\n"
              f"include {tmp_path}/none*.conf\n")
    for binary in (conftest.BINARY, servers.redis_server()):
        found = values(run(binary, ["-"], config))
        assert (found["timeout"], found["maxclients"]) == (b"2", b"51")


@pytest.mark.parametrize("value", [
    "a b", "60", "60 1 300", "0 1", "60 -1", "60 x", "x", "60 1x"])
def test_save_is_checked(client, oracle, value):
    """It means nothing here, but a mistake in it is worth an error."""
    pair = ("config", "set", "save", value)
    assert client.call(*pair) == oracle.connect().call(*pair)
    before = client.call("config", "get", "save")
    done = subprocess.run([conftest.BINARY, "--save", value], timeout=20,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "Invalid save parameters" in done.stderr
    assert before == [b"save", b"3600 1 300 100 60 10000"]


@pytest.mark.parametrize("value", ["", "60 1", "60 0", "1 1 2 2 3 3"])
def test_save_is_kept(client, oracle, value):
    other = oracle.connect()
    for connection in (client, other):
        assert connection.call("config", "set", "save", value) == b"OK"
    get = ("config", "get", "save")
    assert client.call(*get) == other.call(*get)


@pytest.mark.parametrize("name, value", [
    ("maxmemory-clients", value) for value in
    ("5%", "100%", "101%", "0%", "-5%", "%", "5 %", "1mb", "abc")] + [
    ("repl-backlog-size", "2mb"), ("repl-backlog-size", "5%"),
    ("activedefrag", "NO"), ("rdbcompression", "YES"), ("rdbcompression", "1"),
    ("repl-timeout", "77"), ("repl-timeout", "7x"), ("appendonly", "No")])
def test_what_means_nothing_is_checked_and_shown(client, oracle, name, value):
    other = oracle.connect()
    assert client.call("config", "set", name, value) == \
        other.call("config", "set", name, value)
    assert client.call("config", "get", name) == \
        other.call("config", "get", name)


@pytest.mark.parametrize("value", [
    "", "Q", "KEA", "AKE", "Kx", "KEg$lshzxetdmn", "g$", "A", "E"])
def test_notifications_are_checked(client, oracle, value):
    other = oracle.connect()
    pair = ("config", "set", "notify-keyspace-events", value)
    ours, theirs = client.call(*pair), other.call(*pair)
    # 7.2 knows "n" for new keys, as 7.0 does.
    assert ours == theirs
    get = ("config", "get", "notify-keyspace-events")
    assert client.call(*get) == other.call(*get)
