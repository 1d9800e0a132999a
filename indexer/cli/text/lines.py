"""What the texts of all reports share: the first and the last line, columns, and groups of similar lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from indexer.core.amounts import size_in_words
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from indexer.core.report import ChannelReport, Note, Outcome
    from indexer.core.usage import Usage

T = TypeVar("T")

# Up to this number, similar lines are shown one by one.
_SHOWN = 3
# The number of names in a line of a plan.
_NAMES_SHOWN = 10
_NUMBER = re.compile(r"\d+")
# The last line of each plan that --yes carries out.
REPEAT_WITH_YES = "  nothing was changed; repeat with --yes"


def shortened(names: Sequence[str]) -> str:
    """The first of some names, and the number of the others."""
    first = ", ".join(map(one_line, names[:_NAMES_SHOWN]))
    more = len(names) - _NAMES_SHOWN
    return f"{first} and {more:,} more (--json lists all)" if more > 0 else first


def grouped(items: Iterable[T], kind: Callable[[T], tuple[str, ...]], line: Callable[[T, str], str]) -> Iterator[str]:
    """The line of each item; of more than three items of one kind only the first line, with the count of the others.

    Texts that differ only in numbers are of one kind.  `line` makes a line from an item and the text with the count,
    which is empty if the item is shown alone.
    """
    groups: dict[tuple[str, ...], list[T]] = {}
    for item in items:
        groups.setdefault(tuple(_NUMBER.sub("0", text) for text in kind(item)), []).append(item)
    for group in groups.values():
        if len(group) <= _SHOWN:
            yield from (line(item, "") for item in group)
        else:
            yield line(group[0], f" (and {len(group) - 1:,} more like this; --json lists all)")


def aligned(texts: Mapping[str, str]) -> Iterator[str]:
    """A line for each name and its text, with the texts below each other."""
    width = max(map(len, texts), default=0)
    return (f"  {name:<{width}}  {text}" for name, text in texts.items())


def requests_line(usage: Usage) -> str:
    """How many requests and bytes a command took."""
    verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(usage.requests.items()))
    return (
        f"  store: {usage.requests.total()} requests{f' ({verbs})' if verbs else ''}, "
        f"{size_in_words(usage.bytes_read)} read, {size_in_words(usage.bytes_written)} written"
    )


def note_lines(notes: Iterable[Note], before: str, after: str = "") -> Iterator[str]:
    """A line for each note, grouped by reason: the file name and the reason between two texts."""
    return grouped(
        notes,
        lambda note: (note.reason,),
        lambda note, more: f"{before}{one_line(note.filename)}: {one_line(note.reason)}{more}{after}",
    )


def first_line(report: ChannelReport, outcome: Outcome) -> str:
    """The channel, how the command ended, and how long it took."""
    return f"{report.channel}: {outcome.value} in {report.seconds:.1f} s"


def delete_verb(*, done: bool) -> str:
    """The verb before files that were deleted, or before files of a plan."""
    return "deleted" if done else "would delete"


def file_lines(keys: Sequence[str], *, done: bool) -> Iterator[str]:
    """A line for each of the first files that were deleted, or that would be, and the number of the others."""
    verb = delete_verb(done=done)
    yield from (f"  {verb}: {one_line(key)}" for key in keys[:_NAMES_SHOWN])
    if len(keys) > _NAMES_SHOWN:
        yield f"  {verb}: {len(keys) - _NAMES_SHOWN:,} more (--json lists all)"


def nothing(_report: object) -> Iterator[str]:
    """No line."""
    return iter(())
