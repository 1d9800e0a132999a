"""Reads the chunks of a published file: all of them, or only those that a run needs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from indexer.core.chunks import FORCE, NOT_AS_LEFT
from indexer.core.composition import SMALLEST_PART, WORTH
from indexer.core.errors import DamagedChunk
from indexer.core.model import Stat
from indexer.core.saved_chunks import are_sound, is_possible, saved_chunks
from indexer.store.read import ResumingReader, open_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.core.chunks import Span
    from indexer.core.model import ETag
    from indexer.core.saved_chunks import ChunkTable, SavedChunks
    from indexer.store.channel_folder import ChannelFolder

# Bytes.  A smaller file is read whole: without two parts that are sent, one for the header and one for a change, too
# little of it would stay in the store.
LARGE = WORTH + 2 * SMALLEST_PART
# A store takes no small part, so a changed chunk is sent with the chunks after it: these are read at once.
_AHEAD = SMALLEST_PART + 2**20
# To read so many bytes takes as long as one more request.
_GAP = 2**18


def load_chunks(folder: ChannelFolder, name: str, etag: ETag, table: ChunkTable) -> SavedChunks:
    """All chunks of a compressed file.  Raises DamagedChunk if they are not those of the table."""
    read, size = folder.ranges(name, etag)
    found = saved_chunks(read, size, table, folder.prefix + name)
    if found is None or not are_sound(found.chunks):
        raise _not_as_left(folder, name)
    return found


def load_some_chunks(
    folder: ChannelFolder, name: str, etag: ETag, table: ChunkTable, package_names: frozenset[str]
) -> SavedChunks:
    """The chunks of a compressed file, of which those of some names are read now, and others when they are needed.

    For a store that puts the new file together from ranges of this one: else the run needs all chunks, and one request
    is better, as it is for a file that is not large.  Raises DamagedChunk if they are not those of the table.
    """
    if not is_possible(table):
        raise _not_as_left(folder, name)
    if table.size < LARGE:
        return load_chunks(folder, name, etag, table)
    file = _PartlyRead(folder, Stat(folder.prefix + name, table.size, etag, 0))
    found = saved_chunks(file.read, table.size, table, folder.prefix + name)
    if found is None:
        raise _not_as_left(folder, name)
    file.fetch(chunk.saved.packed for chunk in found.of_names(package_names) if chunk.section and chunk.saved)
    return found


def _not_as_left(folder: ChannelFolder, name: str) -> DamagedChunk:
    return DamagedChunk(folder.prefix + name, NOT_AS_LEFT, FORCE)


class _PartlyRead:
    """One version of a file of which some ranges are in memory."""

    def __init__(self, folder: ChannelFolder, stat: Stat) -> None:
        self._folder, self._stat = folder, stat
        self._parts: dict[Span, bytes] = {}
        self._reading = threading.Lock()

    def fetch(self, spans: Iterable[Span]) -> None:
        """Read ranges of the file, all at the same time."""
        joined = _joined(spans)
        self._parts.update(zip(joined, self._folder.executor.map(self._requested, joined), strict=True))

    def read(self, start: int, stop: int) -> bytes:
        """A range; one that is not in memory is read with what follows, until both are large enough to be sent.

        Raises Conflict if the file has been replaced.
        """
        with self._reading:
            found = self._in_memory(start, stop)
            if found is None:
                span = start, min(max(stop, start + _AHEAD), self._stat.size)
                self._parts[span] = self._requested(span)
                found = self._parts[span][: stop - start]
            return found

    def _in_memory(self, start: int, stop: int) -> bytes | None:
        for (first, last), data in self._parts.items():
            if first <= start and stop <= last:
                return data[start - first : stop - first]
        return None

    def _requested(self, span: Span) -> bytes:
        reader = open_range(self._folder.store, self._stat, *span)
        with ResumingReader(self._folder.store, self._stat, reader, span) as resuming:
            # A table of another file can have any sizes: nothing is read, and nothing unpacked, by such a table.
            if reader.opened.stat.size != self._stat.size:
                raise DamagedChunk(self._stat.key, NOT_AS_LEFT, FORCE)
            return resuming.rest()


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, as one where the bytes between two cost less than a request."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1] + _GAP:
            found[-1] = found[-1][0], max(found[-1][1], stop)
        else:
            found.append((start, stop))
    return found
