"""A listing of a subdir in little memory: packages in compressed pages, and a digest for each package name.

The digests show which package names changed since the last run.  Only the pages of these names are unpacked, so half a
million packages take some 25 MB, and not 200.
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from typing import TYPE_CHECKING

import msgspec
import zstandard
from msgspec import field

from indexer.core import names
from indexer.core.listing_digest import line_of
from indexer.core.model import Stat
from indexer.core.name_digests import name_of
from indexer.core.value import Mutable, Value
from indexer.core.zstd import copied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# The files of a package name are in the pages of one group; a page has so many files.
_GROUPS = 64
_PAGE = 250
# Enough to notice a change, and a state has one digest for each name.
_DIGEST_BYTES = 8
# Packages that came after the last run are known without unpacking a page if they are at most so many.
_MAX_LATER = 1_000
# One of so many packages can be a split point.
_MARK_EACH = 100
# A part of a listing: a little less than three pages of a store, so that some new packages need no fourth.
_PART = 2_900
_MAX_PARTS = 64

_page = msgspec.msgpack.Decoder(list[Stat])


class Listing(Value, frozen=True):
    """The files of a subdir as a listing showed them.

    Packages and the attestations beside them are in `pages`, by group of package names, each a zstd frame, and in
    `loose`, which fills no page.  `others` has all other files and the folders (their names end with `/`), by name.
    `packages` counts the packages.  `name_digests` has a digest of the files of each package name (lower case).
    `digest` is one of all packages and attestations, and of files that only have the extension of a package.  No digest
    depends on the order of the files.  `later` has the packages that came after the last run; it is empty if there was
    no run, or if they are many.  `split_points` are file names at which the next listing can be split into even parts.
    """

    pages: tuple[tuple[bytes, ...], ...] = ()
    loose: tuple[Stat, ...] = ()
    others: Mapping[str, Stat] = field(default_factory=dict)
    packages: int = 0
    name_digests: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    later: tuple[Stat, ...] = ()
    split_points: tuple[str, ...] = ()

    def files_of(self, package_names: frozenset[str] | None) -> dict[str, Stat]:
        """The packages and the attestations of some package names by file name, of all names if None."""
        if package_names is None:
            return {stat.key: stat for stat in self._files_in(range(len(self.pages)))}
        groups = {_group_of(name) for name in package_names} if self.pages else set()
        return {stat.key: stat for stat in self._files_in(groups) if name_of(stat.key) in package_names}

    def _files_in(self, groups: Iterable[int]) -> Iterator[Stat]:
        """The files of some groups in pages, and all loose ones."""
        yield from self.loose
        for group in groups:
            for page in self.pages[group]:
                yield from _unpacked(page)


def pack(stats: Iterable[Stat], last_run_ms: int | None = None) -> Listing:
    """The listing with these files, whose keys are their names in the subdir.

    `last_run_ms` is the time of the state of the last run, None if there was no run.
    """
    groups = [_Group() for _ in range(_GROUPS)]
    known: dict[str, _Name] = {}
    others: dict[str, Stat] = {}
    packages = _Packages(last_run_ms)
    for stat in stats:
        name = name_of(stat.key)
        if not name:
            others[stat.key] = stat
            continue
        of_name = known.get(name)
        if of_name is None:
            of_name = known[name] = _Name(groups[_group_of(name)])
        of_name.digest += _number_of(stat)
        files = of_name.group.files
        files.append(stat)
        if len(files) == _PAGE:
            of_name.group.close_page()
        if stat.key.endswith(names.EXTENSIONS):
            packages.add(stat)
    digests = {name: _hex_of(of_name.digest) for name, of_name in known.items()}
    return Listing(
        tuple(tuple(group.pages) for group in groups),
        tuple(itertools.chain(*(group.files for group in groups))),
        others,
        packages.count,
        digests,
        _digest_of_all(digests, others),
        tuple(packages.later) if len(packages.later) <= _MAX_LATER else (),
        split_points_of(sorted(packages.marks), packages.count),
    )


class _Group(Mutable):
    """The full pages of a group, and the files of its open page."""

    pages: list[bytes] = field(default_factory=list)
    files: list[Stat] = field(default_factory=list)

    def close_page(self) -> None:
        """Compress the files of the open page."""
        frame = zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(self.files))
        self.pages.append(copied(frame))
        self.files.clear()


class _Packages(Mutable):
    """The number of packages, some of their names, and those that came after the last run, one too many at most."""

    last_run_ms: int | None
    count: int = 0
    marks: list[str] = field(default_factory=list)
    later: list[Stat] = field(default_factory=list)

    def add(self, stat: Stat) -> None:
        """Count a package."""
        if self.count % _MARK_EACH == 0:
            self.marks.append(stat.key)
        self.count += 1
        if self.last_run_ms is not None and stat.modified_ms > self.last_run_ms and len(self.later) <= _MAX_LATER:
            self.later.append(stat)


class _Name(Mutable):
    """The group of a package name, and the sum of the numbers of its files."""

    group: _Group
    digest: int = 0


def split_points_of(marks: Sequence[str], packages: int) -> tuple[str, ...]:
    """The names among sorted `marks` that split a listing of so many packages into even parts; none for a small one.

    The state of a large subdir has some kilobytes of them.
    """
    parts = min(packages // _PART, _MAX_PARTS)
    if parts < 2:  # noqa: PLR2004  one part is no part
        return ()
    return tuple(marks[len(marks) * number // parts] for number in range(1, parts))


def _group_of(name: str) -> int:
    return zlib.crc32(name.encode()) % _GROUPS


def _unpacked(page: bytes) -> list[Stat]:
    return _page.decode(zstandard.ZstdDecompressor().decompress(page))


def _number_of(stat: Stat) -> int:
    # Of so few bytes, BLAKE2 is made in half the time of SHA-256.
    line = line_of(stat.key, stat).encode()
    return int.from_bytes(hashlib.blake2b(line, digest_size=_DIGEST_BYTES).digest(), "big")


def _hex_of(number: int) -> str:
    digest = number % (1 << 8 * _DIGEST_BYTES)
    return digest.to_bytes(_DIGEST_BYTES, "big").hex()


def _digest_of_all(digests: Mapping[str, str], others: Mapping[str, Stat]) -> str:
    """A digest (hex) of the digests of all package names, and of files with a bad name.

    A new file with a bad name changes the report, although no record is made from the file.
    """
    bad = sorted(line_of(name, stat) for name, stat in others.items() if names.extension_of(name) is not None)
    lines: Iterator[str] = (f"{name}\0{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256("".join(itertools.chain(lines, bad)).encode()).hexdigest()
