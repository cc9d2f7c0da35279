#!/usr/bin/env python3
"""Walden beside redis-server: paired, interleaved runs, medians, ratios.

Both servers stand on the same disk.  Each load runs several times, on one
server and then at once on the other, in changing order; what is printed is
the median of each and the median of the ratios of the pairs.  Absolute figures
are those of the machine; the ratios are what to look at.

Values differ from one request to the next: what does not change a row costs
SQLite nothing.

  --quick          shorter, for a look; figures scatter
  --only NAME      one load (may be given again); --list prints the names
  --dir FOLDER     on which disk (default: build/bench)

A table in Markdown goes to standard output, progress to standard error.
"""

import argparse
import contextlib
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "tools"))
import servers  # noqa: E402

SHIM = servers.ROOT / "build" / "iofault.so"
KEYS = 100_000
# redis-benchmark puts twelve digits in place of __rand_int__: 100 bytes.
VALUE = "__rand_int__" + "v" * 88
SLOW_SYNC_US = 5000

LOADS = {}


def load(title, aim, against="always", **options):
    """Register a function as a load.  aim: the ratio wanted, as text."""
    def register(function):
        LOADS[function.__name__] = dict(
            function=function, title=title, aim=aim, against=against,
            **options)
        return function
    return register


class Bench:
    """The servers of one durability, and how to run a load on one."""

    def __init__(self, args, against, slow=False):
        self.args = args
        self.servers = {}
        for name in ("redis", "walden"):
            folder = os.path.join(args.dir, f"{name}-{against}-{slow}")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            env = {}
            if slow:
                if not SHIM.exists():  # it would be a quick disk, unnoticed
                    sys.exit(f"no {SHIM}: make build/iofault.so")
                env = {"LD_PRELOAD": str(SHIM), "IOFAULT_MATCH": folder,
                       "IOFAULT_DELAY_US": str(SLOW_SYNC_US)}
            if name == "walden":
                server = servers.Server(args.server, {}, folder, env=env)
            else:
                directives = {"save": "", "appendonly": "no"}
                if against == "always":
                    directives.update(appendonly="yes", appendfsync="always")
                server = servers.Server(
                    servers.redis_server(), directives, folder, env=env)
            server.start()
            self.servers[name] = server

    def fill(self, count=KEYS):
        """The keys that GET asks for."""
        for server in self.servers.values():
            connection = server.connect()
            for first in range(0, count, 1000):
                connection.call("MSET", *[
                    x for i in range(first, min(first + 1000, count))
                    for x in (f"key:{i:012d}", f"{i:012d}" + "v" * 88)])
            connection.close()

    def close(self):
        for server in self.servers.values():
            server.kill()
            shutil.rmtree(server.folder, ignore_errors=True)


def benchmark_command(server, count, clients, pipeline, command,
                      keys=KEYS):
    return ["redis-benchmark", "-p", str(server.port), "--csv", "-r",
            str(keys), "-n", str(count), "-c", str(clients), "-P",
            str(pipeline), *command]


def benchmark(server, count, clients, pipeline, *command, keys=KEYS):
    """Run redis-benchmark; {"rps": requests a second, "p50": ms}."""
    done = subprocess.run(
        benchmark_command(server, count, clients, pipeline, command, keys),
        stdout=subprocess.PIPE, text=True, check=True)
    rows = done.stdout.splitlines()
    # A custom command's own text is in the first column, quoted.
    fields = [field.strip('"') for field in rows[-1].rsplit(",", 7)]
    return {"rps": float(fields[1]), "p50": float(fields[4])}


