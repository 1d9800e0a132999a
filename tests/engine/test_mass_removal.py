"""More than ten packages and more than half of a subdir leave only with a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core.errors import Conflict
from indexer.core.report import Outcome
from tests.support.memory_channel import (
    PLAIN,
    changes,
    channel,
    fixture,
    index,
    keys,
    only,
    package,
    published,
    records,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import Call

ALLOWED = replace(PLAIN, allow_mass_removal=True)


@pytest.mark.parametrize(
    ("there", "gone", "refused"),
    [(10, 10, False), (11, 11, True), (12, 11, True), (21, 11, True), (22, 11, False), (23, 11, False), (30, 16, True)],
)
def test_more_than_ten_and_more_than_half_is_refused(
    there: int,
    gone: int,
    refused: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    store = channel(*keys(there), *keys(1, "noarch"))
    index(store)
    before, first = published(store), len(store.calls)
    for key in keys(gone):
        store.remove(key)
    report = index(store)
    if not refused:
        assert report.exit_code == 0
        assert len(records(store)) == there - gone
        return
    assert only(report).outcome is Outcome.REFUSED
    assert report.exit_code == 6
    assert "--allow-mass-removal" in (only(report).error or "")
    assert changes(store.calls, first) == []
    assert published(store) == before


def test_it_is_done_with_the_option() -> None:
    store = channel(*keys(12))
    index(store)
    for key in keys(12):
        store.remove(key)
    report = index(store, ALLOWED)
    assert report.exit_code == 0
    assert records(store) == {}
    assert len(only(report).removed) == 12


def test_the_other_subdirs_are_indexed_all_the_same() -> None:
    store = channel(*keys(12))
    index(store)
    for key in keys(12):
        store.remove(key)
    store.upload("noarch/new-1-0.conda", fixture("noarch/mire-1.0-0.conda"))
    store.upload("noarch/mire-1.0-0.conda", fixture("noarch/mire-1.0-0.conda"))
    report = index(store)
    assert report.exit_code == 6
    assert list(records(store, "noarch")) == ["mire-1.0-0.conda"]


def test_packages_replaced_by_broken_ones_leave_too() -> None:
    store = channel(*keys(12))
    index(store)
    before = published(store)
    for key in keys(12):
        store.upload(key, fixture("linux-64/half-1.0-0.conda", "broken"))
    assert index(store).exit_code == 6
    assert published(store) == before


def test_a_refused_run_is_refused_again_until_the_packages_are_back() -> None:
    store = channel(*keys(12))
    index(store)
    bodies = {key: store.bodies()[key] for key in keys(12)}
    for key in bodies:
        store.remove(key)
    assert [index(store).exit_code, index(store).exit_code] == [6, 6]
    for key, body in bodies.items():
        store.upload(key, body)
    assert index(store).exit_code == 0
    assert len(records(store)) == 12


def test_a_dry_run_says_so_too() -> None:
    store = channel(*keys(12))
    index(store)
    for key in keys(12):
        store.remove(key)
    assert index(store, replace(PLAIN, dry_run=True)).exit_code == 6


def test_a_scope_is_guarded_as_the_whole_is() -> None:
    store = channel(*keys(12))
    index(store)
    before = published(store)
    for key in keys(12):
        store.remove(key)
    scoped = replace(PLAIN, packages=frozenset(keys(12)))
    assert index(store, scoped).exit_code == 6
    assert published(store) == before
    assert index(store, replace(scoped, packages=frozenset(keys(10)))).exit_code == 0
    assert len(records(store)) == 2


def test_a_channel_of_another_indexer_is_guarded_when_it_is_taken_over() -> None:
    store = channel(*keys(13))
    index(store)
    source = store.bodies()["linux-64/repodata.json"]
    taken = channel(*keys(1))
    taken.upload("linux-64/repodata.json", source)
    assert index(taken).exit_code == 6
    assert taken.bodies()["linux-64/repodata.json"] == source
    assert index(taken, ALLOWED).exit_code == 0
    assert len(records(taken)) == 1


def test_a_channel_of_shards_alone_is_guarded_too() -> None:
    shards_only = with_outputs(monolithic=False)
    store = channel(*keys(12))
    index(store, shards_only)
    before = published(store)
    for key in keys(12):
        store.remove(key)
    assert index(store, shards_only).exit_code == 6
    assert published(store) == before


def test_a_lap_after_a_conflict_is_guarded_too() -> None:
    store = channel(*keys(12))
    index(store)
    before = published(store)
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))

    def meanwhile(call: Call) -> None:
        if call.verb == "PUT" and call.key.endswith("repodata.json.zst"):
            store.hook = lambda _: None
            for key in keys(12):
                store.remove(key)
            raise Conflict(call.key, "changed since it was looked at")

    store.hook = meanwhile
    report = index(store)
    assert only(report).outcome is Outcome.REFUSED
    assert records(store).keys() == {key.partition("/")[2] for key in keys(12)}
    assert published(store)["linux-64/repodata.json"] == before["linux-64/repodata.json"]


def test_a_forced_run_over_broken_packages_drops_no_record() -> None:
    store = channel(*keys(12))
    index(store)
    for key in keys(12):
        store.upload(key, b"spoilt")
    assert index(store, replace(PLAIN, force=True)).exit_code == 6
    assert len(records(store)) == 12


def test_a_subdir_without_any_package_left_is_still_looked_at() -> None:
    store = channel(*keys(12), *keys(1, "osx-arm64"))
    index(store)
    for key in keys(12):
        store.remove(key)
    assert "linux-64" in index(store).subdirs  # its index lies in it, so its folder is listed
    for key in [key for key in store.bodies() if key.startswith("osx-arm64/")]:
        store.remove(key)
    before = store.bodies()
    report = index(store)
    assert "osx-arm64" not in report.subdirs  # nothing is left that could say something wrong
    assert store.bodies() == before


def test_a_listing_of_subdirs_that_lacks_one_changes_nothing_in_it() -> None:
    store = channel(*keys(12), *keys(1, "noarch"))
    index(store)
    before = store.bodies()
    whole = store.list
    store.list = lambda prefix, **_: (item for item in whole(prefix) if item.key != "linux-64/")  # type: ignore[method-assign]
    assert "linux-64" not in index(store).subdirs
    assert store.bodies() == before
