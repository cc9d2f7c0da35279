#!/usr/bin/env python3
"""Full disks and failing ones: nothing acknowledged is lost, reads go on,
writes are refused with MISCONF and heal when the disk does.

Every scenario is the same story: write; the disk begins to fail; go on until
writes are refused; read everything; the disk heals; write again; kill -9;
start; read everything.  The disk fails in one of these ways:

  tmpfs      a file system of a few MiB that is really full (needs root)
  shim       build/iofault.so answers ENOSPC or EIO to writes or to fsync,
             once, for a while, or until told otherwise

What a key holds at any time must be the last value acknowledged for it or one
that was sent later and not acknowledged.  Pairs written by one transaction
must be equal.
"""

import argparse
import contextlib
import errno
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "tools"))
import resp  # noqa: E402
import servers  # noqa: E402

SHIM = servers.ROOT / "build" / "iofault.so"
KEYS = 200
WRITERS = 4


class Failed(Exception):
    """The promise is broken."""


class Skipped(Exception):
    """This machine cannot make a disk fail this way."""


class ShimDisk:
    """A folder whose database files fail on demand."""

    def __init__(self):
        if not SHIM.exists():
            raise Skipped(f"no {SHIM}: make build/iofault.so")
        self.folder = tempfile.mkdtemp(prefix="walden-disk-")
        self.control = self.folder + ".control"
        self.generation = 0
        self.order(0, 0, 0, 0)
        self.env = servers.preloaded(
            SHIM, IOFAULT_CONTROL=self.control,
            IOFAULT_MATCH=self.folder + "/walden.db")

    def order(self, write_errno, write_count, sync_errno, sync_count):
        """The control file is rewritten in place: it is mapped."""
        self.generation += 1
        text = (f"{self.generation} {write_errno} {write_count} "
                f"{sync_errno} {sync_count} 0\n")
        flags = os.O_WRONLY | os.O_CREAT
        fd = os.open(self.control, flags, 0o600)
        os.write(fd, text.ljust(64).encode())
        os.close(fd)

    def heal(self):
        self.order(0, 0, 0, 0)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(self.control)