@contextlib.contextmanager
def writers(server, clients=8):
    """SET from that many clients for as long as the block lasts."""
    process = subprocess.Popen(
        benchmark_command(server, 1_000_000_000, clients, 1,
                          ["SET", "key:__rand_int__", VALUE]),
        stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def simple(title, aim, count, clients, pipeline, *command, **options):
    """A load that is one redis-benchmark run."""
    def run(bench, server):
        return benchmark(server, count // bench.args.divide, clients,
                         pipeline, *command)
    run.__name__ = options.pop("name")
    load(title, aim, **options)(run)


SET = ("SET", "key:__rand_int__", VALUE)
GET = ("GET", "key:__rand_int__")
simple("SET, 50 clients", "1.0", 400_000, 50, 1, *SET, name="set")
simple("SET, 50 clients, pipeline 16", "1.3", 2_000_000, 50, 16, *SET,
       name="set_pipeline")
simple("GET, 50 clients", "1.0", 600_000, 50, 1, *GET, name="get")
simple("GET, 50 clients, pipeline 16", "1.0", 4_000_000, 50, 16, *GET,
       name="get_pipeline")
simple("INCR, 50 clients", "1.0", 400_000, 50, 1, "INCR",
       "counter:__rand_int__", name="incr")
simple("HSET, 50 clients", "1.0", 400_000, 50, 1, "HSET",
       "hash:__rand_int__", "field", VALUE, name="hset")
simple("MSET 10 keys, 50 clients", "1.0", 150_000, 50, 1, "MSET",
       *(x for _ in range(10) for x in ("key:__rand_int__", VALUE)),
       name="mset")
simple("GET, 50 clients; no persistence", "0.95", 600_000, 50, 1, *GET,
       name="get_none", against="none")
simple("GET, 50 clients, pipeline 16; no persistence", "0.95", 4_000_000, 50,
       16, *GET, name="get_none_pipeline", against="none")


@load("LPUSH, 50 clients", "1.0")
def lpush(bench, server):
    """Leaves what rpop takes."""
    return benchmark(server, 400_000 // bench.args.divide, 50, 1,
                     "LPUSH", "list", VALUE)


@load("RPOP, 50 clients", "1.0")
def rpop(bench, server):
    """From a list that is long enough."""
    count = 400_000 // bench.args.divide
    connection = server.connect()
    missing = count - connection.call("LLEN", "list")
    for _ in range(0, max(missing, 0), 1000):
        connection.call("LPUSH", "list", *[
            f"{random.getrandbits(39):012d}" + "v" * 88] * 1000)
    connection.close()
    return benchmark(server, count, 50, 1, "RPOP", "list")


@load("SET, 1 client: p50 ms (redis / walden)", "0.91", measure="p50")
def set_one(bench, server):
    """Latency of a lone client."""
    return benchmark(server, 20_000 // bench.args.divide, 1, 1, *SET)


def beside(bench, server):
    """GET while 8 clients SET."""
    with writers(server):
        return benchmark(server, 300_000 // bench.args.divide, 50, 1, *GET)


def beside_slow(bench, server):
    """The same, where every fdatasync takes 5 ms longer."""
    with writers(server):
        # Against appendfsync always this is slow: few requests do.
        return benchmark(server, 30_000 // bench.args.divide, 50, 1, *GET)


load("GET, 50 clients, beside 8 SET writers", "1.2", name="get_beside")(beside)
LOADS["get_beside"] = LOADS.pop("beside")
load("the same: p50 ms (redis / walden)", "1.2", measure="p50")(beside)
LOADS["get_beside_p50"] = LOADS.pop("beside")
load("GET beside 8 SET writers, fdatasync + 5 ms", "5", slow=True)(beside_slow)
LOADS["get_beside_slow"] = LOADS.pop("beside_slow")
load("the same: p50 ms (redis / walden)", "5", slow=True,
     measure="p50")(beside_slow)
LOADS["get_beside_slow_p50"] = LOADS.pop("beside_slow")


def note(text):
    print(text, file=sys.stderr, flush=True)


def run_pairs(bench, name, what):
    """Medians of both, and the median ratio of the pairs."""
    measure = what.get("measure", "rps")
    results = {"redis": [], "walden": []}
    ratios = []
    for number in range(bench.args.rounds):
        order = ["redis", "walden"]
        if number % 2:
            order.reverse()
        this = {}
        for which in order:
            this[which] = what["function"](bench, bench.servers[which])
            results[which].append(this[which][measure])
        ours, theirs = this["walden"][measure], this["redis"][measure]
        ratio = ours / theirs if measure == "rps" else theirs / ours
        ratios.append(ratio)
        note(f"  {name} {number + 1}/{bench.args.rounds}: redis "
             f"{theirs:.4g}, walden {ours:.4g}, ratio {ratio:.2f}")
    return (statistics.median(results["redis"]),
            statistics.median(results["walden"]), statistics.median(ratios))


def shown(value, measure):
    if measure == "p50":
        return f"{value:.3f} ms"
    return f"{value / 1000:.1f} k/s"


def paired_rows(args, wanted):
    """Rows of the paired loads, grouped by the servers they need."""
    groups = {}
    for name in wanted:
        what = LOADS[name]
        groups.setdefault((what["against"], what.get("slow", False)),
                          []).append(name)
    for (against, slow), names in groups.items():
        note(f"== redis-server {against}{', slow disk' if slow else ''}")
        bench = Bench(args, against, slow)
        try:
            bench.fill()
            for name in names:
                what = LOADS[name]
                theirs, ours, ratio = run_pairs(bench, name, what)
                measure = what.get("measure", "rps")
                yield (what["title"], shown(theirs, measure),
                       shown(ours, measure), f"{ratio:.2f}x",
                       f">= {what['aim']}x",
                       "yes" if ratio >= float(what["aim"]) else "**no**")
        finally:
            bench.close()


# ---- loads that are not pairs -------------------------------------------------

def status_kb(process, field):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def verdict(is_good):
    return "yes" if is_good else "**no**"


def info(server):
    """INFO as a dict of strings."""
    connection = server.connect()
    text = connection.call("INFO", "everything").decode()
    connection.close()
    return dict(line.split(":", 1) for line in text.splitlines()
                if ":" in line)


def large(args):
    """A data set of 5 GB in 256 MB: reads, memory, start-up."""
    size_mb = 5000 // (10 if args.quick else 1)
    keys = size_mb * 1000
    folder = os.path.join(args.dir, "large")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    server = servers.Server(args.server, {"maxmemory": "256mb"}, folder)
    server.start()
    try:
        note(f"== {keys} keys of 1,000 bytes")
        connection = server.connect(600)
        began = time.monotonic()
        tail = "v" * 988
        for first in range(0, keys, 2000):
            connection.pipeline(
                ["MSET"] + [x for i in range(start, start + 100) for x in
                            (f"key:{i:012d}",
                             f"{random.getrandbits(39):012d}" + tail)]
                for start in range(first, first + 2000, 100))
        seconds = time.monotonic() - began
        note(f"  loaded in {seconds:.0f} s")
        connection.call("SAVE")
        connection.close()
        rates = []
        for _ in range(args.rounds):
            # The page cache is to be warm, and a kernel may have reclaimed
            # what nobody read for a moment.
            with open(os.path.join(folder, "walden.db"), "rb") as file:
                while file.read(1 << 20):
                    pass
            rates.append(benchmark(server, 300_000 // args.divide, 50, 1, *GET,
                                   keys=keys)["rps"])
        rate = statistics.median(rates)
        memory = status_kb(server.process, "VmHWM") / 1024
        name = f"{size_mb / 1000:g} GB, maxmemory 256mb"
        yield (f"{name}: load", "", f"{size_mb / seconds:.0f} MB/s", "", "",
               "")
        yield (f"{name}: uniform random GET", "", f"{rate / 1000:.1f} k/s",
               "", ">= 30 k/s", verdict(rate >= 30_000))
        yield (f"{name}: largest resident memory", "", f"{memory:.0f} MB", "",
               "< 600 MB", verdict(memory < 600))
        server.stop(600)
        seconds = server.start()
        yield (f"{name}: start-up after SIGTERM", "", f"{seconds:.2f} s", "",
               "< 1 s", verdict(seconds < 1))
        fill_journal(server, keys)
        server.kill()
        seconds = server.start(timeout=120)
        yield (f"{name}: start-up after SIGKILL, journal full", "",
               f"{seconds:.2f} s", "", "< 10 s", verdict(seconds < 10))
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def journal_size_max(connection):
    """The most a journal may hold, in bytes."""
    for name in ("journal-size-max", "journal-fold-size"):
        reply = connection.call("CONFIG", "GET", name)
        if reply and int(reply[1]) > 0:
            return int(reply[1])
    return 64 << 20


def fill_journal(server, keys):
    """Random writes until folding is about to be forced."""
    connection = server.connect(600)
    most = journal_size_max(connection)
    connection.call("CONFIG", "SET", "journal-fold-size", most)
    connection.call("CONFIG", "SET", "fold-idle-ms", -1)
    written = 0
    while written < 0.9 * most:
        connection.pipeline(
            ("SET", f"key:{random.randrange(keys):012d}",
             f"{random.getrandbits(39):012d}" + "w" * 988)
            for _ in range(500))
        written += 500 * 1030
    connection.close()
    note(f"  journal holds {written >> 20} MB of {most >> 20}")


def idle_clients(args):
    """What 10,000 clients that do nothing cost."""
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        note(f"== idle clients: only {hard} files allowed, skipped")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    costs = {}
    bench = Bench(args, "none")
    try:
        for name, server in bench.servers.items():
            connection = server.connect()
            connection.call("CONFIG", "SET", "maxclients", count + 100)
            before = status_kb(server.process, "VmRSS")
            connections = [server.connect() for _ in range(count)]
            for each in connections:
                if each.call("PING") != b"PONG":
                    raise RuntimeError(f"{name}: a client was refused")
            costs[name] = (status_kb(server.process, "VmRSS") - before) / 1024
            for each in connections:
                each.close()
    finally:
        bench.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield ("10,000 idle clients: memory", f"{costs['redis']:.0f} MB",
           f"{costs['walden']:.0f} MB", "", "< 100 MB",
           verdict(costs["walden"] < 100))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_calls(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        counts = dict(line.split(": ") for line in file.read().splitlines())
    return int(counts["syscw"]), int(counts["write_bytes"])


def idle(args):
    """Processor and writes of a server that nobody talks to."""
    seconds = 10 if args.quick else 60
    bench = Bench(args, "always")
    try:
        bench.fill()
        # Time to fold what the load left.
        time.sleep(10)
        before = {name: (cpu_seconds(s.process.pid),
                         write_calls(s.process.pid)[1])
                  for name, s in bench.servers.items()}
        time.sleep(seconds)
        cpu, writes = {}, {}
        for name, server in bench.servers.items():
            cpu[name] = 100 * (cpu_seconds(server.process.pid)
                               - before[name][0]) / seconds
            writes[name] = (write_calls(server.process.pid)[1]
                            - before[name][1])
    finally:
        bench.close()
    yield ("idle: processor", f"{cpu['redis']:.2f} %", f"{cpu['walden']:.2f} %",
           "", "< 0.5 %", verdict(cpu["walden"] < 0.5))
    yield (f"idle: bytes written in {seconds} s", str(writes["redis"]),
           str(writes["walden"]), "", "0", verdict(writes["walden"] == 0))


OTHERS = {"large": large, "idle_clients": idle_clients, "idle": idle}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=servers.WALDEN)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--only", action="append",
                        choices=list(LOADS) + list(OTHERS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--dir", default=str(servers.ROOT / "build/bench"))
    args = parser.parse_args()
    if args.list:
        print("\n".join(list(LOADS) + list(OTHERS)))
        return 0
    args.server = os.path.abspath(args.server)
    args.divide = 10 if args.quick else 1
    args.rounds = args.rounds or (3 if args.quick else 5)
    wanted = args.only or list(LOADS) + list(OTHERS)
    rows = list(paired_rows(args, [n for n in wanted if n in LOADS]))
    for name in wanted:
        if name in OTHERS:
            rows += list(OTHERS[name](args))
    print("| load | redis-server | walden | ratio | aim | met |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    shutil.rmtree(args.dir, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
