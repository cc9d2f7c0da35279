"""What a start makes of the bucket and of the local files."""

import os
import shutil
import time

import pytest

import harness
import place
import servers


def fill(server, count=300, prefix="k"):
    connection = server.connect()
    connection.pipeline(("SET", f"{prefix}{n}", f"value {n}")
                        for n in range(count))
    place.wait_shipped(connection)
    return connection


def values(server, prefix="k"):
    connection = server.connect()
    names = connection.call("KEYS", prefix + "*")
    connection.close()
    return len(names)


def gone_on(begin, bucket, tmp_path):
    """A copy of a stopped server's folder, from which the server went on."""
    server = begin(bucket)
    fill(server)
    assert server.stop() == 0
    old = str(tmp_path / "old")
    shutil.copytree(server.folder, old)
    server.start()
    fill(server, prefix="more")
    assert server.stop() == 0
    return old


def test_new_history(begin, bucket):
    server = begin(bucket)
    fill(server)
    levels = bucket.levels()
    assert min(levels[0]) == (1, 1)
    txids = sorted(levels[0])
    assert [low for low, _ in txids] == list(range(1, len(txids) + 1))
    assert all(low == high for low, high in txids)


def test_local_history_moves_into_an_empty_prefix(begin, bucket):
    plain = servers.Server(servers.WALDEN)
    try:
        plain.start()
        connection = plain.connect()
        connection.pipeline(("SET", f"k{n}", "x") for n in range(500))
        assert plain.stop() == 0
        server = begin(bucket, folder=plain.folder)
        place.wait_shipped(server.connect())
        server.kill()
    finally:
        plain.remove()
    assert values(begin(bucket)) == 500


def test_start_elsewhere(begin, bucket):
    server = begin(bucket)
    fill(server)
    server.kill()
    server.remove()
    assert values(begin(bucket)) == 300


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart_uploads_nothing_again(begin, bucket, how):
    server = begin(bucket, fold_idle_ms=50)
    connection = server.connect()
    for n in range(60):
        connection.pipeline(
            ("SET", f"k{n}:{m}", os.urandom(2000)) for m in range(50))
    # What folding writes is new to the bucket, before a kill or after it.
    connection.call("SAVE")
    place.wait_shipped(connection)
    connection.call("SET", "last", "x")
    place.wait_shipped(connection)
    getattr(server, how)()
    before = set(bucket.names())
    sizes = sum(bucket.names().values())
    server.start(timeout=60)
    connection = server.connect()
    connection.call("SET", "after", "x")
    place.wait_shipped(connection)
    assert values(server) == 3000
    now = place.info(connection)
    assert now["bytes_received"] < sizes / 5
    assert now["bytes_sent"] < sizes / 5
    assert before <= set(bucket.names())


def test_unshipped_commits_are_shipped_after_a_kill(begin, behind_proxy,
                                                    proxy):
    server = begin(behind_proxy)
    fill(server)
    proxy.rule("status", code=503, method="PUT")
    connection = server.connect()
    connection.pipeline(("SET", f"late{n}", "x") for n in range(200))
    time.sleep(0.3)
    server.kill()
    proxy.clear()
    server.start(timeout=60)
    place.wait_shipped(server.connect())
    server.kill()
    server.remove()
    assert values(begin(behind_proxy), "late") == 200


def test_behind_is_refused(begin, bucket, tmp_path):
    old = gone_on(begin, bucket, tmp_path)
    with bucket.server(folder=old) as late:
        harness.refused(late, "do not belong together")
    # Nothing was overwritten on either side.
    assert values(begin(bucket), "more") == 300


def test_diverged_is_refused(begin, bucket, tmp_path):
    old = gone_on(begin, bucket, tmp_path)
    # The copy goes on without the bucket.
    alone = servers.Server(servers.WALDEN, {}, folder=old)
    alone.start()
    alone.connect().pipeline(("SET", f"other{n}", "x") for n in range(500))
    assert alone.stop() == 0
    with bucket.server(folder=old) as late:
        harness.refused(late, "do not belong together")


