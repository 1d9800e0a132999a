"""A channel that another indexer made is carried on without a package being read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import zstandard

from indexer.core.report import Outcome
from tests.support.channel_check import faults
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    NOW_MS,
    changes,
    fill,
    index,
    keys,
    only,
    package,
    packages_read,
    records,
    sharded,
)

KEYS = keys(3)
UNCOUTH = b'{ "b" : [1,  2],"a":1.50 , "\xc3\xa9" : "\\u00e9" }'


def record(key: str, **more: object) -> dict[str, object]:
    """What another tool says of a package."""
    body = package(key)
    filename = key.partition("/")[2]
    return {
        "name": filename.split("-")[0],
        "version": "1.0",
        "build": "0",
        "build_number": 0,
        "depends": ["  oddly   spaced >=1 "],
        "md5": hashlib.md5(body).hexdigest(),
        "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "subdir": "linux-64",
        "unknown": {"to": "us"},
        **more,
    }


def foreign(raw: bytes = b"", **more: Any) -> tuple[MemoryStore, dict[str, object]]:
    """A channel with a repodata.json, and the records in it."""
    store = fill(MemoryStore(clock_ms=NOW_MS - 10_000), *KEYS)
    results = {key.partition("/")[2]: record(key) for key in KEYS}
    content = {"info": {"subdir": "linux-64"}, "packages": {}, "packages.conda": results, "repodata_version": 1, **more}
    body = json.dumps(content).encode()
    store.clock_ms = NOW_MS - 1000
    store.upload("linux-64/repodata.json", body[:-1] + raw + b"}")
    return store, results  # type: ignore[return-value]  # dict is invariant


def dated(found: dict[str, Any]) -> dict[str, object]:
    """The records with the time at which their packages came to the store."""
    return {filename: {**value, "indexed_timestamp": NOW_MS - 10_000} for filename, value in found.items()}


def test_no_package_is_read_and_all_records_stay_but_for_a_date() -> None:
    store, result = foreign()
    report = index(store)
    assert report.exit_code == 0
    assert packages_read(store.calls) == []
    assert only(report).added == only(report).updated == only(report).removed == ()
    assert only(report).packages == 3
    assert records(store) == dated(result)
    assert sharded(store) == result.keys()
    again = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, again) == []


def test_no_package_is_read_where_only_sizes_and_times_tell() -> None:
    store, result = foreign()
    for key in KEYS:
        store.disguise(key)
    index(store)
    assert packages_read(store.calls) == []
    assert records(store) == dated(result)


def test_a_package_that_is_younger_than_the_foreign_index_is_read() -> None:
    store, _ = foreign()
    store.clock_ms = NOW_MS + 10_000
    fill(store, KEYS[1])
    for key in KEYS:
        store.disguise(key)
    index(store)
    assert packages_read(store.calls) == [KEYS[1]]


def test_a_package_of_another_size_than_its_record_is_read() -> None:
    store, result = foreign()
    store.upload(KEYS[0], package(KEYS[0], license="somebody replaced it"))
    report = index(store)
    assert packages_read(store.calls) == [KEYS[0]]
    assert only(report).updated == ("p00-1.0-0.conda",)
    assert records(store)["p01-1.0-0.conda"] == dated(result)["p01-1.0-0.conda"]


def test_unknown_keys_survive_byte_for_byte() -> None:
    store, _ = foreign(b',"uncouth":' + UNCOUTH, info={"subdir": "linux-64", "arch": "x86_64", "sky": 7})
    index(store)
    published = store.bodies()["linux-64/repodata.json"]
    assert b'"uncouth":' + UNCOUTH in published
    assert json.loads(published)["info"] == {"subdir": "linux-64", "sky": 7}
    fill(store, "linux-64/new-1.0-0.conda")
    index(store)
    assert b'"uncouth":' + UNCOUTH in store.bodies()["linux-64/repodata.json"]


def test_the_bytes_of_foreign_records_survive() -> None:
    raw = (
        b'{"name":"p00" , "size": %d,"md5":"%s", "z":1,"a":"\\u00e9","indexed_timestamp":1789000000000,'
        b'"version":"1.0","build":"0","build_number":0}'
    )
    body = package(KEYS[0])
    entry = raw % (len(body), hashlib.md5(body).hexdigest().encode())
    store = fill(MemoryStore(), KEYS[0])
    store.upload("linux-64/repodata.json", b'{"packages.conda":{"p00-1.0-0.conda":' + entry + b"}}")
    index(store)
    assert entry in store.bodies()["linux-64/repodata.json"]


def test_removed_names_and_dates_survive() -> None:
    store, _ = foreign(removed=["gone-1-0.conda"])
    index(store)
    content = json.loads(store.bodies()["linux-64/repodata.json"])
    assert content["removed"] == ["gone-1-0.conda"]
    assert "signatures" not in content


def test_stale_files_of_conda_index_are_deleted() -> None:
    store, _ = foreign(signatures={})
    stale = ["current_repodata.json", "current_repodata.json.zst", "current_repodata.json.bz2", "repodata.json.bz2"]
    for name in stale:
        store.upload(f"linux-64/{name}", b"{}")
    report = index(store)
    assert not {f"linux-64/{name}" for name in stale} & store.bodies().keys()
    assert set(only(report).deleted) == {f"linux-64/{name}" for name in stale}


def test_an_empty_repodata_is_an_empty_index() -> None:
    store = fill(MemoryStore(), *KEYS)
    store.upload("linux-64/repodata.json", b"")
    report = index(store)
    assert len(only(report).added) == 3


def test_run_exports_inside_records_reach_shards_and_run_exports_json() -> None:
    store = fill(MemoryStore(), KEYS[0])
    results = {"p00-1.0-0.conda": record(KEYS[0], run_exports={"weak": ["p00 >=1"]})}
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": results}).encode())
    index(store)
    assert packages_read(store.calls) == []
    assert json.loads(store.bodies()["linux-64/run_exports.json"])["packages.conda"] == {
        "p00-1.0-0.conda": {"run_exports": {"weak": ["p00 >=1"]}}
    }


def test_shards_beside_packages_move_to_our_shard_folder() -> None:
    store, _ = foreign()
    index(store)
    for key in [key for key in store.bodies() if "/shards/" in key]:
        body = store.bodies()[key]
        store.remove(key)
        store.upload(key.replace("/shards/", "/"), body)
    key = "linux-64/repodata_shards.msgpack.zst"
    content = msgspec.msgpack.decode(zstandard.decompress(store.bodies()[key]))
    content["info"]["shards_base_url"] = ""
    store.upload(key, zstandard.compress(msgspec.msgpack.encode(content)))
    index(store)
    assert len([key for key in store.bodies() if "/shards/" in key and "linux-64" in key]) == 3


def test_run_exports_of_the_oldest_form_are_carried_on_as_weak_ones() -> None:
    store = fill(MemoryStore(), *KEYS[:2])
    values = {key.partition("/")[2]: record(key) for key in KEYS[:2]}
    store.upload("linux-64/repodata.json", json.dumps({"packages.conda": values}).encode())
    results = {"p00-1.0-0.conda": {"run_exports": ["p00 >=1"]}, "p01-1.0-0.conda": {"run_exports": []}}
    store.upload("linux-64/run_exports.json", json.dumps({"packages.conda": results}).encode())
    index(store)
    assert packages_read(store.calls) == []
    assert json.loads(store.bodies()["linux-64/run_exports.json"])["packages.conda"] == {
        "p00-1.0-0.conda": {"run_exports": {"weak": ["p00 >=1"]}},
        "p01-1.0-0.conda": {"run_exports": {}},
    }


def test_a_package_that_old_clients_misread_moves_to_v3() -> None:
    store = MemoryStore(clock_ms=NOW_MS - 10_000)
    fill(store, *KEYS[:2])
    store.upload(KEYS[2], package(KEYS[2], depends=['p00[when="__linux"]']))
    index(store)
    content = json.loads(store.bodies()["linux-64/repodata.json"])
    revised = content.pop("v3")["conda"]["p02-1.0-0"]
    content["packages.conda"]["p02-1.0-0.conda"] = revised
    store.clock_ms = NOW_MS + 10_000
    store.upload("linux-64/repodata.json", json.dumps(content).encode())
    first = len(store.calls)
    index(store, now_ms=NOW_MS + 20_000)
    assert packages_read(store.calls, first) == [KEYS[2]]
    after = json.loads(store.bodies()["linux-64/repodata.json"])
    assert "p02-1.0-0.conda" not in after["packages.conda"]
    assert after["v3"]["conda"] == {"p02-1.0-0": revised}


def undated(store: MemoryStore) -> None:
    """Rewrite the index as conda-index does: from the packages, which do not know when they were indexed."""
    content = json.loads(store.bodies()["linux-64/repodata.json"])
    for value in content["packages.conda"].values():
        del value["indexed_timestamp"]
    store.upload("linux-64/repodata.json", json.dumps(content).encode())
    for name in ("repodata.json.zst", "repodata_shards.msgpack.zst", ".indexer.json.zst"):
        store.remove(f"linux-64/{name}")


def test_our_shards_restore_dates_that_another_indexer_dropped() -> None:
    store = fill(MemoryStore(clock_ms=NOW_MS - 10_000), *KEYS)
    index(store)
    before = store.bodies()["linux-64/repodata.json"]
    undated(store)
    shard = next(key for key in store.bodies() if key.startswith("linux-64/shards/"))
    store.upload(shard.replace("/shards/", "/shards/not-one-of-ours-"), b"noise")
    store.upload(f"linux-64/shards/{'0' * 64}.msgpack.zst", b"damaged")
    first = len(store.calls)
    index(store, now_ms=NOW_MS + 20_000)
    assert packages_read(store.calls, first) == []
    assert store.bodies()["linux-64/repodata.json"] == before


def test_of_several_dates_of_a_package_the_first_one_stays() -> None:
    store = fill(MemoryStore(clock_ms=NOW_MS - 10_000), KEYS[0])
    index(store)
    shards = {key: body for key, body in store.bodies().items() if "/shards/" in key}
    store.remove("linux-64/repodata.json")
    for key in shards:
        store.remove(key)
    for name in (".indexer.json.zst", "repodata.json.zst", "repodata_shards.msgpack.zst"):
        store.remove(f"linux-64/{name}")
    index(store, now_ms=NOW_MS + 20_000)
    assert records(store)["p00-1.0-0.conda"]["indexed_timestamp"] == NOW_MS + 20_000
    for key, body in shards.items():
        store.upload(key, body)
    undated(store)
    index(store, now_ms=NOW_MS + 40_000)
    assert records(store)["p00-1.0-0.conda"]["indexed_timestamp"] == NOW_MS


def test_a_record_without_a_name_is_neither_counted_nor_published() -> None:
    named = {"name": "w", "url": "https://a.example/w-1.whl"}
    store, _ = foreign(v3={"zip": {"a-1-0": {"version": "1"}, "b-1-0": 7}, "whl": {"w-1-0": named}})
    report = only(index(store))
    left_out = [
        note for note in report.warnings if note.reason == "is a record under v3 without a name, so it is left out"
    ]
    assert [note.filename for note in left_out] == ["a-1-0.zip", "b-1-0.zip"]
    top = json.loads(store.bodies()["linux-64/repodata.json"])
    assert top["v3"] == {"whl": {"w-1-0": named}, "zip": {}}
    assert top["info"]["repodata_revisions"]["v3"]["n_packages"] == 1
    assert faults(store) == []
    assert index(store).outcome is Outcome.UNCHANGED
