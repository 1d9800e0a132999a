"""Answers that are no HTTP, break off, never end, or name another region: an error with a reason, or harmless."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from urllib3 import HTTPResponse

from indexer.core.errors import Conflict, IndexerError, Unavailable
from indexer.core.stream import stream_of
from indexer.store import Expect
from indexer.store.s3.http import Answer
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.contract.test_s3 import KEY, TEN
from tests.support.http_hooks import Wire, no_pause, response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.store.s3.http import Message

OK = b"HTTP/1.1 200 OK\r\n"
OBJECT = OK + b'ETag: "abc"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 3\r\n'
CHUNKED = OBJECT + b"Transfer-Encoding: chunked\r\n\r\n"
STREAM = stream_of(lambda: iter([b"0123456789"] * 100))
CALLS: dict[str, Callable[[S3Store], object]] = {
    "list": lambda store: list(store.list("")),
    "stat": lambda store: store.stat(KEY),
    "open": lambda store: store.open(KEY).read(),
    "put": lambda store: store.put(KEY, TEN, expect=Expect.ANYTHING),
    "put a stream": lambda store: store.put(KEY, STREAM, expect=Expect.ANYTHING),
    "delete": lambda store: store.delete(KEY, expect=Expect.ANYTHING),
}


def _xml(encoding: str, status: str) -> bytes:
    body = f'<?xml version="1.0" encoding="{encoding}"?><Error><Code>AccessDenied</Code></Error>'.encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


ANSWERS = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is no number": b"HTTP/1.1 abc def\r\n\r\n",
    "a very long status line": b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n\r\n",
    "very many headers": OK + b"".join(b"X%d: a\r\n" % number for number in range(200)) + b"\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nxxx",
    "a chunk of 2 to the 80": CHUNKED + b"ffffffffffffffffffff\r\nxxx",
    "an encoding that XML does not have": _xml("shift_jis", "200 OK"),
    "the same in an error": _xml("idna", "403 Forbidden"),
    "half a 100": b"HTTP/1.1 100 Continue\r\n",
    "only a 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.fixture
def raw() -> Iterator[Callable[[bytes], S3Store]]:
    """Makes a store that answers each request with the same bytes, and closes the connection."""
    with contextlib.ExitStack() as stack:

        def store_of(answer: bytes) -> S3Store:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.callback(listening.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=_serve, args=(listening, answer), daemon=True).start()
            endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
            options = S3Options(endpoint, "us-east-1", "path", "key", "secret-key")
            store = S3Store("bucket", "ch", Target("s3://bucket/ch", options), no_pause())
            stack.callback(store.bucket.client.connections.close)
            return store

        yield store_of


def _serve(listening: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_odd_answer_is_an_error_with_a_reason(
    raw: Callable[[bytes], S3Store], answer: bytes, call: Callable[[S3Store], object]
) -> None:
    # A body that is not asked for, as of an answer to HEAD, is not read.
    with contextlib.suppress(IndexerError):
        call(raw(answer))


def test_an_answer_that_is_not_http_is_named(raw: Callable[[bytes], S3Store]) -> None:
    for call in (CALLS["stat"], CALLS["put a stream"]):
        with pytest.raises(Unavailable, match="is not valid HTTP"):
            call(raw(ANSWERS["another protocol"]))


@pytest.mark.parametrize("line", ["412 Precondition Failed", "412 ", "412", "412 \xe9"])
def test_a_stream_is_refused_with_any_reason_phrase(raw: Callable[[bytes], S3Store], line: str) -> None:
    store = raw(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
    with pytest.raises(Conflict):
        store.put(KEY, STREAM, expect=Expect.ANYTHING)


# A server without an end


class _Endless(io.RawIOBase):
    """Zeros without end, and how many were read."""

    sent = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer."""
        self.sent += len(buffer)
        if self.sent > 2**27:
            pytest.fail("the whole body is read")
        return len(buffer)


@pytest.mark.parametrize("status", [200, 403])
def test_a_body_without_an_end_does_not_fill_the_memory(s3: S3Store, status: int) -> None:
    wire = Wire(s3)
    wire.answer = lambda _: Answer(status, {}, HTTPResponse(io.BufferedReader(_Endless()), preload_content=False))
    try:
        with pytest.raises(IndexerError):
            list(s3.list(""))
    finally:
        wire.leave()


# A bucket in another region


def test_requests_at_the_same_time_all_follow_a_bucket_to_its_region(s3: S3Store) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    wire = Wire(s3)
    home = s3.bucket.client.address
    nested: list[Any] = []

    def elsewhere(message: Message) -> Answer | None:
        if "/eu-west-1/" in str(message.headers["Authorization"]):
            return None
        if not nested:  # another thread learns of the region before the answer to this request is read
            nested.append(None)
            nested.append(s3.stat(KEY))
        return response(301, x_amz_bucket_region="eu-west-1")

    wire.answer = elsewhere
    try:
        outer = s3.stat(KEY)
        assert outer is not None
        assert nested[1] == outer
        assert len(wire.sent) == 4
    finally:
        wire.leave()
        s3.bucket.client.address = home


# Headers


def test_only_a_put_has_a_length_and_it_is_not_signed(s3: S3Store) -> None:
    wire = Wire(s3)
    for call in CALLS.values():
        with contextlib.suppress(IndexerError):
            call(s3)
    wire.leave()
    for sent in wire.sent:
        assert ("content-length" in sent.headers) is (sent.method == "PUT")
        assert "content-length" not in sent.headers["authorization"]
