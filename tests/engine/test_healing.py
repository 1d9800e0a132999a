"""A run believes that shards are there only while nothing has died, and a shard that comes back is young again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from indexer.store import Expect
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fill,
    index,
    keys,
    missing_shards,
    only,
    package,
    sharded,
    shards,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

NOTE = f"linux-64/{names.GC_MARKER}"
LEDGER = f"linux-64/{names.STATE_FILE}"
SHARD_INDEX = f"linux-64/{names.SHARD_INDEX}"
OURS = (names.SHARD_INDEX, names.REPODATA, names.REPODATA_ZST, names.RUN_EXPORTS, names.RUN_EXPORTS_ZST)
FOLDER = "linux-64/shards/"
FIRST = keys(1)[0]


def indexed() -> MemoryStore:
    """A channel that a run has left in step."""
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store)
    return store


def holed() -> tuple[MemoryStore, str]:
    """The same with a shard missing that the index names, and its key."""
    store = indexed()
    gone = shards(store)["p01"]
    store.remove(gone)
    return store, gone


def rolled_back() -> tuple[MemoryStore, str]:
    """A channel in which a package was replaced and has come back, and the shard that will come back with it."""
    store = indexed()
    before = shards(store)["p00"]
    store.upload(FIRST, package(FIRST, license="another"))
    index(store)
    assert before not in shards(store).values()
    store.upload(FIRST, package(FIRST))
    return store, before


def test_a_run_in_step_asks_for_no_shard_and_makes_not_one_request_more() -> None:
    store = fill(indexed(), "linux-64/new-1.0-0.conda")
    first = len(store.calls)
    index(store)
    calls = [(call.verb, call.key.partition("/")[2]) for call in store.calls[first:] if call.key.startswith("linux")]
    results = [("GET", names.STATE_FILE), ("LIST", ""), ("GET", names.REPODATA_ZST), ("GET", names.RUN_EXPORTS_ZST)]
    results += [("GET", "new-1.0-0.conda"), ("GET", names.SHARD_INDEX)]
    files = (shards(store)["new"].partition("/")[2], *OURS, names.STATE_FILE)
    assert sorted(calls) == sorted([*results, *(("PUT", name) for name in files)])


def test_a_first_run_lists_no_shards_since_no_index_names_any() -> None:
    store = channel(*keys(2))
    index(store)
    assert FOLDER not in {call.key for call in store.calls_of("LIST")}


@pytest.mark.parametrize("how", ["no ledger", "another index", "no zst"])
def test_a_run_out_of_step_puts_back_a_shard_that_is_missing(how: str) -> None:
    store, gone = holed()
    if how == "no ledger":
        store.remove(LEDGER)
    elif how == "another index":
        store.upload(SHARD_INDEX, store.bodies()[SHARD_INDEX])
    else:
        store.remove("linux-64/repodata.json.zst")
    report = index(store, now_ms=NOW_MS + DAY_MS)
    assert gone in only(report).written
    assert missing_shards(store) == set()
    again = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, again) == []


def test_a_note_of_a_gc_makes_a_run_look_for_missing_shards() -> None:
    store, gone = holed()
    store.upload(NOTE, b"{}")
    first = len(store.calls)
    report = index(store, now_ms=NOW_MS + DAY_MS)
    assert changes(store.calls, first) == [("PUT", gone)]
    assert only(report).outcome is Outcome.PUBLISHED
    assert missing_shards(store) == set()
    assert NOTE in store.bodies(), "the gc may be alive: the note is not ours to delete"


def test_a_note_costs_a_run_no_write_where_all_shards_are_there() -> None:
    store = indexed()
    store.upload(NOTE, b"{}")
    first = len(store.calls)
    assert index(store, now_ms=NOW_MS + DAY_MS).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []
    store.remove(NOTE)
    again = len(store.calls)
    index(store)
    assert FOLDER not in {call.key for call in store.calls[again:]}


def test_a_plan_names_the_shard_that_would_be_put_back() -> None:
    store, gone = holed()
    store.upload(NOTE, b"{}")
    assert only(index(store, replace(PLAIN, dry_run=True))).written == (gone,)
    assert gone not in store.bodies()


def test_a_forced_run_puts_back_a_shard_that_is_missing() -> None:
    store, gone = holed()
    index(store, replace(PLAIN, force=True))
    assert gone in store.bodies()


def test_the_note_is_neither_a_package_nor_ours_to_delete_for_any_output() -> None:
    store = indexed()
    store.upload(NOTE, b"{}")
    for options in (with_outputs(shards=False), with_outputs(monolithic=False), PLAIN):
        report = only(index(store, options))
        assert (report.rejected, report.warnings, report.error) == ((), (), None)
        assert NOTE in store.bodies()


@pytest.mark.parametrize("monolithic", [True, False], ids=["with json", "shards only"])
def test_a_shard_that_comes_back_is_new_and_checked_after_the_index(monolithic: bool) -> None:  # noqa: FBT001
    options = with_outputs(monolithic=monolithic)
    store, orphan = rolled_back()
    index(store, options)
    store.upload(FIRST, package(FIRST, license="another"))
    index(store, options)
    store.upload(FIRST, package(FIRST))
    version, first = store.objects[orphan].stat.etag, len(store.calls)
    index(store, options)
    assert shards(store)["p00"] == orphan
    assert store.objects[orphan].stat.etag != version
    requests = [(call.verb, call.key, call.expect) for call in store.calls[first:] if call.key in {orphan, SHARD_INDEX}]
    assert [(verb, key) for verb, key, _ in requests if verb != "GET"] == [
        ("PUT", orphan),
        ("PUT", orphan),
        ("PUT", SHARD_INDEX),
        ("HEAD", orphan),
    ]
    assert [expect for verb, key, expect in requests if verb == "PUT" and key == orphan] == [
        Expect.ABSENT,
        Expect.ANYTHING,
    ]


def test_a_shard_that_is_deleted_before_its_index_is_there_is_put_back() -> None:
    store, orphan = rolled_back()

    def collect(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", SHARD_INDEX):
            store.remove(orphan)

    index(InterferingStore(store, before=collect))
    assert shards(store)["p00"] == orphan
    assert missing_shards(store) == set()


def test_an_unused_shard_that_is_needed_again_is_put_again() -> None:
    store, orphan = rolled_back()
    store.remove(LEDGER)
    version = store.objects[orphan].stat.etag
    index(store)
    assert shards(store)["p00"] == orphan
    assert store.objects[orphan].stat.etag != version


@pytest.mark.parametrize("sign", ["no ledger", "a note"])
def test_a_lost_shard_is_rebuilt_from_packages_after_a_crash(sign: str) -> None:
    options = with_outputs(monolithic=False)
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, options)
    store.remove(shards(store)["p01"])
    if sign == "no ledger":
        store.remove(LEDGER)
    else:
        store.upload(NOTE, b"{}")
    report = only(index(store, options, now_ms=NOW_MS + DAY_MS))
    assert report.added == ("p01-1.0-0.conda",)
    assert missing_shards(store) == set()
    assert sharded(store) == {key.partition("/")[2] for key in keys(3)}
