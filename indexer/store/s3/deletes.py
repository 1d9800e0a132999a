"""Deletes one version of an object: with If-Match if the store heeds it on DELETE, after a comparison in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.errors import Conflict, NoConditions
from indexer.store import CHANGED
from indexer.store.s3.errors import is_mismatch

if TYPE_CHECKING:
    from indexer.core.model import ETag
    from indexer.store import Expect
    from indexer.store.s3.bucket import Bucket


class ConditionalDeletes:
    """Deletes objects of a bucket, and remembers if the store has no condition on DELETE."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._uses_if_match = True

    def delete(self, key: str, etag: Expect | ETag) -> None:
        """Delete an object with an ETag, if it exists.  Raises Conflict if it has another one."""
        if not self._has(key, etag):
            return
        if self._uses_if_match:
            try:
                self._bucket.delete(key, {"If-Match": f'"{etag}"'})
            except NoConditions:
                pass
            except Conflict as conflict:
                if not is_mismatch(conflict):
                    raise
                if not self._has(key, etag):
                    return
            else:
                return
            self._uses_if_match = False  # the store has no condition on DELETE, or compares wrongly
        self._bucket.delete(key)

    def _has(self, key: str, etag: Expect | ETag) -> bool:
        """Whether an object exists.  Raises Conflict if it has another ETag."""
        existing = self._bucket.stat(key)
        if existing is not None and existing.etag != etag:
            raise Conflict(self._bucket.url(key), CHANGED)
        return existing is not None
