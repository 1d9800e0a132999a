"""The error for a response of a store that lacks a field, or has an invalid one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 18  # digits of a size, so that it fits into 64 bits


class BadAnswer(ValueError):
    """An invalid response; the text is shown after "invalid response: "."""


def field_of(answer: Mapping[str, Any], name: str) -> Any:
    """A field that every such response has: an element of a listing, or a header.  Raises BadAnswer."""
    value = answer.get(name, answer.get(name.lower()))
    if value is None:
        raise BadAnswer(f"it has no {name!r}")
    return value


def number_of(headers: Mapping[str, str], name: str) -> int:
    """A header that is a size in bytes.  Raises BadAnswer."""
    return size_of(field_of(headers, name))


def size_of(text: str) -> int:
    """The size in a text.  Raises BadAnswer."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST):
        raise BadAnswer(f"a size of {text!r}")
    return int(digits)
