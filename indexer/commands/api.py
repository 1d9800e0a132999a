"""The Python API: a function for each command, with the store, threads and workers of a run.

A function imports the modules that only this function needs when it is called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.context import Context, WorkerOptions
from indexer.commands.with_settings import index_with_settings
from indexer.core.errors import BadConfig
from indexer.core.options import Options, several
from indexer.extractor.workers import Workers, local, parallel_for
from indexer.settings.locations import Environment
from indexer.store.concurrent import DaemonThreads
from indexer.store.open import open_store, tests_of
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from indexer.commands.channel_settings import SettingsRequest
    from indexer.commands.gc import GcRequest
    from indexer.commands.rollback import RollbackRequest
    from indexer.core.channel_settings import ChannelSettings
    from indexer.core.gc_report import GcReport
    from indexer.core.progress import Step
    from indexer.core.pruning import PruneReport, PruneRequest
    from indexer.core.publishing import PromoteReport, PublishReport, PublishRequest
    from indexer.core.removal import RemovalReport, RemovalRequest
    from indexer.core.report import CheckReport, Report, SettingsReport
    from indexer.core.rollback import RollbackReport
    from indexer.core.snapshot_report import SnapshotReport
    from indexer.store import Store

    Progress = Callable[[Step], None]
    AnyTarget = Target | str | os.PathLike[str]

_REQUESTS = 32
# A connection for each subdir that is looked at: most channels have fewer.
_SUBDIRS = 16
THREADS_HERE = WorkerOptions()


def index(
    target: AnyTarget,
    options: Options | None = None,
    *,
    workers: WorkerOptions = THREADS_HERE,
    progress: Progress | None = None,
) -> Report:
    """Index the channel at `target`, and report.

    `target` is an `s3://BUCKET[/PREFIX]` URL, a folder, or a Target.  For a URL, variables such as
    `S3_ENDPOINT_URL` are read; a Target has all options itself.  boto3's chain adds missing keys.  `workers` sets
    where packages are read and how many at once; by default threads of this process read them.  `progress` is called
    with a `Step` whenever some objects were listed, a package was read or a file was written: by any thread, but never
    by two at once.  `options.settings` are saved in the channel; all other settings are those of the channel.  Raises
    IndexerError if the channel as a whole fails; an error of one subdir is in its report.
    """
    channel = target_of(target)
    with _opened(channel, workers, progress) as (store, context):
        return replace(index_with_settings(store, options or Options(), context), channel=channel.name)


def status(
    target: AnyTarget,
    options: Options | None = None,
    *,
    workers: WorkerOptions = THREADS_HERE,
    progress: Progress | None = None,
) -> Report:
    """Report the changes that `index` would make with the same arguments; write nothing.  Raises IndexerError."""
    return index(target, replace(options or Options(), dry_run=True), workers=workers, progress=progress)


def publish(
    target: AnyTarget,
    files: Sequence[str | os.PathLike[str]],
    request: PublishRequest | None = None,
    options: Options | None = None,
    *,
    progress: Progress | None = None,
) -> PublishReport:
    """Check package files, send those that the channel at `target` does not have, index just these, and report.

    The subdir of a package is the one in its `info/index.json`.  If a file is rejected, nothing is sent, unless the
    `request` is `partial`.  A package that has other bytes in the channel is replaced only if the `request` says so.
    `options` are those of `index`; `packages` is set here.  With `dry_run` nothing is written.  `progress` is called
    with a `Step` whenever some bytes were uploaded, then as `index` does.  Raises IndexerError.
    """
    from indexer.commands.publish import publish as verb
    from indexer.core.publishing import PublishRequest

    several("files", files)
    channel = target_of(target)
    paths = [Path(file) for file in files]
    with _opened(channel, THREADS_HERE, progress) as (store, context):
        report = verb.publish(store, paths, request or PublishRequest(), options or Options(), context)
        return replace(report, channel=channel.name)


def promote(
    source: AnyTarget,
    target: AnyTarget,
    packages: Sequence[str],
    options: Options | None = None,
    *,
    with_dependencies: bool = False,
) -> PromoteReport:
    """Copy packages of the channel at `source` to the channel at `target`, index just these there, and report.

    Each of `packages` is `SUBDIR/FILENAME`, or a pattern such as `NAME`, `NAME=VERSION` or `NAME=VERSION=BUILD`, with
    `*` for any text.  A package that has other bytes at `target` stays there.  `options` are those of `index`;
    `packages` is set here.  With `dry_run` nothing is written.  Raises IndexerError; if a package is not in the index
    of the source, before anything is changed.
    """
    from indexer.commands.promote import promote as verb

    several("packages", packages)
    channel, origin = target_of(target), target_of(source)
    if channel == origin:
        raise BadConfig(channel.name, "is both FROM and TO", "name two channels")
    request = verb.PromoteRequest(tuple(packages), with_dependencies)
    with _opened(channel, THREADS_HERE) as (store, context):
        opened = verb.Source(open_store(dataclasses.replace(origin, connections=channel.connections)), origin.name)
        report = verb.promote(opened, store, request, options or Options(), context)
        return replace(report, channel=channel.name)


def yank(target: AnyTarget, packages: Collection[str], reason: str) -> Report:
    """Withdraw packages (`SUBDIR/FILENAME`) from the channel's index for a `reason`, and report.

    The files stay.  Later runs of indexer keep the packages out until they are unyanked; a run of another indexer adds
    them again until the next run of indexer.  The settings of the channel apply.  Raises IndexerError; if a
    package is not in the channel, before anything is changed.
    """
    return _withdraw(target, packages, reason)


def unyank(target: AnyTarget, packages: Collection[str]) -> Report:
    """Add yanked packages (`SUBDIR/FILENAME`) to the index again, with their old dates, and report.

    Raises IndexerError.
    """
    return _withdraw(target, packages)


def ignore(target: AnyTarget, packages: Collection[str], reason: str) -> Report:
    """Ignore packages (`SUBDIR/FILENAME`) for a `reason`, and report.

    The files stay.  No later run of indexer reads or rejects the packages, and they leave the index, until `unignore`.
    Raises IndexerError; if a package is not in the channel, before anything is changed.
    """
    return _withdraw(target, packages, reason, ignore=True)


def unignore(target: AnyTarget, packages: Collection[str]) -> Report:
    """Read ignored packages (`SUBDIR/FILENAME`) again, index those that are valid, and report.  Raises IndexerError."""
    return _withdraw(target, packages, ignore=True)


def _withdraw(
    target: AnyTarget, packages: Collection[str], reason: str | None = None, *, ignore: bool = False
) -> Report:
    from indexer.commands.yank import YankRequest, withdraw

    several("packages", packages)
    request = YankRequest(frozenset(packages), reason, ignore)
    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(withdraw(store, request, Options(), context), channel=channel.name)


def get_settings(target: AnyTarget) -> SettingsReport:
    """Report each setting of the channel with its origin; change nothing.  Raises IndexerError."""
    return change_settings(target)


def change_settings(
    target: AnyTarget, changed: ChannelSettings | None = None, *, unset: Collection[str] = ()
) -> SettingsReport:
    """Change settings of the channel, and report all settings and the changes.  Later runs follow them.

    `changed` has the new values, `unset` the keys (such as `base-url`) that get their defaults again.  No index is
    written.  Raises IndexerError; for an unknown key or a contradiction before anything is changed.
    """
    from indexer.commands.channel_settings import SettingsRequest
    from indexer.core.channel_settings import ChannelSettings
    from indexer.settings.channel_file import fields_of

    several("unset", unset)
    return settings_of(target, SettingsRequest(changed or ChannelSettings(), tuple(fields_of(unset))))


def settings_of(target: AnyTarget, request: SettingsRequest) -> SettingsReport:
    """Change settings as requested, and report.  Raises IndexerError."""
    from indexer.commands.channel_settings import settings_of_channel

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(settings_of_channel(store, request, context), channel=channel.name)


def check(
    target: AnyTarget,
    *,
    subdirs: Sequence[str] = (),
    deep: bool = False,
    workers: WorkerOptions = THREADS_HERE,
    progress: Progress | None = None,
) -> CheckReport:
    """Check the channel at `target`, and change nothing.

    `subdirs` selects subdirs, by default all are checked.  With `deep` every indexed package is read.  Raises
    IndexerError if the channel cannot be checked.
    """
    from indexer.commands.check.check import check_channel

    several("subdirs", subdirs)
    channel = target_of(target)
    with _opened(channel, workers, progress) as (store, context):
        report = check_channel(store, context, subdirs=subdirs, deep=deep, command=channel.command)
        return replace(report, channel=channel.name)


def gc(target: AnyTarget, request: GcRequest | None = None) -> GcReport:
    """List the unused shards of a channel, delete them if the `request` says so, and report.

    Raises IndexerError if the channel as a whole fails; an error of one subdir is in its report.
    """
    from indexer.commands.gc import GcRequest, collect

    channel = target_of(target)
    request = replace(request or GcRequest(), temporary_files=not channel.in_bucket)
    several("subdirs", request.subdirs)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(collect(store, request, context), channel=channel.name)


def remove(target: AnyTarget, request: RemovalRequest) -> RemovalReport:
    """Leave the channel to another indexer if the `request` says so, else list what that would change, and report.

    The index is published in the formats of the other indexer alone, and the files that only we read are deleted.
    Raises IndexerError.
    """
    from indexer.commands import remove as verb

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(verb.remove(store, request, context), channel=channel.name)


def snapshot(target: AnyTarget, name: str, *, monolithic: bool = False) -> SnapshotReport:
    """Freeze the index of the channel under a name, and report.  With `monolithic` also as repodata.json.

    If the snapshot is there already with the same content, nothing is written.  Raises IndexerError.
    """
    from indexer.commands.named_snapshots import SnapshotRequest, make_snapshot

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(make_snapshot(store, SnapshotRequest(name, monolithic), context), channel=channel.name)


def list_snapshots(target: AnyTarget) -> SnapshotReport:
    """Report all snapshots of the channel; write nothing.  Raises IndexerError."""
    from indexer.commands import named_snapshots as verb

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(verb.list_snapshots(store, context), channel=channel.name)


def delete_snapshot(target: AnyTarget, name: str, *, plan: bool = False) -> SnapshotReport:
    """Delete a snapshot of the channel, and report; with `plan` only report.  Raises IndexerError."""
    from indexer.commands import named_snapshots as verb

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(verb.delete_snapshot(store, name, context, delete=not plan), channel=channel.name)


def rollback(target: AnyTarget, request: RollbackRequest) -> RollbackReport:
    """Make the index of the channel say what a snapshot says, and report; without `request.apply` only report.

    Packages that were indexed later are withdrawn as by `yank`, those that were withdrawn later come back.  The
    settings of the channel apply.  Raises IndexerError; if there is no such snapshot, before anything is changed.
    """
    from indexer.commands.rollback import roll_back

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(roll_back(store, request, context), channel=channel.name)


def prune(target: AnyTarget, request: PruneRequest | None = None) -> PruneReport:
    """Judge which packages of a channel stay by its rules of retention and those of the `request`, and report.

    Nothing is changed unless the `request` says so.  Then the packages that go leave the index, and a later call
    deletes their objects.  Raises IndexerError; a BadConfig if there is no rule.
    """
    from indexer.commands.prune import prune as verb
    from indexer.core.pruning import PruneRequest

    channel = target_of(target)
    with _opened(channel, THREADS_HERE) as (store, context):
        return replace(verb.prune(store, request or PruneRequest(), context), channel=channel.name)


def target_of(target: AnyTarget) -> Target:
    """The target as a value.  Raises BadConfig.

    For the URL of a bucket the variables `S3_ENDPOINT_URL`, `S3_REGION`, `S3_ACCESS_KEY_ID`, `S3_SECRET_ACCESS_KEY`,
    `S3_SESSION_TOKEN`, `S3_ADDRESSING_STYLE` and `S3_PROVIDER` are read, as in the command.
    """
    if isinstance(target, Target):
        return target
    location = os.fspath(target)
    channel = Target(location)
    if not isinstance(target, str) and location.startswith("s3:"):
        raise BadConfig(location, "is a Path, which cannot be an s3:// URL", "pass the URL as str")
    if not channel.in_bucket:
        return channel
    from indexer.settings.resolve import of_variables

    return dataclasses.replace(channel, s3=of_variables(Environment.here()))


@contextlib.contextmanager
def _opened(
    channel: Target, workers: WorkerOptions, progress: Progress | None = None
) -> Iterator[tuple[Store, Context]]:
    parallel = workers.max_parallel or parallel_for(channel)
    channel = dataclasses.replace(channel, connections=parallel + _REQUESTS + _SUBDIRS)
    with _readers(channel, parallel, workers) as read, ThreadPoolExecutor(_REQUESTS) as threads:
        context = Context(
            read,
            threads,
            stored_checksums=channel.in_bucket,
            channel=_real_name(channel),
            title=channel.title,
            subdir_executor=DaemonThreads(),
        )
        store = open_store(channel)
        context = replace(context, store_tests=tests_of(channel, store))
        yield store, context if progress is None else replace(context, progress=progress)


def _real_name(channel: Target) -> str:
    """The name of a target without links and dots, which shows if the target is a subdir."""
    return channel.name if channel.in_bucket else os.path.realpath(channel.location)


def _readers(channel: Target, parallel: int, workers: WorkerOptions) -> AbstractContextManager[Workers]:
    """The workers that read packages: on this machine, or in a cluster."""
    if workers.scheduler is None:
        return local(channel, parallel, processes=workers.processes)
    from indexer.extractor.dask import connected  # imports asyncio, which other runs do not need

    return connected(workers.scheduler, channel, parallel)
