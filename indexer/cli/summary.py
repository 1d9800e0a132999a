"""What a person reads of a report: the summary, and a line for each thing that is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.grouped import grouped
from indexer.core.amounts import counted, size_in_words
from indexer.core.printable import one_line
from indexer.core.recent import DAYS
from indexer.core.report import Collected, Note, Outcome, Report, Verdict
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from indexer.core.report import SubdirCollected, SubdirReport, SubdirVerdict
    from indexer.core.usage import Usage
    from indexer.core.verify import Fault

# How many names a line of a plan has.
_NAMES_SHOWN = 10


def summary(report: Report | Verdict | Collected) -> Iterator[str]:
    """The lines of a report on standard output."""
    outcome = report.outcome.value if isinstance(report, Report) else report.outcome
    yield f"{report.channel}: {outcome} in {report.seconds:.1f} s"
    if isinstance(report, Report):
        wide = {"channel": _wide(report.wide)} if report.wide else {}
        yield from _by_subdir({name: _subdir(sub) for name, sub in report.subdirs.items()}, wide)
        yield from _planned(report)
        yield from _yanked(report)
        yield from _hidden(report)
        if read := _read(report):
            yield f"  packages: {read}"
        if asked := sum(sub.asked for sub in report.subdirs.values()):
            to_be = "to be " if report.outcome is Outcome.PLANNED else ""
            yield f"  known packages {to_be}read once for what they say of themselves: {asked:,}"
        if unknown := sum(sub.incomplete for sub in report.subdirs.values()):
            verb = "is" if unknown == 1 else "are"
            yield f"  run exports of {counted(unknown, 'package')} {verb} unknown: repeat with --complete to read these"
    elif isinstance(report, Verdict):
        yield from _by_subdir({name: _looked_at(sub) for name, sub in report.subdirs.items()})
    else:
        yield from _by_subdir({name: _swept(sub, report) for name, sub in report.subdirs.items()})
        if report.outcome == "planned":
            yield "  nothing was deleted; repeat with --yes to delete"
    yield _store(report.usage)


def _planned(report: Report) -> Iterator[str]:
    """The names of what a plan would change, a line for each list that is not empty."""
    parts = [*sorted(report.subdirs.items()), *([("channel", report.wide)] if report.wide else [])]
    for name, part in parts:
        if part.outcome is Outcome.PLANNED:
            lists = (part.added, part.updated, part.removed, part.written, part.deleted)
            for verb, found in zip(("add", "update", "remove", "write", "delete"), lists, strict=True):
                if found:
                    yield f"  {name} would {verb}: {_some(found)}"


def _some(found: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    named = ", ".join(map(one_line, found[:_NAMES_SHOWN]))
    more = len(found) - _NAMES_SHOWN
    return f"{named} and {more:,} more (--json lists all)" if more > 0 else named


def _yanked(report: Report) -> Iterator[str]:
    """What a plan finds yanked."""
    for name, sub in sorted(report.subdirs.items()):
        if sub.outcome is Outcome.PLANNED:
            yield from (f"  yanked: {name}/{one_line(note.filename)}: {one_line(note.reason)}" for note in sub.yanked)
            yield from (f"  ignored: {name}/{one_line(note.filename)}: {one_line(note.reason)}" for note in sub.ignored)


def _hidden(report: Report) -> Iterator[str]:
    """How many packages of a planned channel a client does not see that excludes those of the last week."""
    planned = [sub for sub in report.subdirs.values() if sub.outcome is Outcome.PLANNED and sub.recent is not None]
    if planned:
        count, packages = sum(sub.recent or 0 for sub in planned), sum(sub.packages for sub in planned)
        yield f"  a client with exclude-newer of {DAYS} days does not see {count:,} of {counted(packages, 'package')}"


def _by_subdir(said: Mapping[str, str], then: Mapping[str, str] | None = None) -> Iterator[str]:
    lines = {**dict(sorted(said.items())), **(then or {})}
    width = max(map(len, lines), default=0)
    return (f"  {name:<{width}}  {words}" for name, words in lines.items())


def _store(usage: Usage) -> str:
    verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(usage.requests.items()))
    return (
        f"  store: {usage.requests.total()} requests ({verbs}), "
        f"{size_in_words(usage.bytes_read)} read, {size_in_words(usage.bytes_written)} written"
    )


def _looked_at(sub: SubdirVerdict) -> str:
    read = f", {counted(sub.read, 'package')} read" if sub.read else ""
    shards = f"  {counted(sub.shards, 'shard')}" if sub.shards else ""
    return f"{counted(sub.packages, 'package'):>14}{shards}{read}  {counted(len(sub.faults), 'fault')}"


def _swept(sub: SubdirCollected, report: Collected) -> str:
    if sub.error is not None:
        return "failed"
    if not sub.orphans:
        return "nothing to delete"
    would = "deleted" if report.deleted else "would delete"
    back = f", put back {len(sub.restored)}" if sub.restored else ""
    return f"{would} {counted(len(sub.orphans), 'file')}, {size_in_words(sub.bytes)}{back}"


def _subdir(sub: SubdirReport) -> str:
    if sub.error is not None:
        return sub.outcome.value
    changes = f"+{len(sub.added)} ~{len(sub.updated)} -{len(sub.removed)}"
    done = _written(sub)
    if sub.reread:
        done += f", {sub.reread:,} re-read"
    if sub.rejected:
        done += f", {'would reject' if sub.outcome is Outcome.PLANNED else 'rejected'} {len(sub.rejected)}"
        done += f" ({len(sub.new_rejected)} new)" if 0 < len(sub.new_rejected) < len(sub.rejected) else ""
    for count, what in ((len(sub.yanked), "yanked"), (len(sub.ignored), "ignored")):
        done += f", {count} {what}" if count else ""
    if sub.laps > 1:
        done += f", in {sub.laps} laps"
    return f"{counted(sub.packages, 'package'):>14}  {changes:<12}  {done}"


def _wide(wide: SubdirReport) -> str:
    if wide.error is not None:
        return wide.outcome.value
    # Notices alone tell of no package.
    names = counted(wide.packages, "name") if wide.packages else ""
    return f"{names:>14}  {'':<12}  {_written(wide)}"


def _written(sub: SubdirReport) -> str:
    would = "would write" if sub.outcome is Outcome.PLANNED else "wrote"
    done = f"{would} {counted(len(sub.written), 'file')}" if sub.written or sub.deleted else "nothing to write"
    if sub.deleted:
        done += f", {'would delete' if sub.outcome is Outcome.PLANNED else 'deleted'} {len(sub.deleted)}"
    return done


def _read(report: Report) -> str:
    """The ways that packages were read, or not, in words."""
    ways: dict[str, list[int]] = {}
    for sub in report.subdirs.values():
        for name, way in sub.ways.items():
            total = ways.setdefault(name, [0, 0, 0])
            total[:] = total[0] + way.packages, total[1] + way.requests, total[2] + way.bytes
    return "; ".join(
        f"{packages:,} {_WORDS[name]}"
        + (f" ({counted(requests, 'request')}, {size_in_words(count)})" if requests else "")
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


def complaints(report: Report | Verdict | Collected) -> Iterator[str]:
    """A line for each error, each fault and each rejected package."""
    if isinstance(report, Verdict):
        yield from _found("fault", report.faults)
    elif isinstance(report, Collected):
        command = Target(report.channel).command
        for _, found in sorted(report.subdirs.items()):
            if found.error is not None:
                yield f"error: {found.error}"
            yield from grouped(
                found.missing,
                lambda _: (),
                lambda key, more: f"fault: {key}: is not there, and the index names it{more}; run `{command} --force`",
            )
    else:
        yield from _rejected(report)


def _rejected(report: Report) -> Iterator[str]:
    subdirs = sorted(report.subdirs.items())
    wide = [report.wide] if report.wide else []
    errors = [part.error for part in (*wide, *(sub for _, sub in subdirs)) if part.error is not None]
    yield from grouped(errors, lambda error: (error,), lambda error, more: f"error: {error}{more}")
    for name, sub in subdirs:
        yield from _noted(
            sub.rejected,
            f"rejected: {name}/",
            "; rebuild the package and upload it again, delete it, or hide it with `indexer ignore`",
        )
        missing = [Note(filename, "is neither in the channel nor in its index") for filename in sub.missing]
        yield from _noted(missing, f"missing: {name}/", "; check the name")


def _noted(notes: Iterable[Note], before: str, after: str = "") -> Iterator[str]:
    return grouped(
        notes,
        lambda note: (note.reason,),
        lambda note, more: f"{before}{one_line(note.filename)}: {one_line(note.reason)}{more}{after}",
    )


def _found(word: str, faults: Iterable[Fault]) -> Iterator[str]:
    return grouped(
        faults,
        lambda fault: (fault.key.rpartition("/")[0], fault.reason, fault.next_step),
        lambda fault, more: f"{word}: {one_line(fault.key)}: {one_line(fault.reason)}{more}; {fault.next_step}",
    )


def remarks(report: Report | Verdict | Collected) -> Iterator[str]:
    """A line for each warning or hint, and for each file that a gc would delete."""
    if isinstance(report, Verdict):
        yield from _found("hint", report.hints)
    elif isinstance(report, Collected):
        would = "deleted" if report.deleted else "would delete"
        yield from (f"{would}: {key}" for _, sub in sorted(report.subdirs.items()) for key in sorted(sub.orphans))
    else:
        yield from _warnings(report)


def _warnings(report: Report) -> Iterator[str]:
    yield from _noted(report.not_indexed, "note: ")
    for name, sub in sorted(report.subdirs.items()):
        yield from _noted(sub.warnings, f"warning: {name}/")
