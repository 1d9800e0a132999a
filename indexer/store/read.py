"""Reads of an object that resume when the connection breaks: whole in memory, or as a stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from indexer.core.errors import OneUnavailable, RangeRefused, Unavailable

if TYPE_CHECKING:
    from indexer.core.model import ETag, Stat
    from indexer.store import Reader, Store


_ATTEMPTS = 4
_STEP = 2**20


def read_whole(store: Store, key: str, etag: ETag | None = None) -> tuple[bytes, Stat]:
    """An object in memory, read again from its start if the connection breaks; with an ETag only that content.

    Raises the errors of the store, and Unavailable if the connection breaks four times.
    """
    data, stat = read_small(store, key, sys.maxsize, etag)
    return data or b"", stat


def read_small(store: Store, key: str, limit: int, etag: ETag | None = None) -> tuple[bytes | None, Stat]:
    """Like `read_whole`; None instead of the content if the object has more than `limit` bytes."""
    broken: Unavailable | None = None
    for _ in range(_ATTEMPTS):
        with store.open(key, etag=etag) as reader:
            if reader.opened.stat.size > limit:
                return None, reader.opened.stat
            try:
                data = reader.read()
            except Unavailable as error:
                broken = error
                continue
            if len(data) == reader.opened.stat.size:
                return data, reader.opened.stat
    raise _given_up(key) from broken


def read_start(store: Store, stat: Stat, size: int) -> bytes:
    """At most `size` bytes of the start of an object.  Raises the errors of `read_whole`, and Conflict."""
    wanted = min(size, stat.size)
    broken: Unavailable | None = None
    for _ in range(_ATTEMPTS):
        with open_range(store, stat, 0, wanted) as reader:
            try:
                data = reader.read(wanted)
            except Unavailable as error:
                broken = error
                continue
            if len(data) == wanted:
                return data
    raise _given_up(stat.key) from broken


def open_range(store: Store, stat: Stat, start: int, stop: int) -> Reader:
    """Open the bytes from `start` to `stop`; the whole object if the store serves no parts."""
    try:
        return store.open(stat.key, range=(start, stop), etag=stat.etag)
    except RangeRefused:
        return store.open(stat.key, etag=stat.etag)


def _given_up(key: str) -> OneUnavailable:
    return OneUnavailable(key, f"the connection broke {_ATTEMPTS} times", "run again later")


def _skip_to(reader: Reader, start: int) -> None:
    """Read the bytes before the byte `start` of the object: a store may send the whole object.

    Raises Unavailable if the body begins after that byte, or ends before.
    """
    skip = start - reader.opened.start
    while skip > 0 and (skipped := reader.read(min(skip, _STEP))):
        skip -= len(skipped)
    if skip:
        raise Unavailable(reader.opened.stat.key, "the store sent a part that was not requested", "run again later")


class ResumingReader:
    """A part of an object, by default all of it.  If the connection breaks, the rest of the same ETag is opened.

    `reader` may begin earlier and end later, as from a store without ranges.
    """

    def __init__(self, store: Store, stat: Stat, reader: Reader, part: tuple[int, int] | None = None) -> None:
        self._store = store
        self._stat = stat
        self._reader = reader
        self.opened = reader.opened
        self._position, self._stop = part or (0, stat.size)
        self._at_position = False
        self._attempts = _ATTEMPTS

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable if the connection breaks four times."""
        left = self._stop - self._position
        length = left if size < 0 else min(size, left)
        while length:
            try:
                if not self._at_position:
                    _skip_to(self._reader, self._position)
                    self._at_position = True
                data = self._reader.read(length)
            except Unavailable as error:
                self._resume(error)
                continue
            if data:
                self._position += len(data)
                return data
            self._resume(None)
        return b""

    def rest(self) -> bytes:
        """All bytes that are left, in memory."""
        return b"".join(iter(self.read, b""))

    def _resume(self, error: Unavailable | None) -> None:
        self._attempts -= 1
        if self._attempts <= 0:
            raise _given_up(self._stat.key) from error
        self._reader.close()
        self._reader = open_range(self._store, self._stat, self._position, self._stop)
        self._at_position = False

    def close(self) -> None:
        """End the transfer."""
        self._reader.close()

    def __enter__(self) -> ResumingReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
