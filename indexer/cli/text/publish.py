"""The text of `publish` and `promote`: a line for each package, and one for each that was not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text import run
from indexer.cli.text.lines import first_line, note_lines, requests_line
from indexer.core.amounts import size_in_words
from indexer.core.printable import one_line
from indexer.core.publishing import PromoteReport, Sending
from indexer.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.publishing import PublishReport

_DIFFERENT = (
    "has other bytes in the channel; give the package a new build number, or replace it with --replace, after which "
    "lock files that have the old digest fail"
)
_DIFFERENT_THERE = (
    "has other bytes in the channel, which stay; give the package a new build number, or promote the others only"
)


def lines(report: PublishReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from _package_lines(report)
    yield from run.body(report)
    if report.outcome is Outcome.PLANNED:
        yield "  nothing was changed; repeat without --dry-run"
    yield requests_line(report.usage)


def _package_lines(report: PublishReport) -> Iterator[str]:
    """A line for each valid file: the result, the key and the size."""
    shown = [package for package in report.packages if package.result is not Sending.REJECTED]
    width = max((len(package.result.value) for package in shown), default=0)
    for package in shown:
        more = ", with attestations" if package.attestations else ""
        yield f"  {package.result.value:<{width}}  {one_line(package.key)}  {size_in_words(package.size)}{more}"


def errors(report: PublishReport) -> Iterator[str]:
    """A line for each file that is rejected, and for each that has other bytes in the channel."""
    step = (
        "rebuild the package"
        if report.partial
        else "nothing was changed: rebuild the package, or send the others with --partial"
    )
    for package in report.packages:
        if package.result is Sending.REJECTED:
            yield f"rejected: {one_line(package.file)}: {one_line(package.reason)}; {step}"
        elif package.result is Sending.DIFFERENT:
            reason = _DIFFERENT_THERE if isinstance(report, PromoteReport) else _DIFFERENT
            yield f"refused: {one_line(package.key)}: {reason}"
    yield from run.errors(report)


def warnings(report: PublishReport) -> Iterator[str]:
    """A line for each remark on a package, and the warnings of the run."""
    for package in report.packages:
        if package.result.replaces and package.reason:
            yield f"warning: {one_line(package.key)}: {one_line(package.reason)}"
    if isinstance(report, PromoteReport):
        yield from note_lines(report.notes, "warning: ")
    yield from run.warnings(report)
