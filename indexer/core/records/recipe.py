"""The sources that a recipe names: read as a stream of YAML's events, for it comes from strangers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def sources_of(recipe: bytes) -> dict[str, list[str]]:
    """What stands under `source` of a recipe by its key, as rattler-build has it or as conda-build has it.

    The recipe is read as a stream of events, so nothing that its aliases stand for is built, and no
    further than `source` goes.
    """
    found: dict[str, list[str]] = {}
    begun = False
    with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError, RecursionError):
        for path, value in _leaves(recipe):
            where = path[1:] if path[:1] == ("recipe",) else path
            if where[:1] == ("source",) and len(where) == 2:  # noqa: PLR2004  source and its key
                begun = True
                found.setdefault(where[1], []).append(value)
            elif begun and where[:1] != ("source",):
                break
    return found


def _leaves(document: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each scalar of a YAML document with the keys that lead to it; what stands in a list has its list's."""
    # The key of each mapping that is open: None where a key comes next; lists are the empty text.
    stack: list[str | None] = []
    for event in yaml.parse(document.decode(), Loader=_Loader):
        if isinstance(event, yaml.MappingStartEvent):
            stack.append(None)
        elif isinstance(event, yaml.SequenceStartEvent):
            stack.append("")
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            _step(stack)
        elif isinstance(event, yaml.ScalarEvent) and stack and stack[-1] is None:
            stack[-1] = event.value or "''"
        elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            if isinstance(event, yaml.ScalarEvent):
                yield tuple(key for key in stack if key), event.value
            _step(stack)


def _step(stack: list[str | None]) -> None:
    """After a value comes a key; a collection or an alias as a key counts as one without a name."""
    if stack and stack[-1] != "":
        stack[-1] = "?" if stack[-1] is None else None
