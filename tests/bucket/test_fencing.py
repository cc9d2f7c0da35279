"""Who owns the prefix: split brain (split_brain.py), and stores that cannot
say."""

import os

import place
import resp

import harness


def test_a_second_server_takes_over(begin, bucket):
    first = begin(bucket, durability="bucket")
    client = first.connect()
    assert client.call("SET", "a", "1") == b"OK"
    second = begin(bucket, durability="bucket")
    assert second.connect().call("GET", "a") == b"1"
    # The first one learns it with its next write.
    try:
        reply = client.call("SET", "a", "2")
        assert isinstance(reply, resp.Error), reply
        assert b"taken over" in reply
    except Exception as error:  # pylint: disable=broad-except
        assert "closed" in str(error) or "reset" in str(error), error
    assert first.process.wait(20) == 1
    assert "taken over" in first.tail()
    assert second.connect().call("GET", "a") == b"1"
    assert place.info(second.connect())["epoch"] == 2


def test_a_lost_start_leaves_nothing_behind(begin, bucket, behind_proxy, proxy):
    """Its takeover arrives after another server's: it starts over, and what
    it had put aside (a mark of lost history, say) must not count then."""
    assert bucket.client is behind_proxy.client
    direct = place.Place(behind_proxy.client, behind_proxy.bucket)
    first = begin(direct, durability="bucket")
    assert first.connect().call("SET", "a", "1") == b"OK"
    first.kill()
    proxy.rule("delay", seconds=3.0, method="PUT", times=1, path="/0000/")
    late = behind_proxy.server(durability="bucket")
    try:
        late.spawn()
        place.wait_until("it takes over", lambda: "taking over" in late.tail())
        mark = os.path.join(late.folder, "walden.db-outbox", "lost")
        with open(mark, "w", encoding="ascii") as file:
            file.write("walden-lost 1\ntxid 1\nnode 0000000000000001\n")
        second = begin(direct, durability="bucket")
        assert second.connect().call("SET", "a", "2") == b"OK"
        late.wait_until_up(30)
        assert "starting over" in late.tail(100)
        assert not os.path.exists(mark)
        assert late.connect().call("GET", "a") == b"2"
    finally:
        late.remove()


def test_a_lost_answer_is_not_another_writer(begin, behind_proxy, proxy):
    server = begin(behind_proxy, durability="bucket")
    client = server.connect()
    for fault in ({"fault": "drop_answer"},
                  {"fault": "late_status", "code": 500},
                  {"fault": "late_status", "code": 409},
                  {"fault": "repeat"},
                  {"fault": "cut_answer"},
                  {"fault": "cut_request", "bytes": 10},
                  {"fault": "wrong_upload"},
                  {"fault": "status", "code": 503, "retry_after": 1},
                  {"fault": "status", "code": 412}):
        proxy.order("rule", method="PUT", times=2, **fault)
        for number in range(4):
            assert client.call("SET", f"k{number}", str(fault)) == b"OK", fault
        proxy.clear()
    assert server.is_alive()
    server.kill()
    server.remove()
    assert begin(behind_proxy).connect().call("DBSIZE") == 4


def test_no_fencing_is_refused(swift):
    where = harness.new_place(swift, "nofence")
    with where.server() as server:
        harness.refused(server, "unsafe-no-fencing")


def test_unsafe_no_fencing(begin, swift):
    where = harness.new_place(swift, "nofence")
    server = begin(where, unsafe_no_fencing="yes", durability="bucket")
    client = server.connect()
    for number in range(20):
        assert client.call("SET", f"k{number}", "x") == b"OK"
    assert place.info(client)["fencing"] == 0
    server.kill()
    server.remove()
    other = begin(where, unsafe_no_fencing="yes")
    assert other.connect().call("DBSIZE") == 20
    done = where.tool("verify", where.url)
    assert done.returncode == 0, done.stderr


def test_ignored_conditions_are_noticed(behind_proxy, proxy):
    """A store that answers 200 to every PUT (some do) cannot fence."""
    proxy.rule("status", code=200, body="", method="PUT")
    with behind_proxy.server() as server:
        harness.refused(server, "unsafe-no-fencing")
