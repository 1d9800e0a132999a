"""Makes, lists and deletes named snapshots (docs/design/upkeep.md has the order, core/named_snapshot.py the format)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from indexer.commands.change_file import JSON, change_file
from indexer.commands.delete_files import delete_files
from indexer.commands.frozen_view import File, frozen_view
from indexer.commands.retry import backoff
from indexer.core import names
from indexer.core.errors import BadConfig, Conflict, GaveUp, Refused
from indexer.core.formats import shards
from indexer.core.named_snapshot import Contents, Marker, check_name, encode_contents, encode_marker, prefix_of
from indexer.core.report import Outcome
from indexer.core.snapshot_report import SnapshotInfo, SnapshotReport
from indexer.core.value import Value
from indexer.lister.named_snapshots import load_marker, snapshot_names
from indexer.lister.subdirs import check_channel, check_exists, root_of
from indexer.store import Expect
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.commands.context import Context
    from indexer.commands.frozen_view import FrozenView
    from indexer.core.model import Stat
    from indexer.lister.subdirs import Root
    from indexer.store import Store

_ZSTD = {"Content-Type": "application/zstd"}


class SnapshotRequest(Value, frozen=True):
    """Which snapshot to make; with `monolithic` it also has repodata.json, for clients that read no shards."""

    name: str
    monolithic: bool = False

    @property
    def prefix(self) -> str:
        """The prefix of its files."""
        return prefix_of(self.name)


def delete_command(name: str, context: Context) -> str:
    """The command that deletes a snapshot, for messages."""
    return f"`indexer snapshot {context.channel_in_shell} --delete {name} --yes`"


def make_snapshot(store: Store, request: SnapshotRequest, context: Context) -> SnapshotReport:
    """Make a named snapshot of all subdirs of a channel.

    Raises Refused if the name is taken, BadConfig if the channel has no index of ours, and GaveUp if a run or a gc does
    not end.
    """
    check_name(request.name)
    began = context.clock.monotonic()
    work = partial(_make, _root_of(store, context).subdirs, request, context)
    outcome, marker = change_file(store, request.prefix + names.SNAPSHOT_MARKER, context, work)
    seconds = context.clock.monotonic() - began
    return SnapshotReport(outcome, (_info(request.name, marker),), seconds=seconds, usage=store.usage)


def list_snapshots(store: Store, context: Context) -> SnapshotReport:
    """The snapshots of a channel by name; those that are not complete have no date.

    Raises BadConfig if there is no snapshot because the target is no channel.
    """
    began = context.clock.monotonic()
    found = context.executor.map(partial(_listed, store), snapshot_names(store))
    snapshots = tuple(info for info in found if info)
    if not snapshots:
        _root_of(store, context)
    seconds = context.clock.monotonic() - began
    return SnapshotReport(Outcome.UNCHANGED, snapshots, seconds=seconds, usage=store.usage)


def delete_snapshot(store: Store, name: str, context: Context, *, delete: bool) -> SnapshotReport:
    """Delete a snapshot if `delete` is set; else report it as planned.

    The marker goes first: what a killed process leaves is no snapshot.  Packages and shards stay; a later gc deletes
    the shards.  Raises BadConfig if there is no such snapshot.
    """
    check_name(name)
    began = context.clock.monotonic()
    files = list(_files_of(store, name))
    own = {prefix_of(name) + file for file in (names.SNAPSHOT_MARKER, names.SNAPSHOT_CONTENTS)}
    if own.isdisjoint(stat.key for stat in files):  # a folder of somebody else, perhaps a channel
        raise BadConfig(
            name, "is not a snapshot of this channel", f"`indexer snapshot {context.channel_in_shell} --list` lists all"
        )
    info = _info(name, load_marker(store, name))
    if delete:
        delete_files(store, prefix_of(name), files, context)
    seconds = context.clock.monotonic() - began
    outcome = Outcome.DELETED if delete else Outcome.PLANNED
    return SnapshotReport(outcome, (info,), seconds=seconds, usage=store.usage)


def _root_of(store: Store, context: Context) -> Root:
    """The root of the channel.  Raises BadConfig if the target is no channel."""
    root = root_of(store)
    check_channel(root, context.channel)
    check_exists(root, context.channel)
    return root


def _files_of(store: Store, name: str) -> Iterator[Stat]:
    """The files of a snapshot in the order of deletion: the marker first, the contents last."""
    prefix = prefix_of(name)
    listed = {stat.key.removeprefix(prefix): stat for stat in store.list(prefix)}
    of_subdirs = {names.SHARD_INDEX, names.REPODATA, names.REPODATA_ZST, names.REPODATA_BZ2}
    if marker := listed.get(names.SNAPSHOT_MARKER):
        yield marker
    for folder in sorted(key for key in listed if key.endswith("/")):
        stats = store.list(prefix + folder)
        yield from (stat for stat in stats if stat.key.rpartition("/")[2] in of_subdirs)
    if contents := listed.get(names.SNAPSHOT_CONTENTS):
        yield contents


def _listed(store: Store, name: str) -> SnapshotInfo | None:
    """A snapshot in the list of all; None for a folder that is left of a deleted one."""
    marker = load_marker(store, name)
    if marker is None and store.stat(prefix_of(name) + names.SNAPSHOT_CONTENTS) is None:
        return None
    return _info(name, marker)


def _info(name: str, marker: Marker | None) -> SnapshotInfo:
    if marker is None:
        return SnapshotInfo(name)
    return SnapshotInfo(name, marker.created_timestamp, marker.packages, marker.bytes)


def _make(subdirs: Sequence[str], request: SnapshotRequest, context: Context, store: Store) -> tuple[Outcome, Marker]:
    """Write the contents, the files of all subdirs, then the marker; what is there already is not written again."""
    look = partial(frozen_view, store, context=context, monolithic=request.monolithic)
    views = [view for view in map(look, subdirs) if view is not None]
    contents = Contents({view.subdir: view.entry for view in views})
    delete_step = f"delete it with {delete_command(request.name, context)}, then repeat"
    known = load_marker(store, request.name)
    if not _put(store, request, File(names.SNAPSHOT_CONTENTS, encode_contents(contents), _ZSTD)):
        reason = (
            "is a snapshot with other content"
            if known
            else "is an incomplete snapshot, and the channel has changed since"
        )
        raise Refused(request.name, reason, f"use another name, or {delete_step}")
    if known is not None:
        return Outcome.UNCHANGED, known
    for view in views:
        for file in view.files:
            key = f"{view.subdir}/{file.name}"
            if not _put(store, request, file.at(key)):
                raise Refused(request.prefix + key, "is not of this snapshot", delete_step)
    for view in views:
        _wait_for_gc(store, view.subdir, context)
        _check_still_there(store, view, request, context)
    return _complete(store, request, contents, views, context)


def _put(store: Store, request: SnapshotRequest, file: File) -> bool:
    """Write a file of the snapshot, and return whether the file has this content now; it is never replaced."""
    key = request.prefix + file.name
    try:
        store.put(key, file.content, expect=Expect.ABSENT, headers=file.headers)
    except Conflict:
        return read_whole(store, key)[0] == bytes(file.content)
    return True


def _complete(
    store: Store, request: SnapshotRequest, contents: Contents, views: Sequence[FrozenView], context: Context
) -> tuple[Outcome, Marker]:
    """Write the marker; another process may have done it."""
    files = (file for view in views for file in view.files)
    size = len(encode_contents(contents)) + sum(len(file.content) for file in files)
    marker = Marker(context.clock.now_ms(), contents.packages, size)
    key = request.prefix + names.SNAPSHOT_MARKER
    try:
        store.put(key, encode_marker(marker), expect=Expect.ABSENT, headers=JSON)
    except Conflict:
        return Outcome.UNCHANGED, load_marker(store, request.name) or marker
    return Outcome.PUBLISHED, marker


def _wait_for_gc(store: Store, subdir: str, context: Context) -> None:
    """Wait until no gc works on a subdir: one that began before the snapshot was written may delete its shards."""
    key = f"{subdir}/{names.GC_MARKER}"
    pauses = backoff(context)
    while store.stat(key) is not None:
        pause = next(pauses, None)
        if pause is None:
            step = "the snapshot is not complete: repeat when the gc has ended, or in an hour"
            raise GaveUp(key, "a gc is in progress, or has just died", step)
        context.clock.sleep(pause)


def _check_still_there(store: Store, view: FrozenView, request: SnapshotRequest, context: Context) -> None:
    """Raise Refused if the index has changed since the view, and a package or a shard of the view may be gone.

    As long as the index names them, no program deletes them.  A program that deletes packages takes them out of the
    index, and then looks which snapshots name them.
    """
    stats = (store.stat(f"{view.subdir}/{name}") for name in view.etags)
    if [stat.etag for stat in stats if stat] == [*view.etags.values()]:
        return
    now = frozen_view(store, view.subdir, context=context, monolithic=False)
    digests = view.digests - now.digests if now else view.digests
    keys = [f"{view.subdir}/{names.SHARDS_FOLDER}{shards.filename_of(digest)}" for digest in sorted(digests)]
    shards_exist = all(context.executor.map(store.stat, keys))
    if now is None or not shards_exist or not set(view.entry.packages) <= set(now.entry.packages):
        reason = "lost packages or shards while the snapshot was made; the snapshot is not complete"
        raise Refused(view.subdir, reason, f"delete it with {delete_command(request.name, context)}, then repeat")
