"""A digest of listed files: it changes if a file comes, goes, or gets another size or ETag."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Stat

# How many lines of a listing are hashed at once.
_LINES = 10_000


def line_of(filename: str, stat: Stat) -> str:
    """The line of a file in a digest: its name, its size and its ETag."""
    return f"{filename}\0{stat.size}\0{stat.etag}\n"


def digest_of(files: Mapping[str, Stat]) -> str:
    """A digest (hex) of files: their names, sizes and ETags."""
    digest = hashlib.sha256()
    lines = (line_of(name, files[name]) for name in sorted(files))
    while batch := "".join(itertools.islice(lines, _LINES)):
        digest.update(batch.encode())
    return digest.hexdigest()
