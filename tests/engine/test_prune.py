"""`prune` over a store in memory: what goes, in which order, when its object is deleted, and what can come between."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.commands.named_snapshots import SnapshotRequest, delete_snapshot, make_snapshot
from indexer.commands.prune.prune import prune
from indexer.commands.publish.publish import publish
from indexer.commands.rollback import RollbackRequest, roll_back
from indexer.commands.yank import YankRequest, end_pruning, withdraw
from indexer.core import names
from indexer.core.channel_settings import ChannelSettings
from indexer.core.errors import BadConfig, BadPatch, Denied, NoConditions
from indexer.core.exit_codes import ExitCode
from indexer.core.overlay import Prune, WithdrawnPackages, Yank, decode_withdrawn, encode_withdrawn
from indexer.core.pruning import DAY_MS as GRACE_MS
from indexer.core.pruning import PruneReport, PruneRequest, Result
from indexer.core.publishing import PublishRequest, Sending
from indexer.core.report import Outcome
from indexer.store.clock import Clock
from tests.support.channel_check import faults
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import MemoryStore, copy_of
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fake_context,
    follow,
    is_package,
    only,
    package,
    records,
    repodata,
    sharded,
    with_outputs,
)
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.store import Store
    from tests.support.memory import Call

NEWEST_2 = ChannelSettings(keep_newest=2)
ENTRIES = f"linux-64/{names.YANKS}"
OLD = "linux-64/app-1-0.conda"
SHARDS_ONLY = with_outputs(monolithic=False)


def app(version: object, subdir: str = "linux-64", name: str = "app") -> str:
    return f"{subdir}/{name}-{version}-0.conda"


def nightlies(*more: str) -> MemoryStore:
    """A channel with four versions of `app`."""
    store = channel(*map(app, range(1, 5)), *more)
    follow(store)
    return store


def run(
    store: Store, given: ChannelSettings = NEWEST_2, *, at: int = 0, delete: bool = True, grace_ms: int = GRACE_MS
) -> PruneReport:
    """A prune, so many days after the channel was made."""
    return prune(store, PruneRequest(given, grace_ms, delete), fake_context(NOW_MS + at * DAY_MS))


def found(report: PruneReport, *results: Result) -> set[str]:
    return {one.key for one in report.packages if one.result in results}


def packages(store: MemoryStore) -> set[str]:
    return {key for key in store.bodies() if is_package(key)}


def entries(store: MemoryStore) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = json.loads(store.bodies()[ENTRIES])
    return content.get("pruned", {})


def test_without_yes_nothing_is_written() -> None:
    store = nightlies()
    since = len(store.calls)
    report = run(store, delete=False)
    assert found(report, Result.WOULD_LEAVE) == {app(1), app(2)}
    assert found(report, Result.KEPT) == {app(3), app(4)}
    assert (report.outcome, report.exit_code) == (Outcome.PLANNED, ExitCode.OK)
    assert changes(store.calls, since) == []


@pytest.mark.parametrize("delete", [True, False])
@pytest.mark.parametrize("given", [ChannelSettings(), ChannelSettings(keep=("app",))])
def test_without_a_rule_nothing_goes(given: ChannelSettings, *, delete: bool) -> None:
    store = nightlies()
    before = store.bodies()
    with pytest.raises(BadConfig, match="has no rule of retention; nothing was changed") as error:
        run(store, given, delete=delete)
    assert error.value.exit_code == ExitCode.WRONG_USAGE
    assert store.bodies() == before


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
def test_packages_leave_the_index_first_and_the_channel_after_the_grace(options: Any) -> None:
    store = channel(*map(app, range(1, 5)))
    follow(store, options)
    everything = packages(store)
    report = run(store)
    assert (report.outcome, report.exit_code) == (Outcome.PRUNED, ExitCode.OK)
    assert sharded(store) == {"app-3-0.conda", "app-4-0.conda"}
    assert packages(store) == everything
    assert found(run(store), Result.WAITS) == {app(1), app(2)}
    assert packages(store) == everything
    report = run(store, at=1)
    assert found(report, Result.DELETED) == {app(1), app(2)}
    assert packages(store) == {app(3), app(4)}
    assert entries(store) == {}
    assert faults(store) == []
    assert follow(store).outcome is Outcome.UNCHANGED


def test_a_grace_of_zero_deletes_in_the_same_run() -> None:
    store = nightlies()
    since = len(store.calls)
    times = itertools.count(NOW_MS)  # time passes while the index is written
    context = replace(fake_context(), clock=Clock(lambda: next(times)))
    report = prune(store, PruneRequest(NEWEST_2, 0, delete=True), context)
    assert found(report, Result.DELETED) == {app(1), app(2)}
    assert packages(store) == {app(3), app(4)}
    done = changes(store.calls, since)
    first, *_, last = (place for place, (_, key) in enumerate(done) if key == ENTRIES)
    written = done.index(("PUT", "linux-64/repodata.json"))
    assert first < written < done.index(("DELETE", app(1))) < last


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
@pytest.mark.parametrize("force", [False, True])
def test_no_run_brings_a_pruned_package_back(options: Any, *, force: bool) -> None:
    store = channel(*map(app, range(1, 5)))
    follow(store, options)
    run(store)
    store.upload(app(5), package(app(5)))
    report = only(follow(store, replace(options, force=force)))
    assert sharded(store) == {"app-3-0.conda", "app-4-0.conda", "app-5-0.conda"}
    assert report.pruned == ("app-1-0.conda", "app-2-0.conda")
    assert faults(store) == []
    scoped = only(follow(store, replace(options, packages=frozenset({OLD}))))
    assert (scoped.pruned, scoped.missing) == (("app-1-0.conda",), ())
    assert "app-1-0.conda" not in sharded(store)
    again = only(follow(store, options))
    assert again.pruned == report.pruned
    quiet = only(follow(store, options))
    assert (quiet.outcome, quiet.pruned) == (Outcome.UNCHANGED, report.pruned)


def test_a_new_upload_of_a_pruned_name_is_indexed_and_stays() -> None:
    store = nightlies()
    run(store)
    store.upload(OLD, package(OLD, license="MIT"))
    follow(store)
    assert "app-1-0.conda" in records(store)
    report = run(store, ChannelSettings(keep_newest=9), at=1)
    assert found(report, Result.DELETED) == {app(2)}
    assert "app-1-0.conda" in records(store)
    assert OLD in packages(store)
    assert entries(store) == {}


def test_the_same_bytes_that_were_uploaded_again_stay() -> None:
    store = nightlies()
    run(store)
    stored = store.objects[OLD]
    later = replace(stored.stat, modified_ms=stored.stat.modified_ms + DAY_MS)
    store.objects[OLD] = type(stored)(stored.body, later)
    run(store, ChannelSettings(keep_newest=9), at=1)
    assert OLD in packages(store)
    assert "app-1-0.conda" in records(store)


def test_an_upload_between_the_check_and_the_deletion_stays() -> None:
    store = nightlies()
    run(store)
    new = package(OLD, license="MIT")

    def upload(call: Call) -> None:
        if (call.verb, call.key) == ("DELETE", OLD):
            store.upload(OLD, new)

    store.hook = upload
    assert found(run(store, at=1), Result.WAITS, Result.DELETED) == {app(1), app(2)}
    assert store.bodies()[OLD] == new
    store.hook = lambda _: None
    follow(store)
    assert "app-1-0.conda" in records(store)


def test_an_object_that_is_not_indexed_yet_is_not_judged() -> None:
    store = nightlies()
    store.upload(OLD, package(OLD, license="MIT"))
    report = run(store, grace_ms=0)
    assert found(report, Result.DELETED) == {app(2)}
    assert "app-1-0.conda" in records(store)


def test_the_grace_counts_from_the_index_and_not_from_the_verdict() -> None:
    store = nightlies()
    with pytest.raises(Crash):
        run(InterferingStore(store, before=lambda _, call: _die_at(call, "linux-64/repodata.json")))
    assert entries(store)
    follow(store)  # a day later somebody else writes the index
    report = run(store, at=1)
    assert found(report, Result.DELETED) == set()
    assert packages(store) >= {app(1), app(2)}
    assert found(run(store, at=2), Result.DELETED) == {app(1), app(2)}


def _die_at(call: Call, key: str) -> None:
    if (call.verb, call.key) == ("PUT", key):
        raise Crash


@pytest.mark.parametrize("grace_ms", [GRACE_MS, 0])
def test_a_prune_that_is_killed_at_any_call_and_repeated_ends_the_same(grace_ms: int) -> None:
    fresh = nightlies(app(2, "noarch", "tool"), app(1, "noarch", "tool"))
    fresh.upload(f"{OLD}.sigs", b"[{}]")
    follow(fresh)
    whole = copy_of(fresh)
    for day in range(4):
        run(whole, ChannelSettings(keep_newest=1), at=day, grace_ms=grace_ms)
    calls = 1
    while True:
        store = copy_of(fresh)
        broken = InterferingStore(store, before=crash_at(calls))
        try:
            run(broken, ChannelSettings(keep_newest=1), grace_ms=grace_ms)
        except Crash:
            pass
        else:
            break
        named = {*records(store), *records(store, "noarch")}
        assert named <= {key.partition("/")[2] for key in packages(store)}
        for day in range(4):
            run(store, ChannelSettings(keep_newest=1), at=day, grace_ms=grace_ms)
        assert packages(store) == packages(whole)
        assert f"{OLD}.sigs" not in store.bodies()
        assert entries(store) == {}
        assert (records(store), records(store, "noarch")) == (records(whole), records(whole, "noarch"))
        assert faults(store) == []
        calls += 1
    assert calls > 30


def test_attestations_go_with_their_package() -> None:
    store = nightlies()
    sidecars = [f"{OLD}.sigs", f"{OLD}.sigs.{'0' * 64}"]
    for key in sidecars:
        store.upload(key, b"[{}]")
    run(store, grace_ms=0)
    assert not {OLD, *sidecars} & store.bodies().keys()


def test_newer_attestations_stay() -> None:
    store = nightlies()
    store.upload(f"{OLD}.sigs", b"[{}]")
    run(store)

    def upload(call: Call) -> None:
        if (call.verb, call.key) == ("DELETE", f"{OLD}.sigs"):
            store.upload(OLD, package(OLD, license="MIT"))
            store.upload(f"{OLD}.sigs", b"[{},{}]")

    store.hook = upload
    run(store, at=1)
    assert {OLD, f"{OLD}.sigs"} <= store.bodies().keys()


def test_publishing_a_pruned_package_again_keeps_it(tmp_path: Path) -> None:
    store, file = nightlies(), tmp_path / "app-1-0.conda"
    run(store)
    file.write_bytes(package(OLD))
    report = publish(store, [file], PublishRequest(), PLAIN, fake_context())
    assert [one.result for one in report.packages] == [Sending.THERE]
    assert "app-1-0.conda" in sharded(store)
    assert set(entries(store)) == {"app-2-0.conda"}
    run(store, ChannelSettings(keep_newest=9), at=1)
    assert OLD in packages(store)


def publish_again(store: MemoryStore) -> None:
    end_pruning(store, {OLD}, fake_context())
    follow(store)


def yank(store: MemoryStore) -> None:
    withdraw(store, YankRequest(frozenset({OLD}), "broken"), PLAIN, fake_context())


@pytest.mark.parametrize("want", [publish_again, yank])
def test_a_package_that_is_wanted_while_prune_runs_stays(want: Callable[[MemoryStore], None]) -> None:
    store = nightlies()
    run(store)

    def meanwhile(call: Call) -> None:
        if (call.verb, call.key) == ("LIST", names.SNAPSHOTS_FOLDER):  # the subdirs have been read
            store.hook = lambda _: None
            want(store)

    store.hook = meanwhile
    report = run(store, at=1)
    assert found(report, Result.DELETED) == {app(2)}
    assert packages(store) == {app(1), app(3), app(4)}
    assert faults(store) == []


def test_a_package_that_cannot_be_deleted_is_not_reported_as_deleted() -> None:
    store = nightlies()
    run(store)

    def refuse(call: Call) -> None:
        if call.verb == "DELETE":
            raise Denied(call.key, "no right to delete", "grant it")

    store.hook = refuse
    report = run(store, at=1)
    assert found(report, Result.DELETED) == set()
    assert found(report, Result.WAITS) == {app(1), app(2)}
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.FAILED)


@pytest.mark.parametrize("pruned_before", [True, False])
def test_a_plan_has_the_files_that_a_grace_of_zero_deletes(*, pruned_before: bool) -> None:
    store = nightlies()
    if pruned_before:
        run(store)
    plan = run(store, delete=False, grace_ms=0)
    assert found(plan, Result.WOULD_DELETE) == {app(1), app(2)}
    assert found(run(store, grace_ms=0), Result.DELETED) == {app(1), app(2)}


def test_a_pin_that_is_given_in_time_brings_a_package_back() -> None:
    store = nightlies()
    run(store)
    report = run(store, replace(NEWEST_2, keep=("app 1",)), at=1)
    assert found(report, Result.RESTORED) == {app(1)}
    assert found(report, Result.DELETED) == {app(2)}
    assert "app-1-0.conda" in records(store)
    assert found(run(store, replace(NEWEST_2, keep=("app 1",)), at=3), Result.KEPT) == {app(1), app(3), app(4)}


def test_pins_of_the_channel_hold_beside_those_that_are_given() -> None:
    store = nightlies()
    follow(store, replace(PLAIN, settings=ChannelSettings(keep_newest=3, keep=("app 1",))))
    report = run(store, ChannelSettings(keep_newest=1, keep=("app 2",)), delete=False)
    assert found(report, Result.WOULD_LEAVE) == {app(3)}
    assert found(run(store, ChannelSettings(), delete=False), Result.WOULD_LEAVE) == set()


def test_what_a_kept_package_needs_stays() -> None:
    store = channel(*(app(version, "noarch", "lib") for version in range(1, 5)))
    store.upload(app(1), package(app(1), depends=["lib <3"]))
    follow(store)
    report = run(store, ChannelSettings(keep_newest=1), grace_ms=0)
    assert packages(store) == {app(1), app(2, "noarch", "lib"), app(4, "noarch", "lib")}
    assert next(one for one in report.packages if "lib-2" in one.key).reasons == ("needed by a kept package",)


def test_young_versions_stay() -> None:
    store = channel(app(1))
    follow(store)
    store.upload(app(2), package(app(2)))
    follow(store, now_ms=NOW_MS + 20 * DAY_MS)
    store.upload(app(3), package(app(3)))
    follow(store, now_ms=NOW_MS + 40 * DAY_MS)
    report = run(store, ChannelSettings(keep_newer_than="30d"), at=41, delete=False)
    assert found(report, Result.WOULD_LEAVE) == {app(1)}


def test_yanked_and_ignored_packages_stay() -> None:
    store = nightlies()
    withdraw(store, YankRequest(frozenset({OLD}), "broken"), PLAIN, fake_context())
    withdraw(store, YankRequest(frozenset({app(2)}), "broken", ignore=True), PLAIN, fake_context())
    run(store, ChannelSettings(keep_newest=1), grace_ms=0)
    assert packages(store) == {app(1), app(2), app(4)}


def test_a_package_that_is_yanked_after_it_was_pruned_stays() -> None:
    store = nightlies()
    run(store)
    withdraw(store, YankRequest(frozenset({OLD}), "broken"), PLAIN, fake_context())
    run(store, at=1)
    assert OLD in packages(store)
    assert app(2) not in packages(store)
    assert entries(store) == {}
    assert repodata(store)["removed"] == ["app-1-0.conda"]


def test_prune_keeps_the_yanks_in_the_file() -> None:
    store = nightlies()
    withdraw(store, YankRequest(frozenset({app(3)}), "broken"), PLAIN, fake_context())
    run(store, ChannelSettings(keep_newest=1), grace_ms=0)
    assert set(json.loads(store.bodies()[ENTRIES])["yanked"]) == {"app-3-0.conda"}
    assert repodata(store)["removed"] == ["app-3-0.conda"]
    assert packages(store) == {app(3), app(4)}


def test_many_packages_that_go_are_no_accident() -> None:
    store = channel(*map(app, range(30)))
    follow(store)
    report = run(store, ChannelSettings(keep_newest=1))
    assert (report.exit_code, len(only(report).removed)) == (ExitCode.OK, 29)


def test_the_guard_counts_packages_that_are_gone_beside_pruned_ones() -> None:
    store = channel(*map(app, range(30)))
    follow(store)
    for version in range(16):
        store.remove(app(version))
    report = run(store, ChannelSettings(keep_newest=13))
    assert report.exit_code == ExitCode.REFUSED
    assert len(packages(store)) == 14


def test_a_package_that_another_indexer_lists_again_is_not_deleted() -> None:
    store = nightlies()
    before = store.bodies()["linux-64/repodata.json"]
    run(store)
    store.upload("linux-64/repodata.json", before)  # as rattler-index does, which knows no withdrawn packages
    report = run(store, at=1)
    assert found(report, Result.DELETED) == set()
    assert "app-1-0.conda" not in records(store)
    assert found(run(store, at=2), Result.DELETED) == {app(1), app(2)}


def freeze(store: Store, name: str = "v1") -> None:
    make_snapshot(store, SnapshotRequest(name), fake_context())


@pytest.mark.parametrize("grace_ms", [GRACE_MS, 0])
def test_packages_of_a_snapshot_leave_the_index_and_stay_in_the_channel(grace_ms: int) -> None:
    store = nightlies()
    freeze(store)
    for day in range(3):
        report = run(store, at=day, grace_ms=grace_ms)
        assert packages(store) == set(map(app, range(1, 5)))
        assert set(records(store)) == {"app-3-0.conda", "app-4-0.conda"}
    assert found(report, Result.HELD) == {app(1), app(2)}
    since = len(store.calls)
    run(store, at=4, grace_ms=grace_ms)
    assert changes(store.calls, since) == []
    assert follow(store).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
def test_a_rollback_brings_the_packages_of_its_snapshot_back(options: Any) -> None:
    store = channel(*map(app, range(1, 5)))
    follow(store, options)
    freeze(store)
    run(store)
    roll_back(store, RollbackRequest("v1", apply=True), fake_context())
    assert sharded(store) == {f"app-{version}-0.conda" for version in range(1, 5)}
    assert entries(store) == {}
    assert faults(store) == []


def test_after_a_snapshot_was_deleted_its_packages_wait_for_the_grace() -> None:
    store = nightlies()
    freeze(store)
    run(store)
    delete_snapshot(store, "v1", fake_context(), delete=True)
    assert found(run(store, at=9), Result.DELETED) == set()
    assert packages(store) == set(map(app, range(1, 5)))
    assert found(run(store, at=10), Result.DELETED) == {app(1), app(2)}


@pytest.mark.parametrize(("at", "moment"), [(0, ("PUT", "linux-64/repodata.json")), (1, ("LIST", "linux-64/"))])
def test_a_snapshot_that_is_made_while_prune_runs_keeps_its_packages(at: int, moment: tuple[str, str]) -> None:
    """It has read the index before the packages left."""
    store = nightlies()
    late = copy_of(store)
    freeze(late)
    made = late.bodies("snapshots/")
    if at:
        run(store)

    def appear(call: Call) -> None:
        if (call.verb, call.key) == moment:
            store.hook = lambda _: None
            for key, body in made.items():
                store.upload(key, body)

    store.hook = appear
    run(store, at=at, grace_ms=0 if not at else GRACE_MS)
    assert packages(store) == set(map(app, range(1, 5)))


def test_a_store_without_conditions_is_refused_before_anything_changes() -> None:
    store = nightlies()
    before = store.bodies()
    with pytest.raises(NoConditions):
        run(UnconditionalStore(store), grace_ms=0)
    assert store.bodies() == before


def test_a_subdir_that_cannot_be_read_stops_everything() -> None:
    store = nightlies(app(1, "noarch"), app(2, "noarch"))
    store.upload(f"noarch/{names.YANKS}", b'{"version": 9}')
    before = store.bodies()
    with pytest.raises(BadPatch):
        run(store)
    assert store.bodies() == before


def test_older_releases_refuse_the_file_and_read_it_again_when_nothing_is_pruned() -> None:
    entry = Prune(etag="e", size=1, modified_timestamp=2, pruned_timestamp=3)  # type: ignore[arg-type]
    withdrawn = WithdrawnPackages({"a-1-0.conda": Yank("old", 1)}, pruned={"b-1-0.conda": entry})
    data = encode_withdrawn(withdrawn)
    assert json.loads(data)["version"] == 3
    assert decode_withdrawn(data, ENTRIES) == withdrawn
    assert json.loads(encode_withdrawn(replace(withdrawn, pruned={})))["version"] == 1


def test_two_simulated_years_of_a_nightly_channel_stay_at_constant_size() -> None:
    store, sizes = MemoryStore(), []
    only_json = with_outputs(shards=False, zst=False, run_exports=False)
    follow(store, replace(only_json, create=True))
    for week in range(2 * 52):
        now_ms = NOW_MS + 7 * week * DAY_MS
        store.clock_ms = now_ms - 60_000
        for day in range(7 * week, 7 * week + 7):
            for key in (app(f"2.{day}"), app(f"2.{day}", "noarch", "lib")):
                store.upload(key, package(key, depends=[f"lib >=2.{day - day % 5}"] if "app" in key else []))
        follow(store, only_json, now_ms=now_ms)
        report = prune(store, PruneRequest(ChannelSettings(keep_newest=10), delete=True), fake_context(now_ms))
        assert report.exit_code == ExitCode.OK
        assert {*records(store), *records(store, "noarch")} <= {key.partition("/")[2] for key in packages(store)}
        sizes.append((len(packages(store)), len(entries(store)) if ENTRIES in store.bodies() else 0))
    # Ten versions stay, those of a week have left the index and wait.
    assert set(sizes[3:]) == {(2 * (10 + 7), 7)}
    assert faults(store) == []
