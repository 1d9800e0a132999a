"""The error for a response of a store that lacks a field, or has an invalid one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadAnswer(ValueError):
    """An invalid response; the text is shown after "invalid response: "."""


def field_of(answer: Mapping[str, Any], name: str) -> Any:
    """A field that every such response has.  Raises BadAnswer."""
    try:
        return answer[name]
    except KeyError as error:
        raise BadAnswer(f"it has no {name!r}") from error
