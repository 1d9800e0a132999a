"""Named snapshots over a store in memory: what they have, what they keep, and what is left of a killed process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.commands.gc import GcRequest, collect
from indexer.commands.named_snapshots import SnapshotRequest, delete_snapshot, list_snapshots, make_snapshot
from indexer.commands.publish.publish import publish
from indexer.core import names
from indexer.core.errors import BadConfig, GaveUp, Refused
from indexer.core.formats import shards as shard_format
from indexer.core.publishing import PublishRequest
from indexer.core.report import Outcome
from indexer.core.snapshot_report import SnapshotInfo, SnapshotReport
from indexer.lister.named_snapshots import packages_in_snapshots
from tests.support.channel_check import check, faults
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import MemoryStore, copy_of, made_once
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    FakeClock,
    Inline,
    changes,
    channel,
    fake_context,
    fill,
    follow,
    keys,
    records,
    shards,
    unpacked,
    with_outputs,
)
from tests.support.package_files import build
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.core.options import Options
    from indexer.store import Store
    from tests.support.memory import Call

NEW = "linux-64/new-1.0-0.conda"
MORE = "linux-64/p00-2.0-0.conda"
SHARDS_ONLY = with_outputs(monolithic=False)
JSON_ONLY = with_outputs(shards=False)
ALL = [PLAIN, SHARDS_ONLY, JSON_ONLY]
PREFIX = "snapshots/v1/"


def freeze(
    store: Store, name: str = "v1", *, monolithic: bool = False, clock: FakeClock | None = None
) -> SnapshotReport:
    return make_snapshot(store, SnapshotRequest(name, monolithic), fake_context(clock=clock))


def of_snapshot(store: MemoryStore) -> set[str]:
    return {key for key in store.bodies() if key.startswith(names.SNAPSHOTS_FOLDER)}


@made_once
def indexed(options: Options = PLAIN, now_ms: int = NOW_MS) -> MemoryStore:
    store = channel(*keys(3), *keys(1, "noarch"))
    store.clock_ms = now_ms
    follow(store, options, now_ms=now_ms)
    return store


def test_a_snapshot_has_one_shard_index_a_subdir() -> None:
    store = indexed()
    report = freeze(store)
    assert (report.outcome, report.exit_code) == (Outcome.PUBLISHED, 0)
    assert of_snapshot(store) == {
        PREFIX + names.SNAPSHOT_CONTENTS,
        PREFIX + names.SNAPSHOT_MARKER,
        f"{PREFIX}linux-64/{names.SHARD_INDEX}",
        f"{PREFIX}noarch/{names.SHARD_INDEX}",
    }
    size = sum(len(body) for key, body in store.bodies().items() if key in of_snapshot(store) and "complete" not in key)
    assert report.snapshots == (SnapshotInfo("v1", NOW_MS, 4, size),)


def test_its_addresses_are_those_of_the_channel() -> None:
    store = indexed()
    freeze(store)
    frozen = unpacked(store.bodies()[f"{PREFIX}linux-64/{names.SHARD_INDEX}"])
    published = unpacked(store.bodies()[f"linux-64/{names.SHARD_INDEX}"])
    assert frozen["shards"] == published["shards"]
    assert frozen["info"] == {
        **published["info"],
        "base_url": "../../../linux-64/",
        "shards_base_url": "../../../linux-64/shards/",
    }


def test_an_absolute_base_url_stays() -> None:
    store = channel(*keys(1))
    follow(store, with_outputs(base_url="https://cdn.example.com/ch"))
    freeze(store)
    frozen = unpacked(store.bodies()[f"{PREFIX}linux-64/{names.SHARD_INDEX}"])
    assert frozen["info"]["base_url"] == "https://cdn.example.com/ch/linux-64/"


@pytest.mark.parametrize(("options", "monolithic"), [(PLAIN, True), (SHARDS_ONLY, True), (JSON_ONLY, False)])
def test_with_json_it_has_all_records(options: Options, monolithic: bool) -> None:  # noqa: FBT001
    store = indexed(options)
    freeze(store, monolithic=monolithic)
    bodies = store.bodies(PREFIX)
    frozen = msgspec.json.decode(bodies[f"{PREFIX}linux-64/{names.REPODATA}"])
    assert frozen["info"] == {"subdir": "linux-64", "base_url": "../../../linux-64/"}
    assert frozen["repodata_version"] == 2
    assert set(frozen["packages.conda"]) == {key.partition("/")[2] for key in keys(3)}
    if options is not SHARDS_ONLY:
        assert frozen["packages.conda"] == records(store)
    assert f"{PREFIX}linux-64/{names.REPODATA_ZST}" in bodies
    assert (f"{PREFIX}linux-64/{names.SHARD_INDEX}" in bodies) is (options is not JSON_ONLY)


@pytest.mark.parametrize("options", ALL)
def test_the_same_channel_makes_the_same_snapshot(options: Options) -> None:
    store = indexed(options)
    freeze(store)
    before = store.bodies()
    first = len(store.calls)
    again = freeze(store)
    assert (again.outcome, again.snapshots[0].created_timestamp) == (Outcome.UNCHANGED, NOW_MS)
    assert store.bodies() == before
    assert {key for _, key in changes(store.calls, first)} <= {PREFIX + names.SNAPSHOT_CONTENTS}


@pytest.mark.parametrize("options", ALL)
def test_a_name_that_is_taken_is_refused(options: Options) -> None:
    store = indexed(options)
    freeze(store)
    fill(store, NEW)
    follow(store, options)
    before = store.bodies()
    with pytest.raises(Refused, match="v1: is a snapshot with other content; use another name, or delete it"):
        freeze(store)
    assert store.bodies() == before


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x", "a b", "é", "x" * 65])
def test_a_name_is_one_plain_part_of_a_path(name: str) -> None:
    with pytest.raises(BadConfig, match="is no name for a snapshot"):
        freeze(indexed(), name)


def test_the_next_run_costs_nothing_more_and_sees_no_subdir() -> None:
    store, other = indexed(), indexed()
    freeze(store)
    first = len(store.calls)
    report = follow(store)
    assert (report.outcome, report.not_indexed) == (Outcome.UNCHANGED, ())
    follow(other)
    assert [call.verb for call in store.calls[first:]] == [call.verb for call in other.calls]


def test_a_snapshot_is_no_target_of_a_run() -> None:
    store = indexed()
    freeze(store)
    inside = MemoryStore()
    for key, body in store.bodies(PREFIX).items():
        inside.upload(key.removeprefix(PREFIX), body)
    before = inside.bodies()
    with pytest.raises(BadConfig, match="is a snapshot of a channel, which never changes"):
        follow(inside)
    assert inside.bodies() == before


def test_packages_of_all_snapshots_are_known_by_a_request_each() -> None:
    store = indexed()
    freeze(store, "v1")
    fill(store, NEW, "osx-arm64/mac-1.0-0.conda")
    follow(store)
    freeze(store, "v2")
    first = len(store.calls)
    found = packages_in_snapshots(store, Inline())
    assert [call.verb for call in store.calls[first:]] == ["LIST", "GET", "GET"]
    of_linux = {key.partition("/")[2] for key in (*keys(3), NEW)}
    assert found == {"linux-64": of_linux, "noarch": {"p00-1.0-0.conda"}, "osx-arm64": {"mac-1.0-0.conda"}}


def test_a_channel_without_snapshots_costs_one_listing() -> None:
    store = indexed()
    first = len(store.calls)
    assert packages_in_snapshots(store, Inline()) == {}
    assert [call.verb for call in store.calls[first:]] == ["LIST"]


def test_yanked_packages_are_not_in_a_snapshot() -> None:
    store = indexed()
    upload_yank(store)
    follow(store)
    freeze(store)
    assert "p00-1.0-0.conda" not in packages_in_snapshots(store, Inline())["linux-64"]


def upload_yank(store: MemoryStore) -> None:
    store.upload(
        f"linux-64/{names.YANKS}",
        b'{"version":1,"yanked":{"p00-1.0-0.conda":{"reason":"bad","yanked_timestamp":1}}}',
    )


def test_all_are_listed_by_name_with_date_packages_and_size() -> None:
    store = indexed()
    made = [freeze(store, name).snapshots[0] for name in ("v2", "v1")]
    report = list_snapshots(store, fake_context())
    assert report.snapshots == (made[1], made[0])


def test_a_list_of_snapshots_of_no_channel_is_an_error() -> None:
    store = indexed()
    assert list_snapshots(store, fake_context()).snapshots == ()
    with pytest.raises(BadConfig, match="has no subdir such as noarch or linux-64"):
        list_snapshots(MemoryStore(0), fake_context())


def test_a_deleted_snapshot_leaves_the_channel_as_before() -> None:
    store = indexed()
    before = store.bodies()
    freeze(store, monolithic=True)
    with_snapshot = store.bodies()
    assert delete_snapshot(store, "v1", fake_context(), delete=False).outcome is Outcome.PLANNED
    assert store.bodies() == with_snapshot
    assert delete_snapshot(store, "v1", fake_context(), delete=True).outcome is Outcome.DELETED
    assert store.bodies() == before
    with pytest.raises(BadConfig, match="v1: is not a snapshot of this channel"):
        delete_snapshot(store, "v1", fake_context(), delete=True)


def test_a_folder_of_somebody_else_is_no_snapshot_to_delete() -> None:
    store = indexed()
    store.upload(f"snapshots/v1/linux-64/{names.REPODATA}", b"{}")
    before = store.bodies()
    with pytest.raises(BadConfig, match="v1: is not a snapshot of this channel"):
        delete_snapshot(store, "v1", fake_context(), delete=True)
    assert store.bodies() == before


def test_on_a_store_without_conditions_it_is_deleted_under_a_lease() -> None:
    store = indexed()
    before = store.bodies()
    freeze(store)
    delete_snapshot(UnconditionalStore(store), "v1", fake_context(), delete=True)
    assert store.bodies() == before


def test_a_channel_of_another_indexer_is_refused() -> None:
    store = indexed()
    store.remove(f"linux-64/{names.STATE_FILE}")
    with pytest.raises(BadConfig, match="linux-64: was not indexed by this tool yet"):
        freeze(store)
    assert of_snapshot(store) == set()


def test_a_subdir_without_an_index_is_left_out() -> None:
    store = fill(indexed(), "osx-arm64/mac-1.0-0.conda")
    freeze(store)
    assert set(packages_in_snapshots(store, Inline())) == {"linux-64", "noarch"}


def half_published() -> MemoryStore:
    """A channel after a run that was killed when it had written a new shard index."""
    store = fill(indexed(), NEW)

    def die(_number: int, call: Call) -> None:
        if call.verb == "PUT" and call.key == f"linux-64/{names.SHARD_INDEX}":
            raise Crash

    with pytest.raises(Crash):
        follow(InterferingStore(store, after=die))
    return store


def test_half_a_publication_is_no_view() -> None:
    store = half_published()
    clock = FakeClock()
    with pytest.raises(GaveUp, match="a run is in progress or was killed"):
        freeze(store, clock=clock)
    assert (sum(clock.slept), of_snapshot(store)) == (31.5, set())


class RunEnds(FakeClock):
    """While somebody sleeps, the run ends."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.store = store

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        follow(self.store)


