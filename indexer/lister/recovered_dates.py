"""Finds the first dates of packages again, in old shards, after another indexer has removed the dates.

conda-index makes its index from packages alone, and packages do not have the date; by CEP 47 the date never changes.
A shard that we once wrote stays in `shards/`, named by its content, until a gc deletes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadIndex, Missing
from indexer.core.formats.shards import decode_shard, digest_of_filename
from indexer.core.records.dates import FIELD
from indexer.core.records.identity import altered, identity_of
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from indexer.core.model import Index, Raw
    from indexer.store.channel_folder import ChannelFolder


def with_recovered_dates(index: Index, folder: ChannelFolder) -> Index:
    """The index; records without a date get the earliest date that a shard has for the same file name and SHA-256."""
    store, prefix = folder.store, folder.prefix + names.SHARDS_FOLDER

    def dates(key: str) -> dict[tuple[str, str], int]:
        try:
            records = decode_shard(read_whole(store, key)[0], key).records
        except (BadIndex, Missing):  # only a date is lost
            return {}
        identities = {name: identity_of(record) for name, record in records.items()}
        return {
            (name, identity.sha256): identity.indexed_timestamp
            for name, identity in identities.items()
            if identity.sha256 is not None and identity.indexed_timestamp is not None
        }

    keys = [stat.key for stat in store.list(prefix) if digest_of_filename(stat.key[len(prefix) :])]
    first: dict[tuple[str, str], int] = {}
    for dates_of_shard in folder.executor.map(dates, keys):
        first |= {artifact: min(date, first.get(artifact, date)) for artifact, date in dates_of_shard.items()}

    def dated(name: str, record: Raw) -> Raw:
        identity = identity_of(record)
        date = first.get((name, identity.sha256 or ""))
        return record if date is None or identity.indexed_timestamp is not None else altered(record, {FIELD: date})

    return replace(index, records={name: dated(name, record) for name, record in index.records.items()})
