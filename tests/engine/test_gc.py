"""A gc deletes what no index names; whoever dies or falls in at whatever call, no named shard stays missing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from msgspec.structs import replace

from indexer.commands.gc import GcRequest, collect
from indexer.core import names
from indexer.core.model import ETag
from indexer.core.report import Outcome
from tests.support.channel_check import faults
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import MemoryStore, copy_of
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    fake_context,
    fill,
    index,
    keys,
    missing_shards,
    shards,
    with_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.gc_report import GcReport, SubdirGc
    from indexer.core.model import Stat
    from indexer.core.options import Options
    from indexer.store import Store
    from tests.support.memory import Call

NEW = "linux-64/new-1.0-0.conda"
MORE = "linux-64/p00-2.0-0.conda"
NOTE = f"linux-64/{names.GC_MARKER}"
SHARD_INDEX = f"linux-64/{names.SHARD_INDEX}"
DELETE = GcRequest(delete=True)
SHARDS_ONLY = with_outputs(monolithic=False)


class Bucket(MemoryStore):
    """Versions are ETags, so the same bytes put again have the same version: no condition tells a young shard."""

    def _lay(self, key: str, body: bytes, **more: Any) -> Stat:
        stat = super()._lay(key, body, **more)
        stat = msgspec.structs.replace(stat, etag=ETag(hashlib.md5(body, usedforsecurity=False).hexdigest()))
        self.objects[key] = dataclasses.replace(self.objects[key], stat=stat)
        return stat


def gc(store: Store, sweep: GcRequest = DELETE, *, now_ms: int = NOW_MS) -> GcReport:
    """One gc over a channel."""
    return collect(store, sweep, fake_context(now_ms))


def gc_here(store: Store) -> GcReport:
    """One gc over the subdir that the tests are about."""
    return gc(store, replace(DELETE, subdirs=("linux-64",)))


def only(collected: GcReport) -> SubdirGc:
    return collected.subdirs["linux-64"]


def orphaned(options: Options = PLAIN) -> tuple[Bucket, str]:
    """An indexed channel in which a name has a package more than before, and the old shard that it needs without it."""
    store, before = _orphaned(options)
    return copy_of(store), before


@functools.cache
def _orphaned(options: Options) -> tuple[Bucket, str]:
    store = Bucket(NOW_MS - 30 * DAY_MS)
    fill(store, *keys(3), *keys(1, "noarch"))
    index(store, options, now_ms=NOW_MS - 30 * DAY_MS)
    before = shards(store)["p00"]
    fill(store, MORE)
    index(store, options, now_ms=NOW_MS - 29 * DAY_MS)
    store.clock_ms = NOW_MS
    assert before not in shards(store).values()
    return store, before


def rolled_back(options: Options = PLAIN) -> tuple[Bucket, str]:
    """The same, and the package is gone: the next run needs the orphan."""
    store, orphan = orphaned(options)
    store.remove(MORE)
    return store, orphan


def calls_of(do: Callable[[InterferingStore], object], store: MemoryStore) -> int:
    interfering = InterferingStore(store)
    do(interfering)
    return len(interfering.calls)


def test_an_old_orphan_goes_and_nothing_else() -> None:
    store, orphan = orphaned()
    before = store.bodies()
    collected = gc(store)
    assert (collected.outcome, collected.exit_code) == (Outcome.COLLECTED, 0)
    assert only(collected).unused == (orphan,)
    assert only(collected).bytes == len(before[orphan])
    assert store.bodies() == {key: body for key, body in before.items() if key != orphan}
    assert faults(store, deep=True) == []
    assert gc(store).outcome is Outcome.UNCHANGED


def test_without_being_told_to_delete_it_only_says_what_would_go() -> None:
    store, orphan = orphaned()
    first = len(store.calls)
    collected = gc(store, GcRequest())
    assert (collected.outcome, only(collected).unused) == (Outcome.PLANNED, (orphan,))
    assert changes(store.calls, first) == []


def test_a_gc_that_finds_nothing_writes_nothing() -> None:
    store, _ = orphaned()
    gc(store)
    first = len(store.calls)
    assert gc(store).exit_code == 0
    assert changes(store.calls, first) == []


@pytest.mark.parametrize(("age", "goes"), [(29, True), (31, False)])
def test_only_what_is_older_than_asked_goes(age: int, goes: bool) -> None:  # noqa: FBT001
    store, _ = orphaned()
    collected = gc(store, replace(DELETE, older_than_ms=age * DAY_MS))
    assert bool(only(collected).unused) is goes


def test_the_age_is_told_by_the_clock_of_the_store() -> None:
    store, orphan = orphaned()
    store.clock_ms = NOW_MS - 29 * DAY_MS
    gc(store)
    assert orphan in store.bodies(), "a year passed on this machine, a day in the store"


def test_what_is_no_shard_by_its_name_stays() -> None:
    store, orphan = orphaned()
    store.clock_ms = NOW_MS - 20 * DAY_MS
    for key in (
        "linux-64/shards/README",
        "linux-64/shards/" + "a" * 63 + ".msgpack.zst",
        "linux-64/" + "a" * 64 + ".msgpack.zst",
    ):
        store.upload(key, b"x")
    store.clock_ms = NOW_MS
    assert only(gc(store)).unused == (orphan,)


def test_what_the_unpatched_index_of_another_tool_names_stays() -> None:
    store, orphan = orphaned()
    content = {"info": {"shards_base_url": "./shards/"}, "shards": {"p00": bytes.fromhex(orphan[16:80])}}
    other = "linux-64/repodata_shards_from_packages.msgpack.zst"
    store.upload(other, zstandard.compress(msgspec.msgpack.encode(content)))
    assert only(gc(store)).unused == ()


def test_a_broken_index_stops_the_subdir_and_not_the_others() -> None:
    store, orphan = orphaned()
    store.upload(SHARD_INDEX, b"no index")
    collected = gc(store)
    assert (collected.outcome, collected.exit_code) == (Outcome.FAILED, 1)
    assert "is not a readable shard index" in str(only(collected).error)
    assert collected.subdirs["noarch"].error is None
    assert orphan in store.bodies()
    assert NOTE not in store.bodies()


def test_shards_are_all_orphans_where_there_is_no_shard_index() -> None:
    store, _ = orphaned()
    index(store, with_outputs(shards=False))
    gc(store)
    assert not store.bodies("linux-64/shards/")


def test_a_gc_reads_the_index_around_each_batch_and_renews_its_note() -> None:
    store, _ = orphaned()
    store.clock_ms = NOW_MS - 20 * DAY_MS
    for number in range(250):
        body = str(number).encode()
        store.upload(f"linux-64/shards/{hashlib.sha256(body).hexdigest()}.msgpack.zst", body)
    store.clock_ms = NOW_MS
    first = len(store.calls)
    assert len(only(gc(store, replace(DELETE, subdirs=("linux-64",)))).unused) == 251
    requests = [(call.verb, call.key) for call in store.calls[first:]]
    assert requests.count(("PUT", NOTE)) == 3
    assert requests.count(("GET", SHARD_INDEX)) == 2 + 2 * 3
    assert NOTE not in store.bodies()
    deletes = [at for at, (verb, _) in enumerate(requests) if verb == "DELETE"]
    assert requests.index(("PUT", NOTE)) < deletes[0]
    assert requests[deletes[-1]] == ("DELETE", NOTE)


def test_a_gc_respects_a_live_gc_and_replaces_a_dead_one() -> None:
    store, orphan = orphaned()
    store.clock_ms = NOW_MS - 60_000
    store.upload(NOTE, b"{}")
    store.clock_ms = NOW_MS
    collected = gc(store)
    assert (collected.exit_code, orphan in store.bodies()) == (4, True)
    assert "another gc is in progress" in str(only(collected).error)
    later = NOW_MS + 3_600_000
    store.clock_ms = later
    assert gc(store, now_ms=later).exit_code == 0
    assert orphan not in store.bodies()
    assert NOTE not in store.bodies()


def test_a_gc_stops_where_another_has_taken_over() -> None:
    store, orphan = orphaned()

    def take_over(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", NOTE):
            store.upload(NOTE, b"another's")

    collected = gc(InterferingStore(store, before=take_over))
    assert (collected.exit_code, orphan in store.bodies()) == (4, True)
    assert store.bodies()[NOTE] == b"another's"


def test_a_gc_leaves_its_note_for_a_missing_shard_and_the_next_run_heals() -> None:
    store, _ = orphaned()
    gone = shards(store)["p01"]
    store.remove(gone)
    assert only(gc(store)).missing_shards == (gone,)
    assert NOTE in store.bodies()
    index(store)
    assert missing_shards(store) == set()


def test_scratch_files_of_a_killed_run_go_where_a_folder_is_asked_for() -> None:
    store, orphan = orphaned()
    digest = orphan.rpartition("/")[2]
    old = [f"linux-64/.repodata.json.{'0' * 32}.tmp", f"linux-64/shards/.{digest}.{'f' * 32}.tmp"]
    old += [f"linux-64/.new-1.0-0.conda{end}.{'0' * 32}.tmp" for end in ("", ".sigs", f".sigs.{digest[:64]}")]
    others = ["linux-64/.mine.tmp", f"linux-64/.mine.{'0' * 32}.tmp", f"linux-64/repodata.json.{'0' * 32}.tmp"]
    store.clock_ms = NOW_MS - 20 * DAY_MS
    for key in (*old, *others):
        store.upload(key, b"x")
    store.clock_ms = NOW_MS
    young = f"linux-64/.repodata.json.{'1' * 32}.tmp"
    store.upload(young, b"x")
    assert only(gc(store)).unused == (orphan,)
    assert sorted(only(gc(store, replace(DELETE, temporary_files=True))).unused) == sorted(old)
    assert {young, *others} <= store.bodies().keys()


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY], ids=["with json", "shards only"])
def test_a_run_at_any_call_of_a_gc_leaves_all_shards(options: Options) -> None:
    count = calls_of(gc, rolled_back(options)[0])
    for at in range(1, count + 1):
        store, orphan = rolled_back(options)

        def fall_in(number: int, _call: Call, at: int = at, store: MemoryStore = store) -> None:
            if number == at:
                index(store, options)

        assert gc(InterferingStore(store, before=fall_in)).exit_code == 0
        assert shards(store)["p00"] == orphan
        assert missing_shards(store) == set(), at
        assert faults(store, deep=True) == [], at


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY], ids=["with json", "shards only"])
def test_a_gc_at_any_call_of_a_run_leaves_all_shards(options: Options) -> None:
    count = calls_of(lambda interfering: index(interfering, options), rolled_back(options)[0])
    for at in range(1, count + 1):
        store, orphan = rolled_back(options)

        def fall_in(number: int, _call: Call, at: int = at, store: MemoryStore = store) -> None:
            if number == at:
                assert gc(store).exit_code == 0

        index(InterferingStore(store, before=fall_in), options)
        assert shards(store)["p00"] == orphan
        assert missing_shards(store) == set(), at
        assert faults(store, deep=True) == [], at


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY], ids=["with json", "shards only"])
def test_a_gc_that_dies_beside_a_run_at_any_calls_is_healed_by_a_run(
    options: Options,
) -> None:
    count = calls_of(gc_here, rolled_back(options)[0])
    for death in range(1, count + 1):
        for at in range(1, death + 1):
            store, _ = rolled_back(options)

            def live(number: int, call: Call, at: int = at, death: int = death, store: MemoryStore = store) -> None:
                if number == at:
                    index(store, options)
                crash_at(death)(number, call)

            with contextlib.suppress(Crash):
                gc_here(InterferingStore(store, before=live))
            index(store, options)
            assert missing_shards(store) == set(), (death, at)
            assert faults(store) == [], (death, at)


def test_a_second_gc_does_not_hide_a_missing_shard_from_the_next_run() -> None:
    later = NOW_MS + DAY_MS
    holes = 0
    count = calls_of(gc_here, rolled_back()[0])
    for death in range(1, count + 1):
        for at in range(1, death + 1):
            store, _ = rolled_back()

            def live(number: int, call: Call, at: int = at, death: int = death, store: MemoryStore = store) -> None:
                if number == at:
                    index(store)
                crash_at(death)(number, call)

            with contextlib.suppress(Crash):
                gc_here(InterferingStore(store, before=live))
            holes += bool(missing_shards(store))
            store.clock_ms = later
            gc(store, now_ms=later)
            index(store)
            assert missing_shards(store) == set(), (death, at)
    assert holes, "the law is about something"


@pytest.mark.parametrize("hours", [-48, 2, 48])
def test_the_note_of_a_gc_is_judged_by_the_clock_of_the_store_alone(hours: int) -> None:
    store, _ = orphaned()
    store.clock_ms = NOW_MS
    store.upload(NOTE, b"{}")
    ours = NOW_MS + hours * 3_600_000
    assert gc(store, now_ms=ours).exit_code == 4
    store.clock_ms += 3_700_000
    assert gc(store, now_ms=ours).exit_code == 0
    assert not {NOTE, names.PROBE} & store.bodies().keys()
