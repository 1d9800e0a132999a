"""Finds the parts of another indexer's index that clients cannot parse: records, run exports and `info`.

pixi's solver fails for all packages of a name if one record has a field of a wrong type, and for a whole subdir if
`info` has one.  The types were compared with py-rattler 0.28, on which pixi is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from indexer.core.errors import BadPackage
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Index
from indexer.core.printable import one_line
from indexer.core.records.dates import in_milliseconds
from indexer.core.records.index_json import VIRTUAL, parse_json
from indexer.core.specs import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Raw

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Text = str | UnsetType | None
_Texts = list[str] | UnsetType
_Md5 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")] | UnsetType | None
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | UnsetType | None
_FIRST_MS = -377705023201000
_Time = Annotated[int, Meta(ge=_FIRST_MS, le=syntax.LAST_MS)] | UnsetType | None


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
# A wrong type in one of these keys makes a whole subdir unreadable.
_INFO: dict[str, msgspec.json.Decoder[Any]] = {
    "channel_relations": msgspec.json.Decoder(_Relations | None),
    "repodata_revisions": msgspec.json.Decoder(dict[str, _Revision]),
    "virtual_package_detectors": msgspec.json.Decoder(dict[str, list[str]]),
}
_PARTS = 2  # dashes in `name-version-build`
_WHEELS = "whl"


def record_fault(record: Raw) -> str | None:
    """The reason why a record must not be published, such as a parse error in clients; None if it is valid."""
    try:
        fields = _record.decode(record)
    except UNREADABLE as error:
        return one_line(f"cannot be parsed by readers: {error}")
    if not syntax.NAME.fullmatch(fields.name) or not syntax.parses_version(fields.version):
        return one_line(f"has the name {fields.name!r} and the version {fields.version!r}, which readers cannot parse")
    if fields.name.startswith(VIRTUAL):
        return f"has the name {fields.name!r}, which only a virtual package may have (CEP 26)"
    if isinstance(fields.timestamp, int) and not _is_time(fields.timestamp):
        return f"has the timestamp {fields.timestamp}, which readers cannot parse"
    if fields.purls and not all(map(syntax.parses_purl, fields.purls)):
        return "has a package URL that readers cannot parse"
    return None if _is_plain(fields, record) else _other_fault(record)


def _is_time(timestamp: int) -> bool:
    return _FIRST_MS <= in_milliseconds(timestamp) <= syntax.LAST_MS


def _is_plain(fields: _Record, record: Raw) -> bool:
    """Whether a record has only the fields that clients know, each once, in compact JSON.

    Such a record is as long as its decoded fields encoded again.  Comparing lengths is much faster than searching
    for duplicate keys.
    """
    return len(_encode(fields)) == len(memoryview(record))


def _other_fault(record: Raw) -> str | None:
    """The reason why a record is invalid outside of the fields that clients know, None if it is valid."""
    try:
        dump(parse_json(bytes(record), "the record"))
    except BadPackage as error:
        return one_line(f"{error.reason}, which readers refuse")
    except (TypeError, ValueError) as error:  # lone surrogates, integers over 64 bits
        return one_line(f"cannot be written as JSON ({error})")
    return None


def run_exports_fault(run_exports: Raw) -> str | None:
    """The reason why clients cannot parse the run exports of a package, None if they can."""
    try:
        _run_exports.decode(run_exports)
    except UNREADABLE as error:
        return one_line(f"cannot be parsed by readers: {error}")
    return None


def validated(index: Index) -> Index:
    """An index of another indexer without the parts that clients cannot parse, except records.

    `unreadable` has the records that clients cannot parse: the plan reads their packages again.  Run exports that
    cannot be parsed are unknown.  `left_out` has the reason for each other part that is left out.
    """
    left_out = dict(_faults_of_info(index.info))
    removed = tuple(filter(_has_name_form, index.removed))
    left_out |= {
        f"removed {name!r}": "is not the file name of a package" for name in sorted({*index.removed} - {*removed})
    }
    v3_rest = dict(index.v3_rest)
    if _WHEELS in v3_rest:
        wheels = {stem: record for stem, record in v3_rest[_WHEELS].items() if _has_name_form(stem)}
        left_out |= {f"{stem}.{_WHEELS}": _BAD_STEM for stem in v3_rest[_WHEELS].keys() - wheels.keys()}
        v3_rest[_WHEELS] = wheels
    faults = {name: record_fault(record) for name, record in index.records.items()}
    return replace(
        index,
        run_exports=_readable_run_exports(index.run_exports),
        removed=removed,
        info={key: value for key, value in index.info.items() if f"info.{key}" not in left_out},
        v3_rest=v3_rest,
        unreadable={name: fault for name, fault in faults.items() if fault is not None},
        left_out=left_out,
    )


_BAD_STEM = "is not of the form name-version-build under v3; readers refuse the whole index"


def _has_name_form(filename: str) -> bool:
    return filename.count("-") >= _PARTS


def _readable_run_exports(run_exports: Mapping[str, Raw]) -> dict[str, Raw]:
    return {filename: value for filename, value in run_exports.items() if run_exports_fault(value) is None}


def _faults_of_info(info: Mapping[str, Raw]) -> Iterator[tuple[str, str]]:
    for key, decoder in _INFO.items():
        if key in info:
            try:
                decoder.decode(info[key])
            except UNREADABLE as error:
                yield f"info.{key}", one_line(f"cannot be parsed by readers: {error}")
