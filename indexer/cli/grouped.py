"""Shortens what is shown: one line with an example and a count for similar lines, the first of many names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

# Up to this number, similar lines are shown one by one.
_SHOWN = 3
# The number of names in a line of a plan.
_NAMES_SHOWN = 10
_NUMBER = re.compile(r"\d+")


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
