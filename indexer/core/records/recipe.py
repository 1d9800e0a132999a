"""Reads the sources of a recipe as a stream of YAML events, because a recipe may be hostile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def sources_of(recipe: bytes) -> dict[str, list[str]]:
    """The values below `source` of a recipe of rattler-build or conda-build, by key.

    No alias is expanded, because no value is built, and the recipe is read only to the end of `source`.
    """
    sources: dict[str, list[str]] = {}
    in_source = False
    with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError, RecursionError):
        for path, value in _leaves(recipe):
            keys = path[1:] if path[:1] == ("recipe",) else path
            if keys[:1] == ("source",) and len(keys) == 2:  # noqa: PLR2004  source and its key
                in_source = True
                sources.setdefault(keys[1], []).append(value)
            elif in_source and keys[:1] != ("source",):
                break
    return sources


def _leaves(document: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each scalar of a YAML document with its path of keys; an item of a list has the path of the list."""
    # The current key of each open mapping, None if a key comes next; an open list is the empty string.
    stack: list[str | None] = []
    for event in yaml.parse(document.decode(), Loader=_Loader):
        if isinstance(event, yaml.MappingStartEvent):
            stack.append(None)
        elif isinstance(event, yaml.SequenceStartEvent):
            stack.append("")
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            _end_node(stack)
        elif isinstance(event, yaml.ScalarEvent) and stack and stack[-1] is None:
            stack[-1] = event.value or "''"
        elif isinstance(event, yaml.ScalarEvent):
            yield _path(stack), event.value
            _end_node(stack)
        elif isinstance(event, yaml.AliasEvent):
            _end_node(stack)


def _path(stack: list[str | None]) -> tuple[str, ...]:
    return tuple(key for key in stack if key)


def _end_node(stack: list[str | None]) -> None:
    """Expect a key after a value; a collection or an alias as a key is a key named `?`."""
    if stack and stack[-1] != "":
        stack[-1] = "?" if stack[-1] is None else None
