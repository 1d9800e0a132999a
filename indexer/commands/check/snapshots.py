"""Checks named snapshots: their files are as they were made, and the packages and shards that they name exist."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import field

from indexer.commands.named_snapshots import delete_command
from indexer.core import names
from indexer.core.errors import BadIndex, Missing
from indexer.core.formats.shards import decode_index, filename_of
from indexer.core.named_snapshot import prefix_of
from indexer.core.report import SubdirCheck
from indexer.core.value import Value
from indexer.core.verify import Fault, shortened_list
from indexer.lister.named_snapshots import load_contents, load_marker, snapshot_names
from indexer.lister.shards import list_shards
from indexer.store.channel_folder import ChannelFolder
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.commands.context import Context
    from indexer.core.named_snapshot import Contents, FrozenSubdir
    from indexer.store import Store

_REPEAT = "repeat the command that makes it, or delete it with {delete}"
_RESTORE = "restore it, or delete the snapshot with {delete}"


def check_snapshots(store: Store, context: Context) -> dict[str, SubdirCheck]:
    """The result for each snapshot, by its folder; a folder that is left of a deleted snapshot is left out."""
    channel = _Channel(store, context)
    checks = {name: _checked(channel, name) for name in snapshot_names(store)}
    return {prefix_of(name).rstrip("/"): check for name, check in checks.items() if check is not None}


class _Channel(Value, frozen=True):
    """A channel, with the packages and the shards of a subdir that were listed once."""

    store: Store
    context: Context
    _packages: dict[str, frozenset[str]] = field(default_factory=dict)
    _shards: dict[str, frozenset[bytes]] = field(default_factory=dict)

    def packages(self, subdir: str) -> frozenset[str]:
        """The file names of a subdir."""
        if subdir not in self._packages:
            prefix = f"{subdir}/"
            self._packages[subdir] = frozenset(stat.key.removeprefix(prefix) for stat in self.store.list(prefix))
        return self._packages[subdir]

    def shards(self, subdir: str) -> frozenset[bytes]:
        """The shards of a subdir that exist."""
        if subdir not in self._shards:
            self._shards[subdir] = list_shards(ChannelFolder(self.store, subdir, self.context.executor))
        return self._shards[subdir]


def _checked(channel: _Channel, name: str) -> SubdirCheck | None:
    """The result for a snapshot, None if there is none (any more)."""
    key, delete = prefix_of(name) + names.SNAPSHOT_CONTENTS, delete_command(name, channel.context)
    try:
        contents = load_contents(channel.store, name)
        if contents is None:
            return None
        if load_marker(channel.store, name) is None:
            hint = Fault(key, "is of a snapshot that is not complete", _REPEAT.format(delete=delete))
            return SubdirCheck(hints=(hint,))
        faults = tuple(_faults(channel, name, contents))
    except BadIndex as error:
        return SubdirCheck((Fault(error.thing, error.reason, _RESTORE.format(delete=delete)),))
    if faults and load_marker(channel.store, name) is None:  # deleted meanwhile
        return None
    return SubdirCheck(faults, packages=contents.packages)


def _faults(channel: _Channel, name: str, contents: Contents) -> Iterator[Fault]:
    step = _RESTORE.format(delete=delete_command(name, channel.context))
    for subdir, entry in sorted(contents.subdirs.items()):
        if gone := set(entry.packages) - channel.packages(subdir):
            reason = f"names packages of {subdir} that do not exist: {shortened_list(gone)}"
            yield Fault(prefix_of(name) + names.SNAPSHOT_CONTENTS, reason, step)
        for key, reason in _file_faults(channel, name, subdir, entry):
            yield Fault(key, reason, step)


def _file_faults(channel: _Channel, name: str, subdir: str, entry: FrozenSubdir) -> Iterator[tuple[str, str]]:
    """The key and the reason of each fault in the files of a subdir.  Raises BadIndex."""
    for filename, digest in sorted(entry.files.items()):
        key = f"{prefix_of(name)}{subdir}/{filename}"
        try:
            data, _ = read_whole(channel.store, key)
        except Missing:
            yield key, "does not exist"
            continue
        if hashlib.sha256(data).hexdigest() != digest:
            yield key, "has other content than when the snapshot was made"
        elif filename == names.SHARD_INDEX:
            missing = set(decode_index(data, key).shards.values()) - channel.shards(subdir)
            if missing:
                listed = shortened_list(set(map(filename_of, missing)))
                yield key, f"names shards that do not exist: {listed}"
