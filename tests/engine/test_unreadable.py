"""What readers cannot parse is not published, wherever it comes from; pixi's engine is the judge."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core.model import Raw
from indexer.core.records.validation import record_fault
from indexer.core.report import Outcome
from indexer.core.state import decode_state
from tests.engine.test_takeover import KEYS, dated, foreign, record
from tests.support.channel_check import faults
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    NOW_MS,
    PLAIN,
    fill,
    index,
    only,
    package,
    packages_read,
    records,
    sharded,
    with_outputs,
)
from tests.support.rattler_parser import read

if TYPE_CHECKING:
    from pathlib import Path

P0 = "p00-1.0-0.conda"
SOUND: dict[str, Any] = {
    "name": "a",
    "version": "1.0",
    "build": "0",
    "build_number": 0,
    "depends": [],
    "size": 1,
    "subdir": "linux-64",
    "md5": "d" * 32,
    "sha256": "5" * 64,
}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 1719972900.0, 2**31, 2**64, 253402207200, 253402207201, 253402207200000),
    *(253402207200001, 253402300800000, -377705023201, -377705023201000, -(2**63), 1e30),
    *("", "x", "0", "noarch", "python", "generic", "1.0*x", "1..0", "a b", "__glibc", "d" * 32, "5" * 64, "g" * 32),
    *([], ["x"], [1], [None], {}, {"a": ["x"]}, {"a": "x"}, {"a": [1]}, {"weak": ["x"]}, {"weak": "x"}, {"weak": None}),
    *(["pkg:pypi/x"], ["pkg:pypi/x?a=b&c=d"], ["pkg:pypi"], ["pypi/x"], ["pkg:pypi/x?a"], ["pkg:pypi/%ff"]),
    *(["pkg:github/a/b@1#sub/path"], ["pkg:a/b?checksum=sha256:abcd"], ["pkg:a/b?checksum=zz"]),
]
FIELDS = [
    *("name", "version", "build", "build_number", "depends", "constrains", "subdir", "size", "md5", "sha256"),
    *("legacy_bz2_md5", "legacy_bz2_size", "noarch", "timestamp", "indexed_timestamp", "track_features", "features"),
    *("license", "license_family", "purls", "python_site_packages_path", "extra_depends", "flags", "arch", "platform"),
    *("run_exports", "attestations_sha256", "unknown"),
]
# Readers parse these, and they must not be given them: a name that no client can ask for, and more than 64 bits.
STRICTER = [("name", ""), ("name", "a b"), ("name", "1.0*x"), ("name", "__glibc"), ("unknown", 2**64)]
BAD = [
    *(("timestamp", 1719972900.0), ("license", ["MIT"]), ("constrains", None), ("depends", [3]), ("build_number", "0")),
    *(("version", "1.0*x"), ("name", "__glibc"), ("size", -1), ("indexed_timestamp", 1.5), ("noarch", "rust")),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_record_is_parsed_as_pixis_engine_does(field: str, tmp_path: Path) -> None:
    results = [{**SOUND, field: value} for value in VALUES]
    results.append({key: value for key, value in SOUND.items() if key != field})
    for item in results:
        stricter = (field, item.get(field)) in STRICTER
        for separators in ((",", ":"), (", ", ": ")):
            raw = json.dumps(item, separators=separators)
            fault = record_fault(Raw(raw.encode()))
            assert (fault is None) == (read(tmp_path, records={"a-1.0-0.conda": raw}) and not stricter), raw


@pytest.mark.parametrize("text", ["7", "[]", '"run_exports"', "null", '{"name":"a"'])
def test_what_is_no_record_is_a_fault(text: str) -> None:
    assert record_fault(Raw(text.encode()))


@pytest.mark.parametrize("more", ['"name":"b"', '"license":"\\ud800"', '"x":{"a":1,"a":2}', '"x":18446744073709551616'])
def test_keys_that_stand_twice_and_what_no_format_can_say_are_faults(more: str) -> None:
    assert record_fault(Raw((json.dumps(SOUND)[:-1] + f",{more}}}").encode()))


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_package_whose_copied_record_is_unreadable_is_read_again(field: str, value: object, tmp_path: Path) -> None:
    store, result = foreign()
    result[P0][field] = value  # type: ignore[index]  # a record
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": result}).encode())
    assert any(fault.startswith(f"linux-64/{P0}: its record") for fault in faults(store))
    report = index(store)
    assert report.exit_code == 0
    assert packages_read(store.calls) == [KEYS[0]]
    assert any(note.filename == P0 and "read again" in note.reason for note in only(report).warnings)
    after = records(store)
    assert after[P0]["sha256"] == record(KEYS[0])["sha256"]
    assert after["p01-1.0-0.conda"] == dated(result)["p01-1.0-0.conda"]
    assert read(tmp_path, store.bodies()["linux-64/repodata.json"])
    assert faults(store) == []
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert packages_read(store.calls, first) == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("shards_only", [False, True])
def test_a_record_that_its_package_cannot_mend_is_not_published(*, force: bool, shards_only: bool) -> None:
    body = package(KEYS[0], build_number="0")
    store, result = foreign()
    store.upload(KEYS[0], body)
    result[P0] = {**record(KEYS[0]), "build_number": "0", **_digests(body)}
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": result}).encode())
    options = with_outputs(monolithic=not shards_only)
    report = index(store, replace(options, force=force))
    assert report.exit_code == 3
    assert [note.filename for note in only(report).rejected] == [P0]
    assert "build_number '0'" in only(report).rejected[0].reason
    assert "stays" not in only(report).rejected[0].reason
    assert sharded(store) == {"p01-1.0-0.conda", "p02-1.0-0.conda"}
    assert faults(store) == []
    again = index(store, options)
    assert again.exit_code == 3
    assert only(again).rejected == only(report).rejected
    assert sharded(store) == {"p01-1.0-0.conda", "p02-1.0-0.conda"}


def _digests(body: bytes) -> dict[str, object]:
    md5, sha256 = hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest()
    return {"size": len(body), "md5": md5, "sha256": sha256}


def test_a_rejected_package_whose_readable_record_stays_says_so_each_time() -> None:
    body = package(KEYS[0], noarch="rust")
    store, result = foreign()
    store.upload(KEYS[0], body)
    result[P0] = {**record(KEYS[0]), **_digests(body)}
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": result}).encode())
    report = index(store, replace(PLAIN, force=True))
    assert [note.filename for note in only(report).rejected] == [P0]
    assert only(report).rejected[0].reason.endswith("; its record in the index stays as it is")
    assert P0 in records(store)
    quiet = index(store)
    assert only(quiet).rejected == only(report).rejected
    fill(store, "linux-64/new-1.0-0.conda")
    assert only(index(store)).rejected == only(report).rejected
    assert P0 in records(store)


def test_copied_records_are_validated_once() -> None:
    store, _ = foreign()
    index(store)
    left = decode_state(store.bodies()["linux-64/.indexer.json.zst"])
    assert left is not None
    assert left.validated


def test_a_run_over_a_few_packages_leaves_the_rest_to_the_next_whole_run() -> None:
    store, result = foreign()
    result["p01-1.0-0.conda"]["license"] = ["MIT"]  # type: ignore[index]  # a record
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": result}).encode())
    index(store, replace(PLAIN, packages=frozenset({KEYS[0]})))
    assert records(store)["p01-1.0-0.conda"]["license"] == ["MIT"]
    first = len(store.calls)
    index(store)
    assert packages_read(store.calls, first) == [KEYS[1]]
    assert "license" not in records(store)["p01-1.0-0.conda"]


def test_unreadable_run_exports_are_unknown(tmp_path: Path) -> None:
    store, result = foreign()
    results = {P0: {"run_exports": {"weak": "p00"}}, "p01-1.0-0.conda": {"run_exports": {"weak": ["p01"]}}}
    store.upload("linux-64/run_exports.json", json.dumps({"packages.conda": results}).encode())
    assert any("run exports that clients cannot parse" in fault for fault in faults(store))
    index(store)
    assert json.loads(store.bodies()["linux-64/run_exports.json"])["packages.conda"] == {
        "p01-1.0-0.conda": {"run_exports": {"weak": ["p01"]}}
    }
    assert records(store) == dated(result)
    assert read(tmp_path, store.bodies()["linux-64/repodata.json"])


@pytest.mark.parametrize(
    ("more", "name"),
    [
        *(({"info": {"channel_relations": item}}, "info.channel_relations") for item in (7, "x", {"base": ["x"]})),
        *(
            ({"info": {"virtual_package_detectors": value}}, "info.virtual_package_detectors")
            for value in (7, {"a": "x"})
        ),
        *(({"info": {"repodata_revisions": it}}, "info.repodata_revisions") for it in (7, {"v3": {"message": 5}})),
        ({"removed": ["foo"]}, "removed 'foo'"),
        ({"v3": {"whl": {"w-1": {**SOUND, "name": "w"}}}}, "w-1.whl"),
    ],
)
def test_what_makes_a_whole_subdir_unreadable_is_left_out(more: dict[str, Any], name: str, tmp_path: Path) -> None:
    store, result = foreign(**more)
    assert not read(tmp_path, store.bodies()["linux-64/repodata.json"])
    assert any(f": {name} " in fault for fault in faults(store))
    report = index(store)
    assert [note.filename for note in only(report).warnings] == [name]
    assert only(report).warnings[0].reason.endswith("so it is left out")
    assert read(tmp_path, store.bodies()["linux-64/repodata.json"])
    assert records(store) == dated(result)
    assert faults(store) == []


def test_a_first_run_of_our_own_packages_is_validated() -> None:
    store = fill(MemoryStore(clock_ms=NOW_MS - 1000), *KEYS)
    index(store)
    assert faults(store) == []
    assert all(record_fault(Raw(json.dumps(item).encode())) is None for item in records(store).values())
