"""Reads the packages in which a named snapshot and the published index of a subdir differ: only shards that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadIndex, Missing
from indexer.core.formats import repodata
from indexer.core.formats.shards import ShardIndex
from indexer.core.model import Index
from indexer.core.named_snapshot import prefix_of
from indexer.core.value import Value
from indexer.lister.named_snapshots import load_frozen_shard_index
from indexer.lister.published_index import load_published_index
from indexer.lister.shards import load_records, load_shard_index
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Raw
    from indexer.core.named_snapshot import FrozenSubdir
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder


class Differences(Value, frozen=True):
    """The records of a subdir in a snapshot and in the published index; records of the same shards are in neither."""

    frozen: Mapping[str, Raw]
    published: Mapping[str, Raw]


def load_differences(folder: ChannelFolder, snapshot: Snapshot, name: str, entry: FrozenSubdir) -> Differences:
    """The records in which the snapshot `name` and the published index can differ.

    `entry` is that of the subdir in the snapshot, an empty one if the snapshot does not have the subdir.  `snapshot` is
    one of the files of the index only.  Raises BadIndex, and Conflict if a file changed since.
    """
    in_shards = names.SHARD_INDEX in entry.files or not entry.files
    if in_shards and names.SHARD_INDEX in snapshot.etags and snapshot.matches_state:
        return _of_shards(folder, snapshot, name, entry)
    if names.SHARD_INDEX in entry.files:
        frozen = load_records(folder, snapshot, _frozen_shards(folder, name, entry), None)
    else:
        frozen = _frozen_repodata(folder, name, entry)
    return Differences(frozen.records, _all_published(folder, snapshot))


def _of_shards(folder: ChannelFolder, snapshot: Snapshot, name: str, entry: FrozenSubdir) -> Differences:
    """The records of the package names whose shards differ."""
    frozen, published = _frozen_shards(folder, name, entry), load_shard_index(folder, snapshot)
    both = frozen.shards.keys() | published.shards.keys()
    different = frozenset(key for key in both if frozen.shards.get(key) != published.shards.get(key))
    return Differences(
        load_records(folder, snapshot, frozen, different).records,
        load_records(folder, snapshot, published, different).records,
    )


def _frozen_shards(folder: ChannelFolder, name: str, entry: FrozenSubdir) -> ShardIndex:
    """The shard index in a snapshot, an empty one if the snapshot does not have the subdir."""
    if not entry.files:
        return ShardIndex()
    index = load_frozen_shard_index(folder.store, name, folder.name)
    if index is None:
        raise _lost(f"{prefix_of(name)}{folder.name}/{names.SHARD_INDEX}")
    return index


def _frozen_repodata(folder: ChannelFolder, name: str, entry: FrozenSubdir) -> Index:
    """The index in the repodata.json of a snapshot."""
    if not entry.files:
        return Index()
    key = f"{prefix_of(name)}{folder.name}/{names.REPODATA}"
    try:
        return repodata.decode_repodata(read_whole(folder.store, key)[0], key)
    except Missing as error:
        raise _lost(key) from error


def _all_published(folder: ChannelFolder, snapshot: Snapshot) -> dict[str, Raw]:
    """The records in all published forms: after a killed run one form can be newer than another."""
    published = dict(load_published_index(folder, snapshot).records)
    if names.SHARD_INDEX in snapshot.etags and names.REPODATA in snapshot.etags and not snapshot.matches_state:
        published |= load_records(folder, snapshot, load_shard_index(folder, snapshot), None).records
    return published


def _lost(key: str) -> BadIndex:
    return BadIndex(
        key, "is gone, and the snapshot names it", "nothing was changed: restore it, or use another snapshot"
    )
