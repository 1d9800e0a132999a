"""Finds the known name that a wrong name probably means."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to `name`, None if none is similar."""
    import difflib  # only after a mistake

    return next(iter(difflib.get_close_matches(name.lower().replace("_", "-"), sorted(known), n=1, cutoff=0.5)), None)
