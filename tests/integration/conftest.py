"""Servers for the integration tests.

WALDEN_BINARY (or WALDEN, which tests/run sets) names the program; without it
build/walden is tested.  Every server has a folder of its own and a free port,
and is killed by its process id.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

import servers  # noqa: E402

BINARY = os.environ.get("WALDEN_BINARY") or servers.WALDEN


@pytest.fixture
def start(request):
    """start(**directives): a running Walden; '_' in names stands for '-'."""

    def begin(folder=None, **directives):
        named = {name.replace("_", "-"): value
                 for name, value in directives.items()}
        server = servers.Server(BINARY, named, folder=folder)
        request.addfinalizer(server.remove)
        server.start()
        return server

    return begin


class Disk:
    """The disk under a server's database files (tests/fault/iofault.c)."""

    SHIM = servers.ROOT / "build" / "iofault.so"

    def __init__(self, folder):
        self.control = os.path.join(folder, "disk.control")
        self.generation = 0
        self.order()
        self.env = servers.preloaded(self.SHIM, IOFAULT_CONTROL=self.control,
                                     IOFAULT_MATCH=folder + "/walden.db")

    def order(self, sync_ms=0, sync_errno=0):
        """From now on every sync takes that long, and fails with that."""
        self.generation += 1
        text = (f"{self.generation} 0 0 {sync_errno} "
                f"{-1 if sync_errno else 0} {sync_ms * 1000}\n")
        fd = os.open(self.control, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(fd, text.encode().ljust(64), 0)
        os.close(fd)


@pytest.fixture
def start_on_disk(request, tmp_path):
    """start_on_disk(**directives): a running Walden and its Disk."""
    if not Disk.SHIM.exists():
        pytest.skip(f"no {Disk.SHIM}: make build/iofault.so")

    def begin(**directives):
        named = {name.replace("_", "-"): value
                 for name, value in directives.items()}
        server = servers.Server(BINARY, named, folder=str(tmp_path))
        request.addfinalizer(server.remove)
        disk = Disk(server.folder)
        server.env = disk.env
        server.start()
        return server, disk

    return begin


@pytest.fixture
def walden(start):
    """A running Walden with the default configuration."""
    return start()


@pytest.fixture
def client(walden):
    connection = walden.connect()
    yield connection
    connection.close()


@pytest.fixture
def oracle(request):
    """A real redis-server to compare with; skips if there is none."""
    try:
        binary = servers.redis_server()
    except RuntimeError as error:
        pytest.skip(str(error))
    server = servers.Server(binary, {"save": ""})
    request.addfinalizer(server.remove)
    server.start()
    return server
