"""The revision of repodata that a record belongs to (CEP 43 to 45, 48), and the spelling of records in v3."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from indexer.core.errors import BadPackage
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.records.identity import altered
from indexer.core.specs.matchspec import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_V3_SPEC = re.compile(r"[\[,]\s*(when|extras|flags)\s*=")
_V3_BYTES = re.compile(_V3_SPEC.pattern.encode() + rb'|"(repodata_revision|schema_version)"\s*:\s*[3-9]')
_V3 = 3
_SPELLED = ("depends", "constrains", "extra_depends")

_fields = msgspec.json.Decoder(dict[str, Any])


@functools.lru_cache(maxsize=2**14)
def is_v3_spec(spec: str) -> bool:
    """Whether only clients that read v3 can parse a dependency (CEP 43 to 45)."""
    return _V3_SPEC.search(spec) is not None


def may_need_v3(record: Raw) -> bool:
    """Whether a record can belong under `v3`, from its bytes alone; some of these records do not belong there."""
    return _V3_BYTES.search(record) is not None


def needs_v3(fields: Mapping[str, Any], record: Mapping[str, object]) -> bool:
    """Whether old clients must not see the record (CEP 43 to 45, 48)."""
    revision = fields.get("repodata_revision")
    if revision is not None and (type(revision) is not int or not 0 <= revision <= _V3):
        raise BadPackage("info/index.json", f"has the repodata_revision {revision!r}, which no current client reads")
    schema = fields.get("schema_version")
    if isinstance(schema, int | float) and schema > _V3:
        raise BadPackage("info/index.json", f"has the schema_version {schema!r}, which no current client reads")
    specs: Sequence[object] = [*_listed(record, "depends"), *_listed(record, "constrains")]
    return revision == _V3 or (type(schema) is int and schema >= _V3) or any(is_v3_spec(str(spec)) for spec in specs)


def in_v3(record: Mapping[str, object]) -> dict[str, object]:
    """A record whose dependencies have the spelling of v3."""
    spelled: dict[str, object] = {
        key: [canonical(str(spec)) for spec in _listed(record, key)]
        for key in ("depends", "constrains")
        if key in record
    }
    extras = record.get("extra_depends")
    if isinstance(extras, dict):
        spelled["extra_depends"] = {group: [canonical(spec) for spec in specs] for group, specs in extras.items()}
    return {**record, **spelled}


def _listed(record: Mapping[str, object], key: str) -> list[object]:
    value = record.get(key)
    return value if isinstance(value, list) else []


def latest(index: Index) -> Index:
    """The index with every record under `v3`, in the spelling of v3; a record with the same spelling keeps its bytes.

    A record that cannot be parsed stays where it is: the step that makes shards refuses it.
    """
    records = dict(index.records)
    moved = set(index.v3)
    for filename in index.records.keys() - index.v3:
        try:
            fields = _fields.decode(records[filename])
        except UNREADABLE:
            continue
        spelled = in_v3(fields)
        changes = {key: spelled[key] for key in _SPELLED if spelled.get(key) != fields.get(key)}
        records[filename] = altered(records[filename], changes)
        moved.add(filename)
    return replace(index, records=records, v3=frozenset(moved))
