"""The chunks of a published file, read back by the table that the last run has left."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from indexer.core.chunks import COMMA, FORCE, NOT_AS_LEFT, Chunk, SavedPart, digest_of
from indexer.core.errors import DamagedChunk
from indexer.core.value import Value
from indexer.core.zstd import FRAME_END, ZSTD_VERSION, frame_header, unpack_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from indexer.core.chunks import Span

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes of a file from one position to before another."""

MADE_BY = f"table 2, zstd {ZSTD_VERSION}"
# A chunk of more bytes is not read by itself: a megabyte of zstd can hold tens of gigabytes.
_LARGEST = 64 * 2**20
# A stranger can upload a state and a file.  The files of an index compress to a tenth.
_MAX_RATIO = 128
# Bytes.  The text between records is short, unless many packages are removed.
_SHORT = 2**11
_COMMA_DIGEST = digest_of(COMMA)


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A chunk in a table: its `section` and `first` key, its size in bytes, and its size after compression.

    `digest` is that of the text, `packed_digest` that of the compressed chunk.  `text` is a short text between records.
    """

    section: str
    first: str
    size: int
    packed: int
    digest: str = ""
    packed_digest: str = ""
    text: str = ""


class ChunkTable(msgspec.Struct, frozen=True):
    """The chunks of a compressed file in order, with a digest of the table.

    `made_by` is the form of the table and the version of zstd that made the chunks: another version can compress the
    same text to other bytes.
    """

    rows: tuple[Row, ...]
    digest: str
    made_by: str = ""

    @property
    def size(self) -> int:
        """The number of bytes of the compressed file, if the table is possible."""
        packed, plain = sum(row.packed for row in self.rows), sum(row.size for row in self.rows)
        return len(frame_header(plain)) + packed + len(FRAME_END)

    @property
    def is_known(self) -> bool:
        """Whether a table has this form, and its chunks are of this version of zstd."""
        return self.made_by == MADE_BY


def row_of(chunk: Chunk, packed: int, packed_digest: str) -> Row:
    """The row of a chunk, which has `packed` bytes after compression."""
    is_short = not chunk.section and len(COMMA) < chunk.size <= _SHORT
    text = chunk.text().decode() if is_short else ""
    return Row(chunk.section, chunk.first, chunk.size, packed, chunk.digest, packed_digest, text)


def table_of(rows: Iterable[Row]) -> ChunkTable:
    """The table of a compressed file."""
    rows = tuple(rows)
    digest = hashlib.sha256(msgspec.json.encode((MADE_BY, rows)))
    return ChunkTable(rows, digest.hexdigest(), MADE_BY)


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
        found: list[bytes] = []
        last = ""
        for chunk in self.of_names(package_names):
            if chunk.section and chunk.section == last:
                found.append(COMMA)
            found.append(chunk.text())
            last = chunk.section
        return b"".join(found)

    def of_names(self, package_names: Iterable[str]) -> list[Chunk]:
        """The text between records, and the chunks of records that can have a package of some names (lower case)."""
        ranges = [(f"{name}-", f"{name}.") for name in package_names]  # the byte after "-" is "."
        wanted = {
            (section, chunk.first)
            for section, chunks in self.sections().items()
            for chunk in _chunks_in(chunks, ranges)
        }
        return [chunk for chunk in self.chunks if not chunk.section or (chunk.section, chunk.first) in wanted]


def _chunks_in(chunks: Sequence[Chunk], ranges: Iterable[tuple[str, str]]) -> Iterator[Chunk]:
    """The chunks of a section that can have keys in some ranges; the first one also gets the keys before it."""
    firsts = [chunk.first for chunk in chunks]
    for start, end in ranges:
        yield from chunks[max(bisect_right(firsts, start) - 1, 0) : max(bisect_left(firsts, end), 1)]


def is_possible(table: ChunkTable) -> bool:
    """Whether a run can have left a table."""
    rows = table.rows
    too_large = sum(row.size for row in rows) > _LARGEST + _MAX_RATIO * sum(row.packed for row in rows)
    return not too_large and all(map(_is_possible_row, rows)) and table_of(rows) == table


def _is_possible_row(row: Row) -> bool:
    text = COMMA if row.digest == _COMMA_DIGEST else row.text.encode()
    return 0 <= row.size <= _LARGEST and row.packed >= 0 and (not text or len(text) == row.size)


def saved_chunks(read: ReadRange, size: int, table: ChunkTable, key: str) -> SavedChunks | None:
    """The chunks of the compressed file `key`, which has `size` bytes and is read when a chunk is needed.

    None if the file cannot have this table.  A chunk that is not the one of the table raises DamagedChunk when it is
    read.
    """
    rows = table.rows
    if not is_possible(table) or size != table.size:
        return None
    start, packed_start = 0, len(frame_header(sum(row.size for row in rows)))
    chunks: list[Chunk] = []
    for row in rows:
        if row.digest != _COMMA_DIGEST:
            span = packed_start, packed_start + row.packed
            job = partial(_job, read, span, row.packed_digest, key)
            saved = SavedPart(key, (start, start + row.size), span, job, row.packed_digest)
            chunks.append(Chunk(_text_of(row, job, key), row.section, row.first, row.size, row.digest, saved))
        start, packed_start = start + row.size, packed_start + row.packed
    return SavedChunks(tuple(chunks))


def are_sound(chunks: Iterable[Chunk]) -> bool:
    """Whether saved chunks are those of their table: reads all of them once."""
    try:
        for chunk in chunks:
            if chunk.saved is not None:
                chunk.saved.job()
    except DamagedChunk:
        return False
    return True


def _job(read: ReadRange, span: Span, digest: str, key: str) -> bytes:
    data = read(*span)
    if digest_of(data) != digest:
        raise DamagedChunk(key, NOT_AS_LEFT, FORCE)
    return data


def _text_of(row: Row, job: Callable[[], bytes], key: str) -> Callable[[], bytes]:
    """The text of a chunk: what the table has of it, or what its job has."""
    text = row.text.encode()
    return (lambda: text) if text and digest_of(text) == row.digest else partial(_unpacked, job, row.size, key)


def _unpacked(job: Callable[[], bytes], size: int, key: str) -> bytes:
    try:
        return unpack_job(job(), size)
    except ValueError as error:
        raise DamagedChunk(key, NOT_AS_LEFT, FORCE) from error
