"""The catalog of a subdir: of each package what a person wants to know, so that nothing must be read for it again.

It is one of our own files and what channel-wide files are made from: they need no repodata.json, which may
be large.  Losing it costs time: the packages are read once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from indexer.core.metadata import Metadata
from indexer.core.names import parse_filename
from indexer.core.records.dates import built_ms
from indexer.core.zstd import SHORT_ENTRY, decompress_saved, needs_short_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Index, Raw

# The last millisecond that a calendar has.
_LAST_MS = 253402300799000


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A package: of its record what people look for, sizes in bytes, and what it says of itself.

    `about` is None where that is not known.
    """

    name: str
    version: str = ""
    build: str = ""
    build_number: int = 0
    size: int = 0
    sha256: str | None = None
    license: str | None = None
    timestamp: int | float | None = None
    indexed_timestamp: int | None = None
    about: Metadata | None = None

    @property
    def built_ms(self) -> int:
        """When it was built, in milliseconds; 0 where it does not say."""
        return _bounded(built_ms(self.timestamp))

    @property
    def indexed_ms(self) -> int:
        """When it came into the channel, in milliseconds, as far as that is known."""
        return self.built_ms if self.indexed_timestamp is None else _bounded(self.indexed_timestamp)


def _bounded(milliseconds: int) -> int:
    """A time that a calendar has, whatever a record says."""
    return max(0, min(milliseconds, _LAST_MS))


class Catalog(msgspec.Struct, frozen=True):
    """The packages of a subdir by file name, and why others were taken out, empty where that is not known."""

    packages: dict[str, Entry] = {}
    removed: dict[str, str] = {}


_entry = msgspec.json.Decoder(Entry)
_catalog = msgspec.json.Decoder(Catalog)


def make_catalog(index: Index, abouts: Mapping[str, Metadata], yanked: Mapping[str, str]) -> Catalog:
    """The catalog of an index; an `about` counts where it is of the very package that the record is of.

    `yanked` says why packages were taken out.
    """
    return Catalog(dict(_entries(index, abouts)), {name: yanked.get(name, "") for name in sorted(index.removed)})


def _entries(index: Index, abouts: Mapping[str, Metadata]) -> Iterator[tuple[str, Entry]]:
    for filename in sorted(index.records):
        entry = _entry_of(filename, index.records[filename])
        about = abouts.get(filename)
        same = about is not None and about.sha256 == entry.sha256
        # A record may have a key `about` of its own, which says nothing.
        yield filename, msgspec.structs.replace(entry, about=about if same else None)


def _entry_of(filename: str, record: Raw) -> Entry:
    try:
        return _entry.decode(record)
    except msgspec.ValidationError:  # of another indexer, and odd: its file name says the most of it
        named = parse_filename(filename)
        return Entry(named.name, named.version, named.build) if named else Entry(filename)


def filenames_without_metadata(index: Index, abouts: Mapping[str, Metadata]) -> frozenset[str]:
    """The packages of an index of which is not known what they say of themselves."""
    return frozenset(name for name, entry in _entries(index, abouts) if entry.about is None)


def metadata_by_name(catalog: Catalog) -> dict[str, Metadata]:
    """What is known by file name."""
    return {filename: entry.about for filename, entry in catalog.packages.items() if entry.about}


def encode_catalog(catalog: Catalog) -> bytes:
    """The catalog before compression.

    If it is large, packages that say much of themselves say nothing, so that the next run can read it.
    """
    content = msgspec.json.encode(catalog, order="deterministic")
    if not needs_short_entries(len(content)):
        return content
    short = Catalog({name: _short(entry) for name, entry in catalog.packages.items()}, catalog.removed)
    return msgspec.json.encode(short, order="deterministic")


def _short(entry: Entry) -> Entry:
    if len(msgspec.json.encode(entry)) <= SHORT_ENTRY:
        return entry
    about = None if entry.about is None else Metadata(sha256=entry.about.sha256)
    return msgspec.structs.replace(entry, license=None, about=about)


def decode_catalog(data: bytes) -> Catalog | None:
    """A catalog as it lies in the channel; None for one that cannot be read, which is as good as none."""
    try:
        return _catalog.decode(decompress_saved(data))
    except (ValueError, msgspec.MsgspecError):
        return None
