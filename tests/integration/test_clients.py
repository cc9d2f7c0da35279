"""Client programs people use: redis-py, redis-cli, redis-benchmark.

What they send at connecting and with their own conveniences must work, not
only the commands themselves.
"""

import subprocess

import pytest

redis = pytest.importorskip("redis")


@pytest.fixture
def library(walden):
    client = redis.Redis(port=walden.port)
    yield client
    client.close()


def test_redis_py_values(library):
    assert library.set("k", "v", ex=100)
    assert library.get("k") == b"v"
    assert 0 < library.ttl("k") <= 100
    assert library.set("k", "w", nx=True) is None
    assert library.incr("n") == 1
    assert library.mset({"a": 1, "b": 2})
    assert library.mget("a", "b", "c") == [b"1", b"2", None]
    assert library.hset("h", mapping={"f": 1, "g": 2}) == 2
    assert library.hgetall("h") == {b"f": b"1", b"g": b"2"}
    assert library.rpush("l", *range(5)) == 5
    assert library.lrange("l", 0, -1) == [b"%d" % i for i in range(5)]
    assert sorted(library.scan_iter(count=2)) == [
        b"a", b"b", b"h", b"k", b"l", b"n"]


def test_redis_py_transaction_helper(library):
    """WATCH, read, MULTI, and again if somebody was faster."""
    library.set("n", 1)
    tries = []

    def double(pipe):
        value = int(pipe.get("n"))
        if not tries:
            library.incr("n")
        tries.append(value)
        pipe.multi()
        pipe.set("n", value * 2)

    library.transaction(double, "n")
    assert tries == [1, 2]
    assert library.get("n") == b"4"


def test_redis_py_pipeline_errors(library):
    library.set("s", "text")
    results = library.pipeline(transaction=False).incr("s").get("s").execute(
        raise_on_error=False)
    assert isinstance(results[0], redis.ResponseError)
    assert results[1] == b"text"


def test_redis_py_blocking_pop(library):
    assert library.blpop("empty", timeout=0.05) is None
    library.rpush("list", "x")
    assert library.blpop(["empty", "list"], timeout=1) == (b"list", b"x")


def test_redis_py_administration(library):
    info = library.info()
    assert info["redis_version"].startswith("7.2")
    assert info["loading"] == 0
    assert info["maxmemory_policy"]
    assert info["role"] == "master"
    assert library.config_get("maxclients")["maxclients"] == "10000"
    assert library.client_setname("me")
    assert [c["name"] for c in library.client_list()] == ["me"]
    assert library.dbsize() == 0


def test_redis_py_many_connections(walden):
    pool = redis.ConnectionPool(port=walden.port, max_connections=200)
    clients = [redis.Redis(connection_pool=pool) for _ in range(100)]
    for number, client in enumerate(clients):
        client.set(f"k{number}", number)
    assert clients[0].dbsize() == 100
    pool.disconnect()


def run_cli(server, *args, text=None):
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), *args], text=True, input=text,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
        stdin=None if text is not None else subprocess.DEVNULL, check=False)
    return done.stdout


def test_redis_cli(walden):
    assert run_cli(walden, "set", "k", "v") == "OK\n"
    assert run_cli(walden, "get", "k") == "v\n"
    assert run_cli(walden, "-3", "hello") .startswith("server redis")
    assert "redis_version:7.2" in run_cli(walden, "info", "server")
    assert run_cli(walden, "--scan") == "k\n"
    assert "Biggest string" in run_cli(walden, "--bigkeys")


def test_redis_cli_pipe_mode(walden):
    lines = "".join(f"SET key:{i} {i}\r\n" for i in range(5000))
    out = run_cli(walden, "--pipe", text=lines)
    assert "errors: 0, replies: 5000" in out
    assert run_cli(walden, "dbsize").strip() == "5000"


def test_redis_benchmark(walden):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(walden.port), "-n", "2000", "-c", "20",
         "-q", "-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange,mset"
         ], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "Error" not in done.stdout
