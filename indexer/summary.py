"""What a person reads of a report: the summary, and a line for each package that is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.report import Report, SubdirReport

_SUBDIRS_NAMED = 5


def summary(report: Report) -> Iterator[str]:
    """The lines of a report on standard output."""
    yield f"{report.channel}: {report.outcome.value} in {report.seconds:.1f} s"
    width = max(map(len, report.subdirs), default=0)
    for name, sub in sorted(report.subdirs.items()):
        yield f"  {name:<{width}}  {_subdir(sub)}"
    if read := _read(report):
        yield f"  packages: {read}"
    usage = report.usage
    verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(usage.requests.items()))
    yield (
        f"  store: {usage.requests.total()} requests ({verbs}), "
        f"{size(usage.bytes_read)} read, {size(usage.bytes_written)} written"
    )


def _subdir(sub: SubdirReport) -> str:
    if sub.error is not None:
        return sub.outcome.value
    changes = f"+{len(sub.added)} ~{len(sub.updated)} -{len(sub.removed)}"
    would = "would write" if sub.outcome is Outcome.PLANNED else "wrote"
    done = f"{would} {_count(len(sub.written), 'file')}" if sub.written or sub.deleted else "nothing to write"
    if sub.deleted:
        done += f", {'would delete' if sub.outcome is Outcome.PLANNED else 'deleted'} {len(sub.deleted)}"
    if sub.rejected:
        done += f", {'would reject' if sub.outcome is Outcome.PLANNED else 'rejected'} {len(sub.rejected)}"
    if sub.laps > 1:
        done += f", in {sub.laps} laps"
    return f"{_count(sub.packages, 'package'):>14}  {changes:<12}  {done}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _read(report: Report) -> str:
    """The ways that packages were read, or not, in words."""
    ways: dict[str, list[int]] = {}
    for sub in report.subdirs.values():
        for name, way in sub.ways.items():
            total = ways.setdefault(name, [0, 0, 0])
            total[:] = total[0] + way.packages, total[1] + way.requests, total[2] + way.bytes
    return "; ".join(
        f"{packages:,} {_WORDS[name]}" + (f" ({_count(requests, 'request')}, {size(count)})" if requests else "")
        for name, (packages, requests, count) in sorted(ways.items())
        if packages
    )


_WORDS = {
    "kept": "known without reading",
    "whole": "read whole",
    "tail": "read by their tail",
    "head": "read by their head",
    "stream": "read as a stream",
}


def size(count: int) -> str:
    """A number of bytes for people."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004  the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def complaints(report: Report) -> Iterator[str]:
    """A line for each error and each rejected package."""
    for name, sub in sorted(report.subdirs.items()):
        if sub.error is not None:
            yield f"error: {sub.error}"
        for note in sub.rejected:
            yield f"rejected: {name}/{note.filename}: {note.reason}; mend or delete the package"


def remarks(report: Report) -> Iterator[str]:
    """A line for each warning."""
    if report.ignored:
        named = ", ".join(report.ignored[:_SUBDIRS_NAMED])
        more = len(report.ignored) - _SUBDIRS_NAMED
        yield (
            f"note: not a known subdir, left alone: {named}{f' and {more} more' if more > 0 else ''}"
            "; to index one all the same, name it with --subdir"
        )
    for name, sub in sorted(report.subdirs.items()):
        for note in sub.warnings:
            yield f"warning: {name}/{note.filename}: {note.reason}"
