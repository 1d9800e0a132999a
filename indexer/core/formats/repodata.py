"""`repodata.json`, `repodata_from_packages.json` and `run_exports.json`: decoded to raw slices, and encoded."""

from __future__ import annotations

import codecs
import contextlib
import re
from sys import intern
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core import chunks
from indexer.core.chunks import Section, chunked_object
from indexer.core.errors import BadIndex, NewerIndex
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.names import CONDA, EXTENSIONS, TAR_BZ2
from indexer.core.records.identity import identity_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from indexer.core.chunks import ChunkedStream
    from indexer.core.saved_chunks import SavedChunks

_raw_map = msgspec.json.Decoder(dict[str, Raw])
V = TypeVar("V")

# The highest version that clients read: conda refuses 3 and above.
_MAX_REPODATA_VERSION = 2
_SECTIONS = ("packages", "packages.conda")
# These keys are always written anew; old `signatures` would be out of date (CEP 36: readers ignore them).
_OURS = frozenset({"info", "v3", "removed", "repodata_version", "signatures", *_SECTIONS})

# Keys of revisions of repodata (CEP 48).  v3 is the only revision today.
_REVISION = re.compile(r"v([0-9]+)")
_V3 = 3
# The names of the maps under `v3` begin with this in a table of chunks.
_V3_MAP = "v3/"

_STEP = 2**20
_RUN_EXPORTS = "run_exports"
_UNKNOWN = Raw(b"null")
_UPDATE = "nothing was changed: update the indexer, or delete the file to index the subdir anew"

_names = msgspec.json.Decoder(list[str])


def decode_repodata(data: bytes, key: str) -> Index:
    """The raw records of a `repodata.json`; an empty file is an empty index (CEP 36).

    Raises BadIndex if the file is not a repodata.json that we can continue, NewerIndex if it needs a newer release.
    """
    if not data.strip():
        return Index()
    try:
        check_utf8(data)
        top = _raw_map.decode(data)
        records = _legacy_records(top)
        v3, v3_rest = _v3_records(top)
        version = msgspec.json.decode(top.get("repodata_version", b"1"))
        removed = tuple(_names.decode(top.get("removed", b"[]")))
        info = _raw_map.decode(top.get("info", b"{}"))
    except UNREADABLE as error:
        raise _bad_index(key, f"is not a readable repodata.json ({error})") from error
    if not isinstance(version, int):
        raise _bad_index(key, f"has repodata_version {version!r}, which is not a whole number")
    if version > _MAX_REPODATA_VERSION:
        raise NewerIndex(key, f"has repodata_version {version}, which no client of today reads", _UPDATE)
    refuse_unknown_revisions(top, info, key)
    records |= v3
    return Index(
        records=records,
        v3=frozenset(v3),
        removed=removed,
        info=info,
        rest={name: value for name, value in top.items() if name not in _OURS},
        v3_rest=v3_rest,
    )


def _legacy_records(top: Mapping[str, Raw]) -> dict[str, Raw]:
    records: dict[str, Raw] = {}
    for section in _SECTIONS:
        section_records = _raw_map.decode(top.get(section, b"{}"))
        records.update((intern(filename), record) for filename, record in section_records.items())
    return records


def _v3_records(top: Mapping[str, Raw]) -> tuple[dict[str, Raw], dict[str, dict[str, Raw]]]:
    """The records of packages under `v3` by file name, and the other buckets."""
    buckets = _raw_map.decode(top.get("v3", b"{}"))
    records = {
        intern(stem + extension): record
        for extension in EXTENSIONS
        for stem, record in _raw_map.decode(buckets.get(extension[1:], b"{}")).items()
    }
    of_packages = {extension[1:] for extension in EXTENSIONS}
    return records, {name: _raw_map.decode(bucket) for name, bucket in buckets.items() if name not in of_packages}


