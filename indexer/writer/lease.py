"""A lease on a folder of a channel, for stores without conditional writes: best effort only.

The holder of the lease writes; other indexers wait as after any conflict.  The lease compares what the store does not
compare: before each write whether the object has the expected ETag, and at the end whether all written objects are
still there (docs/design/runs.md has the guarantees).
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import uuid
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.errors import Conflict, IndexerError
from indexer.core.names import LEASE, SHARDS_FOLDER
from indexer.core.value import Mutable
from indexer.store import Expect, holds
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store import Store
    from indexer.store.clock import Clock

_log = logging.getLogger(__name__)

# How long a lease lasts without renewal, and after how long the holder renews it (seconds).
LASTS = 300.0
_RENEW_AFTER = LASTS / 3
# After this time a write that began before ours has succeeded or failed (seconds).
_SETTLE = 2.0
# A store refuses requests of a clock that differs by more than a quarter of an hour (RequestTimeTooSkewed).  So a lease
# that is older than a lease lasts by more than this is over, even if the clocks differ.
_SKEW_MS = 15 * 60 * 1000


class Lease(Mutable):
    """A lease on a folder: taken, renewed while the folder is written, given back.

    `store` is the bucket itself; `folder` ends in `/`, or is empty for the root.  The lease of another indexer is taken
    over if it did not change for as long as a lease lasts by our clock, or if it is older than clocks can differ.
    """

    store: Store
    folder: str
    clock: Clock
    _owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    _ours: ETag | None = None
    _renewed: float = 0.0
    _looked: float = 0.0
    _times: int = 0
    _met: tuple[ETag, float] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def _key(self) -> str:
        return self.folder + LEASE

    @contextmanager
    def held(self) -> Iterator[Leased]:
        """Hold the lease during a block.  Raises Conflict if another indexer holds it."""
        found = self.store.stat(self._key)
        if found is not None and not self._over(found):
            raise Conflict(self._key, "another indexer holds the lease of the subdir")
        try:
            self._put()
            self.clock.sleep(_SETTLE)
            self._look()
            leased = Leased(self.store, self)
            yield leased
            leased.look()
        finally:
            self._give_back()

    def keep(self) -> None:
        """Check that the lease is still ours, and renew it, each if it is time to.  Raises Conflict."""
        with self._lock:
            now = self.clock.monotonic()
            if now - self._looked > _SETTLE:
                self._look()
            if now - self._renewed > _RENEW_AFTER:
                self._put()

    def _over(self, found: Stat) -> bool:
        """Whether an existing lease has ended."""
        now = self.clock.monotonic()
        if self._met is None:
            _log.warning("%s: another indexer holds the lease; waiting until it is given back or over", self._key)
        if self._met is None or self._met[0] != found.etag:
            self._met = (found.etag, now)
        unchanged = now - self._met[1]
        return unchanged > LASTS or self.clock.now_ms() - found.modified_ms > LASTS * 1000 + _SKEW_MS

    def _put(self) -> None:
        self._times += 1
        content = {"holder": self._owner, "renewed": self._times, "lasts_seconds": LASTS}
        # Counted from before the write: if our clock is early, no other indexer takes the lease too early.
        self._renewed = self.clock.monotonic()
        self._ours = self.store.put(self._key, json.dumps(content).encode(), expect=Expect.ANYTHING)

    def _look(self) -> None:
        self._looked = self.clock.monotonic()
        found = self.store.stat(self._key)
        if found is None or found.etag != self._ours:
            raise Conflict(self._key, "another indexer has taken the lease")

    def _is_ours(self) -> bool:
        """Whether the lease is ours, also if this run was interrupted before it knew the ETag of its lease."""
        found = self.store.stat(self._key)
        if found is None or found.etag == self._ours:
            return found is not None
        with contextlib.suppress(ValueError):
            content = json.loads(read_whole(self.store, self._key, found.etag)[0])
            return isinstance(content, dict) and content.get("holder") == self._owner
        return False

    def _give_back(self) -> None:
        """Delete the lease if it is ours; if that fails, other indexers wait until the lease is over."""
        try:
            if self._is_ours():
                self.store.delete(self._key, expect=Expect.ANYTHING)
        except Conflict:
            return
        except IndexerError as error:
            _log.warning("%s; other indexers wait until the lease is over", error)


def under(lease: Lease | None, store: Store) -> AbstractContextManager[Store]:
    """The store to write to during a block: under the lease if there is one.  Raises Conflict."""
    return nullcontext(store) if lease is None else lease.held()


class Leased:
    """A store that checks right before each write whether the object has the expected ETag."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._written: dict[str, ETag | None] = {}
        self.usage = store.usage
        self.place = store.place
        self.list = store.list
        self.stat = store.stat
        self.open = store.open

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object if it has the expected ETag a moment before.  Raises Conflict."""
        self._compare(key, expect)
        etag = self._store.put(key, body, expect=Expect.ANYTHING, headers=headers)
        if SHARDS_FOLDER not in key:  # their names are digests of their content
            self._written[key] = etag
        return etag

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object if its key is as expected a moment before.  Raises Conflict, and CopyRefused."""
        self._compare(stat.key, expect)
        etag = self._store.copy(place, stat, expect=Expect.ANYTHING)
        self._written[stat.key] = etag
        return etag

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object if it has the expected ETag a moment before.  Raises Conflict."""
        if self._store.stat(key) is not None:
            self._compare(key, expect)
            self._store.delete(key, expect=Expect.ANYTHING)
        self._written[key] = None

    def look(self) -> None:
        """Check that all objects are as they were written.  Raises Conflict."""
        for key, etag in self._written.items():
            found = self._store.stat(key)
            if (found.etag if found else None) != etag:
                raise Conflict(key, "was replaced while this run wrote")

    def _compare(self, key: str, expect: Expect | ETag) -> None:
        self._lease.keep()
        if expect is Expect.ANYTHING:
            return
        found = self._store.stat(key)
        if not holds(expect, found.etag if found else None):
            raise Conflict(key, "changed since it was looked at")
