"""The fields of a record that tell which artifact the record is of, and a record with other values of some fields."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import msgspec

from indexer.core.json_stream import dump
from indexer.core.model import UNREADABLE, Raw

if TYPE_CHECKING:
    from collections.abc import Mapping


_raw_map = msgspec.json.Decoder(dict[str, Raw])


class RecordIdentity(msgspec.Struct, frozen=True):
    """The few fields of a record that tell which object it was made from; without a name it is none."""

    name: Annotated[str, msgspec.Meta(min_length=1)] = ""
    size: int = -1
    md5: str | None = None
    sha256: str | None = None
    indexed_timestamp: int | None = None


class _Date(msgspec.Struct):
    indexed_timestamp: int | None = None


_facts = msgspec.json.Decoder(RecordIdentity)


_date = msgspec.json.Decoder(_Date)


def identity_of(record: Raw) -> RecordIdentity:
    """The facts of a record; one whose fields have wrong types has none but its date, and is read again."""
    try:
        return _facts.decode(record)
    except UNREADABLE:
        return RecordIdentity(indexed_timestamp=date_of(record))


def date_of(record: Raw) -> int | None:
    """The `indexed_timestamp` of a record, None where it has none that is a whole number."""
    with contextlib.suppress(*UNREADABLE):
        return _date.decode(record).indexed_timestamp
    return None


def altered(record: Raw, changes: Mapping[str, object]) -> Raw:
    """A record with other values of some fields; the bytes of all others, and of one that says so already, stay.

    A record that is none stays too: whoever publishes it refuses it.
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
