"""Identifies the package file of a record, and changes fields of a record without changing its other bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import msgspec

from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Raw

if TYPE_CHECKING:
    from collections.abc import Mapping


class RecordIdentity(msgspec.Struct, frozen=True):
    """The fields of a record that identify its package file; without a name it is not a record."""

    name: Annotated[str, msgspec.Meta(min_length=1)] = ""
    size: int = -1
    md5: str | None = None
    sha256: str | None = None
    indexed_timestamp: int | None = None


class _Date(msgspec.Struct):
    indexed_timestamp: int | None = None


_raw_map = msgspec.json.Decoder(dict[str, Raw])
_identity = msgspec.json.Decoder(RecordIdentity)
_date = msgspec.json.Decoder(_Date)


def identity_of(record: Raw) -> RecordIdentity:
    """The identity of a record; only its date if a field has a wrong type: then the package is read again."""
    try:
        return _identity.decode(record)
    except UNREADABLE:
        return RecordIdentity(indexed_timestamp=date_of(record))


def date_of(record: Raw) -> int | None:
    """The `indexed_timestamp` of a record, None if it is missing or not an integer."""
    with contextlib.suppress(*UNREADABLE):
        return _date.decode(record).indexed_timestamp
    return None


def altered(record: Raw, changes: Mapping[str, object]) -> Raw:
    """A record with other values of some fields; the bytes of fields with the same value are kept.

    An unreadable record is returned unchanged: the publication rejects it.
    """
    try:
        fields = _raw_map.decode(record)
        before = dict(fields)
        for key, value in changes.items():
            if value is None:
                fields.pop(key, None)
            elif key not in fields or msgspec.json.decode(fields[key]) != value:
                fields[key] = dump(value)
    except UNREADABLE:
        return record
    return record if fields == before else Raw(msgspec.json.encode(fields, order="deterministic"))
