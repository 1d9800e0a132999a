"""A run over named packages looks at these alone: no listing, and nothing else enters or leaves the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core.errors import BadConfig
from tests.support.memory_channel import (
    PLAIN,
    changes,
    channel,
    fill,
    fixture,
    index,
    keys,
    only,
    packages_read,
    published,
    records,
    sharded,
)

if TYPE_CHECKING:
    from indexer.core.options import Options

NEW = "linux-64/new-1.0-0.conda"
UNNAMED = "linux-64/unnamed-1.0-0.conda"


def of(*named: str) -> Options:
    return replace(PLAIN, packages=frozenset(named))


def test_a_named_package_is_indexed_without_a_listing_or_other_reads() -> None:
    store = channel(*keys(4), *keys(1, "noarch"))
    index(store)
    fill(store, NEW, UNNAMED)
    store.remove(keys(4)[0])
    first = len(store.calls)
    report = index(store, of(NEW))
    assert [call for call in store.calls[first:] if call.verb == "LIST"] == []
    assert packages_read(store.calls, first) == [NEW]
    assert only(report).added == ("new-1.0-0.conda",)
    assert only(report).removed == ()
    assert list(report.subdirs) == ["linux-64"]
    assert records(store).keys() == {"new-1.0-0.conda", *(key.partition("/")[2] for key in keys(4))}
    assert sharded(store) == records(store).keys()


def test_a_named_package_that_is_gone_is_removed_and_no_other() -> None:
    store = channel(*keys(4), *keys(1, "noarch"))
    index(store)
    for key in keys(2):
        store.remove(key)
    report = index(store, of(keys(4)[0]))
    assert only(report).removed == ("p00-1.0-0.conda",)
    assert sorted(records(store)) == ["p01-1.0-0.conda", "p02-1.0-0.conda", "p03-1.0-0.conda"]


def test_a_named_package_that_is_nowhere_changes_nothing() -> None:
    store = channel(*keys(2), *keys(1, "noarch"))
    index(store)
    before = published(store)
    report = index(store, of("linux-64/never-1.0-0.conda"))
    assert report.exit_code == 3
    assert published(store) == before


def test_the_next_run_over_all_sees_what_was_not_named() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store)
    fill(store, NEW, UNNAMED)
    store.remove(keys(3)[0])
    index(store, of(NEW))
    first = len(store.calls)
    report = index(store)
    assert packages_read(store.calls, first) == [UNNAMED]
    assert only(report).removed == ("p00-1.0-0.conda",)
    assert sorted(records(store)) == ["new-1.0-0.conda", "p01-1.0-0.conda", "p02-1.0-0.conda", "unnamed-1.0-0.conda"]
    again = len(store.calls)
    index(store)
    assert changes(store.calls, again) == []


def test_after_all_packages_were_named_the_next_run_sees_removals() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store)
    store.remove(keys(3)[0])
    index(store, of(*keys(2, start=1)))
    assert len(records(store)) == 3
    index(store)
    assert sorted(records(store)) == ["p01-1.0-0.conda", "p02-1.0-0.conda"]


def test_the_first_run_of_a_channel_may_name_packages() -> None:
    store = channel(*keys(2), *keys(2, "noarch"))
    index(store, of(keys(2)[1]))
    assert list(records(store)) == ["p01-1.0-0.conda"]
    assert len(records(store, "noarch")) == 2
    index(store)
    assert len(records(store)) == len(records(store, "noarch")) == 2


def test_a_rejection_outside_of_the_named_is_still_remembered() -> None:
    bad = "linux-64/half-1.0-0.conda"
    store = channel(*keys(1), *keys(1, "noarch"))
    store.upload(bad, fixture(bad, "broken"))
    index(store)
    fill(store, NEW)
    assert index(store, of(NEW)).exit_code == 0
    first = len(store.calls)
    report = index(store)
    assert packages_read(store.calls, first) == []
    assert [note.filename for note in only(report).rejected] == ["half-1.0-0.conda"]


def test_a_named_package_that_is_broken_is_rejected() -> None:
    bad = "linux-64/half-1.0-0.conda"
    store = channel(*keys(1), *keys(1, "noarch"))
    index(store)
    store.upload(bad, fixture(bad, "broken"))
    report = index(store, of(bad))
    assert report.exit_code == 3
    assert len(records(store)) == 1


def test_a_named_package_replaced_in_a_store_without_md5_is_noticed() -> None:
    key = keys(1)[0]
    store = channel(*keys(2), *keys(1, "noarch"))
    for item in keys(2):
        store.disguise(item)
    index(store)
    fill(store, key)
    store.disguise(key)
    first = len(store.calls)
    index(store, of(key))
    assert packages_read(store.calls, first) == [key]
    again = len(store.calls)
    index(store)
    assert packages_read(store.calls, again) == []


@pytest.mark.parametrize("key", ["repodata.json", "repodata.json.zst", "run_exports.json"])
def test_a_ledger_that_is_out_of_step_costs_one_lap_more(key: str) -> None:
    store = channel(*keys(2), *keys(1, "noarch"))
    index(store)
    store.upload(f"linux-64/{key}", store.bodies()[f"linux-64/{key}"] + b" ")
    fill(store, NEW)
    first = len(store.calls)
    report = index(store, of(NEW))
    assert report.exit_code == 0
    assert only(report).attempts == 2
    assert packages_read(store.calls, first) == [NEW]
    assert "new-1.0-0.conda" in records(store)


@pytest.mark.parametrize("name", ["p-1-0.conda", "/p-1-0.conda", "a/b/p-1-0.conda", "Linux/p-1-0.conda"])
def test_a_package_that_is_in_no_subdir_is_a_mistake(name: str) -> None:
    store = channel(*keys(1))
    with pytest.raises(BadConfig):
        index(store, of(name))
    assert changes(store.calls) == []
