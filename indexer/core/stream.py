"""The content of a file: bytes, or a stream that is made again in chunks each time it is read.

A file of any size is written without holding all of it in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Kept(Value, frozen=True):
    """A range of the published version of a file: its first byte, and the byte after the last."""

    start: int
    stop: int


class Sent(Value, frozen=True):
    """Bytes of a new version of a file, in chunks that are made when they are sent."""

    chunks: tuple[Callable[[], bytes], ...]

    def __bytes__(self) -> bytes:
        return b"".join(make() for make in self.chunks)


class Piece(Value, frozen=True):
    """A part of a new version of a file: `make` returns its `size` bytes.

    `start` is their position in the published version, None if they are not there.
    """

    make: Callable[[], bytes]
    size: int
    start: int | None = None


class Composition(Value, frozen=True):
    """A new version of a file as ranges of the version with the ETag `base`, and other bytes.

    `parts` returns them in order; only the last part can have fewer bytes than its argument.
    """

    base: str
    parts: Callable[[int], Sequence[Kept | Sent]]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A content in chunks: `make` returns an iterator over the same bytes each time.

    `size` is their number, `sha256` (32 bytes) and `md5` (16 bytes) are their digests, None if they are not known yet.
    `pieces` are the same bytes if some of them can be in a published file; `composition` has them as parts of a certain
    version of it, None if that is not known.
    """

    make: Callable[[], Iterator[bytes]]
    size: int
    sha256: bytes | None = None
    md5: bytes | None = None
    composition: Composition | None = None
    pieces: tuple[Piece, ...] = ()

    def __iter__(self) -> Iterator[bytes]:
        return self.make()

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self)


Content = bytes | Stream


def stream_of(make: Callable[[], Iterator[bytes]]) -> Stream:
    """The stream of the chunks that `make` returns.  Reads them once, for their size and digest."""
    digest = hashlib.sha256()
    size = 0
    for chunk in make():
        digest.update(chunk)
        size += len(chunk)
    return Stream(make, size, digest.digest())


def made(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The bytes of pieces, each made when it is asked for."""
    return (piece.make() for piece in pieces)


def sha256_of(content: Content) -> bytes:
    """The SHA-256 of a content, as 32 bytes; read only if it is not known."""
    if isinstance(content, Stream) and content.sha256 is not None:
        return content.sha256
    digest = hashlib.sha256()
    for chunk in chunks_of(content):
        digest.update(chunk)
    return digest.digest()


def pieces_of(content: Content, size: int) -> Iterator[bytes]:
    """The bytes of a content in pieces of `size` bytes, the last one shorter; one piece is in memory at a time."""
    chunks: list[bytes] = []
    length = 0
    for chunk in chunks_of(content):
        chunks.append(chunk)
        length += len(chunk)
        while length >= size:
            joined = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks = [joined[size:]] if length > size else []
            length -= size
            yield joined[:size]
            del joined
    if length:
        yield b"".join(chunks)


def chunks_of(content: Content) -> Iterable[bytes]:
    """The chunks of a content, in order."""
    return (content,) if isinstance(content, bytes) else content
