"""The requests for one object of a bucket: each method sends one request, and translates its errors."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from indexer.core.errors import BadConfig, Missing
from indexer.store import Opened
from indexer.store.s3.answers import value_in
from indexer.store.s3.client import Request
from indexer.store.s3.errors import content_range, errors, etag_of, metadata_of, opened_stat
from indexer.store.s3.strict import field_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store import Range
    from indexer.store.s3.client import Client


class Bucket:
    """A bucket, and the prefix of the keys of a channel in it: empty, or ending in `/`."""

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.name = client.endpoint.bucket
        self.prefix = prefix

    def url(self, key: str) -> str:
        """The name of an object in messages."""
        return f"s3://{self.name}/{self.prefix}{key}"

    def head(self, key: str, *, checksum: bool = False) -> tuple[Stat, Mapping[str, str]]:
        """An object without its body, and all headers of the response.  Raises Missing."""
        # Not in each request: some stores refuse requests with this header.
        headers = {"x-amz-checksum-mode": "ENABLED"} if checksum else {}
        with errors(self.url(key)):
            response = self.client.ask(Request("HEAD", self.prefix + key, headers))
            return opened_stat(key, response.headers), response.headers

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """An object without its body, None if it is absent."""
        try:
            return self.head(key, checksum=checksum)[0]
        except Missing:
            return None
        except BadConfig:
            # An expired token is a 400 without a reason here.  The answer to a GET has a body with the reason.
            with contextlib.suppress(Missing):
                self.get(key)[0].close()
            raise

    def get(self, key: str, range: Range | None = None, etag: ETag | None = None) -> tuple[Any, Opened]:
        """The body of an object or of a part of it, to be closed.  `etag` is sent as If-Match."""
        headers: dict[str, str] = {}
        if range is not None:
            start, stop = range
            headers["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"
        if etag is not None:
            headers["If-Match"] = f'"{etag}"'
        with errors(self.url(key), ranged=range is not None):
            response = self.client.ask(Request("GET", self.prefix + key, headers))
            try:
                start, size = content_range(response.headers)
                stat = opened_stat(key, response.headers, size)
                return response.body, Opened(stat, start, metadata_of(response.headers))
            except BaseException:
                response.body.close()
                raise

    def put(self, key: str, body: Content, headers: Mapping[str, str]) -> ETag:
        """Write an object and return its ETag.  `headers` are those of the request, conditions included."""
        conditional = any("match" in name.lower() for name in headers)
        with errors(self.url(key), conditional=conditional):
            response = self.client.ask(Request("PUT", self.prefix + key, headers, body=body))
            return etag_of(field_of(response.headers, "ETag"))

    def copy(self, key: str, headers: Mapping[str, str]) -> ETag:
        """Copy the object that `headers` name, and return the new ETag."""
        with errors(self.url(key), conditional=True):
            response = self.client.ask(Request("PUT", self.prefix + key, headers))
            return etag_of(value_in(response.content, "ETag"))

    def delete(self, key: str, condition: Mapping[str, str] | None = None) -> None:
        """Delete an object if it exists.  Raises Conflict, and NoConditions if the store refuses a `condition`."""
        with contextlib.suppress(Missing), errors(self.url(key), conditional=condition is not None):
            self.client.ask(Request("DELETE", self.prefix + key, condition or {}))
