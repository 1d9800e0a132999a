"""The chunks of a published file, read back by the table that the last run has left."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from indexer.core.chunks import COMMA, Chunk, SavedPart, digest_of
from indexer.core.errors import BadIndex
from indexer.core.value import Value
from indexer.core.zstd import FRAME_END, ZSTD_VERSION, frame_header, unpack_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from indexer.core.chunks import Span

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes of a file from one position to before another."""

# A chunk of more bytes is not read by itself: a megabyte of zstd can hold tens of gigabytes.
_LARGEST = 64 * 2**20
# A stranger can upload a state and a file.  The files of an index compress to a tenth.
_MAX_RATIO = 128
_COMMA_DIGEST = digest_of(COMMA)


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A chunk in a table: its `section` and `first` key, its size in bytes, and its size after compression.

    `digest` is that of the text, `packed_digest` that of the compressed chunk.
    """

    section: str
    first: str
    size: int
    packed: int
    digest: str = ""
    packed_digest: str = ""


class ChunkTable(msgspec.Struct, frozen=True):
    """The chunks of a compressed file in order, with a digest of the table.

    `zstd` is the version of zstd that made the chunks: another version can compress the same text to other bytes.
    """

    rows: tuple[Row, ...]
    digest: str
    zstd: str = ""

    @property
    def is_of_this_zstd(self) -> bool:
        """Whether this version of zstd made the chunks."""
        return self.zstd == ZSTD_VERSION


def table_of(rows: Iterable[Row]) -> ChunkTable:
    """The table of a compressed file."""
    rows = tuple(rows)
    digest = hashlib.sha256(msgspec.json.encode((ZSTD_VERSION, rows)))
    return ChunkTable(rows, digest.hexdigest(), ZSTD_VERSION)


class SavedChunks(Value, frozen=True):
    """The chunks of a published file in order, without the commas between them."""

    chunks: tuple[Chunk, ...] = ()

    def sections(self) -> dict[str, list[Chunk]]:
        """The chunks of each section that has records, by the name of the section."""
        found: dict[str, list[Chunk]] = {}
        for chunk in self.chunks:
            if chunk.section:
                found.setdefault(chunk.section, []).append(chunk)
        return found

    def excerpt(self, package_names: Iterable[str]) -> bytes:
        """The file with only those chunks of records that can have a package of some names (lower case)."""
        ranges = [(f"{name}-", f"{name}.") for name in package_names]  # the byte after "-" is "."
        wanted = {
            (section, chunk.first)
            for section, chunks in self.sections().items()
            for chunk in _chunks_in(chunks, ranges)
        }
        found: list[bytes] = []
        last = ""
        for chunk in self.chunks:
            if not chunk.section or (chunk.section, chunk.first) in wanted:
                if chunk.section and chunk.section == last:
                    found.append(COMMA)
                found.append(chunk.text())
                last = chunk.section
        return b"".join(found)


def _chunks_in(chunks: Sequence[Chunk], ranges: Iterable[tuple[str, str]]) -> Iterator[Chunk]:
    """The chunks of a section that can have keys in some ranges."""
    firsts = [chunk.first for chunk in chunks]
    for start, end in ranges:
        yield from chunks[max(bisect_right(firsts, start) - 1, 0) : bisect_left(firsts, end)]


def saved_chunks(read: ReadRange, size: int, table: ChunkTable, key: str) -> SavedChunks | None:
    """The chunks of the compressed file `key`, which has `size` bytes and is read when a chunk is needed.

    None if the file cannot have this table.  A chunk that is not the one of the table raises BadIndex when it is read.
    """
    rows = table.rows
    too_large = sum(row.size for row in rows) > _LARGEST + _MAX_RATIO * size
    invalid = any(not 0 <= row.size <= _LARGEST or row.packed < 0 for row in rows)
    if too_large or invalid or table_of(rows) != table:
        return None
    start, packed_start = 0, len(frame_header(sum(row.size for row in rows)))
    chunks: list[Chunk] = []
    for row in rows:
        if row.digest != _COMMA_DIGEST:
            span = packed_start, packed_start + row.packed
            job = partial(_job, read, span, row.packed_digest, key)
            saved = SavedPart((start, start + row.size), span, job, row.packed_digest)
            text = partial(_unpacked, job, row.size, key)
            chunks.append(Chunk(text, row.section, row.first, row.size, row.digest, saved))
        start, packed_start = start + row.size, packed_start + row.packed
    return SavedChunks(tuple(chunks)) if packed_start + len(FRAME_END) == size else None


def sound_chunks(read: ReadRange, size: int, table: ChunkTable, key: str) -> SavedChunks | None:
    """Like `saved_chunks`, and None too if a chunk is not the one of the table: reads all chunks once."""
    found = saved_chunks(read, size, table, key)
    try:
        for chunk in found.chunks if found else ():
            if chunk.saved is not None:
                chunk.saved.job()
    except BadIndex:
        return None
    return found


def _job(read: ReadRange, span: Span, digest: str, key: str) -> bytes:
    data = read(*span)
    if digest_of(data) != digest:
        raise BadIndex(key, "is not as the last run left it", "delete it and repeat")
    return data


def _unpacked(job: Callable[[], bytes], size: int, key: str) -> bytes:
    try:
        return unpack_job(job(), size)
    except ValueError as error:
        raise BadIndex(key, f"is damaged ({error})", "delete it and repeat") from error
