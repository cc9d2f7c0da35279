#!/usr/bin/env python3
"""The disaster drill: the machine is lost, again and again.

One round: start a server, nearly always in an empty folder, so that everything
must come from the bucket; compare; write through several connections; lose it.
Losing is SIGKILL at a random moment or, with a debug build, at the nth passage
of a fault point; then the folder is deleted.  Some rounds keep the folder (a
crash of the process, not of the machine), some end with SIGTERM (a handover).
In some rounds the way to the store is bad (tests/tools/faultproxy.py).  A fault
point may be passed at any time: also while the server starts or is compared
with the book.  Then it is started again, in the folder as it was left.

What must hold (book.py checks it):

  durability bucket   every acknowledged write is there
  durability disk     what is lost is the end of history, acknowledged not
                      earlier than the sync interval (and what one PUT takes)
                      before the kill
  folder kept, or SIGTERM: every acknowledged write is there, at both levels

--self-test runs it with the promise of `bucket` on servers that only keep that
of `disk`, and fails unless losses are found.
"""

import argparse
import collections
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness
import book
import faultproxy
import place
import resp
import servers

# Rules for the proxy: what a bad way to the store does now and then.
WEATHER = {
    "clear": [],
    "lost answers": [{"fault": "drop_answer", "method": "PUT", "chance": 0.2}],
    "late errors": [{"fault": "late_status", "method": "PUT", "chance": 0.2,
                     "code": 500}],
    "cut uploads": [{"fault": "cut_request", "method": "PUT", "bytes": 700,
                     "chance": 0.2}],
    "errors": [{"fault": "status", "code": 500, "chance": 0.2}],
    "slow down": [{"fault": "status", "code": 503, "retry_after": 1,
                   "chance": 0.03}],
    "cut answers": [{"fault": "cut_answer", "method": "GET", "bytes": 500,
                     "chance": 0.1}],
    "wrong bytes": [{"fault": "wrong_upload", "method": "PUT",
                     "chance": 0.2}],
    "twice": [{"fault": "repeat", "method": "PUT", "chance": 0.3}],
    "slow": [{"fault": "delay", "seconds": 0.15, "chance": 0.3}],
}
SLACK_S = 3.0


