"""The text of a run: what changed in each subdir, how packages were read, and each bad package."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from indexer.cli.text.lines import aligned, delete_verb, first_line, grouped, note_lines, requests_line, shortened
from indexer.cli.text.settings import setting_lines
from indexer.core import names
from indexer.core.amounts import counted, size_in_words
from indexer.core.printable import one_line
from indexer.core.recent import DAYS
from indexer.core.report import Note, Outcome, ReadCount
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from indexer.core.report import Report, SubdirReport

_STRATEGIES = {
    "kept": "known without reading",
    "whole": "read whole",
    "tail": "read by their tail",
    "head": "read by their head",
    "stream": "read as a stream",
    "record": "known from the other channel",
}


def lines(report: Report) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from body(report)
    if report.outcome is Outcome.PLANNED and report.has_work:
        yield f"  nothing was changed; `{Target(report.channel).command}` with the same options does this"
    yield requests_line(report.usage)


def errors(report: Report) -> Iterator[str]:
    """A line for each error and each rejected package."""
    subdirs = sorted(report.subdirs.items())
    parts = [*([report.channel_files] if report.channel_files else []), *(sub for _, sub in subdirs)]
    errors = [part.error for part in parts if part.error is not None]
    yield from grouped(errors, lambda error: (error,), lambda error, more: f"error: {error}{more}")
    for name, sub in subdirs:
        yield from note_lines(
            sub.rejected,
            f"rejected: {name}/",
            "; rebuild the package and upload it again, delete it, or hide it with `indexer ignore`",
        )
        missing = [Note(filename, "is neither in the channel nor in its index") for filename in sub.missing]
        yield from note_lines(missing, f"missing: {name}/", "; check the name")


def warnings(report: Report) -> Iterator[str]:
    """A line for each folder that is not indexed, and for each warning about a package."""
    yield from note_lines(report.not_indexed, "note: ")
    for name, sub in sorted(report.subdirs.items()):
        yield from note_lines(sub.warnings, f"warning: {name}/")


def body(report: Report) -> Iterator[str]:
    """The lines between the first and the last."""
    yield from setting_lines(report.settings)
    subdirs = {name: _subdir(sub) for name, sub in sorted(report.subdirs.items())}
    yield from aligned(subdirs | ({"channel": _root(report.channel_files)} if report.channel_files else {}))
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
    yield from (f"  {name} would {verb}: {shortened(_files_and_shards(keys))}" for verb, keys in lists.items() if keys)


def _files_and_shards(keys: Collection[str]) -> list[str]:
    """Keys of files, and at the end the number of shards: their names are digests, which say nothing to a person."""
    files = [key for key in keys if f"/{names.SHARDS_FOLDER}" not in key]
    shards = len(keys) - len(files)
    return [*files, *([counted(shards, "shard")] if shards else [])]


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
    count = counted(root.packages, "name") if root.packages else ""
    return f"{count:>14}  {'':<12}  {_files(root)}"


def _files(sub: SubdirReport) -> str:
    done = sub.outcome is not Outcome.PLANNED
    write, delete = "wrote" if done else "would write", delete_verb(done=done)
    if not sub.written:
        return f"{delete} {counted(len(sub.deleted), 'file')}" if sub.deleted else "nothing to write"
    written = f"{write} {counted(len(sub.written), 'file')}"
    return f"{written}, {delete} {len(sub.deleted)}" if sub.deleted else written
