"""Two indexers at once: whoever comes second looks again, and nothing that was uploaded is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    FakeClock,
    channel,
    fill,
    index,
    is_package,
    keys,
    missing_shards,
    only,
    package,
    packages_read,
    published,
    records,
    repodata,
    sharded,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

NEW = "linux-64/new-1.0-0.conda"
GONE = keys(3)[0]
OTHER = "linux-64/other-1.0-0.conda"
SOURCE = "linux-64/repodata.json"
SHARD_INDEX = "linux-64/repodata_shards.msgpack.zst"
GIVE_UP_AFTER = 600.0
# More than any run below asks of its store.
MANY = 60


def prepared() -> MemoryStore:
    """An indexed channel with a new package in it."""
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store)
    return fill(store, NEW)


def names_in(store: MemoryStore) -> set[str]:
    """The packages of linux-64 that lie in the channel."""
    return {key.partition("/")[2] for key in store.bodies("linux-64/") if is_package(key) and "/shards/" not in key}


def test_an_index_published_between_snapshot_and_write_is_not_lost() -> None:
    store = prepared()

    def publish_first(_number: int, call: Call) -> None:
        if call.verb == "PUT" and not fell_in:
            fell_in.append(call.key)
            fill(store, OTHER)
            index(store, now_ms=NOW_MS + DAY_MS)

    fell_in: list[str] = []
    interfering, clock = InterferingStore(store, before=publish_first), FakeClock()
    report = index(interfering, now_ms=NOW_MS + 2 * DAY_MS, clock=clock)
    assert fell_in
    assert report.exit_code == 0
    assert only(report).attempts == 2
    assert clock.slept == [0.5]
    assert records(store).keys() == sharded(store) == names_in(store)
    assert records(store)["new-1.0-0.conda"]["indexed_timestamp"] == NOW_MS + DAY_MS


def test_what_was_read_is_not_read_twice_in_one_run() -> None:
    store = prepared()

    def touch(number: int, call: Call) -> None:
        if call.key == SOURCE and call.verb == "PUT" and number < MANY:
            store.upload(SOURCE, store.bodies()[SOURCE].rstrip() + b" " * number)

    first = len(store.calls)
    report = index(InterferingStore(store, before=touch))
    assert only(report).attempts > 1
    assert packages_read(store.calls, first) == [NEW]
    assert records(store).keys() == names_in(store)


def after_upload_and_run(store: MemoryStore, at: int) -> InterferingStore:
    """Let somebody upload a package and another indexer run before call number `at`."""

    def fall_in(number: int, _call: Call) -> None:
        if number == at:
            fill(store, OTHER)
            index(store, now_ms=NOW_MS + DAY_MS)

    return InterferingStore(store, before=fall_in)


@pytest.mark.parametrize("before", ["nothing", "an index"])
@pytest.mark.parametrize("shape", [{}, {"monolithic": False}, {"shards": False}])
def test_nothing_is_lost_wherever_another_indexer_falls_in(before: str, shape: dict[str, bool]) -> None:
    options = with_outputs(**shape)
    count = MANY
    for at in range(1, MANY):
        if at > count:
            break
        store = channel(*keys(3), *keys(1, "noarch"))
        if before == "an index":
            index(store, options)
        fill(store, NEW)

        def fall_in(number: int, _call: Call, store: MemoryStore = store, at: int = at) -> None:
            if number == at:
                fill(store, OTHER)
                index(store, options, now_ms=NOW_MS + DAY_MS)

        interfering = InterferingStore(store, before=fall_in)
        report = index(interfering, options, now_ms=NOW_MS + 2 * DAY_MS)
        count = len(interfering.calls)
        assert report.exit_code == 0, at
        assert missing_shards(store) == set(), at
        assert all(reader == names_in(store) for reader in readers(store)), at
        again = len(store.calls)
        index(store, options)
        assert packages_read(store.calls, again) == [], at
    assert count >= 10


def readers(store: MemoryStore) -> list[set[str]]:
    """What readers of each form find that there is."""
    result = [set(records(store))] if SOURCE in store.bodies() else []
    if SHARD_INDEX in store.bodies():
        result.append(sharded(store))
    assert result
    return result


def test_what_another_indexer_removed_does_not_come_back() -> None:
    count = MANY
    for at in range(1, MANY):
        if at > count:
            break
        store = prepared()

        def fall_in(number: int, _call: Call, store: MemoryStore = store, at: int = at) -> None:
            if number == at:
                store.remove(GONE)
                index(store)

        interfering = InterferingStore(store, before=fall_in)
        assert index(interfering).exit_code == 0, at
        count = len(interfering.calls)
        assert records(store).keys() == sharded(store) == names_in(store), at
        assert "p00-1.0-0.conda" not in records(store), at


def test_a_package_uploaded_at_any_call_is_indexed_by_the_next_run() -> None:
    count = MANY
    for at in range(1, MANY):
        if at > count:
            break
        store = prepared()

        def fall_in(number: int, _call: Call, store: MemoryStore = store, at: int = at) -> None:
            if number == at:
                fill(store, OTHER)
                store.upload(NEW, package(NEW, license="replaced"))

        interfering = InterferingStore(store, before=fall_in)
        assert index(interfering).exit_code == 0, at
        count = len(interfering.calls)
        index(store)
        assert records(store).keys() == sharded(store) == names_in(store), at
        assert records(store)["new-1.0-0.conda"]["license"] == "replaced", at


def test_a_package_replaced_while_it_is_read_makes_another_lap() -> None:
    store = prepared()

    def replace_it(_number: int, call: Call) -> None:
        if call.key == NEW and store.bodies()[NEW] == package(NEW):
            store.upload(NEW, package(NEW, license="newer"))

    report = index(InterferingStore(store, before=replace_it))
    assert only(report).attempts == 2
    assert records(store)["new-1.0-0.conda"]["license"] == "newer"


def test_a_package_deleted_while_it_is_read_makes_another_lap() -> None:
    store = prepared()

    def delete_it(_number: int, call: Call) -> None:
        if call.key == NEW and NEW in store.bodies():
            store.remove(NEW)

    report = index(InterferingStore(store, before=delete_it))
    assert report.exit_code == 0
    assert only(report).attempts == 2
    assert records(store).keys() == names_in(store)


def contested(store: MemoryStore) -> InterferingStore:
    """Somebody who is always faster: the source changes before each time it is put."""

    def be_faster(number: int, call: Call) -> None:
        if call.verb == "PUT" and call.key == SOURCE:
            content = repodata(store)
            store.upload(SOURCE, store.bodies()[SOURCE].rstrip() + b" " * number)
            assert content == repodata(store)

    return InterferingStore(store, before=be_faster)


def test_a_run_gives_up_after_ten_minutes_of_conflicts() -> None:
    store, clock = prepared(), FakeClock()
    began = clock.now
    report = index(contested(store), clock=clock)
    assert only(report).outcome is Outcome.CONFLICT
    assert report.exit_code == 4
    assert "repeat" in (only(report).error or "")
    assert clock.slept[:8] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert set(clock.slept[8:]) == {60}
    assert GIVE_UP_AFTER - 60 <= clock.now - began <= GIVE_UP_AFTER
    assert only(report, "noarch").exit_code == 0


def test_a_run_that_gives_up_leaves_a_whole_index_for_the_next_run() -> None:
    store = prepared()
    index(contested(store), clock=FakeClock())
    assert missing_shards(store) == set()
    assert index(store).exit_code == 0
    assert records(store).keys() == sharded(store) == names_in(store)


def test_without_conditions_a_run_ends_where_others_would_look_again() -> None:
    store = prepared()
    report = index(contested(store), replace(PLAIN, preconditions=False))
    assert report.exit_code == 0
    assert only(report).attempts == 1
    assert records(store).keys() == names_in(store)


def test_every_mutable_file_is_put_under_the_version_that_was_seen() -> None:
    store = prepared()
    seen = {key: stored.stat.etag for key, stored in store.objects.items()}
    first = len(store.calls)
    index(store)
    mutable = [call for call in store.calls[first:] if call.verb == "PUT" and "/shards/" not in call.key]
    assert {call.key for call in mutable} >= {SOURCE, f"linux-64/{names.STATE_FILE}"}
    for call in mutable:
        assert call.expect == seen[call.key]


def test_two_indexers_of_a_changing_channel_end_with_the_same_index() -> None:
    store = prepared()
    index(after_upload_and_run(store, at=12), now_ms=NOW_MS + DAY_MS)
    straight = channel(*keys(3), *keys(1, "noarch"))
    index(straight)
    fill(straight, NEW, OTHER)
    index(straight, now_ms=NOW_MS + DAY_MS)
    assert published(store)[SOURCE] == published(straight)[SOURCE]


def test_runs_that_delete_the_index_of_each_other_leave_one_index() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store)
    shard_index = store.bodies()[SHARD_INDEX]

    def fall_in(_number: int, call: Call) -> None:
        assert {SOURCE, SHARD_INDEX} & store.objects.keys(), "readers find no index"
        if call.verb in {"PUT", "DELETE"} and call.key.startswith("linux-64/") and not fell_in:
            fell_in.append(call.key)
            index(InterferingStore(store, after=look), with_outputs(shards=False), now_ms=NOW_MS + DAY_MS)

    def look(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SHARD_INDEX):
            # On a plain bucket a version is the MD5 of the content.
            assert store.bodies()[SHARD_INDEX] != shard_index
        assert {SOURCE, SHARD_INDEX} & store.objects.keys(), "readers find no index"

    fell_in: list[str] = []
    index(InterferingStore(store, fall_in, look), with_outputs(monolithic=False), now_ms=NOW_MS + 2 * DAY_MS)
    assert fell_in
    index(store)
    assert {record["indexed_timestamp"] for record in records(store).values()} == {NOW_MS}


@pytest.mark.parametrize("shapes", [("monolithic", "shards"), ("shards", "monolithic")])
def test_a_run_with_opposite_options_at_any_call_leaves_one_dated_index(
    shapes: tuple[str, str],
) -> None:
    ours, theirs = (with_outputs(**{shape: False}) for shape in shapes)
    for at in range(1, MANY):
        store = channel(*keys(3), *keys(1, "noarch"))
        index(store)

        def fall_in(number: int, _call: Call, store: MemoryStore = store, at: int = at) -> None:
            if number == at:
                index(store, theirs, now_ms=NOW_MS + DAY_MS)

        interfering = InterferingStore(store, before=fall_in)
        index(interfering, ours, now_ms=NOW_MS + 2 * DAY_MS)
        for subdir in ("linux-64", "noarch"):
            assert {f"{subdir}/{name}" for name in (names.REPODATA, names.SHARD_INDEX)} & store.objects.keys(), at
        index(store)
        assert {record["indexed_timestamp"] for record in records(store).values()} == {NOW_MS}, at
        if len(interfering.calls) < at:
            break
    else:
        raise AssertionError("more calls than were tried")
