"""What is switched off is deleted, what is switched on is made, and no package is read for either."""

from __future__ import annotations

import bz2
import json
from typing import TYPE_CHECKING

import pytest
import zstandard

from indexer.core import names
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    changes,
    channel,
    fill,
    index,
    keys,
    missing_shards,
    only,
    packages_read,
    published,
    records,
    repodata,
    sharded,
    shards,
    unpacked,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

SHARDS_ONLY = with_outputs(monolithic=False)


def files(store: MemoryStore, subdir: str = "linux-64") -> set[str]:
    """The mutable files that readers see."""
    return {key.partition("/")[2] for key in published(store) if key.startswith(f"{subdir}/") and "/shards/" not in key}


@pytest.mark.parametrize(
    ("shape", "gone"),
    [
        ({"zst": False}, {"repodata.json.zst", "run_exports.json.zst"}),
        ({"shards": False}, {"repodata_shards.msgpack.zst"}),
        ({"run_exports": False}, {"run_exports.json", "run_exports.json.zst"}),
        ({"monolithic": False}, {"repodata.json", "repodata.json.zst", "run_exports.json", "run_exports.json.zst"}),
    ],
)
def test_what_is_switched_off_is_deleted(shape: dict[str, bool], gone: set[str]) -> None:
    store = channel(*keys(3))
    index(store)
    before, first = files(store), len(store.calls)
    report = index(store, with_outputs(**shape))
    assert files(store) == before - gone
    assert set(only(report).deleted) == {f"linux-64/{name}" for name in gone}
    assert packages_read(store.calls, first) == []
    again = len(store.calls)
    index(store, with_outputs(**shape))
    assert changes(store.calls, again) == []


def test_the_shard_index_is_deleted_before_anything_else_changes() -> None:
    store = channel(*keys(3))
    index(store)
    fill(store, "linux-64/new-1.0-0.conda")
    first = len(store.calls)
    index(store, with_outputs(shards=False, zst=False))
    assert changes(store.calls, first)[0] == ("DELETE", "linux-64/repodata_shards.msgpack.zst")
    verbs = [verb for verb, key in changes(store.calls, first) if key == "linux-64/repodata.json.zst"]
    assert verbs == ["DELETE"]


def test_what_is_switched_on_again_is_made_again() -> None:
    store = channel(*keys(3))
    index(store)
    before = published(store)
    index(store, with_outputs(shards=False, zst=False, run_exports=True))
    index(store)
    assert published(store) == before


def test_run_exports_are_compressed_as_the_index_is() -> None:
    store = channel(*keys(1))
    index(store)
    index(store, with_outputs(bz2=True))
    content = store.bodies()["linux-64/run_exports.json"]
    assert bz2.decompress(store.bodies()["linux-64/run_exports.json.bz2"]) == content


def test_every_compressed_form_decodes_to_the_plain_one() -> None:
    store = channel(*keys(3))
    index(store, with_outputs(bz2=True, zst_level=16))
    bodies = store.bodies()
    for name in ("linux-64/repodata.json", "linux-64/run_exports.json", "noarch/repodata.json"):
        assert bz2.decompress(bodies[f"{name}.bz2"]) == bodies[name]
        assert zstandard.ZstdDecompressor().decompress(bodies[f"{name}.zst"]) == bodies[name]
        assert zstandard.frame_content_size(bodies[f"{name}.zst"]) == len(bodies[name])
        assert not zstandard.get_frame_parameters(bodies[f"{name}.zst"]).has_checksum


def test_a_channel_of_shards_alone_is_carried_on() -> None:
    store = channel(*keys(3))
    index(store, SHARDS_ONLY)
    assert files(store) == {"repodata_shards.msgpack.zst"}
    assert sharded(store) == {key.partition("/")[2] for key in keys(3)}
    first = len(store.calls)
    fill(store, "linux-64/new-1.0-0.conda")
    store.remove(keys(3)[0])
    report = index(store, SHARDS_ONLY, now_ms=NOW_MS + DAY_MS)
    assert packages_read(store.calls, first) == ["linux-64/new-1.0-0.conda"]
    assert only(report).added == ("new-1.0-0.conda",)
    assert only(report).removed == ("p00-1.0-0.conda",)
    assert sharded(store) == {"new-1.0-0.conda", "p01-1.0-0.conda", "p02-1.0-0.conda"}
    assert missing_shards(store) == set()
    again = len(store.calls)
    index(store, SHARDS_ONLY)
    assert changes(store.calls, again) == []


def test_a_change_to_shards_and_back_changes_no_record_and_reads_none() -> None:
    store = channel(*keys(3), "linux-64/old-1.0-0.tar.bz2")
    index(store)
    before, first = published(store), len(store.calls)
    index(store, SHARDS_ONLY, now_ms=NOW_MS + DAY_MS)
    index(store, now_ms=NOW_MS + 2 * DAY_MS)
    assert packages_read(store.calls, first) == []
    assert records(store)["p00-1.0-0.conda"]["indexed_timestamp"] == NOW_MS
    assert shards(store) == shards(before)
    for subdir in ("linux-64", "noarch"):  # its created_at tells when it was alone
        before[f"{subdir}/{names.SHARD_INDEX}"] = store.bodies()[f"{subdir}/{names.SHARD_INDEX}"]
    assert published(store) == before


def test_files_that_readers_of_json_have_go_last_where_only_shards_stay() -> None:
    store = channel(*keys(2))
    index(store, with_outputs(shards=False))
    first = len(store.calls)
    index(store, SHARDS_ONLY)
    order = [key.partition("/")[2] for _, key in changes(store.calls, first) if key.startswith("linux-64/")]
    assert order.index("repodata_shards.msgpack.zst") < order.index("repodata.json")
    assert order.index("repodata_shards.msgpack.zst") < order.index("repodata.json.zst")
    assert order[-1] == names.STATE_FILE
    assert all(key.startswith("shards/") for key in order[:2])


def test_noarch_of_a_channel_of_shards_alone_is_looked_for_in_shards() -> None:
    store = channel(*keys(1))
    index(store, SHARDS_ONLY)
    assert "noarch/repodata_shards.msgpack.zst" in store.bodies()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"base_url": "https://x.example/ch"}, "https://x.example/ch/linux-64/"),
        ({"base_url": "https://x.example/ch/"}, "https://x.example/ch/linux-64/"),
        ({"base_url": "https://x.example/ch", "base_url_verbatim": True}, "https://x.example/ch"),
    ],
)
def test_a_base_url_reaches_json_and_shards(shape: dict[str, object], expected: str) -> None:
    store = channel(*keys(1))
    index(store)
    before = shards(store)
    index(store, with_outputs(**shape))
    result = repodata(store)
    assert result["info"]["base_url"] == expected
    assert result["repodata_version"] == 2
    assert shards(store) == before
    shard_index = unpacked(store.bodies()["linux-64/repodata_shards.msgpack.zst"])
    assert shard_index["info"]["base_url"] == expected
    index(store)
    assert repodata(store)["info"]["base_url"] == expected, "what is not configured stays"
    index(store, with_outputs(base_url=""))
    assert "base_url" not in json.dumps(repodata(store))
