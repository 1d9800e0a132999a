"""A check finds each kind of fault that is planted, and invents none after a run of whatever kind."""

from __future__ import annotations

import bz2
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadConfig, GaveUp
from indexer.core.names import REPODATA, REPODATA_BZ2, REPODATA_ZST, RUN_EXPORTS, RUN_EXPORTS_ZST, SHARD_INDEX
from indexer.core.report import Outcome
from tests.engine.test_crashes import SCENES
from tests.support.channel_check import check, faults
from tests.support.interfering_store import InterferingStore
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    FakeClock,
    changes,
    channel,
    fill,
    fixture,
    index,
    keys,
    package,
    shards,
    unpacked,
    with_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.options import Options
    from tests.support.memory import Call

ALL = with_outputs(bz2=True)
V3 = "linux-64/flagged-1.0-0.conda"
BAD = "linux-64/half-1.0-0.conda"
P0 = "p00-1.0-0.conda"


def sound(options: Options = ALL) -> MemoryStore:
    """A channel with a bit of everything: run exports, a record of v3, one package rejected."""
    store = channel(*keys(3), *keys(1, "noarch"))
    store.upload("linux-64/old-1.0-0.tar.bz2", package("linux-64/old-1.0-0.tar.bz2", run_exports={"weak": ["old"]}))
    store.upload(V3, package(V3, schema_version=3, depends=["x[when='y']"]))
    store.upload(BAD, fixture(BAD, "broken"))
    index(store, options)
    return store


def key(name: str) -> str:
    return f"linux-64/{name}"


def rewrite(store: MemoryStore, name: str, change: Callable[[Any], object]) -> None:
    """Change a JSON file and its compressed forms."""
    content = json.loads(store.bodies()[key(name)])
    change(content)
    body = json.dumps(content).encode()
    store.upload(key(name), body)
    for suffix, compress in ((".zst", zstandard.ZstdCompressor().compress), (".bz2", bz2.compress)):
        if key(name + suffix) in store.bodies():
            store.upload(key(name + suffix), compress(body))


def reshard(store: MemoryStore, name: str, change: Callable[[Any], object]) -> None:
    """Change a shard, and its digest in the shard index."""
    shard = unpacked(store.bodies()[shards(store)[name]])
    change(shard)
    body = zstandard.compress(msgspec.msgpack.encode(shard))
    digest = hashlib.sha256(body).digest()
    store.upload(key(f"shards/{digest.hex()}.msgpack.zst"), body)
    reindex(store, lambda content: content["shards"].update({name: digest}))


def reindex(store: MemoryStore, change: Callable[[Any], object]) -> None:
    """Change the shard index."""
    content = unpacked(store.bodies()[key(SHARD_INDEX)])
    change(content)
    store.upload(key(SHARD_INDEX), zstandard.compress(msgspec.msgpack.encode(content)))


def recompress(store: MemoryStore, name: str, change: Callable[[Any], object]) -> None:
    """Change a compressed file, but not the plain file."""
    packed = store.bodies()[key(name)]
    decompress = bz2.decompress if name.endswith("bz2") else zstandard.decompress
    content = json.loads(decompress(packed))
    change(content)
    compress = bz2.compress if name.endswith("bz2") else zstandard.compress
    store.upload(key(name), compress(json.dumps(content).encode()))


def remove_all(store: MemoryStore, prefix: str) -> None:
    for name in store.bodies(prefix):
        store.remove(name)


def spoil(store: MemoryStore, name: str, cut: int = 5) -> None:
    store.upload(key(name), store.bodies()[key(name)][:-cut])


def swap_shard(store: MemoryStore) -> None:
    store.upload(shards(store)["p00"], store.bodies()[shards(store)["p01"]])


def replaced(store: MemoryStore) -> None:
    """Replace a package by one of the same size."""
    body = bytearray(store.bodies()[key(P0)])
    body[-1] ^= 1
    store.upload(key(P0), bytes(body))


@dataclass(frozen=True)
class Planted:
    """A fault: a function that causes it, the file that is reported, and a part of the reason."""

    plant: Callable[[MemoryStore], object]
    at: str
    reason: str


