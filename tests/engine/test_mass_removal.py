"""More than ten packages and more than half of a subdir leave only with a person's word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.report import Outcome
from tests.support.scene import PLAIN, changes, channel, fixture, index, keys, only, published, records

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
