"""What an answer of a store says, or BadAnswer where it does not say it: never an error of another kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadAnswer(ValueError):
    """An answer that is not what was asked for; the text goes on after "the answer"."""


def told(answer: Mapping[str, Any], name: str) -> Any:
    """A field that every such answer has.  Raises BadAnswer."""
    try:
        return answer[name]
    except KeyError as error:
        raise BadAnswer(f"has no {name!r}") from error


def unreadable(value: str) -> BadAnswer:
    """The error for a value that is not of its form."""
    return BadAnswer(f"cannot be read ({value})")
