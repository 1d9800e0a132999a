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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# The files of a package name are in the pages of one group; a page has so many files.
_GROUPS = 64
_PAGE = 250
# Of 32 bytes: enough to notice a change, and a state has one digest for each name.
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
            groups: Iterable[int] = range(len(self.pages))
        else:
            groups = {_group_of(name) for name in package_names} if self.pages else ()
        packed = (page for group in groups for page in self.pages[group])
        stats = itertools.chain(self.loose, *map(_unpacked, packed))
        if package_names is None:
            return {stat.key: stat for stat in stats}
        return {stat.key: stat for stat in stats if name_of(stat.key) in package_names}


def pack(stats: Iterable[Stat], last_run_ms: int | None = None) -> Listing:
    """The listing with these files, whose keys are their names in the subdir.

    `last_run_ms` is the time of the state of the last run, None if there was no run.
    """
    packer = _Packer(last_run_ms)
    for stat in stats:
        packer.add(stat)
    return packer.listing()


class _Packer(Mutable):
    """The listing so far: `sums` has the sum of the digests of its files for each package name."""

    last_run_ms: int | None
    groups: list[list[Stat]] = field(default_factory=lambda: [[] for _ in range(_GROUPS)])
    pages: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(_GROUPS)])
    others: dict[str, Stat] = field(default_factory=dict)
    packages: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    later: list[Stat] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    compress: Callable[[bytes], bytes] = field(default_factory=lambda: zstandard.ZstdCompressor(level=1).compress)

    def add(self, stat: Stat) -> None:
        """Add a file."""
        name = name_of(stat.key)
        if not name:
            self.others[stat.key] = stat
            return
        self.sums[name] = self.sums.get(name, 0) + _number_of(stat)
        if names.extension_of(stat.key) is not None:
            self._count(stat)
        group = _group_of(name)
        files = self.groups[group]
        files.append(stat)
        if len(files) == _PAGE:
            self.pages[group].append(self.compress(msgspec.msgpack.encode(files)))
            files.clear()

    def _count(self, stat: Stat) -> None:
        if self.packages % _MARK_EACH == 0:
            self.marks.append(stat.key)
        self.packages += 1
        if self.last_run_ms is not None and stat.modified_ms > self.last_run_ms and len(self.later) <= _MAX_LATER:
            self.later.append(stat)

    def listing(self) -> Listing:
        """The listing of all files that were added."""
        digests = {name: _hex_of(number) for name, number in self.sums.items()}
        return Listing(
            tuple(map(tuple, self.pages)) if any(self.pages) else (),
            tuple(itertools.chain(*self.groups)),
            self.others,
            self.packages,
            digests,
            _digest_of_all(digests, self.others),
            tuple(self.later) if len(self.later) <= _MAX_LATER else (),
            split_points_of(sorted(self.marks), self.packages),
        )


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
    return int.from_bytes(hashlib.sha256(line_of(stat.key, stat).encode()).digest()[:_DIGEST_BYTES], "big")


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
