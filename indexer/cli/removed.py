"""Lines for a person about `remove`: the files that only we read, and what the other indexer does not go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.amounts import counted
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.removal import RemovalReport


def removal_lines(report: RemovalReport) -> Iterator[str]:
    """A line for each file that only we read, and the next step."""
    verb = "deleted" if report.deleted else "would delete"
    yield from (f"  {verb}: {one_line(key)}" for key in report.own_files)
    if report.own_files and not report.deleted:
        yield "  nothing was changed; repeat with --yes"
    elif not report.exit_code:
        yield f"  the channel is ready for {report.successor}"


def removal_warnings(report: RemovalReport) -> Iterator[str]:
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
    for key in report.own_files:
        if key.endswith(names.PATCH_INSTRUCTIONS):
            yield f"warning: {key}: the patch ends; name the patch package in each run of {report.successor}"
