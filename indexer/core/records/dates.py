"""Decides the `indexed_timestamp` of a record, the time when its package came into the channel (CEP 47).

A package gets its date once: the time of the run.  A package that is older than the CEP gets the time that the store
shows.  The package itself never decides its date: its build time can only prove that the time of the store is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core.model import UNREADABLE
from indexer.core.records.identity import date_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Index, Raw, Stat
    from indexer.core.records.identity import RecordIdentity

FIELD = "indexed_timestamp"
# 2026-06-30T00:00:00Z: CEP 47 was accepted.  Artifacts that are older may be dated by the store.
APPROVED_MS = 1_782_777_600_000
# The largest difference between the clocks of two machines: stores refuse requests with a larger one.
CLOCKS_DIFFER_MS = 15 * 60 * 1000
# A build time above this is in milliseconds, else in seconds: the threshold of conda-index and rattler-index.
_MAX_SECONDS = 253402300799
_LAST = 2**62
_KEY = b'"indexed_timestamp"'


class _Built(msgspec.Struct):
    timestamp: Any = None


_built = msgspec.json.Decoder(_Built)


def built_ms(timestamp: object) -> int:
    """The build time that a package claims, in milliseconds; 0 if it claims none."""
    if not isinstance(timestamp, int | float) or isinstance(timestamp, bool):
        return 0
    return int(in_milliseconds(min(timestamp, _LAST)))


def in_milliseconds(timestamp: float) -> float:
    """A build time in milliseconds, from seconds or milliseconds."""
    return timestamp if timestamp > _MAX_SECONDS else timestamp * 1000


def first_date(stat: Stat, timestamp: object, now_ms: int, *, undated: bool) -> int:
    """The date of a package that no index has, in milliseconds.

    `timestamp` is the build time that it claims.  `undated` is true if no package of its subdir had a date before:
    only then the time of a file counts, because a copy of a file keeps its time.
    """
    if stat.mtime_ms is not None and not undated:
        return now_ms
    return _store_time(stat, timestamp, now_ms) if stat.written_ms < APPROVED_MS else now_ms


def missing_dates(
    index: Index, packages: Mapping[str, Stat], now_ms: int, *, foreign: bool, first: bool
) -> dict[str, int]:
    """The dates of packages whose records have none, or one in the future, by file name.

    A record without a date was taken over from another indexer: it gets the time that the store shows.  Dates in the
    future are searched only in a `foreign` index, which we did not write.  In a folder the time of a file counts only
    in the `first` run over the subdir, because a copy of a file keeps its time.
    """
    dates: dict[str, int] = {}
    for filename, stat in packages.items():
        record = index.records.get(filename)
        if record is None or not (foreign or _KEY not in bytes(record)):
            continue
        date = date_of(record)
        if date is None and stat.mtime_ms is not None and not first:
            dates[filename] = now_ms
        elif date is None:
            dates[filename] = _store_time(stat, _build_time(record), now_ms)
        elif in_future(date, now_ms):
            dates[filename] = now_ms
    return dates


def is_undated(index: Index) -> bool:
    """Whether no record has a date: no indexer that dates packages has written this index."""
    return not any(_KEY in bytes(record) for record in index.records.values())


def has_undated_records(index: Index) -> bool:
    """Whether a record has no date."""
    return any(_KEY not in bytes(record) for record in index.records.values())


def in_future(date_ms: int, now_ms: int) -> bool:
    """Whether a date is later than now by any clock."""
    return date_ms > now_ms + CLOCKS_DIFFER_MS


def is_other_package(one: RecordIdentity, other: RecordIdentity) -> bool:
    """Whether two records belong to two package files.  A field that is missing in one record proves nothing."""
    for mine, yours in ((one.sha256, other.sha256), (one.md5, other.md5)):
        if mine is not None and yours is not None:
            return mine.lower() != yours.lower()
    return -1 not in {one.size, other.size} and one.size != other.size


def _store_time(stat: Stat, timestamp: object, now_ms: int) -> int:
    """The time that the store shows; the time of the run if that is in the future or before the build."""
    return stat.written_ms if max(built_ms(timestamp), 1) <= stat.written_ms <= now_ms else now_ms


def _build_time(record: Raw) -> object:
    try:
        return _built.decode(record).timestamp
    except UNREADABLE:
        return None
