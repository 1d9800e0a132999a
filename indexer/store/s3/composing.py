"""Puts a large object together from ranges of its old version and new bytes, in a store that has shown that it can.

Not every store heeds the conditions of such an upload, and a store that does not answers 200.  So the first composition
tests the store with seven small requests.  https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
"""

from __future__ import annotations

import itertools
import logging
import threading
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadIndex, Conflict, IndexerError
from indexer.core.model import ETag
from indexer.core.stream import Kept
from indexer.store.s3.body_digests import content_md5, md5_of
from indexer.store.s3.copying import MATCH, source_of
from indexer.store.s3.errors import is_lasting
from indexer.store.s3.multipart import LIMITS, LargeWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.core.stream import Composition, Sent
    from indexer.store.s3.bucket import Bucket
    from indexer.store.s3.multipart import Limits, SendParts, SentPart

_log = logging.getLogger(__name__)

_NO_ETAG = f'"{"0" * 32}"'
_BODY = b"-"


class Compositions:
    """Composes objects of a bucket.

    `works` is whether the store has shown that it can, None if it was not tested; `passed` is true if the test was in
    this run, `refused` if the test has failed in this run, or if the store has refused a composition.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.works: bool | None = None if bucket.client.endpoint.provider.composes else False
        self.passed = self.refused = False
        self._bucket = bucket
        self._testing = threading.Lock()

    def accept(self, *, works: bool) -> None:
        """Make no test, because an earlier run has made it."""
        if self.works is None:
            self.works = works

    def put(
        self,
        key: str,
        headers: Mapping[str, str],
        composition: Composition,
        condition: Mapping[str, str],
        limits: Limits,
    ) -> ETag | None:
        """Write an object and return its ETag; None if a put must write it, and nothing was written.

        The condition must be that the object is the base of the composition.  Raises Conflict.
        """
        parts = composition.parts(limits.smallest)
        kept = sum(part.stop - part.start for part in parts if isinstance(part, Kept))
        if kept < limits.worth or not self.are_supported():
            return None
        source = {**source_of(self._bucket, key), MATCH: f'"{composition.base}"'}
        write = LargeWrite(self._bucket, key, headers, limits, _composing(source, parts), heeded=True)
        try:
            return write.write(condition, ETag(composition.base))
        except (Conflict, BadIndex):  # of the object, or of the bytes that shall be sent
            raise
        except IndexerError as error:  # such as a store that wants parts of one size; what is lasting fails the put too
            _log.debug("%s: cannot be put together from its old version, so it is sent whole: %s", key, error)
            self.works, self.refused = False, is_lasting(error)
            return None

    def are_supported(self) -> bool:
        """Whether the store can compose, which is tested once."""
        with self._testing:
            if self.works is None:
                self.works = self.passed = self._test()
            return self.works

    def _test(self) -> bool:
        """Whether the store refuses each condition that does not hold, and accepts each one that holds."""
        headers = {"Content-MD5": content_md5(md5_of(_BODY))}
        try:
            etag = self._bucket.put(names.PROBE, _BODY, headers)
            LargeWrite(self._bucket, names.PROBE, {}, LIMITS, self._testing_parts(etag), heeded=True).write(
                {"If-Match": f'"{etag}"'}, etag
            )
        except (IndexerError, _Ignored) as error:
            self.refused = is_lasting(error)
            return False
        return True

    def _testing_parts(self, etag: ETag) -> SendParts:
        """The only part of the test object, sent after both conditions were refused if they do not hold."""
        source = source_of(self._bucket, names.PROBE)

        def send(write: LargeWrite, upload: str) -> list[SentPart]:
            _must_conflict(lambda: write.copy(upload, 1, {**source, MATCH: _NO_ETAG}, (0, len(_BODY))))
            part = write.copy(upload, 1, {**source, MATCH: f'"{etag}"'}, (0, len(_BODY)))
            _must_conflict(lambda: write.join(upload, [part], {"If-Match": _NO_ETAG}))
            return [part]

        return send


class _Ignored(Exception):
    """The store ignored a condition."""


def _must_conflict(request: Callable[[], object]) -> None:
    try:
        request()
    except Conflict:
        return
    raise _Ignored


def _composing(source: Mapping[str, str], parts: Sequence[Kept | Sent]) -> SendParts:
    """The parts of a composition, one in memory at a time."""

    def send(write: LargeWrite, upload: str) -> list[SentPart]:
        sent: list[SentPart] = []
        for part in parts:
            if not isinstance(part, Kept):
                sent.append(write.send(upload, len(sent) + 1, bytes(part)))
                continue
            count = -(-(part.stop - part.start) // write.limits.copied)
            bounds = [part.start + (part.stop - part.start) * number // count for number in range(count + 1)]
            for span in itertools.pairwise(bounds):
                sent.append(write.copy(upload, len(sent) + 1, source, span))
        return sent

    return send
