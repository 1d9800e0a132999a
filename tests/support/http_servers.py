"""HTTP servers on loopback: one answers as a test wants, one serves a folder."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LOOPBACK = "127.0.0.1"
# An S3 bucket with nothing in it.
EMPTY = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


class Request(NamedTuple):
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class Response(NamedTuple):
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Listening(ThreadingHTTPServer):
    request_queue_size = 1024  # with five, readers of many shards at once wait for the network to try again
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an error of the server, but not that a client has closed its connection.

        A command under test can run in this process, so the text would be in its standard error.
        """
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class Server:
    """A server that runs: where, and what it was asked."""

    url: str
    requests: list[Request] = field(default_factory=list)

    def of(self, method: str) -> list[Request]:
        """The requests of one method, in order."""
        return [request for request in self.requests if request.method == method]

    def environment(self) -> dict[str, str]:
        """What `indexer s3` needs to find it."""
        return {
            "S3_ENDPOINT_URL": self.url,
            "S3_REGION": "us-east-1",
            "S3_ADDRESSING_STYLE": "path",
            "S3_ACCESS_KEY_ID": "some-key",
            "S3_SECRET_ACCESS_KEY": "some-secret",
            "S3_PROVIDER": "minio",  # trusted to heed conditions, without a proof
        }


def refusal(status: int, code: str, message: str = "as the test wants it") -> Response:
    """An error as S3 says it."""
    return Response(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def _with_noarch(prefix: str) -> bytes:
    folder = f"<CommonPrefixes><Prefix>{prefix}noarch/</Prefix></CommonPrefixes>".encode()
    return EMPTY.replace(b"</ListBucketResult>", folder + b"</ListBucketResult>")


def an_empty_bucket(request: Request) -> Response:
    """What a bucket answers that has an empty subdir noarch and takes everything."""
    if "list-type=2" in request.path:
        (prefix,) = parse_qs(urlsplit(request.path).query, keep_blank_values=True)["prefix"]
        return Response(200, EMPTY if prefix.endswith("noarch/") else _with_noarch(prefix))
    return Response(404) if request.method in {"GET", "HEAD"} else Response(200)


@contextlib.contextmanager
def answering(answer: Callable[[Request], Response], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve a function, over TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            server.requests.append(request)
            status, body, headers = answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            own = {"Content-Type": "application/xml", "ETag": '"00000000000000000000000000000001"'}
            for name, value in (own | dict(headers)).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            return True

        do_GET = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815  the base class calls them so

    http = Listening((LOOPBACK, 0), Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    with _running(http, "https" if tls else "http") as server:
        yield server


@contextlib.contextmanager
def serving_folder(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve the files of a folder, over TLS where a context is given."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def log_request(self, code: object = "-", size: object = "-") -> None:
            del size
            if code == 200:
                server.requests.append(Request(self.command, unquote(self.path), {}))

    http = Listening((LOOPBACK, 0), functools.partial(Handler, directory=str(folder)))
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    with _running(http, "https" if tls else "http") as server:
        yield server


@contextlib.contextmanager
def _running(http: ThreadingHTTPServer, scheme: str) -> Iterator[Server]:
    thread = threading.Thread(target=functools.partial(http.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield Server(f"{scheme}://{LOOPBACK}:{http.server_port}")
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