def refuse_unknown_revisions(top: Iterable[str], info: Mapping[str, object], key: str) -> None:
    """Raise NewerIndex if the keys of an index name another revision than v3, or its `info` names a later one.

    We could neither publish such records in all formats nor count them, and old ones would stay forever.
    """
    announced = info.get("repodata_revisions")
    if isinstance(announced, Raw):
        announced = msgspec.json.decode(announced)
    later = [name for name in announced if _revision_number(name) > _V3] if isinstance(announced, dict) else []
    if unknown := [*(name for name in top if _revision_number(name) not in {-1, _V3}), *later]:
        raise NewerIndex(key, f"has the revision {min(unknown)}, which this release does not know", _UPDATE)


def _revision_number(name: str) -> int:
    """The number of a revision, -1 for any other key."""
    match = _REVISION.fullmatch(name)
    return int(match[1][:9]) if match else -1


def check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError if bytes are not UTF-8: slices are copied unread, and readers would refuse them."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    if not data.isascii():
        for start in range(0, len(data), _STEP):
            decoder.decode(data[start : start + _STEP], final=start + _STEP >= len(data))


def _bad_index(key: str, reason: str) -> BadIndex:
    return BadIndex(key, reason, "nothing was changed: restore it, or delete it to index the subdir anew")


def duplicate_filenames(data: bytes) -> set[str]:
    """The packages that have more than one record in a readable `repodata.json`, in different maps."""
    top = _raw_map.decode(data)
    v3 = _raw_map.decode(top.get("v3", b"{}"))
    maps = [set(_raw_map.decode(top.get(section, b"{}"))) for section in _SECTIONS]
    maps += [{stem + extension for stem in _raw_map.decode(v3.get(extension[1:], b"{}"))} for extension in EXTENSIONS]
    once: set[str] = set()
    twice: set[str] = set()
    for filenames in maps:
        twice |= once & filenames
        once |= filenames
    return twice


class _RunExportsFile(msgspec.Struct):
    """The two maps of a run_exports.json (CEP 12)."""

    packages: dict[str, Raw] = {}
    conda: dict[str, Raw] = field(default={}, name="packages.conda")


class _RunExports(msgspec.Struct):
    run_exports: Raw | msgspec.UnsetType = msgspec.UNSET


_run_exports_file = msgspec.json.Decoder(_RunExportsFile)
_run_exports = msgspec.json.Decoder(_RunExports)


def decode_run_exports(data: bytes, key: str) -> dict[str, Raw]:
    """The run exports in a `run_exports.json` by file name.  Raises BadIndex."""
    run_exports: dict[str, Raw] = {}
    # Most packages have the same run exports, none: all of them share one slice.
    shared: dict[bytes, Raw] = {}
    try:
        check_utf8(data)
        file = _run_exports_file.decode(data) if data.strip() else _RunExportsFile()
        for filename, entry in (*file.packages.items(), *file.conda.items()):
            value = _run_exports.decode(entry).run_exports
            if isinstance(value, Raw):
                text = bytes(value)
                run_exports[intern(filename)] = shared.get(text) or shared.setdefault(
                    text, run_exports_by_kind(Raw(text))
                )
    except UNREADABLE as error:
        raise _bad_index(key, f"is not a readable run_exports.json ({error})") from error
    return run_exports


def inline_run_exports(records: Mapping[str, Raw]) -> dict[str, Raw]:
    """The run exports inside of records, as rattler-index writes them, by file name."""
    run_exports = {}
    for filename, record in records.items():
        if b'"run_exports"' in memoryview(record).tobytes():
            with contextlib.suppress(*UNREADABLE):  # not a record
                value = _run_exports.decode(record).run_exports
                if isinstance(value, Raw):
                    run_exports[filename] = run_exports_by_kind(value)
    return run_exports


def run_exports_by_kind(run_exports: Raw) -> Raw:
    """Run exports as CEP 12 has them.

    conda-index keeps bare lists, the oldest form, which mean weak run exports (CEP 34).
    """
    if not bytes(run_exports).lstrip().startswith(b"["):
        return run_exports
    specs = msgspec.json.decode(run_exports)
    return dump({"weak": specs} if specs else {})


