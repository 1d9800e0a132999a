"""Decides which packages a run reads, from the job, the snapshot and the existing index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core.pages.catalog import filenames_without_metadata, metadata_by_name
from indexer.core.plan import DiffContext, diff
from indexer.core.records.dates import missing_dates

if TYPE_CHECKING:
    from indexer.core.existing import Existing
    from indexer.core.job import SubdirJob
    from indexer.core.model import Plan
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State


def find_todo(job: SubdirJob, snapshot: Snapshot, existing: Existing, replaced_in_run: frozenset[str]) -> Plan:
    """The packages to read, to drop and to keep, with the dates of packages whose records have none."""
    state, unchanged = job.usable_state(snapshot.state), snapshot.is_unchanged(existing.source)
    completes_run_exports = _completes_run_exports(job, state if unchanged else None)
    # A record that was in v3 by assignment alone: only the package shows in which revision the record belongs.
    leaves_v3 = state is not None and state.all_in_v3 and not job.all_in_v3
    known = DiffContext(
        state,
        index_matches_state=unchanged,
        index_written_ms=snapshot.modified_ms.get(existing.source, 0),
        force=job.options.force or leaves_v3,
        scope=job.scope,
        replaced_in_run=replaced_in_run,
        needs_metadata=_needs_metadata(job, existing, completes_run_exports=completes_run_exports),
    )
    plan = diff(existing.index, snapshot.packages, known)
    foreign = job.options.force or not unchanged
    dates = missing_dates(
        existing.index, snapshot.packages, snapshot.taken_ms, foreign=foreign, first=snapshot.state is None
    )
    return replace(plan, dates=dates, completes_run_exports=completes_run_exports)


def _needs_metadata(job: SubdirJob, existing: Existing, *, completes_run_exports: bool) -> frozenset[str]:
    """The packages with a record that are read for data that the record does not have."""
    index, wanted = existing.index, frozenset[str]()
    if job.options.outputs.needs_metadata:
        wanted = filenames_without_metadata(index, metadata_by_name(existing.catalog)) - existing.overlay.hidden
    if completes_run_exports:
        wanted |= index.records.keys() - index.run_exports.keys()
    return wanted


def _completes_run_exports(job: SubdirJob, state: State | None) -> bool:
    """Whether packages with unknown run exports are read: if the user requests this, or if run exports were lost.

    If the last run knew the run exports of all records, the run exports that are missing now were lost since.  `state`
    is None if another program has changed the index since.
    """
    if job.options.complete:
        return True
    if job.scope is not None or not job.options.outputs.run_exports:  # without the file no run keeps run exports
        return False
    return state is not None and state.incomplete == 0
