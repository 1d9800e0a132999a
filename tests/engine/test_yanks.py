"""Yanked packages are offered by no file after a run of ours, and come back with the date they had."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.errors import BadConfig, BadPatch, GaveUp
from indexer.core.overlay import decode_withdrawn
from indexer.core.report import Note, Outcome
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fake_context,
    fill,
    follow,
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
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.store import Store
    from tests.support.memory import Call, MemoryStore

FIRST, SECOND, THIRD = (key.partition("/")[2] for key in keys(3))
YANKED = f"linux-64/{names.YANKS}"
REASON = "it breaks the build"


def order(store: Store, *packages: str, reason: str | None = REASON, now_ms: int = NOW_MS + DAY_MS) -> Report:
    return withdraw(store, YankRequest(frozenset(packages), reason), PLAIN, fake_context(now_ms))


def unyank(store: Store, *packages: str) -> Report:
    return order(store, *packages, reason=None, now_ms=NOW_MS + 2 * DAY_MS)


def indexed(options: Options = PLAIN) -> MemoryStore:
    store = channel(*keys(3))
    follow(store, options)
    return store


def yanks(store: MemoryStore) -> dict[str, str]:
    return {name: yank.reason for name, yank in decode_withdrawn(store.bodies()[YANKED], YANKED).yanked.items()}


def test_a_yanked_package_is_offered_by_no_file_and_stands_in_removed() -> None:
    store = indexed()
    report = order(store, keys(1)[0])
    assert report.exit_code == 0
    assert set(records(store)) == sharded(store) == {SECOND, THIRD}
    assert repodata(store)["removed"] == [FIRST]
    assert missing_shards(store) == set()
    assert keys(1)[0] in store.bodies()
    assert only(report).yanked == (Note(FIRST, REASON),)


def test_a_yank_reads_no_package_and_lists_none() -> None:
    store = indexed()
    first = len(store.calls)
    order(store, keys(1)[0])
    assert packages_read(store.calls, first) == []
    assert [call for call in store.calls[first:] if call.verb == "LIST"] == []


def test_later_runs_keep_it_out_and_the_channel_becomes_quiet() -> None:
    store = indexed()
    order(store, keys(1)[0])
    fill(store, "linux-64/new-1.0-0.conda")
    for options in (PLAIN, replace(PLAIN, force=True)):
        follow(store, options)
        assert set(records(store)) == {SECOND, THIRD, "new-1.0-0.conda"}
        assert repodata(store)["removed"] == [FIRST]
    first = len(store.calls)
    report = follow(store)
    assert report.outcome is Outcome.UNCHANGED
    assert len(store.calls) - first == 2 * 2 + 1
    assert only(report).yanked == (Note(FIRST, REASON),)


def test_an_unyanked_package_returns_with_its_first_date_unread() -> None:
    store = indexed()
    before = repodata(store)
    order(store, keys(1)[0])
    first = len(store.calls)
    report = unyank(store, keys(1)[0])
    assert packages_read(store.calls, first) == []
    assert repodata(store) == before
    assert only(report).yanked == ()


def test_twice_is_fine_and_the_first_date_of_the_yank_stays() -> None:
    store = indexed()
    order(store, keys(1)[0])
    before = published(store)
    assert order(store, keys(1)[0], now_ms=NOW_MS + 3 * DAY_MS).exit_code == 0
    assert published(store) == before
    order(store, keys(1)[0], reason="another", now_ms=NOW_MS + 3 * DAY_MS)
    (yank,) = decode_withdrawn(store.bodies()[YANKED], YANKED).yanked.values()
    assert (yank.reason, yank.yanked_timestamp) == ("another", NOW_MS + DAY_MS)
    unyank(store, keys(1)[0])
    assert unyank(store, keys(1)[0]).exit_code == 0


@pytest.mark.parametrize("key", ["linux-64/gone-1.0-0.conda", "linux-64/readme.txt", "what/p00-1.0-0.conda"])
def test_what_is_not_there_is_named_and_nothing_is_changed(key: str) -> None:
    store = indexed()
    store.upload("linux-64/readme.txt", b"")
    before = store.bodies()
    with pytest.raises(BadConfig, match=key.partition("/")[0]):
        order(store, keys(1)[0], key)
    assert store.bodies() == before


def test_a_yanked_package_whose_file_is_gone_can_be_unyanked() -> None:
    store = indexed()
    order(store, keys(1)[0])
    store.remove(keys(1)[0])
    follow(store)
    assert unyank(store, keys(1)[0]).exit_code == 0
    assert set(records(store)) == {SECOND, THIRD}


def test_several_subdirs_are_served_at_once() -> None:
    store = channel(*keys(2), *keys(2, "osx-arm64"))
    follow(store)
    order(store, keys(1)[0], keys(1, "osx-arm64")[0])
    assert set(records(store)) == set(records(store, "osx-arm64")) == {SECOND}


def test_a_yank_publishes_with_the_options_of_the_last_run() -> None:
    options = with_outputs(bz2=True, run_exports=False, base_url="https://elsewhere.example/channel")
    store = indexed(options)
    before = set(store.bodies())
    order(store, keys(1)[0])
    assert "base_url" in repodata(store)["info"]
    results = {key for key in set(store.bodies()) ^ before if "/shards/" not in key}
    assert results == {YANKED, f"linux-64/{names.FROM_PACKAGES}", f"linux-64/{names.FROM_PACKAGES_ZST}"}


def test_a_channel_that_was_never_indexed_is_not_made_one_by_a_yank() -> None:
    store = channel(*keys(3))
    with pytest.raises(BadConfig, match="index the channel, then repeat"):
        order(store, keys(1)[0])
    assert published(store) == {}


def test_a_channel_of_shards_alone_can_yank() -> None:
    store = indexed(with_outputs(monolithic=False))
    order(store, keys(1)[0])
    assert sharded(store) == {SECOND, THIRD}
    assert "linux-64/repodata.json" not in store.bodies()
    unyank(store, keys(1)[0])
    assert sharded(store) == {FIRST, SECOND, THIRD}


def test_what_another_indexer_lists_as_removed_can_be_unyanked() -> None:
    store = indexed()
    content = repodata(store)
    del content["packages.conda"][FIRST]
    store.upload("linux-64/repodata.json", json.dumps({**content, "removed": [FIRST]}).encode())
    follow(store)
    assert set(records(store)) == {SECOND, THIRD}
    unyank(store, keys(1)[0])
    assert set(records(store)) == {FIRST, SECOND, THIRD}
    assert repodata(store)["removed"] == []


def test_what_the_ledger_knows_of_other_packages_survives_a_yank() -> None:
    store = channel(*keys(3))
    for key in keys(3):
        store.disguise(key)
    follow(store)
    order(store, keys(1)[0])
    for key in keys(3):  # newer than their records by the clock, and the same by their versions
        store.objects[key] = dataclasses.replace(
            store.objects[key], stat=msgspec.structs.replace(store.objects[key].stat, modified_ms=NOW_MS + 1)
        )
    first = len(store.calls)
    follow(store)
    assert packages_read(store.calls, first) == []


def test_yankers_at_once_lose_nothing() -> None:
    store = indexed()
    others = [keys(3)[1], keys(3)[2]]

    def fall_in(_number: int, call: Call) -> None:
        if call.verb == "PUT" and others:
            order(store, others.pop())

    order(InterferingStore(store, before=fall_in), keys(1)[0])
    assert set(yanks(store)) == {FIRST, SECOND, THIRD}
    assert records(store) == {}
    assert repodata(store)["removed"] == [FIRST, SECOND, THIRD]


def test_a_run_that_began_before_the_yank_does_not_undo_it() -> None:
    store = indexed()
    fill(store, "linux-64/new-1.0-0.conda")
    once = [keys(1)[0]]

    def fall_in(_number: int, call: Call) -> None:
        if call.verb == "PUT" and once:
            order(store, once.pop())

    follow(InterferingStore(store, before=fall_in))
    assert set(records(store)) == {SECOND, THIRD, "new-1.0-0.conda"}
    assert sharded(store) == set(records(store))


def test_a_yanker_that_is_always_too_late_gives_up() -> None:
    store = indexed()
    count = iter(range(1000))

    def fall_in(_number: int, call: Call) -> None:
        if call.verb == "PUT" and call.key == YANKED:
            store.upload(YANKED, b'{"yanked":{"x-%d-0.conda":{"reason":"","yanked_timestamp":1}}}' % next(count))

    with pytest.raises(GaveUp, match="nothing was changed"):
        order(InterferingStore(store, before=fall_in), keys(1)[0])
    assert FIRST in records(store)


def test_a_yank_that_died_anywhere_is_made_good_by_the_next_run() -> None:
    undisturbed = InterferingStore(indexed())
    order(undisturbed, keys(1)[0])
    for at in range(1, len(undisturbed.calls) + 1):
        store = indexed()
        with pytest.raises(Crash):
            order(InterferingStore(store, after=crash_at(at)), keys(1)[0])
        follow(store)
        assert (FIRST in records(store)) is (YANKED not in store.bodies()), at
        assert sharded(store) == set(records(store))


@pytest.mark.parametrize("body", [b"[]", b'{"yanked":{"a":1}}', b'{"version":4}', b"\xff"])
def test_a_list_of_yanks_that_cannot_be_read_stops_the_subdir(body: bytes) -> None:
    store = indexed()
    store.upload(YANKED, body)
    before = store.bodies()
    report = follow(store)
    assert only(report).outcome is Outcome.FAILED
    assert YANKED in str(only(report).error)
    assert store.bodies() == before
    with pytest.raises(BadPatch):
        order(store, keys(1)[0])


def test_a_package_that_was_replaced_while_it_was_yanked_stays_out() -> None:
    store = indexed()
    order(store, keys(1)[0])
    store.upload(keys(1)[0], package(keys(1)[0], license="mended"))
    first = len(store.calls)
    follow(store)
    assert packages_read(store.calls, first) == [keys(1)[0]]
    assert set(records(store)) == {SECOND, THIRD}
    unyank(store, keys(1)[0])
    assert records(store)[FIRST]["license"] == "mended"
    assert records(store)[FIRST]["indexed_timestamp"] == NOW_MS


def test_a_quiet_yanked_channel_writes_nothing() -> None:
    store = indexed()
    order(store, keys(1)[0])
    first = len(store.calls)
    follow(store)
    follow(store)
    # The first of them listed what the yank did not look at, so it leaves a better ledger.
    assert {key for _, key in changes(store.calls, first)} <= {f"linux-64/{names.STATE_FILE}"}
