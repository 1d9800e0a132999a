"""A reverse proxy in front of an S3 server that changes no byte: it counts what passes, and makes requests wait.

    python -m benchmarks.proxy --backend 127.0.0.1:8333 [--port 9000] [--latency MS]

Every connection of a client has one of its own to the server. What the server sends is passed on unread, so HEAD, 206
and 100 Continue need no care; what the client sends is only read to find where requests begin. The Host header stays
as the client signed it. What cannot be passed on is not taken in either, and a connection that one side closes is
closed on the other, so the bytes counted are those that were really sent.

It is steered by lines on standard input: a number sets the latency and starts the counters anew, an empty line does
nothing; both are answered by a line of JSON, the counters until then. It ends with its standard input, so it never
outlives the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"

_ROOT = Path(__file__).resolve().parent.parent
_HEAD_END = b"\r\n\r\n"
_LONGEST_HEAD = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
# Bytes in the kernel's buffer for a client that does not read count as sent, so the buffer is small.
_SEND_BUFFER = 256 * 1024


@dataclass
class Counters:
    """The requests and bytes since the counters were last reset."""

    requests: Counter[str] = field(default_factory=Counter)
    """By verb; a GET of a bucket itself is a LIST."""
    package_requests: Counter[str] = field(default_factory=Counter)
    """Those among them that name a package."""
    connections: int = 0
    to_client: int = 0
    """Bytes of heads and bodies, sent to clients."""
    from_client: int = 0
    cpu_seconds: float = 0.0
    """What the proxy itself took."""

    def count(self, line: bytes) -> None:
        """Count a request by its first line."""
        verb, _, rest = line.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if verb == "GET" and "/" not in path.strip("/"):
            verb = "LIST"
        self.requests[verb] += 1
        if path.endswith((".conda", ".tar.bz2")):
            self.package_requests[verb] += 1


@dataclass
class _Settings:
    """The values that all connections share."""

    backend: tuple[str, int]
    latency: float = 0.0
    counters: Counters = field(default_factory=Counters)
    cpu_before: float = 0.0

    def so_far(self) -> str:
        """The counters as a line of JSON."""
        self.counters.cpu_seconds = time.process_time() - self.cpu_before
        return json.dumps(vars(self.counters))

    def anew(self, latency: float) -> None:
        """Reset the counters."""
        self.latency = latency
        self.counters = Counters()
        self.cpu_before = time.process_time()


class _Requests:
    """The positions at which requests begin in a client's bytes: the framing of HTTP/1.1 only."""

    def __init__(self) -> None:
        self._left = 0
        self._chunked = False

    def body(self, data: bytearray) -> int:
        """The number of bytes of the current body; 0 if a request begins, or if more bytes are needed."""
        if self._left:
            taken = min(self._left, len(data))
            self._left -= taken
            return taken
        if not self._chunked:
            return 0
        # A chunk: its size in hexadecimal, a line end, that many bytes, a line end. The last one has size 0.
        line, result, _ = data.partition(b"\r\n")
        if not result:
            return 0
        size = int(line.partition(b";")[0], 16)
        if size:
            self._left = size + 2
            return len(line) + 2
        if data[len(line) : len(line) + 4] == _HEAD_END:
            self._chunked = False
            return len(line) + 4
        end = data.find(_HEAD_END)  # with trailers
        self._chunked = end < 0
        return end + 4 if end >= 0 else 0

    def head(self, data: bytearray) -> int:
        """The length of the request head at the beginning of the bytes, 0 if it is incomplete."""
        if self._chunked:
            return 0
        end = data.find(_HEAD_END)
        if end < 0:
            return 0
        head = bytes(data[: end + 2])
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._left = int(length[1]) if length and not self._chunked else 0
        return end + 4


