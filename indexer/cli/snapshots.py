"""Lines for a person about named snapshots and rollbacks."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from indexer.cli.grouped import shortened
from indexer.core.amounts import counted, size_in_words
from indexer.core.report import Note, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.rollback import RollbackReport, SubdirRollback
    from indexer.core.snapshot_report import SnapshotInfo, SnapshotReport

_REPLACED = "has other bytes than in {name}, so it {verb}; lock files with the old digest fail all the same"
_GONE = (
    "is in {name}, and does not exist any more with these bytes, so it stays out; publish it under a new build number"
)
_HIDDEN = "is in {name}, and the patch of the channel removes it, which a rollback does not change"


def snapshot_lines(report: SnapshotReport) -> Iterator[str]:
    """A line for each snapshot: its name, date, number of packages and size."""
    width = max((len(info.name) for info in report.snapshots), default=0)
    yield from (f"  {info.name:<{width}}  {_described(info)}" for info in report.snapshots)
    if report.outcome is Outcome.PLANNED:
        yield "  nothing was deleted; repeat with --yes to delete"


def _described(info: SnapshotInfo) -> str:
    if info.created_timestamp is None:
        return "not complete"
    made = datetime.fromtimestamp(info.created_timestamp / 1000, tz=timezone.utc)
    return f"{made:%Y-%m-%d %H:%M} UTC  {counted(info.packages, 'package')}  {size_in_words(info.bytes)}"


def rollback_lines(report: RollbackReport) -> Iterator[str]:
    """What a rollback changes in each subdir."""
    withdrew, restored = ("withdrew", "restored") if report.applied else ("would withdraw", "would restore")
    for subdir, plan in sorted(report.plans.items()):
        for verb, filenames in ((withdrew, sorted(plan.leaving)), (restored, plan.restored)):
            if filenames:
                yield f"  {subdir} {verb} {counted(len(filenames), 'package')}: {shortened(filenames)}"
    if not any(plan.changed for plan in report.plans.values()):
        yield "  nothing to change"
    elif not report.applied:
        yield "  nothing was changed; repeat with --yes to roll back"


def rollback_warnings(report: RollbackReport) -> Iterator[Note]:
    """The key and the reason of each package that a rollback cannot bring back as it is in the snapshot."""
    verb = "is withdrawn" if report.applied else "would be withdrawn"
    for subdir, plan in sorted(report.plans.items()):
        for filename, reason in _remarks(plan):
            yield Note(f"{subdir}/{filename}", reason.format(name=report.snapshot, verb=verb))


def _remarks(plan: SubdirRollback) -> Iterator[tuple[str, str]]:
    for filenames, reason in ((plan.replaced, _REPLACED), (plan.gone, _GONE), (plan.hidden, _HIDDEN)):
        yield from ((filename, reason) for filename in filenames)