def test_a_run_that_ends_is_waited_for() -> None:
    store = half_published()
    assert freeze(store, clock=RunEnds(store)).snapshots[0].packages == 5


@pytest.mark.parametrize("options", ALL)
def test_killed_at_any_call_and_repeated_it_is_the_same(options: Options) -> None:
    whole = indexed(options)
    counted = InterferingStore(whole)
    freeze(counted)
    for number in range(1, len(counted.calls) + 1):
        store = indexed(options)
        with pytest.raises(Crash):
            freeze(InterferingStore(store, before=crash_at(number)))
        (info,) = list_snapshots(store, fake_context()).snapshots or (SnapshotInfo("v1"),)
        assert info.created_timestamp is None, "complete before its last file"
        assert faults(store) == []
        freeze(store)
        assert store.bodies() == whole.bodies(), number


def test_a_deletion_is_killed_at_any_call_and_repeated() -> None:
    frozen = indexed()
    before = frozen.bodies()
    freeze(frozen, monolithic=True)
    counted = InterferingStore(copy_of(frozen))
    delete_snapshot(counted, "v1", fake_context(), delete=True)
    for number in range(1, len(counted.calls) + 1):
        store = copy_of(frozen)
        with pytest.raises(Crash):
            delete_snapshot(InterferingStore(store, before=crash_at(number)), "v1", fake_context(), delete=True)
        assert faults(store) == []
        delete_snapshot(store, "v1", fake_context(), delete=True)
        assert store.bodies() == before, number