class Drill:
    def __init__(self, args, client):
        self.args = args
        self.rng = random.Random(args.seed)
        self.proxy = faultproxy.FaultProxy(
            client.port, servers.free_port(), servers.free_port())
        self.place = harness.new_place(client, "drill", self.proxy.port)
        self.book = book.Book(self.rng.getrandbits(64))
        self.points = harness.fault_points("replication", "storage") \
            if "debug" in args.server else []
        if args.points:
            self.points = [name for name in self.points
                           if name.startswith(tuple(args.points.split(",")))]
            if not self.points:
                sys.exit(f"no fault point is called {args.points}")
        self.folder = None
        self.server = None
        self.is_armed = False      # the process that runs has a fault planted
        self.what = "the beginning"
        self.seen = collections.Counter()
        self.downtime = []

    def directives(self):
        rng = self.rng
        chosen = {
            "durability": rng.choice(("bucket", "bucket", "disk"))
            if self.args.durability == "any" else self.args.durability,
            "bucket-sync-interval": rng.choice((20, 100, 500)),
            "journal-fold-size": rng.choice(("64kb", "256kb", "8mb")),
            "fold-idle-ms": rng.choice((50, 1000)),
        }
        if rng.random() < 0.7:
            chosen.update(place.BUSY_KEEPER)
        return chosen

    def fault(self):
        """An environment that makes the server die, or none."""
        if self.args.points:
            return {"WALDEN_FAULT": f"{self.rng.choice(self.points)}:"
                                    f"{self.rng.choice((1, 1, 2, 3))}=kill"}
        if not self.points or self.rng.random() < 0.4:
            return {}
        name = self.rng.choice(self.points)
        nth = int(1 + 60 ** self.rng.random() * self.rng.random())
        return {"WALDEN_FAULT": f"{name}:{nth}=kill"}

    def start(self, env):
        """With faults the server may die before it serves: then again, in the
        folder as it is.  And what the dead one had sent may arrive while the
        new one starts: then the new one must see that it lost, and the next
        one must not."""
        for _ in range(3):
            try:
                began = time.monotonic()
                self.is_armed = bool(env)
                self.server.start(env, timeout=60)
                self.downtime.append(time.monotonic() - began)
                return
            except servers.ServerDied as death:
                if "another server has taken over" in str(death):
                    self.seen["overtaken by the dead"] += 1
                elif self.has_met_fault():
                    self.seen["killed at start"] += 1
                else:
                    raise
            env = {}
        raise book.Lost("three starts, and no owner")

    def has_met_fault(self):
        """The server is gone: was it the planted fault?"""
        if not self.is_armed:
            return False
        try:
            return self.server.process.wait(5) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            return False

    def check(self):
        """If the server dies at its fault point meanwhile, what it found or
        restored must still be there for the next one in that folder."""
        try:
            self.book.check(self.server.port, may_lose=self.may_lose)
        except (servers.ServerDied, OSError):
            if not self.has_met_fault():
                raise
            self.seen["died in the check"] += 1
            self.start({})
            self.book.check(self.server.port, may_lose=self.may_lose)
        if self.book.lost_age > self.longest_loss:
            raise book.Lost(f"lost what was acknowledged "
                            f"{self.book.lost_age:.1f} s before the end")
        self.book.lost_age = 0.0

    def end(self, load):
        """Lose the server.  Answers the way: "term", "crash" or "gone"."""
        way = self.rng.choices(("term", "crash", "gone"), (15, 20, 65))[0]
        is_dead = not self.server.is_alive()
        if way == "term" and not is_dead:
            status = self.server.stop()
            is_dead = status == -signal.SIGKILL
            if not is_dead and status != 0:
                raise book.Lost(f"SIGTERM: status {status}\n"
                                + self.server.tail())
        self.server.kill()
        self.book.ended = time.monotonic()
        if self.server.process.returncode not in (0, -signal.SIGKILL):
            raise book.Lost("the server died by itself: status "
                            f"{self.server.process.returncode}\n"
                            + self.server.tail())
        self.book.end(load)
        if is_dead:
            self.seen["died at a fault point"] += 1
            if way == "term":
                way = "crash"
        return way

    def round(self):
        weather = self.rng.choice(sorted(WEATHER)) \
            if self.rng.random() < 0.6 else "clear"
        if self.folder is None:
            self.folder = tempfile.mkdtemp(prefix="walden-drill-")
        self.server = self.place.server(self.args.server, self.folder)
        self.server.directives.update(self.directives())
        level = self.server.directives["durability"]
        self.start(self.fault())
        self.check()
        for rule in WEATHER[weather]:
            self.proxy.order("rule", **rule)
        load = self.book.begin(self.server.port)
        time.sleep(self.rng.uniform(0.1, self.args.seconds))
        way = self.end(load)
        self.proxy.clear()
        self.seen[level] += 1
        self.seen[way] += 1
        self.seen[weather] += 1
        self.may_lose = way == "gone" and level == "disk" and \
            not self.args.self_test
        # In bad weather the last upload may wait for a long time.
        self.longest_loss = SLACK_S + self.server.directives[
            "bucket-sync-interval"] / 1000 if weather == "clear" else 1e9
        if way != "crash":
            if "never came to own" in self.server.tail(10 ** 6):
                self.seen["began afresh"] += 1
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def last_look(self):
        """The final state, and a verification by the tool."""
        self.proxy.clear()
        server = self.place.server(self.args.server, self.folder)
        server.is_folder_ours = True
        try:
            server.start(timeout=60)
            self.book.check(server.port, may_lose=self.may_lose)
            status = server.stop()
        finally:
            server.remove()
        done = self.place.tool("verify", self.place.url,
                               binary=self.args.server)
        if status != 0 or done.returncode != 0:
            raise book.Lost(f"status {status}, verify: {done.stdout[-300:]}"
                            f"{done.stderr}")

    may_lose = False
    longest_loss = 1e9

    def run(self):
        for number in range(self.args.rounds):
            self.what = f"round {number}"
            self.round()
        self.what = "the last look"
        self.last_look()

    def close(self):
        if self.server is not None:
            self.server.kill()
        self.proxy.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0,
                        help="longest load before a loss")
    parser.add_argument("--durability", default="any",
                        choices=("any", "disk", "bucket"))
    parser.add_argument("--points", metavar="NAMES",
                        help="have every round die at one of these fault "
                             "points (beginnings of names, with commas), if "
                             "it gets there; a debug build")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().getrandbits(32)
    if args.self_test:
        args.durability = "disk"
    failure = None
    began = time.monotonic()
    with harness.gateway(args.ceph) as client:
        drill = Drill(args, client)
        try:
            drill.run()
        except (book.Lost, servers.ServerDied, resp.ProtocolError,
                OSError) as loss:
            failure = loss
        finally:
            drill.close()
    rounds = len(drill.downtime)
    print(f"drill: seed {args.seed}: {rounds} rounds in "
          f"{time.monotonic() - began:.0f} s, {drill.book.units} units "
          f"acknowledged, {drill.book.lost} of them lost where that is "
          f"allowed; starts took at most {max(drill.downtime, default=0):.1f}"
          f" s; {dict(drill.seen)}")
    if args.self_test:
        shutil.rmtree(drill.folder or "", ignore_errors=True)
        is_found = isinstance(failure, book.Lost)
        print(f"{'ok  ' if is_found else 'FAIL'} self-test: {drill.what}: "
              f"{str(failure or 'no loss was found').splitlines()[0]}")
        print(f"{int(is_found)} passed, {int(not is_found)} failed")
        return int(not is_found)
    if failure is not None:
        print(f"FAIL {drill.what}: {failure}\nserver's log:\n"
              f"{drill.server.tail() if drill.server else ''}\n"
              f"kept: {drill.folder}, {drill.place.url}\n"
              f"again: {sys.argv[0]} --server {args.server} "
              f"--rounds {args.rounds} --seconds {args.seconds} "
              f"--durability {args.durability} --seed {args.seed}"
              + (f" --points {args.points}" if args.points else ""))
    print(f"{args.rounds if failure is None else max(rounds - 1, 0)} passed, "
          f"{int(failure is not None)} failed")
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
