#!/usr/bin/env python3
"""Random commands against Walden and redis-server side by side.

Several clients on each server send the same requests in lock-step: one client
at a time, a pipeline at a time.  Every reply is compared (compare.py says what
little is normalised).  Walden has so little memory and so small a journal
that eviction, loading and folding never stop, and is told to evict and fold
everything, killed and restarted in between.

What happens is a list of rounds, (kind, arguments...), each a small script:

  batch     a client sends a pipeline: commands, transactions, WATCH
  block     a client waits for a list; others go on
  unblock   CLIENT UNBLOCK for it
  timeout   a client waits for a list in vain for some milliseconds
  expire    keys expire, after which everything is tried on them
  scan, hscan, random, hrandfield
            what promises no order, checked by meaning
  evict, fold, restart, limits
            walden's own
  full      all keys of all databases are compared

On a difference the rounds since the last FLUSHALL are tried again with parts
left out, and what is left is printed and kept in a file for --replay.
"""

import argparse
import ast
import os
import pathlib
import pprint
import random
import select
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "tools"))
import compare  # noqa: E402
import resp  # noqa: E402
import servers  # noqa: E402
import state  # noqa: E402
from commands import Commands, DATABASES, HASHES  # noqa: E402

CLIENTS = 5
EPOCH_OPS = 20_000       # then everything is compared and flushed
WAIT_S = 10.0            # for what must come


class Difference(Exception):
    """The two servers do not agree."""


def shown(args):
    return b" ".join(
        arg if len(arg) < 60 else arg[:50] + b"...(%d)" % len(arg)
        for arg in args).decode("latin-1").encode("unicode_escape").decode()


class Client:
    """One client's two connections, and what it is in the middle of."""

    def __init__(self, walden, redis):
        self.walden = walden.connect(WAIT_S)
        self.redis = redis.connect(WAIT_S)
        self.is_multi = False
        self.queued = []
        self.waiting = None      # the request it is blocked in

    def both(self):
        return self.walden, self.redis

    def close(self):
        self.walden.close()
        self.redis.close()

    def send(self, requests):
        data = b"".join(resp.encode(args) for args in requests)
        for connection in self.both():
            connection.sock.sendall(data)

    def check(self, args, walden, redis):
        """Compare one reply; follow MULTI."""
        name = args[0].upper()
        if name == b"EXEC" and self.is_multi:
            good = compare.same_exec(self.queued, walden, redis)
            self.is_multi, self.queued = False, []
        else:
            good = compare.same(args, walden, redis)
            if self.is_multi and compare.is_queued(redis):
                self.queued.append(args)
            elif name in (b"DISCARD", b"RESET"):
                self.is_multi, self.queued = False, []
            elif name == b"MULTI" and not isinstance(redis, resp.Error):
                self.is_multi = True
        if not good:
            raise Difference(f"{shown(args)}\n  walden: {walden!r:.1500}\n"
                             f"  redis:  {redis!r:.1500}")


