"""A published `repodata.json` and `run_exports.json` as raw slices, and back to bytes."""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import replace
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.core.errors import BadIndex, NewerIndex
from indexer.core.json_stream import dump, large_object, object_chunks
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.names import CONDA, EXTENSIONS, TAR_BZ2
from indexer.core.records.identity import identity_of
from indexer.core.stream import stream_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from indexer.core.json_stream import MakeChunks
    from indexer.core.stream import Stream

_raw_map = msgspec.json.Decoder(dict[str, Raw])
V = TypeVar("V")

# The highest version that clients read: conda refuses 3 and above.
_MAX_REPODATA_VERSION = 2
_SECTIONS = ("packages", "packages.conda")
# Written by us whatever stood there before; `signatures` would be stale (CEP 36: to be ignored).
_OURS = frozenset({"info", "v3", "removed", "repodata_version", "signatures", *_SECTIONS})

# Keys of revisions of repodata (CEP 48), of which v3 is the only one that there is.
_REVISION = re.compile(r"v([0-9]+)")
_V3 = 3

_STEP = 2**20
_RUN_EXPORTS = "run_exports"
_UNKNOWN = Raw(b"null")

_names = msgspec.json.Decoder(list[str])


def decode_repodata(data: bytes, key: str) -> Index:
    """A `repodata.json` as raw records; an empty file is an empty index (CEP 36).

    Raises BadIndex where it is not a repodata.json that we can carry on, NewerIndex where it has what we do not know.
    """
    if not data.strip():
        return Index()
    try:
        check_utf8(data)
        top = _raw_map.decode(data)
        records: dict[str, Raw] = {}
        for section in _SECTIONS:
            records.update((intern(name), it) for name, it in _raw_map.decode(top.get(section, b"{}")).items())
        v3_buckets = _raw_map.decode(top.get("v3", b"{}"))
        v3 = {
            intern(stem + extension): record
            for extension in EXTENSIONS
            for stem, record in _raw_map.decode(v3_buckets.pop(extension[1:], b"{}")).items()
        }
        v3_rest = {bucket: _raw_map.decode(records) for bucket, records in v3_buckets.items()}
        version = msgspec.json.decode(top.get("repodata_version", b"1"))
        removed = tuple(_names.decode(top.get("removed", b"[]")))
        info = _raw_map.decode(top.get("info", b"{}"))
    except UNREADABLE as error:
        raise _bad_index(key, f"is not a readable repodata.json ({error})") from error
    if isinstance(version, int) and version > _MAX_REPODATA_VERSION:
        raise NewerIndex(key, f"has repodata_version {version}, which no client of today reads", _UPDATE)
    if not isinstance(version, int):
        raise _bad_index(key, f"has repodata_version {version!r}, which is no whole number")
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


def refuse_unknown_revisions(top: Iterable[str], info: Mapping[str, object], key: str) -> None:
    """Raise NewerIndex where an index has records of another revision than v3, by its keys, or tells of a later one.

    We could neither publish such records in all formats nor count them, and old ones would stay for ever.
    """
    told = info.get("repodata_revisions")
    if isinstance(told, Raw):
        told = msgspec.json.decode(told)
    later = [name for name in told if _number(name) > _V3] if isinstance(told, dict) else []
    if strange := [*(name for name in top if _number(name) not in {-1, _V3}), *later]:
        raise NewerIndex(key, f"has the revision {min(strange)}, which this release does not know", _UPDATE)


def _number(name: str) -> int:
    """The number of a revision, -1 for any other key."""
    match = _REVISION.fullmatch(name)
    return int(match[1][:9]) if match else -1


_UPDATE = "nothing was changed: update the indexer, or delete the file to index the subdir anew"


def check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError where bytes are no UTF-8: slices are copied unseen, and readers refuse them."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    if not data.isascii():
        for start in range(0, len(data), _STEP):
            decoder.decode(data[start : start + _STEP], final=start + _STEP >= len(data))


