"""Channels that another indexer has patched, or indexes in between: patches and yanks hold, dates are taken over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from indexer.core import names
from indexer.core.formats.repodata import with_published_parts
from indexer.core.formats.shards import ShardIndex, decode_index, encode_index
from indexer.core.model import Index, Raw
from indexer.core.overlay import WithdrawnPackages, Yank, encode_withdrawn
from indexer.core.patch import NO_INSTRUCTIONS
from indexer.core.report import Outcome
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
    only,
    packages_read,
    records,
    repodata,
    sharded,
    upload_patch,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

FIRST, SECOND, THIRD = (key.partition("/")[2] for key in keys(3))
NEW = "new-1.0-0.conda"
FIX = {"packages.conda": {FIRST: {"depends": ["fixed"]}}, "remove": [SECOND]}
REPODATA, UNPATCHED, INSTRUCTIONS, YANKED = (
    f"linux-64/{name}" for name in (names.REPODATA, names.FROM_PACKAGES, names.PATCH_INSTRUCTIONS, names.YANKS)
)


def content(store: MemoryStore, key: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(store.bodies()[key])
    return result


def put(store: MemoryStore, key: str, value: object) -> None:
    store.upload(key, json.dumps(value).encode())


def foreign(*, instructions: bool, yanked_stay: bool) -> MemoryStore:
    """A channel that another indexer patched: one leaves its instructions, the other leaves yanked records."""
    store = channel(*keys(3))
    index(store)
    plain = repodata(store)
    for key in [key for key in store.bodies() if not key.endswith(names.EXTENSIONS)]:
        store.remove(key)
    put(store, UNPATCHED, plain)
    result = dict(plain["packages.conda"])
    result[FIRST] = {**result[FIRST], "depends": ["fixed"]}
    if not yanked_stay:
        del result[SECOND]
    put(store, REPODATA, {**plain, "packages.conda": result, "removed": [SECOND]})
    if instructions:
        put(store, INSTRUCTIONS, FIX)
    return store


def test_a_patch_whose_instructions_lie_there_is_carried_on() -> None:
    store = foreign(instructions=True, yanked_stay=False)
    first = len(store.calls)
    assert index(store).exit_code == 0
    assert packages_read(store.calls, first) == []
    assert set(records(store)) == sharded(store) == {FIRST, THIRD}
    assert records(store)[FIRST]["depends"] == ["fixed"]
    assert content(store, UNPATCHED)["packages.conda"][FIRST]["depends"] == []
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []


def test_a_patch_without_instructions_stops_runs_until_named_or_ended() -> None:
    for yanked_stay in (True, False):
        store = foreign(instructions=False, yanked_stay=yanked_stay)
        before = store.bodies("linux-64")
        report = index(store)
        assert only(report).outcome is Outcome.REFUSED
        assert "name the patch with --repodata-patch, or end the patch with --no-repodata-patch" in str(
            only(report).error
        )
        assert store.bodies("linux-64") == before

    upload_patch(store, FIX)
    index(store, replace(PLAIN, repodata_patch=PATCH))
    assert set(records(store)) == {FIRST, THIRD}
    assert records(store)[FIRST]["depends"] == ["fixed"]


def test_a_patch_without_instructions_can_be_ended() -> None:
    store = foreign(instructions=False, yanked_stay=True)
    index(store, replace(PLAIN, repodata_patch=""))
    assert set(records(store)) == {FIRST, SECOND, THIRD}
    assert records(store)[FIRST]["depends"] == []
    assert store.bodies()[INSTRUCTIONS] == NO_INSTRUCTIONS
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []


def test_an_unpatched_index_beside_one_that_says_the_same_is_kept_in_step() -> None:
    store = channel(*keys(2))
    index(store)
    plain = store.bodies()[REPODATA]
    store.remove("linux-64/.indexer.json.zst")
    store.upload(UNPATCHED, plain)
    # What conda-index leaves where it writes shards and was given no patch.
    put(store, INSTRUCTIONS, {"p00": {}, "remove": {}})
    fill(store, f"linux-64/{NEW}")
    assert index(store).exit_code == 0
    assert set(records(store)) == {FIRST, SECOND, NEW}
    assert store.bodies()[UNPATCHED] == store.bodies()[REPODATA]


def test_a_package_that_was_replaced_is_not_taken_for_a_patched_one() -> None:
    store = foreign(instructions=False, yanked_stay=True)
    plain = content(store, UNPATCHED)
    result = content(store, UNPATCHED)
    result["packages.conda"][FIRST] |= {"sha256": "0" * 64, "depends": ["other"]}
    put(store, UNPATCHED, result)
    put(store, REPODATA, plain)
    assert only(index(store)).outcome is Outcome.PUBLISHED


def in_force() -> MemoryStore:
    store = channel(*keys(3))
    upload_patch(store, {"packages.conda": {FIRST: {"depends": ["fixed"]}, NEW: {"depends": ["fixed"]}}})
    index(store, replace(PLAIN, repodata_patch=PATCH))
    store.upload(YANKED, encode_withdrawn(WithdrawnPackages({THIRD: Yank("broken", NOW_MS)})))
    index(store)
    assert set(records(store)) == {FIRST, SECOND}
    return store


def run_of_rattler_index(store: MemoryStore) -> None:
    """Without the patch named it takes repodata.json for the truth, and reads what is not in it."""
    fill(store, f"linux-64/{NEW}")
    other = channel(*keys(3), f"linux-64/{NEW}")
    index(other, now_ms=NOW_MS + DAY_MS)
    result = content(store, REPODATA)
    fresh = {name: record for name, record in records(other).items() if name not in result["packages.conda"]}
    put(store, REPODATA, {**result, "packages.conda": {**result["packages.conda"], **fresh}, "removed": []})


def test_patches_and_yanks_return_after_another_indexer_dates_stay() -> None:
    store = in_force()
    run_of_rattler_index(store)
    assert set(records(store)) == {FIRST, SECOND, THIRD, NEW}
    first = len(store.calls)
    index(store, now_ms=NOW_MS + 5 * DAY_MS)
    assert set(records(store)) == sharded(store) == {FIRST, SECOND, NEW}
    assert repodata(store)["removed"] == [THIRD]
    assert records(store)[FIRST]["depends"] == records(store)[NEW]["depends"] == ["fixed"]
    assert packages_read(store.calls, first) == [f"linux-64/{NEW}"]
    assert records(store)[NEW]["indexed_timestamp"] == NOW_MS + DAY_MS
    assert content(store, UNPATCHED)["packages.conda"][NEW]["depends"] == []


def test_a_broken_foreign_repodata_is_rewritten_from_the_unpatched_one() -> None:
    store = in_force()
    before = store.bodies()[REPODATA]
    store.upload(REPODATA, b"{")
    index(store)
    assert store.bodies()[REPODATA] == before


def test_a_lost_ledger_bakes_nothing_in() -> None:
    store = in_force()
    before = {key: body for key, body in store.bodies().items() if not key.endswith(names.STATE_FILE)}
    store.remove(f"linux-64/{names.STATE_FILE}")
    index(store)
    assert {key: body for key, body in store.bodies().items() if not key.endswith(names.STATE_FILE)} == before


def test_patched_run_exports_never_replace_those_of_the_package() -> None:
    store = channel(*keys(2))
    fix = {"run_exports": {"strong": ["fixed"]}}
    upload_patch(store, {"patch_instructions_version": 2, "packages.conda": {FIRST: fix}})
    index(store, replace(PLAIN, repodata_patch=PATCH))
    result = content(store, UNPATCHED)
    assert result.pop("run_exports") == {FIRST: {}}
    put(store, UNPATCHED, result)
    index(store)
    assert content(store, "linux-64/run_exports.json")["packages.conda"][FIRST] == fix
    put(store, UNPATCHED, result)
    index(store, replace(PLAIN, repodata_patch=""))
    assert content(store, "linux-64/run_exports.json")["packages.conda"].keys() == {SECOND}


def test_a_foreign_unpatched_index_has_the_records_of_the_packages() -> None:
    store = in_force()
    result = content(store, UNPATCHED)
    result["packages.conda"][SECOND]["depends"] = ["spelled  otherwise"]
    put(store, UNPATCHED, result)
    index(store)
    assert records(store)[SECOND]["depends"] == ["spelled  otherwise"]
    assert records(store)[FIRST]["depends"] == ["fixed"]
    assert set(records(store)) == {FIRST, SECOND}


def test_a_patch_emptied_by_conda_index_stops_runs_until_named_or_ended() -> None:
    for word in (PATCH, ""):
        store = in_force()
        # Where it writes shards and was given no patch.
        put(store, INSTRUCTIONS, {"p00": {}, "p01": {}})
        before = store.bodies("linux-64")
        report = index(store)
        assert only(report).outcome is Outcome.REFUSED
        assert "was emptied by conda-index, and a patch was in force" in str(only(report).error)
        assert store.bodies("linux-64") == before
        index(store, replace(PLAIN, repodata_patch=word))
        assert records(store)[FIRST]["depends"] == (["fixed"] if word else [])


def test_an_empty_form_that_conda_index_writes_again_is_no_lost_patch() -> None:
    store = channel(*keys(2))
    put(store, INSTRUCTIONS, {"p00": {}})
    index(store)
    put(store, INSTRUCTIONS, {"p00": {}, "p01": {}})
    assert only(index(store)).outcome is not Outcome.REFUSED


WHEELS = {"whl": {"w-1-0": {"name": "w", "url": "https://a.example/w.whl"}}}
SAID = {
    "channel_relations": {"base": "../main"},
    "repodata_revisions": {"v3": {"message": "Update"}},
    "base_url": "https://a.example/linux-64/",
}


def test_what_another_indexer_says_of_a_patched_channel_is_published_too() -> None:
    store = in_force()
    result = content(store, REPODATA)
    put(store, REPODATA, {**result, "info": {**result["info"], **SAID}, "v3": WHEELS, "theirs": 1})
    for _ in range(2):
        index(store)
        now = repodata(store)
        assert now["info"]["channel_relations"] == {"base": "../main"}
        assert now["info"]["repodata_revisions"] == {"v3": {"message": "Update", "n_packages": 1}}
        assert now["info"]["base_url"] == "https://a.example/linux-64/"
        assert (now["v3"], now["theirs"]) == (WHEELS, 1)
        assert records(store)[FIRST]["depends"] == ["fixed"]
        put(store, REPODATA, {**repodata(store), "info": {"subdir": "linux-64"}, "v3": {}})


def test_foreign_shards_of_a_patched_channel_are_published_too() -> None:
    store = in_force()
    alone = with_outputs(monolithic=False)
    index(store, alone)
    data = store.bodies()[f"linux-64/{names.SHARD_INDEX}"]
    before = decode_index(data, "")
    store.upload(f"linux-64/{names.SHARD_INDEX}", encode_index(ShardIndex(before.shards, {**before.info, **SAID})))
    index(store, alone)
    after = decode_index(store.bodies()[f"linux-64/{names.SHARD_INDEX}"], "")
    assert after.info["channel_relations"] == {"base": "../main"}
    assert after.info["base_url"] == "https://a.example/linux-64/"
    assert sharded(store) == {FIRST, SECOND}


def test_a_wheel_record_is_unpatched_unless_its_content_differs() -> None:
    ours = Index(v3_rest={"whl": {"a": Raw(b'{"name":"a","sha256":"1"}'), "b": Raw(b'{"name":"b","sha256":"1"}')}})
    theirs = Raw(b'{"name":"a","sha256":"2"}')
    patched = Raw(b'{"name":"b","sha256":"1","depends":["fixed"]}')
    result = with_published_parts(ours, Index(v3_rest={"whl": {"a": theirs, "b": patched}}))
    assert result.v3_rest == {"whl": {"a": theirs, "b": ours.v3_rest["whl"]["b"]}}


def test_a_newer_index_beside_the_unpatched_one_is_not_overwritten() -> None:
    store = in_force()
    newer = {**content(store, REPODATA), "v4": {}}
    put(store, REPODATA, newer)
    report = only(index(store))
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, 1)
    assert "update the indexer" in str(report.error)
    assert content(store, REPODATA) == newer
