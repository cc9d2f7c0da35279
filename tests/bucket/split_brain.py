#!/usr/bin/env python3
"""Two servers, one prefix: only one of them may go on acknowledging.

One round: a server owns the prefix and acknowledges at `durability bucket`; it
is stopped (SIGSTOP: a paused virtual machine, a long swap) at a random moment
or, with a debug build, at the nth passage of a fault point of shipping.
Another server takes over from the bucket and acknowledges too.  Then the first
one is continued, in the middle of whatever it did.  In some rounds two servers
start at the same moment, in some the stopped one sleeps until its level-0 files
are compacted and deleted, so that the names it would use are free again.

What must hold, seen from the survivor: everything that either server ever
acknowledged is in the one history, in its place, and no place was acknowledged
twice; the loser ends or refuses; on its folder it does not start again as the
owner unless it agrees with the bucket.
"""

import argparse
import collections
import random
import signal
import subprocess
import sys
import time

import harness
import book
import place
import resp
import servers

GROUP = 3  # writers of one server
# With these the files that a sleeper would collide with are soon deleted.
SHORT_MEMORY = dict(place.BUSY_KEEPER, **{
    "bucket-compaction-intervals": "1 1 1", "bucket-level0-retention": 1,
    "bucket-snapshot-interval": 2, "bucket-retention": 2})


