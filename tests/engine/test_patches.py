"""A repodata patch and its end: what comes into force stays in force in later runs, and is never baked in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadConfig, BadPatch
from indexer.core.patch import NO_INSTRUCTIONS
from indexer.core.report import Outcome
from tests.support.channel_check import check
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PATCH,
    PLAIN,
    changes,
    channel,
    fill,
    index,
    keys,
    missing_shards,
    only,
    package,
    packages_read,
    published,
    records,
    repodata,
    sharded,
    shards,
    unpacked,
    upload_patch,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

FIRST, SECOND, THIRD = (key.partition("/")[2] for key in keys(3))
FIX = {"packages.conda": {FIRST: {"depends": ["fixed >=1"]}}, "remove": [SECOND]}
PATCHING = replace(PLAIN, repodata_patch=PATCH)
ENDING = replace(PLAIN, repodata_patch="")
UNPATCHED = f"linux-64/{names.FROM_PACKAGES}"
INSTRUCTIONS = f"linux-64/{names.PATCH_INSTRUCTIONS}"


def unpatched(store: MemoryStore) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(store.bodies()[UNPATCHED])
    return {**result["packages"], **result["packages.conda"]}


def patched(instructions: dict[str, Any] | None = None) -> MemoryStore:
    store = channel(*keys(3))
    index(store)
    upload_patch(store, FIX if instructions is None else instructions)
    index(store, PATCHING, now_ms=NOW_MS + DAY_MS)
    return store


def test_readers_of_every_format_see_the_patch() -> None:
    store = patched()
    assert records(store)[FIRST]["depends"] == ["fixed >=1"]
    assert set(records(store)) == sharded(store) == {FIRST, THIRD}
    assert repodata(store)["removed"] == [SECOND]
    results = {name: unpacked(store.bodies()[key]) for name, key in shards(store).items()}
    assert results["p00"]["packages.conda"][FIRST]["depends"] == ["fixed >=1"]
    assert results["p01"]["removed"] == [SECOND]
    assert missing_shards(store) == set()


def test_the_unpatched_index_has_what_the_packages_say() -> None:
    store = patched()
    assert unpatched(store)[FIRST]["depends"] == []
    assert set(unpatched(store)) == {FIRST, SECOND, THIRD}


def test_the_patch_package_is_a_package_too() -> None:
    assert PATCH in records(patched(), "noarch")


def test_a_later_run_without_the_option_keeps_the_patch_separate() -> None:
    store = patched()
    fill(store, "linux-64/new-1.0-0.conda")
    index(store, now_ms=NOW_MS + 2 * DAY_MS)
    assert records(store)[FIRST]["depends"] == ["fixed >=1"]
    assert set(records(store)) == {FIRST, THIRD, "new-1.0-0.conda"}
    assert unpatched(store)[FIRST]["depends"] == []


def test_a_package_that_comes_later_is_patched() -> None:
    store = patched({"packages.conda": {"new-1.0-0.conda": {"license": "MIT"}}})
    fill(store, "linux-64/new-1.0-0.conda")
    index(store)
    assert records(store)["new-1.0-0.conda"]["license"] == "MIT"


def test_a_patched_channel_is_quiet_with_the_option_and_without() -> None:
    store = patched()
    for options, extra in ((PLAIN, 0), (PATCHING, 2)):
        first = len(store.calls)
        assert index(store, options).outcome is Outcome.UNCHANGED
        assert changes(store.calls, first) == []
        # The ledger and a listing of each subdir, a listing of the subdirs, and the patch where it is named.
        assert len(store.calls) - first == 2 * 2 + 1 + extra


def test_only_what_the_patch_changes_is_put_again() -> None:
    store = patched()
    upload_patch(store, {**FIX, "packages.conda": {THIRD: {"license": "MIT"}}})
    first = len(store.calls)
    index(store, PATCHING)
    put = {key for verb, key in changes(store.calls, first) if key.startswith("linux-64/")}
    assert not [key for verb, key in changes(store.calls, first) if verb == "DELETE"]
    assert put.isdisjoint({UNPATCHED, "linux-64/run_exports.json"})
    assert len([key for key in put if "/shards/" in key]) == 2  # the first is as once before, the third is new
    assert packages_read(store.calls, first) == [f"noarch/{PATCH}"] * 2  # as a patch, and as a package


def test_only_the_option_ends_a_patch_and_restores_all_records() -> None:
    store = patched()
    before = repodata(channel_without_patch())
    index(store, ENDING, now_ms=NOW_MS + 2 * DAY_MS)
    assert repodata(store) == before
    assert store.bodies()[INSTRUCTIONS] == NO_INSTRUCTIONS
    assert set(unpatched(store)) == set(records(store))
    first = len(store.calls)
    for options in (PLAIN, ENDING):
        assert index(store, options).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []


def channel_without_patch() -> MemoryStore:
    store = channel(*keys(3))
    index(store)
    return store


def test_to_end_what_is_not_there_changes_nothing() -> None:
    store = channel_without_patch()
    before = store.bodies()
    assert index(store, ENDING).outcome is Outcome.UNCHANGED
    assert store.bodies() == before


def test_a_patch_that_names_nothing_of_a_subdir_leaves_it_as_it_is() -> None:
    store = channel(*keys(1), *keys(1, "osx-arm64"))
    upload_patch(store, FIX)
    index(store, PATCHING)
    assert f"osx-arm64/{names.FROM_PACKAGES}" not in store.bodies()


@pytest.mark.parametrize("filename", ["gone-1-0.conda", "gone.txt"])
def test_a_patch_that_is_not_there_is_named_and_nothing_is_written(filename: str) -> None:
    store = channel(*keys(1))
    with pytest.raises(BadConfig, match="gone"):
        index(store, replace(PLAIN, repodata_patch=filename))
    assert published(store) == {}


@pytest.mark.parametrize(
    ("instructions", "reason"),
    [
        ({"patch_instructions_version": 3}, "the highest known is 2"),
        ({"packages.conda": {FIRST: {"depends": [">=1"]}}}, "has no name"),
        ({"packages.conda": {FIRST: {"depends": ["a >="]}}}, "has no version at its end"),
        ({"packages.conda": {FIRST: {"depends": ['a[when="b"]']}}}, "the syntax of revision v3"),
        ({"packages.conda": {FIRST: {"depends": "a"}}}, "not a list of texts"),
        ({"packages.conda": {FIRST: {"license": 1}}}, "is not a text"),
        ({"packages.conda": {"not-there-1.conda": {"license": 1}}}, "is not a text"),
        ({"packages.conda": {FIRST: []}}, "cannot be applied"),
        ({"packages": []}, "not a readable patch_instructions.json"),
        ({"remove": "x"}, "not a readable patch_instructions.json"),
    ],
)
def test_a_patch_that_cannot_be_followed_is_an_error_before_any_write(instructions: Any, reason: str) -> None:
    store = channel(*keys(1))
    upload_patch(store, instructions)
    with pytest.raises(BadPatch, match=reason):
        index(store, PATCHING)
    assert published(store) == {}


def test_broken_instructions_of_another_indexer_stop_one_subdir() -> None:
    store = channel(*keys(1), *keys(1, "noarch"))
    store.upload(INSTRUCTIONS, b"[]")
    report = index(store)
    assert "correct the patch, or end it with --no-repodata-patch" in str(only(report).error)
    assert only(report, "noarch").outcome is Outcome.PUBLISHED
    assert not [key for key in published(store) if key.startswith("linux-64/") and key != INSTRUCTIONS]
    assert only(index(store, ENDING)).outcome is Outcome.PUBLISHED


def test_fields_that_cannot_be_patched_stay_with_a_warning() -> None:
    store = channel(*keys(1))
    upload_patch(store, {"packages.conda": {FIRST: {"sha256": "00", "size": 1, "license": "MIT", "run_exports": {}}}})
    report = index(store, PATCHING)
    assert [note.reason.partition(" of ")[0] for note in only(report).warnings] == [
        "sets run_exports",
        "sets sha256",
        "sets size",
    ]
    result = records(store)[FIRST]
    assert result["license"] == "MIT"
    assert result["size"] == len(package(keys(1)[0]))


def test_a_patch_of_version_2_changes_run_exports_until_the_patch_ends() -> None:
    store = channel()
    own = {"weak": ["p00 >=1"]}
    store.upload(keys(1)[0], package(keys(1)[0], run_exports=own))
    fill(store, keys(2)[1])
    index(store)
    upload_patch(
        store, {"patch_instructions_version": 2, "packages.conda": {FIRST: {"run_exports": {"strong": ["b"]}}}}
    )
    index(store, PATCHING)
    assert run_exports(store) == {"strong": ["b"]}
    shard = unpacked(store.bodies()[shards(store)["p00"]])
    assert shard["packages.conda"][FIRST]["run_exports"] == {"strong": ["b"]}
    fill(store, "linux-64/new-1.0-0.conda")
    index(store)
    assert run_exports(store) == {"strong": ["b"]}
    first = len(store.calls)
    index(store, ENDING)
    assert run_exports(store) == own
    assert packages_read(store.calls, first) == []


def run_exports(store: MemoryStore) -> Any:
    return json.loads(store.bodies()["linux-64/run_exports.json"])["packages.conda"][FIRST]["run_exports"]


def test_run_exports_json_has_every_package_of_the_unpatched_index() -> None:
    result = json.loads(patched().bodies()["linux-64/run_exports.json"])
    assert set(result["packages.conda"]) == {FIRST, SECOND, THIRD}


def test_shards_alone_are_patched_too() -> None:
    shards_only = with_outputs(monolithic=False)
    store = channel(*keys(3))
    index(store, shards_only)
    upload_patch(store, FIX)
    index(store, replace(shards_only, repodata_patch=PATCH))
    assert sharded(store) == {FIRST, THIRD}
    first = len(store.calls)
    index(store, replace(shards_only, repodata_patch=""))
    assert sharded(store) == {FIRST, SECOND, THIRD}
    assert packages_read(store.calls, first) == []


def test_a_lost_unpatched_index_is_not_replaced_by_the_patched_one() -> None:
    store = patched()
    store.remove(UNPATCHED)
    before = published(store)
    report = index(store)
    assert "restore it, or read all packages again with --force" in str(only(report).error)
    assert published(store) == before
    assert only(index(store, replace(PLAIN, force=True))).outcome is Outcome.PUBLISHED
    assert unpatched(store)[FIRST]["depends"] == []
    assert records(store)[FIRST]["depends"] == ["fixed >=1"]


@pytest.mark.parametrize("lost", [[UNPATCHED], [UNPATCHED, f"linux-64/{names.REPODATA}"]], ids=["unpatched", "both"])
def test_after_a_lost_index_the_end_of_a_patch_brings_packages_back(lost: list[str]) -> None:
    store = patched()
    for key in lost:
        store.remove(key)
    forced = only(index(store, replace(PLAIN, force=True)))
    assert SECOND not in {note.filename for note in forced.warnings}
    assert set(unpatched(store)) == {FIRST, SECOND, THIRD}
    index(store, ENDING)
    assert set(records(store)) == sharded(store) == {FIRST, SECOND, THIRD}


def test_a_check_finds_what_is_in_force_and_not_published() -> None:
    store = patched()
    assert _faults(store) == []
    upload_patch(store, {"packages.conda": {THIRD: {"license": "MIT-0"}}})
    store.upload(INSTRUCTIONS, json.dumps({"packages.conda": {THIRD: {"license": "MIT-0"}}}).encode())
    assert [fault.partition(" (")[0] for fault in _faults(store)] == [
        f"linux-64/repodata.json: has a different list of removed packages: {SECOND}",
        f"linux-64/repodata.json: has different records of 2 packages: {FIRST}, {THIRD}",
        f"linux-64/repodata.json: lacks 1 package: {SECOND}",
    ]
    store.upload(INSTRUCTIONS, b"[]")
    (fault,) = _faults(store)
    assert fault.startswith("linux-64/patch_instructions.json: is not a readable patch_instructions.json")


def _faults(store: MemoryStore) -> list[str]:
    result = check(store, deep=True).faults
    return [f"{fault.key}: {fault.reason}" for fault in result if fault.key.startswith("linux-64/")]
