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

NOT_AS_LEFT = "is not as the last run left it"
# A chunk of more bytes is not read by itself: a megabyte of zstd can hold tens of gigabytes.
_LARGEST = 64 * 2**20
# A stranger can upload a state and a file.  The files of an index compress to a tenth.
_MAX_RATIO = 128
# Bytes that are not needed are read if they are less than this part of what a store takes as a part: half a mebibyte
# costs as much as a request.
_COST = 10
# The bytes of the compressed commas beside a chunk, and some more.
_COMMAS = 32
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
    def size(self) -> int:
        """The number of bytes of the compressed file."""
        packed, plain = sum(row.packed for row in self.rows), sum(row.size for row in self.rows)
        return len(frame_header(plain)) + packed + len(FRAME_END)

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

    def spans(self, package_names: Iterable[str], size: int, sent: int) -> list[Span]:
        """The ranges of the compressed file of `size` bytes that a run over some names needs, if it sends only a part.

        Those of `of_names`.  The header and the records of these names change: at least `sent` bytes that follow each
        of them are sent with it, and so is all that is left, or lies between two of them, if it is less than that.
        """
        stops = [chunk.saved.packed[1] for chunk in self.chunks if chunk.saved is not None]

        def end_of(changed: int) -> int:
            number = bisect_left(stops, changed + sent)
            return stops[number] if number < len(stops) and size - stops[number] >= sent else size

        chunks = [(chunk.section, chunk.saved.packed) for chunk in self.of_names(package_names) if chunk.saved]
        changed = [(start, end_of(stop)) for section, (start, stop) in chunks if section]
        read = [span for section, span in chunks if not section]
        return _merged([*_merged([(0, end_of(0)), *changed], sent + _COMMAS), *read], sent // _COST)


def _merged(spans: Iterable[Span], gap: int) -> list[Span]:
    """Spans in order, as one where there are at most `gap` bytes between two."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(found[-1][1], stop)
        else:
            found.append((start, stop))
    return found


def _chunks_in(chunks: Sequence[Chunk], ranges: Iterable[tuple[str, str]]) -> Iterator[Chunk]:
    """The chunks of a section that can have keys in some ranges; the first one also gets the keys before it."""
    firsts = [chunk.first for chunk in chunks]
    for start, end in ranges:
        yield from chunks[max(bisect_right(firsts, start) - 1, 0) : max(bisect_left(firsts, end), 1)]


def saved_chunks(read: ReadRange, size: int | None, table: ChunkTable, key: str) -> SavedChunks | None:
    """The chunks of the compressed file `key`, which has `size` bytes if that is known; it is read when one is needed.

    None if the file cannot have this table.  A chunk that is not the one of the table raises BadIndex when it is read.
    """
    rows = table.rows
    too_large = sum(row.size for row in rows) > _LARGEST + _MAX_RATIO * sum(row.packed for row in rows)
    invalid = any(not 0 <= row.size <= _LARGEST or row.packed < 0 for row in rows)
    if too_large or invalid or size not in {None, table.size} or table_of(rows) != table:
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
    return SavedChunks(tuple(chunks))


def are_sound(chunks: Iterable[Chunk]) -> bool:
    """Whether saved chunks are those of their table: reads all of them once."""
    try:
        for chunk in chunks:
            if chunk.saved is not None:
                chunk.saved.job()
    except BadIndex:
        return False
    return True


def _job(read: ReadRange, span: Span, digest: str, key: str) -> bytes:
    data = read(*span)
    if digest_of(data) != digest:
        raise BadIndex(key, NOT_AS_LEFT, "repeat with --force")
    return data


def _unpacked(job: Callable[[], bytes], size: int, key: str) -> bytes:
    try:
        return unpack_job(job(), size)
    except ValueError as error:
        raise BadIndex(key, f"is damaged ({error})", "delete it and repeat") from error
