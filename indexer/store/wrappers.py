"""Wrappers of a store: one writes without conditions, one counts reads, one can be stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.usage import Usage
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ParamSpec, TypeVar

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store import Range, Reader, Store

    P = ParamSpec("P")
    R = TypeVar("R")


class Unconditional:
    """A store that writes without conditions, for stores that have none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.usage = store.usage
        self.place = store.place
        self.list = store.list
        self.stat = store.stat
        self.open = store.open

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object."""
        del expect
        return self._store.put(key, body, expect=Expect.ANYTHING, headers=headers)

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object."""
        del expect
        return self._store.copy(place, stat, expect=Expect.ANYTHING)

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object."""
        del expect
        self._store.delete(key, expect=Expect.ANYTHING)


class Stoppable:
    """A store that calls `check` before each operation; `check` raises an error if no more operation may begin."""

    def __init__(self, store: Store, check: Callable[[], None]) -> None:
        self.usage = store.usage
        self.place = store.place
        self.list = _checked(store.list, check)
        self.stat = _checked(store.stat, check)
        self.open = _checked(store.open, check)
        self.put = _checked(store.put, check)
        self.copy = _checked(store.copy, check)
        self.delete = _checked(store.delete, check)


def _checked(operation: Callable[P, R], check: Callable[[], None]) -> Callable[P, R]:
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        check()
        return operation(*args, **kwargs)

    return checked


class Metered:
    """A store that counts the reads of one thread, apart from the counts of the wrapped store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.usage = Usage()
        self.place = store.place
        self.list = store.list
        self.put = store.put
        self.copy = store.copy
        self.delete = store.delete

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None if it is absent."""
        self.usage.requests["HEAD"] += 1
        return self._store.stat(key, checksum=checksum)

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object, or a part of it."""
        self.usage.requests["GET"] += 1
        return _MeteredReader(self._store.open(key, range=range, etag=etag), self.usage)


class _MeteredReader:
    def __init__(self, reader: Reader, usage: Usage) -> None:
        self._reader = reader
        self._usage = usage
        self.opened = reader.opened
        self.close = reader.close

    def read(self, size: int = -1, /) -> bytes:
        data = self._reader.read(size)
        self._usage.bytes_read += len(data)
        return data

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
