"""A store that refuses conditional writes, such as a bucket of an old server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.errors import CopyRefused, NoConditions
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store import Store


class UnconditionalStore:
    """Refuses each write that expects something, as the store of a bucket without conditions does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.usage = store.usage
        self.place = store.place
        self.list = store.list
        self.stat = store.stat
        self.open = store.open

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object whole, whatever is there."""
        self._refuse(key, expect)
        return self._store.put(key, body, expect=expect, headers=headers)

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object, whatever is there."""
        if expect is not Expect.ANYTHING:
            raise CopyRefused(stat.key, "the store knows no conditions on copies")
        return self._store.copy(place, stat, expect=expect)

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object, whatever it is."""
        self._refuse(key, expect)
        self._store.delete(key, expect=expect)

    def _refuse(self, key: str, expect: Expect | ETag) -> None:
        if expect is not Expect.ANYTHING:
            raise NoConditions(key, "the store knows no conditional writes")
