"""The body of a put as boto3 takes it: bytes, or a file that can be read again from its beginning."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.stream import Content, Stream

_BUFFER = 2**20


def body_of(content: Content) -> bytes | IO[bytes]:
    """What to send.  A request that is signed, or sent again, reads it from the beginning each time."""
    return content if isinstance(content, bytes) else io.BufferedReader(_File(content), _BUFFER)


class _File(io.RawIOBase):
    """Content as a file.  To go back in it means to make it anew."""

    def __init__(self, content: Stream) -> None:
        super().__init__()
        self._content = content
        self._position = 0
        self._rewind()

    def _rewind(self) -> None:
        self._pieces: Iterator[bytes] = filter(None, self._content)
        self._rest = memoryview(b"")
        self._taken = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position."""
        if whence != os.SEEK_SET:
            offset += self._position if whence == os.SEEK_CUR else len(self._content)
        self._position = offset
        return offset

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # what a BufferedReader gives
        """Fill a part of the buffer, none at the end."""
        if self._position < self._taken:
            self._rewind()
        while self._taken < self._position and self._take(self._position - self._taken):
            pass
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _take(self, size: int) -> memoryview:
        """The next bytes, at most `size` of them."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        data, self._rest = self._rest[:size], self._rest[size:]
        self._taken += len(data)
        return data