def test_an_incomplete_snapshot_of_another_index_is_refused() -> None:
    store = indexed()

    def die(_number: int, call: Call) -> None:
        if call.verb == "PUT" and call.key.endswith(names.SNAPSHOT_MARKER):
            raise Crash

    with pytest.raises(Crash):
        freeze(InterferingStore(store, before=die))
    fill(store, NEW)
    follow(store)
    with pytest.raises(Refused, match="v1: is an incomplete snapshot, and the channel has changed since"):
        freeze(store)
    assert list_snapshots(store, fake_context()).snapshots == (SnapshotInfo("v1"),)
    delete_snapshot(store, "v1", fake_context(), delete=True)
    assert freeze(store).snapshots[0].packages == 5


def falls_in(store: MemoryStore, number: int, do: Callable[[MemoryStore], object]) -> InterferingStore:
    """Before a call, somebody else does something to the channel."""

    def before(now: int, _call: Call) -> None:
        if now == number:
            do(store)

    return InterferingStore(store, before=before)


def named_shards(store: MemoryStore) -> set[str]:
    """The keys of the shards that all complete snapshots name."""
    found = set()
    bodies = store.bodies()
    for key, body in bodies.items():
        parts = key.split("/")
        if parts[0] == "snapshots" and parts[-1] == names.SHARD_INDEX and _marker_of(parts[1]) in bodies:
            digests = unpacked(body)["shards"].values()
            found |= {f"{parts[2]}/shards/{shard_format.filename_of(digest)}" for digest in digests}
    return found


