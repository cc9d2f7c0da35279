#!/usr/bin/env python3
"""Figures with a bucket: a local Ceph gateway, everything on one machine.

  level    SET at durability bucket by redis-benchmark: 1, 50 and 500
           connections, and 50 with pipelines of 16.  Each run is followed by
           raw PUTs of objects as large as its uploads were, by one connection
           that is kept, signed by hand: what the gateway can do.  Rounds of
           all loads; medians, and of the ratios the median too
  disk     SET at durability disk with and without shipping: the slow-down, of
           pairs of runs, each of the two first in every other pair
  idle     requests in a quiet time, as INFO counts them
  restore  of a large database, beside curl fetching the same objects in
           parallel, and a file of the database's size written and synced

--quick takes small amounts.  The gateway and the load share the processors
with Walden: compare with the raw figures, not with other machines.
"""

import argparse
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "bucket"))
import harness  # noqa: E402
import place  # noqa: E402
import servers  # noqa: E402


def read_status(sock):
    """The status of an answer without a body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            raise RuntimeError("the gateway hung up")
        data += part
    return int(data.split(b" ", 2)[1])


def raw_put(client, bucket, size, seconds):
    """(PUT/s, p50 ms, p99 ms) of new objects on one kept connection: as lean
    as a client can be, one send() and one recv() each."""
    body = os.urandom(size)
    took = []
    run = time.time_ns()
    with socket.create_connection(("127.0.0.1", client.port), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            path = f"/{bucket}/raw/{run}/{len(took)}"
            fields = client._sign(  # pylint: disable=protected-access
                "PUT", path, "", body)
            fields["content-length"] = size
            fields["if-none-match"] = "*"  # as Walden's are
            head = "".join(f"{name}: {value}\r\n"
                           for name, value in fields.items())
            text = f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode() + body
            began = time.monotonic()
            sock.sendall(text)
            status = read_status(sock)
            took.append((time.monotonic() - began) * 1000)
            if status != 200:
                raise RuntimeError(f"PUT: {status}")
    took.sort()
    return (len(took) / seconds, statistics.median(took),
            took[len(took) * 99 // 100])


def benchmark(server, clients, count, pipeline=1, size=100):
    """redis-benchmark's SET: (replies/s, p50 ms, p99 ms)."""
    connection = server.connect()
    errors = error_replies(connection)
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-c", str(clients), "-n",
         str(count), "-P", str(pipeline), "-d", str(size), "-r", "100000",
         "-t", "set", "--csv"], capture_output=True, text=True, timeout=300,
        check=True)
    # It counts errors as replies.
    if error_replies(connection) != errors:
        raise RuntimeError("SET was answered with errors")
    connection.close()
    row = [field.strip('"') for field in
           done.stdout.strip().splitlines()[-1].split(",")]
    # test, rps, avg, min, p50, p95, p99, max
    return float(row[1]), float(row[4]), float(row[6])


def error_replies(connection):
    text = connection.call("INFO", "stats").decode()
    return int(re.search(r"total_error_replies:(\d+)", text).group(1))


def show(name, figures, remark=""):
    rate, p50, p99 = figures
    print(f"{name:<34} {rate:>10,.0f}/s   p50 {p50:7.2f} ms   "
          f"p99 {p99:7.2f} ms   {remark}".rstrip(), flush=True)


def medians(runs):
    return tuple(statistics.median(column) for column in zip(*runs))


# connections, SETs, pipeline
LOADS = ((1, 1500, 1), (50, 40000, 1), (500, 60000, 1), (50, 400000, 16))


