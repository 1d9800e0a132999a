"""A large listing, in parts that are asked for at once: it is cut at names that were there before.

The cuts decide only how even the parts are.  Whatever they are, the parts together are the whole.
"""

from __future__ import annotations

import contextlib
import itertools
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from indexer.core.errors import RangeRefused
from indexer.core.names import parse_filename
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from indexer.core.model import ETag, Stat
    from indexer.store import Part, Store

# Pages under way.  To read one takes 20 ms of a core, so more would wait for that and not for the store.
_AT_ONCE = 8


def listed(
    store: Store, prefix: str, cuts: Iterable[str], executor: Executor, known: Mapping[str, ETag] | None = None
) -> dict[str, Stat]:
    """The objects directly under a prefix, which their keys are without, by key; in parts that end with the `cuts`.

    In one piece where there are none (then with the folders), or where the store cannot list from a name on.  A name
    whose version is `known` is the ledger's own string, and so is the version: half a million of them take fifty
    megabytes each time.  Any other is let go of with the listing, where a shared one would keep much of its memory.
    """
    ends = sorted({prefix + cut for cut in cuts if parse_filename(cut)})  # no other is fit to be asked for
    if ends:
        with contextlib.suppress(RangeRefused):
            return _by_name(_in_parts(store, prefix, ["", *ends, ""], executor), len(prefix), known or {})
    whole = store.list(prefix)
    return _by_name((it for it in whole if not it.key.endswith("/")) if ends else whole, len(prefix), known or {})


def _by_name(stats: Iterable[Stat], start: int, known: Mapping[str, ETag]) -> dict[str, Stat]:
    found = {}
    for stat in stats:
        name, etag = stat.key[start:], stat.etag
        before = known.get(name)
        if before is not None:
            name, etag = intern(name), before if before == etag else etag
        found[name] = msgspec.structs.replace(stat, key=name, etag=etag)
    return found


def _in_parts(store: Store, prefix: str, ends: Sequence[str], executor: Executor) -> Iterator[Stat]:
    bounds: Limits[Part] = Limits(_AT_ONCE, _AT_ONCE, lambda _: 1)
    for found in bounded(executor, lambda part: [*store.list(prefix, part=part)], itertools.pairwise(ends), bounds):
        yield from found
