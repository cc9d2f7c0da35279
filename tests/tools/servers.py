"""Starting and stopping servers, and talking to them; what the long-running
drivers (crash, differential, bench) share.

A Server owns a process and the folder it runs in, and can start it again on
the same folder.  A Connection is one socket, blocking or not.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import resp

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WALDEN = (os.environ.get("WALDEN_BINARY") or os.environ.get("WALDEN")
          or str(ROOT / "build" / "walden"))


def redis_server():
    """The path of Debian's redis-server, also where only redis-tools is."""
    link = ROOT / "build" / "tools" / "redis-server"
    if not link.exists():
        found = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        if found is None:
            raise RuntimeError("no redis-server: install redis-tools")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(found)
    return str(link)


def free_port():
    """A port nobody listens on just now: at random, and below those that the
    kernel gives to clients, which come and go meanwhile."""
    choose = random.SystemRandom()
    while True:
        port = choose.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                pass


def free_port_range(count):
    """The first of so many ports in a row that nobody listens on."""
    while True:
        first = free_port()
        probes = [socket.socket() for _ in range(count)]
        try:
            for number, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + number))
            return first
        except (OSError, OverflowError):
            continue
        finally:
            for probe in probes:
                probe.close()


def preloaded(shim, **more):
    """The environment of a server under shim (build/iofault.so)."""
    options = os.environ.get("ASAN_OPTIONS", "")
    # It has to come before ASan's library, which ASan does not like.
    return {"LD_PRELOAD": str(shim),
            "ASAN_OPTIONS": options + ":verify_asan_link_order=0", **more}


class ServerDied(Exception):
    """The process is gone, or did not come up."""


class Connection:
    """One client.  call() for one request, send()/read() for pipelines."""

    def __init__(self, port, timeout=30.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = resp.Parser()
        self.ready = []

    def send(self, *requests):
        self.sock.sendall(b"".join(resp.encode(args) for args in requests))

    def read(self, count=1):
        """The next count replies; raises if the server hangs up."""
        while len(self.ready) < count:
            data = self.sock.recv(1 << 18)
            if not data:
                raise ServerDied("connection closed")
            self.parser.feed(data)
            self.ready += self.parser.take()
        replies, self.ready = self.ready[:count], self.ready[count:]
        return replies

    def call(self, *args):
        self.send(args)
        return self.read(1)[0]

    def pipeline(self, requests):
        requests = list(requests)
        if not requests:
            return []
        self.send(*requests)
        return self.read(len(requests))

    def close(self):
        self.sock.close()


class Server:
    """binary with directives (a dict) in a folder (made if not given)."""

    def __init__(self, binary, directives=None, folder=None, port=None,
                 env=None):
        # Its working folder is its own: a relative path would not do.
        self.binary = os.path.abspath(binary)
        self.directives = dict(directives or {})
        self.is_folder_ours = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="walden-")
        self.port = port or free_port()
        self.env = dict(env or {})
        self.process = None
        self.log = os.path.join(self.folder, "server.log")

    def command(self):
        args = [self.binary, "--port", str(self.port), "--dir", self.folder]
        for name, value in self.directives.items():
            args.append("--" + name)
            args += [str(value)] if not isinstance(value, (list, tuple)) \
                else [str(part) for part in value]
        return args

    def spawn(self, env=None, preload=None):
        """Start the process; do not wait until it answers."""
        full = dict(os.environ, **self.env, **(env or {}))
        if preload:
            full["LD_PRELOAD"] = preload
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=full)

    def start(self, env=None, preload=None, timeout=30.0):
        """Start and wait until PING is answered.  Answers the seconds it
        took; raises ServerDied if it ends before."""
        began = time.monotonic()
        self.spawn(env, preload)
        self.wait_until_up(timeout)
        return time.monotonic() - began

    def wait_until_up(self, timeout=30.0):
        until = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise ServerDied(
                    f"exit status {self.process.returncode}\n{self.tail()}")
            try:
                connection = Connection(self.port, timeout=5.0)
                try:
                    answer = connection.call("PING")
                finally:
                    connection.close()
                if not answer.startswith(b"LOADING"):
                    return
            except (OSError, ServerDied):
                pass
            if time.monotonic() > until:
                self.kill()
                raise ServerDied(f"no answer in {timeout} s\n{self.tail()}")
            time.sleep(0.002)

    def connect(self, timeout=30.0):
        return Connection(self.port, timeout)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, timeout=60.0):
        """SIGTERM.  Answers the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerDied(f"SIGTERM did nothing in {timeout} s\n"
                             + self.tail()) from None

    def tail(self, lines=25):
        try:
            text = pathlib.Path(self.log).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def remove(self):
        """Kill it and remove its folder."""
        if "/build/cov/" in self.binary and self.is_alive():
            # Who is killed does not write down what it executed.
            with contextlib.suppress(ServerDied):
                self.stop(10)
        self.kill()
        if self.is_folder_ours:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
