"""Indexes all subdirs of a channel, then the files of its root, and reports on each."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.commands.attempts import run_attempts
from indexer.commands.channel_files import ChannelJob, index_root
from indexer.commands.index_subdir import SubdirRun
from indexer.commands.select_subdirs import look_at_root, select_subdirs
from indexer.commands.side_by_side import Skipped, first_attempts, one_at_a_time
from indexer.core import names
from indexer.core.errors import GaveUp, IndexerError, NoConditions, Refused
from indexer.core.exit_codes import ExitCode
from indexer.core.job import SubdirJob
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.report import Note, Outcome, ReadCount, Report, SubdirReport
from indexer.core.subdir_report import with_tolerance
from indexer.core.value import Value
from indexer.extractor.cache import ExtractionCache
from indexer.store.channel_folder import ChannelFolder
from indexer.store.wrappers import Unconditional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.commands.context import Context
    from indexer.commands.side_by_side import FirstAttempts
    from indexer.core.options import Options
    from indexer.lister.snapshot import SavedState
    from indexer.lister.subdirs import Root
    from indexer.store import Store

_log = logging.getLogger(__name__)

_NOT_GUARANTEED = (
    "each subdir is written under a lease instead, which binds only indexers that know the lease: writes of another "
    "indexer, or of a second run in the same instant, may be undone until the next run (docs/providers.md)"
)
_OUTCOMES = {Refused: Outcome.REFUSED, GaveUp: Outcome.CONFLICT}


class Start(Value, frozen=True):
    """What a run has read before it begins: the root, and the states of some subdirs by their name."""

    root: Root
    saved: dict[str, SavedState] = field(default_factory=dict)


def index_channel(store: Store, options: Options, context: Context, start: Start | None = None) -> Report:
    """Index every subdir of a channel with exactly these options, and report on each.

    Raises only errors that concern the whole channel: a store that cannot be reached, a wrong option.
    """
    began = context.clock.monotonic()
    context = replace(context, progress=one_at_a_time(context.progress))
    if not options.preconditions:
        _log.warning("without conditional writes, indexers that run at the same time can undo each other's work")
        store = Unconditional(store)
    start = start or Start(select_subdirs(store, options, context.channel))
    root = start.root
    not_indexed = _not_indexed(store, root)
    runs = _subdir_runs(store, options, context, root)
    channel = _Channel(store, context, start.saved)
    # With strict rules nothing may be written if a package is rejected: all subdirs are planned first.
    plans_first = options.dry_run or options.rules.strict
    planned = _index_subdirs(channel, [_dry(run) for run in runs]) if plans_first else {}
    refused = any(report.exit_code for report in planned.values()) and not options.dry_run
    done = planned if options.dry_run or refused else _index_subdirs(channel, runs)
    return Report(
        done,
        not_indexed,
        None if refused else _index_root(channel, options, root),
        seconds=context.clock.monotonic() - began,
        usage=store.usage,
    )


def _dry(run: SubdirRun) -> SubdirRun:
    return replace(run, job=replace(run.job, dry_run=True))


class _Channel(Value, frozen=True):
    """The store and the context of a run; `warned` has the first error about missing conditional writes.

    `saved` has states that were read already; each is used once.
    """

    store: Store
    context: Context
    saved: dict[str, SavedState] = field(default_factory=dict)
    warned: list[NoConditions] = field(default_factory=list)

    def folder(self, name: str) -> ChannelFolder:
        """A folder of the channel."""
        return ChannelFolder(self.store, name, self.context.executor, self.context.progress)

    def warn(self, error: NoConditions) -> None:
        """Log once that the store knows no conditional writes."""
        if not self.warned:
            _log.warning("%s; %s", error.reason, _NOT_GUARANTEED)
        self.warned.append(error)


def _subdir_runs(store: Store, options: Options, context: Context, root: Root) -> list[SubdirRun]:
    patch = _patches(store, options)
    root_was_listed = not options.subdirs and options.packages is None
    confirm = (lambda: None) if root_was_listed else partial(look_at_root, store, options, context.channel)
    return [
        SubdirRun(
            SubdirJob(subdir, _options_of(subdir, options), patch(subdir)),
            context,
            ExtractionCache(context.workers, context.progress),
            confirm,
        )
        for subdir in root.subdirs
    ]


def _options_of(subdir: str, options: Options) -> Options:
    """The options with only those of the named packages that can be in a subdir: no step looks at the others."""
    if options.packages is None:
        return options
    prefix = f"{subdir}/"

    def within(packages: frozenset[str]) -> frozenset[str]:
        return frozenset(key for key in packages if key.startswith(prefix))

    return replace(options, packages=within(options.packages), may_be_gone=within(options.may_be_gone))


def _index_subdirs(channel: _Channel, runs: Sequence[SubdirRun]) -> dict[str, SubdirReport]:
    """The report on each subdir; after an error that concerns the whole channel no more work on a subdir begins."""
    with first_attempts(channel.store, channel.context, runs, channel.saved) as first:
        return {run.job.subdir: _index_subdir(channel, run, first) for run in runs}


def _index_subdir(channel: _Channel, run: SubdirRun, first: FirstAttempts) -> SubdirReport:
    subdir = run.job.subdir
    try:
        report = run_attempts(
            subdir, channel.folder(subdir), channel.context, partial(first.attempt, run), channel.warn
        )
        return with_tolerance(run.job, replace(report, read=_ways(run.cache, report)))
    except Skipped as skipped:
        thing = skipped.error.thing if skipped.error else "the channel"
        return SubdirReport(Outcome.FAILED, error=f"skipped: {thing} failed", exit_code=ExitCode.FAILED)
    except IndexerError as error:
        if error.of_channel:
            first.failed = error
        return _failed(error, subdir)


def _ways(cache: ExtractionCache, report: SubdirReport) -> dict[str, ReadCount]:
    """How packages were read, and how many were not read because their records are current."""
    kept = report.packages + len(report.rejected) - sum(count.packages for count in cache.read_counts.values())
    return {**({"kept": ReadCount(kept)} if kept > 0 else {}), **cache.read_counts}


def _index_root(channel: _Channel, options: Options, root: Root) -> SubdirReport | None:
    """The report on the files of the root; None if the root has none of ours and shall have none."""
    if not (options.outputs.needs_metadata or options.notices is not None or root.written):
        return None
    job = ChannelJob(options, channel.context.channel, options.dry_run)
    try:
        return run_attempts(
            "the channel",
            channel.folder(""),
            channel.context,
            lambda root, attempt: index_root(job, root, trust_state=attempt.number == 1),
            channel.warn,
        )
    except IndexerError as error:
        return _failed(error, "the channel as a whole")


def _not_indexed(store: Store, root: Root) -> tuple[Note, ...]:
    """The folders and packages at the root that no run has indexed, with the reason; no hidden folders of any tool.

    A subdir of an unknown platform that a person indexes with --subdir has a state.
    """
    folders = [
        name
        for name in root.unknown_subdirs
        if name != names.PAGES_FOLDER
        and not name.startswith(".")
        and not (names.is_subdir(name) and store.stat(f"{name}/{names.STATE_FILE}"))
    ]
    return (
        *(Note(f"{folder}/", _reason(folder)) for folder in folders),
        *(Note(filename, "is a package beside the subdirs, so it is not indexed") for filename in root.packages),
    )


def _reason(folder: str) -> str:
    if not folder:
        return "keys with an empty part (//) are not indexed: clients cannot ask for them"
    return "is not a conda subdir, so it is not indexed" + ("; --subdir indexes it" if names.is_subdir(folder) else "")


def _patches(store: Store, options: Options) -> Callable[[str], bytes | None]:
    """The patch instructions that this run was given for each subdir.

    A new patch replaces the old one: a subdir without instructions in it is not patched any more.
    """
    if options.repodata_patch is None:
        return lambda _: None
    from indexer.extractor import patch_package

    instructions = patch_package.load(store, options.repodata_patch) if options.repodata_patch else {}
    return lambda subdir: instructions.get(subdir, NO_PATCH)


def _failed(error: IndexerError, thing: str) -> SubdirReport:
    _log.debug("%s failed", thing, exc_info=error)
    return SubdirReport(_OUTCOMES.get(type(error), Outcome.FAILED), error=str(error), exit_code=error.exit_code)
