"""Hostile files where our own should lie: each is an error that names it, or is made good; nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from msgspec.structs import replace

from indexer.core.formats import shards
from indexer.core.report import Outcome
from indexer.core.zstd import compress
from tests.support.memory_channel import (
    PLAIN,
    changes,
    channel,
    index,
    keys,
    missing_shards,
    only,
    records,
    sharded,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

MIB = 2**20
DEEP = 100_000
SOURCE = "linux-64/repodata.json"
SHARDS = "linux-64/repodata_shards.msgpack.zst"
LEDGER = "linux-64/.indexer.json.zst"
RUN_EXPORTS = "linux-64/run_exports.json"
SHARDS_ONLY = with_outputs(monolithic=False)


def bomb(size: int) -> bytes:
    out = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join([*(out.compress(bytes(MIB)) for _ in range(size // MIB)), out.flush()])


def packed(value: object) -> bytes:
    return compress(msgspec.msgpack.encode(value))


def left_alone(store: MemoryStore, key: str, body: bytes, options: Any = PLAIN) -> str:
    """Put a file in the place of one of ours, index, and see that nothing of its subdir was touched."""
    store.upload(key, body)
    before, first = store.bodies(), len(store.calls)
    report = index(store, options)
    assert only(report).outcome is Outcome.FAILED
    assert report.exit_code == 1
    assert not [changed for _, changed in changes(store.calls, first) if changed.startswith("linux-64/")]
    assert store.bodies("linux-64/") == {k: v for k, v in before.items() if k.startswith("linux-64/")}
    error = only(report).error or ""
    assert len(error) < 700
    assert error.isprintable()
    return error


def test_nothing_is_lost_of_a_subdir_whose_files_are_all_hostile() -> None:
    store = channel(*keys(3))
    index(store)
    hostile = bomb(260 * MIB)
    for key in (SHARDS, LEDGER, f"{SOURCE}.zst", f"{RUN_EXPORTS}.zst"):
        store.upload(key, hostile)
    store.upload("linux-64/new-1.0-0.conda", store.bodies()["linux-64/p00-1.0-0.conda"])
    assert index(store).exit_code == 3  # the new one is p00 under another name
    assert len(records(store)) == len(sharded(store)) == 3
    assert missing_shards(store) == set()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b'{"packages":' + b"[" * DEEP,
        b'{"packages":{"a-1-0.conda":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}}",
        b'{"x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        b'{"packages":{"a-1-0.conda":NaN}}',
        b'{"packages":{"\\ud800-1-0.conda":{}}}',
        b'{"packages":{"\xff-1-0.conda":{}}}',
        b'{"removed":[1]}',
        b'{"removed":{"a":1}}',
        b'{"info":[]}',
        b'{"v3":[]}',
        b'{"v3":{"conda":[]}}',
        b'{"repodata_version":"x' + b"x" * MIB + b'"}',
        b'{"repodata_version":1e999}',
        b"\x28\xb5\x2f\xfd",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_repodata_that_cannot_be_carried_on_is_left_alone(body: bytes) -> None:
    store = channel(*keys(2))
    index(store)
    assert left_alone(store, SOURCE, body).startswith(SOURCE)


@pytest.mark.parametrize(
    "record",
    [
        [],
        "x",
        None,
        0,
        {},
        {"name": 1},
        {"name": "p00", "size": "x"},
        {"name": "p00", "size": -1, "md5": 7, "indexed_timestamp": "x"},
        {"name": "p00", "size": 2**70},
        {"name": ""},
        {"name": "../../p00", "size": 1},
    ],
    ids=repr,
)
def test_a_record_of_wrong_types_is_read_again_from_its_package(record: object) -> None:
    store = channel(*keys(2))
    index(store)
    good = records(store)
    store.upload(SOURCE, json.dumps({"packages.conda": {"p00-1.0-0.conda": record}}).encode())
    assert index(store).exit_code == 0
    assert {name: {**value, "indexed_timestamp": 0} for name, value in records(store).items()} == {
        name: {**item, "indexed_timestamp": 0} for name, item in good.items()
    }
    assert sharded(store) == set(good)


@pytest.mark.parametrize("name", ["short.conda", "a-b.conda", "x", "../../x", "", "--.conda", "a\n.conda", "a-1-0.zip"])
@pytest.mark.parametrize("scoped", [False, True])
def test_a_key_that_no_package_can_have_leaves_the_index(name: str, *, scoped: bool) -> None:
    store = channel(*keys(2))
    index(store)
    content = json.loads(store.bodies()[SOURCE])
    content["packages.conda"][name] = {**content["packages.conda"]["p00-1.0-0.conda"], "name": "x"}
    store.upload(SOURCE, json.dumps(content).encode())
    options = replace(PLAIN, packages=frozenset({"linux-64/p01-1.0-0.conda"})) if scoped else PLAIN
    assert index(store, options).exit_code == 0
    assert set(records(store)) == sharded(store) == {"p00-1.0-0.conda", "p01-1.0-0.conda"}


def test_of_a_repeated_key_the_entry_that_matches_its_object_stays() -> None:
    store = channel(*keys(1))
    index(store)
    good = json.dumps(records(store)["p00-1.0-0.conda"])
    bad = json.dumps({**json.loads(good), "size": 1, "md5": "0" * 32})
    for pair in ([good, bad], [bad, good]):
        body = '{{"packages.conda":{{{}}}}}'.format(",".join(f'"p00-1.0-0.conda":{item}' for item in pair))
        store.upload(SOURCE, body.encode())
        index(store)
        assert records(store)["p00-1.0-0.conda"] == json.loads(good)


def test_records_of_no_package_are_removed_only_with_the_option() -> None:
    store = channel(*keys(1))
    index(store)
    many: dict[str, dict[str, object]] = {f"x{number}-1-0.conda": {} for number in range(20_000)}
    store.upload(SOURCE, json.dumps({"packages.conda": many}).encode())
    before = store.bodies()[SOURCE]
    assert index(store).exit_code == 6
    assert store.bodies()[SOURCE] == before
    assert index(store, replace(PLAIN, allow_mass_removal=True)).exit_code == 0
    assert list(records(store)) == ["p00-1.0-0.conda"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"packages":' + b"[" * DEEP,
        b'{"packages":{"a":{"run_exports":' + b"[" * DEEP + b"]" * DEEP + b"}}}",
        b'{"packages":1}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_run_exports_that_cannot_be_carried_on_are_left_alone(body: bytes) -> None:
    store = channel(*keys(2))
    index(store)
    store.remove(f"{RUN_EXPORTS}.zst")  # a sound copy would be read instead
    assert left_alone(store, RUN_EXPORTS, body).startswith(RUN_EXPORTS)


@pytest.mark.parametrize(
    "body",
    [
        bomb(130 * MIB),
        compress(b"\x81\xa6shards" + b"\x91" * DEEP),
        compress(b"\xdf\xff\xff\xff\xff"),
        compress(b"\x81\xa6shards\xdd\xff\xff\xff\xff"),
        packed({"shards": {}, "info": {1: 2}}),
        *(
            packed({"shards": {"p00": bytes(32)}, "info": {"shards_base_url": url}})
            for url in ("https://elsewhere.example/", "//elsewhere.example/", "../", "x/../../", "/etc/", "./../x/")
        ),
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_an_unusable_shard_index_stays_if_the_source_is_shards(body: bytes) -> None:
    store = channel(*keys(2))
    index(store, SHARDS_ONLY)
    error = left_alone(store, SHARDS, body, SHARDS_ONLY)
    assert error.startswith("linux-64/")
    assert not [call for call in store.calls if ".." in call.key or "elsewhere" in call.key]


@pytest.mark.parametrize(
    "named",
    [{"p00": "text"}, {"p00": b"short"}, {f"x{number}": bytes(32) for number in range(2_000)}],
    ids=["text", "short", "many"],
)
def test_shards_that_are_not_there_are_made_anew_from_the_packages(named: dict[str, object]) -> None:
    store = channel(*keys(2))
    index(store, SHARDS_ONLY)
    before = sharded(store)
    store.upload(SHARDS, packed({"shards": named, "info": {"shards_base_url": "./shards/"}}))
    assert index(store, SHARDS_ONLY).exit_code == 0
    assert sharded(store) == before
    assert missing_shards(store) == set()


@pytest.mark.parametrize(
    "shard",
    [
        b"\x81\xa8packages\x81\xa1a" + b"\x91" * DEEP + b"\x90",
        b"\xdf\xff\xff\xff\xff",
        msgspec.msgpack.encode({"packages": {"a-1-0.conda": {"name": "a", "x": float("nan"), b"k": 1}}}),
        msgspec.msgpack.encode({"packages": {1: {}}}),
        msgspec.msgpack.encode({"packages": {"a-1-0.conda": []}}),
        msgspec.msgpack.encode({"removed": [1]}),
        msgspec.msgpack.encode({"v3": 7}),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_shard_that_cannot_be_carried_on_is_left_alone(shard: bytes) -> None:
    store = channel(*keys(2))
    index(store, SHARDS_ONLY)
    body = compress(shard)
    store.upload(f"linux-64/shards/{shards.filename_of(shards.shard_digest(body))}", body)
    error = left_alone(
        store,
        SHARDS,
        packed({"shards": {"a": shards.shard_digest(body)}, "info": {"shards_base_url": "./shards/"}}),
        SHARDS_ONLY,
    )
    assert "shards/" in error


@pytest.mark.parametrize(
    "body",
    [
        compress(b"[" * DEEP),
        compress(b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
        compress(b'{"format":2,"files":{"repodata.json":7}}'),
        compress(b'{"format":2,"package_etags":{"p00-1.0-0.conda":"\\ud800"}}'),
        b"{}",
        b"",
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_a_ledger_that_cannot_be_read_costs_a_look_and_nothing_else(body: bytes) -> None:
    store = channel(*keys(2))
    index(store)
    before = {key: value for key, value in store.bodies().items() if key != LEDGER}
    store.upload(LEDGER, body)
    assert index(store).exit_code == 0
    assert {key: item for key, item in store.bodies().items() if key != LEDGER} == before
