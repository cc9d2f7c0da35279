"""A server that nobody talks to rests: it writes nothing and hardly runs."""

import os
import time


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bytes_written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        counts = dict(line.split(": ") for line in file.read().splitlines())
    return int(counts["write_bytes"])


def test_idle_server_rests(start):
    server = start(fold_idle_ms=100)
    connection = server.connect()
    for number in range(1000):
        connection.send(("SET", f"k{number}", "x" * 100))
    connection.read(1000)
    connection.call("SET", "expires", "x", "PX", 200)
    # Folding, the expiry and their checkpoint come first.
    time.sleep(2)
    pid = server.process.pid
    cpu, written = cpu_seconds(pid), bytes_written(pid)
    time.sleep(4)
    assert bytes_written(pid) == written
    # Half a percent is the aim; a clock tick is 0.01 s.
    assert cpu_seconds(pid) - cpu <= 0.04
    connection.close()


def test_idle_clients_cost_little(start):
    count = 500
    server = start(maxclients=1000)

    def resident_kb():
        with open(f"/proc/{server.process.pid}/status",
                  encoding="ascii") as lines:
            for line in lines:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    before = resident_kb()
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        assert connection.call("PING") == b"PONG"
    # 10,000 of them shall cost less than 100 MB.
    assert resident_kb() - before < count * 10
    for connection in connections:
        connection.close()
