"""When packages were first indexed, where another indexer has thrown that away: found again in shards that we have put.

conda-index makes its index from packages alone, which do not know it; CEP 47 wants the date kept for ever.  What we
once put in `shards/` lies there, named by its content, until a gc deletes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.core.errors import BadIndex, Missing
from indexer.core.formats.shards import decode_shard, digest_of_filename
from indexer.core.records.dates import FIELD
from indexer.core.records.identity import altered, identity_of
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from indexer.core.model import Index, Raw
    from indexer.store import Store


def undated(index: Index) -> bool:
    """Whether a record has no date."""
    return any(b'"indexed_timestamp"' not in bytes(record) for record in index.records.values())


def redated(index: Index, store: Store, folder: str, executor: Executor) -> Index:
    """The index, its undated records with the earliest dates that the shards in `folder` have of these artifacts."""

    def dates(key: str) -> dict[tuple[str, str], int]:
        try:
            records = decode_shard(read_whole(store, key)[0], key).records
        except (BadIndex, Missing):  # as good as none: a date is lost with it, and nothing else
            return {}
        found = {name: identity_of(record) for name, record in records.items()}
        return {
            (name, it.sha256): it.indexed_timestamp
            for name, it in found.items()
            if it.sha256 is not None and it.indexed_timestamp is not None
        }

    keys = [stat.key for stat in store.list(folder) if digest_of_filename(stat.key[len(folder) :])]
    first: dict[tuple[str, str], int] = {}
    for found in executor.map(dates, keys):
        first |= {artifact: min(date, first.get(artifact, date)) for artifact, date in found.items()}

    def dated(name: str, record: Raw) -> Raw:
        facts = identity_of(record)
        date = first.get((name, facts.sha256 or ""))
        return record if date is None or facts.indexed_timestamp is not None else altered(record, {FIELD: date})

    return replace(index, records={name: dated(name, record) for name, record in index.records.items()})
