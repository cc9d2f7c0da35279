"""Writers that keep books, for servers that come and go on one history.

A unit is one transaction of one writer: a few changes of keys that are its own,
its number n, an entry "writer:n" in a log that all share, and an increment of
one counter, whose value is the unit's place in history.  After it the writer
notes n once more in a plain SET.  So, whatever server is asked later:

  - log and counter say which units are there, and in which order;
  - the units of one writer must be 1..k, and its keys the state after k;
  - a unit that was acknowledged at place p must stand there;
  - nothing that any reader was shown may be missing.

Where some loss is allowed (durability disk, and the machine is gone), what is
lost must be the end of history: then every unit acknowledged at a place within
the counter is there, and everything beyond it is gone.
"""

import random
import threading
import time

import resp
import servers
import state

NOTE = b"note:%d"


class Lost(Exception):
    """The promise is broken."""


class Keys:
    """What a writer's own keys must hold."""

    def __init__(self, number):
        self.prefix = b"w%d:" % number
        self.held = {}

    def copy(self):
        other = Keys(0)
        other.prefix = self.prefix
        other.held = {name: value.copy() if isinstance(value, (list, dict))
                      else value for name, value in self.held.items()}
        return other

    def invent(self, rng):
        """A command that can be applied without knowing the state."""
        def name(kind, count):
            return self.prefix + b"%s%d" % (kind, rng.randrange(count))

        value = b"%d." % rng.getrandbits(60)
        if rng.random() < 0.03:
            value *= rng.choice((100, 500, 2000))
        return rng.choice((
            lambda: (b"SET", name(b"s", 40), value),
            lambda: (b"SET", name(b"s", 40), value),
            lambda: (b"APPEND", name(b"a", 3), value[:50]),
            lambda: (b"RPUSH", name(b"l", 3), value),
            lambda: (b"LPOP", name(b"l", 3)),
            lambda: (b"HSET", name(b"h", 3), b"f%d" % rng.randrange(50),
                     value),
            lambda: (b"HDEL", name(b"h", 3), b"f%d" % rng.randrange(50)),
            lambda: (b"DEL", name(rng.choice((b"s", b"a", b"l", b"h")), 3)),
        ))()

    def apply(self, command):
        what, name, *more = command
        held = self.held
        if what == b"SET":
            held[name] = more[0]
        elif what == b"APPEND":
            held[name] = held.get(name, b"") + more[0]
        elif what == b"RPUSH":
            held.setdefault(name, []).append(more[0])
        elif what == b"LPOP":
            if name in held:
                held[name].pop(0)
        elif what == b"HSET":
            held.setdefault(name, {})[more[0]] = more[1]
        elif what == b"HDEL":
            held.get(name, {}).pop(more[0], None)
        elif what == b"DEL":
            held.pop(name, None)
        if name in held and not held[name]:
            del held[name]


class Writer:
    """One writer's part of the book."""

    def __init__(self, number):
        self.number = number
        self.keys = Keys(number)   # after `settled` units
        self.settled = 0
        self.open = []             # units after these: lists of commands
        self.acked = {}            # n -> (place, when)
        self.noted = 0             # largest n whose plain SET was acknowledged
        self.errors = []

    def invent(self, rng, log):
        n = self.settled + len(self.open) + 1
        unit = [self.keys.invent(rng) for _ in range(rng.randint(1, 4))]
        self.open.append(unit)
        mark = b"%d:%d" % (self.number, n)
        return n, [(b"MULTI",), *unit, (b"RPUSH", log, mark),
                   (b"INCR", b"total"), (b"EXEC",),
                   (b"SET", NOTE % self.number, b"%d" % n)]


