"""Run exports that another indexer did not say are unknown: that is reported, and `--complete` reads these packages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from tests.support.channel_check import check, faults
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    fill,
    index,
    keys,
    only,
    package,
    packages_read,
    repodata,
    sharded,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options

KEYS = keys(3)
FILENAMES = [key.partition("/")[2] for key in KEYS]
RUN_EXPORTS = f"linux-64/{names.RUN_EXPORTS}"
COMPLETE = replace(PLAIN, complete=True)
ALONE = with_outputs(monolithic=False)


def taken_over(told: tuple[str, ...] = (), options: Options = PLAIN) -> MemoryStore:
    """A channel of another indexer, of which only the run exports of some packages are told."""
    store = MemoryStore(clock_ms=NOW_MS - DAY_MS)
    for key in KEYS:
        store.upload(key, package(key, run_exports={"weak": [f"{key[9:12]} 1"]}))
    index(store)
    known = content(store)["packages.conda"]
    for key in [key for key in store.bodies() if not key.endswith((*names.EXTENSIONS, names.REPODATA))]:
        store.remove(key)
    if told:
        body = {"packages": {}, "packages.conda": {name: known[name] for name in told}}
        store.upload(RUN_EXPORTS, json.dumps(body).encode())
    index(store, options)
    return store


def content(store: MemoryStore) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(store.bodies()[RUN_EXPORTS])
    return result


def test_each_report_says_how_many_are_missing_and_check_hints_at_it() -> None:
    store = taken_over((FILENAMES[0],))
    fill(store, new := "linux-64/new-1.0-0.conda")
    for report in (only(index(store)), only(index(store)), only(index(store, replace(PLAIN, dry_run=True)))):
        assert report.run_exports_unknown == 2
    assert only(index(store, replace(PLAIN, packages=frozenset({new}), force=True))).run_exports_unknown == 2
    assert faults(store) == []
    (hint,) = check(store).hints
    assert (hint.key, FILENAMES[1] in hint.reason, "--complete" in hint.next_step) == (RUN_EXPORTS, True, True)


def test_only_packages_without_run_exports_are_read_and_records_stay() -> None:
    store = taken_over((FILENAMES[0],))
    before, since = repodata(store), len(store.calls)
    report = only(index(store, COMPLETE, now_ms=NOW_MS + DAY_MS))
    assert packages_read(store.calls, since) == KEYS[1:]
    assert (report.run_exports_unknown, report.metadata_read, report.outcome) == (0, 2, Outcome.PUBLISHED)
    assert repodata(store) == before
    assert {name: value["run_exports"]["weak"] for name, value in content(store)["packages.conda"].items()} == {
        name: [f"{name[:3]} 1"] for name in FILENAMES
    }
    assert check(store).hints == ()
    assert faults(store, deep=True) == []
    since = len(store.calls)
    assert only(index(store, COMPLETE)).outcome is Outcome.UNCHANGED
    assert [call.verb for call in store.calls[since:] if call.key.startswith("linux-64")] == ["GET", "LIST"]


def test_a_plan_reads_nothing_and_says_how_many_it_would_read() -> None:
    store = taken_over()
    since = len(store.calls)
    report = only(index(store, replace(COMPLETE, dry_run=True)))
    assert (report.metadata_read, report.run_exports_unknown, packages_read(store.calls, since)) == (3, 3, [])


def test_a_channel_of_shards_alone_is_completed_too() -> None:
    store = taken_over((FILENAMES[0],), ALONE)
    fill(store, "linux-64/new-1.0-0.conda")
    assert only(index(store, ALONE)).run_exports_unknown == 2, "a look at one name does not forget the others"
    assert check(store).hints[0].key == f"linux-64/{names.SHARD_INDEX}"
    since = len(store.calls)
    report = only(index(store, replace(ALONE, complete=True)))
    assert (report.run_exports_unknown, packages_read(store.calls, since)) == (0, KEYS[1:])
    assert len(sharded(store)) == 4
    assert check(store).hints == ()


def test_a_replaced_package_completes_no_record_of_the_old_one() -> None:
    store = taken_over()
    result = repodata(store)
    result["packages.conda"][FILENAMES[0]]["sha256"] = "0" * 64
    store.upload(f"linux-64/{names.REPODATA}", json.dumps(result).encode())
    assert only(index(store, COMPLETE)).run_exports_unknown == 1
    assert FILENAMES[0] not in content(store)["packages.conda"]


@pytest.mark.parametrize("missing", [("sha256",), ("sha256", "size"), ("sha256", "md5"), ("sha256", "md5", "size")])
def test_a_record_without_sha256_is_completed_from_its_package(missing: tuple[str, ...]) -> None:
    store = taken_over()
    result = repodata(store)
    for field in missing:
        del result["packages.conda"][FILENAMES[0]][field]
    store.upload(f"linux-64/{names.REPODATA}", json.dumps(result).encode())
    assert only(index(store, COMPLETE)).run_exports_unknown == 0
    assert content(store)["packages.conda"][FILENAMES[0]]["run_exports"]["weak"] == [f"{FILENAMES[0][:3]} 1"]


@pytest.mark.parametrize("complete", [False, True])
def test_where_run_exports_are_not_published_none_are_missing(*, complete: bool) -> None:
    options = replace(with_outputs(run_exports=False), complete=complete)
    assert only(index(taken_over(), options)).run_exports_unknown == 0
