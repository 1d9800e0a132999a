"""The first run over a large subdir goes in stages, and publishes what one run over all packages publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.commands.index import index_channel
from indexer.core import names
from indexer.core.report import Outcome
from indexer.core.state import decode_state
from tests.support.channel_check import faults
from tests.support.interfering_store import Crash, InterferingStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fake_context,
    fixture,
    index,
    keys,
    only,
    packages_read,
    published,
    records,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.core.state import State
    from indexer.store import Store
    from tests.support.memory import MemoryStore

BAD = "linux-64/half-1.0-0.conda"
SOURCE = "linux-64/repodata.json"
OUTPUTS = (
    PLAIN,
    with_outputs(monolithic=False),
    with_outputs(shards=False),
    with_outputs(bz2=True, run_exports=False),
    with_outputs(html=True, channeldata=True),
)
PACKAGES = st.sets(
    st.builds(
        "linux-64/{}-{}-0{}".format,
        st.sampled_from(("a", "b", "c-d", "c_d", "e.f", "Upper", "z")),
        st.integers(1, 4),
        st.sampled_from(names.EXTENSIONS),
    ),
    min_size=1,
)


def in_stages(store: Store, size: int = 2, options: Options = PLAIN, *, now_ms: int = NOW_MS) -> Report:
    return index_channel(store, options, replace(fake_context(now_ms), stage=size))


def state_of(store: MemoryStore) -> State:
    """The state without the files, whose ETags tell how often they were written."""
    state = decode_state(store.bodies()[f"linux-64/{names.STATE_FILE}"])
    assert state is not None
    return replace(state, files={})


def writes_of_source(store: MemoryStore, since: int = 0) -> int:
    return [key for _, key in changes(store.calls, since)].count(SOURCE)


@settings(deadline=None)
@given(PACKAGES, st.integers(1, 12), st.sampled_from(OUTPUTS))
def test_the_files_are_those_of_one_run(packages: set[str], size: int, options: Options) -> None:
    expected, store = channel(*packages), channel(*packages)
    whole, report = index(expected, options), in_stages(store, size, options)
    assert published(store) == published(expected)
    assert state_of(store) == state_of(expected)
    assert only(report).added == only(whole).added
    assert only(report).written == only(whole).written
    assert only(report).read == only(whole).read
    assert only(report).packages == only(whole).packages
    since = len(store.calls)
    assert index(store, options).outcome is Outcome.UNCHANGED
    assert packages_read(store.calls, since) == []


def test_each_stage_publishes_some_names() -> None:
    store = channel(*keys(5))
    in_stages(store)
    assert writes_of_source(store) == 3
    assert sorted(packages_read(store.calls)) == keys(5)
    assert [call.verb for call in store.calls].count("LIST") == 3  # the root, noarch, and linux-64 once


def test_a_bad_package_and_a_warning_of_any_stage_are_reported() -> None:
    packages = keys(4)
    store = channel(*packages)
    store.upload(BAD, fixture(BAD, "broken"))
    expected = channel(*packages)
    expected.upload(BAD, fixture(BAD, "broken"))
    whole, report = only(index(expected)), only(in_stages(store, 1))
    assert whole.rejected
    assert report.outcome is Outcome.PARTIAL
    assert (report.rejected, report.new_rejected) == (whole.rejected, whole.new_rejected)
    assert report.warnings == whole.warnings


def test_a_run_that_was_killed_goes_on_where_it_ended() -> None:
    store = channel(*keys(6))

    def die(_number: int, _call: object) -> None:
        if writes_of_source(store) == 2:
            raise Crash

    with pytest.raises(Crash):
        in_stages(InterferingStore(store, die))
    assert records(store).keys() == {key.partition("/")[2] for key in keys(4)}
    since = len(store.calls)
    report = in_stages(store)
    assert report.outcome is Outcome.PUBLISHED
    assert sorted(packages_read(store.calls, since)) == keys(6)[4:]
    expected = channel(*keys(6))
    index(expected)
    assert published(store) == published(expected)


@pytest.mark.parametrize("size", [1, 100])
def test_the_next_run_without_stages_completes_the_index(size: int) -> None:
    store = channel(*keys(6))

    def die(_number: int, _call: object) -> None:
        if writes_of_source(store) == 2:
            raise Crash

    with pytest.raises(Crash):
        in_stages(InterferingStore(store, die))
    in_stages(store, size, now_ms=NOW_MS + DAY_MS)
    assert len(records(store)) == 6
    assert faults(store) == []
