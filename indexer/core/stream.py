"""Content that is made piece by piece each time it is read, so that a file of any size is never held whole."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Stream:
    """The bytes of a file, as often as they are wanted: `make` gives them from the beginning, always the same.

    Its length and its digest take one reading together, the first time that either is asked for.
    """

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()

    def __len__(self) -> int:
        return self._measured[0]

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def sha256(self) -> bytes:
        """The digest of all of it."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[int, bytes]:
        digest = hashlib.sha256()
        size = 0
        for piece in self:
            digest.update(piece)
            size += len(piece)
        return size, digest.digest()


Content = bytes | Stream
"""What a file holds: small ones are simply there."""


def chunks_of(content: Content) -> Iterable[bytes]:
    """What a file holds, in order."""
    return (content,) if isinstance(content, bytes) else content


def sha256_of(content: Content) -> bytes:
    """The digest of what a file holds."""
    return hashlib.sha256(content).digest() if isinstance(content, bytes) else content.sha256
