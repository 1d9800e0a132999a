"""Answers in place of moto's: an event hook of botocore gives them before a request is sent."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse

from indexer.store.s3.retry import Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.store.s3.store import S3Store


class Raw(io.BytesIO):
    """A body on the wire, which may be shorter than its headers say."""

    def stream(self, size: int = 65536, **_: object) -> Iterator[bytes]:
        """The body in steps."""
        while step := self.read(size):
            yield step


@dataclass
class Sent:
    """One request as it goes over the wire."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """Stands between a store and the network: notes each request and may answer in the server's place."""

    store: S3Store
    answer: Callable[[Any], AWSResponse | None] = lambda _: None
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen."""
        self.store.bucket.client.meta.events.register("before-send.s3", self._send)

    def leave(self) -> None:
        """Listen no more."""
        self.store.bucket.client.meta.events.unregister("before-send.s3", self._send)

    def _send(self, request: Any, **_: object) -> AWSResponse | None:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        self.sent.append(Sent(request.method, request.url, headers, _bytes(request.body)))
        return self.answer(request)

    def of(self, method: str) -> list[Sent]:
        """The requests of one method, in order."""
        return [sent for sent in self.sent if sent.method == method]


def no_pause() -> Retries:
    """Retries that nobody waits for."""
    return Retries(jitter=lambda _: 0.0)


def response(status: int, body: bytes = b"", /, **headers: str) -> AWSResponse:
    """An answer; `_` in a header's name stands for a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Content-Length", str(len(body)))
    return AWSResponse("http://fake.invalid/", status, named, Raw(body))


def refusal(status: int, code: str, message: str = "as the test wants it") -> AWSResponse:
    """An error as S3 says it."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return response(status, text.encode(), Content_Type="application/xml")


def _bytes(body: Any) -> bytes:
    """A body as bytes, left where it was for the one who sends it."""
    if body is None or isinstance(body, bytes):
        return body or b""
    position = body.tell()
    data: bytes = body.read()
    body.seek(position)
    return data


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
