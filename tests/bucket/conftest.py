"""Fixtures: one Ceph gateway for the whole run, one bucket for each test.

CEPH_PORT names a gateway that runs already (testkey / testsecret; the tests
that stop the gateway always start one of their own).  WALDEN names the program.
"""

import os

import pytest

import harness  # pylint: disable=import-error

import faultproxy
import objectstores
import servers


def need(kind, script):
    lacking = objectstores.missing(kind)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)} "
                    f"(tests/tools/{script} install)")


@pytest.fixture(scope="session")
def shared_ceph():
    need(objectstores.Ceph, "ceph_rgw.sh")
    given = os.environ.get("CEPH_PORT")
    with harness.gateway(int(given) if given else None) as client:
        yield client


@pytest.fixture(scope="module")
def own_ceph():
    """A gateway to stop and start."""
    need(objectstores.Ceph, "ceph_rgw.sh")
    store = objectstores.Ceph(servers.free_port())
    yield store
    store.stop()


@pytest.fixture(scope="session")
def swift():
    """A store that cannot fence."""
    need(objectstores.Swift, "swift_s3.sh")
    store = objectstores.Swift(servers.free_port_range(5))
    yield store.client
    store.stop()


@pytest.fixture
def proxy(shared_ceph):
    faults = faultproxy.FaultProxy(
        shared_ceph.port, servers.free_port(), servers.free_port())
    yield faults
    faults.stop()


@pytest.fixture
def bucket(shared_ceph):
    """A place nobody used before, straight at the gateway."""
    return harness.new_place(shared_ceph, "test")


@pytest.fixture
def behind_proxy(shared_ceph, proxy):
    """The same, behind the fault proxy."""
    return harness.new_place(shared_ceph, "test", proxy.port)


@pytest.fixture
def begin(request):
    """begin(place, folder=None, **directives): a running server there."""

    def start(where, folder=None, **directives):
        server = where.server(folder=folder, **directives)
        request.addfinalizer(server.remove)
        server.start(timeout=60)
        return server

    return start
