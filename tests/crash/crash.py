#!/usr/bin/env python3
"""Kills the server again and again and looks for acknowledged writes it lost.

One cycle: start the server on the same folder, write through many connections
at once, kill it, start it again, compare.  The kill is SIGKILL at a random
moment, or the server's own at the nth passage of a named fault point
(WALDEN_FAULT, debug builds), also while it recovers; sometimes it is SIGTERM.

What is checked after each cycle:

  - Private writers: each connection has two databases to itself and sends
    pipelines of commands and transactions.  What is found must be the state
    after exactly k of its units, acknowledged <= k <= sent: nothing
    acknowledged is missing, nothing is half there, nothing is out of order.
  - Shared writers: transactions that count twice and log once; the two
    counters and the log agree, for whoever reads them at any time, and no
    number that was ever told to anybody is taken back (R1).
  - A queue: what a blocked client was given never comes back; what was pushed
    and not given to anybody is still there.
  - Now and then a copy of the database file passes SQLite's integrity check.

A failure prints the seed and the command that reproduces it, and keeps the
folder.  --self-test runs against a server that is told to acknowledge before
it writes (--durability memory) and fails unless losses are found.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "tools"))
import resp  # noqa: E402
import servers  # noqa: E402
import state  # noqa: E402
from model import Model  # noqa: E402

WRITERS = 6
SHARED = 3
# Where the shared keys live; writers have the databases from 1 on.
SHARED_DB = 0


class Lost(Exception):
    """The promise is broken."""


def now_ms():
    return int(time.time() * 1000)


class Client:
    """A non-blocking connection that keeps a pipeline going."""

    def __init__(self, port):
        self.connection = servers.Connection(port)
        self.sock = self.connection.sock
        self.parser = resp.Parser()
        self.out = b""
        self.is_open = True

    def wants_to_write(self):
        return self.is_open and bool(self.out)

    def write(self):
        try:
            sent = self.sock.send(self.out)
            self.out = self.out[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False

    def read(self):
        """What arrived, as replies; everything that was received counts as
        acknowledged, also what came right before the connection broke."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.is_open = False
            return []
        self.parser.feed(data)
        return self.parser.take()


class Writer(Client):
    """A private writer: its units, and the model of what is acknowledged."""

    def __init__(self, port, number, model, rng):
        super().__init__(port)
        self.number = number
        self.acked = model
        self.ahead = model.copy()
        self.rng = rng
        self.db = None
        self.pending = collections.deque()  # units sent or in self.out
        self.waiting = collections.deque()  # kinds of replies to come
        self.acknowledged = 0

    def refill(self):
        if self.pending:
            return
        requests = []
        for _ in range(self.rng.choice((1, 1, 2, 5, 10, 30))):
            unit = self.ahead.random_unit(self.rng, now_ms())
            self.ahead.apply(unit)
            self.pending.append(unit)
            db = self.acked.first_db + unit[0][0]
            if db != self.db:
                requests.append((b"SELECT", b"%d" % db))
                self.waiting.append("skip")
                self.db = db
            commands = [command for _, command in unit]
            if len(commands) > 1:
                requests.append((b"MULTI",))
                self.waiting.append("skip")
                requests += commands
                self.waiting.extend(["skip"] * len(commands))
                requests.append((b"EXEC",))
            else:
                requests += commands
            self.waiting.append("unit")
        self.out += b"".join(resp.encode(args) for args in requests)

    def take(self, replies):
        for reply in replies:
            if isinstance(reply, resp.Error) and not is_harmless(reply):
                raise Lost(f"writer {self.number}: {reply!r} for "
                           f"{shown(self.pending[0])}")
            if self.waiting.popleft() == "unit":
                self.acked.apply(self.pending.popleft())
                self.acknowledged += 1