def _marker_of(name: str) -> str:
    return f"snapshots/{name}/{names.SNAPSHOT_MARKER}"


@made_once
def with_old_shards(options: Options = PLAIN) -> MemoryStore:
    """A channel whose index is of today, with shards that are a month old."""
    return _aged(indexed(options, NOW_MS - 30 * DAY_MS))


def _aged(store: MemoryStore) -> MemoryStore:
    store.clock_ms = NOW_MS
    return store


def replaced(store: MemoryStore, options: Options = PLAIN) -> None:
    """A run that leaves an old shard which no index names."""
    fill(store, MORE)
    follow(store, options)


def gc(store: Store) -> None:
    collect(store, GcRequest(delete=True), fake_context())


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
def test_a_gc_keeps_the_shards_of_snapshots_and_no_others(options: Options) -> None:
    store = with_old_shards(options)
    freeze(store)
    before = shards(store)["p00"]
    replaced(store, options)
    gc(store)
    assert before in store.bodies()
    delete_snapshot(store, "v1", fake_context(), delete=True)
    gc(store)
    assert before not in store.bodies()


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
def test_a_snapshot_beside_a_gc_loses_no_shard(options: Options) -> None:
    """A snapshot of the index before a run, and a gc after it, begin at any two calls of each other."""

    def run_and_collect(store: MemoryStore) -> None:
        replaced(store, options)
        gc(store)

    counted = InterferingStore(with_old_shards(options))
    old = shards(with_old_shards(options))["p00"]
    freeze(counted)
    complete = 0
    for number in range(1, len(counted.calls) + 1):
        store = with_old_shards(options)
        try:
            freeze(falls_in(store, number, run_and_collect))
            complete += 1
        except Refused:
            assert old not in store.bodies(), "the gc had come first"
        assert named_shards(store) <= store.bodies().keys(), number
    assert complete > len(counted.calls) / 2


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
def test_a_gc_beside_a_snapshot_loses_no_shard(options: Options) -> None:
    """The snapshot is made between any two calls of a gc; the shard that goes is named again by the index then."""
    old = with_old_shards(options)
    replaced(old, options)
    counted = InterferingStore(copy_of(old))
    gc(counted)

    def back_and_freeze(store: MemoryStore) -> None:
        store.remove(MORE)
        follow(store, options)
        with contextlib.suppress(GaveUp):
            freeze(store)

    for number in range(1, len(counted.calls) + 1):
        store = _aged(copy_of(old))
        gc(falls_in(store, number, back_and_freeze))
        assert named_shards(store) <= store.bodies().keys(), number


def test_a_gc_that_is_in_progress_is_waited_for() -> None:
    store = indexed()
    store.upload(f"linux-64/{names.GC_MARKER}", b"{}")
    clock = FakeClock()
    with pytest.raises(GaveUp, match="a gc is in progress, or has just died"):
        freeze(store, clock=clock)
    assert 500 < sum(clock.slept) <= 600
    assert list_snapshots(store, fake_context()).snapshots == (SnapshotInfo("v1"),)
    store.remove(f"linux-64/{names.GC_MARKER}")
    assert freeze(store).outcome is Outcome.PUBLISHED


def test_a_package_that_leaves_the_index_meanwhile_stops_it() -> None:
    counted = InterferingStore(indexed())
    freeze(counted)

    def withdraw(store: MemoryStore) -> None:
        upload_yank(store)
        follow(store)

    refused = 0
    for number in range(1, len(counted.calls) + 1):
        store = indexed()
        try:
            freeze(falls_in(store, number, withdraw))
        except Refused:
            refused += 1
            assert list_snapshots(store, fake_context()).snapshots == (SnapshotInfo("v1"),)
    assert refused


