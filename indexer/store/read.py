"""Reads of an object that resume when the connection breaks: whole in memory, or as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.errors import OneUnavailable, RangeRefused, Unavailable

if TYPE_CHECKING:
    from indexer.core.model import ETag, Stat
    from indexer.store import Reader, Store


_TRIES = 4
_STEP = 2**20


def read_whole(store: Store, key: str, etag: ETag | None = None) -> tuple[bytes, Stat]:
    """An object in memory, read again from its start where the body breaks off; with a version only that one.

    Raises what the store raises, and Unavailable after some breaks.
    """
    broke: Unavailable | None = None
    for _ in range(_TRIES):
        with store.open(key, etag=etag) as reader:
            try:
                data = reader.read()
            except Unavailable as error:
                broke = error
                continue
            if len(data) == reader.opened.stat.size:
                return data, reader.opened.stat
    raise _broke_off(key) from broke


def open_range(store: Store, stat: Stat, start: int, stop: int) -> Reader:
    """Open the bytes from `start` to `stop`; the whole object if the store serves no parts."""
    try:
        return store.open(stat.key, range=(start, stop), etag=stat.etag)
    except RangeRefused:
        return store.open(stat.key, etag=stat.etag)


def _broke_off(key: str) -> OneUnavailable:
    return OneUnavailable(key, "the answer broke off again and again", "repeat later")


def _skip_to(reader: Reader, start: int) -> None:
    """Read over what an answer has before the byte `start` of its object: a store may send it all.

    Raises Unavailable where it begins after that byte, or ends before.
    """
    skip = start - reader.opened.start
    while skip > 0 and (skipped := reader.read(min(skip, _STEP))):
        skip -= len(skipped)
    if skip:
        raise Unavailable(reader.opened.stat.key, "the store sent another part than it was asked for", "repeat later")


class ResumingReader:
    """A part of an object, all of it unless said, taken up again at the same version where the body breaks off.

    `reader` may begin earlier and go on for longer, as where a store knows no ranges.
    """

    def __init__(self, store: Store, stat: Stat, reader: Reader, part: tuple[int, int] | None = None) -> None:
        self._store = store
        self._stat = stat
        self._reader = reader
        self.opened = reader.opened
        self._position, self._stop = part or (0, stat.size)
        self._placed = False
        self._tries = _TRIES

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable after some breaks."""
        left = self._stop - self._position
        wanted = left if size < 0 else min(size, left)
        while wanted:
            try:
                if not self._placed:
                    _skip_to(self._reader, self._position)
                    self._placed = True
                data = self._reader.read(wanted)
            except Unavailable as error:
                self._resume(error)
                continue
            if data:
                self._position += len(data)
                return data
            self._resume(None)
        return b""

    def rest(self) -> bytes:
        """All that is left, in memory."""
        return b"".join(iter(self.read, b""))

    def _resume(self, broke: Unavailable | None) -> None:
        self._tries -= 1
        if self._tries <= 0:
            raise _broke_off(self._stat.key) from broke
        self._reader.close()
        self._reader = open_range(self._store, self._stat, self._position, self._stop)
        self._placed = False

    def close(self) -> None:
        """End the transfer."""
        self._reader.close()

    def __enter__(self) -> ResumingReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