class Book:
    """All writers, and what they were told."""

    def __init__(self, seed, count=4):
        self.rng = random.Random(seed)
        self.writers = [Writer(number) for number in range(count)]
        self.base = 0              # the counter at the last check
        self.chapter = 0           # each check begins a new log
        self.shown = 0             # largest counter a reader was shown
        self.begun = None          # the counter in a check that broke off
        self.units = 0             # acknowledged, ever
        self.lost = 0              # of these
        self.lost_age = 0.0        # seconds before `ended`, the oldest of them
        self.ended = None          # when the server was killed

    def log(self):
        return b"log:%d" % self.chapter

    # ---- writing -----------------------------------------------------------

    def _write(self, writer, port, rng, stop, pace, prepare):
        log = self.log()
        try:
            connection = servers.Connection(port)
            for request in prepare:
                connection.call(*request)
            while not stop.is_set():
                units = [writer.invent(rng, log)
                         for _ in range(rng.choice((1, 1, 2, 4, 8)))]
                connection.send(*[request for _, requests in units
                                  for request in requests])
                for n, requests in units:
                    for request in requests:
                        reply = connection.read(1)[0]
                        if isinstance(reply, resp.Error):
                            raise servers.ServerDied(repr(reply))
                        if request[0] == b"EXEC":
                            writer.acked[n] = (reply[-1], time.monotonic())
                    writer.noted = n
                if pace:
                    time.sleep(rng.random() * 2 * pace)
            connection.close()
        except (servers.ServerDied, OSError) as error:
            writer.errors.append(str(error))

    def _read(self, port, stop, prepare):
        try:
            connection = servers.Connection(port)
            for request in prepare:
                connection.call(*request)
            while not stop.is_set():
                reply = connection.call("GET", "total")
                if isinstance(reply, bytes) and \
                        not isinstance(reply, resp.Error):
                    self.shown = max(self.shown, int(reply))
                time.sleep(0.002)
            connection.close()
        except (servers.ServerDied, OSError):
            pass

    def begin(self, port, writers=None, pace=0.002, prepare=(), reader=True):
        """Start writing; end(answer) stops it."""
        stop = threading.Event()
        self.ended = None
        threads = [threading.Thread(
            target=self._write, daemon=True,
            args=(writer, port, random.Random(self.rng.getrandbits(64)), stop,
                  pace, prepare))
            for writer in writers or self.writers]
        if reader:
            threads.append(threading.Thread(
                target=self._read, args=(port, stop, prepare), daemon=True))
        for thread in threads:
            thread.start()
        return stop, threads

    @staticmethod
    def end(load, timeout=60):
        stop, threads = load
        stop.set()
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                raise Lost(f"a client got no answer in {timeout} s")

    # ---- checking ----------------------------------------------------------

    def check(self, port, may_lose=False):
        """Compare with the server; what is there is from now on the truth.
        When the server goes away meanwhile nothing has changed in the book:
        the check can be made again."""
        connection = servers.Connection(port)
        try:
            total = int(connection.call("GET", "total") or 0)
            if self.begun not in (None, total):
                raise Lost(f"a check that broke off found {self.begun}, the "
                           f"next one {total}")
            self.begun = total
            log = [tuple(int(part) for part in entry.split(b":"))
                   for entry in connection.call("LRANGE", self.log(), 0, -1)]
            found = state.read_database(connection, 0)
        finally:
            connection.close()
        if total < self.base or total - self.base != len(log):
            raise Lost(f"counter {total}, {self.base} before, but "
                       f"{len(log)} entries in the log")
        if not may_lose and self.shown > total:
            raise Lost(f"a reader was shown {self.shown}, now it is {total}")
        present = self._check_order(log)
        self._check_acks(log, total, may_lose)
        for writer in self.writers:
            self._check_writer(writer, present[writer.number], found, may_lose)
        self.base = self.shown = total
        self.begun = None
        self.chapter += 1

    def _check_order(self, log):
        """Each writer's entries in sequence; answers the last of each."""
        last = {writer.number: writer.settled for writer in self.writers}
        for number, n in log:
            if n != last[number] + 1:
                raise Lost(f"writer {number}: {n} stands after "
                           f"{last[number]} in the log")
            last[number] = n
        return last

    def _check_acks(self, log, total, may_lose):
        places = {}
        for writer in self.writers:
            for n, (place, when) in writer.acked.items():
                me = (writer.number, n)
                self.units += 1
                if places.setdefault(place, me) != me:
                    raise Lost(f"{me} and {places[place]} were both "
                               f"acknowledged at place {place}")
                if place <= total:
                    if log[place - self.base - 1] != me:
                        raise Lost(f"place {place} was acknowledged to {me}, "
                                   f"{log[place - self.base - 1]} has it")
                elif not may_lose:
                    raise Lost(f"{me}, acknowledged at place {place}, is "
                               f"missing; history ends at {total}")
                else:
                    self.lost += 1
                    if self.ended is not None:
                        self.lost_age = max(self.lost_age, self.ended - when)

    @staticmethod
    def _check_writer(writer, last, found, may_lose):
        if last - writer.settled > len(writer.open):
            raise Lost(f"writer {writer.number}: {last} was never sent")
        for unit in writer.open[:last - writer.settled]:
            for command in unit:
                writer.keys.apply(command)
        mine = {name: value for name, (value, _) in found.items()
                if name.startswith(writer.keys.prefix)}
        if mine != writer.keys.held:
            names = [name for name in set(mine) | set(writer.keys.held)
                     if mine.get(name) != writer.keys.held.get(name)]
            raise Lost(
                f"writer {writer.number} after {last} units: {names[0]!r} is "
                f"{state.brief(mine.get(names[0]))}, not "
                f"{state.brief(writer.keys.held.get(names[0]))}")
        note = int(found.get(NOTE % writer.number, (b"0",))[0])
        if not last - 1 <= note <= last or \
                (not may_lose and note < writer.noted):
            raise Lost(f"writer {writer.number} has {last} units but the note "
                       f"says {note}; {writer.noted} was acknowledged")
        writer.settled, writer.open = last, []
        writer.acked, writer.noted = {}, note
