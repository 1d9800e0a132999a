"""Whether readers can parse what another indexer wrote: records, their run exports, and the rest of an index.

pixi's engine fails for every package of a name if one record of it has a field of another type, and for a whole subdir
if `info` has.  The types were compared with py-rattler 0.28, which pixi is made of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from indexer.core.errors import BadPackage
from indexer.core.json_stream import dump
from indexer.core.model import UNREADABLE, Index
from indexer.core.printable import one_line
from indexer.core.records.index_json import VIRTUAL, parse_json
from indexer.core.specs import syntax as readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Raw

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Text = str | UnsetType | None
_Texts = list[str] | UnsetType
_Md5 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")] | UnsetType | None
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | UnsetType | None
_FIRST_MS = -377705023201000
_Time = Annotated[int, Meta(ge=_FIRST_MS, le=readable.LAST_MS)] | UnsetType | None
# A timestamp above this is in milliseconds, else in seconds.
_MAX_SECONDS = 253402300799


class _RunExports(msgspec.Struct, gc=False):
    """Run exports by kind (CEP 12)."""

    noarch: _Texts = UNSET
    strong: _Texts = UNSET
    strong_constrains: _Texts = UNSET
    weak: _Texts = UNSET
    weak_constrains: _Texts = UNSET


class _Record(msgspec.Struct, gc=False):
    """The fields of a record that readers know, in the types that they accept; other fields are ignored."""

    name: str
    version: str
    build: str
    build_number: _Count
    arch: _Text = UNSET
    attestations_sha256: _Sha256 = UNSET
    constrains: _Texts = UNSET
    depends: _Texts = UNSET
    extra_depends: dict[str, list[str]] | UnsetType = UNSET
    features: _Text = UNSET
    flags: _Texts = UNSET
    indexed_timestamp: _Time = UNSET
    legacy_bz2_md5: _Md5 = UNSET
    legacy_bz2_size: _Count | UnsetType | None = UNSET
    license: _Text = UNSET
    license_family: _Text = UNSET
    md5: _Md5 = UNSET
    noarch: bool | Literal["", "generic", "python"] | UnsetType | None = UNSET
    platform: _Text = UNSET
    purls: list[str] | UnsetType | None = UNSET
    python_site_packages_path: _Text = UNSET
    run_exports: _RunExports | Annotated[list[str], Meta(max_length=0)] | UnsetType | None = UNSET
    sha256: _Sha256 = UNSET
    size: _Count | UnsetType | None = UNSET
    subdir: str | UnsetType = UNSET
    timestamp: _Time = UNSET
    track_features: str | list[str] | UnsetType = UNSET


class _Relations(msgspec.Struct):
    base: str | None = None
    overrides: str | None = None


class _Revision(msgspec.Struct):
    message: str | None = None


_record = msgspec.json.Decoder(_Record)
_encode = msgspec.json.Encoder().encode
_run_exports = msgspec.json.Decoder(_RunExports)
# What makes a whole subdir unreadable where it has another type.
_INFO = {
    "channel_relations": msgspec.json.Decoder(_Relations | None),
    "repodata_revisions": msgspec.json.Decoder(dict[str, _Revision]),
    "virtual_package_detectors": msgspec.json.Decoder(dict[str, list[str]]),
}
_PARTS = 2  # dashes in `name-version-build`
_WHEELS = "whl"


def record_fault(record: Raw) -> str | None:
    """Why readers cannot parse a record, or must not be given it; None if nothing is wrong with it."""
    try:
        found = _record.decode(record)
    except UNREADABLE as error:
        return one_line(f"cannot be parsed by readers: {error}")
    if not readable.NAME.fullmatch(found.name) or not readable.parses_version(found.version):
        return one_line(f"has the name {found.name!r} and the version {found.version!r}, which readers cannot parse")
    if found.name.startswith(VIRTUAL):
        return f"has the name {found.name!r}, which only a virtual package may have (CEP 26)"
    if isinstance(found.timestamp, int) and not _is_time(found.timestamp):
        return f"has the timestamp {found.timestamp}, which readers cannot parse"
    if found.purls and not all(map(readable.parses_purl, found.purls)):
        return "has a package URL that readers cannot parse"
    return None if _is_plain(found, record) else _other_fault(record)


def _is_time(timestamp: int) -> bool:
    return _FIRST_MS <= (timestamp if timestamp > _MAX_SECONDS else timestamp * 1000) <= readable.LAST_MS


def _is_plain(found: _Record, record: Raw) -> bool:
    """Whether a record has nothing but the fields that readers know, each once, in compact JSON.

    Then it is as long as what was decoded, which is much faster to see than to look for keys that stand twice.
    """
    return len(_encode(found)) == len(memoryview(record))


def _other_fault(record: Raw) -> str | None:
    """Why readers, or the formats that we publish, refuse a record for what is in no field that readers know."""
    try:
        dump(parse_json(bytes(record), "it"))
    except BadPackage as error:
        return one_line(f"{error.reason}, which readers refuse")
    except (TypeError, ValueError) as error:  # lone surrogates, integers over 64 bits
        return one_line(f"cannot be written as JSON ({error})")
    return None


def run_exports_fault(run_exports: Raw) -> str | None:
    """Why readers cannot parse the run exports of a package, None if they can."""
    try:
        _run_exports.decode(run_exports)
    except UNREADABLE as error:
        return one_line(f"cannot be parsed by readers: {error}")
    return None


def validated(index: Index) -> Index:
    """An index of another indexer, with its `unreadable` records named and without what else readers cannot parse.

    An unreadable record stays until the plan is made: its package is read again.  Run exports that cannot be parsed are
    unknown.  What else is left out is in `left_out`, with the reason.
    """
    left_out = dict(_faults_of_info(index.info))
    removed = tuple(filename for filename in index.removed if filename.count("-") >= _PARTS)
    left_out |= {f"removed {name!r}": "is no file name of a package" for name in sorted({*index.removed} - {*removed})}
    v3_rest = dict(index.v3_rest)
    if _WHEELS in v3_rest:
        wheels = {stem: record for stem, record in v3_rest[_WHEELS].items() if stem.count("-") >= _PARTS}
        left_out |= {f"{stem}.{_WHEELS}": _BAD_STEM for stem in v3_rest[_WHEELS].keys() - wheels.keys()}
        v3_rest[_WHEELS] = wheels
    return replace(
        index,
        run_exports={name: it for name, it in index.run_exports.items() if run_exports_fault(it) is None},
        removed=removed,
        info={key: value for key, value in index.info.items() if f"info.{key}" not in left_out},
        v3_rest=v3_rest,
        unreadable={name: fault for name, it in index.records.items() if (fault := record_fault(it)) is not None},
        left_out=left_out,
    )


_BAD_STEM = "stands under v3 without the form name-version-build, and readers refuse the whole index"


def _faults_of_info(info: Mapping[str, Raw]) -> Iterator[tuple[str, str]]:
    for key, decoder in _INFO.items():
        if key in info:
            try:
                decoder.decode(info[key])
            except UNREADABLE as error:
                yield f"info.{key}", one_line(f"cannot be parsed by readers: {error}")
