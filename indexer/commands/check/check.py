"""Checks a channel: the formats of each index match each other and the packages.  Writes nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.check.contents import ContentsCheck
from indexer.commands.check.findings import Findings, PublishedFiles
from indexer.commands.check.formats import read_formats
from indexer.commands.check.hints import hints_of
from indexer.commands.check.packages import PackagesCheck
from indexer.commands.check.snapshots import check_snapshots
from indexer.core import names
from indexer.core.errors import BadIndex, BadPatch, Conflict, GaveUp
from indexer.core.formats import repodata
from indexer.core.model import Index, Outputs
from indexer.core.overlay import UPDATE
from indexer.core.report import CheckReport, SubdirCheck
from indexer.core.verify import (
    CREATE,
    DELETE_AND_FORCE,
    DELETE_AND_RUN,
    END_PATCH,
    RUN,
    Fault,
    index_differences,
)
from indexer.lister.overlay import load_overlay
from indexer.lister.snapshot import take_read_only_snapshot
from indexer.lister.subdirs import chosen
from indexer.store.channel_folder import ChannelFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.commands.context import Context
    from indexer.core.snapshot import Snapshot
    from indexer.store import Store

# Seconds between checks of a subdir that another process is changing.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_SETTLING = 1.0
# The next step for files of the state that a run does not replace, by name.
_STATE_STEPS = {names.FROM_PACKAGES: DELETE_AND_FORCE, names.PATCH_INSTRUCTIONS: END_PATCH, names.YANKS: DELETE_AND_RUN}


def check_channel(
    store: Store, context: Context, *, subdirs: Sequence[str] = (), deep: bool = False, command: str = "indexer"
) -> CheckReport:
    """Check all subdirs of a channel and its named snapshots, or only the named subdirs.

    With `deep` every indexed package is read and compared with its record.  `command` is the command that indexes this
    channel, for the next steps.  Raises GaveUp if a subdir changes during every try, and errors of the whole channel.
    """
    began = context.clock.monotonic()
    checks: dict[str, SubdirCheck] = {}
    for subdir in chosen(store, subdirs, context.channel, must_exist=not subdirs):
        folder = ChannelFolder(store, subdir, context.executor, context.progress)
        checks[subdir] = _with_command(_check_until_stable(folder, context, deep=deep), command)
    if not subdirs:
        checks |= check_snapshots(store, context)
    return CheckReport(checks, seconds=context.clock.monotonic() - began, usage=store.usage)


def _with_command(check: SubdirCheck, command: str) -> SubdirCheck:
    return replace(
        check,
        faults=tuple(fault.with_command(command) for fault in check.faults),
        hints=tuple(hint.with_command(command) for hint in check.hints),
    )


def _check_until_stable(folder: ChannelFolder, context: Context, *, deep: bool) -> SubdirCheck:
    """The result for one moment: faults count only if nothing changed during the check."""
    contents = ContentsCheck(folder, context) if deep else None
    for pause in _PAUSES:
        with contextlib.suppress(Conflict):
            snapshot = take_read_only_snapshot(folder, Outputs())
            check = _check_snapshot(folder, _without_withdrawn(folder, snapshot), context, contents)
            if not check.faults:
                return check
            if not snapshot.files_match_state:  # an indexer may be about to write the next file
                context.clock.sleep(_SETTLING)
            if take_read_only_snapshot(folder, Outputs()) == snapshot:
                return check
        context.clock.sleep(pause)
    raise GaveUp(folder.name, "changed during every check", "repeat when no indexer is running")


def _without_withdrawn(folder: ChannelFolder, snapshot: Snapshot) -> Snapshot:
    """The snapshot without the packages that are ignored or pruned and have no record."""
    snapshot = snapshot.unpacked()
    if names.YANKS not in snapshot.etags:
        return snapshot
    with contextlib.suppress(BadPatch):  # _patch_faults reports it
        return snapshot.excluding(load_overlay(folder, snapshot).withdrawn.left_out(snapshot.packages))
    return snapshot


def _check_snapshot(
    folder: ChannelFolder, snapshot: Snapshot, context: Context, contents: ContentsCheck | None
) -> SubdirCheck:
    """The faults and hints in a snapshot.  Raises Conflict if a file has changed since the snapshot."""
    findings = Findings(hints=tuple(hints_of(folder, snapshot)))
    files = PublishedFiles(folder, snapshot)
    published = read_formats(files)
    findings += published.findings
    index = published.index
    if index is None:
        if not findings.faults and (snapshot.packages or folder.name == names.NOARCH):
            next_step = RUN if snapshot.packages else CREATE
            findings += Findings((Fault(folder.prefix + names.REPODATA, "does not exist", next_step),))
        return SubdirCheck(findings.faults, findings.hints, shards=published.shards)
    findings += Findings(tuple(_patch_faults(files, index)))
    packages = PackagesCheck(
        folder, snapshot, index, context.clock.now_ms(), deep=contents is not None, unread=published.unread
    )
    findings += Findings(tuple(packages.faults()))
    if contents is not None:
        findings += Findings(tuple(contents.faults(snapshot, index)))
    return SubdirCheck(
        findings.faults,
        findings.hints,
        packages=len(index.records),
        shards=published.shards,
        packages_read=len(index.records.keys() & snapshot.packages.keys()) if contents is not None else 0,
    )


def _patch_faults(files: PublishedFiles, index: Index) -> Iterator[Fault]:
    """Faults if the published records are not the packages' own records with our patch and yanks."""
    folder, snapshot = files.folder, files.snapshot
    try:
        data = files.read(names.FROM_PACKAGES) if files.has(names.FROM_PACKAGES) else b""
        different = f"has other content than {names.FROM_PACKAGES}"
        yield from files.packed_faults(names.FROM_PACKAGES_ZST, data, lambda _: [different]).faults
        if not files.has(names.FROM_PACKAGES):
            if files.has(names.YANKS):
                load_overlay(folder, snapshot)
            return
        unpatched, _ = repodata.decode_unpatched(data, names.FROM_PACKAGES)
        if not snapshot.is_unchanged(names.FROM_PACKAGES):
            return  # written by another indexer, which has its own patch
        expected = load_overlay(folder, snapshot).apply(unpatched).index
    except (BadIndex, BadPatch) as error:
        name = error.thing.rpartition("/")[2]
        next_step = error.next_step if error.next_step == UPDATE else _STATE_STEPS[name]
        yield Fault(folder.prefix + name, error.reason, next_step)
        return
    key = folder.prefix + (names.REPODATA if names.REPODATA in snapshot.etags else names.SHARD_INDEX)
    for reason in index_differences(_records_of(expected), _records_of(index)):
        yield Fault(key, f"{reason} (compared with the patch and the yanks in force)")


def _records_of(index: Index) -> Index:
    return Index(index.records, index.v3, removed=index.removed)
