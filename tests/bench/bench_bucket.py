#!/usr/bin/env python3
"""Figures with a bucket: a local Ceph gateway, everything on one machine.

  raw PUT      one connection, 4 KiB, signed by hand: what the gateway can do
  bucket       SET at durability bucket, 1, 50 and 500 connections, and 50 with
               pipelines of 16, by redis-benchmark
  disk         SET at durability disk with and without shipping: the slow-down,
               of pairs of runs
  restore      of a large database, beside curl fetching the same objects in
               parallel
  idle         requests in a quiet time, as INFO counts them

--quick takes small amounts.  The gateway and the load share the processors
with Walden: compare with the raw figures, not with other machines.
"""

import argparse
import http.client
import os
import pathlib
import re
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


def raw_put(client, bucket, seconds):
    """(PUT/s, p50 ms, p99 ms) on one kept connection."""
    body = os.urandom(4096)
    connection = http.client.HTTPConnection("127.0.0.1", client.port)
    took = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        path = f"/{bucket}/raw/{len(took)}"
        fields = client._sign(  # pylint: disable=protected-access
            "PUT", path, "", body)
        began = time.monotonic()
        connection.request("PUT", path, body, fields)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"PUT: {answer.status}")
        took.append((time.monotonic() - began) * 1000)
    connection.close()
    took.sort()
    return (len(took) / seconds, statistics.median(took),
            took[len(took) * 99 // 100])


def benchmark(server, clients, count, pipeline=1, size=100):
    """redis-benchmark's SET: (requests/s, p50 ms, p99 ms)."""
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-c", str(clients), "-n",
         str(count), "-P", str(pipeline), "-d", str(size), "-r", "100000",
         "-t", "set", "--csv"], capture_output=True, text=True, timeout=300,
        check=True)
    row = [field.strip('"') for field in
           done.stdout.strip().splitlines()[-1].split(",")]
    # test, rps, avg, min, p50, p95, p99, max
    return float(row[1]), float(row[4]), float(row[6])


def show(name, figures, remark=""):
    rate, p50, p99 = figures
    print(f"{name:<34} {rate:>10,.0f}/s   p50 {p50:7.2f} ms   "
          f"p99 {p99:7.2f} ms   {remark}", flush=True)


def bench_bucket_level(where, scale, raw_p50):
    with where.server(durability="bucket", maxclients=1000) as server:
        server.start(timeout=60)
        for clients, count, pipeline in ((1, 1500, 1), (50, 60000, 1),
                                         (500, 100000, 1), (50, 400000, 16)):
            figures = benchmark(server, clients, int(count * scale), pipeline)
            show(f"SET bucket, {clients} conns, pipeline {pipeline}", figures,
                 f"p50 {figures[1] / raw_p50:.2f} raw PUTs")


def bench_slowdown(client, scale, pairs):
    ratios = []
    for _ in range(pairs):
        rates = []
        for is_shipped in (False, True):
            where = harness.new_place(client, "slow")
            server = where.server(bucket_sync_interval=1000)
            if not is_shipped:
                server.directives = {}
            with server:
                server.start(timeout=60)
                rates.append(benchmark(server, 50, int(200000 * scale)))
        ratios.append(rates[1][0] / rates[0][0])
        show("SET disk, 50 conns, no bucket", rates[0])
        show("SET disk, 50 conns, shipping", rates[1],
             f"ratio {ratios[-1]:.2f}")
    print(f"{'shipping costs':<34} {1 - statistics.median(ratios):>10.1%}   "
          f"(median of {pairs} pairs)", flush=True)


def fill(where, megabytes):
    """A database of random bytes, shipped; then idle for a while."""
    with where.server(journal_fold_size="64mb") as server:
        server.start(timeout=60)
        client = server.connect()
        for number in range(megabytes):
            client.pipeline(
                ("SET", f"{number}:{part}", os.urandom(10240))
                for part in range(100))
        client.call("SAVE")
        place.wait_shipped(client, 300)
        idle(client)
        if server.stop(timeout=300) != 0:
            raise RuntimeError(server.tail())


def idle(client):
    def requests():
        return sum(value for name, value in place.info(client).items()
                   if name.startswith("requests_"))

    # What is due because of the load comes first.
    time.sleep(40)
    before = requests()
    time.sleep(20)
    print(f"{'requests in 20 idle seconds':<34} {requests() - before:>10}",
          flush=True)


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


def bench_restore(client, megabytes):
    where = harness.new_place(client, "large")
    fill(where, megabytes)
    sizes = where.names()
    names = chain(sizes)
    total = sum(sizes[name] for name in names) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        took = fetch_with_curl(where, names, folder)
    print(f"{'curl, 8 at a time':<34} {total / took:>10.0f} MB/s ({total:.0f} "
          f"MB in {len(names)} objects)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        done = where.tool("restore", where.url, folder + "/walden.db",
                          timeout=600)
        took = time.monotonic() - began
    text = re.findall(r"txid .*", done.stdout)[-1:] or [done.stderr]
    print(f"{'walden restore':<34} {total / took:>10.0f} MB/s ({text[0]})",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="level,disk,restore",
                        help="parts, of level,disk,restore")
    args = parser.parse_args()
    servers.WALDEN = os.path.abspath(args.server)
    scale = 0.1 if args.quick else 1
    parts = args.only.split(",")
    with harness.gateway(args.ceph) as client:
        where = harness.new_place(client, "bench")
        raw = raw_put(client, where.bucket, 1 if args.quick else 4)
        show("raw PUT of 4 KiB, 1 connection", raw)
        if "level" in parts:
            bench_bucket_level(where, scale, raw[1])
        if "disk" in parts:
            bench_slowdown(client, scale, 1 if args.quick else 3)
        if "restore" in parts:
            bench_restore(client, 100 if args.quick else 2000)


if __name__ == "__main__":
    main()
