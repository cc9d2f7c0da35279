"""Interoperability: Litestream's own VFS reads what Walden wrote.

The npm package litestream-vfs ships it as a loadable SQLite extension.  It is
fetched once into build/tools/litestream; without npm or a registry the test is
skipped and says so.
"""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

import place
import servers

VERSION = "0.5.17"
FOLDER = servers.ROOT / "build" / "tools" / "litestream"
# In a process of its own: the extension is a whole Go program.
READER = """
import json, sqlite3, sys
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.execute("SELECT load_extension(?, 'sqlite3_litestreamvfs_init')",
               (sys.argv[1],))
db = sqlite3.connect("file:walden.db?vfs=litestream", uri=True)
print(json.dumps({
    "check": db.execute("PRAGMA integrity_check").fetchall(),
    "keys": db.execute("SELECT count(*) FROM keys").fetchone()[0],
    "schema": db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0],
    "journal": db.execute("SELECT count(*) FROM journal").fetchone()[0],
    "tables": {table: sorted(map(repr, db.execute(f"SELECT * FROM {table}")))
               for table in ("keys", "hashes", "lists")}}))
"""


def extension():
    found = list(FOLDER.glob("node_modules/litestream-vfs-*/litestream-vfs.so"))
    if found:
        return found[0]
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: Litestream's VFS cannot be fetched")
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix",
         str(FOLDER), f"litestream-vfs@{VERSION}"], capture_output=True,
        text=True, timeout=300, check=False)
    found = list(FOLDER.glob("node_modules/litestream-vfs-*/litestream-vfs.so"))
    if not found:
        pytest.skip(f"npm could not fetch litestream-vfs: {done.stderr[-200:]}")
    return found[0]


def python():
    """One whose sqlite3 loads extensions; not all do."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [candidate, "-c", "import sqlite3; sqlite3.connect(':memory:')"
             ".enable_load_extension(True)"], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    pytest.skip("no python3 whose sqlite3 can load extensions")
    return None


def through_litestream(where):
    env = dict(os.environ, **where.env)
    for name in ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_S3"):
        env.pop(name, None)
    env["LITESTREAM_REPLICA_URL"] = (
        f"{where.url}?endpoint={where.endpoint}&force-path-style=true"
        "&region=us-east-1")
    done = subprocess.run([python(), "-c", READER, str(extension())], env=env,
                          capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def load(client, rounds=4):
    for number in range(rounds):
        client.pipeline([
            request for n in range(400) for request in (
                ("SET", f"s{n}", f"{number} {n}"),
                ("HSET", f"h{n % 20}", f"f{n}", os.urandom(20)),
                ("RPUSH", f"l{n % 10}", f"{number}.{n}"))])
        client.call("SET", f"big{number}", os.urandom(60000))
        client.call("DEL", f"s{number * 7}")
        client.call("SAVE")
        place.wait_shipped(client)


def by_restoring(where, tmp_path):
    """The same question to the file that `walden restore` makes."""
    path = pathlib.Path(tmp_path, "restored.db")
    done = where.tool("restore", where.url, str(path))
    assert done.returncode == 0, done.stderr
    db = sqlite3.connect(path)
    return {table: sorted(map(repr, db.execute(f"SELECT * FROM {table}")))
            for table in ("keys", "hashes", "lists")}


@pytest.mark.parametrize("keeper", ["level 0 only", "compacted"])
def test_litestream_reads_it(begin, bucket, tmp_path, keeper):
    extension()
    directives = {} if keeper == "level 0 only" else {
        name.replace("-", "_"): value
        for name, value in place.BUSY_KEEPER.items()}
    server = begin(bucket, fold_idle_ms=-1, **directives)
    client = server.connect()
    load(client)
    if directives:
        until = time.monotonic() + 7
        while time.monotonic() < until:
            client.call("INCR", "n")
            time.sleep(0.02)
        assert {0, 1, 9} <= set(bucket.levels())
    client.call("SAVE")
    place.wait_shipped(client)
    size = client.call("DBSIZE")
    server.kill()
    seen = through_litestream(bucket)
    assert seen["check"] == [["ok"]]
    assert seen["journal"] == 0
    assert seen["keys"] == size
    assert seen["tables"] == by_restoring(bucket, tmp_path)