def _bad_index(key: str, reason: str) -> BadIndex:
    return BadIndex(key, reason, "nothing was changed: restore it, or delete it to index the subdir anew")


def duplicate_filenames(data: bytes) -> set[str]:
    """The packages that a readable `repodata.json` has more than one record of, in whatever maps."""
    top = _raw_map.decode(data)
    revised = _raw_map.decode(top.get("v3", b"{}"))
    maps = [set(_raw_map.decode(top.get(section, b"{}"))) for section in _SECTIONS]
    maps += [{key + it for key in _raw_map.decode(revised.get(it[1:], b"{}"))} for it in EXTENSIONS]
    seen: set[str] = set()
    twice: set[str] = set()
    for keys in maps:
        twice |= seen & keys
        seen |= keys
    return twice


class _RunExportsFile(msgspec.Struct):
    """The two maps of a run_exports.json (CEP 12)."""

    packages: dict[str, Raw] = {}
    conda: dict[str, Raw] = msgspec.field(default={}, name="packages.conda")


class _RunExports(msgspec.Struct):
    run_exports: Raw | msgspec.UnsetType = msgspec.UNSET


_run_exports_file = msgspec.json.Decoder(_RunExportsFile)
_run_exports = msgspec.json.Decoder(_RunExports)


def decode_run_exports(data: bytes, key: str) -> dict[str, Raw]:
    """The run exports by file name that a `run_exports.json` has.  Raises BadIndex."""
    try:
        check_utf8(data)
        found = _run_exports_file.decode(data) if data.strip() else _RunExportsFile()
        known: dict[bytes, Raw] = {}
        run_exports = {}
        for section in (found.packages, found.conda):
            for filename, entry in section.items():
                value = _run_exports.decode(entry).run_exports
                if isinstance(value, Raw):
                    # Most packages say the same, that there are none: one slice for all of them.
                    said = bytes(value)
                    run_exports[intern(filename)] = known.get(said) or known.setdefault(
                        said, run_exports_by_kind(Raw(said))
                    )
    except UNREADABLE as error:
        raise _bad_index(key, f"is not a readable run_exports.json ({error})") from error
    return run_exports


def inline_run_exports(records: Mapping[str, Raw]) -> dict[str, Raw]:
    """The run exports that stand inside records, as rattler-index writes them."""
    found = {}
    for filename, record in records.items():
        if b'"run_exports"' in memoryview(record).tobytes():
            with contextlib.suppress(*UNREADABLE):  # no record
                value = _run_exports.decode(record).run_exports
                if isinstance(value, Raw):
                    found[filename] = run_exports_by_kind(value)
    return found


def run_exports_by_kind(run_exports: Raw) -> Raw:
    """Run exports as CEP 12 has them; conda-index leaves bare lists, the oldest form, which mean weak ones (CEP 34)."""
    if not bytes(run_exports).lstrip().startswith(b"["):
        return run_exports
    specs = msgspec.json.decode(run_exports)
    return dump({"weak": specs} if specs else {})


def encode_repodata(index: Index, info: Mapping[str, object]) -> Stream:
    """The content of a `repodata.json`: everything sorted, compact, records copied as they are.

    `info` is the whole `info` key.  It stands last: libsolv's own reader (mamba 1.x) ends the document after an
    `info` with an object in it, and so must have read the package maps before.  The maps go by plain file name;
    `v3` is there where it has records, or where `info` tells of it (CEP 48).
    """
    top: dict[str, object] = {
        **index.rest,
        **_sections((name for name in index.records if name not in index.v3), index.records.__getitem__),
        "info": info,
        "removed": index.removed,
        "repodata_version": _MAX_REPODATA_VERSION if "base_url" in info else 1,
    }
    told = info.get("repodata_revisions")
    if index.v3 or index.v3_rest or (isinstance(told, dict) and "v3" in told):
        buckets = v3_buckets(index.v3, index.records)
        streamed = {bucket: large_object(sorted(records), records.__getitem__) for bucket, records in buckets.items()}
        top["v3"] = partial(object_chunks, {**index.v3_rest, **streamed})
    return stream_of(partial(object_chunks, top, last="info"))


