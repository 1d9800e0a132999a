"""Lines for a person from a report: the summary, a line for each error, and a line for each warning."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from indexer.cli.grouped import grouped, shortened
from indexer.cli.pruned import pruned_errors, pruned_lines
from indexer.cli.published import package_errors, package_lines, package_warnings
from indexer.cli.removed import removal_lines, removal_warnings
from indexer.cli.snapshots import rollback_lines, rollback_warnings, snapshot_lines
from indexer.core.amounts import counted, size_in_words
from indexer.core.channel_settings import in_words
from indexer.core.printable import one_line
from indexer.core.pruning import PruneReport
from indexer.core.publishing import PublishReport
from indexer.core.recent import DAYS
from indexer.core.removal import RemovalReport
from indexer.core.report import (
    CheckReport,
    GcReport,
    Note,
    Outcome,
    ReadCount,
    Report,
    SettingsReport,
)
from indexer.core.rollback import RollbackReport
from indexer.core.snapshot_report import SnapshotReport
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from indexer.core.channel_settings import SettingChange
    from indexer.core.report import SubdirCheck, SubdirGc, SubdirReport
    from indexer.core.usage import Usage
    from indexer.core.verify import Fault

    AnyReport = Report | CheckReport | GcReport | SettingsReport | SnapshotReport

# The longest value that the column of values is made for.
_WIDE = 40
_STRATEGIES = {
    "kept": "known without reading",
    "whole": "read whole",
    "tail": "read by their tail",
    "head": "read by their head",
    "stream": "read as a stream",
    "record": "known from the other channel",
}


def summary(report: AnyReport) -> Iterator[str]:
    """The lines of a report on standard output."""
    if isinstance(report, SettingsReport):
        yield from _settings_lines(report)
        return
    yield f"{report.channel}: {report.outcome.value} in {report.seconds:.1f} s"
    if isinstance(report, Report):
        yield from package_lines(report) if isinstance(report, PublishReport) else ()
        yield from rollback_lines(report) if isinstance(report, RollbackReport) else ()
        yield from pruned_lines(report) if isinstance(report, PruneReport) else ()
        yield from _run_lines(report)
        yield from removal_lines(report) if isinstance(report, RemovalReport) else ()
    elif isinstance(report, CheckReport):
        yield from _aligned({name: _checked(sub) for name, sub in sorted(report.subdirs.items())})
    elif isinstance(report, SnapshotReport):
        yield from snapshot_lines(report)
    else:
        yield from _aligned({name: _collected(sub, report) for name, sub in sorted(report.subdirs.items())})
        if report.outcome is Outcome.PLANNED:
            yield "  nothing was deleted; repeat with --yes to delete"
    yield _requests(report.usage)


def setting_lines(changes: Iterable[SettingChange]) -> Iterator[str]:
    """A line for each setting that changes: its key, both values, and the reason."""
    for change in changes:
        reason = ", ".join(filter(None, [change.reason, "" if change.saved else "this run only"]))
        words = f"{in_words(change.before)} -> {in_words(change.after)}"
        yield f"  {change.key}: {one_line(words)} ({one_line(reason)})"


def _settings_lines(report: SettingsReport) -> Iterator[str]:
    """What was changed, then a line for each setting."""
    yield f"{report.channel}: {'settings are saved; the next run applies them' if report.saved else 'settings'}"
    yield from setting_lines(report.changes)
    rows = [(row.key, one_line(in_words(row.value)), row.origin) for row in report.settings]
    keys, values = (max(len(row[place]) for row in rows) for place in (0, 1))
    yield from (f"  {key:<{keys}}  {value:<{min(values, _WIDE)}}  {origin}" for key, value, origin in rows)


def _run_lines(report: Report) -> Iterator[str]:
    yield from setting_lines(report.settings)
    subdirs = {name: _subdir(sub) for name, sub in sorted(report.subdirs.items())}
    yield from _aligned(subdirs | ({"channel": _root(report.channel_files)} if report.channel_files else {}))
    for name, sub in _planned(report):
        yield from _changes(name, sub)
    for name, sub in _planned(report):
        yield from (f"  yanked: {name}/{one_line(note.filename)}: {one_line(note.reason)}" for note in sub.yanked)
        yield from (f"  ignored: {name}/{one_line(note.filename)}: {one_line(note.reason)}" for note in sub.ignored)
    yield from _too_new(report)
    yield from _read(report)


def _planned(report: Report) -> list[tuple[str, SubdirReport]]:
    """The subdirs, and the root as `channel`, that are a plan."""
    parts = [*sorted(report.subdirs.items()), *([("channel", report.channel_files)] if report.channel_files else [])]
    return [(name, part) for name, part in parts if part.outcome is Outcome.PLANNED]


def _changes(name: str, plan: SubdirReport) -> Iterator[str]:
    """The names of what a plan would change, a line for each list that is not empty."""
    lists = {
        "add": plan.added,
        "update": plan.updated,
        "remove": plan.removed,
        "write": plan.written,
        "delete": plan.deleted,
    }
    yield from (f"  {name} would {verb}: {shortened(names)}" for verb, names in lists.items() if names)


def _too_new(report: Report) -> Iterator[str]:
    """How many packages of a planned channel are hidden from a client that excludes packages of the last week."""
    plans = [plan for _, plan in _planned(report) if plan.newer_than_7_days is not None]
    if plans:
        count, packages = sum(plan.newer_than_7_days or 0 for plan in plans), sum(plan.packages for plan in plans)
        yield f"  a client with exclude-newer of {DAYS} days does not see {count:,} of {counted(packages, 'package')}"


def _read(report: Report) -> Iterator[str]:
    """How packages were read, and how many have unknown run exports."""
    subdirs = report.subdirs.values()
    if parts := [_read_count(strategy, total) for strategy, total in _totals(subdirs) if total.packages]:
        yield f"  packages: {'; '.join(parts)}"
    if read := sum(sub.metadata_read for sub in subdirs):
        verb = "to read" if report.outcome is Outcome.PLANNED else "read"
        yield f"  metadata {verb} of {counted(read, 'known package')}"
    if unknown := sum(sub.run_exports_unknown for sub in subdirs):
        verb = "is" if unknown == 1 else "are"
        yield f"  run exports of {counted(unknown, 'package')} {verb} unknown: repeat with --complete to read these"


def _totals(subdirs: Collection[SubdirReport]) -> Iterator[tuple[str, ReadCount]]:
    """The strategies of reading, each with the count of all subdirs."""
    for strategy in sorted({strategy for sub in subdirs for strategy in sub.read}):
        yield strategy, reduce(add, (sub.read.get(strategy, ReadCount()) for sub in subdirs))


def _read_count(strategy: str, total: ReadCount) -> str:
    effort = f" ({counted(total.requests, 'request')}, {size_in_words(total.bytes)})" if total.requests else ""
    return f"{total.packages:,} {_STRATEGIES[strategy]}{effort}"


def _aligned(texts: Mapping[str, str]) -> Iterator[str]:
    """A line for each name and its text, with the texts below each other."""
    width = max(map(len, texts), default=0)
    return (f"  {name:<{width}}  {text}" for name, text in texts.items())


def _requests(usage: Usage) -> str:
    verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(usage.requests.items()))
    return (
        f"  store: {usage.requests.total()} requests{f' ({verbs})' if verbs else ''}, "
        f"{size_in_words(usage.bytes_read)} read, {size_in_words(usage.bytes_written)} written"
    )


def _checked(sub: SubdirCheck) -> str:
    read = f", {counted(sub.packages_read, 'package')} read" if sub.packages_read else ""
    shards = f"  {counted(sub.shards, 'shard')}" if sub.shards else ""
    return f"{counted(sub.packages, 'package'):>14}{shards}{read}  {counted(len(sub.faults), 'fault')}"


def _collected(sub: SubdirGc, report: GcReport) -> str:
    if sub.error is not None:
        return "failed"
    if not sub.unused:
        return "nothing to delete"
    verb = "deleted" if report.deleted else "would delete"
    restored = f", restored {len(sub.restored)}" if sub.restored else ""
    return f"{verb} {counted(len(sub.unused), 'file')}, {size_in_words(sub.bytes)}{restored}"


def _subdir(sub: SubdirReport) -> str:
    if sub.error is not None:
        return sub.outcome.value
    changes = f"+{len(sub.added)} ~{len(sub.updated)} -{len(sub.removed)}"
    remarks = [_files(sub)]
    if sub.reread:
        remarks.append(f"{sub.reread:,} re-read")
    if sub.rejected:
        remarks.append(_rejected_count(sub))
    if sub.yanked:
        remarks.append(f"{len(sub.yanked)} yanked")
    if sub.ignored:
        remarks.append(f"{len(sub.ignored)} ignored")
    if sub.pruned:
        remarks.append(f"{len(sub.pruned)} pruned")
    if sub.attempts > 1:
        remarks.append(f"{sub.attempts} attempts")
    return f"{counted(sub.packages, 'package'):>14}  {changes:<12}  {', '.join(remarks)}"


def _rejected_count(sub: SubdirReport) -> str:
    verb = "would reject" if sub.outcome is Outcome.PLANNED else "rejected"
    new = f" ({len(sub.new_rejected)} new)" if 0 < len(sub.new_rejected) < len(sub.rejected) else ""
    return f"{verb} {len(sub.rejected)}{new}"


def _root(root: SubdirReport) -> str:
    if root.error is not None:
        return root.outcome.value
    # A channel that has only notices has no names.
    names = counted(root.packages, "name") if root.packages else ""
    return f"{names:>14}  {'':<12}  {_files(root)}"


def _files(sub: SubdirReport) -> str:
    write, delete = ("would write", "would delete") if sub.outcome is Outcome.PLANNED else ("wrote", "deleted")
    written = f"{write} {counted(len(sub.written), 'file')}" if sub.written or sub.deleted else "nothing to write"
    return f"{written}, {delete} {len(sub.deleted)}" if sub.deleted else written


def error_lines(report: AnyReport) -> Iterator[str]:
    """A line for each error, each fault and each rejected package."""
    if isinstance(report, CheckReport):
        yield from _fault_lines("fault", report.faults)
    elif isinstance(report, GcReport):
        yield from _gc_errors(report)
    elif isinstance(report, Report):
        yield from package_errors(report) if isinstance(report, PublishReport) else ()
        yield from pruned_errors(report) if isinstance(report, PruneReport) else ()
        yield from _run_errors(report)


def _gc_errors(report: GcReport) -> Iterator[str]:
    command = Target(report.channel).command
    for _, sub in sorted(report.subdirs.items()):
        if sub.error is not None:
            yield f"error: {sub.error}"
        yield from grouped(
            sub.missing_shards,
            lambda _: (),
            lambda key, more: f"fault: {key}: is in the shard index, but missing{more}; run `{command} --force`",
        )


def _run_errors(report: Report) -> Iterator[str]:
    subdirs = sorted(report.subdirs.items())
    parts = [*([report.channel_files] if report.channel_files else []), *(sub for _, sub in subdirs)]
    errors = [part.error for part in parts if part.error is not None]
    yield from grouped(errors, lambda error: (error,), lambda error, more: f"error: {error}{more}")
    for name, sub in subdirs:
        yield from _note_lines(
            sub.rejected,
            f"rejected: {name}/",
            "; rebuild the package and upload it again, delete it, or hide it with `indexer ignore`",
        )
        missing = [Note(filename, "is neither in the channel nor in its index") for filename in sub.missing]
        yield from _note_lines(missing, f"missing: {name}/", "; check the name")


def _note_lines(notes: Iterable[Note], before: str, after: str = "") -> Iterator[str]:
    return grouped(
        notes,
        lambda note: (note.reason,),
        lambda note, more: f"{before}{one_line(note.filename)}: {one_line(note.reason)}{more}{after}",
    )


def _fault_lines(word: str, faults: Iterable[Fault]) -> Iterator[str]:
    return grouped(
        faults,
        lambda fault: (fault.key.rpartition("/")[0], fault.reason, fault.next_step),
        lambda fault, more: f"{word}: {one_line(fault.key)}: {one_line(fault.reason)}{more}; {fault.next_step}",
    )


def warning_lines(report: AnyReport) -> Iterator[str]:
    """A line for each warning or hint, and for each file that a gc would delete or deleted."""
    if isinstance(report, CheckReport):
        yield from _fault_lines("hint", report.hints)
    elif isinstance(report, GcReport):
        verb = "deleted" if report.deleted else "would delete"
        yield from (f"{verb}: {key}" for _, sub in sorted(report.subdirs.items()) for key in sub.unused)
    elif isinstance(report, Report):
        yield from removal_warnings(report) if isinstance(report, RemovalReport) else ()
        yield from package_warnings(report) if isinstance(report, PublishReport) else ()
        yield from _note_lines(report.not_indexed, "note: ")
        for name, sub in sorted(report.subdirs.items()):
            yield from _note_lines(sub.warnings, f"warning: {name}/")
        if isinstance(report, RollbackReport):
            yield from _note_lines(rollback_warnings(report), "warning: ")
