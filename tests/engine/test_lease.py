"""Without conditional writes a subdir is written under a lease: who waits, who takes over, what is noticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.yank import YankRequest, withdraw
from indexer.core.names import LEASE, YANKS
from indexer.core.report import Outcome
from indexer.writer.lease import LASTS
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory_channel import (
    NOW_MS,
    PLAIN,
    FakeClock,
    changes,
    channel,
    fake_context,
    fill,
    index,
    keys,
    missing_shards,
    only,
    package,
    published,
    records,
    sharded,
    with_outputs,
)
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from indexer.core.report import Report
    from tests.support.memory import Call, MemoryStore

OLD, NEW, OTHER = keys(3)
HELD = f"linux-64/{LEASE}"
SOURCE = "linux-64/repodata.json"
SKEW = 15 * 60.0
# More than a run below asks of its store.
MANY = 90


def prepared() -> MemoryStore:
    """An indexed channel with a new package in it, in a store whose clock is ours."""
    store = channel(OLD)
    store.clock_ms = NOW_MS
    index(store)
    return fill(store, NEW)


def run(store: MemoryStore, clock: FakeClock | None = None) -> Report:
    """A run on a store that knows no conditions."""
    return index(UnconditionalStore(store), clock=clock, now_ms=NOW_MS)


def assert_whole(store: MemoryStore, *there: str) -> None:
    """Every reader finds these packages and no others, and nobody holds a lease."""
    filenames = {key.partition("/")[2] for key in there}
    assert set(records(store)) == filenames
    assert sharded(store) == filenames
    assert not missing_shards(store)
    assert HELD not in store.bodies()


def test_a_run_takes_the_lease_first_and_gives_it_back_last() -> None:
    store = prepared()
    before = len(store.calls)
    assert only(run(store)).outcome is Outcome.PUBLISHED
    written = changes(store.calls, before)
    assert (written[0], written[-1]) == (("PUT", HELD), ("DELETE", HELD))
    assert_whole(store, OLD, NEW)


def test_what_is_published_is_what_a_store_with_conditions_would_have() -> None:
    bare, guarded = prepared(), prepared()
    run(bare)
    index(guarded)
    assert published(bare) == published(guarded)


def test_a_quiet_run_takes_no_lease() -> None:
    store = prepared()
    run(store)
    before = len(store.calls)
    assert only(run(store)).outcome is Outcome.UNCHANGED
    assert changes(store.calls, before) == []


def test_the_report_counts_what_was_written_once() -> None:
    store, guarded = prepared(), prepared()
    assert only(run(store)) == only(index(guarded))


def test_the_lease_says_who_holds_it_and_for_how_long() -> None:
    store = prepared()
    seen: list[bytes] = []

    def look(call: Call) -> None:
        if HELD in store.objects:
            seen.append(store.objects[HELD].body)

    store.hook = look
    run(store)
    content = json.loads(seen[0])
    assert content["lasts_seconds"] == LASTS
    assert content["holder"]


@pytest.mark.parametrize("key", [HELD, "linux-64/repodata.json"])
def test_a_run_that_is_interrupted_gives_the_lease_back(key: str) -> None:
    store = prepared()

    def interrupted(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", key):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(UnconditionalStore(InterferingStore(store, after=interrupted)), now_ms=NOW_MS)
    assert HELD not in store.objects


def test_whoever_meets_a_lease_waits_until_it_is_given_back() -> None:
    store, clock = prepared(), FakeClock()
    store.upload(HELD, b"somebody's")

    def give_back(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 1100 and HELD in store.objects and store.objects[HELD].body == b"somebody's":
            store.remove(HELD)

    clock.sleep = give_back  # type: ignore[method-assign]
    assert only(run(store, clock)).outcome is Outcome.PUBLISHED
    assert 1100 < clock.now < 1000 + LASTS
    assert_whole(store, OLD, NEW)


def test_the_lease_of_an_indexer_that_died_is_taken_over_when_it_is_over() -> None:
    store, clock = prepared(), FakeClock()
    store.upload(HELD, b"a dead one's")
    assert only(run(store, clock)).outcome is Outcome.PUBLISHED
    assert LASTS < clock.now - 1000 < 2 * LASTS
    assert_whole(store, OLD, NEW)


def test_a_lease_that_is_renewed_is_never_taken_over() -> None:
    store, clock = prepared(), FakeClock()
    store.upload(HELD, b"0")

    def renew(seconds: float) -> None:
        clock.now += seconds
        store.upload(HELD, str(clock.now).encode())

    clock.sleep = renew  # type: ignore[method-assign]
    assert only(run(store, clock)).outcome is Outcome.CONFLICT
    assert set(records(store)) == {OLD.partition("/")[2]}


@pytest.mark.parametrize(("age", "waits"), [(LASTS + SKEW + 1, False), (LASTS + SKEW - 1, True)])
def test_a_lease_older_than_any_difference_of_clocks_is_over_at_once(age: float, waits: bool) -> None:  # noqa: FBT001
    store, clock = prepared(), FakeClock()
    store.clock_ms = NOW_MS - int(age * 1000)
    store.upload(HELD, b"a dead one's")
    store.clock_ms = NOW_MS
    run(store, clock)
    assert (clock.now - 1000 > LASTS) is waits
    assert_whole(store, OLD, NEW)


def test_of_two_that_take_the_lease_at_once_the_first_notices() -> None:
    store, clock = prepared(), FakeClock()

    def overwrite(seconds: float) -> None:
        clock.now += seconds
        if HELD in store.objects and not clock.slept:
            store.upload(HELD, b"the second's")
        clock.slept.append(seconds)

    clock.sleep = overwrite  # type: ignore[method-assign]
    before = len(store.calls)
    run(store, clock)
    written = changes(store.calls, before)
    # Nothing but the lease before it was over, and the second's was not deleted.
    assert written[:2] == [("PUT", HELD), ("PUT", HELD)]
    assert clock.now - 1000 > LASTS
    assert_whole(store, OLD, NEW)


def test_a_lease_that_is_lost_while_it_is_written_stops_the_lap() -> None:
    store, clock = prepared(), FakeClock()

    def steal(call: Call) -> None:
        if call.verb == "PUT" and call.key.endswith("repodata_shards.msgpack.zst"):
            store.hook = lambda _: None
            store.upload(HELD, b"a thief's")
            clock.now += LASTS

    store.hook = steal
    assert only(run(store, clock)).attempts > 1
    assert_whole(store, OLD, NEW)


def test_a_long_lap_renews_its_lease() -> None:
    store, clock = prepared(), FakeClock()
    leases: list[bytes] = []

    def pass_time(call: Call) -> None:
        clock.now += 20
        if HELD in store.objects:
            leases.append(store.objects[HELD].body)

    store.hook = pass_time
    run(store, clock)
    assert max(json.loads(body)["renewed"] for body in leases) > 1
    assert_whole(store, OLD, NEW)


@pytest.mark.parametrize("number", range(1, MANY, 3))
def test_a_package_that_comes_at_any_call_is_indexed_by_the_next_run(number: int) -> None:
    store = prepared()

    def upload(now: int, _call: Call) -> None:
        if now == number:
            fill(store, OTHER)

    index(InterferingStore(UnconditionalStore(store), before=upload))
    fill(store, OTHER)
    run(store)
    assert_whole(store, OLD, NEW, OTHER)


@pytest.mark.parametrize("number", range(1, MANY, 4))
def test_the_next_run_repairs_a_run_without_a_lease_at_any_call(number: int) -> None:
    store = prepared()

    def fall_in(now: int, _call: Call) -> None:
        if now == number:
            fill(store, OTHER)
            index(store, replace(PLAIN, preconditions=False))

    index(InterferingStore(UnconditionalStore(store), before=fall_in))
    fill(store, OTHER)
    run(store)
    assert_whole(store, OLD, NEW, OTHER)


@pytest.mark.parametrize("number", range(1, MANY, 4))
def test_two_runs_with_a_lease_leave_a_whole_channel(number: int) -> None:
    store, clock = prepared(), FakeClock()

    def fall_in(now: int, _call: Call) -> None:
        if now == number:
            fill(store, OTHER)
            run(store, clock)

    index(InterferingStore(UnconditionalStore(store), before=fall_in), clock=clock)
    fill(store, OTHER)
    run(store, clock)
    assert_whole(store, OLD, NEW, OTHER)


@pytest.mark.parametrize("number", range(1, MANY, 4))
def test_a_run_that_dies_at_any_call_is_made_good_by_the_next(number: int) -> None:
    store = prepared()
    try:
        index(InterferingStore(UnconditionalStore(store), before=crash_at(number)))
    except Crash:
        assert not missing_shards(store)
    run(store, FakeClock())
    store.objects.pop(HELD, None)  # of one that died at the very end: it binds nobody for long
    assert_whole(store, OLD, NEW)


def test_packages_are_looked_at_again_before_the_source_is_written() -> None:
    store = prepared()

    def upload(call: Call) -> None:
        if call.verb == "PUT" and call.key == "linux-64/repodata.json.zst":
            store.hook = lambda _: None
            fill(store, OTHER)

    store.hook = upload
    assert only(run(store)).attempts == 2
    assert_whole(store, OLD, NEW, OTHER)


def test_a_channel_of_shards_only_is_written_under_a_lease_too() -> None:
    store = channel(OLD)
    index(UnconditionalStore(store), with_outputs(monolithic=False))
    assert sharded(store) == {OLD.partition("/")[2]}
    assert HELD not in store.bodies()


def test_a_file_of_ours_that_is_replaced_after_it_was_written_is_noticed() -> None:
    store = prepared()

    def replace_source(call: Call) -> None:
        if call.verb == "PUT" and call.key.endswith(".indexer.json.zst"):
            store.hook = lambda _: None
            store.upload(SOURCE, b'{"packages":{}}')

    store.hook = replace_source
    assert only(run(store)).attempts == 2
    assert_whole(store, OLD, NEW)


def test_packages_are_read_once_although_the_subdir_is_looked_at_twice() -> None:
    store = prepared()
    before = len(store.calls)
    report = run(store)
    assert [call.key for call in store.calls[before:] if call.verb == "GET" and call.key == NEW] == [NEW]
    assert package(NEW)
    assert only(report).read["whole"].packages == 1


def test_files_of_the_whole_channel_have_a_lease_of_their_own() -> None:
    store = prepared()
    before = len(store.calls)
    report = index(UnconditionalStore(store), with_outputs(channeldata=True))
    written = changes(store.calls, before)
    assert report.channel_files is not None
    assert report.channel_files.outcome is Outcome.PUBLISHED
    assert written.index(("PUT", LEASE)) < written.index(("PUT", "channeldata.json")) < written.index(("DELETE", LEASE))


def test_a_yank_is_put_under_the_lease() -> None:
    store = prepared()
    run(store)
    before = len(store.calls)
    withdraw(UnconditionalStore(store), YankRequest(frozenset({NEW}), "broken"), PLAIN, fake_context())
    written = changes(store.calls, before)
    assert written[:3] == [("PUT", HELD), ("PUT", f"linux-64/{YANKS}"), ("DELETE", HELD)]
    assert_whole(store, OLD)