class Arena:
    def __init__(self, args, client):
        self.args = args
        self.rng = random.Random(args.seed)
        self.place = harness.new_place(client, "split")
        self.book = book.Book(self.rng.getrandbits(64), 2 * GROUP)
        self.points = harness.fault_points("replication") \
            if "debug" in args.server else []
        self.what = "the beginning"
        self.seen = collections.Counter()
        self.servers = []
        self.owner = None
        self.turn = 0

    def new(self):
        """A server that is not started."""
        server = self.place.server(
            self.args.server, durability="bucket",
            bucket_sync_interval=self.rng.choice((10, 100)),
            fold_idle_ms=self.rng.choice((20, 1000)))
        if self.is_forgetful:
            server.directives.update(SHORT_MEMORY)
        self.servers.append(server)
        return server

    def start(self, server, env=None):
        """Until it serves: what a stopped one had sent may still arrive."""
        for _ in range(3):
            try:
                server.start(env, timeout=60)
                return server
            except servers.ServerDied as death:
                if "another server has taken over" not in str(death):
                    raise
                self.seen["lost the start"] += 1
                self.drop(server)
                server = self.new()
        raise book.Lost("three starts, and no owner")

    def drop(self, server):
        server.kill()
        server.remove()
        self.servers.remove(server)

    def writers(self):
        """The one half and the other in turn: each server has its own."""
        self.turn += 1
        at = self.turn % 2 * GROUP
        return self.book.writers[at:at + GROUP]

    def is_stopped(self, server):
        with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "Tt"

    # ---- one round ---------------------------------------------------------

    def put_to_sleep(self, server):
        """Stop it, or wait until its fault point does."""
        until = time.monotonic() + self.rng.uniform(0.05, self.args.seconds)
        while time.monotonic() < until and server.is_alive():
            if self.is_stopped(server):
                self.seen["slept at a fault point"] += 1
                return
            time.sleep(0.002)
        server.process.send_signal(signal.SIGSTOP)

    def fault(self):
        if not self.points or self.rng.random() < 0.3:
            return {}
        name = self.rng.choice(self.points)
        nth = int(1 + 100 ** self.rng.random())
        return {"WALDEN_FAULT": f"{name}:{nth}=stop"}

    def is_one_over(self, pair):
        """If each of two took over in its turn, the first of them does not
        know before it ships again."""
        if all(server.is_alive() for server in pair):
            for server in pair:
                self.poke(server)
        return not all(server.is_alive() for server in pair)

    def poke(self, server):
        """Have it ship something; what it answers is not looked at here, since
        the book asks later what was acknowledged."""
        try:
            connection = servers.Connection(server.port, timeout=0.5)
            connection.call("SET", "poke", self.rng.random())
            connection.close()
        except (servers.ServerDied, OSError):
            pass

    def start_two(self):
        """At the same moment; answers the winner.  Both may lose to what the
        dead owner had sent, and one may have served before the other won."""
        pair = [self.new(), self.new()]
        for server in pair:
            server.spawn()
        place.wait_until("one of two starts over",
                         lambda: self.is_one_over(pair), 60)
        alive = [server for server in pair if server.is_alive()]
        for server in pair:
            if server not in alive:
                self.drop(server)
        self.seen["started two"] += 1
        if alive:
            try:
                alive[0].wait_until_up(60)
                return alive[0]
            except servers.ServerDied:
                self.drop(alive[0])
        return self.start(self.new())

    def take_over(self, first):
        if self.rng.random() < 0.2:
            return self.start_two()
        second = self.start(self.new())
        assert second is not first
        return second

    def wait_for_end(self, loser, timeout):
        """Its status, None if it lives.  Its fault point may yet come: the
        sleep is over."""
        until = time.monotonic() + timeout
        while loser.is_alive() and time.monotonic() < until:
            if self.is_stopped(loser):
                loser.process.send_signal(signal.SIGCONT)
            time.sleep(0.02)
        return loser.process.poll()

    def look_at_loser(self, loser):
        """It is awake; it must see that it lost."""
        code = self.wait_for_end(loser, 10)
        if code is None:
            # Nothing to ship, nothing seen: then it may be unaware until
            # somebody writes, and that write must not be acknowledged.
            self.seen["unaware"] += 1
            try:
                connection = servers.Connection(loser.port, timeout=20)
                reply = connection.call("SET", "loser", "x")
                if not isinstance(reply, resp.Error):
                    raise book.Lost(f"the loser acknowledged: {reply!r}")
            except (servers.ServerDied, OSError):
                pass
            code = self.wait_for_end(loser, 20)
        if code not in (1, -signal.SIGKILL):
            raise book.Lost(f"the loser ended with {code}\n" + loser.tail())
        self.seen["fenced"] += 1

    def try_again(self, loser):
        """The loser's folder belongs to another history now, or is behind."""
        loser.spawn()
        try:
            code = loser.process.wait(30)
        except subprocess.TimeoutExpired:
            raise book.Lost("the loser started again\n"
                            + loser.tail()) from None
        if code == 0:
            raise book.Lost("the loser ended with 0\n" + loser.tail())
        self.seen["refused to start again"] += 1

    def round(self):
        self.is_forgetful = self.rng.random() < 0.3
        env = self.fault()
        if self.owner is None or env or self.is_forgetful:
            if self.owner is not None:
                self.owner.stop()
                self.drop(self.owner)
            try:
                self.owner = first = self.new()
                first.spawn(env)
                first.wait_until_up(5)
            except servers.ServerDied:
                # Stopped before it served: that is one of the steps, too.
                self.seen["slept at the start"] += 1
                first = self.start(self.new())
                self.owner = first
        first = self.owner
        load = self.book.begin(first.port, self.writers(), reader=False)
        self.put_to_sleep(first)
        if self.is_forgetful:
            self.seen["slept long"] += 1
        second = self.take_over(first)
        other = self.book.begin(second.port, self.writers(), reader=False)
        time.sleep(self.rng.uniform(0.05, 0.5)
                   + (6 if self.is_forgetful else 0))
        if first.is_alive():
            first.process.send_signal(signal.SIGCONT)
        self.look_at_loser(first)
        self.book.end(other)
        self.book.end(load)
        if not second.is_alive():
            raise book.Lost("the survivor died\n" + second.tail())
        self.book.check(second.port)
        if self.rng.random() < 0.3:
            self.try_again(first)
        self.drop(first)
        self.owner = second

    is_forgetful = False

    def run(self):
        for number in range(self.args.rounds):
            self.what = f"round {number}"
            self.round()
        self.what = "the last look"
        self.owner.kill()
        done = self.place.tool("verify", self.place.url,
                               binary=self.args.server)
        if done.returncode != 0:
            raise book.Lost(f"verify: {done.stderr}")
        self.book.check(self.start(self.new()).port)

    def close(self, is_kept):
        for server in self.servers:
            server.kill()
            if not is_kept:
                server.remove()
            else:
                print(f"kept: {server.folder}\n{server.tail(12)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=0.5,
                        help="longest load before the sleep")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().getrandbits(32)
    failure = None
    began = time.monotonic()
    with harness.gateway(args.ceph) as client:
        arena = Arena(args, client)
        try:
            arena.run()
        except (book.Lost, servers.ServerDied, resp.ProtocolError, OSError,
                AssertionError) as loss:
            failure = loss
        finally:
            arena.close(failure is not None)
    print(f"split brain: seed {args.seed}: {time.monotonic() - began:.0f} s, "
          f"{arena.book.units} units acknowledged; {dict(arena.seen)}")
    done = args.rounds
    if failure is not None:
        done = int(arena.what.split()[-1]) if "round" in arena.what else 0
        print(f"FAIL {arena.what}: {failure}\n{arena.place.url}\n"
              f"again: {sys.argv[0]} --server {args.server} "
              f"--rounds {args.rounds} --seconds {args.seconds} "
              f"--seed {args.seed}")
    print(f"{done} passed, {int(failure is not None)} failed")
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