class SharedWriter(Client):
    """Counts twice and logs once, in one transaction at a time."""

    def __init__(self, port, number, history):
        super().__init__(port)
        self.number = number
        self.history = history
        self.waiting = 0
        self.out = resp.encode((b"SELECT", b"%d" % SHARED_DB))
        self.skip = 1

    def refill(self):
        if self.waiting:
            return
        for _ in range(3):
            self.history.sent[self.number] += 1
            entry = b"%d:%d" % (self.number, self.history.sent[self.number])
            self.out += b"".join(resp.encode(args) for args in (
                (b"MULTI",), (b"INCR", b"one"), (b"RPUSH", b"log", entry),
                (b"INCR", b"two"), (b"EXEC",)))
            self.waiting += 5

    def take(self, replies):
        for reply in replies:
            if self.skip:
                self.skip -= 1
                continue
            self.waiting -= 1
            if self.waiting % 5 == 0:
                if not isinstance(reply, list) or reply[0] != reply[2]:
                    raise Lost(f"shared transaction answered {reply!r}")
                self.history.acked[self.number] += 1
                self.history.saw(reply[0])


class SharedReader(Client):
    """Reads both counters in one command; what it was told must hold."""

    def __init__(self, port, history):
        super().__init__(port)
        self.history = history
        self.waiting = 0
        self.out = resp.encode((b"SELECT", b"%d" % SHARED_DB))
        self.skip = 1

    def refill(self):
        if not self.waiting:
            self.out += resp.encode((b"MGET", b"one", b"two"))
            self.waiting = 1

    def take(self, replies):
        for reply in replies:
            if self.skip:
                self.skip -= 1
                continue
            self.waiting -= 1
            if not isinstance(reply, list) or reply[0] != reply[1]:
                raise Lost(f"half a transaction was seen: {reply!r}")
            self.history.saw(int(reply[0] or 0))


class QueueWriter(Client):
    """Pushes numbered jobs, one or more at a time."""

    def __init__(self, port, history):
        super().__init__(port)
        self.history = history
        self.waiting = collections.deque()

    def refill(self):
        if self.waiting:
            return
        for _ in range(4):
            self.history.jobs_sent += 1
            job = self.history.jobs_sent
            self.waiting.append(job)
            self.out += resp.encode((b"RPUSH", b"queue", b"%d" % job))

    def take(self, replies):
        for reply in replies:
            if isinstance(reply, resp.Error):
                raise Lost(f"queue writer: {reply!r}")
            self.history.jobs_acked.add(self.waiting.popleft())


class QueueReader(Client):
    """Takes jobs, blocked most of the time."""

    def __init__(self, port, history):
        super().__init__(port)
        self.history = history
        self.waiting = 0

    def refill(self):
        if not self.waiting:
            self.out += resp.encode((b"BLPOP", b"queue", b"0"))
            self.waiting = 1

    def take(self, replies):
        for reply in replies:
            self.waiting -= 1
            if not isinstance(reply, list):
                raise Lost(f"BLPOP answered {reply!r}")
            job = int(reply[1])
            if job in self.history.jobs_taken:
                raise Lost(f"job {job} was given out twice")
            self.history.jobs_taken.add(job)


class History:
    """What the shared keys must agree with."""

    def __init__(self):
        self.sent = collections.Counter()   # shared writer -> number
        self.acked = collections.Counter()
        self.seen = 0                       # largest count told to anybody
        self.base = 0                       # count when the log was emptied
        self.bases = {}                     # writer -> number at that time
        self.jobs_sent = 0
        self.jobs_acked = set()
        self.jobs_taken = set()

    def saw(self, number):
        self.seen = max(self.seen, number)


def is_harmless(error):
    """Errors the model's commands meet in the normal course of things."""
    return error in (b"ERR no such key", b"ERR index out of range",
                     b"ERR source and destination objects are the same")


def shown(unit):
    return [[part[:40] for part in command] for _, command in unit]


