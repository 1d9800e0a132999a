"""A first run makes a channel out of packages: all subdirs that are there, and noarch in any case."""

from __future__ import annotations

import pytest

from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.options import Options
from indexer.core.report import Outcome
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fixture,
    index,
    keys,
    missing_shards,
    only,
    package,
    published,
    records,
    repodata,
    sharded,
    shards,
)

FILES = [
    "repodata.json",
    "repodata.json.zst",
    "repodata_shards.msgpack.zst",
    "run_exports.json",
    "run_exports.json.zst",
]


def test_every_package_is_in_every_form_of_the_index() -> None:
    store = channel(*keys(3), "linux-64/old-1.0-0.tar.bz2", "noarch/pure-1.0-0.conda")
    report = index(store)
    assert report.outcome is Outcome.PUBLISHED
    assert report.exit_code == 0
    assert only(report).packages == 4
    assert only(report).added == (
        "old-1.0-0.tar.bz2",
        "p00-1.0-0.conda",
        "p01-1.0-0.conda",
        "p02-1.0-0.conda",
    )
    result = repodata(store)
    assert list(result["packages"]) == ["old-1.0-0.tar.bz2"]
    assert list(result["packages.conda"]) == ["p00-1.0-0.conda", "p01-1.0-0.conda", "p02-1.0-0.conda"]
    assert sharded(store) == records(store).keys()
    assert sharded(store, "noarch") == {"pure-1.0-0.conda"}
    assert missing_shards(store) == set()


def test_every_record_carries_the_time_of_the_run() -> None:
    store = channel(*keys(2))
    index(store)
    assert {record["indexed_timestamp"] for record in records(store).values()} == {NOW_MS}


def test_every_subdir_gets_every_file_and_nothing_else() -> None:
    store = channel(*keys(1), *keys(1, "osx-arm64"))
    index(store)
    for subdir in ("linux-64", "noarch", "osx-arm64"):
        existing = {key.removeprefix(f"{subdir}/") for key in published(store) if key.startswith(f"{subdir}/")}
        shard_files = {key.removeprefix(f"{subdir}/") for key in shards(store, subdir).values()}
        assert existing == {*FILES, *shard_files}
    assert {key.partition("/")[0] for key in store.bodies()} == {"linux-64", "noarch", "osx-arm64"}


def test_an_empty_channel_gets_an_empty_noarch_with_shards() -> None:
    store = MemoryStore()
    report = index(store, Options(outputs=PLAIN.outputs, create=True))
    assert list(report.subdirs) == ["noarch"]
    assert repodata(store, "noarch") == {
        "info": {"subdir": "noarch"},
        "packages": {},
        "packages.conda": {},
        "removed": [],
        "repodata_version": 1,
    }
    assert "noarch/repodata_shards.msgpack.zst" in store.bodies()
    assert only(report, "noarch").packages == 0


def test_noarch_is_made_where_only_another_subdir_is_asked_for() -> None:
    store = channel(*keys(1), *keys(1, "osx-64"))
    report = index(store, Options(outputs=PLAIN.outputs, subdirs=("linux-64",)))
    assert sorted(report.subdirs) == ["linux-64", "noarch"]
    assert "noarch/repodata.json" in store.bodies()
    assert "osx-64/repodata.json" not in store.bodies()


def test_an_existing_noarch_stays_if_another_subdir_is_selected() -> None:
    store = channel(*keys(1), *keys(1, "noarch"))
    index(store)
    store.upload("noarch/later-1-0.conda", package("noarch/later-1-0.conda"))
    report = index(store, Options(outputs=PLAIN.outputs, subdirs=("linux-64",)))
    assert list(report.subdirs) == ["linux-64"]
    assert "later-1-0.conda" not in records(store, "noarch")


def test_an_unknown_folder_is_passed_over_and_named() -> None:
    store = channel(*keys(1), "my-channel/p-1-0.conda", "docs/readme-1-0.conda")
    report = index(store)
    assert [note.filename for note in report.not_indexed] == ["docs/", "my-channel/"]
    assert sorted(report.subdirs) == ["linux-64", "noarch"]
    assert not [key for _, key in changes(store.calls) if key.startswith(("my-channel", "docs"))]


def test_an_unknown_subdir_is_indexed_where_it_is_named() -> None:
    store = channel("espidf-xtensa/p-1-0.conda")
    index(store, Options(outputs=PLAIN.outputs, subdirs=("espidf-xtensa",)))
    assert list(records(store, "espidf-xtensa")) == ["p-1-0.conda"]


@pytest.mark.parametrize("subdir", ["Linux-64", "linux", "../etc", "linux-64/", "a" * 33])
def test_what_cannot_be_a_subdir_is_a_mistake_and_nothing_is_written(subdir: str) -> None:
    store = channel(*keys(1))
    with pytest.raises(BadConfig):
        index(store, Options(outputs=PLAIN.outputs, subdirs=("linux-64", subdir)))
    assert changes(store.calls) == []


def test_what_is_no_package_is_left_alone() -> None:
    others = {
        "index.html": b"<html>",
        "linux-64/readme.txt": b"hello",
        "linux-64/nested/p-1-0.conda": package("linux-64/p-1-0.conda"),
        "linux-64/wheel-1.0-py3-none-any.whl": b"a wheel",
    }
    store = channel(*keys(1))
    for key, body in others.items():
        store.upload(key, body)
    report = index(store)
    assert list(records(store)) == ["p00-1.0-0.conda"]
    assert {key: store.bodies()[key] for key in others} == others
    assert [note.filename for note in only(report).warnings] == ["nested/", "wheel-1.0-py3-none-any.whl"]
    assert report.exit_code == 0


def test_the_source_is_the_last_but_the_ledger_and_shards_are_the_first() -> None:
    store = channel(*keys(3))
    index(store)
    put = [key.removeprefix("linux-64/") for _, key in changes(store.calls) if key.startswith("linux-64/")]
    assert all(key.startswith("shards/") for key in put[:3])
    assert put[3] == "repodata_shards.msgpack.zst"
    assert set(put[4:7]) == {"repodata.json.zst", "run_exports.json", "run_exports.json.zst"}
    assert put[7:] == ["repodata.json", names.STATE_FILE]


def test_files_are_put_with_headers_for_caches() -> None:
    store = channel(*keys(1))
    index(store)
    headers = {key: dict(stored.headers) for key, stored in store.objects.items()}
    assert headers["linux-64/repodata.json"] == {
        "Cache-Control": "public, max-age=300",
        "Content-Type": "application/json",
    }
    (shard,) = shards(store).values()
    assert headers[shard]["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["linux-64/repodata.json.zst"]["Content-Type"] == "application/zstd"


def test_the_committed_packages_are_all_indexed() -> None:
    store = MemoryStore()
    wanted = ["linux-64/marsh-1!2.0+local.3-h5_5.conda", "linux-64/Mallard-1.0-0.conda", "osx-arm64/teal-1.0-0.conda"]
    for key in wanted:
        store.upload(key, fixture(key))
    report = index(store)
    assert report.exit_code == 0
    assert records(store).keys() | records(store, "osx-arm64").keys() == {key.partition("/")[2] for key in wanted}
    assert set(shards(store)) == {"marsh", "mallard"}
    assert records(store, "osx-arm64")["teal-1.0-0.conda"]["indexed_timestamp"] == NOW_MS
