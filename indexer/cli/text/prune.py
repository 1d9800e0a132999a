"""The text of `prune`: the packages that go, by what happens to them, and why the others stay."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from indexer.cli.text import run
from indexer.cli.text.lines import REPEAT_WITH_YES, delete_verb, first_line, requests_line
from indexer.core.amounts import counted, size_in_words
from indexer.core.printable import one_line
from indexer.core.pruning import Result
from indexer.core.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.core.pruning import JudgedPackage, PruneReport

# The number of packages in a list.
_SHOWN = 10
_WORDS = {
    Result.LEFT: "left the index",
    Result.WOULD_LEAVE: "would leave the index",
    Result.DELETED: delete_verb(done=True),
    Result.WOULD_DELETE: delete_verb(done=False),
    Result.RESTORED: "restored",
    Result.WOULD_RESTORE: "would restore",
    Result.WAITS: "waiting for the end of the grace",
    Result.HELD: "kept only for a snapshot",
}


warnings = run.warnings


def lines(report: PruneReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from _pruned_lines(report)
    yield from run.body(report)
    yield requests_line(report.usage)


def _pruned_lines(report: PruneReport) -> Iterator[str]:
    """The packages that do not simply stay, and how many stay for each reason."""
    for result, words in _WORDS.items():
        some = [package for package in report.packages if package.result is result]
        if some:
            yield f"  {words}: {_amount(some)}"
            yield from (f"    {one_line(package.key)}  {size_in_words(package.size)}" for package in some[:_SHOWN])
            if len(some) > _SHOWN:
                yield f"    and {len(some) - _SHOWN:,} more (--json lists all)"
    kept = [package for package in report.packages if package.result is Result.KEPT]
    yield f"  kept in the index: {_amount(kept)}{_reasons(kept)}"
    if report.outcome is Outcome.PLANNED:
        yield REPEAT_WITH_YES


def errors(report: PruneReport) -> Iterator[str]:
    """A line for each error of a deletion and of the run."""
    yield from (f"error: {error}" for error in report.errors)
    yield from run.errors(report)


def _amount(packages: Sequence[JudgedPackage]) -> str:
    return f"{counted(len(packages), 'package')}, {size_in_words(sum(package.size for package in packages))}"


def _reasons(packages: Sequence[JudgedPackage]) -> str:
    """How many packages have each reason; a package can have several."""
    counts = Counter(reason for package in packages for reason in package.reasons)
    parts = [f"{reason}: {count:,}" for reason, count in counts.most_common()]
    return f" ({', '.join(parts)})" if parts else ""
