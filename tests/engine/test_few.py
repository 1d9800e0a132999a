"""In a channel of shards alone, a run over a few packages costs what these cost, however many others there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.model import Rules
from tests.support.channel_check import faults
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fill,
    index,
    keys,
    missing_shards,
    only,
    package,
    published,
    sharded,
    unpacked,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.memory import MemoryStore

SHARDS_ONLY = with_outputs(monolithic=False)
NEW = "linux-64/new-1.0-0.conda"
LATER = NOW_MS + DAY_MS


def of(*named: str, options: Options = SHARDS_ONLY) -> Options:
    return replace(options, packages=frozenset(named))


def requests(store: MemoryStore, first: int) -> Counter[str]:
    return Counter(call.verb for call in store.calls[first:])


@pytest.mark.parametrize("many", [1, 200])
def test_a_package_costs_the_same_requests_whatever_else_is_there(many: int) -> None:
    store = channel(*keys(many), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    fill(store, NEW)
    first = len(store.calls)
    report = index(store, of(NEW))
    assert requests(store, first) == {"GET": 3, "HEAD": 5, "PUT": 3}  # the ledger, the index, the package; no shard
    assert only(report).packages == many + 1
    assert sharded(store) == {NEW.partition("/")[2], *(key.partition("/")[2] for key in keys(many))}
    assert faults(store) == []


def test_only_the_shards_of_the_named_packages_are_read_and_put() -> None:
    store = channel(*keys(30), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    fill(store, "linux-64/p07-2.0-0.conda")
    first = len(store.calls)
    index(store, of("linux-64/p07-2.0-0.conda"))
    shards = [call.verb for call in store.calls[first:] if call.key.startswith("linux-64/shards/")]
    assert shards == ["GET", "PUT"]
    assert faults(store) == []


@pytest.mark.parametrize("others", [(), (NEW,), ("linux-64/p03-0.9-0.tar.bz2", NEW)])
def test_what_it_publishes_is_what_a_run_that_reads_all_shards_publishes(others: tuple[str, ...]) -> None:
    stores = [channel(*keys(6), *keys(1, "noarch")) for _ in range(2)]
    for store in stores:
        index(store, SHARDS_ONLY)
        fill(store, *others)
        store.remove(keys(6)[0])
        store.remove(keys(6)[5])
    few, whole = stores
    whole.remove("linux-64/.indexer.json.zst")  # without its memory a run trusts nothing, and reads all
    for store in stores:
        index(store, of(keys(6)[0], *others), now_ms=LATER)
    assert published(few) == published(whole)
    for store in stores:
        index(store, SHARDS_ONLY, now_ms=LATER)
        first = len(store.calls)
        index(store, SHARDS_ONLY, now_ms=LATER)
        assert changes(store.calls, first) == []
        assert faults(store) == []
    assert published(few) == published(whole)


def test_a_package_that_is_gone_leaves_and_an_empty_shard_with_it() -> None:
    store = channel(*keys(20), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    for key in keys(12):
        store.remove(key)
    report = index(store, of(*keys(12)[:11]))  # eleven of twenty at once
    assert report.exit_code != 0
    report = index(store, replace(of(*keys(12)[:11]), allow_mass_removal=True))
    assert only(report).packages == 9
    assert len(sharded(store)) == 9


def test_what_is_counted_over_all_records_is_counted_over_all() -> None:
    conditional = [f"linux-64/conditional-{number}.0-0.conda" for number in (1, 2)]
    store = channel(*keys(3), *keys(1, "noarch"))
    store.upload(conditional[0], package(conditional[0], depends=["a[when='b']"]))
    index(store, SHARDS_ONLY)
    fill(store, NEW)
    for key in (NEW, conditional[1]):
        report = index(store, of(key), now_ms=LATER)
        result = unpacked(store.bodies()[f"linux-64/{names.SHARD_INDEX}"])["info"]["repodata_revisions"]["v3"]
        assert result["n_packages"] == (1 if key == NEW else 2)
        assert faults(store) == []
        store.upload(conditional[1], package(conditional[1], depends=["a[when='b']"]))
    assert only(report).packages == 6


@pytest.mark.parametrize("rules", [Rules(lenient=True), Rules()])
def test_a_record_under_another_name_than_its_file_is_not_lost(rules: Rules) -> None:
    lenient = replace(SHARDS_ONLY, rules=Rules(lenient=True))
    store = channel(*keys(2), *keys(1, "noarch"))
    store.upload("linux-64/alias-1.0-0.conda", package("linux-64/alias-1.0-0.conda", name="p00"))
    index(store, lenient)
    store.upload("linux-64/alias-2.0-0.conda", package("linux-64/alias-2.0-0.conda", name="p00"))
    index(store, of("linux-64/alias-2.0-0.conda", options=replace(SHARDS_ONLY, rules=rules)), now_ms=LATER)
    assert {"alias-1.0-0.conda", "p00-1.0-0.conda", "p01-1.0-0.conda"} <= sharded(store)


def test_a_note_of_a_gc_makes_it_look_at_all_shards() -> None:
    store = channel(*keys(5), *keys(1, "noarch"))
    index(store)
    store.remove(next(key for key in store.bodies() if key.startswith("linux-64/shards/")))
    store.upload(f"linux-64/{names.GC_MARKER}", b"{}")
    fill(store, NEW)
    index(store, of(NEW, options=PLAIN))
    assert missing_shards(store) == set()


def test_a_lost_shard_stops_a_run_over_a_few_packages_until_a_whole_run() -> None:
    store = channel(*keys(5), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    store.remove(next(key for key in store.bodies() if key.startswith("linux-64/shards/")))
    store.upload(f"linux-64/{names.GC_MARKER}", b"{}")  # as a gc leaves one that found the shard missing
    fill(store, NEW)
    before = store.bodies()
    report = only(index(store, of(NEW)))
    assert report.exit_code != 0
    assert report.error is not None
    assert "index the whole subdir once" in report.error
    assert store.bodies() == before
    index(store, SHARDS_ONLY, now_ms=LATER)
    assert {key.partition("/")[2] for key in (*keys(5), NEW)} == sharded(store)


def test_many_named_packages_that_are_gone_are_no_mass_where_more_stay() -> None:
    store = channel(*keys(40), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    for key in keys(11):
        store.remove(key)
    assert only(index(store, of(*keys(11)))).packages == 29
