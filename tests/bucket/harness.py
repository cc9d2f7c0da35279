"""What the drivers of this folder share: where the tools are, a store of one's
own unless one is given, a debug build's fault points."""

import contextlib
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tools"), str(HERE)]

import objectstores  # noqa: E402
import place  # noqa: E402
import servers  # noqa: E402


def add_arguments(parser):
    parser.add_argument("--server", default=servers.WALDEN)
    parser.add_argument("--ceph", type=int, default=None, metavar="PORT",
                        help="a gateway that is already running "
                             "(testkey/testsecret); default: start one")
    parser.add_argument("--seed", type=int, default=None)


@contextlib.contextmanager
def gateway(port):
    """A client of the gateway at port, or of a new one."""
    if port is not None:
        yield objectstores.Client(port, objectstores.Ceph.access_key,
                                  objectstores.Ceph.secret_key)
        return
    lacking = objectstores.missing(objectstores.Ceph)
    if lacking:
        sys.exit(f"not installed: {lacking}; tests/tools/ceph_rgw.sh install")
    store = objectstores.Ceph(servers.free_port())
    try:
        yield store.client
    finally:
        store.stop()


def new_place(client, name, port=None):
    """A bucket nobody used before."""
    bucket = f"{name}-{time.time_ns()}"
    client.make_bucket(bucket)
    return place.Place(client, bucket, port=port)


def refused(server, text):
    """It must end by itself, and say why."""
    server.spawn()
    assert server.process.wait(60) != 0
    assert text in server.tail(), server.tail()


def fault_points(*folders):
    """The names in the sources."""
    pattern = re.compile(r'FAULT_POINT\(\s*"([^"]+)"')
    names = set()
    for folder in folders:
        for path in (servers.ROOT / folder).rglob("*.c"):
            names.update(pattern.findall(path.read_text(encoding="utf-8")))
    return sorted(names)