def test_another_history_is_refused(begin, bucket, tmp_path):
    server = begin(bucket)
    fill(server)
    assert server.stop() == 0
    alone = servers.Server(servers.WALDEN, {}, folder=str(tmp_path))
    alone.start()
    alone.connect().call("SET", "a", "b")
    assert alone.stop() == 0
    with bucket.server(folder=str(tmp_path)) as late:
        harness.refused(late, "do not belong together")


def test_unreachable_bucket_is_waited_for(begin, behind_proxy, proxy):
    server = begin(behind_proxy)
    fill(server)
    server.kill()
    server.remove()
    for fault in ({"fault": "status", "code": 500}, {"fault": "cut_answer"}):
        proxy.order("rule", **fault)
        late = behind_proxy.server()
        try:
            late.spawn()
            time.sleep(1.5)
            assert late.is_alive()
            with pytest.raises(OSError):
                servers.Connection(late.port)
            assert not os.path.exists(os.path.join(late.folder, "walden.db"))
            proxy.clear()
            late.wait_until_up(40)
            assert values(late) == 300
        finally:
            late.remove()


def test_waiting_can_be_ended(behind_proxy, proxy):
    proxy.rule("status", code=500)
    server = behind_proxy.server()
    try:
        server.spawn()
        time.sleep(1)
        assert server.stop(timeout=10) is not None
    finally:
        server.remove()


def test_a_gap_is_refused(begin, bucket):
    """B4: part of a history is not an empty prefix."""
    server = begin(bucket)
    connection = server.connect()
    for n in range(5):
        connection.call("SET", f"k{n}", "x")
        place.wait_shipped(connection)
    server.kill()
    server.remove()
    bucket.client.delete(
        bucket.bucket, "p/0000/0000000000000003-0000000000000003.ltx")
    with bucket.server() as late:
        harness.refused(late, "3")
        assert not os.path.exists(os.path.join(late.folder, "walden.db"))


