#!/usr/bin/env python3
"""An HTTP proxy that breaks things, between Walden and an object store.

  faultproxy.py PORT TARGET_PORT CONTROL_PORT

Both sides are on loopback.  Requests and answers go through unchanged (the
Host header too: it is signed) unless a rule matches.  The control port takes
one JSON object a line and answers with one:

  {"do": "rule", "fault": F, ...}   add a rule; the first that matches counts
  {"do": "clear"}                   no more rules; what hangs is let go
  {"do": "counts"}                  requests since the last reset, by method,
                                    connections, and how often rules struck
  {"do": "reset"}                   the same, and start from 0

A rule: fault, and optionally method, path (a part of it), skip (let so many
pass first), times (strike so often), chance (0..1), and what the fault needs:

  delay          seconds: before the request is passed on
  hang           no answer, until clear
  cut_request    bytes: hang up after so many bytes of the request's body were
                 passed on
  cut_answer     bytes: hang up after so many bytes of the answer's body
  drop_answer    pass the request on, take the answer, hang up
  status         code, retry_after, body: answer so oneself
  late_status    the same, after the request was passed on and carried out
  wrong_bytes    flip one bit in the answer's body
  wrong_upload   flip one bit in the request's body
  slow_answer    bytes: so many bytes of the answer a tenth of a second
  repeat         pass the request on twice; the second answer counts

FaultProxy is the client's side: it starts the program and talks to it.
"""

import asyncio
import collections
import json
import pathlib
import random
import socket
import subprocess
import sys
import time

PIECE = 65536


class Cut(Exception):
    """Hang up on the client."""


class Head:
    """A request or an answer up to the empty line."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.words = lines[0].split(" ", 2)
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.fields[name.strip().lower()] = value.strip()

    def length(self):
        return int(self.fields.get("content-length", 0))

    def is_chunked(self):
        return "chunked" in self.fields.get("transfer-encoding", "")


async def read_body(reader, head):
    """The body as it is on the wire, and as it is meant."""
    if not head.is_chunked():
        body = await reader.readexactly(head.length())
        return body
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if size == 0:
            return body


def flipped(body):
    if not body:
        return body
    at = random.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1:]


class Proxy:
    def __init__(self, target):
        self.target = target
        self.rules = []
        self.go_on = asyncio.Event()
        self.reset()

    def reset(self):
        self.counts = collections.Counter()
        self.struck = collections.Counter()

    # ---- rules -------------------------------------------------------------

    def choose(self, head):
        """The first rule for this request, or an empty one."""
        method, path = head.words[0], head.words[1]
        for rule in self.rules:
            if rule.get("method") not in (None, method) or \
                    rule.get("path", "") not in path or \
                    rule.get("times") == 0:
                continue
            if rule.get("skip", 0) > 0:
                rule["skip"] -= 1
                continue
            if random.random() >= rule.get("chance", 1):
                continue
            if "times" in rule:
                rule["times"] -= 1
            self.struck[rule["fault"]] += 1
            return rule
        return {}

    @staticmethod
    def own_answer(rule):
        body = rule.get("body", "<Error><Code>SlowDown</Code></Error>").encode()
        retry = f"Retry-After: {rule['retry_after']}\r\n" \
            if "retry_after" in rule else ""
        return (f"HTTP/1.1 {rule['code']} Fault\r\n{retry}"
                "Content-Type: application/xml\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    # ---- one exchange ------------------------------------------------------

    async def ask(self, upstream, head, body):
        """Pass the request on; answers the answer's head and body."""
        reader, writer = upstream
        writer.write(head.raw + body)
        await writer.drain()
        while True:
            answer = Head(await reader.readuntil(b"\r\n\r\n"))
            if answer.words[1] != "100":
                break
        if head.words[0] == "HEAD" or answer.words[1] in ("204", "304"):
            return answer, b""
        return answer, await read_body(reader, answer)

    async def exchange(self, head, client, open_upstream):
        reader, writer = client
        self.counts[head.words[0]] += 1
        rule = self.choose(head)
        fault = rule.get("fault")
        if fault == "cut_request":
            part = await reader.readexactly(
                min(rule.get("bytes", 0), head.length()))
            upstream = await open_upstream()
            upstream[1].write(head.raw + part)
            await upstream[1].drain()
            raise Cut
        body = await read_body(reader, head)
        if fault == "hang":
            await self.go_on.wait()
            raise Cut
        if fault == "status":
            writer.write(self.own_answer(rule))
            await writer.drain()
            return
        if fault == "delay":
            await asyncio.sleep(rule["seconds"])
        if fault == "wrong_upload":
            body = flipped(body)
        upstream = await open_upstream()
        answer, data = await self.ask(upstream, head, body)
        if fault == "repeat":
            answer, data = await self.ask(upstream, head, body)
        if fault == "drop_answer":
            raise Cut
        if fault == "late_status":
            writer.write(self.own_answer(rule))
            await writer.drain()
            return
        if fault == "wrong_bytes":
            data = flipped(data)
        if fault == "cut_answer":
            writer.write(answer.raw + data[:rule.get("bytes", 0)])
            await writer.drain()
            raise Cut
        writer.write(answer.raw)
        step = rule["bytes"] if fault == "slow_answer" else PIECE
        for at in range(0, len(data), step):
            writer.write(data[at:at + step])
            await writer.drain()
            if fault == "slow_answer":
                await asyncio.sleep(0.1)
        await writer.drain()

    async def serve(self, reader, writer):
        """One connection of the client, and its own one to the store."""
        upstream = []

        async def open_upstream():
            if not upstream:
                upstream.extend(await asyncio.open_connection(
                    "127.0.0.1", self.target, limit=1 << 20))
            return upstream

        self.counts["connections"] += 1
        try:
            while True:
                head = Head(await reader.readuntil(b"\r\n\r\n"))
                if head.fields.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await self.exchange(head, (reader, writer), open_upstream)
        except (Cut, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in [writer] + upstream[1:]:
                end.close()

    # ---- control -----------------------------------------------------------

    def obey(self, order):
        what = order.pop("do")
        if what == "rule":
            self.rules.append(order)
        elif what == "clear":
            self.rules = []
            self.go_on.set()
            self.go_on = asyncio.Event()
        answer = {"requests": dict(self.counts), "struck": dict(self.struck)}
        if what == "reset":
            self.reset()
        return answer

    async def control(self, reader, writer):
        while line := await reader.readline():
            answer = self.obey(json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


async def run(port, target, control):
    proxy = Proxy(target)
    await asyncio.start_server(proxy.serve, "127.0.0.1", port, limit=1 << 20)
    server = await asyncio.start_server(proxy.control, "127.0.0.1", control)
    async with server:
        await server.serve_forever()


# ---- the client's side -------------------------------------------------------


class FaultProxy:
    """Starts the proxy in front of target; stop() ends it."""

    def __init__(self, target, port, control):
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).resolve()),
             str(port), str(target), str(control)], stdin=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", control))
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self.file = self.sock.makefile("rw", encoding="utf-8")

    def order(self, what, **more):
        self.file.write(json.dumps({"do": what, **more}) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def rule(self, fault, **more):
        return self.order("rule", fault=fault, **more)

    def clear(self):
        return self.order("clear")

    def counts(self):
        return self.order("counts")

    def reset(self):
        return self.order("reset")

    def requests(self):
        """How many since the last reset."""
        counts = self.counts()["requests"]
        counts.pop("connections", None)
        return sum(counts.values())

    def stop(self):
        self.sock.close()
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(run(*(int(word) for word in sys.argv[1:])))
    except KeyboardInterrupt:
        pass
