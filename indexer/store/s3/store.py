"""A channel in a bucket as a store: counts its requests, lists and reads; writes are in `conditional`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.core.errors import Conflict, Missing, Unavailable
from indexer.core.model import ETag, Stat
from indexer.store import CHANGED, WHOLE, Expect, Opened
from indexer.store.s3.bucket import Bucket
from indexer.store.s3.conditional import ConditionalWrites
from indexer.store.s3.connect import connect
from indexer.store.s3.errors import errors, is_mismatch, listed_stat, no_bucket
from indexer.store.s3.http import NoAnswer, read
from indexer.store.s3.listing import pages, pages_of
from indexer.store.s3.retry import Retries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.stream import Content
    from indexer.core.usage import Usage
    from indexer.store import Part, Range
    from indexer.store.target import Target


class S3Reader:
    """The body of an object, read from the network."""

    def __init__(self, body: Any, opened: Opened, usage: Usage) -> None:
        self.opened = opened
        self._body = body
        self._usage = usage

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable if the connection breaks."""
        try:
            data = read(self._body, None if size < 0 else size)
        except NoAnswer as error:
            raise Unavailable(self.opened.stat.key, str(error), "try again") from error
        self._usage.count_read(len(data))
        return data

    def close(self) -> None:
        """End the transfer: if bytes are left, the connection is closed, not drained."""
        self._body.close()

    def __enter__(self) -> S3Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class S3Store:
    """A channel under a prefix of a bucket.  An ETag has no quotes."""

    def __init__(self, bucket: str, prefix: str, target: Target, retries: Retries | None = None) -> None:
        client = connect(bucket, target, retries or Retries())
        self.usage = client.usage
        self.provider = client.endpoint.provider
        self.bucket = Bucket(client, f"{prefix.strip('/')}/" if prefix.strip("/") else "")
        self.writes = ConditionalWrites(self.bucket, self.provider.conditions)
        self._sends_if_match = True

    @property
    def place(self) -> Bucket:
        """The bucket."""
        return self.bucket

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The objects and prefixes directly under a prefix, in pages of a thousand."""
        try:
            yield from self._listed(prefix, part)
        except Missing as error:  # an empty prefix is no error: the endpoint URL has the bucket in it
            raise no_bucket(error.thing) from error

    def _listed(self, prefix: str, part: Part) -> Iterator[Stat]:
        client, above = self.bucket.client, self.bucket.prefix
        query = {"prefix": above + prefix, "delimiter": "/"}
        after, last = (key and above + key for key in part)
        with errors(self.bucket.url(prefix)):
            for page in pages(client, query) if part == WHOLE else pages_of((after, last), client, query):
                for entry in page.get("Contents", ()):
                    key = entry["Key"][len(above) :]
                    if not key.endswith("/"):  # a marker object, as rattler-index leaves one
                        yield listed_stat(key, entry)
                for entry in page.get("CommonPrefixes", ()):
                    yield Stat(entry["Prefix"][len(above) :], 0, ETag(""), 0)

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None if it is absent; with its SHA-256 if `checksum` is set and the store has checked it."""
        return self.bucket.stat(key, checksum=checksum and self.provider.checksums)

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> S3Reader:
        """Read an object, or a part of it; with an ETag only that content."""
        try:
            return self._open(key, range, etag, if_match=etag if self._sends_if_match else None)
        except Conflict as conflict:
            if etag is None or not is_mismatch(conflict):
                raise
            stat = self.bucket.stat(key)
            if stat is None or stat.etag != etag:
                raise
        # The object has that ETag, so the store compares wrongly.  The ETag of the answer is compared all the same.
        self._sends_if_match = False
        return self._open(key, range, etag, if_match=None)

    def _open(self, key: str, range: Range | None, etag: ETag | None, *, if_match: ETag | None) -> S3Reader:
        body, opened = self.bucket.get(key, range, if_match)
        if etag is None or opened.stat.etag == etag:
            return S3Reader(body, opened, self.usage)
        body.close()  # the store ignores If-Match
        raise Conflict(self.bucket.url(key), CHANGED)

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object and return its ETag.  Raises Conflict."""
        return self.writes.put(key, body, headers or {}, expect)

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object of a bucket of the same store.  Raises Conflict, and CopyRefused."""
        return self.writes.copies.copy(place, stat, expect, self.writes.limits)

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object.  Raises Conflict."""
        self.writes.delete(key, expect)
