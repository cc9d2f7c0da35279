"""Point in time: what was recorded at a txid or a moment comes back."""

import datetime
import random
import time

import place
import state

STEPS = 220
LOOKS = 50


def read(server):
    connection = server.connect()
    try:
        return state.read_database(connection, 0)
    finally:
        connection.close()


def at(moment):
    when = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    return (when.strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{when.microsecond // 1000:03}Z")


def change(rng, model, step):
    """One request, and what the database holds after it."""
    name = f"k{rng.randrange(60)}".encode()
    if rng.random() < 0.2:
        model.pop(name, None)
        return ("DEL", name)
    value = b"%d:" % step + b"x" * rng.choice((5, 50, 500, 5000))
    model[name] = (value, -1)
    return ("SET", name, value)


def test_restore_to_txids_and_times(begin, bucket):
    seed = random.SystemRandom().getrandbits(32)
    rng = random.Random(seed)
    server = begin(bucket, durability="bucket", fold_idle_ms=60,
                   journal_fold_size="64kb", bucket_sync_interval=10,
                   bucket_compaction_intervals="1 2 4",
                   bucket_snapshot_interval=3)
    client = server.connect()
    model, moments = {}, []
    for step in range(STEPS):
        request = change(rng, model, step)
        client.call(*request)
        # Nothing else writes: the newest txid holds exactly this.
        txid = place.info(client)["shipped_txid"]
        now = time.time()
        moments.append((txid, now, dict(model)))
        # Header times are whole milliseconds.
        time.sleep(0.004 + (0.3 if rng.random() < 0.1 else 0))
    assert server.stop() == 0
    levels = bucket.levels()
    for _ in range(LOOKS):
        txid, now, expected = rng.choice(moments)
        option = ("--to-txid", str(txid)) if rng.random() < 0.5 \
            else ("--to-time", at(now + 0.001))
        with bucket.restore(*option) as restored:
            restored.start()
            found = read(restored)
        difference = state.difference(expected, found)
        assert difference is None, (seed, option, difference)
    # It was not a chain of single files only.
    assert {0, 1} <= set(levels), levels.keys()


def test_before_the_beginning(begin, bucket):
    server = begin(bucket)
    place.wait_shipped(server.connect())
    done = bucket.tool("restore", "--to-time", "2001-01-01T00:00:00Z",
                       bucket.url, "/tmp/never.db")
    assert done.returncode != 0 and done.stderr


def test_an_existing_file_is_not_overwritten(begin, bucket, tmp_path):
    server = begin(bucket)
    place.wait_shipped(server.connect())
    target = tmp_path / "there.db"
    target.write_text("precious")
    done = bucket.tool("restore", bucket.url, str(target))
    assert done.returncode != 0 and str(target) in done.stderr
    assert target.read_text() == "precious"


def test_keeper_keeps_it_small(begin, bucket):
    """Compactions, snapshots and deletes; and what is left is a whole."""
    server = begin(bucket, durability="bucket", fold_idle_ms=50,
                   **{name.replace("-", "_"): value
                      for name, value in place.BUSY_KEEPER.items()})
    client = server.connect()
    until = time.monotonic() + 12
    count = 0
    while time.monotonic() < until:
        client.call("SET", f"k{count % 100}", str(count) * 20)
        count += 1
        time.sleep(0.005)
    now = place.info(client)
    assert now["compactions"] >= 5 and now["snapshots"] >= 2, now
    assert now["deletes"] > 100, now
    levels = bucket.levels()
    assert len(levels[0]) < now["shipped_txid"], levels
    server.kill()
    server.remove()
    done = bucket.tool("verify", bucket.url)
    assert done.returncode == 0, done.stderr
    other = begin(bucket).connect()
    assert other.call("GET", f"k{(count - 1) % 100}") == \
        (str(count - 1) * 20).encode()


def test_ls_shows_every_file(begin, bucket):
    server = begin(bucket)
    place.wait_shipped(server.connect())
    done = bucket.tool("ls", bucket.url)
    count = sum(1 for name in bucket.names() if name.endswith(".ltx"))
    assert done.returncode == 0 and f"{count} files" in done.stdout
