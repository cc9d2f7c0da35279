"""The object stores that the tests run against, and a client for them.

The client signs requests by itself (AWS Signature Version 4), so that what
Walden stores is looked at by other code than Walden's.
"""

import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree

TOOLS = pathlib.Path(__file__).resolve().parent
REGION = "us-east-1"


class Refused(Exception):
    """The store answered with an error."""


class Client:
    """Buckets and objects of one store."""

    def __init__(self, port, access_key, secret_key):
        self.port = port
        self.access_key = access_key
        self.secret_key = secret_key
        self.endpoint = f"http://127.0.0.1:{port}"

    def _sign(self, method, path, query, body):
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        fields = {"host": f"127.0.0.1:{self.port}",
                  "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(fields)
        canonical = "\n".join(
            [method, path, query]
            + [f"{name}:{value}" for name, value in fields.items()]
            + ["", names, digest])
        scope = f"{day}/{REGION}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + self.secret_key.encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        fields["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope},"
            f"SignedHeaders={names},Signature={signature}")
        return fields

    def call(self, method, path, query=None, body=b""):
        """The answer's body; raises Refused unless it is 2xx."""
        path = urllib.parse.quote(path)
        query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}"
                         for name, value in sorted((query or {}).items()))
        fields = self._sign(method, path, query, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=30)
        try:
            connection.request(method, path + ("?" + query if query else ""),
                               body, fields)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise Refused(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def make_bucket(self, bucket):
        self.call("PUT", f"/{bucket}")

    def put(self, bucket, name, body):
        self.call("PUT", f"/{bucket}/{name}", body=body)

    def get(self, bucket, name):
        return self.call("GET", f"/{bucket}/{name}")

    def delete(self, bucket, name):
        self.call("DELETE", f"/{bucket}/{name}")

    def names(self, bucket, prefix=""):
        """{name: size} of all objects."""
        found, after = {}, ""
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if after:
                query["start-after"] = after
            tree = xml.etree.ElementTree.fromstring(
                self.call("GET", f"/{bucket}", query))
            for entry in tree.iter(space + "Contents"):
                after = entry.find(space + "Key").text
                found[after] = int(entry.find(space + "Size").text)
            if tree.find(space + "IsTruncated").text != "true":
                return found


class Store:
    """A store that a script starts and stops."""

    script = None
    access_key = secret_key = None

    def __init__(self, port):
        self.port = port
        # Short: unix sockets live in it.
        self.folder = tempfile.mkdtemp(prefix="wb-", dir=self.place())
        self._run("start")
        self.client = Client(port, self.access_key, self.secret_key)

    @staticmethod
    def place():
        return None

    def _run(self, what):
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy")}
        try:
            subprocess.run(
                [str(TOOLS / self.script), what, self.folder, str(self.port)],
                check=True, timeout=180, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except subprocess.SubprocessError:
            if what == "start":
                self.stop()
            raise

    def stop(self):
        self._run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Ceph(Store):
    """A RADOS gateway with its cluster in memory."""

    script = "ceph_rgw.sh"
    access_key, secret_key = "testkey", "testsecret"
    programs = ("radosgw", "ceph-mon", "ceph-osd", "radosgw-admin")

    def gateway_pid(self):
        return int(pathlib.Path(self.folder, "run",
                                "client.rgw.pid").read_text())

    def hang(self):
        """No answers until go_on()."""
        os.kill(self.gateway_pid(), signal.SIGSTOP)

    def go_on(self):
        os.kill(self.gateway_pid(), signal.SIGCONT)

    def kill_gateway(self):
        """Connections are refused until start_gateway()."""
        pid = self.gateway_pid()
        os.kill(pid, signal.SIGKILL)
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.02)

    def start_gateway(self):
        self._run("gateway")


class Swift(Store):
    """OpenStack Swift: refuses conditional PUT."""

    script = "swift_s3.sh"
    access_key, secret_key = "test:tester", "testing"
    programs = ("swift-proxy-server", "swift-object-server", "memcached")


def missing(kind):
    """Programs that are not installed."""
    return [name for name in kind.programs if shutil.which(name) is None]