class Pair:
    """The two servers and the clients of both; runs rounds."""

    def __init__(self, args, rng):
        self.args = args
        self.rng = rng
        self.redis = servers.Server(args.oracle, {
            "save": "", "appendonly": "no", "databases": DATABASES,
            "enable-debug-command": "yes"})
        self.walden = servers.Server(args.server, self.limits())
        try:
            self.redis.start()
            self.walden.start()
        except servers.ServerDied:
            self.close()
            raise
        self.clients = []
        self.control = None
        self.restarts = 0
        self.connect()

    def limits(self):
        """Directives of walden, so small that nothing stays where it is."""
        if "redis" in os.path.basename(self.args.server):
            return {"save": "", "databases": DATABASES, "appendonly": "yes",
                    "enable-debug-command": "yes"}
        return {"databases": DATABASES,
                "maxmemory": self.rng.choice(("50kb", "200kb", "1mb", "8mb")),
                "journal-fold-size": self.rng.choice(("16kb", "64kb", "1mb"))}

    def connect(self):
        for client in self.clients + [self.control]:
            if client is not None:
                client.close()
        self.control = Client(self.walden, self.redis)
        self.clients = [Client(self.walden, self.redis)
                        for _ in range(CLIENTS)]
        for client in self.clients:
            for connection in client.both():
                connection.id = connection.call("CLIENT", "ID")
        # The old ones are gone only when redis has noticed.
        self.wait_for_blocked(0)

    def close(self):
        self.walden.remove()
        self.redis.remove()

    def waiting(self):
        return [c for c in self.clients if c.waiting is not None]

    def run(self, this):
        """One round; raises Difference.  Answers the number of requests."""
        if not self.walden.is_alive():
            raise Difference("walden died\n" + self.walden.tail())
        return getattr(self, "round_" + this[0])(*this[1:]) or 1

    def reset(self):
        """As after the start: no keys, new clients."""
        self.connect()
        self.call("FLUSHALL")

    def call(self, *args):
        """A request of the control client; replies compared; one answer."""
        args = [arg if isinstance(arg, bytes) else str(arg).encode()
                for arg in args]
        self.control.send([args])
        walden, redis = (c.read(1)[0] for c in self.control.both())
        self.control.check(args, walden, redis)
        return walden

    # ---- rounds ------------------------------------------------------------

    def round_batch(self, number, requests):
        client = self.clients[number]
        if client.waiting is not None:
            return 0
        client.send(requests)
        walden = client.walden.read(len(requests))
        redis = client.redis.read(len(requests))
        for args, a, b in zip(requests, walden, redis):
            client.check(args, a, b)
        if self.waiting():
            self.settle()
        return len(requests)

    def round_block(self, number, request):
        client = self.clients[number]
        if client.waiting is not None or client.is_multi:
            return
        client.send([request])
        client.waiting = request
        self.settle()

    def round_unblock(self, number, how):
        client = self.clients[number]
        if client.waiting is None:
            return
        for control, connection in zip(self.control.both(), client.both()):
            if control.call("CLIENT", "UNBLOCK", connection.id, how) != 1:
                raise Difference(f"CLIENT UNBLOCK {how} did not")
        self.settle()

    def round_timeout(self, number, request):
        client = self.clients[number]
        if client.waiting is not None or client.is_multi:
            return
        client.send([request])
        walden, redis = (c.read(1)[0] for c in client.both())
        client.check(request, walden, redis)
        if self.waiting():
            self.settle()

    def round_expire(self, db, keys, requests):
        self.call("SELECT", db)
        for key in keys:
            self.call("PEXPIRE", key, 15)
        time.sleep(0.04)
        for args in requests:
            self.call(*args)
        for key in keys:
            self.call("EXISTS", key)
        if self.waiting():
            self.settle()
        return 2 * len(keys) + len(requests)

    def scan_all(self, connection, args, at):
        """Follow a SCAN (cursor at args[at]) to its end; the elements."""
        found = []
        cursor = b"0"
        for _ in range(100_000):
            reply = connection.call(*args[:at], cursor, *args[at + 1:])
            if isinstance(reply, resp.Error):
                return reply
            cursor, part = reply
            found += part
            if cursor == b"0":
                return found
        raise Difference(f"{shown(args)} does not end")

    def round_scan(self, db, options):
        self.call("SELECT", db)
        args = [b"SCAN", b"0", *options]
        walden, redis = (self.scan_all(c, args, 1)
                         for c in self.control.both())
        is_error = isinstance(redis, resp.Error)
        if (walden != redis) if is_error else set(walden) != set(redis):
            raise Difference(f"db {db}: {shown(args)}: {walden} {redis}")

    def round_hscan(self, db, key, options):
        self.call("SELECT", db)
        args = [b"HSCAN", key, b"0", *options]
        walden, redis = (self.scan_all(c, args, 2)
                         for c in self.control.both())
        if not isinstance(redis, resp.Error):
            walden, redis = (set(compare.pairs(x)) for x in (walden, redis))
        if walden != redis:
            raise Difference(f"db {db}: {shown(args)}: {walden} {redis}")

    def round_random(self, db):
        self.call("SELECT", db)
        walden, redis = (c.call("RANDOMKEY") for c in self.control.both())
        if (walden is None) != (redis is None):
            raise Difference(f"db {db}: RANDOMKEY: {walden!r} {redis!r}")
        if walden is not None and self.call("EXISTS", walden) != 1:
            raise Difference(f"db {db}: RANDOMKEY: {walden!r} is not there")

    def round_hrandfield(self, db, key, options):
        self.call("SELECT", db)
        args = [b"HRANDFIELD", key, *options]
        walden, redis = (c.call(*args) for c in self.control.both())
        fields = self.call("HGETALL", key)
        good = compare.same_type(walden, redis)
        if good and isinstance(redis, resp.Error):
            good = walden == redis
        elif good and isinstance(redis, bytes):
            good = walden in fields[::2]
        elif good and redis is not None:
            good = len(walden) == len(redis)
            if len(options) == 2:
                good = good and set(compare.pairs(walden)) <= set(
                    compare.pairs(fields))
                walden = walden[::2]
            good = good and set(walden) <= set(fields[::2])
            if options and int(options[0]) > 0:
                good = good and len(set(walden)) == len(walden)
        if not good:
            raise Difference(f"db {db}: {shown(args)}: {walden!r} {redis!r} "
                             f"of {fields!r}")

    def own(self, *args):
        """A request for walden alone."""
        if "redis" in os.path.basename(self.args.server):
            return
        reply = self.control.walden.call(*args)
        if isinstance(reply, resp.Error):
            raise Difference(f"{args}: {reply!r}")

    def round_evict(self):
        self.own("DEBUG", "EVICT")

    def round_fold(self):
        self.own("DEBUG", "FOLD")

    def round_limits(self, memory, journal):
        self.own("CONFIG", "SET", "maxmemory", memory,
                 "journal-fold-size", journal)

    def round_restart(self, how, directives):
        if how == "kill":
            self.walden.kill()
        else:
            status = self.walden.stop()
            if status != 0:
                raise Difference(f"SIGTERM: exit status {status}")
        self.walden.directives = directives
        self.walden.start()
        self.connect()
        self.restarts += 1

    def round_full(self):
        for db in range(DATABASES):
            walden, redis = (state.read_database(c, db)
                             for c in self.control.both())
            reason = state.difference(redis, walden, 3000)
            if reason:
                raise Difference(f"db {db}: {reason} (found: walden)")

    # ---- blocked clients ---------------------------------------------------

    def blocked(self):
        """blocked_clients of both."""
        counts = []
        for connection in self.control.both():
            text = connection.call("INFO", "clients")
            counts.append(int(text.split(b"blocked_clients:")[1].split()[0]))
        return counts

    def wait_for_blocked(self, count):
        until = time.monotonic() + WAIT_S
        while self.blocked() != [count, count]:
            if time.monotonic() > until:
                raise Difference(f"blocked clients: {self.blocked()}, "
                                 f"expected {count}")
            time.sleep(0.001)

    def settle(self):
        """Whoever waited: has it been answered, on both?  Compare that."""
        waiting = self.waiting()
        until = time.monotonic() + WAIT_S
        while True:
            walden, redis = self.blocked()
            if walden == redis and walden <= len(waiting):
                answered = self.answered(waiting, len(waiting) - walden)
                if answered is not None:
                    break
            if time.monotonic() > until:
                raise Difference(
                    f"{len(waiting)} clients waited, blocked now: walden "
                    f"{walden}, redis {redis}: "
                    + "; ".join(shown(c.waiting) for c in waiting))
            time.sleep(0.0005)
        for client in answered:
            walden, redis = (c.read(1)[0] for c in client.both())
            args, client.waiting = client.waiting, None
            client.check(args, walden, redis)

    def answered(self, waiting, count):
        """The count clients that have an answer on both servers; None: it is
        not all there yet."""
        ready = [set(select.select(
            [getattr(c, side).sock for c in waiting], [], [], 0)[0])
            for side in ("walden", "redis")]
        if len(ready[1]) != count or len(ready[0]) != count:
            return None
        both = [c for c in waiting
                if c.walden.sock in ready[0] and c.redis.sock in ready[1]]
        if len(both) != count:
            raise Difference(
                "different clients were served: walden "
                + str([shown(c.waiting) for c in waiting
                       if c.walden.sock in ready[0]]) + ", redis "
                + str([shown(c.waiting) for c in waiting
                       if c.redis.sock in ready[1]]))
        return both


