"""Replies that wait for the bucket: directive, connection, WAIT, WAITAOF."""

import time

import place
import resp
import servers


def test_replies_wait_for_the_bucket(begin, behind_proxy, proxy):
    server = begin(behind_proxy, durability="bucket")
    writer = server.connect()
    assert writer.call("SET", "a", "1") == b"OK"
    proxy.rule("delay", seconds=1.0, method="PUT")
    began = time.monotonic()
    assert writer.call("SET", "a", "2") == b"OK"
    assert time.monotonic() - began > 0.9
    # A reader of what is not there yet waits too (R1); others do not.
    writer.send(("SET", "a", "3"))
    time.sleep(0.1)
    reader = server.connect()
    began = time.monotonic()
    assert reader.call("GET", "unrelated") is None
    assert time.monotonic() - began < 0.5
    assert reader.call("GET", "a") == b"3"
    assert time.monotonic() - began > 0.5
    assert writer.read() == [b"OK"]


def test_level_of_a_connection(begin, behind_proxy, proxy):
    server = begin(behind_proxy)
    quick, careful = server.connect(), server.connect()
    assert careful.call("CLIENT", "DURABILITY", "bucket") == b"OK"
    proxy.rule("delay", seconds=1.0, method="PUT")
    began = time.monotonic()
    assert quick.call("SET", "q", "1") == b"OK"
    assert time.monotonic() - began < 0.5
    assert careful.call("SET", "c", "1") == b"OK"
    assert time.monotonic() - began > 0.9


def test_wait_and_waitaof(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_sync_interval=60000)
    client = server.connect()
    client.call("SET", "a", "1")
    assert client.call("WAIT", 1, 5000) == 1
    client.call("SET", "a", "2")
    assert client.call("WAITAOF", 1, 1, 5000) == [1, 1]
    proxy.rule("hang", method="PUT")
    client.call("SET", "a", "3")
    began = time.monotonic()
    assert client.call("WAIT", 1, 300) == 0
    assert client.call("WAITAOF", 1, 1, 300) == [1, 0]
    assert 0.5 < time.monotonic() - began < 3


def test_many_commits_share_a_put(begin, behind_proxy, proxy):
    server = begin(behind_proxy, durability="bucket")
    clients = [server.connect() for _ in range(50)]
    proxy.rule("delay", seconds=0.1, method="PUT")
    proxy.reset()
    for number in range(5):
        for client in clients:
            client.send(("SET", f"k{id(client)}", number))
        for client in clients:
            assert client.read() == [b"OK"]
    assert proxy.counts()["requests"]["PUT"] < 30


def test_clients_do_not_take_turns(begin, behind_proxy, proxy):
    """Who comes back from an upload a little later than others must not miss
    the next one: two groups would wait for two uploads each."""
    server = begin(behind_proxy, durability="bucket")
    clients = [server.connect() for _ in range(20)]
    proxy.rule("delay", seconds=0.05, method="PUT")
    rounds = 20
    for number in range(rounds + 5):
        if number == 5:
            before = place.info(clients[0])["requests_put"]
        for client in clients:
            client.send(("SET", "a", str(number)))
        for client in clients:
            assert client.read() == [b"OK"]
    uploads = place.info(clients[0])["requests_put"] - before
    assert rounds <= uploads <= 1.5 * rounds


def test_bucket_level_without_a_bucket():
    with servers.Server(servers.WALDEN) as server:
        server.start()
        reply = server.connect().call("CLIENT", "DURABILITY", "bucket")
        assert isinstance(reply, resp.Error)


def test_info(begin, bucket):
    server = begin(bucket)
    client = server.connect()
    client.call("SET", "a", "b")
    place.wait_shipped(client)
    now = place.info(client)
    assert now["enabled"] == 1 and now["state"] == "running"
    assert now["fencing"] == 1 and now["epoch"] == 1
    assert now["shipped_txid"] == max(bucket.levels()[0])[1]
    assert now["last_error"] == ""


def positions(client):
    """What CLIENT INFO says of the client's own."""
    line = client.call("CLIENT", "INFO").decode().strip()
    fields = dict(field.split("=", 1) for field in line.split(" "))
    return (fields["durability"], int(fields["seq"]), int(fields["disk-seq"]),
            int(fields["bucket-seq"]))


def test_client_list_shows_the_positions(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_sync_interval=60000)
    client = server.connect()
    assert positions(client) == ("disk", 0, 0, 0)
    client.call("SET", "a", "1")
    assert client.call("WAITAOF", 1, 1, 5000) == [1, 1]
    durability, seq, disk, bucket = positions(client)
    assert (durability, disk, bucket) == ("disk", seq, seq) and seq > 0
    proxy.rule("hang", method="PUT")
    client.call("SET", "a", "2")
    durability, newer, disk, bucket = positions(client)
    assert newer > seq and disk == newer and seq <= bucket < newer
    assert client.call("CLIENT", "DURABILITY", "bucket") == b"OK"
    assert positions(client)[0] == "bucket"
