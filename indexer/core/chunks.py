"""A large JSON file as a sequence of chunks, of which a run replaces only those whose records change.

Where a chunk begins depends on the key of one record (docs/adr/0031-chunks.md): the same records always give the same
chunks, whichever runs made them.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.core.errors import DamagedChunk
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Raw
from indexer.core.stream import Piece, Stream, made
from indexer.core.value import Value
from indexer.core.zstd import ZSTD_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# A chunk has so many records on average: half a second of compression, and a file that is 1 % larger than one job.
_RECORDS = 3000
CHUNKS_OF = f"chunks 1, zstd {ZSTD_VERSION}"
"""How chunks are cut and compressed: another number for another rule of cutting or other parameters."""
COMMA = b","
NOT_AS_LEFT = "is not as the last run left it"
FORCE = "repeat with --force"
_DIGEST_SIZE = 16  # bytes

_raw_map = msgspec.json.Decoder(dict[str, Raw])


Span = tuple[int, int]
"""The first byte of a part of a file, and the byte after the last."""


class SavedPart(Value, frozen=True):
    """Where a chunk is in the published files: `plain` in the one that is not compressed, `packed` in the other one.

    `key` is that of the compressed file.  `job` returns the chunk as it is in that file; `job_digest` is the digest of
    these bytes.
    """

    key: str
    plain: Span
    packed: Span
    job: Callable[[], bytes]
    job_digest: str


class Chunk(Value, frozen=True):
    """A part of a file, whose `text` is made when it is needed.

    `section` is the map whose records the chunk has, `first` the key of its first record; both are empty for the text
    between records.  `size` and `digest` are those of the text; the digest is empty if they are not known yet.  `saved`
    is None for a chunk that is not in the published file.
    """

    text: Callable[[], bytes]
    section: str = ""
    first: str = ""
    size: int = 0
    digest: str = ""
    saved: SavedPart | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ChunkedStream(Stream):
    """A stream whose chunks are compressed one by one; its `digest` is made of those of the chunks."""

    chunks: tuple[Chunk, ...] = ()
    digest: str = ""


class Section(Value, frozen=True):
    """The members of a large JSON object in chunks, without braces and without the commas between chunks."""

    chunks: Sequence[Chunk] = ()


def chunked_object(values: Mapping[str, object], last: str | None = None, saved: Iterable[Chunk] = ()) -> ChunkedStream:
    """The stream of a JSON object with sorted keys; the key `last`, if there is one, follows all others.

    Sections can be among the values and among the members of the values.  The text between them is taken from the
    `saved` chunks of the published file if it has not changed.  Makes the text of each new chunk once, for its size and
    digest.
    """
    known = {chunk.digest: chunk for chunk in saved if not chunk.section}
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
                chunks.append(_between(COMMA, known))
            chunks.append(_measured(chunk))
    chunks.append(_between(b"".join(text), known))
    digest = digest_of("".join(chunk.digest for chunk in chunks).encode())
    size = sum(chunk.size for chunk in chunks)
    starts = starts_in_published(chunks, lambda part: part.plain)
    pieces = [Piece(chunk.text, chunk.size, start) for chunk, start in zip(chunks, starts, strict=True)]
    return ChunkedStream(partial(made, pieces), size, pieces=tuple(pieces), chunks=tuple(chunks), digest=digest)


def starts_in_published(chunks: Sequence[Chunk], span_of: Callable[[SavedPart], Span]) -> list[int | None]:
    """Where each chunk begins in a published file, None for a new chunk.

    `span_of` returns the place of a chunk that was published.  A comma has a place if the chunks beside it have one: a
    comma followed the first one there too.
    """
    spans = [None if chunk.saved is None else span_of(chunk.saved) for chunk in chunks]
    found = [None if span is None else span[0] for span in spans]
    for number in range(1, len(chunks) - 1):
        before, after = chunks[number - 1], chunks[number + 1]
        span = spans[number - 1]
        if span is not None and after.saved is not None and _is_comma(before, chunks[number], after):
            found[number] = span[1]
    return found


def _is_comma(before: Chunk, chunk: Chunk, after: Chunk) -> bool:
    """Whether a chunk is the comma between two chunks of a section."""
    return bool(before.section) and before.section == after.section and not chunk.section


def digest_of(data: bytes | memoryview) -> str:
    """The digest of a chunk: 32 hex digits."""
    return hashlib.blake2b(data, digest_size=_DIGEST_SIZE).hexdigest()


def _measured(chunk: Chunk) -> Chunk:
    """The chunk with its size and digest."""
    if chunk.digest:
        return chunk
    text = chunk.text()
    return replace(chunk, size=len(text), digest=digest_of(text))


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


def _between(text: bytes, known: Mapping[str, Chunk]) -> Chunk:
    """The chunk of a text between records: a `known` one, by its digest, if its text is the same."""
    chunk = _measured(Chunk(lambda: text))
    return known.get(chunk.digest, chunk)


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
            pieces += (COMMA, msgspec.json.encode(key), b":", value if isinstance(value, Raw) else dump(value))
        return b"".join(pieces[1:])

    return Chunk(text, section, keys[0])


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
    """The records of a chunk.  Raises DamagedChunk if a published one has something else."""
    try:
        return _raw_map.decode(b"{%b}" % chunk.text())
    except UNREADABLE as error:
        raise DamagedChunk(chunk.saved.key if chunk.saved else chunk.section, NOT_AS_LEFT, FORCE) from error