def test_a_store_without_conditions_is_written_under_a_lease() -> None:
    store, other = indexed(), indexed()
    freeze(UnconditionalStore(store))
    freeze(other)
    assert store.bodies() == other.bodies()


def test_a_check_sees_what_a_snapshot_has_lost() -> None:
    store = indexed()
    freeze(store, monolithic=True)
    assert check(store).subdirs["snapshots/v1"].packages == 4
    shard = shards(store)["p00"]
    store.remove("linux-64/p02-1.0-0.conda")
    follow(store)
    store.remove(shard)
    store.upload(f"{PREFIX}noarch/{names.REPODATA}", b"{}")
    store.remove(f"{PREFIX}noarch/{names.REPODATA_ZST}")
    found = [(fault.key, fault.reason) for fault in check(store).faults if fault.key.startswith(PREFIX)]
    assert found == [
        (PREFIX + names.SNAPSHOT_CONTENTS, "names packages of linux-64 that do not exist: p02-1.0-0.conda"),
        (f"{PREFIX}linux-64/{names.SHARD_INDEX}", f"names shards that do not exist: {shard.rpartition('/')[2]}"),
        (f"{PREFIX}noarch/{names.REPODATA}", "has other content than when the snapshot was made"),
        (f"{PREFIX}noarch/{names.REPODATA_ZST}", "does not exist"),
    ]


def test_a_check_of_some_subdirs_and_an_incomplete_snapshot_is_no_fault() -> None:
    store = indexed()
    freeze(store)
    assert "snapshots/v1" not in check(store, subdirs=["linux-64"]).subdirs
    store.remove(_marker_of("v1"))
    report = check(store)
    assert [hint.reason for hint in report.hints] == ["is of a snapshot that is not complete"]
    assert report.faults == ()


def test_a_snapshot_that_cannot_be_read_stops_a_gc_and_is_a_fault() -> None:
    store = with_old_shards()
    freeze(store)
    store.upload(f"{PREFIX}linux-64/{names.SHARD_INDEX}", b"damaged")
    replaced(store)
    before = store.bodies()
    report = collect(store, GcRequest(delete=True), fake_context())
    assert "is not a readable shard index" in (report.subdirs["linux-64"].error or "")
    assert store.bodies() == before
    assert any(fault.startswith(f"{PREFIX}linux-64") for fault in faults(store))


def test_a_gc_deletes_what_a_killed_process_was_writing() -> None:
    store = with_old_shards()
    freeze(store)
    store.clock_ms = NOW_MS - 30 * DAY_MS
    old = [
        f"{PREFIX}.{names.SNAPSHOT_CONTENTS}.{'0' * 32}.tmp",
        f"{PREFIX}linux-64/.{names.SHARD_INDEX}.{'0' * 32}.tmp",
    ]
    for key in old:
        store.upload(key, b"half")
    store.clock_ms = NOW_MS
    report = collect(store, GcRequest(delete=True, temporary_files=True), fake_context())
    assert {key for sub in report.subdirs.values() for key in sub.unused} == set(old)
    assert not store.bodies().keys() & set(old)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_replacement_of_a_package_in_a_snapshot_warns(tmp_path: Path, dry_run: bool) -> None:  # noqa: FBT001
    store = indexed()
    freeze(store)
    files = [build(tmp_path, key, license="MIT") for key in keys(1)] + [build(tmp_path, NEW)]
    options = replace(PLAIN, dry_run=dry_run)
    report = publish(store, files, PublishRequest(replace=True), options, fake_context())
    verb = "would be" if dry_run else "is"
    assert [package.reason for package in report.packages] == [
        f"{verb} replaced, so installs of it from a snapshot fail",
        "",
    ]


def test_a_snapshot_that_ends_before_the_note_of_a_gc_keeps_its_shards() -> None:
    """A snapshot has read the index before a run, and its files come while a gc has looked at everything already."""
    start = with_old_shards()
    frozen = copy_of(start)
    freeze(frozen)
    files = frozen.bodies(names.SNAPSHOTS_FOLDER)
    replaced(start)
    counted = InterferingStore(copy_of(start))
    gc(counted)
    note = [(call.verb, call.key) for call in counted.calls].index(("PUT", f"linux-64/{names.GC_MARKER}"))

    def end(store: MemoryStore) -> None:
        for key, body in files.items():
            store.upload(key, body)

    for number in range(1, note + 2):
        store = _aged(copy_of(start))
        gc(falls_in(store, number, end))
        assert named_shards(store) <= store.bodies().keys(), number
