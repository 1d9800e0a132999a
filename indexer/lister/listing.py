"""Lists a large folder in parts that are requested at the same time; the parts are split at known file names.

The split points only decide how even the parts are.  The parts together are always the whole listing.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.core.errors import RangeRefused
from indexer.core.names import parse_filename
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from indexer.core.model import Stat
    from indexer.store import Part, Store

T = TypeVar("T")

# How many pages are requested at once.  To read a page takes 20 ms of a core, so more would wait for the core.
_AT_ONCE = 8
_SHOWN_EACH = 1000


def listed(
    store: Store, prefix: str, split_points: Iterable[str], executor: Executor, collect: Callable[[Iterable[Stat]], T]
) -> T:
    """What `collect` makes of the objects directly under a prefix, whose keys are without the prefix.

    The listing has one part if there are no `split_points` (then with the folders), or if the store cannot list from a
    name on.  If this shows late, `collect` is called again, with all objects.
    """
    # Only the name of a package can be sent to a store.
    ends = sorted({prefix + point for point in split_points if parse_filename(point)})
    if ends:
        with contextlib.suppress(RangeRefused):
            return collect(_by_name(_in_parts(store, prefix, ["", *ends, ""], executor), prefix))
    found = _by_name(store.list(prefix), prefix)
    return collect((stat for stat in found if not stat.key.endswith("/")) if ends else found)


def counted(stats: Iterable[Stat], show: Callable[[int], None]) -> Iterator[Stat]:
    """The same objects; `show` is called with the number of objects, once for each thousand of them."""
    for count, stat in enumerate(stats, 1):
        if count % _SHOWN_EACH == 0:
            show(count)
        yield stat


def _by_name(stats: Iterable[Stat], prefix: str) -> Iterator[Stat]:
    start = len(prefix)
    return (msgspec.structs.replace(stat, key=stat.key[start:]) for stat in stats)


def _in_parts(store: Store, prefix: str, ends: Sequence[str], executor: Executor) -> Iterator[Stat]:
    limits: Limits[Part] = Limits(_AT_ONCE)
    for part in bounded(executor, lambda part: [*store.list(prefix, part=part)], itertools.pairwise(ends), limits):
        yield from part
