"""A run waits for few requests in a row, however many subdirs the channel has."""

from __future__ import annotations

import pytest

from indexer.core.names import KNOWN_SUBDIRS
from indexer.core.report import Outcome
from tests.support.memory_channel import DAY_MS, channel, fill, index, keys, packages_read, with_outputs
from tests.support.turns import run_counted

SUBDIRS = ["noarch", *sorted(KNOWN_SUBDIRS - {"noarch"})][:16]


@pytest.mark.parametrize("count", [1, 6, 16])
def test_a_quiet_run_waits_for_three_requests_in_a_row(count: int) -> None:
    store = channel(*(key for subdir in SUBDIRS[:count] for key in keys(2, subdir)))
    index(store)
    report, turns = run_counted(store)
    assert report.outcome is Outcome.UNCHANGED
    assert turns.now == 3, str(turns)


@pytest.mark.parametrize("count", [1, 6, 16])
@pytest.mark.parametrize("changed", [1, 6])
def test_a_run_with_new_packages_waits_for_nine_requests_in_a_row(count: int, changed: int) -> None:
    store = channel(*(key for subdir in SUBDIRS[:count] for key in keys(2, subdir)))
    index(store)
    added = [key for subdir in SUBDIRS[:count][:changed] for key in keys(1, subdir, start=2)]
    store.clock_ms += DAY_MS
    fill(store, *added)
    first = len(store.calls)
    report, turns = run_counted(store)
    assert report.outcome is Outcome.PUBLISHED
    assert sorted(packages_read(store.calls, first)) == sorted(added)
    assert turns.now == 9, str(turns)


@pytest.mark.parametrize("count", [1, 6, 16])
def test_the_pages_of_a_channel_cost_nine_turns_for_any_number_of_subdirs(count: int) -> None:
    pages = with_outputs(html=True)
    store = channel(*(key for subdir in SUBDIRS[:count] for key in keys(2, subdir)))
    index(store, pages)
    assert run_counted(store, pages)[1].now == 3 + 3
    store.clock_ms += DAY_MS
    fill(store, *keys(1, "noarch", start=2))
    _, turns = run_counted(store, pages)
    # Three of them are for the page of the new name, which is announced first.
    assert turns.now == 9 + 9, str(turns)


def test_a_channel_of_shards_only_waits_for_seven_requests_in_a_row() -> None:
    shards = with_outputs(monolithic=False)
    store = channel(*keys(3), *keys(3, "noarch"))
    index(store, shards)
    store.clock_ms += DAY_MS
    fill(store, *keys(1, start=7))
    _, turns = run_counted(store, shards)
    assert turns.now == 7, str(turns)
