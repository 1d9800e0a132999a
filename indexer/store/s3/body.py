"""Turns the content of a PUT into the body for boto3: bytes, or a file that can be read again from its start."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.stream import Content, Stream

_BUFFER = 2**20


def body_of(content: Content) -> bytes | IO[bytes]:
    """The body for boto3, which reads it from the start to sign a request and each time it sends one."""
    return content if isinstance(content, bytes) else io.BufferedReader(_File(content), _BUFFER)


class _File(io.RawIOBase):
    """A stream as a file.  To go back, the stream is made again."""

    def __init__(self, content: Stream) -> None:
        super().__init__()
        self._content = content
        self._position = 0
        self._rewind()

    def _rewind(self) -> None:
        self._chunks: Iterator[bytes] = filter(None, self._content)
        self._rest = memoryview(b"")
        self._consumed = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
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

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # a BufferedReader passes a memoryview
        """Fill a part of the buffer and return its size; 0 at the end."""
        if self._position < self._consumed:
            self._rewind()
        while self._consumed < self._position and self._take(self._position - self._consumed):
            pass
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _take(self, size: int) -> memoryview:
        """The next bytes, at most `size` of them; none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        data, self._rest = self._rest[:size], self._rest[size:]
        self._consumed += len(data)
        return data
