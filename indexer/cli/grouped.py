"""Lines that say the same of many things, as one line with an example and a count."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

# Up to so many lines that say the same are shown one by one.
_SHOWN = 3
_NUMBER = re.compile(r"\d+")


def grouped(items: Iterable[T], kind: Callable[[T], tuple[str, ...]], line: Callable[[T, str], str]) -> Iterator[str]:
    """The line of each item; of more than three of one kind only the first, with the count of the others.

    Texts that differ in their numbers only are of one kind.  `line` makes the line of an item and of a text that
    tells the count, which is empty for a line of its own.
    """
    groups: dict[tuple[str, ...], list[T]] = {}
    for item in items:
        groups.setdefault(tuple(_NUMBER.sub("0", text) for text in kind(item)), []).append(item)
    for group in groups.values():
        if len(group) <= _SHOWN:
            yield from (line(item, "") for item in group)
        else:
            yield line(group[0], f" (and {len(group) - 1:,} more like this; --json lists all)")
