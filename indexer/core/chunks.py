"""A large JSON file as a sequence of chunks, of which a run replaces only those whose records change.

Where a chunk begins depends on the key of one record (docs/adr/0031-chunks.md): the same records always give the same
chunks, whichever runs made them.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from indexer.core.errors import BadIndex
from indexer.core.json_form import dump
from indexer.core.model import Raw
from indexer.core.stream import Stream, stream_of
from indexer.core.value import Value
from indexer.core.zstd import ZSTD_VERSION, frame_header, unpack_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# A chunk has so many records on average: half a second of compression, and a file that is 1 % larger than one job.
_RECORDS = 3000
CHUNKS_OF = f"chunks 1, zstd {ZSTD_VERSION}"
"""How chunks are cut and compressed: another number for another rule of cutting or other parameters."""
# A chunk of more bytes is not read by itself: a megabyte of zstd can hold tens of gigabytes.
_LARGEST = 64 * 2**20
# A stranger can upload a state and a file.  The files of an index compress to a tenth.
_MAX_RATIO = 128
_COMMA = b","

_raw_map = msgspec.json.Decoder(dict[str, Raw])


class Chunk(Value, frozen=True):
    """A part of a file, whose `text` is made when it is needed.

    `section` is the map whose records the chunk has, `first` the key of its first record; both are empty for the text
    between records.  `packed` is the chunk as a zstd job if it was compressed before, `size` its size before that.
    `start` is its position in the published file that it was read from, None for a new chunk.
    """

    text: Callable[[], bytes]
    section: str = ""
    first: str = ""
    packed: memoryview | None = None
    size: int = 0
    start: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkedStream(Stream):
    """A stream whose chunks are compressed one by one."""

    chunks: tuple[Chunk, ...] = field(default=(), compare=False)


class Section(Value, frozen=True):
    """The members of a large JSON object in chunks, without braces and without the commas between chunks."""

    chunks: Sequence[Chunk] = ()


def chunked_object(
    values: Mapping[str, object], last: str | None = None, saved: SavedChunks | None = None
) -> ChunkedStream:
    """The stream of a JSON object with sorted keys; the key `last`, if there is one, follows all others.

    Sections can be among the values and among the members of the values.  The text between them is taken from `saved`
    chunks if it has not changed.  Reads all chunks once, for their size and digest.
    """
    known = {chunk.text(): chunk for chunk in (saved.chunks if saved else ()) if not chunk.section}
    chunks: list[Chunk] = []
    text: list[bytes] = []
    for part in _parts(values, last):
        if not isinstance(part, Section):
            text.append(part)
            continue
        chunks.append(_between(b"".join(text), known))
        text = []
        for number, chunk in enumerate(part.chunks):
            if number:
                chunks.append(_between(_COMMA, known))
            chunks.append(chunk)
    chunks.append(_between(b"".join(text), known))
    whole = stream_of(lambda: (chunk.text() for chunk in chunks))
    return ChunkedStream(whole.make, whole.size, whole.sha256, chunks=tuple(chunks))


def _parts(values: Mapping[str, object], last: str | None = None) -> Iterator[bytes | Section]:
    """The parts of a JSON object: its sections, and the text before and after them."""
    separator = b"{"
    for key in sorted(values, key=lambda key: (key == last, key)):
        yield separator + msgspec.json.encode(key) + b":"
        separator = b","
        value = values[key]
        if isinstance(value, Section):
            yield b"{"
            yield value
            yield b"}"
        elif isinstance(value, dict) and any(isinstance(member, Section) for member in value.values()):
            yield from _parts(value)
        else:
            yield bytes(dump(value))
    yield b"}" if values else b"{}"


def _between(text: bytes, known: Mapping[bytes, Chunk]) -> Chunk:
    """The chunk of a text between records: a `known` one if its text is the same."""
    return known.get(text) or Chunk(lambda: text)


def section_of(name: str, keys: Iterable[str], value_of: Callable[[str], object]) -> Section:
    """A section of members, cut into chunks."""
    return Section([_new_chunk(name, chunk, value_of) for chunk in _cut(sorted(keys))])


def _cut(keys: Iterable[str]) -> Iterator[list[str]]:
    """Sorted keys in lists, one for each chunk."""
    chunk: list[str] = []
    for key in keys:
        if chunk and begins_chunk(key):
            yield chunk
            chunk = []
        chunk.append(key)
    if chunk:
        yield chunk


def begins_chunk(key: str) -> bool:
    """Whether a chunk begins at the record with this key; another one begins at the first record of a section."""
    return zlib.crc32(key.encode()) % _RECORDS == 0


def _new_chunk(section: str, keys: Sequence[str], value_of: Callable[[str], object]) -> Chunk:
    def text() -> bytes:
        pieces: list[bytes | Raw] = []
        for key in keys:
            value = value_of(key)
            # A Raw is copied once, into the text: encoded as one object, a chunk would be in memory three times.
            pieces += (_COMMA, msgspec.json.encode(key), b":", value if isinstance(value, Raw) else dump(value))
        return b"".join(pieces[1:])

    return Chunk(text, section, keys[0])


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A chunk in a table: its `section` and `first` key, its size in bytes, and its size after compression."""

    section: str
    first: str
    size: int
    packed: int


