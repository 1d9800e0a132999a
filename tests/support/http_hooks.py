"""Answers in place of moto's: they stand between a store's client and its connections."""

from __future__ import annotations

import http.client
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPResponse

from indexer.core.stream import chunks_of
from indexer.store.s3.http import Answer, Connections
from indexer.store.s3.retry import Retries

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.store.s3.http import Message
    from indexer.store.s3.store import S3Store


@dataclass
class Sent:
    """One request as it goes over the wire."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """Stands between a store and the network: notes each request, and may answer in the server's place or change it."""

    store: S3Store
    answer: Callable[[Message], Answer | None] = lambda _: None
    change: Callable[[Message], Message] = lambda message: message
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen."""
        client: Any = self.store.bucket.client
        self._connections: Connections = client.connections
        client.connections = self

    def leave(self) -> None:
        """Listen no more."""
        self.store.bucket.client.connections = self._connections

    def send(self, message: Message) -> Answer:
        """The answer of the test, or that of the server."""
        headers = {name.lower(): _text(value) for name, value in message.headers.items()}
        url = message.origin + message.target
        self.sent.append(Sent(message.method, url, headers, b"".join(chunks_of(message.body))))
        answer = self.answer(message)
        if answer is None:
            return self._connections.send(self.change(message))
        return (
            answer._replace(body=HTTPResponse(io.BytesIO(), preload_content=False))
            if message.method == "HEAD"
            else answer
        )

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def of(self, method: str) -> list[Sent]:
        """The requests of one method, in order."""
        return [sent for sent in self.sent if sent.method == method]


def no_pause() -> Retries:
    """Retries that nobody waits for."""
    return Retries(jitter=lambda _: 0.0)


def response(status: int, body: bytes = b"", /, **headers: str) -> Answer:
    """An answer, whose body may be shorter than its headers say; `_` in a header's name stands for a dash."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    named.setdefault("content-length", str(len(body)))
    parsed = http.client.HTTPResponse(cast("Any", _Socket(status, named, body)))
    parsed.begin()
    raw = HTTPResponse(parsed, named, status, preload_content=False, decode_content=False, original_response=parsed)
    return Answer(status, named, raw)


class _Socket:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} as it is", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._answer = "\r\n".join(lines).encode("latin-1") + body

    def makefile(self, *_: object) -> io.BytesIO:
        """The answer as a file."""
        return io.BytesIO(self._answer)


def without(header: str) -> Callable[[Message], Message]:
    """A change of requests that drops a header."""
    return lambda message: message._replace(
        headers={name: value for name, value in message.headers.items() if name != header}
    )


def refusal(status: int, code: str, message: str = "as the test wants it") -> Answer:
    """An error as S3 says it."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return response(status, text.encode(), Content_Type="application/xml")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def in_pages_of(size: int) -> Callable[[Message], Message]:
    """A change of requests: a listing has at most so many entries a page."""
    return lambda message: (
        message._replace(target=f"{message.target}&max-keys={size}") if "list-type" in message.target else message
    )
