"""Reads the shard index of a subdir, and the shards that it names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadIndex, Missing, NewerIndex
from indexer.core.formats import shards
from indexer.core.formats.shards import ShardIndex
from indexer.core.json_form import dump
from indexer.core.model import Index
from indexer.core.render import PublishedShards
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.core.existing import Existing
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

_log = logging.getLogger(__name__)

_GONE = "nothing was changed: restore it, or run `indexer gc --yes` and repeat, which reads its packages again"
_ALL = "nothing was changed: index the whole subdir once, which reads its packages again"
_REBUILD = "nothing was changed: restore it, or delete it and repeat with --force"

# The base URL of a shard index whose packages are beside it; a repodata.json has none then.
_BESIDE = (None, "", ".", "./")


class LostShard(BadIndex):
    """The shard index names a shard that does not exist: a killed gc may have deleted it (docs/design/upkeep.md)."""


def load_shard_index(folder: ChannelFolder, snapshot: Snapshot) -> ShardIndex:
    """The published shard index, an empty one if there is none.  Raises BadIndex."""
    etag = snapshot.etags.get(names.SHARD_INDEX)
    if etag is None:
        return ShardIndex()
    return shards.decode_index(folder.read(names.SHARD_INDEX, etag), folder.prefix + names.SHARD_INDEX)


def load_published_shards(folder: ChannelFolder, snapshot: Snapshot, existing: Existing) -> PublishedShards:
    """The shard index and the shards that exist; no shards if the index cannot be read.  Raises NewerIndex."""
    index = existing.shard_index
    if index is None:
        try:
            index = load_shard_index(folder, snapshot)
        except NewerIndex:
            raise
        except BadIndex as error:
            # The source is readable, so the shards are made again from the source.
            _log.warning("%s: %s; it is written again", error.thing, error.reason)
            index = ShardIndex()
    named = index.own_digests
    if named and not snapshot.shards_trusted:
        named &= list_shards(folder)
    return PublishedShards(index, named)


def list_shards(folder: ChannelFolder) -> frozenset[bytes]:
    """The SHA-256 of each shard that exists, named by an index or not."""
    prefix = folder.prefix + names.SHARDS_FOLDER
    digests = (shards.digest_of_filename(stat.key[len(prefix) :]) for stat in folder.store.list(prefix))
    return frozenset(digest for digest in digests if digest)


def load_records(
    folder: ChannelFolder, snapshot: Snapshot, index: ShardIndex, package_names: frozenset[str] | None
) -> Index:
    """The records in the shards of some package names (lower case), or in all shards.

    A shard that is lost counts as empty, and its packages are read again, unless all shards were known to exist or the
    run looks at a few packages only.  Raises BadIndex.
    """
    wanted = [digest for name, digest in index.shards.items() if package_names is None or name in package_names]
    records = shards.merge_shards(_read_shards(folder, snapshot, index, wanted))
    info = {key: dump(index.info[key]) for key in shards.SHARED_INFO if key in index.info}
    if index.info.get("base_url") not in _BESIDE:
        info["base_url"] = dump(index.info["base_url"])
    not_loaded = None
    if package_names is not None and snapshot.state is not None:
        not_loaded = max(snapshot.state.packages - len(records.records), 0)
    return replace(records, info=info, records_not_loaded=not_loaded)


def _read_shards(
    folder: ChannelFolder, snapshot: Snapshot, index: ShardIndex, wanted: Sequence[bytes]
) -> Iterator[Index]:
    shards_folder = index.folder
    if shards_folder is None:
        where = index.info["shards_base_url"]
        raise BadIndex(
            folder.prefix + names.SHARD_INDEX, f"has its shards in another place ({where})", "index the channel there"
        )

    def read(digest: bytes) -> Index:
        key = folder.prefix + shards_folder + shards.filename_of(digest)
        try:
            return shards.decode_shard(read_shard(folder, key, digest), key)
        except LostShard as error:
            if snapshot.shards_trusted:
                raise
            if not snapshot.all_listed:
                raise BadIndex(key, error.reason, _ALL) from error
            _log.warning("%s: %s; its packages are read again and get a new date", key, error.reason)
            return Index()

    return folder.executor.map(read, wanted)


def read_shard(folder: ChannelFolder, key: str, digest: bytes) -> bytes:
    """A shard that the index names.  Raises LostShard, and BadIndex if the content does not match the digest."""
    try:
        data, _ = read_whole(folder.store, key)
    except Missing as error:
        raise LostShard(key, "is named by the shard index and does not exist", _GONE) from error
    if shards.shard_digest(data) != digest:
        raise BadIndex(key, "has content that does not match its SHA-256 name", _REBUILD)
    return data
