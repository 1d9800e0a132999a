"""A proxy in front of an S3 server that injects faults into responses: refused, lost, cut, stale, swapped."""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.support.http_servers import LOOPBACK, Listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REFUSALS = {
    "503": (503, "SlowDown"),
    "500": (500, "InternalError"),
    "403": (403, "AccessDenied"),
    "400": (400, "InvalidRequest"),
    "expired": (400, "ExpiredToken"),
    "412": (412, "PreconditionFailed"),
    "409": (409, "ConditionalRequestConflict"),
    "404": (404, "NoSuchKey"),
}
# What a hop in between may not pass on, or the server here writes itself.
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server", "keep-alive"}


class Request(NamedTuple):
    """One request as it came."""

    verb: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """Its verb, LIST for a listing."""
        return "LIST" if "list-type=2" in self.path else self.verb


class Reply(NamedTuple):
    """What the server said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class FaultProxy:
    """The proxy that runs: where, what it was asked, and which fault, if any, befalls a request, by number from 1."""

    url: str
    requests: list[Request] = field(default_factory=list)
    choose: Callable[[int, Request], str] = lambda _number, _question: ""
    injected: list[str] = field(default_factory=list)
    # By verb, the reply before: for answers that come twice.
    last: dict[str, Reply] = field(default_factory=dict)
    # By path of a GET or HEAD, the reply before the latest one: for answers that are old.
    seen: dict[tuple[str, str], Reply] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, request: Request) -> str:
        """What shall befall a request."""
        with self.lock:
            self.requests.append(request)
            fault = self.choose(len(self.requests), request)
            if fault:
                self.injected.append(fault)
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, proxy: FaultProxy, backend: str, *arguments: object) -> None:
        self._proxy = proxy
        self._backend = http.client.HTTPConnection(backend, timeout=60)
        super().__init__(*arguments)  # type: ignore[arg-type]  # what the server hands over

    def log_message(self, *_: object) -> None:
        pass

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        return True

    def finish(self) -> None:
        self._backend.close()
        super().finish()

    def _one(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, headers, body)
        fault = self._proxy.fault(request)
        if fault in _REFUSALS:
            status, code = _REFUSALS[fault]
            text = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode()
            return self._send(Reply(status, [("Content-Type", "application/xml")], text))
        if fault == "reset":
            return self._reset()
        old = self._proxy.seen.get((request.verb, request.path))
        twice = self._proxy.last.get(request.kind)
        reply = self._forward(request)
        if fault == "lost":
            return self._reset()
        if fault == "stale" and old is not None:
            reply = old
        if fault == "twice" and twice is not None:
            reply = twice
        return self._send(reply, fault)

    def _forward(self, request: Request) -> Reply:
        self._backend.request(request.verb, request.path, request.body, request.headers)
        answer = self._backend.getresponse()
        length = answer.getheader("Content-Length") or "0"
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        if request.verb == "HEAD":
            headers.append(("Content-Length", length))
        reply = Reply(answer.status, headers, answer.read())
        with self._proxy.lock:
            self._proxy.seen[request.verb, request.path] = reply
            self._proxy.last[request.kind] = reply
        return reply

    def _send(self, reply: Reply, fault: str = "") -> None:
        body = reply.body
        result = len(body)
        if fault in {"cut", "torn", "lying"}:
            body = body[: len(body) // 2]
            result = len(body) if fault == "lying" else result
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if self.command != "HEAD" or "Content-Length" not in {name for name, _ in reply.headers}:
            self.send_header("Content-Length", str(result))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if fault == "cut" and result > len(body):
            self.close_connection = True
        if fault == "torn" and result > len(body):
            self.wfile.flush()
            self._reset()

    def _reset(self) -> None:
        """Let the client see a connection that is reset, not one that is closed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _one  # noqa: N815  the base class calls them so


@contextlib.contextmanager
def fault_proxy(endpoint: str) -> Iterator[FaultProxy]:
    """A proxy before a server, for as long as a `with` block."""
    proxy = FaultProxy("")
    backend = urlsplit(endpoint).netloc
    http_server = Listening((LOOPBACK, 0), functools.partial(_Handler, proxy, backend))
    proxy.url = f"http://{LOOPBACK}:{http_server.server_port}"
    thread = threading.Thread(target=functools.partial(http_server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield proxy
    finally:
        http_server.shutdown()
        thread.join()
        http_server.server_close()
