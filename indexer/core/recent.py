"""The number of packages of the last week, which clients with `exclude-newer = "7d"` do not see.

The state has the number of packages for each hour in which they came into the channel, so no index is read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from indexer.core.records.identity import date_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.core.model import Raw

DAYS = 7
_HOUR_MS = 3_600_000
_SPAN_MS = DAYS * 24 * _HOUR_MS

HourlyCounts = dict[int, int]
"""Numbers of packages by hour since 1970."""


def hourly_counts(records: Iterable[Raw], now_ms: int) -> HourlyCounts:
    """The number of these records that are younger than a week, by the hour of their date."""
    first = _first_hour(now_ms)
    hours = (date // _HOUR_MS for record in records if (date := date_of(record)) is not None)
    return dict(sorted(Counter(hour for hour in hours if hour >= first).items()))


def updated_hourly_counts(
    before: Mapping[int, int], gone: Iterable[Raw], come: Iterable[Raw], now_ms: int
) -> HourlyCounts:
    """The counts of `before` without the records that are `gone` and with those that have `come`."""
    first = _first_hour(now_ms)
    counts = Counter({hour: count for hour, count in before.items() if hour >= first})
    counts.update(hourly_counts(come, now_ms))
    counts.subtract(hourly_counts(gone, now_ms))
    return {hour: count for hour, count in sorted(counts.items()) if count > 0}


def count_recent(hours: Mapping[int, int], now_ms: int) -> int:
    """The number of packages that are younger than a week, to the hour."""
    return sum(count for hour, count in hours.items() if hour >= _first_hour(now_ms))


def _first_hour(now_ms: int) -> int:
    return (now_ms - _SPAN_MS) // _HOUR_MS