class SmallDisk:
    """A file system of its own, that is full when told to be."""

    def __init__(self, size_mb=160):
        self.folder = tempfile.mkdtemp(prefix="walden-disk-")
        self.env = {}
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "walden-test",
             self.folder], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            os.rmdir(self.folder)
            raise Skipped("cannot mount: " + done.stderr.strip())
        self.filler = os.path.join(self.folder, "filler")

    def fill(self):
        """Leave nothing at all; what is deleted meanwhile is taken too."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def heal(self):
        os.unlink(self.filler)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=False)
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)


class Story:
    """The writers, what they know, and the server."""

    def __init__(self, disk, binary, seed):
        self.disk = disk
        self.rng = random.Random(seed)
        directives = {"journal-fold-size": "64kb", "maxmemory": "1mb"}
        self.server = servers.Server(binary, directives, disk.folder,
                                     env=disk.env)
        # Its log does not go to the disk that fails.
        self.server.log = disk.folder + ".log"
        self.acked = {}      # name -> value
        self.maybe = {}      # name -> values sent after that
        self.number = 0
        self.refused = 0
        self.acknowledged = 0
        self.connections = []

    def start(self):
        self.server.start()
        self.connections = [self.server.connect() for _ in range(WRITERS)]

    def close(self):
        self.server.kill()
        with contextlib.suppress(OSError):
            os.unlink(self.server.log)

    def requests(self):
        """Units: [(names, value, requests)]."""
        units = []
        for _ in range(self.rng.randint(1, 12)):
            self.number += 1
            name = b"k%d" % self.rng.randrange(KEYS)
            size = self.rng.choice((10, 100, 100, 1000, 20000))
            value = b"%d:" % self.number + self.rng.randbytes(size)
            if self.rng.random() < 0.2:
                pair = b"p%d" % self.rng.randrange(KEYS)
                units.append(([pair + b"a", pair + b"b"], value, [
                    (b"MULTI",), (b"SET", pair + b"a", value),
                    (b"SET", pair + b"b", value), (b"EXEC",)]))
            else:
                units.append(([name], value, [(b"SET", name, value)]))
        return units

    def write(self):
        """One pipeline on each connection.  Answers how many units were
        refused."""
        refused = 0
        for connection in self.connections:
            units = self.requests()
            for names, value, _ in units:
                for name in names:
                    self.maybe.setdefault(name, []).append(value)
            replies = connection.pipeline(
                request for _, _, part in units for request in part)
            at = 0
            for names, value, part in units:
                reply = replies[at + len(part) - 1]
                errors = [r for r in replies[at:at + len(part)]
                          if isinstance(r, resp.Error)]
                at += len(part)
                if not errors and not isinstance(reply, resp.Error):
                    self.acknowledge(names, value)
                    continue
                refused += 1
                if not all(e.startswith((b"MISCONF", b"EXECABORT"))
                           for e in errors):
                    raise Failed(f"refused with {errors!r}")
        self.refused += refused
        return refused

    def acknowledge(self, names, value):
        self.acknowledged += 1
        for name in names:
            self.acked[name] = value
            later = self.maybe[name]
            self.maybe[name] = later[later.index(value) + 1:]

    def write_for(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.write():
                raise Failed("refused on a healthy disk")

    def write_until_refused(self, seconds=10.0):
        until = time.monotonic() + seconds
        while not self.write():
            if time.monotonic() > until:
                raise Failed("nothing was refused")

    def write_until_healed(self, seconds=15.0):
        until = time.monotonic() + seconds
        while self.write():
            if time.monotonic() > until:
                raise Failed(f"still refused {seconds} s after the disk "
                             "healed\n" + self.server.tail())
            time.sleep(0.02)

    def read(self, when):
        """Everything must be readable and right."""
        connection = self.server.connect()
        names = sorted(set(self.acked) | set(self.maybe))
        values = connection.pipeline((b"GET", name) for name in names)
        found = dict(zip(names, values))
        for name, value in found.items():
            allowed = [self.acked.get(name)] + self.maybe.get(name, [])
            if value not in allowed:
                raise Failed(
                    f"{when}: {name!r} is {value if value is None else value[:30]!r}, "
                    f"acknowledged {(self.acked.get(name) or b'')[:30]!r}")
            other = name[:-1] + b"b"
            if name.startswith(b"p") and name.endswith(b"a") \
                    and found[other] != value:
                raise Failed(f"{when}: half a transaction at {name!r}")
        connection.close()


def tell(disk, fail):
    """Begin to fail."""
    if isinstance(disk, SmallDisk):
        disk.fill()
    else:
        disk.order(*fail)


def scenario(binary, seed, make_disk, fail, is_lasting=True,
             kill_while_failing=False):
    """The story; see the head of the file.  fail: for ShimDisk.order()."""
    disk = make_disk()
    story = Story(disk, binary, seed)
    try:
        story.start()
        story.write_for(0.5)
        story.read("before")
        tell(disk, fail)
        story.write_until_refused()
        story.read("while failing")
        if is_lasting:
            # A refusal is answered at once, and goes on.
            for _ in range(20):
                story.write()
            if isinstance(disk, SmallDisk):
                disk.fill()
            story.read("after many refusals")
        if kill_while_failing:
            story.server.kill()
            start_anyhow(story)
            disk.heal()
            story.server.kill()
            story.start()
            story.read("after a kill while failing")
        else:
            disk.heal()
        story.write_until_healed()
        story.write_for(0.3)
        story.read("after healing")
        story.server.kill()
        story.start()
        story.read("after a kill")
        story.write_for(0.1)
        if story.server.stop() != 0:
            raise Failed("SIGTERM: status is not 0")
        story.start()
        story.read("at the end")
        return (f"{story.acknowledged} acknowledged, {story.refused} refused")
    except TimeoutError as error:
        raise Failed("no answer\n" + story.server.tail()) from error
    finally:
        story.close()
        disk.close()


def start_anyhow(story):
    """A start on a failing disk may be refused, in words, but not crash."""
    try:
        story.start()
        story.read("started while failing")
    except servers.ServerDied as died:
        status = story.server.process.returncode
        if status is not None and status < 0:
            raise Failed(f"the start ended by signal {-status}") from died


FULL = (errno.ENOSPC, -1, 0, 0)
SCENARIOS = {
    "full": (SmallDisk, None, True, False),
    "full_killed": (SmallDisk, None, True, True),
    "write_enospc": (ShimDisk, FULL, True, False),
    "write_enospc_killed": (ShimDisk, FULL, True, True),
    "write_eio_once": (ShimDisk, (errno.EIO, 1, 0, 0), False, False),
    "sync_eio_once": (ShimDisk, (0, 0, errno.EIO, 1), False, False),
    "sync_eio": (ShimDisk, (0, 0, errno.EIO, -1), True, False),
    "sync_eio_killed": (ShimDisk, (0, 0, errno.EIO, -1), True, True),
    "sync_eio_five": (ShimDisk, (0, 0, errno.EIO, 5), False, False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=servers.WALDEN)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    args = parser.parse_args()
    binary = os.path.abspath(args.server)
    seed = args.seed
    if seed is None:
        seed = random.SystemRandom().getrandbits(32)
    print(f"full_disk: seed {seed}")
    passed = failed = 0
    for name in args.only or SCENARIOS:
        make_disk, fail, is_lasting, kill = SCENARIOS[name]
        try:
            said = scenario(binary, seed, make_disk, fail, is_lasting, kill)
            print(f"ok   {name}: {said}", flush=True)
            passed += 1
        except Skipped as reason:
            print(f"skip {name}: {reason}", flush=True)
        except (Failed, servers.ServerDied, resp.ProtocolError,
                OSError) as reason:
            print(f"FAIL {name}: {reason}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
