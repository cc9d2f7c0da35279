"""A prefix in a store, and servers that own it."""

import os
import subprocess
import tempfile
import time

import servers

# So often that the keeper is at work all the time.
BUSY_KEEPER = {
    "bucket-compaction-intervals": "1 2 4",
    "bucket-snapshot-interval": 3,
    "bucket-retention": 6,
    "bucket-level0-retention": 2,
}


class Place:
    """url of a store at endpoint; client looks at it from outside."""

    def __init__(self, client, bucket, prefix="p", port=None):
        self.client = client
        self.bucket = bucket
        self.prefix = prefix
        self.url = f"s3://{bucket}/{prefix}"
        # A proxy's port, if the servers shall go through one.
        self.port = port or client.port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.env = {"AWS_ACCESS_KEY_ID": client.access_key,
                    "AWS_SECRET_ACCESS_KEY": client.secret_key,
                    "AWS_REGION": "us-east-1", "no_proxy": "127.0.0.1",
                    "AWS_ENDPOINT_URL_S3": ""}

    def server(self, binary=None, folder=None, **directives):
        """Not started yet; '_' in names stands for '-'."""
        named = {"bucket-url": self.url, "bucket-endpoint": self.endpoint,
                 "bucket-path-style": "yes", "bucket-sync-interval": 100}
        named.update({name.replace("_", "-"): value
                      for name, value in directives.items()})
        return servers.Server(binary or servers.WALDEN, named, folder=folder,
                              env=self.env)

    def names(self):
        """{name relative to the prefix: size}"""
        whole = self.client.names(self.bucket, self.prefix + "/")
        return {name[len(self.prefix) + 1:]: size
                for name, size in whole.items()}

    def levels(self):
        """{level: [(min txid, max txid)]}"""
        found = {}
        for name in self.names():
            level, _, rest = name.partition("/")
            if rest.endswith(".ltx"):
                low, _, high = rest[:-4].partition("-")
                found.setdefault(int(level, 16), []).append(
                    (int(low, 16), int(high, 16)))
        return found

    def tool(self, *words, binary=None, timeout=120, env=None):
        """walden restore, ls or verify; answers the finished process."""
        return subprocess.run(
            [binary or servers.WALDEN, words[0], "--endpoint", self.endpoint,
             *words[1:]], env={**os.environ, **self.env, **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False)

    def restore(self, *options, binary=None):
        """A server without a bucket on the restored file; not started."""
        folder = tempfile.mkdtemp(prefix="walden-restored-")
        done = self.tool("restore", *options, self.url,
                         os.path.join(folder, "walden.db"), binary=binary)
        server = servers.Server(binary or servers.WALDEN, {}, folder=folder)
        server.is_folder_ours = True
        if done.returncode != 0:
            server.remove()
            raise RuntimeError(f"restore {options}: {done.stderr}")
        return server


def info(connection):
    """INFO's Bucket section as a dict; numbers as numbers."""
    fields = {}
    for line in connection.call("INFO", "bucket").decode().splitlines():
        name, _, value = line.partition(":")
        if name.startswith("bucket_"):
            try:
                fields[name[7:]] = float(value) if "." in value else int(value)
            except ValueError:
                fields[name[7:]] = value
    return fields


def wait_until(what, condition, timeout=30.0):
    """Poll until condition() is true."""
    until = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not in {timeout} s: {what}")
        time.sleep(0.02)


def wait_shipped(connection, timeout=30.0):
    """Until the bucket has every commit."""
    # Looks at everything, so that the wait is for everything.
    connection.call("DBSIZE")
    reply = connection.call("WAITAOF", 1, 1, int(timeout * 1000))
    assert reply == [1, 1], reply
