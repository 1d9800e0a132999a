"""A run may die at any call: readers never see a hole, and one more run makes what an undisturbed one makes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.overlay import WithdrawnPackages, Yank, encode_withdrawn
from indexer.core.report import Outcome
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import made_once
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PATCH,
    PLAIN,
    changes,
    channel,
    fill,
    fixture,
    index,
    is_package,
    keys,
    missing_shards,
    package,
    packages_read,
    published,
    shards,
    unpacked,
    upload_patch,
    with_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.options import Options
    from tests.support.memory import Call, MemoryStore

LATER_MS = NOW_MS + DAY_MS
BAD = "linux-64/half-1.0-0.conda"


@dataclass(frozen=True)
class Scene:
    """A channel as it was indexed, what happened to it since, and how it is to be indexed now."""

    prepare: Callable[[], MemoryStore]
    options: Options = PLAIN


@made_once
def _first() -> MemoryStore:
    return channel(*keys(3), *keys(1, "noarch"))


@made_once
def _changed(before: Options = PLAIN) -> MemoryStore:
    store = channel(*keys(4), *keys(1, "noarch"))
    index(store, before)
    store.remove(keys(4)[0])
    store.upload(keys(4)[1], package(keys(4)[1], license="replaced"))
    store.upload(BAD, fixture(BAD, "broken"))
    return fill(store, "linux-64/new-1.0-0.conda")


@made_once
def _foreign() -> MemoryStore:
    store = _changed()
    for name in (names.STATE_FILE, "repodata.json.zst", "run_exports.json.zst"):
        store.remove(f"linux-64/{name}")
    store.upload("linux-64/current_repodata.json", b"{}")
    return store


@made_once
def _patched(before: Options = PLAIN, *, now: bool = True) -> MemoryStore:
    """A channel that changed since it was indexed, with a patch and a yank in force, or not yet unless `now`."""
    first, second, third, fourth = keys(4)
    store = channel(first, second, third, fourth)
    changed = {filename: {"depends": [FIX]} for filename in (third.partition("/")[2], "new-1.0-0.conda")}
    upload_patch(store, {"packages.conda": changed})
    upload_patch(store, {"remove": [third.partition("/")[2]]}, ANOTHER)
    index(store, before)
    store.upload(
        f"linux-64/{names.YANKS}",
        encode_withdrawn(WithdrawnPackages({fourth.partition("/")[2]: Yank("broken", NOW_MS)})),
    )
    if now:
        index(store, replace(before, repodata_patch=PATCH))
    store.remove(first)
    store.upload(second, package(second, license="replaced"))
    return fill(store, "linux-64/new-1.0-0.conda")


FIX = "the-fix-of-the-patch"
ANOTHER = "another-2-0.conda"
PATCHING = replace(PLAIN, repodata_patch=PATCH)
ENDING = replace(PLAIN, repodata_patch="")
SHARDS_ONLY = with_outputs(monolithic=False)
SCENES = {
    "a first run": Scene(_first),
    "a changed channel": Scene(_changed),
    "a channel taken over": Scene(_foreign),
    "shards switched off": Scene(_changed, with_outputs(shards=False)),
    "shards switched on": Scene(lambda: _changed(with_outputs(shards=False))),
    "only shards": Scene(lambda: _changed(SHARDS_ONLY), SHARDS_ONLY),
    "to shards alone": Scene(_changed, SHARDS_ONLY),
    "from shards alone": Scene(lambda: _changed(SHARDS_ONLY)),
    "from json alone to shards alone": Scene(lambda: _changed(with_outputs(shards=False)), SHARDS_ONLY),
    "a first run of shards alone": Scene(_first, SHARDS_ONLY),
    "a patch and a yank come into force": Scene(lambda: _patched(now=False), PATCHING),
    "a yank comes into force": Scene(lambda: _patched(now=False)),
    "a patched channel changes": Scene(_patched),
    "a patch is replaced": Scene(_patched, replace(PLAIN, repodata_patch=ANOTHER)),
    "a patch ends": Scene(_patched, ENDING),
    "a patch of shards alone comes into force": Scene(
        lambda: _patched(SHARDS_ONLY, now=False), replace(SHARDS_ONLY, repodata_patch=PATCH)
    ),
    "pages switched on": Scene(_changed, with_outputs(html=True)),
}


def undisturbed(scene: Scene) -> tuple[dict[str, bytes], int]:
    """What a run makes that nobody disturbs, and how many calls it takes."""
    store = scene.prepare()
    interfering = InterferingStore(store)
    index(interfering, scene.options, now_ms=LATER_MS)
    return published(store), len(interfering.calls)


def mutable(store: MemoryStore) -> dict[str, bytes]:
    """The files that readers ask for by name."""
    return {
        key: value
        for key, value in published(store).items()
        if "/shards/" not in key and names.FROM_PACKAGES not in key
    }


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", SCENES)
def test_one_run_after_a_crash_makes_what_an_undisturbed_one_makes(name: str, moment: str) -> None:
    scene = SCENES[name]
    expected, count = undisturbed(scene)
    for at in range(1, count + 1):
        store = scene.prepare()
        interfering = (
            InterferingStore(store, before=crash_at(at))
            if moment == "before"
            else InterferingStore(store, after=crash_at(at))
        )
        with pytest.raises(Crash):
            index(interfering, scene.options, now_ms=LATER_MS)
        index(store, scene.options, now_ms=LATER_MS)
        assert published(store) == expected, f"after a crash at call {at}, {interfering.calls[at - 1]}"
        first = len(store.calls)
        assert index(store, scene.options).outcome in {Outcome.UNCHANGED, Outcome.PARTIAL}
        assert changes(store.calls, first) == []


@pytest.mark.parametrize("name", SCENES)
def test_no_shard_index_names_a_missing_shard_after_any_call(name: str) -> None:
    scene = SCENES[name]
    store = scene.prepare()
    seen = []

    def look(_number: int, call: Call) -> None:
        if call.verb in {"PUT", "DELETE"}:
            seen.append(call.key)
            assert missing_shards(store) == set(), call

    index(InterferingStore(store, after=look), scene.options, now_ms=LATER_MS)
    assert seen


@pytest.mark.parametrize("name", SCENES)
def test_every_file_is_the_old_one_or_the_new_one_after_any_call(name: str) -> None:
    scene = SCENES[name]
    expected, _ = undisturbed(scene)
    store = scene.prepare()
    before = mutable(store)

    def look(_number: int, call: Call) -> None:
        for key, body in mutable(store).items():
            assert body in (before.get(key), expected.get(key)), (call, key)

    index(InterferingStore(store, after=look), scene.options, now_ms=LATER_MS)
    assert mutable(store) == {key: body for key, body in expected.items() if key in mutable(store)}


@pytest.mark.parametrize("name", SCENES)
def test_a_reader_finds_an_index_after_any_call(name: str) -> None:
    scene = SCENES[name]
    store = scene.prepare()
    sources = {"linux-64/repodata.json", "linux-64/repodata_shards.msgpack.zst"}
    had_one = bool(sources & store.bodies().keys())

    def look(_number: int, call: Call) -> None:
        assert not had_one or sources & store.bodies().keys(), call

    index(InterferingStore(store, after=look), scene.options, now_ms=LATER_MS)
    assert sources & store.bodies().keys()


@pytest.mark.parametrize("name", SCENES)
def test_no_package_is_ever_written_or_deleted(name: str) -> None:
    scene = SCENES[name]
    store = scene.prepare()
    before = {key: stored.stat.etag for key, stored in store.objects.items() if is_package(key)}
    index(store, scene.options, now_ms=LATER_MS)
    assert {key: stored.stat.etag for key, stored in store.objects.items() if is_package(key)} == before


def test_dates_survive_a_crash_between_new_shards_and_old_json() -> None:
    store = _changed()

    def die(_number: int, call: Call) -> None:
        if call.verb == "DELETE":
            raise Crash

    with pytest.raises(Crash):
        index(InterferingStore(store, before=die), SHARDS_ONLY, now_ms=LATER_MS)
    assert "linux-64/repodata.json" in store.bodies()
    first = len(store.calls)
    index(store, SHARDS_ONLY, now_ms=LATER_MS + DAY_MS)
    assert not [key for key in packages_read(store.calls, first) if key != BAD]
    (record,) = unpacked(store.bodies()[shards(store)["new"]])["packages.conda"].values()
    assert record["indexed_timestamp"] == LATER_MS


def test_two_crashes_in_a_row_are_made_good_too() -> None:
    scene = SCENES["a changed channel"]
    expected, count = undisturbed(scene)
    for at in range(1, count + 1):
        store = scene.prepare()
        for number in (at, count - at + 1):
            with contextlib.suppress(Crash):
                index(InterferingStore(store, after=crash_at(number)), scene.options, now_ms=LATER_MS)
        index(store, scene.options, now_ms=LATER_MS)
        assert published(store) == expected, at


@pytest.mark.parametrize("name", [name for name in SCENES if "patch" in name])
def test_no_patch_is_baked_into_what_the_packages_say_after_any_call(name: str) -> None:
    scene = SCENES[name]
    store = scene.prepare()

    def look(_number: int, call: Call) -> None:
        assert FIX.encode() not in store.bodies().get(f"linux-64/{names.FROM_PACKAGES}", b""), call

    index(InterferingStore(store, after=look), scene.options, now_ms=LATER_MS)
    assert f"linux-64/{names.FROM_PACKAGES}" in store.bodies()


def test_a_patch_that_died_coming_into_force_can_be_ended_without_a_trace() -> None:
    scene = SCENES["a patch and a yank come into force"]
    _, count = undisturbed(scene)
    expected = None
    for at in range(count, 0, -1):
        store = scene.prepare()
        with contextlib.suppress(Crash):
            index(InterferingStore(store, after=crash_at(at)), scene.options, now_ms=LATER_MS)
        index(store, now_ms=LATER_MS)  # by somebody who knows of no patch
        index(store, ENDING, now_ms=LATER_MS)
        result = json.loads(store.bodies()["linux-64/repodata.json"])
        assert FIX not in json.dumps(result)
        expected = expected or result
        assert result == expected, at
