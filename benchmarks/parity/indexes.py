"""The files that one tool wrote of a subdir, in a form that can be compared."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# The values that are dependency specs: they are compared after parsing.
SPEC_FIELDS = frozenset({"depends", "constrains", "extra_depends", "run_exports"})
# Times of the run itself, which differ in each run.
_RECORD_TIMES = frozenset({"indexed_timestamp"})
_INDEX_TIMES = frozenset({"created_at"})
_REVISION_TIMES = frozenset({"oldest", "newest"})


class _Absent:
    """The value of a field that does not exist; null is a value."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()


@dataclass
class Index:
    """The files that one tool wrote of one subdir, in a form that can be compared."""

    records: dict[str, dict[str, object]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    """File name to the map that the record is in: `packages`, `packages.conda`, `v3.conda` ..."""
    repodata: dict[str, object] = field(default_factory=dict)
    """Top-level keys and those of `info`, without the maps of records."""
    shard_index: dict[str, object] = field(default_factory=dict)
    shard_names: set[str] = field(default_factory=set)
    shard_run_exports: dict[str, object] = field(default_factory=dict)
    run_exports: dict[str, object] | None = None
    """By file name, of run_exports.json; none if the tool doesn't write the file."""


def read_index(folder: Path) -> Index:
    """The files that a tool wrote of one subdir."""
    index = Index()
    path = folder / "repodata.json"
    if not path.is_file():
        return index
    for key, value in _mapping(json.loads(path.read_bytes())).items():
        if key == "info":
            index.repodata.update(_info(_mapping(value)))
        elif key == "v3":
            index.repodata[key] = "filled" if any(_mapping(value).values()) else "empty"
        elif not key.startswith("packages"):
            index.repodata[key] = value
        else:
            index.repodata[key] = "a map"
    for member, filename, record in _records(_mapping(json.loads(path.read_bytes()))):
        index.records[filename] = {name: value for name, value in record.items() if name not in _RECORD_TIMES}
        index.members[filename] = member
    run_exports = folder / "run_exports.json"
    if run_exports.is_file():
        content = _mapping(json.loads(run_exports.read_bytes()))
        index.run_exports = {filename: record.get("run_exports", ABSENT) for _, filename, record in _records(content)}
    _read_shards(folder, index)
    return index


def _read_shards(folder: Path, index: Index) -> None:
    path = folder / "repodata_shards.msgpack.zst"
    if not path.is_file():
        return
    content = _unpack(path)
    info = _mapping(content["info"])
    index.shard_index = {key: value for key, value in content.items() if key not in {"info", "shards"}}
    index.shard_index.update(_info(info))
    shards = folder / str(info["shards_base_url"])
    for name, digest in _mapping(content["shards"]).items():
        index.shard_names.add(name)
        if not isinstance(digest, bytes):
            message = f"the shard index has no bytes for {name}"
            raise TypeError(message)
        for _, filename, record in _records(_unpack(shards / f"{digest.hex()}.msgpack.zst")):
            index.shard_run_exports[filename] = record.get("run_exports", ABSENT)


def _records(content: Mapping[str, object]) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Each record with its map and its whole file name (keys under v3 have no extension)."""
    for member in ("packages", "packages.conda"):
        for filename, record in _mapping(content.get(member, {})).items():
            yield member, filename, _mapping(record)
    for extension, records in _mapping(content.get("v3", {})).items():
        for stem, record in _mapping(records).items():
            yield f"v3.{extension}", f"{stem}.{extension}", _mapping(record)


def _info(info: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {f"info.{key}": value for key, value in info.items() if key not in _INDEX_TIMES}
    if "repodata_revisions" in info:
        flat["info.repodata_revisions"] = {
            revision: {key: value for key, value in _mapping(facts).items() if key not in _REVISION_TIMES}
            for revision, facts in _mapping(info["repodata_revisions"]).items()
        }
    return flat


def _unpack(path: Path) -> Mapping[str, object]:
    # Rattler-index writes no content size, so the one-call decompression cannot be used.
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())) as stream:
        return _mapping(msgspec.msgpack.decode(stream.read()))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        message = f"expected a map, found {type(value).__name__}"
        raise TypeError(message)
    return value


def _spec_strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _spec_strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _spec_strings(item)


def specs_of(index: Index) -> Iterator[str]:
    """Every dependency spec in an index."""
    for record in index.records.values():
        for key in sorted(SPEC_FIELDS):
            yield from _spec_strings(record.get(key))
    for values in (index.run_exports or {}, index.shard_run_exports):
        yield from _spec_strings(values)
