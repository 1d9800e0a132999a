"""Ages and durations as a person writes them: `30m`, `12h`, `7d`."""

from __future__ import annotations

import re

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGE = re.compile(r"(\d{1,6})([smhd])")

EXAMPLES = "30m, 12h or 7d"
"""What a person can write, for messages."""


def milliseconds(age: str) -> int | None:
    """The milliseconds of an age, None for a text that is not an age."""
    match = _AGE.fullmatch(age)
    return None if match is None else int(match[1]) * _UNITS[match[2]]