class Inventor:
    """Makes up rounds."""

    def __init__(self, args, rng):
        self.args = args
        self.rng = rng
        self.commands = Commands(rng)

    def batch(self, pair):
        number = self.rng.randrange(CLIENTS)
        client = pair.clients[number]
        requests = []
        is_multi = client.is_multi
        for _ in range(self.rng.choice((1, 3, 10, 40, 80))):
            choice = self.rng.random()
            if is_multi and choice < 0.15:
                requests.append([self.rng.choice(
                    (b"EXEC", b"EXEC", b"EXEC", b"EXEC", b"DISCARD"))])
                is_multi = False
            elif not is_multi and choice < 0.03:
                requests.append([b"MULTI"])
                is_multi = True
            elif choice < 0.045:
                requests.append([b"WATCH"] + self.commands.some(
                    self.commands.other_key))
            elif choice < 0.05:
                requests.append([self.rng.choice(
                    (b"UNWATCH", b"MULTI", b"EXEC", b"DISCARD", b"RESET"))])
                is_multi = requests[-1][0] == b"MULTI" or (
                    is_multi and requests[-1][0] == b"UNWATCH")
            elif choice < 0.07 and is_multi:
                requests.append(self.commands.blocking(b"0"))
            else:
                requests.append(self.commands.random())
        if not self.may_swap(pair):
            requests = [args for args in requests
                        if args[0].upper() != b"SWAPDB"]
        if self.is_several_awaited(pair):
            requests = ([[b"DISCARD"]] if client.is_multi else [
                args for args in requests if args[0].upper() != b"MULTI"])
        return ("batch", number, requests or [[b"PING"]])

    @staticmethod
    def is_several_awaited(pair):
        """Does somebody wait for one of several keys?  When a transaction
        fills two, redis 7.2 answers from the first that was asked for, 7.0
        from the first that was filled."""
        def is_several(args):
            name = args[0].upper()
            return (name in (b"BLPOP", b"BRPOP") and len(args) > 3
                    or name == b"BLMPOP" and args[2] != b"1")
        return any(is_several(client.waiting) for client in pair.waiting())

    def may_swap(self, pair):
        """After SWAPDB redis looks at the keys somebody waits for in the order
        of its hash table: no order to compare if there is more than one."""
        if any(client.is_multi for client in pair.clients):
            return False
        waiting = [client.waiting for client in pair.waiting()]
        return not waiting or (len(waiting) == 1 and len(waiting[0]) == 3)

    def round(self, pair):
        rng, commands = self.rng, self.commands
        number = rng.randrange(CLIENTS)
        db = rng.randrange(DATABASES)
        choice = rng.random() * 100
        if choice < 6:
            # One client at least goes on.
            if len(pair.waiting()) < CLIENTS - 1:
                return ("block", number, commands.blocking(b"0"))
        elif choice < 9:
            return ("unblock", number, rng.choice(("TIMEOUT", "ERROR")))
        elif choice < 9.5:
            return ("timeout", number, commands.blocking(b"0.02"))
        elif choice < 10.5:
            keys = commands.some(commands.other_key, 3)
            requests = []
            while len(requests) < 3:
                args = commands.random()
                if len(args) > 1 and args[1] in keys:
                    requests.append(args)
                elif rng.random() < 0.02:
                    break
            return ("expire", db, keys, requests)
        elif choice < 13:
            options = commands.maybe([b"COUNT", b"%d" % rng.randint(1, 30)])
            options += commands.maybe([b"MATCH", b"*s*"], [b"MATCH", b"*:1"])
            options += commands.maybe([b"TYPE", b"list"], [b"TYPE", b"hash"])
            return ("scan", db, options)
        elif choice < 15:
            options = commands.maybe([b"COUNT", b"%d" % rng.randint(1, 30)])
            options += commands.maybe([b"MATCH", b"f1*"])
            return ("hscan", db, b"hsh:%d" % rng.randrange(HASHES), options)
        elif choice < 16:
            return ("random", db)
        elif choice < 18:
            count = b"%d" % rng.randint(-5, 9)
            options = commands.maybe([count], [count, b"WITHVALUES"])
            return ("hrandfield", db, b"hsh:%d" % rng.randrange(HASHES),
                    options)
        elif choice < 21:
            return ("evict",)
        elif choice < 23:
            return ("fold",)
        elif choice < 23.5:
            return ("limits", rng.choice(("50kb", "200kb", "1mb", "8mb")),
                    rng.choice(("16kb", "64kb", "1mb")))
        elif choice < 24 and self.args.restarts:
            if rng.random() < 0.5:
                return ("restart", rng.choice(("kill", "term")),
                        pair.limits())
        return self.batch(pair)


