"""Reads an object as a seekable file, with range requests for the parts that are not in memory."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, TypeAlias

from indexer.core.errors import BadPackage
from indexer.extractor.archive_errors import own_code
from indexer.store.read import ResumingReader, open_range

if TYPE_CHECKING:
    from indexer.core.model import Stat
    from indexer.store import Store

# The smallest and largest size of one request, and the limit for all requests of one object: an info part has some
# kilobytes, rarely megabytes.
_STEP = 2**20
_MAX_STEP = 8 * 2**20
_MAX_FETCHED = 64 * 2**20
# zipfile reads the directory of a zip in one piece; for three members it has 300 bytes.
_MAX_READ = 2**20


class HeldFile(io.BytesIO):
    """A whole object in memory as a seekable file for zipfile, with the methods of a RangeFile."""

    def __init__(self, stat: Stat, data: bytes) -> None:
        super().__init__(data)
        self.filename = stat.key.rpartition("/")[2]
        self.size = stat.size

    def read(self, size: int | None = -1, /) -> bytes:
        """Exactly `size` bytes, fewer at the end of the object."""
        _check_size(size or 0)
        return super().read(size)

    def prefetch(self, start: int, stop: int) -> None:
        """Do nothing: all parts are in memory."""

    def holds(self, start: int, stop: int) -> bool:
        """Yes."""
        del start, stop
        return True


def _check_size(size: int) -> None:
    if size > _MAX_READ:
        raise BadPackage("the archive", f"has a zip directory of {size} bytes")


class RangeFile:
    """An object as a seekable file for zipfile; its bytes from `start` on are `data` and stay in memory.

    A read outside of `data` requests that part of the object.  Raises the errors of the store, and BadPackage if the
    requests or the directory of the zip exceed the limits.  `filename` is the name of the object without its folder,
    `size` the size of the object.
    """

    def __init__(self, store: Store, stat: Stat, data: bytes, start: int) -> None:
        self.filename = stat.key.rpartition("/")[2]
        self.size = stat.size
        self._store = store
        self._stat = stat
        self._given = (start, data)
        self._latest = (start, data)
        self._position = 0
        self._fetched = 0

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position in the object."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position in the object."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("before the start of the object")  # zipfile expects the error of a file
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, fewer at the end of the object."""
        _check_size(size)
        start = self._position
        stop = self.size if size < 0 else min(start + size, self.size)
        if stop <= start:
            return b""
        held = self._held(start, stop)
        if held is None:
            held = self._fetch(start, max(stop, start + _STEP))
        self._position = stop
        first, data = held
        return data[start - first : stop - first]

    def prefetch(self, start: int, stop: int) -> None:
        """Request a part of the object, if it is not in memory."""
        if self._held(start, min(stop, self.size)) is None:
            self._fetch(start, min(stop, start + _MAX_STEP))

    def holds(self, start: int, stop: int) -> bool:
        """Whether a part of the object can be read without a request."""
        return self._held(start, min(stop, self.size)) is not None

    def _held(self, start: int, stop: int) -> tuple[int, bytes] | None:
        for first, data in (self._given, self._latest):
            if first <= start and stop <= first + len(data):
                return first, data
        return None

    def _fetch(self, start: int, stop: int) -> tuple[int, bytes]:
        stop = min(stop, self.size)
        if start < 0:
            raise BadPackage("the archive", "has a zip directory that points before its beginning")
        self._fetched += stop - start
        if self._fetched > _MAX_FETCHED:
            raise BadPackage("the archive", f"needs more than {_MAX_FETCHED} bytes read to find its info/ files")
        with own_code():
            reader = open_range(self._store, self._stat, start, stop)
            with ResumingReader(self._store, self._stat, reader, (start, stop)) as onward:
                self._latest = (start, onward.rest())
        return self._latest


SeekableFile: TypeAlias = RangeFile | HeldFile
