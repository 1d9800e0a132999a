"""What changes in a channel between two runs is what the second one reads and writes, and no more."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fill,
    fixture,
    index,
    keys,
    missing_shards,
    only,
    package,
    packages_read,
    records,
    repodata,
    sharded,
    shards,
    unpacked,
)

KEY = "linux-64/p00-1.0-0.conda"
NAME = "p00-1.0-0.conda"
LATER_MS = NOW_MS + DAY_MS
MUTABLE = {
    "linux-64/repodata_shards.msgpack.zst",
    "linux-64/repodata.json.zst",
    "linux-64/repodata.json",
    f"linux-64/{names.STATE_FILE}",
}


def same_size(key: str) -> bytes:
    """Another package of the same name and size."""
    first = package(key, license="AAAAAAAA")
    for text in ("BBBBBBBB", "AAAAAAAB", "ABABABAB", "BAAAAAAA", "CCCCCCCC"):
        other = package(key, license=text)
        if len(other) == len(first):
            return other
    raise AssertionError


def test_only_what_was_added_is_read_and_only_its_shard_is_put() -> None:
    store = channel(*keys(4))
    index(store)
    before, first = dict(shards(store)), len(store.calls)
    fill(store, "linux-64/new-1.0-0.conda")
    report = index(store, now_ms=LATER_MS)
    assert only(report).added == ("new-1.0-0.conda",)
    assert packages_read(store.calls, first) == ["linux-64/new-1.0-0.conda"]
    assert records(store).keys() == sharded(store)
    assert "new-1.0-0.conda" in records(store)
    after = shards(store)
    assert {name: after[name] for name in before} == before
    put = {key for _, key in changes(store.calls, first) if key.startswith("linux-64/")}
    assert put == MUTABLE | {after["new"], "linux-64/run_exports.json", "linux-64/run_exports.json.zst"}


def test_records_that_stay_are_published_byte_for_byte() -> None:
    store = channel(*keys(3))
    index(store)
    before = records(store)
    fill(store, "linux-64/new-1.0-0.conda")
    index(store, now_ms=LATER_MS)
    after = records(store)
    assert {name: after[name] for name in before} == before
    assert after["new-1.0-0.conda"]["indexed_timestamp"] == LATER_MS


@pytest.mark.parametrize("size", ["the same", "another"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_package_replaced_under_its_name_is_read_again_and_dated_anew(
    size: str,
    plain: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    store = channel(*keys(3))
    store.upload(KEY, package(KEY, license="AAAAAAAA"))
    if not plain:
        store.disguise(KEY)
    index(store)
    old = store.objects[KEY]
    new = same_size(KEY) if size == "the same" else package(KEY, license="a much longer license than before")
    assert (len(new) == len(old.body)) is (size == "the same")
    store.upload(KEY, new)
    if not plain:
        store.disguise(KEY)
    first, others = len(store.calls), {k: v for k, v in shards(store).items() if k != "p00"}
    report = index(store, now_ms=LATER_MS)
    assert only(report).updated == (NAME,)
    assert only(report).added == only(report).removed == ()
    assert packages_read(store.calls, first) == [KEY]
    record = records(store)[NAME]
    assert record["license"] != "AAAAAAAA"
    assert record["size"] == len(new)
    assert record["indexed_timestamp"] == LATER_MS
    assert [note.reason for note in only(report).warnings] == [
        "was replaced: another artifact has its name now, so it gets a new date (CEP 47)"
    ]
    shard_puts = [key for _, key in changes(store.calls, first) if "/shards/" in key]
    assert shard_puts == [shards(store)["p00"]]
    assert {k: v for k, v in shards(store).items() if k != "p00"} == others
    (sharded_record,) = unpacked(store.bodies()[shards(store)["p00"]])["packages.conda"].values()
    assert sharded_record["sha256"].hex() == record["sha256"]


def test_a_package_that_is_gone_leaves_every_form_of_the_index() -> None:
    store = channel(*keys(4))
    index(store)
    first = len(store.calls)
    store.remove(KEY)
    report = index(store, now_ms=LATER_MS)
    assert only(report).removed == (NAME,)
    assert only(report).outcome is Outcome.PUBLISHED
    assert packages_read(store.calls, first) == []
    assert NAME not in records(store)
    assert NAME not in sharded(store)
    assert "p00" not in shards(store)
    assert NAME not in repodata(store)["packages.conda"]
    assert not [key for _, key in changes(store.calls, first) if "/shards/" in key]


def test_a_package_replaced_by_a_broken_one_leaves_the_index_and_is_named() -> None:
    store = channel(*keys(3))
    index(store)
    store.upload(KEY, fixture("linux-64/half-1.0-0.conda", "broken"))
    report = index(store, now_ms=LATER_MS)
    assert only(report).outcome is Outcome.PARTIAL
    assert report.exit_code == 3
    assert [note.filename for note in only(report).rejected] == [NAME]
    assert only(report).removed == (NAME,)
    assert NAME not in records(store)
    assert NAME not in sharded(store)
    assert len(records(store)) == 2


def test_a_broken_package_that_is_mended_is_indexed() -> None:
    store = channel(*keys(2))
    store.upload(KEY, fixture("linux-64/half-1.0-0.conda", "broken"))
    index(store)
    assert NAME not in records(store)
    store.upload(KEY, package(KEY))
    report = index(store, now_ms=LATER_MS)
    assert report.exit_code == 0
    assert records(store)[NAME]["indexed_timestamp"] == LATER_MS
    assert only(report).rejected == ()


def test_a_package_removed_and_uploaded_again_later_is_new() -> None:
    store = channel(*keys(3))
    index(store)
    store.remove(KEY)
    index(store)
    fill(store, KEY)
    report = index(store, now_ms=LATER_MS)
    assert only(report).added == (NAME,)
    assert records(store)[NAME]["indexed_timestamp"] == LATER_MS


def test_a_forced_run_reads_all_and_keeps_every_date_and_byte() -> None:
    store = channel(*keys(3))
    index(store)
    before, first = store.bodies(), len(store.calls)
    report = index(store, replace(PLAIN, force=True), now_ms=LATER_MS)
    assert sorted(packages_read(store.calls, first)) == keys(3)
    assert only(report).updated == only(report).added == ()
    assert {k: v for k, v in store.bodies().items() if names.STATE_FILE not in k} == {
        k: v for k, v in before.items() if names.STATE_FILE not in k
    }


def test_a_forced_run_brings_a_lost_shard_back() -> None:
    store = channel(*keys(3))
    index(store)
    lost = shards(store)["p01"]
    store.remove(lost)
    assert missing_shards(store) == {lost}
    index(store, replace(PLAIN, force=True))
    assert missing_shards(store) == set()


def test_run_exports_of_packages_that_stay_survive() -> None:
    store = channel(*keys(1))
    key = "linux-64/lib-1.0-0.conda"
    store.upload(key, package(key, run_exports={"weak": ["lib >=1"]}))
    index(store)
    fill(store, "linux-64/new-1.0-0.conda")
    index(store, now_ms=LATER_MS)
    shard = unpacked(store.bodies()[shards(store)["lib"]])
    assert shard["packages.conda"]["lib-1.0-0.conda"]["run_exports"] == {"weak": ["lib >=1"]}
    assert "run_exports" not in records(store)["lib-1.0-0.conda"]
    assert b'"lib-1.0-0.conda":{"run_exports":{"weak":["lib >=1"]}}' in store.bodies()["linux-64/run_exports.json"]


def test_many_runs_publish_what_one_run_publishes() -> None:
    step_by_step = channel()
    for count in range(1, 6):
        fill(step_by_step, *keys(count))
        index(step_by_step)
    at_once = channel(*keys(5))
    index(at_once)
    mutable = ["repodata.json", "repodata.json.zst", "run_exports.json", "repodata_shards.msgpack.zst"]
    for name in mutable:
        key = f"linux-64/{name}"
        assert step_by_step.bodies()[key] == at_once.bodies()[key]
