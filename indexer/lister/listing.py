"""Lists a large folder in parts that are requested at the same time; the parts are split at known file names.

The split points only decide how even the parts are.  The parts together are always the whole listing.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import msgspec

from indexer.core.errors import RangeRefused
from indexer.core.names import parse_filename
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from indexer.core.model import Stat
    from indexer.store import Part, Store

# How many pages are requested at once.  To read a page takes 20 ms of a core, so more would wait for the core.
_AT_ONCE = 8
_SHOWN_EACH = 1000


def listed(
    store: Store,
    prefix: str,
    split_points: Iterable[str],
    executor: Executor,
    show: Callable[[int], None] | None = None,
) -> dict[str, Stat]:
    """The objects directly under a prefix, by their key without the prefix.

    `show` is called with the number of objects, once for each thousand of them.  The listing has one part if there are
    no `split_points` (then with the folders), or if the store cannot list from a name on.
    """
    # Only the name of a package can be sent to a store.
    ends = sorted({prefix + point for point in split_points if parse_filename(point)})
    if ends:
        with contextlib.suppress(RangeRefused):
            return _by_name(_counted(_in_parts(store, prefix, ["", *ends, ""], executor), show), prefix)
    found = _by_name(_counted(store.list(prefix), show), prefix)
    return {name: stat for name, stat in found.items() if not name.endswith("/")} if ends else found


def _counted(stats: Iterable[Stat], show: Callable[[int], None] | None) -> Iterable[Stat]:
    """The same objects; `show` is called after each thousand."""
    if show is None:
        return stats

    def counted() -> Iterator[Stat]:
        for count, stat in enumerate(stats, 1):
            if count % _SHOWN_EACH == 0:
                show(count)
            yield stat

    return counted()


def _by_name(stats: Iterable[Stat], prefix: str) -> dict[str, Stat]:
    found = {}
    for stat in stats:
        name = stat.key[len(prefix) :]
        found[name] = msgspec.structs.replace(stat, key=name)
    return found


def _in_parts(store: Store, prefix: str, ends: Sequence[str], executor: Executor) -> Iterator[Stat]:
    limits: Limits[Part] = Limits(_AT_ONCE)
    for part in bounded(executor, lambda part: [*store.list(prefix, part=part)], itertools.pairwise(ends), limits):
        yield from part
