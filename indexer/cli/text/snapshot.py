"""The text of `snapshot`: each snapshot with its date, its number of packages and its size."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from indexer.cli.text.lines import REPEAT_WITH_YES, delete_verb, first_line, nothing, requests_line
from indexer.core.amounts import counted, size_in_words
from indexer.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.snapshot_report import SnapshotInfo, SnapshotReport


errors = warnings = nothing


def lines(report: SnapshotReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from _snapshot_lines(report)
    yield requests_line(report.usage)


def _snapshot_lines(report: SnapshotReport) -> Iterator[str]:
    """A line for each snapshot: its name, date, number of packages and size."""
    width = max((len(info.name) for info in report.snapshots), default=0)
    deletes = report.outcome in {Outcome.PLANNED, Outcome.DELETED}
    verb = f"{delete_verb(done=report.outcome is Outcome.DELETED)}: " if deletes else ""
    yield from (f"  {verb}{info.name:<{width}}  {_described(info)}" for info in report.snapshots)
    if not report.snapshots:
        yield "  no snapshot"
    if report.outcome is Outcome.PLANNED:
        yield REPEAT_WITH_YES


def _described(info: SnapshotInfo) -> str:
    if info.created_timestamp is None:
        return "not complete"
    made = datetime.fromtimestamp(info.created_timestamp / 1000, tz=timezone.utc)
    return f"{made:%Y-%m-%d %H:%M} UTC  {counted(info.packages, 'package')}  {size_in_words(info.bytes)}"