class Driver:
    """All cycles on one folder."""

    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.points = {}           # name -> passages seen in the first cycle
        self.hit = collections.Counter()
        self.models = [Model(1 + 2 * i) for i in range(WRITERS)]
        self.history = History()
        self.folder = tempfile.mkdtemp(prefix="walden-crash-")
        self.server = servers.Server(
            args.server, {}, self.folder, args.port or None)
        self.units = 0
        self.endings = collections.Counter()

    # ---- starting ----------------------------------------------------------

    def directives(self):
        """Limits so small that folding, eviction and loading never stop.
        (On redis-server, where the driver itself can be tried, its log.)"""
        rng = self.rng
        if "redis" in os.path.basename(self.args.server):
            is_logged = self.args.durability == "disk"
            return {"databases": 1 + 2 * WRITERS, "appendfsync": "always",
                    "appendonly": "yes" if is_logged else "no", "save": "1 1"}
        return {
            "databases": 1 + 2 * WRITERS,
            "durability": self.args.durability,
            "maxmemory": rng.choice(("100kb", "300kb", "1mb", "64mb")),
            "journal-fold-size": rng.choice(("16kb", "64kb", "256kb", "8mb")),
            "loglevel": "notice",
        }

    def start(self, env=None):
        """Answers False if the server died while starting (a fault)."""
        self.server.directives = self.directives()
        try:
            self.server.start(env)
            return True
        except servers.ServerDied:
            if env and self.server.process.returncode == -signal.SIGKILL:
                return False
            raise

    # ---- one cycle ---------------------------------------------------------

    def choose_fault(self):
        """An environment, and the fault point in words; or neither."""
        if not self.points or self.rng.random() < 0.4:
            return {}, None
        # Rarely hit points as often as common ones.
        name = self.rng.choice(sorted(self.points))
        passages = max(1, self.points[name])
        nth = 1 + int(passages ** self.rng.random() * self.rng.random())
        return {"WALDEN_FAULT": f"{name}:{nth}=kill"}, f"{name}:{nth}"

    def run_clients(self, seconds):
        """Load the server until it dies or the time is up."""
        port = self.server.port
        history = self.history
        try:
            clients = [Writer(port, i, self.models[i],
                              random.Random(self.rng.getrandbits(64)))
                       for i in range(WRITERS)]
            self.writers = list(clients)
            clients += [SharedWriter(port, i, history) for i in range(SHARED)]
            clients += [SharedReader(port, history),
                        QueueWriter(port, history)]
            clients += [QueueReader(port, history) for _ in range(2)]
        except (OSError, servers.ServerDied):
            return
        for client in clients:
            client.sock.setblocking(False)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            live = [c for c in clients if c.is_open]
            if not live:
                break
            for client in live:
                client.refill()
            readable, writable, _ = select.select(
                [c.sock for c in live],
                [c.sock for c in live if c.wants_to_write()], [], 0.05)
            readable, writable = set(readable), set(writable)
            for client in live:
                if client.sock in writable:
                    client.write()
                if client.sock in readable:
                    client.take(client.read())
        self.clients = clients

    def finish_clients(self):
        """After the kill: what had arrived still counts; then hang up."""
        for client in self.clients:
            while client.is_open:
                try:
                    if not select.select([client.sock], [], [], 0)[0]:
                        break
                except ValueError:
                    break
                client.take(client.read())
            client.connection.close()

    def cycle(self, number):
        rng = self.rng
        self.writers, self.clients = [], []
        env, fault = self.choose_fault()
        passages = os.path.join(self.folder, "passages")
        if number == 0:
            env = {"WALDEN_FAULT_LIST": passages}
        ending = "kill"
        if self.start(env):
            self.run_clients(rng.uniform(0.05, self.args.seconds))
            if not self.server.is_alive():
                ending = "fault"
            elif rng.random() < 0.08:
                ending = "term"
                status = self.server.stop()
                if fault and status == -signal.SIGKILL:
                    ending = "fault"
                elif status != 0:
                    raise Lost(f"SIGTERM: exit status {status}")
            self.server.kill()
            self.finish_clients()
        else:
            ending = "fault at start"
        if ending.startswith("fault"):
            if fault is None or \
                    self.server.process.returncode != -signal.SIGKILL:
                raise Lost("the server died by itself: status "
                           f"{self.server.process.returncode}\n"
                           + self.server.tail())
            self.hit[fault.split(":")[0]] += 1
            ending = f"fault {fault}" + ending.removeprefix("fault")
        self.endings[ending.split()[0]] += 1
        self.what = f"cycle {number}, {ending}"
        if number == 0:
            self.learn_points(passages)
        if number % 10 == 0:
            self.check_file()
        # Recovery itself is interrupted now and then.
        if self.points and rng.random() < 0.15:
            name = rng.choice(sorted(self.points))
            if not self.start({"WALDEN_FAULT": f"{name}:1=kill"}):
                self.hit[name] += 1
            self.server.kill()
        self.start()
        self.verify()
        if rng.random() < 0.7:
            self.server.kill()
        else:
            self.server.stop()

    def learn_points(self, passages):
        """Fault points and how often the first cycle passed them."""
        for name in fault_points():
            self.points[name] = 0
        try:
            with open(passages, encoding="ascii") as lines:
                for line in lines:
                    name = line.strip()
                    if name in self.points:
                        self.points[name] += 1
            os.unlink(passages)
        except FileNotFoundError:
            # A release build has none.
            self.points = {}

    # ---- checking ----------------------------------------------------------

    def verify(self):
        connection = self.server.connect()
        for writer in self.writers:
            self.verify_writer(connection, writer)
            self.units += writer.acknowledged
        if not self.writers:
            for number, model in enumerate(self.models):
                self.match(connection, number, [model])
        connection.call("SELECT", SHARED_DB)
        self.verify_shared(connection)
        self.verify_queue(connection)
        connection.close()

    def verify_writer(self, connection, writer):
        """Some prefix of the unacknowledged units explains what is there."""
        model = writer.acked.copy()
        candidates = [model.copy()]
        for unit in writer.pending:
            model.apply(unit)
            candidates.append(model.copy())
        self.models[writer.number] = self.match(
            connection, writer.number, candidates, writer.pending)

    def match(self, connection, number, candidates, pending=()):
        first = candidates[0]
        soon = [at for db in first.dbs for name, (_, at) in db.items()
                if name.startswith(b"soon")]
        soon += [int(command[4]) for unit in pending for _, command in unit
                 if command[0] == b"SET" and command[1].startswith(b"soon")]
        ahead = max(soon, default=0) - now_ms()
        if 0 <= ahead < 1000:
            time.sleep(ahead / 1000 + 0.002)
        found = [state.read_database(connection, first.first_db + i) for i in (0, 1)]
        now = now_ms()
        reasons = []
        for candidate in candidates:
            reason = None
            for i in (0, 1):
                reason = reason or state.difference(candidate.live(i, now), found[i])
            if reason is None:
                for i in (0, 1):
                    candidate.dbs[i] = {
                        name: [value, at] for name, (value, at)
                        in candidate.live(i, now).items()}
                return candidate
            reasons.append(reason)
        raise Lost(
            f"writer {number}: what is there is no state after 0 to "
            f"{len(pending)} of its unacknowledged units.\n"
            f"  after none of them: {reasons[0]}\n"
            f"  after all of them:  {reasons[-1]}\n  units: "
            + "\n         ".join(str(shown(unit)) for unit in pending))

    def verify_shared(self, connection):
        history = self.history
        one, two = connection.call("MGET", "one", "two")
        log = connection.call("LRANGE", "log", 0, -1)
        one, two = int(one or 0), int(two or 0)
        if not one == two:
            raise Lost(f"half a transaction: one is {one}, two is {two}")
        if one - history.base != len(log):
            raise Lost(f"half a transaction: counted {one - history.base}, "
                       f"logged {len(log)}")
        if one < history.seen:
            raise Lost(f"{history.seen} was told to a client, now it is {one}")
        last = collections.Counter()
        for entry in log:
            who, what = (int(part) for part in entry.split(b":"))
            if what != last.get(who, history.bases.get(who, 0)) + 1:
                raise Lost(f"the log lacks or repeats an entry at {entry!r}")
            last[who] = what
        for who in range(SHARED):
            have = last.get(who, history.bases.get(who, 0))
            if have < history.acked[who]:
                raise Lost(f"shared writer {who}: {history.acked[who]} "
                           f"acknowledged, {have} there")
            # Go on from what is there.
            history.sent[who] = history.acked[who] = have
        if len(log) > 2000:
            connection.call("DEL", "log")
            history.base = one
            history.bases.update(last)

    def verify_queue(self, connection):
        history = self.history
        left = [int(job) for job in connection.call("LRANGE", "queue", 0, -1)]
        if len(set(left)) != len(left):
            raise Lost("the queue holds a job twice")
        back = history.jobs_taken & set(left)
        if back:
            raise Lost(f"jobs given to a client came back: {sorted(back)}")
        gone = history.jobs_acked - history.jobs_taken - set(left)
        # A job on its way to a client that waited: one for each of them.
        if len(gone) > 2:
            raise Lost(f"jobs are lost: {sorted(gone)}")
        connection.call("DEL", "queue")
        history.jobs_acked.clear()
        history.jobs_taken.clear()

    def check_file(self):
        """SQLite's own check, on a copy, so that the next start recovers."""
        copy = tempfile.mkdtemp(prefix="walden-crash-copy-")
        try:
            for path in pathlib.Path(self.folder).glob("*.db*"):
                shutil.copy(path, copy)
            for path in pathlib.Path(copy).glob("*.db"):
                database = sqlite3.connect(path)
                answer = database.execute("PRAGMA integrity_check").fetchall()
                database.close()
                if answer != [("ok",)]:
                    raise Lost(f"integrity_check: {answer[:5]}")
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def run(self):
        """All cycles; answers the number that passed."""
        for number in range(self.args.cycles):
            self.what = f"cycle {number}"
            self.cycle(number)
        self.server.remove()
        return self.args.cycles