class ChunkTable(msgspec.Struct, frozen=True):
    """The chunks of a compressed file in order, with a digest of the file and of the table.

    `zstd` is the version of zstd that made the chunks: another version can compress the same text to other bytes.
    """

    rows: tuple[Row, ...]
    digest: str
    zstd: str = ""

    @property
    def is_of_this_zstd(self) -> bool:
        """Whether this version of zstd made the chunks."""
        return self.zstd == ZSTD_VERSION


def table_of(rows: Iterable[Row], packed: Iterable[bytes | memoryview]) -> ChunkTable:
    """The table of a compressed file, whose bytes are `packed`."""
    rows = tuple(rows)
    digest = hashlib.sha256(msgspec.json.encode((ZSTD_VERSION, rows)))
    for part in packed:
        digest.update(part)
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
                    found.append(_COMMA)
                found.append(chunk.text())
                last = chunk.section
        return b"".join(found)


def _chunks_in(chunks: Sequence[Chunk], ranges: Iterable[tuple[str, str]]) -> Iterator[Chunk]:
    """The chunks of a section that can have keys in some ranges."""
    firsts = [chunk.first for chunk in chunks]
    for start, end in ranges:
        yield from chunks[max(bisect_right(firsts, start) - 1, 0) : bisect_left(firsts, end)]


def saved_chunks(data: bytes, table: ChunkTable, key: str) -> SavedChunks | None:
    """The chunks of the compressed file `key`; None if the table is not the one of these bytes."""
    too_large = sum(row.size for row in table.rows) > _LARGEST + _MAX_RATIO * len(data)
    invalid = any(not 0 <= row.size <= _LARGEST or row.packed < 0 for row in table.rows)
    if too_large or invalid or table_of(table.rows, [data]) != table:
        return None
    view = memoryview(data)
    position, start = len(frame_header(sum(row.size for row in table.rows))), 0
    chunks: list[Chunk] = []
    for row in table.rows:
        packed = view[position : position + row.packed]
        chunk = Chunk(partial(_unpacked, packed, row.size, key), row.section, row.first, packed, row.size, start)
        position, start = position + row.packed, start + row.size
        if row.section or row.size != len(_COMMA) or chunk.text() != _COMMA:
            chunks.append(chunk)
    return SavedChunks(tuple(chunks))


def _unpacked(packed: memoryview, size: int, key: str) -> bytes:
    try:
        return unpack_job(packed, size)
    except ValueError as error:
        raise BadIndex(key, f"is damaged ({error})", "delete it and repeat") from error


def spliced(name: str, saved: Sequence[Chunk], changes: Mapping[str, object]) -> Section:
    """A section after changes of its members: the new values by key, None for a member that leaves.

    The chunks are those that `section_of` makes of all members.  Those without a change stay as they are.
    """
    changed = _changed_chunks([chunk.first for chunk in saved], changes)
    found: list[Chunk] = []
    for is_changed, numbers in itertools.groupby(range(max(len(saved), 1)), changed.__contains__):
        if not is_changed:
            found += [saved[number] for number in numbers if saved]
            continue
        members: dict[str, object] = {}
        for number in numbers:
            members |= _members(saved[number]) if saved else {}
            members |= {key: changes[key] for key in changed[number]}
        members = {key: value for key, value in members.items() if value is not None}
        found += section_of(name, members, members.__getitem__).chunks
    return Section(found)


def _changed_chunks(firsts: Sequence[str], changes: Mapping[str, object]) -> dict[int, set[str]]:
    """The numbers of the chunks that change, with the keys that change in each; `firsts` has their first keys."""
    changed: dict[int, set[str]] = {}
    for key in changes:
        changed.setdefault(max(bisect_right(firsts, key) - 1, 0), set()).add(key)
    # If the first record of a chunk leaves, the others belong to the chunk before it.
    for number in [number for number in changed if number and firsts[number] in changes]:
        if changes[firsts[number]] is None:
            changed.setdefault(number - 1, set())
    return changed


def _members(chunk: Chunk) -> dict[str, Raw]:
    return _raw_map.decode(b"{%b}" % chunk.text())
