"""The text of `rollback`: the packages that it withdraws and brings back, and those that it cannot bring back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text import run
from indexer.cli.text.lines import REPEAT_WITH_YES, first_line, note_lines, requests_line, shortened
from indexer.core.amounts import counted
from indexer.core.report import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.rollback import RollbackReport, SubdirRollback

_REPLACED = "has other bytes than in {name}, so it {verb}; lock files with the old digest fail all the same"
_GONE = (
    "is in {name}, and does not exist any more with these bytes, so it stays out; publish it under a new build number"
)
_HIDDEN = "is in {name}, and the patch of the channel removes it, which a rollback does not change"


errors = run.errors


def lines(report: RollbackReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from _rollback_lines(report)
    yield from run.body(report)
    yield requests_line(report.usage)


def warnings(report: RollbackReport) -> Iterator[str]:
    """The warnings of the run, and a line for each package that does not come back as it was."""
    yield from run.warnings(report)
    yield from note_lines(_rollback_notes(report), "warning: ")


def _rollback_lines(report: RollbackReport) -> Iterator[str]:
    """What a rollback changes in each subdir."""
    withdrew, restored = ("withdrew", "restored") if report.applied else ("would withdraw", "would restore")
    for subdir, plan in sorted(report.plans.items()):
        for verb, filenames in ((withdrew, sorted(plan.leaving)), (restored, plan.restored)):
            if filenames:
                yield f"  {subdir} {verb} {counted(len(filenames), 'package')}: {shortened(filenames)}"
    if not any(plan.changed for plan in report.plans.values()):
        yield "  nothing to change"
    elif not report.applied:
        yield REPEAT_WITH_YES


def _rollback_notes(report: RollbackReport) -> Iterator[Note]:
    """The key and the reason of each package that a rollback cannot bring back as it is in the snapshot."""
    verb = "is withdrawn" if report.applied else "would be withdrawn"
    for subdir, plan in sorted(report.plans.items()):
        for filename, reason in _remarks(plan):
            yield Note(f"{subdir}/{filename}", reason.format(name=report.snapshot, verb=verb))


def _remarks(plan: SubdirRollback) -> Iterator[tuple[str, str]]:
    for filenames, reason in ((plan.replaced, _REPLACED), (plan.gone, _GONE), (plan.hidden, _HIDDEN)):
        yield from ((filename, reason) for filename in filenames)
