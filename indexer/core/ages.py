"""Ages and durations as a person writes them: `30m`, `12h`, `7d`."""

from __future__ import annotations

import re

from indexer.core.errors import BadConfig

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGE = re.compile(r"(\d{1,6})([smhd])")


def checked_ms(setting: str, age: str) -> int:
    """The milliseconds of an age that a `setting` has.  Raises BadConfig."""
    match = _AGE.fullmatch(age)
    if match is None:
        raise BadConfig(f"{setting} {age}", "is not an age", "give one such as 30m, 12h or 7d")
    return int(match[1]) * _UNITS[match[2]]
