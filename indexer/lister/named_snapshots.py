"""Reads the named snapshots of a channel: their names, and the packages and shards that they name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import field

from indexer.core import names
from indexer.core.errors import Missing
from indexer.core.formats import shards
from indexer.core.named_snapshot import decode_contents, decode_marker, is_name, prefix_of, published_shard_index
from indexer.core.value import Mutable
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from indexer.core.formats.shards import ShardIndex
    from indexer.core.named_snapshot import Contents, Marker
    from indexer.store import Store


def snapshot_names(store: Store) -> list[str]:
    """The names of all snapshots, incomplete ones too; one listing.  A folder without files can be among them."""
    folder = names.SNAPSHOTS_FOLDER
    keys = (stat.key for stat in store.list(folder))
    found = (key[len(folder) : -1] for key in keys if key.endswith("/"))
    return sorted(name for name in found if is_name(name))


def load_contents(store: Store, name: str) -> Contents | None:
    """The contents of a snapshot, None if there are none.  Raises BadIndex."""
    key = prefix_of(name) + names.SNAPSHOT_CONTENTS
    data = _read(store, key)
    return None if data is None else decode_contents(data, key)


def load_marker(store: Store, name: str) -> Marker | None:
    """The marker of a snapshot, None if the snapshot is not complete.  Raises BadIndex."""
    key = prefix_of(name) + names.SNAPSHOT_MARKER
    data = _read(store, key)
    return None if data is None else decode_marker(data, key)


def load_frozen_shard_index(store: Store, name: str, subdir: str) -> ShardIndex | None:
    """The shard index of a subdir in a snapshot, with addresses that are right in the subdir of the channel.

    None if the snapshot has none for this subdir.  Raises BadIndex.
    """
    key = f"{prefix_of(name)}{subdir}/{names.SHARD_INDEX}"
    data = _read(store, key)
    return None if data is None else published_shard_index(shards.decode_index(data, key), subdir)


def packages_in_snapshots(store: Store, executor: Executor) -> dict[str, frozenset[str]]:
    """The file names of the packages of all snapshots by subdir: one listing, and one request for each snapshot.

    Those of an incomplete snapshot too: it may be about to become complete.  Raises BadIndex for contents that cannot
    be read: a caller that deletes packages must know all of them.
    """
    found: dict[str, set[str]] = {}
    for contents in executor.map(partial(load_contents, store), snapshot_names(store)):
        for subdir, frozen in contents.subdirs.items() if contents else ():
            found.setdefault(subdir, set()).update(frozen.packages)
    return {subdir: frozenset(packages) for subdir, packages in sorted(found.items())}


class ShardsInSnapshots(Mutable):
    """The digests of the shards that the snapshots name for a subdir; a shard index is read once.

    A snapshot with a known name counts as unchanged, because a snapshot never changes.  If it was deleted, its shards
    count until the end of the command.
    """

    store: Store
    subdir: str
    executor: Executor
    _known: dict[str, frozenset[bytes]] = field(default_factory=dict)

    def digests(self) -> frozenset[bytes]:
        """The digests now: one listing, and one request for each snapshot that is new.  Raises BadIndex."""
        new = [name for name in snapshot_names(self.store) if name not in self._known]
        found = self.executor.map(lambda name: load_frozen_shard_index(self.store, name, self.subdir), new)
        for name, index in zip(new, found, strict=True):
            if index is not None:  # a snapshot can be about to get its shard index
                self._known[name] = frozenset(index.shards.values())
        return frozenset().union(*self._known.values())


def _read(store: Store, key: str) -> bytes | None:
    try:
        return read_whole(store, key)[0]
    except Missing:
        return None
