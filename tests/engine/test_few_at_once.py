"""Several runs over a few packages at once: what one has written of its packages the others carry on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.commands.context import Context
from indexer.commands.index import index_channel
from indexer.core.report import Outcome
from indexer.extractor.workers import in_threads
from indexer.store.clock import Clock
from tests.protocol.test_turnstile import OFTEN
from tests.support.channel_check import faults
from tests.support.interfering_store import Crash, InterferingStore
from tests.support.memory import MemoryStore, made_once
from tests.support.memory_channel import (
    NOW_MS,
    PLAIN,
    FakeClock,
    Inline,
    index,
    only,
    package,
    packages_read,
    records,
    sharded,
)
from tests.support.scheduler import actors, run_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.options import Options
    from tests.support.memory import Call

BEFORE, *NEW = (f"noarch/{name}-1.0-0.conda" for name in ("before", "one", "two", "three"))
ONE, TWO, _ = NEW
RUN_EXPORTS, SOURCE = "noarch/run_exports.json", "noarch/repodata.json"


def over(*packages: str) -> Options:
    return replace(PLAIN, subdirs=("noarch",), packages=frozenset(packages) or None)


@made_once
def with_new(*, indexed: bool = True) -> MemoryStore:
    """A channel, indexed or not, to which packages were uploaded."""
    store = MemoryStore(clock_ms=NOW_MS)
    store.upload(BEFORE, package(BEFORE))
    if indexed:
        index(store, over())
    for key in NEW:
        store.upload(key, package(key))
    return store


def run_exports(store: MemoryStore) -> set[str]:
    result = json.loads(store.objects[RUN_EXPORTS].body)
    return set(result["packages"]) | set(result["packages.conda"])


def filenames(*packages: str) -> set[str]:
    return {key.partition("/")[2] for key in packages}


def test_run_exports_without_records_yet_are_kept_until_the_records_come() -> None:
    store = with_new()

    def dies(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SOURCE):
            raise Crash

    def another_falls_in(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SOURCE):
            with pytest.raises(Crash):
                index(InterferingStore(store, before=dies), over(TWO))

    index(InterferingStore(store, before=another_falls_in), over(ONE))
    assert set(records(store, "noarch")) == filenames(BEFORE, ONE)
    assert filenames(BEFORE, ONE) <= run_exports(store)
    index(store, over())
    assert set(records(store, "noarch")) == run_exports(store) == filenames(BEFORE, *NEW)
    assert faults(store) == []


def test_a_plain_run_drops_run_exports_of_a_package_that_never_came() -> None:
    store = with_new()

    def dies(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SOURCE):
            raise Crash

    with pytest.raises(Crash):
        index(InterferingStore(store, before=dies), over(ONE))
    for key in (ONE, NEW[2]):
        store.remove(key)
    index(store, over(TWO))
    assert run_exports(store) == filenames(BEFORE, ONE, TWO)
    assert faults(store)
    index(store, over())
    assert run_exports(store) == filenames(BEFORE, TWO)
    assert faults(store) == []
    assert only(index(store, over()), "noarch").outcome is Outcome.UNCHANGED


def test_lost_run_exports_are_a_fault_and_a_plain_run_reads_them_again() -> None:
    store = with_new()
    index(store, over())
    result = json.loads(store.objects[RUN_EXPORTS].body)
    del result["packages.conda"]["one-1.0-0.conda"]
    store.upload(RUN_EXPORTS, json.dumps(result).encode())
    assert any("does not have run exports of one-1.0-0.conda, which were known" in fault for fault in faults(store))
    before = len(store.calls)
    index(store, over())
    assert packages_read(store.calls, before) == [ONE]
    assert run_exports(store) == filenames(BEFORE, *NEW)
    assert faults(store) == []
    assert only(index(store, over()), "noarch").outcome is Outcome.UNCHANGED


def test_lost_run_exports_are_read_again_after_a_run_over_other_packages() -> None:
    store = with_new()
    index(store, over())
    store.remove(ONE)

    def dies(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SOURCE):
            raise Crash

    with pytest.raises(Crash):
        index(InterferingStore(store, before=dies), over())
    store.upload(ONE, package(ONE))
    store.remove(TWO)
    index(store, over(TWO))
    assert run_exports(store) == filenames(BEFORE, NEW[2])
    assert any("does not have run exports of one-1.0-0.conda, which were known" in fault for fault in faults(store))
    index(store, over())
    assert set(records(store, "noarch")) == run_exports(store) == filenames(BEFORE, ONE, NEW[2])
    assert faults(store) == []
    assert only(index(store, over()), "noarch").outcome is Outcome.UNCHANGED


def test_a_package_that_a_run_looks_at_and_that_is_gone_is_not_carried_on() -> None:
    store = with_new()
    index(store, over(ONE))
    store.remove(ONE)
    index(store, over(ONE))
    assert run_exports(store) == filenames(BEFORE)


@OFTEN
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 8)), min_size=4, max_size=16),
)
def test_runs_over_one_package_each_publish_all_in_any_schedule(
    indexed: bool,  # noqa: FBT001  drawn by hypothesis
    schedule: list[tuple[int, int]],
) -> None:
    store = with_new(indexed=indexed)

    def indexer(key: str) -> Callable[[Callable[[], None]], None]:
        def work(turn: Callable[[], None]) -> None:
            def before(_number: int, call: Call) -> None:
                if call.verb == "PUT":  # what is read between two of them might as well be read at once
                    turn()
                store.clock_ms += 1000

            turn()
            clock, inline = FakeClock(), Inline()
            run = Context(
                in_threads(inline, 4),
                inline,
                Clock(lambda: store.clock_ms, clock.monotonic, clock.sleep),
                jitter=lambda pause: pause,
            )
            report = only(index_channel(InterferingStore(store, before), over(key), run), "noarch")
            assert report.exit_code == 0, report.error

        return work

    with actors([indexer(key) for key in NEW]) as everybody:
        run_schedule(everybody, schedule)
    wanted = filenames(*NEW, *([BEFORE] if indexed else []))
    assert set(records(store, "noarch")) == run_exports(store) == sharded(store, "noarch") == wanted
    assert [fault for fault in faults(store) if BEFORE not in fault] == []
    assert only(index(store, over()), "noarch").exit_code == 0
    assert set(records(store, "noarch")) == run_exports(store) == filenames(BEFORE, *NEW)
    assert faults(store) == []
