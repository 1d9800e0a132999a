"""The text of `gc`: the unused files of each subdir, and shards that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text.lines import (
    REPEAT_WITH_YES,
    aligned,
    delete_verb,
    file_lines,
    first_line,
    grouped,
    nothing,
    requests_line,
)
from indexer.core.amounts import counted, size_in_words
from indexer.core.report import Outcome
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.gc_report import GcReport, SubdirGc

warnings = nothing


def lines(report: GcReport) -> Iterator[str]:
    """The lines on standard output."""
    yield first_line(report, report.outcome)
    yield from aligned({name: _collected(sub, report) for name, sub in sorted(report.subdirs.items())})
    yield from file_lines([key for _, sub in sorted(report.subdirs.items()) for key in sub.unused], done=report.deleted)
    if report.outcome is Outcome.PLANNED:
        yield REPEAT_WITH_YES
    yield requests_line(report.usage)


def errors(report: GcReport) -> Iterator[str]:
    """A line for each error, and for each shard that is missing."""
    command = Target(report.channel).command
    for _, sub in sorted(report.subdirs.items()):
        if sub.error is not None:
            yield f"error: {sub.error}"
        yield from grouped(
            sub.missing_shards,
            lambda _: (),
            lambda key, more: f"fault: {key}: is in the shard index, but missing{more}; run `{command} --force`",
        )


def _collected(sub: SubdirGc, report: GcReport) -> str:
    if sub.error is not None:
        return "failed"
    if not sub.unused:
        return "nothing to delete"
    verb = delete_verb(done=report.deleted)
    restored = f", restored {len(sub.restored)}" if sub.restored else ""
    return f"{verb} {counted(len(sub.unused), 'file')}, {size_in_words(sub.bytes)}{restored}"
