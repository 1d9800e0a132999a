"""How much a file may hold in which a run leaves notes for the next: the ledger and the catalog.

Strangers may put such a file too, and a megabyte of zstd can hold tens of gigabytes.
"""

from __future__ import annotations

from indexer.core.formats.shards import decompress

_FREE = 64 * 2**20
# What we write stays below: the note of a package has a SHA-256 or a version of its own, which take 16 bytes at least
# when they are compressed, and is no longer than `LARGE_NOTE` if all notes together are large.
_MAX_RATIO = 128
LARGE_NOTE = 2**11


def unpack(data: bytes) -> bytes:
    """The content of such a file: at most 64 MiB and 128 times its size.  Raises ValueError."""
    return decompress(data, _FREE + _MAX_RATIO * len(data))


def is_large(size: int) -> bool:
    """Whether a content of `size` bytes is more than any file may hold, so that its notes must be short."""
    return size > _FREE
