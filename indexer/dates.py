"""When packages were first indexed, where another indexer has thrown that away: found again in shards that we have put.

conda-index makes its index from packages alone, which do not know it; CEP 47 wants the date kept for ever.  What we
once put in `shards/` lies there, named by its content, until a gc deletes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.core.repodata import altered, facts_of
from indexer.core.shards import decode_shard, digest_of_filename
from indexer.errors import BadIndex, Missing
from indexer.window import read_whole

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from indexer.core.model import Index
    from indexer.store import Store


def undated(index: Index) -> bool:
    """Whether a record has no date."""
    return any(b'"indexed_timestamp"' not in bytes(record) for record in index.records.values())


def redated(index: Index, store: Store, folder: str, executor: Executor) -> Index:
    """The index with the earliest dates that the shards in `folder` have of its packages."""

    def dates(key: str) -> dict[str, int]:
        try:
            records = decode_shard(read_whole(store, key)[0], key).records
        except (BadIndex, Missing):  # as good as none: a date is lost with it, and nothing else
            return {}
        found = {name: facts_of(record).indexed_timestamp for name, record in records.items()}
        return {name: date for name, date in found.items() if date is not None}

    keys = [stat.key for stat in store.list(folder) if digest_of_filename(stat.key[len(folder) :])]
    first: dict[str, int] = {}
    for found in executor.map(dates, keys):
        first |= {name: min(date, first.get(name, date)) for name, date in found.items()}
    dated = {
        name: altered(record, {"indexed_timestamp": first[name]}) if name in first else record
        for name, record in index.records.items()
    }
    return replace(index, records=dated)
