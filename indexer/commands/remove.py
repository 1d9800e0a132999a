"""Leaves a channel to another indexer: publishes the formats of that one alone, and deletes what only we read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict, replace

from indexer.commands.change_file import JSON
from indexer.commands.delete_files import delete_files
from indexer.commands.select_subdirs import look_at_root
from indexer.commands.with_settings import index_with_settings
from indexer.core import names
from indexer.core.channel_settings import ChannelSettings
from indexer.core.errors import Missing
from indexer.core.exit_codes import ExitCode
from indexer.core.model import UNREADABLE, Stat
from indexer.core.options import Options
from indexer.core.removal import RemovalReport, Successor
from indexer.core.report import Report
from indexer.store import Expect
from indexer.store.channel_folder import ChannelFolder
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.commands.context import Context
    from indexer.core.removal import RemovalRequest
    from indexer.store import Store


_NONE = ChannelSettings(
    write_zst=False,
    write_shards=False,
    run_exports=False,
    bz2=False,
    current_repodata=False,
    channeldata=False,
    html=False,
    rss=False,
    monolithic=True,
)
# The formats that an indexer writes by its defaults: a file of any other format would stay as it is, and clients would
# go on to read it (rattler-index 0.33, conda-index 0.13).  The run exports are for the shards of rattler-index.
_FORMATS = {
    Successor.RATTLER: replace(_NONE, write_zst=True, write_shards=True, run_exports=True),
    Successor.CONDA: replace(_NONE, current_repodata=True),
}
_OURS = (names.YANKS, names.GC_MARKER, names.LEASE, names.STATE_FILE)
_OF_SUBDIR = {
    Successor.RATTLER: (
        *(names.RUN_EXPORTS, names.RUN_EXPORTS_ZST, names.PATCH_INSTRUCTIONS),
        *(names.FROM_PACKAGES, names.FROM_PACKAGES_ZST),
        *_OURS,
    ),
    # conda-index reads and writes the instructions of a patch and the index without the patch too.
    Successor.CONDA: _OURS,
}
# A channel of another indexer can have the other files.
_ONLY_OURS = frozenset({*_OURS, names.SETTINGS})
_OF_ROOT = (names.PROBE, names.LEASE, names.SETTINGS, names.STATE_FILE)


def remove(store: Store, request: RemovalRequest, context: Context) -> RemovalReport:
    """Leave a channel to another indexer, or list what that would change.

    First the index is brought up to date, in the formats of the other indexer alone; then our own files are deleted,
    each only in the version that was listed.  If a subdir cannot be indexed, none of our files is deleted; if the
    channel has none of them, nothing is done.  Raises what an index run raises, and GaveUp if another run writes one of
    our files.
    """
    began = context.clock.monotonic()
    before = _own_files(store, request.successor, context)
    ours = any(stat.key.rpartition("/")[2] in _ONLY_OURS for stat in before)
    if not ours and store.stat(names.REMOVAL) is None:  # another run of `remove` has ended
        return _removal(request, Report({}, usage=store.usage), ())
    report, files = Report({}, usage=store.usage), before
    if not _is_begun(store, before):
        report = index_with_settings(store, _options(request), context)
        if report.exit_code not in {ExitCode.OK, ExitCode.PARTIAL}:
            return _removal(request, report, ())
        files = _own_files(store, request.successor, context)
    if request.delete:
        _delete(store, files, context)
    report = replace(report, seconds=context.clock.monotonic() - began)
    # The run may have made a state, and it has deleted that of a root without files.
    return _removal(request, report, tuple(dict.fromkeys(stat.key for stat in (*before, *files))))


def _delete(store: Store, files: Sequence[Stat], context: Context) -> None:
    """Delete files, between a marker that names them and its own deletion."""
    marker = msgspec.json.encode({stat.key: stat.etag for stat in files}, order="deterministic")
    etag = store.put(names.REMOVAL, marker, expect=Expect.ANYTHING, headers=JSON)
    for folder, some in groupby(files, lambda stat: stat.key[: stat.key.rfind("/") + 1]):
        delete_files(store, folder, list(some), context)
    delete_files(store, "", [Stat(names.REMOVAL, len(marker), etag, 0)], context)


def _is_begun(store: Store, files: Sequence[Stat]) -> bool:
    """Whether a killed `remove` has begun to delete these files, and no run has written one of them since.

    Then the index is in the formats of the other indexer already.  A run now would publish an index without the yanks
    and patches that are deleted.
    """
    try:
        marked = msgspec.json.decode(read_whole(store, names.REMOVAL)[0], type=dict[str, str])
    except (Missing, *UNREADABLE):
        return False
    return all(marked.get(stat.key) == stat.etag for stat in files)


def _options(request: RemovalRequest) -> Options:
    """The options of a run that leaves the formats of the other indexer alone."""
    settings = _FORMATS[request.successor]
    origins = tuple((name, f"--for {request.successor.value}") for name in settings.given())
    return Options(settings=settings, origins=origins, this_run_only=True, dry_run=not request.delete)


def _own_files(store: Store, successor: Successor, context: Context) -> list[Stat]:
    """The files of the channel that the other indexer does not write; of each folder the state is the last one."""
    root = look_at_root(store, Options(), context.channel)
    wanted_of = dict.fromkeys(root.subdirs, _OF_SUBDIR[successor])
    # No other indexer goes on with a subdir of an unknown platform, so its formats stay.
    wanted_of |= dict.fromkeys(filter(names.is_subdir, root.unknown_subdirs), _OURS)
    files = []
    for folder, wanted in {**wanted_of, "": _OF_ROOT}.items():
        existing = ChannelFolder(store, folder, context.executor).stats(wanted)
        keys = {name: f"{folder}/{name}" if folder else name for name in wanted}
        files += [replace(existing[name], key=keys[name]) for name in wanted if name in existing]
    return files


def _removal(request: RemovalRequest, report: Report, files: tuple[str, ...]) -> RemovalReport:
    return RemovalReport(
        **asdict(report),
        successor=request.successor.value,
        own_files=files,
        deleted=request.delete and bool(files),
    )
