"""Rollbacks over a store in memory: the index says what the snapshot says, whatever happened since."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from indexer.commands.named_snapshots import SnapshotRequest, make_snapshot
from indexer.commands.rollback import RollbackRequest, roll_back
from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.options import Options
from indexer.core.report import Outcome
from tests.support.channel_check import faults
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import MemoryStore, copy_of, made_once
from tests.support.memory_channel import (
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fake_context,
    fill,
    follow,
    keys,
    package,
    published,
    records,
    sharded,
    with_outputs,
)
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from indexer.core.rollback import RollbackReport
    from indexer.store import Store

P0, P1, P2 = (key.partition("/")[2] for key in keys(3))
NEW = "linux-64/new-1.0-0.conda"
MAC = "osx-arm64/mac-1.0-0.conda"
SHARDS_ONLY = with_outputs(monolithic=False)
JSON_ONLY = with_outputs(shards=False)
ALL = [PLAIN, SHARDS_ONLY, JSON_ONLY]
LATER_MS = NOW_MS + 60_000


def back(store: Store, name: str = "v1", *, apply: bool = True, reason: str = "") -> RollbackReport:
    return roll_back(store, RollbackRequest(name, reason, apply), fake_context(LATER_MS))


def freeze(store: Store, name: str = "v1") -> None:
    make_snapshot(store, SnapshotRequest(name), fake_context())


def yank(store: Store, *packages: str, reason: str | None = "bad", ignore: bool = False) -> None:
    withdraw(store, YankRequest(frozenset(packages), reason, ignore), Options(), fake_context())


def readable(store: MemoryStore, subdir: str = "linux-64") -> set[str]:
    """The packages that readers see, in all forms."""
    bodies = store.bodies()
    forms = [set(records(store, subdir))] if f"{subdir}/{names.REPODATA}" in bodies else []
    forms += [sharded(store, subdir)] if f"{subdir}/{names.SHARD_INDEX}" in bodies else []
    assert forms
    assert all(form == forms[0] for form in forms)
    return forms[0]


@made_once
def frozen(options: Options = PLAIN) -> MemoryStore:
    """A channel with the snapshot v1 of three packages, and one in noarch."""
    store = channel(*keys(3), *keys(1, "noarch"))
    follow(store, options)
    freeze(store)
    return store


@made_once
def changed(options: Options = PLAIN) -> MemoryStore:
    """The same after a new package, a replaced one, a yank, an ignored one, and a new subdir."""
    store = fill(frozen(options), NEW, MAC)
    store.upload(f"linux-64/{P0}", package(f"linux-64/{P0}", license="MIT"))
    follow(store, options)
    yank(store, f"linux-64/{P1}")
    yank(store, f"linux-64/{P2}", ignore=True)
    assert readable(store) == {P0, "new-1.0-0.conda"}
    return store


@pytest.mark.parametrize("options", ALL)
def test_the_index_says_what_the_snapshot_says(options: Options) -> None:
    store = changed(options)
    report = back(store)
    plan = report.plans["linux-64"]
    assert (plan.withdrawn, plan.replaced, plan.restored, plan.gone) == (("new-1.0-0.conda",), (P0,), (P1, P2), ())
    assert report.plans["osx-arm64"].withdrawn == ("mac-1.0-0.conda",)
    assert (report.outcome, report.exit_code, report.applied) == (Outcome.PUBLISHED, 0, True)
    assert readable(store) == {P1, P2}
    assert readable(store, "osx-arm64") == set()
    assert readable(store, "noarch") == {P0}
    assert faults(store, deep=True) == []


@pytest.mark.parametrize("options", ALL)
def test_the_plan_writes_nothing_and_is_what_happens(options: Options) -> None:
    store = changed(options)
    before, first = store.bodies(), len(store.calls)
    planned = back(store, apply=False)
    assert (planned.outcome, planned.exit_code, planned.applied) == (Outcome.PLANNED, 0, False)
    assert (store.bodies(), changes(store.calls, first)) == (before, [])
    assert back(store).plans == planned.plans


@pytest.mark.parametrize("options", ALL)
def test_later_runs_keep_it(options: Options) -> None:
    store = changed(options)
    back(store)
    fill(store, "linux-64/later-1.0-0.conda")
    follow(store)
    assert readable(store) == {P1, P2, "later-1.0-0.conda"}
    follow(store, Options(force=True))
    assert readable(store) == {P1, P2, "later-1.0-0.conda"}


@pytest.mark.parametrize("options", ALL)
def test_a_second_rollback_changes_nothing(options: Options) -> None:
    store = changed(options)
    back(store)
    before = store.bodies()
    again = back(store)
    assert again.plans["linux-64"].gone == (P0,), "its bytes of the snapshot are no more"
    assert not any(plan.changed for plan in again.plans.values())
    assert (again.outcome, store.bodies()) == (Outcome.UNCHANGED, before)


def test_each_withdrawn_package_has_the_reason() -> None:
    store = changed()
    back(store, reason="the compiler was broken")
    report = follow(store)
    reasons = {note.filename: note.reason for note in report.subdirs["linux-64"].yanked}
    assert reasons == dict.fromkeys([P0, "new-1.0-0.conda"], "rolled back to v1: the compiler was broken")


@pytest.mark.parametrize("options", ALL)
def test_unyank_brings_a_package_back(options: Options) -> None:
    store = changed(options)
    back(store)
    yank(store, NEW, reason=None)
    assert readable(store) == {P1, P2, "new-1.0-0.conda"}


@pytest.mark.parametrize("options", ALL)
def test_a_rollback_to_a_later_snapshot_undoes_it(options: Options) -> None:
    store = fill(frozen(options), NEW)
    follow(store, options)
    yank(store, f"linux-64/{P1}")
    readers_saw = published(store)
    freeze(store, "before")
    back(store)
    assert readable(store) == {P0, P1, P2}
    undone = back(store, "before")
    assert undone.plans["linux-64"].restored == ("new-1.0-0.conda",)
    assert undone.plans["linux-64"].withdrawn == (P1,)
    assert readable(store) == {P0, P2, "new-1.0-0.conda"}
    of_readers = {key for key in readers_saw if key.startswith("linux-64/repodata") and "shards" not in key}
    assert {key: published(store)[key] for key in of_readers} == {key: readers_saw[key] for key in of_readers}


@pytest.mark.parametrize("options", ALL)
def test_a_package_that_is_gone_is_named(options: Options) -> None:
    store = fill(frozen(options), NEW)
    store.remove(f"linux-64/{P1}")
    follow(store, options)
    report = back(store)
    assert (report.plans["linux-64"].gone, report.plans["linux-64"].restored) == ((P1,), ())
    assert readable(store) == {P0, P2}
    assert report.exit_code == 0


def test_a_package_that_was_replaced_while_it_was_yanked_stays_out() -> None:
    store = frozen()
    yank(store, f"linux-64/{P1}")
    store.upload(f"linux-64/{P1}", package(f"linux-64/{P1}", license="MIT"))
    follow(store)
    report = back(store)
    assert (report.plans["linux-64"].gone, report.plans["linux-64"].restored) == ((P1,), ())
    assert readable(store) == {P0, P2}


def test_a_yank_of_the_snapshots_time_stays() -> None:
    store = channel(*keys(3))
    follow(store)
    yank(store, f"linux-64/{P1}", reason="old")
    freeze(store)
    fill(store, NEW)
    follow(store)
    back(store)
    reasons = {note.filename: note.reason for note in follow(store).subdirs["linux-64"].yanked}
    assert reasons == {P1: "old", "new-1.0-0.conda": "rolled back to v1"}


def test_an_unknown_or_incomplete_snapshot_is_refused() -> None:
    store = frozen()
    with pytest.raises(BadConfig, match="v9: is not a snapshot of this channel"):
        back(store, "v9")
    store.remove(f"snapshots/v1/{names.SNAPSHOT_MARKER}")
    with pytest.raises(BadConfig, match="v1: is a snapshot that is not complete"):
        back(store)


@pytest.mark.parametrize("options", ALL)
def test_killed_at_any_call_and_repeated_it_ends_the_same(options: Options) -> None:
    start = changed(options)
    whole = copy_of(start)
    counted = InterferingStore(whole)
    back(counted)
    for number in range(1, len(counted.calls) + 1):
        store = copy_of(start)
        with pytest.raises(Crash):
            back(InterferingStore(store, before=crash_at(number)))
        back(store)
        assert readable(store) == {P1, P2}, number
        assert readable(store, "osx-arm64") == set(), number
        assert faults(store) == [], number
        assert published(store).keys() == published(whole).keys(), number


@pytest.mark.parametrize("options", ALL)
@pytest.mark.parametrize("seed", range(8))
def test_any_history_is_undone(options: Options, seed: int) -> None:
    """Whatever happened since a snapshot, all packages of it that still exist come back, and no others stay."""
    draw = random.Random(seed)
    store = frozen(options)
    everything = [*keys(3), *(f"linux-64/n{number}-1.0-0.conda" for number in range(4)), MAC]
    for _ in range(8):
        key = draw.choice(everything)
        do = draw.choice(["upload", "replace", "delete", "yank", "unyank", "ignore", "back"])
        if do == "upload" and key not in store.bodies():
            fill(store, key)
        elif do == "replace":
            store.upload(key, package(key, license=draw.choice(["MIT", "BSD"])))
        elif do == "delete" and key in store.bodies():
            store.remove(key)
        elif do == "back":
            back(store)
        elif do in {"yank", "unyank", "ignore"} and key in store.bodies() and key.startswith("linux"):
            yank(store, key, reason=None if do == "unyank" else "r", ignore=do == "ignore")
        if draw.random() < 0.7:
            follow(store, options)
    follow(store, options)
    back(store)
    existing = {key.partition("/")[2] for key in keys(3) if store.bodies().get(key) == package(key)}
    assert readable(store) == existing
    assert [fault for fault in faults(store, deep=True) if not fault.startswith("snapshots/v1/.indexer")] == []


def test_a_store_without_conditions_is_rolled_back_under_a_lease() -> None:
    store = changed()
    back(UnconditionalStore(store))
    assert readable(store) == {P1, P2}
    assert not any(key.endswith(names.LEASE) for key in store.bodies())


def test_a_subdir_that_was_deleted_is_gone_and_the_others_are_rolled_back() -> None:
    store = frozen()
    fill(store, "noarch/later-1.0-0.conda")
    follow(store)
    for key in store.bodies("linux-64/"):
        store.remove(key)
    report = back(store)
    assert report.plans["linux-64"].gone == (P0, P1, P2)
    assert report.plans["noarch"].withdrawn == ("later-1.0-0.conda",)
    assert readable(store, "noarch") == {P0}
    assert store.bodies("linux-64/") == {}
