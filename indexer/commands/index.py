"""All subdirs of a channel, one after the other, then the channel as a whole, and what came of each."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from indexer.commands.channel_files import Channel
from indexer.commands.index_subdir import Subdir
from indexer.core import names
from indexer.core.errors import BadConfig, GaveUp, IndexerError, NoConditions, Refused
from indexer.core.job import SubdirJob
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.publication import source_of
from indexer.core.report import Note, Outcome, Report, SubdirReport
from indexer.lister.subdirs import Root, check_channel, check_exists, check_subdir, root_of
from indexer.store.wrappers import Unconditional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.commands.context import Context
    from indexer.core.options import Options
    from indexer.store import Store

_log = logging.getLogger(__name__)

_NOT_GUARANTEED = (
    "each subdir is written under a lease instead, which binds only indexers that know it: what another one, or a "
    "second run in the same instant, writes meanwhile may be undone until the next run (docs/providers.md)"
)
_OUTCOMES = {Refused: Outcome.REFUSED, GaveUp: Outcome.CONFLICT}


def index_channel(store: Store, options: Options, context: Context) -> Report:
    """Index every subdir of a channel and say what came of each.

    Raises only what concerns the whole channel: a store that cannot be reached, a wrong option.
    """
    began = context.clock.monotonic()
    if not options.preconditions:
        _log.warning("without conditional writes, indexers that run at the same time can undo each other's work")
        store = Unconditional(store)
    root = _root(store, options, context)
    patch = _patches(store, options)
    is_looked_at = not options.subdirs and options.packages is None
    confirm = (lambda: None) if is_looked_at else partial(_look_at_root, store, options, context)
    jobs = [
        Subdir(store, SubdirJob(subdir, options, patch(subdir)), context, confirm=confirm) for subdir in root.subdirs
    ]
    # With strict rules nothing may be written if anything is rejected: all of it is planned first.
    told: list[NoConditions] = []
    planned = _each(jobs, told, dry_run=True) if options.dry_run or options.rules.strict else {}
    done = planned
    if not options.dry_run and not any(sub.exit_code for sub in planned.values()):
        done = _each(jobs, told, dry_run=False)
    wide = None
    stopped = done is planned and not options.dry_run
    wanted = options.outputs.needs_metadata or options.notices is not None
    if (wanted or root.written) and not stopped:
        wide = _channel_wide(Channel(store, options, context), told, dry_run=options.dry_run)
    return Report(done, _not_indexed(root), context.clock.monotonic() - began, store.usage, wide=wide)


def _not_indexed(root: Root) -> tuple[Note, ...]:
    """What lies at the root and not in a subdir that is indexed, with the reason."""
    return (
        *(Note(f"{folder}/", _reason(folder)) for folder in root.unknown_subdirs),
        *(Note(filename, "is a package beside the subdirs, so it is not indexed") for filename in root.packages),
    )


def _reason(folder: str) -> str:
    if not folder:
        return "keys with an empty part (//) are not indexed: clients cannot ask for them"
    return "is not a conda subdir, so it is not indexed" + ("; --subdir indexes it" if names.is_subdir(folder) else "")


def _patches(store: Store, options: Options) -> Callable[[str], bytes | None]:
    """The instructions that were named for each subdir.

    A named patch is the whole truth: what it does not speak of is not patched any more.
    """
    if options.repodata_patch is None:
        return lambda _: None
    from indexer.extractor import patch_package as patches

    found = patches.load(store, options.repodata_patch) if options.repodata_patch else {}
    return lambda subdir: found.get(subdir, NO_PATCH)


def _each(jobs: Sequence[Subdir], told: list[NoConditions], *, dry_run: bool) -> dict[str, SubdirReport]:
    done: dict[str, SubdirReport] = {}
    for job in jobs:
        try:
            done[job.subdir] = _laps(job, told, dry_run=dry_run)
        except IndexerError as error:
            done[job.subdir] = _failed(error, job.subdir)
            if error.of_channel:
                skipped = SubdirReport(Outcome.FAILED, error=f"{error.thing}: failed, so the rest was not looked at")
                return {**{it.subdir: replace(skipped, exit_code=1) for it in jobs}, **done}
    return done


def _channel_wide(channel: Channel, told: list[NoConditions], *, dry_run: bool) -> SubdirReport:
    try:
        return _laps(channel, told, dry_run=dry_run)
    except IndexerError as error:
        return _failed(error, "the channel as a whole")


def _failed(error: IndexerError, what: str) -> SubdirReport:
    _log.debug("%s failed", what, exc_info=error)
    return SubdirReport(_OUTCOMES.get(type(error), Outcome.FAILED), error=str(error), exit_code=error.exit_code)


def _laps(job: Subdir | Channel, told: list[NoConditions], *, dry_run: bool) -> SubdirReport:
    """Do a job, under a lease where the store knows no conditions; the first time the loss is told."""
    try:
        return job.laps(dry_run=dry_run)
    except NoConditions as error:
        if not told:
            _log.warning("%s; %s", error.reason, _NOT_GUARANTEED)
        told.append(error)
        return job.leased().laps(dry_run=dry_run)


def _root(store: Store, options: Options, context: Context) -> Root:
    """The subdirs to index, and what else a look at the whole channel shows.  Raises BadConfig for a wrong target."""
    named = set(options.subdirs)
    if options.packages is not None:
        named |= {package.rpartition("/")[0] for package in options.packages}
    elif not named:
        return _look_at_root(store, options, context)
    of_event = {package.rpartition("/")[0] for package in options.may_be_gone}
    of_person = set(options.subdirs) | {
        it.rpartition("/")[0] for it in (options.packages or set()) - options.may_be_gone
    }
    for subdir in sorted(named):
        try:
            check_subdir(store, subdir, create=options.create)
        except BadConfig as error:
            if subdir in of_person or subdir not in of_event:
                raise
            _log.warning("%s: %s, so its packages are passed over", error.thing, error.reason)
            named.discard(subdir)
    # Without noarch/repodata.json readers take no folder for a channel (CEP 26).
    if names.NOARCH not in named and store.stat(f"{names.NOARCH}/{source_of(options.outputs)}") is None:
        _look_at_root(store, options, context)
        named.add(names.NOARCH)
    return Root(tuple(sorted(named)))


def _look_at_root(store: Store, options: Options, context: Context) -> Root:
    """What is at the root of the channel.  Raises BadConfig if the target is none, or if it is not there."""
    root = root_of(store)
    check_channel(root, context.channel)
    named = {*options.subdirs, *(package.rpartition("/")[0] for package in options.packages or ())}
    if not options.create and not named & set(root.unknown_subdirs):
        check_exists(root, context.channel)
    return root