def fault_points(folders=("storage",)):
    """The names in the sources.  Those of replication/ are passed only with a
    bucket: see tests/bucket/."""
    pattern = re.compile(r'FAULT_(?:POINT|FAILS)\(\s*"([^"]+)"')
    names = set()
    for folder in folders:
        for path in (servers.ROOT / folder).rglob("*.c"):
            names.update(pattern.findall(path.read_text(encoding="utf-8")))
    return sorted(names)


def self_test(args):
    """The driver must see the losses of a server that may lose."""
    args.durability = "memory"
    args.cycles = 15
    driver = Driver(args)
    try:
        driver.run()
    except Lost as loss:
        driver.server.remove()
        shutil.rmtree(driver.folder, ignore_errors=True)
        print(f"ok   self-test: {driver.what}: "
              + str(loss).splitlines()[0])
        print("1 passed, 0 failed")
        return 0
    shutil.rmtree(driver.folder, ignore_errors=True)
    print("FAIL self-test: nothing was found missing with durability memory")
    print("0 passed, 1 failed")
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=servers.WALDEN)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.5,
                        help="longest load before a kill")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--durability", default="disk")
    parser.add_argument("--passed", metavar="FILE",
                        help="append the names of fault points passed")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    args.server = os.path.abspath(args.server)
    if args.seed is None:
        args.seed = random.SystemRandom().getrandbits(32)
    if args.self_test:
        return self_test(args)
    began = time.monotonic()
    driver = Driver(args)
    failure = None
    try:
        driver.run()
    except (Lost, servers.ServerDied, resp.ProtocolError, OSError) as loss:
        failure = loss
    finally:
        driver.server.kill()
    done = sum(driver.endings.values()) - (failure is not None)
    missed = sorted(set(driver.points) - set(driver.hit))
    print(f"crash: seed {args.seed}: {done} cycles in "
          f"{time.monotonic() - began:.0f} s, {driver.units} units "
          f"acknowledged, endings {dict(driver.endings)}")
    if args.passed:
        with open(args.passed, "a", encoding="ascii") as passed:
            passed.writelines(name + "\n" for name in driver.hit)
            passed.writelines(name + "\n" for name, count
                              in driver.points.items() if count)
    print(f"crash: died at {dict(sorted(driver.hit.items()))}; "
          f"never at {missed}")
    if failure is not None:
        print(f"FAIL {driver.what}: {failure}")
        print(f"folder kept: {driver.folder}\nagain: {sys.argv[0]} "
              f"--server {args.server} --cycles {args.cycles} "
              f"--seconds {args.seconds} --seed {args.seed}")
        print(f"{max(done, 0)} passed, 1 failed")
        return 1
    shutil.rmtree(driver.folder, ignore_errors=True)
    print(f"{done} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
