"""The two digests of a package, in one pass and on two cores where there is much to hash."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.extractor.archive_errors import Source

# Below this, handing work to another thread takes longer than the work.
_WORTH_A_THREAD = 2**19


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of a whole package, hexadecimal."""

    sha256: str
    md5: str

    def __str__(self) -> str:
        return f"sha256 {self.sha256} md5 {self.md5}"


def digests_of(data: bytes) -> Digests:
    """The digests of bytes that are all here."""
    md5 = hashlib.md5(data, usedforsecurity=False)
    return Digests(hashlib.sha256(data).hexdigest(), md5.hexdigest())


class Hasher:
    """Hashes what is read through it: MD5 in a thread of its own, SHA-256 in the reader's."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="md5")

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
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
        """The digests of all that was read."""
        return Digests(self._sha256.hexdigest(), self._md5.hexdigest())

    def __enter__(self) -> Hasher:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
