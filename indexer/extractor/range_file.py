"""An object read as a file: whole, at random through a window that is filled by range, or onwards past breaks."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from indexer.core.errors import BadPackage
from indexer.store.read import ResumingReader, open_range

if TYPE_CHECKING:
    from indexer.core.model import Stat
    from indexer.store import Store

# What one read outside the window fetches at least, and how much of an object a window may fetch in
# all: an info part is some kilobytes, seldom megabytes.
_STEP = 2**20
_MAX_STEP = 8 * 2**20
_MAX_FETCHED = 64 * 2**20


class RangeFile(io.RawIOBase):
    """One version of an object as a seekable file, of which the bytes `data` from `start` on are here.

    These stay.  A read outside of them fetches that part of the object.  Raises what the store raises,
    and BadPackage where that were too much.
    """

    def __init__(self, store: Store, stat: Stat, data: bytes, start: int) -> None:
        super().__init__()
        self._store = store
        self._stat = stat
        self._given = (start, data)
        self._latest = (start, data)
        self._position = 0
        self._fetched = 0

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position in the object."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position in the object."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._stat.size}[whence]
        if base + offset < 0:
            raise OSError("before the start of the object")  # as a file says it; zipfile expects it
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, fewer at the end of the object."""
        start = self._position
        stop = self._stat.size if size < 0 else min(start + size, self._stat.size)
        if stop <= start:
            return b""
        held = self._held(start, stop)
        if held is None:
            held = self._fetch(start, max(stop, start + _STEP))
        self._position = stop
        first, data = held
        return data[start - first : stop - first]

    def prefetch(self, start: int, stop: int) -> None:
        """Bring a part of the object here in one request, if it is not here."""
        if self._held(start, min(stop, self._stat.size)) is None:
            self._fetch(start, min(stop, start + _MAX_STEP))

    @property
    def filename(self) -> str:
        """What the object is called in its folder."""
        return self._stat.key.rpartition("/")[2]

    def holds(self, start: int, stop: int) -> bool:
        """Whether a part of the object can be read without a request."""
        return self._held(start, min(stop, self._stat.size)) is not None

    def _held(self, start: int, stop: int) -> tuple[int, bytes] | None:
        for first, data in (self._given, self._latest):
            if first <= start and stop <= first + len(data):
                return first, data
        return None

    def _fetch(self, start: int, stop: int) -> tuple[int, bytes]:
        stop = min(stop, self._stat.size)
        if start < 0:
            raise BadPackage("the archive", "has a zip directory that points before its beginning")
        self._fetched += stop - start
        if self._fetched > _MAX_FETCHED:
            raise BadPackage("the archive", f"needs more than {_MAX_FETCHED} bytes read to find its info/ files")
        with ResumingReader(
            self._store, self._stat, open_range(self._store, self._stat, start, stop), (start, stop)
        ) as onward:
            self._latest = (start, onward.rest())
        return self._latest
