"""The catalog of a subdir: for each package the fields of its record that people read, and its metadata.

It is a file of our own, from which the files of the whole channel are made: they need no repodata.json, which can
be large.  If it is lost, the next run reads all packages again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.core.metadata import Metadata
from indexer.core.model import Raw
from indexer.core.name_digests import name_of
from indexer.core.names import parse_filename
from indexer.core.records.dates import built_ms
from indexer.core.zstd import SHORT_ENTRY, decompress_saved, needs_short_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Index

# The last millisecond of the year 9999, the last year that Python's calendar has.
_LAST_MS = 253402300799000
V = TypeVar("V")
# Not even null.  An encoder leaves out this very object, and no other one.
_NOTHING = Raw()


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A package: fields of its record, the size in bytes, and its metadata, None if it is not known.

    `depends` and `constrains` are JSON as in the record, empty if the record has none.
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
    depends: Raw = _NOTHING
    constrains: Raw = _NOTHING
    metadata: Metadata | None = msgspec.field(default=None, name="about")

    @property
    def built_ms(self) -> int:
        """The time of the build, in milliseconds; 0 if it is not known."""
        return _in_calendar(built_ms(self.timestamp))

    @property
    def indexed_ms(self) -> int:
        """The time at which the package came into the channel, in milliseconds; else the time of the build."""
        return self.built_ms if self.indexed_timestamp is None else _in_calendar(self.indexed_timestamp)


def _in_calendar(milliseconds: int) -> int:
    """The nearest time that a calendar has: a record can have any number."""
    return max(0, min(milliseconds, _LAST_MS))


class Catalog(msgspec.Struct, frozen=True):
    """The packages of a subdir by file name, and the reason for each removed package, empty if it is not known."""

    packages: dict[str, Entry] = {}
    removed: dict[str, str] = {}


_entry = msgspec.json.Decoder(Entry)
_catalog = msgspec.json.Decoder(Catalog)


def make_catalog(
    index: Index, metadata: Mapping[str, Metadata], yanked: Mapping[str, str], *, dependencies: bool = True
) -> Catalog:
    """The catalog of an index, with the `metadata` that has the same sha256 as the record.

    `yanked` has the reasons for removed packages by file name.  Only pages show `dependencies`, which can be half of a
    catalog.
    """
    entries = _entries(index, metadata)
    packages = dict(entries) if dependencies else {name: _without_dependencies(entry) for name, entry in entries}
    return Catalog(packages, {name: yanked.get(name, "") for name in sorted(index.removed)})


def of_other_names(catalog: Catalog, package_names: frozenset[str]) -> Catalog:
    """The part of a catalog that belongs to other package names than these (lower case)."""

    def others(values: Mapping[str, V]) -> dict[str, V]:
        return {filename: value for filename, value in values.items() if name_of(filename) not in package_names}

    return Catalog(others(catalog.packages), others(catalog.removed))


def merged(catalog: Catalog, others: Catalog, yanked: Mapping[str, str]) -> Catalog:
    """One catalog of two for different package names; `yanked` has the reasons of today for removed packages."""
    if not (others.packages or others.removed):
        return catalog
    packages = dict(sorted({**others.packages, **catalog.packages}.items()))
    removed = sorted(catalog.removed.keys() | others.removed.keys())
    return Catalog(packages, {filename: yanked.get(filename, "") for filename in removed})


def incomplete_entries(catalog: Catalog) -> Iterator[str]:
    """The packages whose metadata is not known, or whose entry may have been shortened."""
    for filename, entry in catalog.packages.items():
        if entry.metadata is None or entry == _short_form(entry):
            yield filename


def _without_dependencies(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, depends=_NOTHING, constrains=_NOTHING)


def _entries(index: Index, metadata: Mapping[str, Metadata]) -> Iterator[tuple[str, Entry]]:
    for filename in sorted(index.records):
        entry = _entry_of(filename, index.records[filename])
        known = metadata.get(filename)
        same = known is not None and known.sha256 == entry.sha256
        # Replaced in any case: a record may have a key `about` of its own.
        yield filename, msgspec.structs.replace(entry, metadata=known if same else None)


def _entry_of(filename: str, record: Raw) -> Entry:
    try:
        return _entry.decode(record)
    except msgspec.ValidationError:  # another indexer wrote wrong types; the file name has the most important fields
        parsed = parse_filename(filename)
        return Entry(parsed.name, parsed.version, parsed.build) if parsed else Entry(filename)


def filenames_without_metadata(index: Index, metadata: Mapping[str, Metadata]) -> frozenset[str]:
    """The packages of an index whose metadata is not known."""
    return frozenset(name for name, entry in _entries(index, metadata) if entry.metadata is None)


def metadata_by_name(catalog: Catalog) -> dict[str, Metadata]:
    """The metadata in a catalog by file name."""
    return {filename: entry.metadata for filename, entry in catalog.packages.items() if entry.metadata}


def encode_catalog(catalog: Catalog) -> bytes:
    """The content of a catalog before compression.

    If it is large, the metadata of packages with much metadata is left out, so that the next run accepts the file.
    """
    content = msgspec.json.encode(catalog, order="deterministic")
    if not needs_short_entries(len(content)):
        return content
    short = Catalog({name: _short(entry) for name, entry in catalog.packages.items()}, catalog.removed)
    return msgspec.json.encode(short, order="deterministic")


def _short(entry: Entry) -> Entry:
    if len(msgspec.json.encode(entry)) <= SHORT_ENTRY:
        return entry
    return _short_form(entry)


def _short_form(entry: Entry) -> Entry:
    metadata = None if entry.metadata is None else Metadata(sha256=entry.metadata.sha256)
    return msgspec.structs.replace(_without_dependencies(entry), license=None, metadata=metadata)


def decode_catalog(data: bytes) -> Catalog | None:
    """The catalog in a published file; None if it cannot be read, as if there were no such file."""
    try:
        return _catalog.decode(decompress_saved(data))
    except (ValueError, msgspec.MsgspecError):
        return None
