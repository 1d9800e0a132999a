"""What a state has for each package, in blocks: a run decodes and writes only the blocks of the names that it looks at.

A block has the packages of some names, which are found by a hash.  All else of the state is small.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import UNREADABLE, ETag
from indexer.core.names import parse_filename
from indexer.core.zstd import compress, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# About so many packages are in a block.
_BLOCK = 2_048


class Attested(msgspec.Struct, frozen=True, omit_defaults=True):
    """The attestations of a package: a digest of its sidecars as they were read, and their SHA-256.

    Attestations that do not count have a `reason` instead; the reason can be gone next time if it is `transient`.
    """

    sidecars_digest: str
    sha256: str = ""
    reason: str = ""
    transient: bool = False


class Note(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a state has of a package.

    `etag` is the ETag of a package whose record does not have the ETag as its MD5, empty for any other package.
    """

    etag: ETag = ETag("")
    attested: Attested | None = None


_block = msgspec.json.Decoder(dict[str, Note])


def notes_of(blocks: Sequence[bytes], package_names: frozenset[str] | None) -> dict[str, Note]:
    """The notes on the packages of some names (lower case) by file name, of all names if None.

    Raises ValueError if a block cannot be read.
    """
    if package_names is None:
        return {filename: note for block in blocks for filename, note in _decoded(block).items()}
    numbers = {_number_of(name, len(blocks)) for name in package_names} if blocks else ()
    notes = (_decoded(blocks[number]).items() for number in numbers)
    return {filename: note for block in notes for filename, note in block if _name_of(filename) in package_names}


def blocks_with(
    before: Sequence[bytes], package_names: frozenset[str] | None, notes: Mapping[str, Note], packages: int
) -> tuple[bytes, ...]:
    """The blocks in which the notes on some package names, on all if None, are these `notes`.

    `packages` counts the packages of the subdir.  The blocks depend on it and on all notes, not on earlier blocks.
    Raises ValueError if a block of `before` cannot be read.
    """
    count = 1 << (packages // _BLOCK).bit_length()
    if package_names is None:
        return _made(notes, count)
    if len(before) != count:
        others = {key: note for key, note in notes_of(before, None).items() if _name_of(key) not in package_names}
        return _made({**others, **notes}, count)
    changed: dict[int, dict[str, Note]] = {}
    for number in {_number_of(name, count) for name in package_names}:
        known = _decoded(before[number]).items()
        changed[number] = {filename: note for filename, note in known if _name_of(filename) not in package_names}
    for filename, note in notes.items():
        changed[_number_of(_name_of(filename), count)][filename] = note
    blocks = list(before)
    for number, content in changed.items():
        blocks[number] = _encoded(content)
    return tuple(blocks) if any(blocks) else ()


def _made(notes: Mapping[str, Note], count: int) -> tuple[bytes, ...]:
    """All blocks; none if there are no notes, as in a bucket whose ETags are all the MD5 of the package."""
    if not notes:
        return ()
    parts: list[dict[str, Note]] = [{} for _ in range(count)]
    for filename, note in notes.items():
        parts[_number_of(_name_of(filename), count)][filename] = note
    return tuple(map(_encoded, parts))


def _name_of(filename: str) -> str:
    parsed = parse_filename(filename)
    return parsed.name.lower() if parsed else ""


def _number_of(name: str, count: int) -> int:
    return zlib.crc32(name.encode()) % count


def _encoded(notes: Mapping[str, Note]) -> bytes:
    return compress(msgspec.json.encode(notes, order="deterministic")) if notes else b""


def _decoded(block: bytes) -> dict[str, Note]:
    try:
        return _block.decode(decompress_saved(block)) if block else {}
    except UNREADABLE as error:
        raise ValueError(str(error)) from error
