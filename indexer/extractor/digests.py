"""Computes the two digests of a package in one pass, on two cores for large data."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from indexer.core.value import Value

if TYPE_CHECKING:
    from indexer.extractor.archive_errors import Source

# For less data, starting work in another thread takes longer than the work.
_WORTH_A_THREAD = 2**19


class Digests(Value, frozen=True):
    """The digests of a whole package, hexadecimal."""

    sha256: str
    md5: str

    def __str__(self) -> str:
        return f"sha256 {self.sha256} md5 {self.md5}"


def digests_of(data: bytes) -> Digests:
    """The digests of bytes."""
    md5 = hashlib.md5(data, usedforsecurity=False)
    return Digests(hashlib.sha256(data).hexdigest(), md5.hexdigest())


class Hasher:
    """A stream that hashes the bytes read from it: MD5 in a separate thread, SHA-256 in the thread of the reader."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="md5")

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes of the source."""
        data = self._source.read(size)
        if len(data) < _WORTH_A_THREAD:
            self._md5.update(data)
            self._sha256.update(data)
        else:
            other = self._thread.submit(self._md5.update, data)
            self._sha256.update(data)
            other.result()
        return data

    def digests(self) -> Digests:
        """The digests of all bytes read so far."""
        return Digests(self._sha256.hexdigest(), self._md5.hexdigest())

    def __enter__(self) -> Hasher:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