def missing_commands(pair):
    """Commands of the families that walden does not have."""
    listed = pair.control.walden.call("COMMAND", "LIST")
    have = {name.lower() for name in listed}
    rng = random.Random(1)
    commands = Commands(rng)
    wanted = {b"multi", b"exec", b"discard", b"watch", b"unwatch", b"scan",
              b"hscan", b"randomkey", b"hrandfield", b"flushall", b"reset"}
    for _ in range(3000):
        wanted.add(commands.blocking(b"0")[0].lower())
        for _, make in commands.families:
            wanted.add(make()[0].lower())
    return sorted(wanted - have - {b"nosuchcommand"})


def fails(pair, rounds):
    """The Difference that rounds end in, on empty servers; None: none."""
    try:
        if not pair.walden.is_alive():
            pair.walden.start()
        pair.reset()
        for this in rounds:
            pair.run(this)
    except (Difference, servers.ServerDied, resp.ProtocolError,
            OSError) as difference:
        return difference
    return None


def shrink(pair, rounds, seconds):
    """Leave parts out while the rounds still end in a difference."""
    until = time.monotonic() + seconds
    difference = fails(pair, rounds)
    if difference is None:
        return rounds, "does not happen again from an empty server"
    # First single requests out of pipelines become rounds of their own.
    flat = []
    for this in rounds:
        if this[0] == "batch":
            flat += [("batch", this[1], [args]) for args in this[2]]
        else:
            flat.append(this)
    if fails(pair, flat) is not None:
        rounds = flat
    size = max(1, len(rounds) // 2)
    while size >= 1 and time.monotonic() < until:
        at = 0
        while at < len(rounds) and time.monotonic() < until:
            fewer = rounds[:at] + rounds[at + size:]
            again = fails(pair, fewer)
            if again is not None:
                rounds, difference = fewer, again
            else:
                at += size
        size //= 2
    return rounds, difference


class Run:
    """The whole run, and its report."""

    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.pair = Pair(args, self.rng)
        self.rounds = []
        self.ops = 0

    def random_rounds(self):
        inventor = Inventor(self.args, self.rng)
        since = 0
        while self.ops < self.args.ops:
            if since > EPOCH_OPS:
                self.pair.run(("full",))
                self.pair.reset()
                self.rounds, since = [], 0
            this = inventor.round(self.pair)
            self.rounds.append(this)
            done = self.pair.run(this)
            since += done
            self.ops += done
        self.rounds.append(("full",))
        self.pair.run(self.rounds[-1])

    def report(self, difference):
        args = self.args
        print(f"FAIL differential: seed {args.seed}, after {self.ops} "
              f"requests: {difference}")
        print("the last rounds:")
        for this in self.rounds[-3:]:
            print("  " + (repr(this) if len(repr(this)) < 2000
                          else repr(this)[:500] + "..."))
        if args.shrink_seconds > 0:
            print("leaving parts out...", flush=True)
            rounds, difference = shrink(
                self.pair, self.rounds, args.shrink_seconds)
            print(f"{len(rounds)} rounds left: {difference}")
            for this in rounds[-30:]:
                print("  " + repr(this)[:600])
        else:
            rounds = self.rounds
        path = os.path.join(tempfile.gettempdir() if not args.keep
                            else args.keep, f"differential-{args.seed}.txt")
        with open(path, "w", encoding="utf-8") as file:
            pprint.pprint(rounds, file)
        print(f"again: {sys.argv[0]} --server {args.server} --seed "
              f"{args.seed} --ops {args.ops}\n   or: --replay {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=servers.WALDEN)
    parser.add_argument("--oracle", default=None)
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--no-restarts", dest="restarts",
                        action="store_false")
    parser.add_argument("--shrink-seconds", type=float, default=60.0)
    parser.add_argument("--lenient", action="store_true",
                        help="do not mind commands that walden lacks")
    parser.add_argument("--replay", help="run the rounds of a file")
    parser.add_argument("--keep", help="folder for the rounds of a failure")
    args = parser.parse_args()
    args.server = os.path.abspath(args.server)
    args.oracle = args.oracle or servers.redis_server()
    if args.seed is None:
        args.seed = random.SystemRandom().getrandbits(32)
    began = time.monotonic()
    run = Run(args)
    try:
        missing = missing_commands(run.pair)
        if missing and not args.lenient:
            raise Difference(f"walden lacks {b' '.join(missing).decode()}")
        if args.replay:
            with open(args.replay, encoding="utf-8") as file:
                run.rounds = ast.literal_eval(file.read())
            difference = fails(run.pair, run.rounds)
            if difference is not None:
                raise difference
        else:
            run.random_rounds()
    except (Difference, servers.ServerDied, resp.ProtocolError,
            OSError) as difference:
        run.report(difference)
        print("0 passed, 1 failed")
        return 1
    finally:
        run.pair.close()
    seconds = time.monotonic() - began
    print(f"differential: seed {args.seed}: {run.ops} requests in "
          f"{seconds:.0f} s ({run.ops / seconds:.0f}/s), "
          f"{run.pair.restarts} restarts, no difference")
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
