"""Copies objects between buckets of one store, under conditions on both objects that the store has shown to heed.

Not every store heeds a condition on a copy, and a store that does not answers 200.  So the first copy of a run tests
the store with three small requests.  https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from indexer.core import names
from indexer.core.errors import BadConfig, Conflict, CopyRefused, NoConditions
from indexer.store import CHANGED, Expect
from indexer.store.s3.body_digests import content_md5, md5_of
from indexer.store.s3.bucket import Bucket
from indexer.store.s3.client import COPY_SOURCE
from indexer.store.s3.multipart import LargeWrite, copying
from indexer.store.s3.providers import Conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.store.s3.multipart import Limits

MATCH = "x-amz-copy-source-if-match"
"""The header by which a copy depends on the ETag of its source."""
_NO_ETAG = "0" * 32
# The headers of an object that a copy in parts must repeat; a copy in one request has all of them.
_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_METADATA = "x-amz-meta-"


class _Heeded(NamedTuple):
    """Whether a store heeds a condition on the source of a copy, and one on its target."""

    source: bool
    target: bool


class Copies:
    """Copies objects into a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._testing = threading.Lock()
        self._tested: _Heeded | None = None

    def copy(self, place: object, stat: Stat, expect: Expect, limits: Limits) -> ETag:
        """Copy one version of an object to the same key, and return its new ETag.  Raises Conflict and CopyRefused."""
        bucket = self._bucket
        if not isinstance(place, Bucket) or not _is_same_store(place, bucket):
            raise CopyRefused(bucket.url(stat.key), "the package is in another store, or has other credentials")
        heeded = self._heeded()
        if not heeded.source or not (heeded.target or expect is Expect.ANYTHING):
            raise CopyRefused(bucket.url(stat.key), "the store ignores conditions on copies")
        condition = {} if expect is Expect.ANYTHING else dict([bucket.client.endpoint.provider.absent])
        source = {**source_of(place, stat.key), MATCH: f'"{stat.etag}"'}
        if stat.size <= limits.one_put or bucket.client.endpoint.provider.conditions is Conditions.GENERATION:
            return bucket.copy(stat.key, {**source, **condition})
        headers = _headers_of(place, stat)
        return LargeWrite(bucket, stat.key, headers, limits, copying(source, stat.size)).write(condition, expect)

    def _heeded(self) -> _Heeded:
        """What the store heeds: a copy of the test object onto itself must fail for each condition that does not hold.

        The copy replaces the metadata: any other copy of an object onto itself is refused for that alone.
        """
        with self._testing:
            if self._tested is None:
                self._bucket.put(names.PROBE, b"", {"Content-MD5": content_md5(md5_of(b""))})
                self._tested = _Heeded(
                    source=self._refuses({MATCH: f'"{_NO_ETAG}"'}),
                    target=self._refuses(dict([self._bucket.client.endpoint.provider.absent])),
                )
            return self._tested

    def _refuses(self, condition: Mapping[str, str]) -> bool:
        source = {**source_of(self._bucket, names.PROBE), "x-amz-metadata-directive": "REPLACE"}
        try:
            self._bucket.copy(names.PROBE, {**source, **condition})
        except Conflict:
            return True
        except (BadConfig, NoConditions):  # the store refuses the request, whatever the reason
            pass
        return False


def _is_same_store(one: Bucket, other: Bucket) -> bool:
    """Whether two buckets are in one store, and are read and written with the same credentials."""
    mine, yours = one.client, other.client
    keys = [client.keys() for client in (mine, yours)]
    if None in keys or keys[0].access_key != keys[1].access_key:
        return False
    return (mine.endpoint.url, mine.endpoint.provider.name) == (yours.endpoint.url, yours.endpoint.provider.name)


def source_of(place: Bucket, key: str) -> dict[str, str]:
    """The header that names the source of a copy."""
    return {COPY_SOURCE: f"/{place.name}/{quote(place.prefix + key, safe='/~')}"}


def _headers_of(place: Bucket, stat: Stat) -> dict[str, str]:
    """The headers and the metadata of an object, for a copy of it.  Raises Conflict if it has changed."""
    found, headers = place.head(stat.key)
    if found.etag != stat.etag:
        raise Conflict(place.url(stat.key), CHANGED)
    return {name: value for name, value in headers.items() if name in _HEADERS or name.startswith(_METADATA)}