def _sections(filenames: Iterable[str], value_of: Callable[[str], object]) -> dict[str, MakeChunks]:
    """The two legacy maps."""
    sections: dict[str, list[str]] = {section: [] for section in _SECTIONS}
    for filename in sorted(filenames):
        sections[section_of(filename)].append(filename)
    return {section: large_object(found, value_of) for section, found in sections.items()}


def encode_unpatched(index: Index, info: Mapping[str, object], patched: Mapping[str, Raw]) -> Stream:
    """The content of a `repodata_from_packages.json`.

    Run exports that a patch changes are `patched` in every other file, so the packages' own stand here,
    under a key that is no reader's business (CEP 36); null where they are unknown.
    """
    own = {name: it for name, it in index.run_exports.items() if patched.get(name) is not it}
    own |= dict.fromkeys(patched.keys() - index.run_exports.keys(), _UNKNOWN)
    if own:
        index = replace(index, rest={**index.rest, _RUN_EXPORTS: dump(own)})
    return encode_repodata(index, info)


def decode_unpatched(data: bytes, key: str) -> tuple[Index, Mapping[str, Raw]]:
    """A `repodata_from_packages.json` as raw records, and the run exports that only it knows.  Raises BadIndex."""
    index = decode_repodata(data, key)
    own = index.rest.get(_RUN_EXPORTS)
    if own is None:
        return index, {}
    try:
        known = _raw_map.decode(own)
    except UNREADABLE as error:
        raise _bad_index(key, f"has a key {_RUN_EXPORTS} that is no map ({error})") from error
    return replace(index, rest={name: it for name, it in index.rest.items() if name != _RUN_EXPORTS}), known


def with_published_parts(index: Index, published: Index) -> Index:
    """An unpatched index with what another indexer has published of the channel itself and of wheels since.

    What only the unpatched index has stays, for another indexer deletes what it does not know.  A record that both
    have of the same content is the unpatched one.
    """
    v3_rest = {
        bucket: {**published.v3_rest.get(bucket, {}), **index.v3_rest.get(bucket, {})}
        for bucket in index.v3_rest.keys() | published.v3_rest.keys()
    }
    for bucket, others in published.v3_rest.items():
        for key, record in others.items():
            if identity_of(record).sha256 != identity_of(v3_rest[bucket][key]).sha256:
                v3_rest[bucket][key] = record
    info, rest = {**index.info, **published.info}, {**index.rest, **published.rest}
    return replace(index, info=info, rest=rest, v3_rest=v3_rest)


def unpatched_run_exports(published: Mapping[str, Raw], own: Mapping[str, Raw]) -> dict[str, Raw]:
    """The packages' own run exports, by those that are published and those that only the unpatched index knows."""
    whole = {**published, **own}
    for name, known in own.items():
        if bytes(known) == bytes(_UNKNOWN):
            del whole[name]
    return whole


def section_of(filename: str) -> str:
    """The legacy map a package stands in, by its extension."""
    return "packages.conda" if filename.endswith(CONDA) else "packages"


def v3_buckets(filenames: Iterable[str], records: Mapping[str, V]) -> dict[str, dict[str, V]]:
    """Records by extension without dot, then by stem (CEP 48)."""
    buckets: dict[str, dict[str, V]] = {}
    for filename in filenames:
        extension = CONDA if filename.endswith(CONDA) else TAR_BZ2
        buckets.setdefault(extension[1:], {})[filename.removesuffix(extension)] = records[filename]
    return buckets


def encode_run_exports(index: Index, subdir: str) -> Stream:
    """The content of a `run_exports.json` (CEP 12): every package whose run exports are known.

    Of a package whose record another run is about to publish they stand there before the record does.
    """
    sections = _sections(index.run_exports, lambda name: {_RUN_EXPORTS: index.run_exports[name]})
    return stream_of(partial(object_chunks, {"info": {"subdir": subdir, "version": 1}, **sections}))
