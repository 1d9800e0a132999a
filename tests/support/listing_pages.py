"""A bucket whose listing is answered with prepared pages, without a network; the client is a real one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from indexer.store.s3.retry import Retries
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.support.http_hooks import Wire, response

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.store.s3.http import Answer, Message

PREFIX = "ch"
PAGE_END = b"\n--\n"
"""What stands between pages that are written in one piece."""
_ENDLESS = 60


class EndlessError(Exception):
    """Far more pages were asked for than there are."""


class Paged:
    """Stores whose requests are answered by a function; one client for all of them: to make it takes long."""

    def __init__(self) -> None:
        options = S3Options("http://127.0.0.1:9", "us-east-1", "path", "key", "secret", provider="minio")
        target = Target(f"s3://bucket/{PREFIX}", options)
        self._store = S3Store("bucket", PREFIX, target, Retries(jitter=lambda _: 0.0))
        self._answer: Callable[[str], bytes] = lambda _: b""
        self._asked = 0
        Wire(self._store).answer = self._send

    def _send(self, message: Message) -> Answer:
        self._asked += 1
        if self._asked > _ENDLESS:
            raise EndlessError
        return response(200, self._answer(message.origin + message.target))

    def store(self, answer: Callable[[str], bytes]) -> S3Store:
        """A store of which each request is answered with 200 and a body, which may depend on the URL."""
        self._answer, self._asked = answer, 0
        return copy.copy(self._store)
