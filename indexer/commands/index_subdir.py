"""One attempt to bring the index of a subdir up to date: list, plan, extract, render, write."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.conditions import accept_proof, proof_to_keep
from indexer.commands.retry import Interrupted, NeedsAllRecords, NeedsTheWholeRun, StageEnded
from indexer.core.ahead import files_to_read, likely_new
from indexer.core.artifact import Rank
from indexer.core.errors import BadConfig, Conflict, DamagedChunk
from indexer.core.first_run import names_of_stage, shown_for_stage
from indexer.core.in_force import overlay_in_force
from indexer.core.model import Index
from indexer.core.name_digests import name_of
from indexer.core.next_state import next_state, overlay_files
from indexer.core.plan import check_mass_removal
from indexer.core.render import NO_SHARDS, has_something_to_publish, render
from indexer.core.some_names import names_to_load, with_withdrawn
from indexer.core.state import CHANNEL
from indexer.core.subdir_report import planned_report, published_report, refused_report, unchanged_report
from indexer.core.todo import find_todo
from indexer.core.update import apply, needs_all_records
from indexer.core.value import Value
from indexer.extractor.cache import extract, extract_spec
from indexer.lister.existing import load_existing
from indexer.lister.overlay import load_overlay
from indexer.lister.shards import load_published_shards
from indexer.lister.sidecars import first_sidecars_to_read, load_attestations
from indexer.lister.snapshot import check_packages_unchanged, snapshot_of_next_stage, take_snapshot
from indexer.writer.publish import pending, publish, save_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.commands.context import Context
    from indexer.commands.retry import Attempt
    from indexer.core.artifact import Publication
    from indexer.core.existing import Existing
    from indexer.core.extraction import Extraction
    from indexer.core.job import SubdirJob
    from indexer.core.model import Plan
    from indexer.core.overlay import Overlay
    from indexer.core.report import SubdirReport
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import PublishedFile
    from indexer.core.update import Update
    from indexer.extractor.cache import ExtractionCache
    from indexer.extractor.extract import ExtractSpec
    from indexer.lister.snapshot import SavedState
    from indexer.store.channel_folder import ChannelFolder


_log = logging.getLogger(__name__)

# How many packages an attempt beside those at other subdirs may read.
_FEW = 64


class SubdirRun(Value, frozen=True):
    """What all attempts at one subdir share.

    `confirm_target` is called before a subdir without an index gets one: it raises BadConfig if the target is wrong.
    """

    job: SubdirJob
    context: Context
    cache: ExtractionCache
    confirm_target: Callable[[], object] = lambda: None


def index_subdir(run: SubdirRun, folder: ChannelFolder, attempt: Attempt, saved: SavedState) -> SubdirReport:
    """Index a subdir with the `saved` state.

    Raises Conflict if another indexer writes at the same time, and any other IndexerError.
    """
    job = run.job
    snapshot = _snapshot(run, folder, attempt, saved)
    if snapshot.state is not None and job.is_up_to_date(snapshot):
        return unchanged_report(job, snapshot, snapshot.state)
    _check_target(run, folder, snapshot)
    accept_proof(run.context, snapshot, force=job.options.force)
    package_names = None if attempt.load_all else _names_to_look_at(run, snapshot)
    progress = shown_for_stage(run.cache.progress, snapshot, package_names)
    run = replace(run, cache=replace(run.cache, progress=progress))
    snapshot = snapshot.unpacked(package_names)
    files = {**files_to_read(job, snapshot), **(first_sidecars_to_read(snapshot) if job.scope is None else {})}
    with folder.requesting(files) as requested:
        _read_new_packages(run, folder, snapshot)
        try:
            return _index_changed(run, requested, attempt, snapshot, package_names)
        except DamagedChunk as error:
            _log.warning("%s: %s; it is written again", error.thing, error.reason)
            raise NeedsAllRecords from error


def _snapshot(run: SubdirRun, folder: ChannelFolder, attempt: Attempt, saved: SavedState) -> Snapshot:
    now_ms = run.context.clock.now_ms()
    if attempt.listing is not None and saved.state is not None:
        return snapshot_of_next_stage(run.job, saved, attempt.listing, now_ms)
    return take_snapshot(folder, run.job, saved, now_ms, trust_state=attempt.number == 1)


def _names_to_look_at(run: SubdirRun, snapshot: Snapshot) -> frozenset[str] | None:
    """The names of the only packages that this attempt looks at, None for all."""
    return names_of_stage(run.job, snapshot, names_to_load(run.job, snapshot), run.context.stage)


def _index_changed(
    run: SubdirRun, folder: ChannelFolder, attempt: Attempt, snapshot: Snapshot, package_names: frozenset[str] | None
) -> SubdirReport:
    """Index a subdir that is not as the last run left it; the listing shows no change of other names."""
    job = run.job
    overlay = overlay_in_force(job, snapshot, load_overlay(folder, snapshot))
    wanted = with_withdrawn(package_names, snapshot, overlay)
    existing = load_existing(folder, job, snapshot, overlay, wanted)
    if existing.names_loaded != package_names:
        snapshot = snapshot.unpacked(existing.names_loaded)
    snapshot = snapshot.excluding(_left_out(job, snapshot, overlay, existing.names_loaded))

    todo = find_todo(job, snapshot, existing, run.cache.replaced_among(snapshot.packages))
    _check_few(attempt, todo)
    extracted = _extract(run, folder, snapshot, existing, todo)
    update = apply(job, snapshot, existing, todo, extracted)
    if needs_all_records(existing, update):
        raise NeedsAllRecords  # the next attempt finds the packages that were read in the cache
    if not job.options.allow_mass_removal:
        check_mass_removal(existing.index, update.changes.removed - overlay.withdrawn.pruned.keys(), job.subdir)
    if _is_refused(job, snapshot, update):
        return refused_report(job, planned_report(job, snapshot, update, set()), existing.index.count)

    publication = _render(job, folder, snapshot, existing, update)
    files = pending(publication, snapshot) if publication else set()
    report = planned_report(job, snapshot, update, files)
    if job.dry_run:
        return report
    try:
        written = _publish(job, folder, snapshot, publication, leased=attempt.leased)
        known_files = _files_of_state(job, snapshot, existing, written)
        if known_files is not None:
            state = next_state(job, snapshot, existing, update, known_files)
            save_state(folder, state, snapshot, proof_to_keep(run.context, snapshot))
            if state.has_more_stages and job.scope is None:
                run.cache.forget()
                raise StageEnded(report, snapshot.listing)
    except Conflict as conflict:
        raise Interrupted(conflict, report) from conflict
    return published_report(report)


def _read_new_packages(run: SubdirRun, folder: ChannelFolder, snapshot: Snapshot) -> None:
    """Read packages that are new by their times before the index is known; the plan finds them in the cache."""
    new = likely_new(run.job, snapshot)
    if new:
        run.cache.read(folder.store, new, _extract_spec(run, snapshot, Index()))


def _check_target(run: SubdirRun, folder: ChannelFolder, snapshot: Snapshot) -> None:
    """Raise BadConfig if the subdir is a channel itself, or if its channel does not exist."""
    if snapshot.state is not None and snapshot.state.place == CHANNEL:
        raise BadConfig(folder.prefix, "is a channel, not a subdir", "nothing was changed: index it by its name")
    if not snapshot.listing.packages and not snapshot.source(monolithic=run.job.options.outputs.monolithic):
        run.confirm_target()


def _check_few(attempt: Attempt, todo: Plan) -> None:
    """Raise NeedsTheWholeRun if an attempt beside others has many packages to read."""
    if attempt.beside_others and len(todo.to_read) + len(todo.to_describe) > _FEW:
        raise NeedsTheWholeRun


def _left_out(
    job: SubdirJob, snapshot: Snapshot, overlay: Overlay, package_names: frozenset[str] | None
) -> frozenset[str]:
    """The withdrawn packages that the run treats as absent; a run over all adds those of names that did not change."""
    left_out = overlay.withdrawn.left_out(snapshot.packages)
    if job.scope is not None or package_names is None or snapshot.state is None:
        return left_out
    return left_out.union(filename for filename in snapshot.state.pruned if name_of(filename) not in package_names)


def _is_refused(job: SubdirJob, snapshot: Snapshot, update: Update) -> bool:
    """Whether strict rules forbid to write anything because packages are rejected."""
    return job.options.rules.strict and bool(snapshot.invalid_filenames or update.rejected)


def _extract(run: SubdirRun, folder: ChannelFolder, snapshot: Snapshot, existing: Existing, todo: Plan) -> Extraction:
    """Read the packages of a plan, and the attestations beside packages.  A dry run reads no metadata."""
    job = run.job
    spec = _extract_spec(run, snapshot, existing.index)
    if job.dry_run:
        todo = replace(todo, to_describe=())
    extracted = extract(run.cache, folder.store, spec, todo, existing.index)
    if job.scope is not None:  # a run over a few packages leaves attestations to the next run over all
        return extracted
    return replace(extracted, attestations=load_attestations(folder, snapshot))


def _extract_spec(run: SubdirRun, snapshot: Snapshot, index: Index) -> ExtractSpec:
    return extract_spec(run.job, snapshot, index, stored_checksums=run.context.stored_checksums)


def _render(
    job: SubdirJob, folder: ChannelFolder, snapshot: Snapshot, existing: Existing, update: Update
) -> Publication | None:
    """The files that the subdir shall have; None if there is nothing to publish."""
    if not has_something_to_publish(job, snapshot, existing, update):
        return None
    shards = load_published_shards(folder, snapshot, existing) if job.options.outputs.shards else NO_SHARDS
    return render(job, snapshot, existing, update, shards)


def _publish(
    job: SubdirJob, folder: ChannelFolder, snapshot: Snapshot, publication: Publication | None, *, leased: bool
) -> Mapping[str, PublishedFile] | None:
    """The files that were written or are unchanged; None if there is nothing to publish.  Raises Conflict."""
    if publication is None:
        return None
    return publish(folder, publication, snapshot, partial(_check_packages, job, folder, snapshot) if leased else None)


def _files_of_state(
    job: SubdirJob, snapshot: Snapshot, existing: Existing, written: Mapping[str, PublishedFile] | None
) -> Mapping[str, PublishedFile] | None:
    """The files that the next run shall know; None if the state of the last run stays."""
    if written is not None:
        return {**overlay_files(job, snapshot, existing), **written}
    # A run over a few packages that finds nothing new learns nothing about the others.
    return snapshot.state.files if job.scope is None and snapshot.state is not None else None


def _check_packages(job: SubdirJob, folder: ChannelFolder, snapshot: Snapshot, rank: Rank) -> None:
    """Without conditional writes, look at the packages again before a rank is written."""
    if rank is not Rank.SHARD:
        check_packages_unchanged(folder, job, snapshot)
