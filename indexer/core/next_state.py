"""The state that a run leaves for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.core import names
from indexer.core.first_run import name_digests_after
from indexer.core.name_digests import has_misfiled_records, mark_unsure, names_of
from indexer.core.patch import is_empty_form_of_conda_index
from indexer.core.publication import instructions_of
from indexer.core.some_names import independent_names
from indexer.core.state import Bad, PublishedFile, State, with_blocks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from indexer.core.existing import Existing
    from indexer.core.job import SubdirJob
    from indexer.core.known_packages import Attested
    from indexer.core.model import ETag
    from indexer.core.overlay import Ignore, Yank
    from indexer.core.snapshot import Snapshot
    from indexer.core.update import Update

V = TypeVar("V")

# The part of a reason that a report shows, in characters.
_SHOWN = 400


def overlay_files(job: SubdirJob, snapshot: Snapshot, existing: Existing) -> dict[str, PublishedFile]:
    """The files of the overlay that a run read, as the state has them."""
    overlay = existing.overlay
    digests = {names.YANKS: ""}
    if overlay.published_patch is not None and overlay.new_patch is None:
        is_patch = not is_empty_form_of_conda_index(overlay.published_patch)
        instructions = instructions_of(overlay.published_patch, job.options.outputs)
        digests[names.PATCH_INSTRUCTIONS] = instructions.digest if is_patch else ""
    return {
        name: PublishedFile(snapshot.etags[name], digest) for name, digest in digests.items() if name in snapshot.etags
    }


def next_state(
    job: SubdirJob, snapshot: Snapshot, existing: Existing, update: Update, files: Mapping[str, PublishedFile]
) -> State:
    """The state after a run that left these `files`.

    After a run over a few packages, the data of the last run about all other packages stays.
    """
    state = _state_of_this_run(job, snapshot, update, files, _name_digests(job, snapshot, existing))
    blocks = snapshot.state.blocks if snapshot.state else ()
    if job.scope is not None:
        known = _known_others(job, snapshot, existing)
        state, blocks = _with_other_packages(job, snapshot, known, update, state), known.blocks
    return with_blocks(state, blocks, existing.names_loaded)


def _state_of_this_run(
    job: SubdirJob,
    snapshot: Snapshot,
    update: Update,
    files: Mapping[str, PublishedFile],
    name_digests: Mapping[str, str],
) -> State:
    """What a run knows by itself; `name_digests` are empty if the next run must look at all names."""
    attestations = _attestations(job, snapshot, update)
    transient = {bad.filename for bad in update.rejected if bad.transient}
    transient |= {filename for filename, known in attestations.items() if known.transient}
    rejected = {bad.filename: Bad(bad.etag, bad.reason, bad.kept) for bad in update.rejected if not bad.transient}
    has_more_stages = 0 < len(name_digests) < len(snapshot.listing.name_digests)
    return State(
        config_fingerprint=job.config_fingerprint,
        listing_digest="" if transient or has_more_stages else snapshot.listing.digest,
        packages=update.published.count,
        validated=True,
        has_more_stages=has_more_stages,
        files=dict(files),
        package_etags=dict(update.etags),
        rejected=rejected,
        yanked=_reasons(update.overlay.yanks),
        ignored=_reasons(update.overlay.withdrawn.ignored),
        pruned=tuple(sorted(snapshot.left_out & update.overlay.withdrawn.pruned.keys())),
        reported=_reported_otherwise(snapshot, update, rejected),
        attestations=attestations,
        unattested=dict(update.unattested),
        all_in_v3=job.all_in_v3,
        outputs=job.options.outputs,
        rules=job.options.rules,
        settings=job.options.known_settings,
        split_points=snapshot.listing.split_points,
        name_digests=mark_unsure(name_digests, names_of(transient)),
        incomplete=update.incomplete,
        place=job.subdir,
        has_misfiled_records=independent_names(job) and has_misfiled_records(update.index.records),
        recent=None if update.recent is None else tuple(update.recent.items()),
    )


def _name_digests(job: SubdirJob, snapshot: Snapshot, existing: Existing) -> Mapping[str, str]:
    """The digests of all names that this or an earlier run has looked at."""
    if job.scope is not None or not independent_names(job):
        return {}
    return name_digests_after(snapshot, existing.names_loaded)


def _reasons(withdrawn: Mapping[str, Yank | Ignore]) -> dict[str, str]:
    return {filename: entry.reason[:_SHOWN] for filename, entry in withdrawn.items()}


def _reported_otherwise(snapshot: Snapshot, update: Update, rejected: Collection[str]) -> dict[str, ETag]:
    """The ETags of reported files that are not among the rejected packages: bad names, and transient failures."""
    reported = (*snapshot.invalid_filenames, *update.rejected)
    return {bad.filename: bad.etag for bad in reported if bad.filename not in rejected}


def _attestations(job: SubdirJob, snapshot: Snapshot, update: Update) -> dict[str, Attested]:
    """The attestations that the next run need not read again."""
    if update.attestations is not None:
        return dict(update.attestations)
    # The record of a package that was read again names no attestations until the next whole run looks at them.
    before, scope = snapshot.state.attestations if snapshot.state else {}, job.scope or frozenset()
    return {filename: known for filename, known in before.items() if filename not in scope}


def _known_others(job: SubdirJob, snapshot: Snapshot, existing: Existing) -> State:
    """The state of the last run as far as it holds for packages that a run over a few packages did not look at."""
    # ETags and rejected packages of the last run belong to the records in the source.
    is_known = existing.source and snapshot.is_unchanged(existing.source)
    known = job.usable_state(snapshot.state) if is_known else None
    return known or State(etags_complete=False, validated=not existing.source)


def _with_other_packages(job: SubdirJob, snapshot: Snapshot, known: State, update: Update, state: State) -> State:
    """The state after a run over a few packages, with what is known about all others."""
    scope = job.scope or frozenset()
    last = snapshot.state or State()

    def others(values: Mapping[str, V]) -> dict[str, V]:
        return {filename: value for filename, value in values.items() if filename not in scope}

    without_run_exports = update.index.records.keys() - update.index.run_exports.keys()
    # The records of other packages that are ignored since the last run, or not any more, stay for the next whole run.
    ignored = last.ignored.keys() ^ update.overlay.withdrawn.ignored.keys()
    # If all run exports were known, those of other packages were lost since.  With 0 the next whole run reads them.
    are_lost = known.incomplete == 0 and not without_run_exports & scope
    return msgspec.structs.replace(
        state,
        listing_digest="",
        etags_complete=known.etags_complete,
        validated=known.validated,
        has_more_stages=last.has_more_stages,
        package_etags={**others(known.package_etags), **state.package_etags},
        unattested=others(last.unattested),
        rejected={**others(known.rejected), **state.rejected},
        pruned=tuple(sorted({*state.pruned, *(filename for filename in last.pruned if filename not in scope)})),
        reported={**others(last.reported), **state.reported},
        all_in_v3=state.all_in_v3 or last.all_in_v3,
        split_points=last.split_points,
        incomplete=0 if are_lost else state.incomplete,
        name_digests=mark_unsure(known.name_digests, names_of(scope | update.carried | ignored)),
    )
