"""When packages came into a channel, as far as a client with `exclude-newer` can trust it (CEP 47)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from indexer.core.records.dates import APPROVED_MS
from indexer.core.state import PublishedFile, decode_state, encode_state
from indexer.store.fs import FolderStore
from tests.support.channel_check import check, faults
from tests.support.memory import MemoryStore
from tests.support.memory_channel import DAY_MS, NOW_MS, PLAIN, fill, index, only, package, records, with_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.core.options import Options

KEYS = ["linux-64/a-1.0-0.conda", "linux-64/b-1.0-0.conda"]
A, B = (key.partition("/")[2] for key in KEYS)
OLD_MS = APPROVED_MS - 30 * DAY_MS
LATER_MS = NOW_MS + DAY_MS


def dates(store: Any) -> dict[str, int]:
    return {name: record["indexed_timestamp"] for name, record in records(store).items()}


def uploaded(*times_ms: int, **fields: Any) -> MemoryStore:
    """A bucket with a package for each of some times."""
    store = MemoryStore()
    for key, time_ms in zip(KEYS, times_ms, strict=False):
        store.clock_ms = time_ms
        store.upload(key, package(key, **fields))
    return store


def rewrite(store: MemoryStore, changes: dict[str, Any]) -> None:
    """Write repodata.json as another indexer does, with other fields of all records; None takes a field out."""
    content = json.loads(store.bodies()["linux-64/repodata.json"])
    for filename, record in content["packages.conda"].items():
        changed = {**record, **changes}
        content["packages.conda"][filename] = {key: value for key, value in changed.items() if value is not None}
    store.upload("linux-64/repodata.json", json.dumps(content).encode())


def test_a_first_index_dates_old_packages_by_the_bucket_and_new_ones_now() -> None:
    store = uploaded(OLD_MS, APPROVED_MS)
    index(store)
    assert dates(store) == {A: OLD_MS, B: NOW_MS}
    index(store, replace(PLAIN, force=True), now_ms=LATER_MS)
    assert dates(store) == {A: OLD_MS, B: NOW_MS}


def test_an_old_package_in_a_bucket_is_dated_by_its_upload() -> None:
    store = uploaded(OLD_MS)
    index(store)
    store.clock_ms = OLD_MS + DAY_MS
    fill(store, KEYS[1])
    index(store, now_ms=LATER_MS)
    assert dates(store) == {A: OLD_MS, B: OLD_MS + DAY_MS}


@pytest.mark.parametrize("built_ms", [OLD_MS - 1, OLD_MS, OLD_MS // 1000])
def test_the_time_of_a_package_that_was_built_before_is_believed(built_ms: int) -> None:
    store = uploaded(OLD_MS, timestamp=built_ms)
    index(store)
    assert dates(store) == {A: OLD_MS}


def test_a_time_before_the_build_is_no_date() -> None:
    store = uploaded(OLD_MS, timestamp=OLD_MS + 1)
    index(store)
    assert dates(store) == {A: NOW_MS}
    rewrite(store, {"indexed_timestamp": None})
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    index(store, now_ms=LATER_MS)
    assert dates(store) == {A: LATER_MS}


@pytest.mark.parametrize("arrived_ms", [OLD_MS, NOW_MS - DAY_MS])
def test_a_foreign_record_without_a_date_gets_the_time_of_the_bucket(arrived_ms: int) -> None:
    store = uploaded(arrived_ms)
    index(store)
    rewrite(store, {"indexed_timestamp": None})
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    store.remove("linux-64/.indexer.json.zst")
    index(store, now_ms=LATER_MS)
    assert dates(store) == {A: arrived_ms}
    index(store, replace(PLAIN, force=True), now_ms=LATER_MS + DAY_MS)
    assert dates(store) == {A: arrived_ms}


def test_a_plain_run_dates_a_record_without_a_date() -> None:
    store = uploaded(OLD_MS, OLD_MS)
    index(store)
    rewrite(store, {"indexed_timestamp": None})
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    index(store, now_ms=LATER_MS)
    assert dates(store) == {A: OLD_MS, B: OLD_MS}


def test_a_run_over_a_few_packages_leaves_the_other_dates_to_the_next_run() -> None:
    store = uploaded(OLD_MS, OLD_MS)
    index(store)
    rewrite(store, {"indexed_timestamp": None})
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    index(store, replace(PLAIN, packages=frozenset({KEYS[0]})), now_ms=LATER_MS)
    index(store, now_ms=LATER_MS + DAY_MS)
    assert dates(store) == {A: OLD_MS, B: OLD_MS}


@pytest.mark.parametrize("force", [True, False])
def test_a_date_in_the_future_becomes_that_of_the_run(force: bool) -> None:  # noqa: FBT001  a parameter of the test
    store = uploaded(OLD_MS)
    index(store)
    rewrite(store, {"indexed_timestamp": LATER_MS})
    index(store, replace(PLAIN, force=force))
    assert dates(store) == {A: NOW_MS}


def test_the_time_of_a_bucket_whose_clock_is_ahead_is_no_date() -> None:
    store = uploaded(LATER_MS)
    index(store)
    rewrite(store, {"indexed_timestamp": None})
    store.clock_ms = LATER_MS
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    index(store)
    assert dates(store) == {A: NOW_MS}


def test_a_replaced_package_gets_no_date_from_a_foreign_index() -> None:
    store = uploaded(OLD_MS)
    index(store)
    store.clock_ms = NOW_MS
    store.upload(KEYS[0], package(KEYS[0], license="swapped"))
    store.remove("linux-64/.indexer.json.zst")
    report = index(store, now_ms=LATER_MS)
    assert dates(store) == {A: LATER_MS}
    assert any("gets a new date" in note.reason for note in only(report).warnings)


def test_another_artifact_gets_no_date_that_a_shard_has_of_the_old_one() -> None:
    store = uploaded(OLD_MS)
    index(store)
    kept = {key: body for key, body in store.bodies().items() if "/shards/" in key}
    store.clock_ms = LATER_MS
    store.upload(KEYS[0], package(KEYS[0], license="swapped"))
    index(store, now_ms=LATER_MS)
    rewrite(store, {"indexed_timestamp": None})
    for key in [key for key in store.bodies() if "/shards/" in key]:
        store.remove(key)
    for key, body in kept.items():
        store.upload(key, body)
    index(store, now_ms=LATER_MS + DAY_MS)
    assert dates(store) == {A: LATER_MS}


def in_folder(folder: Path, *times_ms: int) -> FolderStore:
    for key, time_ms in zip(KEYS, times_ms, strict=False):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(package(key))
        os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
    return FolderStore(folder)


def folder_dates(folder: Path) -> dict[str, int]:
    content = json.loads((folder / "linux-64/repodata.json").read_bytes())
    return {name: record["indexed_timestamp"] for name, record in content["packages.conda"].items()}


def test_the_time_of_a_file_counts_only_in_a_folder_without_dates(tmp_path: Path) -> None:
    index(in_folder(tmp_path, OLD_MS))
    assert folder_dates(tmp_path) == {A: OLD_MS}
    index(in_folder(tmp_path, OLD_MS, OLD_MS), now_ms=LATER_MS)
    assert folder_dates(tmp_path) == {A: OLD_MS, B: LATER_MS}


def test_a_lost_ledger_does_not_make_the_time_of_a_copied_file_a_date(tmp_path: Path) -> None:
    index(in_folder(tmp_path, OLD_MS))
    (tmp_path / "linux-64/.indexer.json.zst").unlink()
    index(in_folder(tmp_path, OLD_MS, OLD_MS), now_ms=LATER_MS)
    assert folder_dates(tmp_path) == {A: OLD_MS, B: LATER_MS}


def test_a_folder_that_is_taken_over_without_dates_has_those_of_its_files(tmp_path: Path) -> None:
    store = in_folder(tmp_path, NOW_MS - 9 * DAY_MS, OLD_MS)
    index(store)
    repodata = tmp_path / "linux-64/repodata.json"
    content = json.loads(repodata.read_bytes())
    del content["packages.conda"][B]
    del content["packages.conda"][A]["indexed_timestamp"]
    for path in (tmp_path / "linux-64").iterdir():
        if path.is_file() and path.suffix != ".conda":
            path.unlink()
    for path in (tmp_path / "linux-64/shards").iterdir():
        path.unlink()
    repodata.write_text(json.dumps(content))
    index(store, now_ms=LATER_MS)
    assert folder_dates(tmp_path) == {A: NOW_MS - 9 * DAY_MS, B: OLD_MS}


WEEK_MS = 7 * DAY_MS


def recent(store: MemoryStore, now_ms: int, options: Options = PLAIN) -> int | None:
    return only(index(store, replace(options, dry_run=True), now_ms=now_ms)).newer_than_7_days


@pytest.mark.parametrize("shape", [{}, {"monolithic": False}], ids=["with json", "shards only"])
def test_a_status_counts_packages_hidden_by_exclude_newer_without_reading(shape: dict[str, Any]) -> None:
    options = with_outputs(**shape)
    store = uploaded(OLD_MS)
    assert recent(store, NOW_MS, options) == 0
    index(store, options)
    store.clock_ms = LATER_MS
    fill(store, KEYS[1])
    assert recent(store, LATER_MS, options) == 1
    index(store, options, now_ms=LATER_MS)
    first = len(store.calls)
    assert recent(store, LATER_MS, options) == 1
    assert [call.verb for call in store.calls[first:] if call.key.startswith("linux-64")] == ["GET", "LIST"]
    assert recent(store, LATER_MS + WEEK_MS - 1, options) == 1
    assert recent(store, LATER_MS + WEEK_MS + 3_600_000, options) == 0
    store.clock_ms = LATER_MS + DAY_MS
    store.upload(KEYS[0], package(KEYS[0], license="swapped"))
    index(store, options, now_ms=LATER_MS + DAY_MS)
    assert recent(store, LATER_MS + DAY_MS, options) == 2
    store.remove(KEYS[1])
    index(store, options, now_ms=LATER_MS + DAY_MS)
    assert recent(store, LATER_MS + DAY_MS, options) == 1


@pytest.mark.parametrize("state", ["in step", "of an older index"])
@pytest.mark.parametrize("date", [None, NOW_MS + 2000 * DAY_MS], ids=["none", "in the future"])
def test_a_check_names_a_wrong_date_and_what_heals_it(date: int | None, state: str) -> None:
    store = uploaded(OLD_MS)
    index(store)
    shards = [key for key in store.bodies() if "/shards/" in key]
    rewrite(store, {"indexed_timestamp": date})
    for key in (*shards, "linux-64/repodata.json.zst", "linux-64/repodata_shards.msgpack.zst"):
        store.remove(key)
    if state == "in step":
        name = "linux-64/.indexer.json.zst"
        left = decode_state(store.bodies()[name])
        assert left is not None
        version = store.objects["linux-64/repodata.json"].stat.etag
        wrote = {"repodata.json": PublishedFile(version, ""), "run_exports.json": left.files["run_exports.json"]}
        packed = {"run_exports.json.zst": left.files["run_exports.json.zst"]}
        store.upload(name, encode_state(msgspec.structs.replace(left, files={**wrote, **packed})))
    results = [fault for fault in check(store).faults if "indexed_timestamp" in fault.reason]
    assert [fault.key for fault in results] == [KEYS[0]]
    assert ("--force" in results[0].next_step) is (state == "in step")
    index(store, replace(PLAIN, force="--force" in results[0].next_step))
    assert faults(store) == []
    assert dates(store) == {A: OLD_MS if date is None else NOW_MS}


def test_a_channel_that_was_never_ours_may_have_no_dates() -> None:
    store = uploaded(OLD_MS)
    index(store)
    rewrite(store, {"indexed_timestamp": None})
    store.remove("linux-64/.indexer.json.zst")
    assert not [fault for fault in check(store).faults if "indexed_timestamp" in fault.reason]
