"""The text of `check`: the packages and faults of each subdir, and each fault with the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text.lines import aligned, first_line, grouped, requests_line
from indexer.core.amounts import counted
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from indexer.core.report import CheckReport, SubdirCheck
    from indexer.core.verify import Fault


def lines(report: CheckReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from aligned({name: _checked(sub) for name, sub in sorted(report.subdirs.items())})
    yield requests_line(report.usage)


def errors(report: CheckReport) -> Iterator[str]:
    """A line for each fault."""
    return _fault_lines("fault", report.faults)


def warnings(report: CheckReport) -> Iterator[str]:
    """A line for each hint."""
    return _fault_lines("hint", report.hints)


def _checked(sub: SubdirCheck) -> str:
    read = f", {counted(sub.packages_read, 'package')} read" if sub.packages_read else ""
    shards = f"  {counted(sub.shards, 'shard')}" if sub.shards else ""
    return f"{counted(sub.packages, 'package'):>14}{shards}{read}  {counted(len(sub.faults), 'fault')}"


def _fault_lines(word: str, faults: Iterable[Fault]) -> Iterator[str]:
    return grouped(
        faults,
        lambda fault: (fault.key.rpartition("/")[0], fault.reason, fault.next_step),
        lambda fault, more: f"{word}: {one_line(fault.key)}: {one_line(fault.reason)}{more}; {fault.next_step}",
    )
