"""The view of one subdir that a named snapshot freezes: one published state of its index, never half of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core import names
from indexer.core.artifact import mutable
from indexer.core.errors import BadConfig, Conflict, GaveUp
from indexer.core.formats.shards import encode_index
from indexer.core.model import Outputs
from indexer.core.named_snapshot import FrozenSubdir, frozen_repodata, frozen_shard_index
from indexer.core.snapshot import Snapshot, etags_of
from indexer.core.stream import sha256_of
from indexer.core.value import Value
from indexer.lister.published_index import load_published_index
from indexer.lister.shards import LostShard, load_shard_index
from indexer.lister.snapshot import load_state
from indexer.store.channel_folder import ChannelFolder
from indexer.writer.compress import compressed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.commands.context import Context
    from indexer.core.errors import IndexerError
    from indexer.core.formats.shards import ShardIndex
    from indexer.core.model import ETag, Index
    from indexer.core.state import State
    from indexer.core.stream import Content
    from indexer.store import Store

# Seconds between looks at a subdir whose index is not the one in its state: a run may be about to end.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ZSTD = "application/zstd"
_OTHER_INDEX = (
    "has another index than the last run has left: a run is in progress or was killed, or another indexer wrote it",
    "nothing was changed: index the channel, then repeat",
)


class File(Value, frozen=True):
    """A file to write: its name, its content and its headers."""

    name: str
    content: Content
    headers: Mapping[str, str]

    def at(self, name: str) -> File:
        """The same file under another name."""
        return replace(self, name=name)


class FrozenView(Value, frozen=True):
    """The index of a subdir, and the files of a snapshot that are made of it.

    `entry` is the entry in the contents of the snapshot.  `etags` has the index files that were read, `digests` the
    shards that the shard index names.
    """

    subdir: str
    entry: FrozenSubdir
    etags: Mapping[str, ETag]
    digests: frozenset[bytes] = frozenset()
    files: tuple[File, ...] = field(default_factory=tuple)


def frozen_view(store: Store, subdir: str, context: Context, *, monolithic: bool) -> FrozenView | None:
    """The view of a subdir after the run that is in progress has ended; None if the subdir has no index.

    With `monolithic`, or if the subdir has no shards, the snapshot has a repodata.json.  Raises BadConfig for an index
    of another indexer, GaveUp if the index stays another one than the last run of ours has left, and BadIndex.
    """
    folder = ChannelFolder(store, subdir, context.executor)
    error: IndexerError = GaveUp(subdir, *_OTHER_INDEX)
    for pause in (*_PAUSES, None):
        state = load_state(store, folder.prefix + names.STATE_FILE).state
        if state is None:
            _refuse_without_state(folder)
            return None
        try:
            return _view(folder, state, monolithic=monolithic)
        except Conflict:
            pass
        except LostShard as lost:  # perhaps a gc has deleted it since a later index was published
            error = lost
        if pause is not None:
            context.clock.sleep(pause)
    raise error


def _refuse_without_state(folder: ChannelFolder) -> None:
    """Raise BadConfig if a subdir without a state has an index, or is the one that every channel has."""
    if folder.name == names.NOARCH or folder.stats((names.REPODATA, names.SHARD_INDEX)):
        raise BadConfig(
            folder.name, "was not indexed by this tool yet", "nothing was changed: index the channel, then repeat"
        )


def _view(folder: ChannelFolder, state: State, *, monolithic: bool) -> FrozenView:
    """The view of the files that the last run has left, which belong together.  Raises Conflict."""
    snapshot = Snapshot(etags_of(state), state, all_listed=False)
    index, shard_index = load_published_index(folder, snapshot), load_shard_index(folder, snapshot)
    files = _files(folder.name, index, shard_index, state.outputs or Outputs(), monolithic=monolithic)
    digests = {file.name: sha256_of(file.content).hex() for file in files}
    return FrozenView(
        folder.name,
        FrozenSubdir(tuple(sorted(index.records)), digests),
        {name: snapshot.etags[name] for name in (names.REPODATA, names.SHARD_INDEX) if name in snapshot.etags},
        frozenset(shard_index.shards.values()),
        tuple(files),
    )


def _files(subdir: str, index: Index, shard_index: ShardIndex, outputs: Outputs, *, monolithic: bool) -> list[File]:
    """The files of a snapshot: the shard index if there is one, `repodata.json` if wanted or if there is no other."""
    files = []
    if shard_index.info:
        content = encode_index(frozen_shard_index(shard_index, subdir))
        files.append(File(names.SHARD_INDEX, content, mutable(outputs, _ZSTD)))
    if monolithic or not files:
        base_url = index.info.get("base_url")
        url = None if base_url is None else msgspec.json.decode(base_url)
        artifacts = frozen_repodata(index, url, subdir, outputs)
        files += [File(artifact.key, compressed(artifact).content, artifact.headers) for artifact in artifacts]
    return files