class PublishedRecords(Value, frozen=True):
    """A file that is published: its chunks, and those of its records that are loaded, `before` an update.

    `own_run_exports` are those of the loaded names that only a `repodata_from_packages.json` has.
    """

    chunks: SavedChunks
    before: Index
    own_run_exports: Mapping[str, Raw] = field(default_factory=dict)


def encode_repodata(
    index: Index, info: Mapping[str, object], published: PublishedRecords | None = None
) -> ChunkedStream:
    """The content of a `repodata.json`: everything sorted, compact, records copied as they are.

    `info` is the whole `info` key.  It is the last key: libsolv's own reader (mamba 1.x) ends the document after an
    `info` with an object in it, so the package maps must come before.  The maps are sorted by plain file name;
    `v3` is written if it has records, or if `info` announces it (CEP 48).  With a `published` file, records that were
    not loaded stay as they are there.
    """
    before = None if published is None else _records(published.before)
    return _encoded(index, info, _sections(_records(index), published, before), published)


def _encoded(
    index: Index, info: Mapping[str, object], sections: Mapping[str, Section], published: PublishedRecords | None
) -> ChunkedStream:
    """The content of a file with the large maps `sections`, and with all that an index has besides records."""
    top: dict[str, object] = {
        **index.rest,
        **{section: sections.get(section, Section()) for section in _SECTIONS},
        "info": info,
        "removed": index.removed,
        "repodata_version": _MAX_REPODATA_VERSION if "base_url" in info else 1,
    }
    announced = info.get("repodata_revisions")
    v3 = {name.removeprefix(_V3_MAP): section for name, section in sections.items() if name.startswith(_V3_MAP)}
    if v3 or index.v3_rest or (isinstance(announced, dict) and "v3" in announced):
        top["v3"] = {**index.v3_rest, **v3}
    if _RUN_EXPORTS in sections:
        top[_RUN_EXPORTS] = sections[_RUN_EXPORTS]
    return chunked_object(top, last="info", saved=published.chunks.chunks if published else ())


def _sections(
    after: Mapping[str, Members], published: PublishedRecords | None, before: Mapping[str, Members] | None
) -> dict[str, Section]:
    """The large maps of a file that have members, by name.

    If the file is `published`, `before` has the members that its loaded records made.
    """
    if published is None or before is None:
        return {name: chunks.section_of(name, *members) for name, members in after.items() if members.keys}
    saved = published.chunks.sections()
    sections = {
        name: chunks.spliced(name, saved.get(name, ()), _changes(before.get(name), after.get(name)))
        for name in saved.keys() | after.keys()
    }
    return {name: section for name, section in sections.items() if section.chunks}


class Members(NamedTuple):
    """The members of a large map: the keys, and a function that returns the value of each."""

    keys: Collection[str] = ()
    value_of: Callable[[str], object] = dict[str, object]().__getitem__


def _changes(before: Members | None, after: Members | None) -> dict[str, object]:
    """The members that differ, by key; None for those that are gone."""
    old, new = before or Members(), after or Members()
    known = set(old.keys)
    values = {key: new.value_of(key) for key in new.keys}
    changes = {key: value for key, value in values.items() if key not in known or old.value_of(key) != value}
    return {**changes, **dict.fromkeys(known - values.keys())}


def _records(index: Index) -> dict[str, Members]:
    """The records of each map."""
    legacy = _by_section(name for name in index.records if name not in index.v3)
    v3 = v3_buckets(index.v3, index.records)
    return {
        **{section: Members(filenames, index.records.__getitem__) for section, filenames in legacy.items()},
        **{_V3_MAP + bucket: Members(records.keys(), records.__getitem__) for bucket, records in v3.items()},
    }


def _by_section(filenames: Iterable[str]) -> dict[str, list[str]]:
    """File names by their legacy map."""
    sections: dict[str, list[str]] = {}
    for filename in filenames:
        sections.setdefault(section_of(filename), []).append(filename)
    return sections