def level_round(where, server, load, scale, seconds):
    """One run of a load and the raw PUTs after it; what INFO counted."""
    clients, count, pipeline = load
    count = int(count * scale)
    connection = server.connect()
    before = place.info(connection)
    figures = benchmark(server, clients, count, pipeline)
    after = place.info(connection)
    connection.close()
    puts, sent = (after[name] - before[name]
                  for name in ("requests_put", "bytes_sent"))
    # An upload acknowledges at most what all connections had sent before it.
    if puts == 0 or count / puts > clients * pipeline:
        raise RuntimeError(f"{count} SETs were acknowledged by {puts} PUTs")
    raw = raw_put(where.client, where.bucket, sent // puts, seconds)
    return figures, raw, (count / puts, sent / puts)


def bench_bucket_level(where, scale, rounds):
    runs = {load: [] for load in LOADS}
    with where.server(durability="bucket", maxclients=1000) as server:
        server.start(timeout=60)
        for _ in range(rounds):
            for load in LOADS:
                runs[load].append(level_round(
                    where, server, load, scale, 1 if scale < 1 else 2))
    for load, results in runs.items():
        figures, raws, counts = zip(*results)
        ratio = statistics.median(
            figure[1] / raw[1] for figure, raw in zip(figures, raws))
        shared, size = medians(counts)
        show(f"SET bucket, {load[0]} conns, pipeline {load[2]}",
             medians(figures),
             f"p50 {ratio:.2f} raw PUTs; {shared:.0f} SETs a PUT")
        show(f"  raw PUT of {size:.0f} bytes", medians(raws))


def bench_slowdown(client, scale, pairs):
    ratios, all_rates = [], {False: [], True: []}
    for pair in range(pairs):
        rates = {}
        for is_shipped in (False, True) if pair % 2 == 0 else (True, False):
            where = harness.new_place(client, "slow")
            server = where.server(bucket_sync_interval=1000)
            if not is_shipped:
                server.directives = {}
            with server:
                server.start(timeout=60)
                rates[is_shipped] = benchmark(server, 50, int(200000 * scale))
            all_rates[is_shipped].append(rates[is_shipped])
        ratios.append(rates[True][0] / rates[False][0])
    show("SET disk, 50 conns, no bucket", medians(all_rates[False]))
    show("SET disk, 50 conns, shipping", medians(all_rates[True]))
    print(f"{'shipping costs':<34} {1 - statistics.median(ratios):>10.1%}   "
          f"(median of {pairs} pairs: "
          f"{' '.join(f'{ratio:.2f}' for ratio in ratios)})", flush=True)


def bench_idle(client, seconds):
    """Compactions of all levels, which the load has made due, come first."""
    where = harness.new_place(client, "idle")
    with where.server(bucket_compaction_intervals="1 2 4") as server:
        server.start(timeout=60)
        benchmark(server, 50, 50000)
        connection = server.connect()
        place.wait_shipped(connection, 60)
        time.sleep(15)
        before = requests(connection)
        time.sleep(seconds)
        print(f"{f'requests in {seconds} idle seconds':<34} "
              f"{requests(connection) - before:>10}   (of {before} for the "
              f"load)", flush=True)


def requests(connection):
    return sum(value for name, value in place.info(connection).items()
               if name.startswith("requests_"))


def fill(where, megabytes):
    """A database of random bytes, shipped."""
    with where.server(journal_fold_size="64mb") as server:
        server.start(timeout=60)
        client = server.connect()
        for number in range(megabytes):
            client.pipeline(
                ("SET", f"{number}:{part}", os.urandom(10240))
                for part in range(100))
        client.call("SAVE")
        place.wait_shipped(client, 300)
        if server.stop(timeout=300) != 0:
            raise RuntimeError(server.tail())


def chain(names):
    """The objects a restore reads: what reaches furthest, without a gap."""
    files = [(int(name[5:21], 16), int(name[22:38], 16), name)
             for name in names if name.endswith(".ltx")]
    picked, reached = [], 0
    while following := [file for file in files
                        if file[0] <= reached + 1 and file[1] > reached]:
        best = max(following, key=lambda file: file[1])
        picked.append(best[2])
        reached = best[1]
    return picked


def fetch_with_curl(where, names, folder):
    """Seconds that curl takes for these objects, 8 at a time."""
    config = os.path.join(folder, "curl.conf")
    with open(config, "w", encoding="ascii") as file:
        for number, name in enumerate(names):
            file.write(f'url = "{where.endpoint}/{where.bucket}/'
                       f'{where.prefix}/{name}"\n'
                       f'output = "{folder}/{number}.ltx"\n')
    began = time.monotonic()
    subprocess.run(
        ["curl", "-s", "-f", "--noproxy", "*", "--parallel", "--parallel-max",
         "8", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u",
         f"{where.client.access_key}:{where.client.secret_key}", "-H",
         "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-K", config], check=True,
        timeout=600, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def write_plainly(folder, size):
    """Seconds to write so many bytes to a new file and have them synced."""
    piece = os.urandom(1 << 20)
    began = time.monotonic()
    with open(os.path.join(folder, "plain"), "wb", buffering=0) as file:
        for _ in range(0, size, len(piece)):
            file.write(piece)
        os.fsync(file.fileno())
    return time.monotonic() - began


def restore(where, folder):
    """(seconds, bytes of the database)"""
    path = folder + "/walden.db"
    began = time.monotonic()
    done = where.tool("restore", where.url, path, timeout=600)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return took, os.path.getsize(path)


def bench_restore(client, megabytes, rounds):
    """A restore waits for the network or for the disk, whichever is slower:
    both are measured beside it."""
    where = harness.new_place(client, "large")
    fill(where, megabytes)
    sizes = where.names()
    names = chain(sizes)
    total = sum(sizes[name] for name in names) / 1e6
    curl, disk, ours, parts = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            curl.append(total / fetch_with_curl(where, names, folder))
        with tempfile.TemporaryDirectory() as folder:
            took, size = restore(where, folder)
        ours.append(total / took)
        with tempfile.TemporaryDirectory() as folder:
            disk.append(total / write_plainly(folder, size))
        parts.append(ours[-1] / min(curl[-1], disk[-1]))
    print(f"{total:.0f} MB in {len(names)} objects, a database of "
          f"{size / 1e6:.0f} MB; medians of {rounds}")
    for what, rates in (("curl, 8 at a time, not synced", curl),
                        ("the database written and synced", disk),
                        ("walden restore", ours)):
        print(f"{what:<34} {statistics.median(rates):>10.0f} MB/s fetched")
    print(f"{'of the slower of the two':<34} "
          f"{100 * statistics.median(parts):>10.0f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="level,disk,idle,restore",
                        help="parts, of level,disk,idle,restore")
    parser.add_argument("--rounds", type=int, default=None,
                        help="of level, and pairs of disk (5; quick: 1)")
    args = parser.parse_args()
    servers.WALDEN = os.path.abspath(args.server)
    scale = 0.1 if args.quick else 1
    rounds = args.rounds or (1 if args.quick else 5)
    parts = args.only.split(",")
    with harness.gateway(args.ceph) as client:
        if "level" in parts:
            bench_bucket_level(harness.new_place(client, "bench"), scale,
                               rounds)
        if "disk" in parts:
            bench_slowdown(client, scale, rounds)
        if "idle" in parts:
            bench_idle(client, 20 if args.quick else 60)
        if "restore" in parts:
            bench_restore(client, 100 if args.quick else 2000,
                          min(rounds, 3))


if __name__ == "__main__":
    main()
