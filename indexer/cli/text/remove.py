"""The text of `remove`: the files that only we read, and what the other indexer does not go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text import run
from indexer.cli.text.lines import REPEAT_WITH_YES, file_lines, first_line, requests_line
from indexer.core import names
from indexer.core.amounts import counted
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.removal import RemovalReport


errors = run.errors


def lines(report: RemovalReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from run.body(report)
    yield from _own_files(report)
    yield requests_line(report.usage)


def _own_files(report: RemovalReport) -> Iterator[str]:
    """A line for each file that only we read, and the next step."""
    yield from file_lines(report.own_files, done=report.deleted)
    if report.own_files and not report.deleted:
        yield REPEAT_WITH_YES
    elif not report.exit_code:
        yield f"  the channel is ready for {report.successor}"


def warnings(report: RemovalReport) -> Iterator[str]:
    """A line for each thing that the other indexer does not go on with."""
    for subdir, sub in sorted(report.subdirs.items()):
        for note in sub.yanked:
            yield (
                f"warning: {subdir}/{one_line(note.filename)}: is yanked, and {report.successor} will list the package "
                "again; delete the package if clients must not find it"
            )
        if sub.ignored:
            yield (
                f"warning: {subdir}: {report.successor} will read {counted(len(sub.ignored), 'ignored package')}; "
                "delete these packages if they are broken"
            )
        if sub.pruned:
            yield (
                f"warning: {subdir}: {report.successor} will list {counted(len(sub.pruned), 'pruned package')} again; "
                "to delete the files, first repeat `indexer prune` with --yes --grace 0s"
            )
    for key in report.own_files:
        if key.endswith(names.PATCH_INSTRUCTIONS):
            yield f"warning: {key}: the patch ends; name the patch package in each run of {report.successor}"
    yield from run.warnings(report)