def encode_unpatched(
    index: Index, info: Mapping[str, object], patched: Mapping[str, Raw], published: PublishedRecords | None = None
) -> ChunkedStream:
    """The content of a `repodata_from_packages.json`.

    Every other file has the `patched` run exports.  If a patch changed those of a package, the package's own
    run exports are kept here, null if they are unknown, under a key that readers ignore (CEP 36).
    """
    own = {name: value for name, value in index.run_exports.items() if patched.get(name) is not value}
    own |= dict.fromkeys(patched.keys() - index.run_exports.keys(), _UNKNOWN)
    before = None if published is None else _unpatched_members(published.before, published.own_run_exports)
    return _encoded(index, info, _sections(_unpatched_members(index, own), published, before), published)


def _unpatched_members(index: Index, own_run_exports: Mapping[str, Raw]) -> dict[str, Members]:
    return {**_records(index), _RUN_EXPORTS: Members(own_run_exports.keys(), own_run_exports.__getitem__)}


def decode_unpatched(data: bytes, key: str) -> tuple[Index, Mapping[str, Raw]]:
    """The raw records of a `repodata_from_packages.json`, and the run exports that only this file has.

    Raises BadIndex.
    """
    index = decode_repodata(data, key)
    own = index.rest.get(_RUN_EXPORTS)
    if own is None:
        return index, {}
    try:
        run_exports = _raw_map.decode(own)
    except UNREADABLE as error:
        raise _bad_index(key, f"has a key {_RUN_EXPORTS} that is not an object ({error})") from error
    rest = {name: value for name, value in index.rest.items() if name != _RUN_EXPORTS}
    return replace(index, rest=rest), run_exports


def with_published_parts(index: Index, published: Index) -> Index:
    """An unpatched index with `info`, unknown keys and wheels of the index that another indexer published later.

    Parts that only the unpatched index has stay, because another indexer deletes parts that it does not know.  If both
    have a record of the same content, the unpatched one stays.
    """
    v3_rest = {
        bucket: {**published.v3_rest.get(bucket, {}), **index.v3_rest.get(bucket, {})}
        for bucket in index.v3_rest.keys() | published.v3_rest.keys()
    }
    for bucket, records in published.v3_rest.items():
        for key, record in records.items():
            if identity_of(record).sha256 != identity_of(v3_rest[bucket][key]).sha256:
                v3_rest[bucket][key] = record
    info, rest = {**index.info, **published.info}, {**index.rest, **published.rest}
    return replace(index, info=info, rest=rest, v3_rest=v3_rest)


def unpatched_run_exports(published: Mapping[str, Raw], own: Mapping[str, Raw]) -> dict[str, Raw]:
    """The packages' own run exports: the published ones, except for those in `own`; null in `own` means unknown."""
    merged = {**published, **own}
    return {name: value for name, value in merged.items() if name not in own or bytes(value) != bytes(_UNKNOWN)}


def section_of(filename: str) -> str:
    """The legacy map that a package belongs to, by its extension."""
    return "packages.conda" if filename.endswith(CONDA) else "packages"


def v3_buckets(filenames: Iterable[str], records: Mapping[str, V]) -> dict[str, dict[str, V]]:
    """Records by extension without dot, then by stem (CEP 48)."""
    buckets: dict[str, dict[str, V]] = {}
    for filename in filenames:
        extension = CONDA if filename.endswith(CONDA) else TAR_BZ2
        buckets.setdefault(extension[1:], {})[filename.removesuffix(extension)] = records[filename]
    return buckets


def encode_run_exports(index: Index, subdir: str, published: PublishedRecords | None = None) -> ChunkedStream:
    """The content of a `run_exports.json` (CEP 12): every package whose run exports are known.

    If another run is about to publish a package, its run exports are here before its record is.
    """
    before = None if published is None else _known_run_exports(published.before)
    sections = _sections(_known_run_exports(index), published, before)
    maps = {section: sections.get(section, Section()) for section in _SECTIONS}
    return chunked_object(
        {"info": {"subdir": subdir, "version": 1}, **maps}, saved=published.chunks.chunks if published else ()
    )


def _known_run_exports(index: Index) -> dict[str, Members]:
    def entry(filename: str) -> object:
        return {_RUN_EXPORTS: index.run_exports[filename]}

    return {section: Members(filenames, entry) for section, filenames in _by_section(index.run_exports).items()}
