"""B5: while nothing changes nothing is asked of the bucket."""

import time

import place


def test_idle_asks_for_nothing(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_compaction_intervals="1 2 4",
                   bucket_level0_retention=2, bucket_snapshot_interval=4,
                   fold_idle_ms=100)
    client = server.connect()
    for n in range(50):
        client.call("SET", f"k{n}", "x")
    place.wait_shipped(client)
    # What is due because of these writes comes first: compactions, deletes.
    time.sleep(12)
    proxy.reset()
    assert client.call("GET", "k1") == b"x"
    client.call("INFO")
    time.sleep(8)
    assert proxy.requests() == 0, proxy.counts()


def test_uploads_per_minute(begin, behind_proxy, proxy):
    server = begin(behind_proxy, bucket_sync_interval=10,
                   bucket_uploads_per_minute=30)
    client = server.connect()
    proxy.reset()
    until = time.monotonic() + 6
    while time.monotonic() < until:
        client.call("INCR", "n")
        time.sleep(0.005)
    # 30 a minute are 3 in 6 s; a burst at the beginning is fine.
    assert proxy.counts()["requests"].get("PUT", 0) <= 31
