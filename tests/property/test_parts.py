"""Whatever a listing is cut at, its parts together are the whole."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.model import ETag, Stat
from indexer.core.packed_listing import pack
from indexer.lister.listing import listed
from tests.support.memory import MemoryStore
from tests.support.memory_channel import Inline

STEMS = st.text("ab-_0é葦", min_size=1, max_size=4)
FILES = st.builds("{}-1-{}.conda".format, STEMS, st.integers(0, 3))
KEYS = st.sets(FILES | st.builds("{}/{}".format, STEMS, STEMS) | STEMS, max_size=30)


@given(keys=KEYS, cuts=st.lists(FILES | STEMS | st.just("a/b"), max_size=9))
def test_the_parts_are_the_whole_whatever_the_cuts(keys: set[str], cuts: list[str]) -> None:
    store = MemoryStore()
    for key in sorted(keys):
        store.upload(f"noarch/{key}", b"")
    store.upload("noarchive-1-0.conda", b"")
    whole = {stat.key: stat for stat in store.list("noarch/") if stat.key[-1] != "/"}
    with ThreadPoolExecutor(3) as threads:
        for executor in (Inline(), threads):
            result = listed(store, "noarch/", cuts, executor, list)
            files = {f"noarch/{stat.key}": stat.within("noarch") for stat in result if stat.key[-1] != "/"}
            assert files == whole


@given(count=st.integers(0, 30_000), others=st.integers(0, 3))
def test_cuts_make_even_parts_of_a_large_listing_and_none_of_a_small_one(count: int, others: int) -> None:
    names = [f"p{number:06}-1-0.conda" for number in range(count)]
    stats = [Stat(name, 1, ETag("v"), 0) for name in names]
    cuts = pack([*stats[others:], *stats[:others]]).split_points
    ends = [0, *(names.index(cut) + 1 for cut in cuts), count]
    sizes = [after - before for before, after in itertools.pairwise(ends)]
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 300
    assert (count < 5_800) == (not cuts)
    assert max(sizes) <= 5_800