def record_of(content: Any, name: str = P0) -> Any:
    return content["packages.conda"][name]


def nameless(content: Any) -> None:
    content["v3"]["zip"] = {"a-1-0": {"version": "1"}}
    content["info"]["repodata_revisions"]["v3"]["n_packages"] += 1


FAULTS = {
    "zst lacks a record": Planted(
        lambda s: recompress(s, REPODATA_ZST, lambda c: c["packages.conda"].pop(P0)),
        REPODATA_ZST,
        f"lacks 1 package: {P0}",
    ),
    "bz2 has another record": Planted(
        lambda s: recompress(s, REPODATA_BZ2, lambda c: record_of(c).update(build_number=7)),
        REPODATA_BZ2,
        f"has different records of 1 package: {P0}",
    ),
    "zst has another base url": Planted(
        lambda s: recompress(s, REPODATA_ZST, lambda c: c["info"].update(base_url="x")), REPODATA_ZST, "base_url"
    ),
    "zst has other keys": Planted(
        lambda s: recompress(s, REPODATA_ZST, lambda c: c.update(extra=1)), REPODATA_ZST, "different values for extra"
    ),
    "zst lists others as removed": Planted(
        lambda s: recompress(s, REPODATA_ZST, lambda c: c.update(removed=["z-1-0.conda"])), REPODATA_ZST, "z-1-0.conda"
    ),
    "zst has a package in another map": Planted(
        lambda s: recompress(
            s, REPODATA_ZST, lambda c: c["packages.conda"].update({V3[9:]: c.pop("v3")["conda"][V3[9:-6]]})
        ),
        REPODATA_ZST,
        f"has a different place, under v3 or not, for {V3[9:]}",
    ),
    "zst is cut off": Planted(lambda s: spoil(s, REPODATA_ZST), REPODATA_ZST, "damaged or incomplete"),
    "bz2 is cut off": Planted(lambda s: spoil(s, REPODATA_BZ2), REPODATA_BZ2, "damaged or incomplete"),
    "zst is no zst": Planted(lambda s: s.upload(key(REPODATA_ZST), b"no"), REPODATA_ZST, "damaged"),
    "json is cut off": Planted(lambda s: spoil(s, REPODATA), REPODATA, "is not a readable repodata.json"),
    "json is gone, its zst not": Planted(
        lambda s: s.remove(key(REPODATA)), REPODATA_ZST, "exists without repodata.json"
    ),
    "json is of another subdir": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c["info"].update(subdir="win-64")),
        REPODATA,
        "is for subdir win-64",
    ),
    "json announces other revisions": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c["info"]["repodata_revisions"]["v3"].update(n_packages=9)),
        REPODATA,
        "announces 9 records of v3 and has 1",
    ),
    "json tells of a revision that is none": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c["info"]["repodata_revisions"].update(v0={"n_packages": 1})),
        REPODATA,
        "announces v0 in repodata_revisions",
    ),
    "json has a record under v3 that no reader finds": Planted(
        lambda s: rewrite(s, REPODATA, nameless),
        REPODATA,
        "without a name, which clients cannot find: a-1-0.zip",
    ),
    "json has a package in two maps": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c["packages"].update({P0: record_of(c)})),
        REPODATA,
        f"more than one record of {P0}",
    ),
    "json has a record without a name": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: record_of(c).pop("name")),
        P0,
        "its record cannot be parsed by readers: Object missing required field `name`",
    ),
    "json has a key that breaks readers": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c["packages.conda"].update({"x.conda": record_of(c)})),
        REPODATA,
        "invalid file names: x.conda",
    ),
    "a shard is gone": Planted(lambda s: s.remove(shards(s)["p00"]), "shards/", "is in the shard index, but missing"),
    "a shard is another's": Planted(swap_shard, "shards/", "content does not match its SHA-256 name"),
    "a shard has another record": Planted(
        lambda s: reshard(s, "p00", lambda c: record_of(c).update(license="other")),
        SHARD_INDEX,
        "different records of 1 package",
    ),
    "a shard lacks a record": Planted(
        lambda s: reshard(s, "p00", lambda c: c["packages.conda"].clear()), SHARD_INDEX, f"lacks 1 package: {P0}"
    ),
    "a shard has a record too many": Planted(
        lambda s: reshard(s, "p00", lambda c: c["packages.conda"].update({"p00-9-0.conda": record_of(c)})),
        SHARD_INDEX,
        "has 1 package too many: p00-9-0.conda",
    ),
    "a shard has packages of another name": Planted(
        lambda s: reindex(s, lambda c: c["shards"].update(other=c["shards"].pop("p00"))),
        "shards/",
        "packages of other names",
    ),
    "a shard has no map": Planted(
        lambda s: reshard(s, "p00", lambda c: c.pop("packages")), "shards/", "has no packages"
    ),
    "a shard has digests as text": Planted(
        lambda s: reshard(s, "p00", lambda c: record_of(c).update(md5=record_of(c)["md5"].hex())), "shards/", "md5"
    ),
    "a shard lists others as removed": Planted(
        lambda s: reshard(s, "p00", lambda c: c.update(removed=["p00-2-0.conda"])), SHARD_INDEX, "p00-2-0.conda"
    ),
    "a shard has other run exports": Planted(
        lambda s: reshard(s, "p00", lambda c: record_of(c).update(run_exports={"weak": ["q"]})), RUN_EXPORTS, P0
    ),
    "a shard does not know run exports": Planted(
        lambda s: reshard(s, "p00", lambda c: record_of(c).pop("run_exports")), RUN_EXPORTS, "list different packages"
    ),
    "the shard index is cut off": Planted(
        lambda s: spoil(s, SHARD_INDEX), SHARD_INDEX, "is not a readable shard index"
    ),
    "the shard index has no base url": Planted(
        lambda s: reindex(s, lambda c: c["info"].pop("base_url")), SHARD_INDEX, "has no base_url"
    ),
    "the shard index has another base url": Planted(
        lambda s: reindex(s, lambda c: c["info"].update(base_url="https://x/")), SHARD_INDEX, "another base_url"
    ),
    "the shard index is of another subdir": Planted(
        lambda s: reindex(s, lambda c: c["info"].update(subdir="win-64")), SHARD_INDEX, "is for subdir win-64"
    ),
    "the shard index announces other revisions": Planted(
        lambda s: reindex(s, lambda c: c["info"].pop("repodata_revisions")), SHARD_INDEX, "other repodata_revisions"
    ),
    "run exports say something else": Planted(
        lambda s: rewrite(s, RUN_EXPORTS, lambda c: record_of(c).update(run_exports={"weak": ["q"]})), RUN_EXPORTS, P0
    ),
    "run exports of a package that is gone": Planted(
        lambda s: rewrite(s, RUN_EXPORTS, lambda c: c["packages.conda"].update({"z-1-0.conda": {"run_exports": {}}})),
        RUN_EXPORTS,
        "not in the index: z-1-0.conda",
    ),
    "run exports are cut off": Planted(
        lambda s: spoil(s, RUN_EXPORTS), RUN_EXPORTS, "is not a readable run_exports.json"
    ),
    "zst of run exports says something else": Planted(
        lambda s: recompress(s, RUN_EXPORTS_ZST, lambda c: c["packages.conda"].pop(P0)),
        RUN_EXPORTS_ZST,
        f"lacks 1 package: {P0}",
    ),
    "run exports are gone, their zst not": Planted(
        lambda s: s.remove(key(RUN_EXPORTS)), RUN_EXPORTS_ZST, "exists without run_exports.json"
    ),
    "run exports are gone in every form": Planted(
        lambda s: remove_all(s, key(RUN_EXPORTS)), RUN_EXPORTS, "does not exist, but the last run published"
    ),
    "older clients' file is stale": Planted(
        lambda s: s.upload(key("current_repodata.json"), b'{"packages":{"z-1-0.tar.bz2":{"name":"z"}}}'),
        "current_repodata.json",
        "has records that are not in the index: z-1-0.tar.bz2",
    ),
    "older clients' file is broken": Planted(
        lambda s: s.upload(key("current_repodata.json.bz2"), b"no"),
        "current_repodata.json.bz2",
        "damaged or incomplete",
    ),
    "a package is gone": Planted(lambda s: s.remove(key(P0)), P0, "is in the index, but not in the channel"),
    "a package is new": Planted(lambda s: fill(s, "linux-64/new-1.0-0.conda"), "new-1.0-0.conda", "not in the index"),
    "a package has another size": Planted(
        lambda s: s.upload(key(P0), package(key(P0), license="another")), P0, "bytes in the index and"
    ),
    "a package was replaced by one of the same size": Planted(replaced, P0, "was replaced since it was indexed"),
    "a rejected package was replaced": Planted(
        lambda s: s.upload(BAD, b"other"), BAD[9:], "is in the channel, but not in the index"
    ),
    "a yanked package has a record": Planted(
        lambda s: rewrite(s, REPODATA, lambda c: c.update(removed=[P0])), P0, "is listed as removed, but has a record"
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_file_its_reason_and_a_next_step(name: str) -> None:
    store, planted = sound(), FAULTS[name]
    assert faults(store) == []
    planted.plant(store)
    at_file = [fault for fault in check(store).faults if fault.key.startswith(key(planted.at))]
    results = [fault for fault in at_file if planted.reason in fault.reason]
    assert len(results) == 1, faults(store)
    assert results[0].next_step
    assert "\n" not in str(results[0])
    assert check(store).exit_code == 5


@pytest.mark.parametrize("name", ["a shard is gone", "a shard is another's", "a package is gone", "zst lacks a record"])
def test_one_fault_is_one_line(name: str) -> None:
    store = sound()
    FAULTS[name].plant(store)
    assert len(check(store).faults) == 1


def test_a_channel_without_index_or_noarch_is_faulty() -> None:
    with pytest.raises(BadConfig, match="has no subdir"):
        check(MemoryStore())
    store = channel(*keys(1))
    assert [fault.key for fault in check(store).faults] == ["linux-64/repodata.json", "noarch/repodata.json"]


@pytest.mark.parametrize("at", ["md5", "license", "depends", "build_number", "run_exports"])
def test_a_deep_check_compares_each_package_with_its_record(at: str) -> None:
    store = sound(with_outputs(shards=False))
    assert faults(store, deep=True) == []
    if at == "run_exports":
        rewrite(store, RUN_EXPORTS, lambda c: record_of(c).update(run_exports={"weak": ["q"]}))
    else:
        value = {"md5": "0" * 32, "depends": ["q 1"], "build_number": 9}.get(at, "other")
        rewrite(store, REPODATA, lambda c: record_of(c).update({at: value}))
    assert faults(store) == []
    (result,) = check(store, deep=True).faults
    assert result.key == key(P0)
    assert result.reason.startswith(f"has {at} ")


def test_a_deep_check_finds_a_package_that_cannot_be_read_any_more() -> None:
    store = sound()
    store.remove(key(names.STATE_FILE))
    store.remove(BAD)
    store.upload(key(P0), b"x" * len(package(key(P0))))
    assert faults(store) == []
    (result,) = check(store, deep=True).faults
    assert (result.key, result.reason.partition(" (")[0]) == (key(P0), "cannot be indexed any more")


def test_a_deep_check_accepts_another_spelling_of_the_same_value() -> None:
    store = channel(key("q-1.0-0.conda"), *keys(1, "noarch"))
    store.upload(key("q-1.0-0.conda"), package(key("q-1.0-0.conda"), depends=["a 1", "b >=2"], noarch="generic"))
    index(store, with_outputs(shards=False))
    rewrite(
        store,
        REPODATA,
        lambda c: record_of(c, "q-1.0-0.conda").update(depends=["a ==1", "b  >=2"], noarch=True, arch="x86_64"),
    )
    assert faults(store, deep=True) == []


@pytest.mark.parametrize("name", SCENES)
def test_a_channel_has_no_fault_after_a_run(name: str) -> None:
    store = SCENES[name].prepare()
    index(store, SCENES[name].options, now_ms=NOW_MS + DAY_MS)
    assert faults(store, deep=True) == []


@pytest.mark.parametrize("shape", [{"zst": False, "shards": False, "run_exports": False}, {"monolithic": False}])
def test_a_channel_with_few_files_is_sound(shape: dict[str, bool]) -> None:
    store = sound(with_outputs(**shape))
    assert faults(store, deep=True) == []


def test_a_check_neither_writes_nor_deletes() -> None:
    store = sound()
    FAULTS["a shard is gone"].plant(store)
    first = len(store.calls)
    check(store, deep=True)
    assert changes(store.calls, first) == []


def test_rejected_packages_and_an_interrupted_gc_are_hints() -> None:
    store = sound()
    store.upload(key(names.GC_MARKER), b"{}")
    verdict = check(store)
    assert verdict.outcome is Outcome.SOUND
    assert {hint.key for hint in verdict.hints} == {BAD, key(names.GC_MARKER)}


def test_an_index_that_is_published_during_a_check_is_no_fault() -> None:
    store = sound()

    def publish(_number: int, call: Call) -> None:
        if call.key == key(REPODATA_ZST) and not fell_in:
            fell_in.append(call.key)
            fill(store, "linux-64/new-1.0-0.conda")
            index(store, ALL)

    fell_in: list[str] = []
    assert faults(InterferingStore(store, before=publish)) == []
    assert fell_in


def test_a_check_waits_for_an_indexer_between_two_files() -> None:
    store = sound()
    fill(store, "linux-64/new-1.0-0.conda")

    def die(_number: int, call: Call) -> None:
        if call.key == key(REPODATA) and call.verb == "PUT":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        index(InterferingStore(store, before=die), ALL)
    assert faults(store)

    class Waiting(FakeClock):
        def sleep(self, seconds: float) -> None:
            index(store, ALL)
            super().sleep(seconds)

    clock = Waiting()
    assert check(store, clock=clock).faults == ()
    assert clock.slept[0] == 1.0


def test_a_channel_that_always_changes_is_neither_sound_nor_faulty() -> None:
    store = sound()

    def touch(_number: int, call: Call) -> None:
        if call.verb == "LIST" and call.key == "linux-64/":
            fill(store, f"linux-64/n{len(store.calls)}-1.0-0.conda")

    with pytest.raises(GaveUp):
        check(InterferingStore(store, before=touch))


def test_only_the_named_subdirs_are_checked() -> None:
    store = sound()
    store.remove("noarch/repodata.json")
    assert check(store, subdirs=["linux-64"]).faults == ()
    assert check(store).exit_code == 5
    with pytest.raises(BadConfig):
        check(store, subdirs=["No Subdir"])


def test_a_compressed_file_is_unpacked_no_further_than_the_plain_size() -> None:
    store = sound()
    store.upload(key(REPODATA_ZST), zstandard.compress(bytes(200 * 2**20)))
    (result,) = check(store).faults
    assert (result.key, result.reason.partition(" bytes")[0][:15]) == (key(REPODATA_ZST), "holds more than")


def test_shards_at_another_url_are_a_hint() -> None:
    store = sound()
    reindex(store, lambda c: c["info"].update(shards_base_url="https://elsewhere/"))
    verdict = check(store)
    assert verdict.faults == ()
    assert "elsewhere" in str(verdict.hints)


def test_a_check_sees_the_fault_of_a_crash_until_the_next_run() -> None:
    store = sound()
    fill(store, "linux-64/new-1.0-0.conda")

    def die(_number: int, call: Call) -> None:
        if call.key == key(REPODATA) and call.verb == "PUT":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        index(InterferingStore(store, before=die), ALL)
    assert any("lacks" in fault or "too many" in fault for fault in faults(store))
    index(store, replace(PLAIN, outputs=ALL.outputs))
    assert faults(store, deep=True) == []


@pytest.mark.parametrize("at", [REPODATA, SHARD_INDEX])
def test_the_next_step_for_an_unknown_revision_is_an_update(at: str) -> None:
    store = sound()
    if at == REPODATA:
        rewrite(store, REPODATA, lambda c: c.update(v4={}))
    else:
        reindex(store, lambda c: c["info"]["repodata_revisions"].update(v4={"n_packages": 1}))
    results = [fault for fault in check(store).faults if "the revision v4" in fault.reason]
    assert [(fault.key, fault.next_step) for fault in results] == [(key(at), "update the indexer")]
