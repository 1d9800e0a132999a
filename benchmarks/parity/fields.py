"""Every field of a record, ours beside theirs: how often it exists, and how often the values are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.parity.compare import parsed, same
from benchmarks.parity.indexes import ABSENT, SPEC_FIELDS
from benchmarks.parity.rules import CONDA, RATTLER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.parity.indexes import Index

_PEERS = (RATTLER, CONDA)


def fields_table(indexes: Mapping[str, Mapping[str, Index]], canonical: Mapping[str, str]) -> Iterator[str]:
    """A row for each field; specs are equal if their meaning is."""
    yield "| field | ours | rattler-index | the same as ours | conda-index | the same as ours |"
    yield "|---|---:|---:|---:|---:|---:|"
    records = {tool: dict(_records(subdirs)) for tool, subdirs in indexes.items()}
    keys = {key for its in records.values() for record in its.values() for key in record}
    for key in sorted(keys):
        ours = {where: record[key] for where, record in records["indexer"].items() if key in record}
        cells = [str(len(ours))]
        for peer in _PEERS:
            theirs = {where: record[key] for where, record in records[peer].items() if key in record}
            alike = sum(_alike(key, ours[where], theirs.get(where, ABSENT), canonical) for where in ours)
            cells += [str(len(theirs)), str(alike)]
        yield f"| `{key}` | {' | '.join(cells)} |"


def _records(subdirs: Mapping[str, Index]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for subdir, index in subdirs.items():
        for filename, record in index.records.items():
            yield f"{subdir}/{filename}", record


def _alike(key: str, ours: object, theirs: object, canonical: Mapping[str, str]) -> bool:
    if key in SPEC_FIELDS:
        return theirs is not ABSENT and parsed(ours, canonical) == parsed(theirs, canonical)
    return same(ours, theirs)
