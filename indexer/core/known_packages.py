"""What a state has for each package, in blocks: a run decodes and writes only the blocks of the names that it looks at.

A block has the packages of some names, which are found by a hash.  All else of the state is small.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import UNREADABLE, ETag
from indexer.core.names import name_in
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


class KnownPackage(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a state has of a package.

    `etag` is the ETag of a package whose record does not have the ETag as its MD5, empty for any other package.
    """

    etag: ETag = ETag("")
    attested: Attested | None = None


_block = msgspec.json.Decoder(dict[str, KnownPackage])


def known_packages_in(blocks: Sequence[bytes], package_names: frozenset[str] | None) -> dict[str, KnownPackage]:
    """The known packages of some names (lower case) by file name, of all names if None.

    Raises ValueError if a block cannot be read.
    """
    if package_names is None:
        return {filename: known for block in blocks for filename, known in _decoded(block).items()}
    numbers = {_number_of(name, len(blocks)) for name in package_names} if blocks else ()
    found = (item for number in numbers for item in _decoded(blocks[number]).items())
    return {filename: known for filename, known in found if _name_of(filename) in package_names}


def blocks_with(
    before: Sequence[bytes], package_names: frozenset[str] | None, now: Mapping[str, KnownPackage], packages: int
) -> tuple[bytes, ...]:
    """The blocks in which the known packages of some names (lower case), of all names if None, are those in `now`.

    `packages` counts the packages of the subdir.  The blocks depend on it and on all known packages, and on nothing
    else of the earlier blocks.  Raises ValueError if a block of `before` cannot be read.
    """
    count = 1 << (packages // _BLOCK).bit_length()
    if package_names is None:
        return _made(now, count)
    if len(before) != count:
        return _made({**_of_other_names(known_packages_in(before, None), package_names), **now}, count)
    new = _by_block(now, count)
    blocks = list(before)
    for number in {_number_of(name, count) for name in package_names}:  # one block in memory at a time
        blocks[number] = _encoded({**_of_other_names(_decoded(before[number]), package_names), **new[number]})
    return tuple(blocks) if any(blocks) else ()


def _of_other_names(known: Mapping[str, KnownPackage], package_names: frozenset[str]) -> dict[str, KnownPackage]:
    return {filename: one for filename, one in known.items() if _name_of(filename) not in package_names}


def _made(known: Mapping[str, KnownPackage], count: int) -> tuple[bytes, ...]:
    """All blocks; none if no package is known, as in a bucket whose ETags are all the MD5 of the package."""
    if not known:
        return ()
    return tuple(map(_encoded, _by_block(known, count)))


def _by_block(known: Mapping[str, KnownPackage], count: int) -> list[dict[str, KnownPackage]]:
    parts: list[dict[str, KnownPackage]] = [{} for _ in range(count)]
    for filename, one in known.items():
        parts[_number_of(_name_of(filename), count)][filename] = one
    return parts


def _name_of(filename: str) -> str:
    return name_in(filename).lower()


def _number_of(name: str, count: int) -> int:
    return zlib.crc32(name.encode()) % count


def _encoded(known: Mapping[str, KnownPackage]) -> bytes:
    return compress(msgspec.json.encode(known, order="deterministic")) if known else b""


def _decoded(block: bytes) -> dict[str, KnownPackage]:
    try:
        return _block.decode(decompress_saved(block)) if block else {}
    except UNREADABLE as error:
        raise ValueError(str(error)) from error
