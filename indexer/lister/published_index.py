"""Reads the index of a subdir as readers see it: patched, without yanked packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.formats import repodata
from indexer.core.model import Index
from indexer.lister.shards import load_records, load_shard_index

if TYPE_CHECKING:
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder


def load_published_index(folder: ChannelFolder, snapshot: Snapshot) -> Index:
    """The index in repodata.json, or in all shards if there is no repodata.json; an empty one if there is no index.

    Raises BadIndex, and Conflict if a file changed since the snapshot.
    """
    if names.REPODATA in snapshot.etags:
        data = folder.read(names.REPODATA, snapshot.etags[names.REPODATA])
        return repodata.decode_repodata(data, folder.prefix + names.REPODATA)
    if names.SHARD_INDEX in snapshot.etags:
        return load_records(folder, snapshot, load_shard_index(folder, snapshot), None)
    return Index()