def test_damage_names_the_object(begin, bucket):
    server = begin(bucket)
    fill(server)
    server.kill()
    server.remove()
    name = "0000/0000000000000001-0000000000000001.ltx"
    body = bytearray(bucket.client.get(bucket.bucket, "p/" + name))
    body[len(body) // 2] ^= 1
    bucket.client.put(bucket.bucket, "p/" + name, bytes(body))
    done = bucket.tool("verify", bucket.url)
    assert done.returncode != 0 and name in done.stderr
    with bucket.server() as late:
        harness.refused(late, name)


def test_wrong_keys(begin, bucket):
    begin(bucket).kill()
    for name, value in (("AWS_ACCESS_KEY_ID", "nobody"),
                        ("AWS_SECRET_ACCESS_KEY", "wrong")):
        server = bucket.server()
        server.env[name] = value
        try:
            server.spawn()
            time.sleep(2)
            # It may wait (keys are rotated) or end; it must not serve, and
            # must say what is wrong without saying the secret.
            with pytest.raises(OSError):
                servers.Connection(server.port)
            tail = server.tail()
            assert "403" in tail or "AccessDenied" in tail \
                or "InvalidAccessKeyId" in tail \
                or "SignatureDoesNotMatch" in tail, tail
            assert "wrong" not in tail and "testsecret" not in tail
        finally:
            server.remove()
    done = bucket.tool("ls", bucket.url,
                       env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert done.returncode != 0 and "SignatureDoesNotMatch" in done.stderr


def test_secrets_stay_secret(begin, bucket, tmp_path):
    conf = tmp_path / "walden.conf"
    conf.write_text("")
    server = bucket.server()
    server.env.pop("AWS_SECRET_ACCESS_KEY")
    server.directives["bucket-access-key"] = "testkey"
    server.directives["bucket-secret-key"] = "testsecret"
    try:
        server.start(timeout=60)
        connection = server.connect()
        shown = connection.call("CONFIG", "GET", "bucket-secret-key")
        assert b"testsecret" not in repr(shown).encode()
        assert b"testsecret" not in connection.call("INFO", "everything")
        assert "testsecret" not in server.tail(500)
    finally:
        server.remove()


def killed_before_it_owns(begin, where, proxy, **fault):
    """A server that has restored, committed its takeover and was killed before
    the upload arrived; then another one took over and served."""
    direct = place.Place(where.client, where.bucket)
    first = begin(direct, durability="bucket")
    assert first.connect().call("SET", "a", "1") == b"OK"
    first.kill()
    proxy.rule(**{"fault": "hang", **fault}, method="PUT", path="/0000/")
    late = where.server(durability="bucket", fold_idle_ms=1)
    late.spawn()
    place.wait_until("it takes over", lambda: "taking over" in late.tail())
    if fault:
        time.sleep(2)
    late.kill()
    second = begin(direct, durability="bucket")
    assert second.connect().call("SET", "a", "2") == b"OK"
    second.kill()
    proxy.clear()
    return late


@pytest.mark.parametrize("fault", [{}, {"fault": "status", "code": 503}])
def test_a_killed_start_needs_nobody(begin, behind_proxy, proxy, fault):
    """What it had restored was served to nobody: it is restored again.  It
    must be known again, so it is left as it was, however long the start waits
    for a bucket that refuses, with nothing else to do."""
    late = killed_before_it_owns(begin, behind_proxy, proxy, **fault)
    mark = os.path.join(late.folder, "walden.db-unowned")
    try:
        assert os.path.exists(mark)
        late.start(timeout=60)
        assert late.connect().call("GET", "a") == b"2"
        assert "never came to own" in late.tail(100)
        assert not os.path.exists(mark)
        assert late.connect().call("SET", "a", "3") == b"OK"
        late.kill()
        late.start(timeout=60)
        assert late.connect().call("GET", "a") == b"3"
    finally:
        late.remove()


def test_what_was_served_without_a_bucket_stays(begin, behind_proxy, proxy):
    late = killed_before_it_owns(begin, behind_proxy, proxy)
    alone = servers.Server(servers.WALDEN, {}, folder=late.folder)
    try:
        alone.start()
        assert alone.connect().call("GET", "a") == b"1"
        assert alone.connect().call("SET", "b", "acknowledged") == b"OK"
        alone.kill()
        harness.refused(late, "do not belong together")
        # It says who stands where: the second server's takeover and its SET.
        assert "The bucket's newest txid is " in late.tail()
        assert "by node " in late.tail()
        alone.start()
        assert alone.connect().call("GET", "b") == b"acknowledged"
    finally:
        alone.kill()
        late.remove()


def test_a_restore_by_hand_ends_the_mark(begin, bucket, tmp_path):
    begin(bucket).kill()
    mark = tmp_path / "walden.db-unowned"
    mark.write_text("walden-unowned 1\n")
    done = bucket.tool("restore", bucket.url, str(tmp_path / "walden.db"))
    assert done.returncode == 0, done.stderr
    assert not mark.exists()


def test_handover_loses_nothing(begin, bucket):
    """SIGTERM under load; the next machine continues."""
    server = begin(bucket, bucket_sync_interval=5000)
    connection = server.connect()
    connection.pipeline(("INCR", "n") for _ in range(20000))
    began = time.monotonic()
    assert server.stop() == 0
    server.remove()
    other = begin(bucket)
    assert time.monotonic() - began < 15
    assert other.connect().call("GET", "n") == b"20000"


def test_a_directory_is_a_store_too(begin, bucket, tmp_path):
    bucket.url = f"file://{tmp_path}/store"
    server = begin(bucket)
    connection = server.connect()
    connection.call("CLIENT", "DURABILITY", "bucket")
    assert connection.call("SET", "a", "b") == b"OK"
    server.kill()
    server.remove()
    assert begin(bucket).connect().call("GET", "a") == b"b"
