"""Reads the chunks of a published file: all of them, or those that a run needs if the store puts the file together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from indexer.core.composition import SMALLEST_PART, WORTH
from indexer.core.errors import BadIndex
from indexer.core.model import Stat
from indexer.core.saved_chunks import NOT_AS_LEFT, are_sound, saved_chunks
from indexer.store.read import ResumingReader, open_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.chunks import Span
    from indexer.core.model import ETag
    from indexer.core.saved_chunks import ChunkTable, SavedChunks
    from indexer.store.channel_folder import ChannelFolder


def load_chunks(folder: ChannelFolder, name: str, etag: ETag, table: ChunkTable) -> SavedChunks:
    """All chunks of a compressed file.  Raises BadIndex if they are not those of the table."""
    read, size = folder.ranges(name, etag)
    found = saved_chunks(read, size, table, folder.prefix + name)
    if found is None or not are_sound(found.chunks):
        raise _not_as_left(folder, name)
    return found


def load_some_chunks(
    folder: ChannelFolder, name: str, etag: ETag, table: ChunkTable, package_names: frozenset[str]
) -> SavedChunks:
    """The chunks of a compressed file, of which those that a run over some names needs are read now.

    The store must put the new file together from ranges of this one: else the run needs all chunks, and reads the whole
    file.  A file is read whole at once if less than what is `WORTH` it would stay in the store.  Raises BadIndex if the
    chunks that are read are not those of the table.
    """
    file = _PartlyRead(folder, name, etag)
    found = saved_chunks(file.read, None, table, folder.prefix + name)
    if found is None:
        raise _not_as_left(folder, name)
    spans = found.spans(package_names, table.size, SMALLEST_PART)
    if table.size - sum(stop - start for start, stop in spans) < WORTH:
        return load_chunks(folder, name, etag, table)
    file.fetch(spans, table.size)
    if not are_sound(chunk for chunk in found.chunks if chunk.saved and file.holds(chunk.saved.packed)):
        raise _not_as_left(folder, name)
    return found


def _not_as_left(folder: ChannelFolder, name: str) -> BadIndex:
    return BadIndex(folder.prefix + name, NOT_AS_LEFT, "repeat with --force")


class _PartlyRead:
    """One version of a file of which some ranges are in memory, and all of it as soon as another range is read."""

    def __init__(self, folder: ChannelFolder, name: str, etag: ETag) -> None:
        self._folder, self._name, self._etag = folder, name, etag
        self._parts: dict[Span, bytes] = {}
        self._reading = threading.Lock()

    def fetch(self, spans: Sequence[Span], size: int) -> None:
        """Read ranges of the file, which has `size` bytes, all at the same time."""
        stat = Stat(self._folder.prefix + self._name, size, self._etag, 0)

        def part(span: Span) -> bytes:
            reader = open_range(self._folder.store, stat, *span)
            with ResumingReader(self._folder.store, stat, reader, span) as resuming:
                return resuming.rest()

        self._parts = dict(zip(spans, self._folder.executor.map(part, spans), strict=True))

    def holds(self, span: Span) -> bool:
        """Whether a range is in memory."""
        return any(start <= span[0] and span[1] <= stop for start, stop in self._parts)

    def read(self, start: int, stop: int) -> bytes:
        """A range.  Raises Conflict if it is not in memory and the file has been replaced."""
        with self._reading:
            if not self.holds((start, stop)):
                whole = self._folder.read(self._name, self._etag)
                self._parts = {(0, len(whole)): whole}
        (first, data), *_ = [part for part in self._parts.items() if part[0][0] <= start and stop <= part[0][1]]
        return data[start - first[0] : stop - first[0]]
