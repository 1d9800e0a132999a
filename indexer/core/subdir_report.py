"""The report on a subdir: from the state if nothing changed, else from the update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core.exit_codes import ExitCode
from indexer.core.recent import count_recent
from indexer.core.remarks import rejected_before, remarks_on_attestations, remarks_on_listing
from indexer.core.report import Note, Outcome, SubdirReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from indexer.core.job import SubdirJob
    from indexer.core.model import Rejected
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State
    from indexer.core.update import Update

_KEPT = "; its record in the index stays as it is"


def unchanged_report(job: SubdirJob, snapshot: Snapshot, state: State) -> SubdirReport:
    """The report if the listing proves that nothing changed since the last run: all else is in the state."""
    snapshot = snapshot.excluding(state.ignored)
    rejected = [rejected_before(filename, bad) for filename, bad in state.rejected.items()]
    report = _with_rejected(SubdirReport(Outcome.UNCHANGED), [*snapshot.invalid_filenames, *rejected], state)
    remarks = (*remarks_on_listing(snapshot), *remarks_on_attestations(state.unattested))
    return replace(
        report,
        outcome=Outcome.PLANNED if job.dry_run else report.outcome,
        exit_code=ExitCode.OK if job.dry_run else report.exit_code,
        packages=state.packages,
        warnings=tuple(sorted(remarks)),
        yanked=_notes(state.yanked.items()),
        ignored=_notes(state.ignored.items()),
        pruned=state.pruned,
        run_exports_unknown=state.incomplete or 0,
        newer_than_7_days=None if state.recent is None else count_recent(dict(state.recent), snapshot.taken_ms),
    )


def planned_report(
    job: SubdirJob, snapshot: Snapshot, update: Update, pending: Iterable[tuple[str, bool]]
) -> SubdirReport:
    """The report before anything is written; `pending` has the name of each file to write (true) or delete (false)."""
    report = SubdirReport(Outcome.UNCHANGED, missing=tuple(sorted(update.missing)))
    report = _with_rejected(report, [*snapshot.invalid_filenames, *update.rejected], snapshot.state)
    files = sorted((f"{job.subdir}/{name}", is_written) for name, is_written in pending)
    overlay = update.overlay
    return replace(
        report,
        outcome=Outcome.PLANNED if job.dry_run else report.outcome,
        exit_code=ExitCode.OK if job.dry_run else report.exit_code,
        packages=update.published.count,
        added=tuple(sorted(update.changes.added)),
        updated=tuple(sorted(update.changes.updated)),
        removed=tuple(sorted(update.changes.removed)),
        metadata_read=update.metadata_read,
        reread=len(update.changes.reread),
        warnings=tuple(sorted(update.remarks)),
        yanked=_notes((name, yank.reason) for name, yank in overlay.yanks.items()),
        ignored=_notes((name, ignored.reason) for name, ignored in overlay.withdrawn.ignored.items()),
        pruned=tuple(sorted(snapshot.left_out & overlay.withdrawn.pruned.keys())),
        written=tuple(key for key, is_written in files if is_written),
        deleted=tuple(key for key, is_written in files if not is_written),
        run_exports_unknown=update.incomplete,
        newer_than_7_days=None if update.recent is None else count_recent(update.recent, snapshot.taken_ms),
    )


def refused_report(job: SubdirJob, report: SubdirReport, packages: int) -> SubdirReport:
    """The report of a strict run that writes nothing because packages were rejected."""
    count = len(report.rejected)
    error = f"{job.subdir}: {count} rejected; nothing was changed: rebuild and upload them again, or delete them"
    refused = replace(report, outcome=Outcome.FAILED, exit_code=ExitCode.FAILED, error=error, packages=packages)
    return replace(refused, added=(), updated=(), removed=(), written=(), deleted=(), run_exports_unknown=0)


def published_report(report: SubdirReport) -> SubdirReport:
    """The report after all files of a planned report were written."""
    if (report.written or report.deleted) and not report.rejected:
        return replace(report, outcome=Outcome.PUBLISHED)
    return report


def with_tolerance(job: SubdirJob, report: SubdirReport) -> SubdirReport:
    """A report whose exit code follows `fail_on_new`: packages that an earlier run rejected are no failure."""
    if job.options.fail_on_new and report.outcome is Outcome.PARTIAL and not report.new_rejected:
        return replace(report, exit_code=ExitCode.PARTIAL if report.missing else ExitCode.OK)
    return report


def _with_rejected(report: SubdirReport, rejected: Sequence[Rejected], state: State | None) -> SubdirReport:
    """A report with rejected packages, which make it a partial success; so do missing packages."""
    before = {name: bad.etag for name, bad in state.rejected.items()} | state.reported if state else {}
    new = {bad.filename for bad in rejected if before.get(bad.filename) != bad.etag}
    is_partial = bool(rejected or report.missing)
    return replace(
        report,
        outcome=Outcome.PARTIAL if is_partial else report.outcome,
        exit_code=ExitCode.PARTIAL if is_partial else ExitCode.OK,
        rejected=_notes((bad.filename, f"{bad.reason}{_KEPT if bad.kept else ''}") for bad in rejected),
        new_rejected=tuple(sorted(new)),
    )


def _notes(reasons: Iterable[tuple[str, str]]) -> tuple[Note, ...]:
    return tuple(Note(filename, reason) for filename, reason in sorted(reasons))
