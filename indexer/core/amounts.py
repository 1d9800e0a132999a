"""Counts and sizes as text for people."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things, such as `1 package` and `2,000 packages`; a `plural` if the noun takes more than an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def size_in_words(size: int) -> str:
    """A number of bytes in units of thousands, such as `12.3 kB`."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004  the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