class _Side(asyncio.Protocol):
    """One end of a connection: it reads no more than the other end can send on."""

    def __init__(self, settings: _Settings) -> None:
        self.settings = settings
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport))
        self.transport = transport
        # A limit of zero: `resume_writing` is then called when all bytes were sent.
        transport.set_write_buffer_limits(high=0)

    def send(self, data: bytes) -> None:
        """Send, and let the other end wait until it is sent."""
        if self.transport is None or self.transport.is_closing():
            return
        before = self._unsent
        self.transport.write(data)
        self._unsent = self.transport.get_write_buffer_size()
        self.sent(len(data) + before - self._unsent)

    def sent(self, size: int) -> None:
        """Called with the bytes that were sent to this end."""

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.wait()

    def resume_writing(self) -> None:
        self.sent(self._unsent)
        self._unsent = 0
        if self.other is not None:
            self.other.go_on()

    def wait(self) -> None:
        """Stop reading for now."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            self.other.leave()

    def leave(self) -> None:
        """Called when the other end is gone."""
        if self.transport is not None:
            self.transport.close()


class _Server(_Side):
    """The server's end: all bytes are passed on unread."""

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.send(data)

    def leave(self) -> None:
        # At once: no client waits for the rest of the body.
        if self.transport is not None:
            self.transport.abort()


class _Client(_Side):
    """The client's end: finds requests, counts them, delays them."""

    def __init__(self, settings: _Settings) -> None:
        super().__init__(settings)
        self._requests = _Requests()
        self._data = bytearray()
        # Reasons to pass nothing on: the server is not connected yet, a request waits, the server is slow.
        self._stops = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.settings.counters.connections += 1
        self._stops = 0
        self.wait()
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        server = _Server(self.settings)
        try:
            await asyncio.get_running_loop().create_connection(lambda: server, *self.settings.backend)
        except OSError:
            self.leave()
            return
        self.other, server.other = server, self
        if self.transport is None or self.transport.is_closing():
            server.leave()
        self.go_on()

    def data_received(self, data: bytes) -> None:
        self.settings.counters.from_client += len(data)
        self._data += data
        self._advance()

    def sent(self, size: int) -> None:
        self.settings.counters.to_client += size

    def wait(self) -> None:
        self._stops += 1
        if self._stops == 1:
            super().wait()

    def go_on(self) -> None:
        self._stops -= 1
        if self._stops == 0:
            super().go_on()
            self._advance()

    def _advance(self) -> None:
        """Pass on all bytes that may be passed on."""
        while self._data and not self._stops and self.other is not None:
            size = self._requests.body(self._data)
            if not size:
                size = self._requests.head(self._data)
                if not size:
                    if len(self._data) > _LONGEST_HEAD:
                        self.leave()
                    return
                self.settings.counters.count(bytes(self._data[: self._data.find(b"\r\n")]))
                if self.settings.latency:
                    head = self._take(size)
                    self.wait()
                    asyncio.get_running_loop().call_later(self.settings.latency, self._forward, head)
                    return
            self.other.send(self._take(size))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def _forward(self, head: bytes) -> None:
        if self.other is not None:
            self.other.send(head)
        self.go_on()


async def _serve(settings: _Settings, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(settings), LOOPBACK, port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode():
        print(settings.so_far(), flush=True)
        if line.strip():
            settings.anew(float(line) / 1000)


@dataclass
class Proxy:
    """A proxy that runs in a process of its own."""

    port: int
    _process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def take(self, latency_ms: float) -> Counters:
        """Reset the counters and set another latency; returns the counts until now."""
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError
        self._process.stdin.write(f"{latency_ms}\n")
        self._process.stdin.flush()
        counted = json.loads(self._process.stdout.readline())
        counters = Counters(**counted)
        counters.requests = Counter(counted["requests"])
        counters.package_requests = Counter(counted["package_requests"])
        return counters


@contextlib.contextmanager
def running(backend: int) -> Iterator[Proxy]:
    """Run a proxy in front of a port of this machine."""
    command = [sys.executable, "-m", "benchmarks.proxy", "--backend", f"{LOOPBACK}:{backend}"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise TypeError
            yield Proxy(int(process.stdout.readline()), process)
        finally:
            process.kill()


def main() -> int:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", required=True, metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0, help="to listen on; it is printed (default: a free one)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="before each request is forwarded")
    options = parser.parse_args()
    host, _, port = options.backend.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_Settings((host, int(port)), options.latency / 1000), options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
