"""The requests for one object of a bucket: each method sends one request, and translates its errors."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from indexer.core.errors import BadConfig, Missing
from indexer.store import Opened
from indexer.store.s3.body import body_of
from indexer.store.s3.errors import content_range, errors, etag_of, metadata_of, opened_stat
from indexer.store.s3.strict import field_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store import Range


class Bucket:
    """A bucket, and the prefix of the keys of a channel in it: empty, or ending in `/`.  `client` is boto3's."""

    def __init__(self, client: Any, name: str, prefix: str) -> None:
        self.client = client
        self.name = name
        self.prefix = prefix

    def url(self, key: str) -> str:
        """The name of an object in messages."""
        return f"s3://{self.name}/{self.prefix}{key}"

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": self.prefix + key}

    def head(self, key: str, *, checksum: bool = False) -> tuple[Stat, Mapping[str, Any]]:
        """An object without its body, and the whole answer.  Raises Missing."""
        # Not in each request: some stores refuse requests with this header.
        parameters = {"ChecksumMode": "ENABLED"} if checksum else {}
        with errors(self.url(key)):
            answer = self.client.head_object(**self._object(key), **parameters)
            return opened_stat(key, field_of(answer, "ContentLength"), answer), answer

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
        parameters: dict[str, str] = {}
        if range is not None:
            start, stop = range
            parameters["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"
        if etag is not None:
            parameters["IfMatch"] = f'"{etag}"'
        with errors(self.url(key), ranged=range is not None):
            answer = self.client.get_object(**self._object(key), **parameters)
            try:
                start, size = content_range(answer)
                return answer["Body"], Opened(opened_stat(key, size, answer), start, metadata_of(answer))
            except BaseException:
                answer["Body"].close()
                raise

    def put(self, key: str, body: Content, parameters: Mapping[str, str]) -> ETag:
        """Write an object and return its ETag.  `parameters` are those of boto3, conditions included."""
        with errors(self.url(key), conditional=bool({"IfMatch", "IfNoneMatch"} & parameters.keys())):
            answer = self.client.put_object(**self._object(key), **parameters, Body=body_of(body))
            return etag_of(field_of(answer, "ETag"))

    def delete(self, key: str) -> None:
        """Delete an object if it exists."""
        with contextlib.suppress(Missing), errors(self.url(key)):
            self.client.delete_object(**self._object(key))
