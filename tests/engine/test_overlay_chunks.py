"""In a channel with withdrawn or patched packages, too, a run reads only the chunks of names that changed."""

from __future__ import annotations

import json
from dataclasses import replace as replaced
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.overlay import Ignore, Prune, WithdrawnPackages, encode_withdrawn
from tests.support.channel_check import faults
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PATCH,
    PLAIN,
    channel,
    fake_context,
    fill,
    index,
    keys,
    missing_shards,
    only,
    package,
    packages_read,
    records,
    repodata,
    sharded,
    upload_patch,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from indexer.core.report import Report
    from tests.support.memory import MemoryStore

NEW = "linux-64/p03-2.0-0.conda"
YANKED = "p05-1.0-0.conda"
YANKS = f"linux-64/{names.YANKS}"
UNPATCHED_ZST = f"linux-64/{names.FROM_PACKAGES_ZST}"
# The files of which a run reads all if it parses the whole index.
PLAIN_FILES = {f"linux-64/{name}" for name in (names.FROM_PACKAGES, names.REPODATA, names.RUN_EXPORTS)}
PATCHING = replace(PLAIN, repodata_patch=PATCH)
FIX = {"packages.conda": {"p01-1.0-0.conda": {"depends": ["fixed >=1"]}}, "remove": ["p02-1.0-0.conda"]}


def order(store: MemoryStore, filename: str, reason: str | None = "bad", *, ignore: bool = False) -> Report:
    request = YankRequest(frozenset({f"linux-64/{filename}"}), reason, ignore)
    return withdraw(store, request, PLAIN, fake_context(NOW_MS + DAY_MS))


def indexed(options: Options = PLAIN) -> MemoryStore:
    store = channel(*keys(20), *keys(1, "noarch"))
    index(store, options)
    return store


def yanked(options: Options = PLAIN) -> MemoryStore:
    store = indexed(options)
    order(store, YANKED)
    return store


def patched() -> MemoryStore:
    store = indexed()
    upload_patch(store, FIX)
    index(store, PATCHING)
    return store


def ignored() -> MemoryStore:
    store = indexed()
    order(store, YANKED, ignore=True)
    return store


def pruned() -> MemoryStore:
    store = indexed()
    stat = store.objects[f"linux-64/{YANKED}"].stat
    prune = Prune(stat.etag, stat.size, stat.modified_ms, NOW_MS)
    store.upload(YANKS, encode_withdrawn(WithdrawnPackages(pruned={YANKED: prune})))
    index(store)
    return store


def read(store: MemoryStore, first: int) -> set[str]:
    return {call.key for call in store.calls[first:] if call.verb == "GET" and call.key.startswith("linux-64/")}


@pytest.mark.parametrize("make", [yanked, patched, ignored, pruned])
@pytest.mark.parametrize("named", [False, True], ids=["whole run", "named package"])
def test_the_plain_files_are_not_read_for_one_new_package(make: object, named: bool) -> None:  # noqa: FBT001  a parameter of the test
    assert callable(make)
    store = make()
    before = set(records(store))
    first = len(store.calls)
    fill(store, NEW)
    options = replace(PLAIN, packages=frozenset({NEW})) if named else PLAIN
    report = only(index(store, options, now_ms=NOW_MS + 2 * DAY_MS))
    assert not read(store, first) & PLAIN_FILES
    assert packages_read(store.calls, first) == [NEW]
    assert report.added == ("p03-2.0-0.conda",)
    assert set(records(store)) == sharded(store) == before | {"p03-2.0-0.conda"}
    assert faults(store) == []
    assert missing_shards(store) == set()


@pytest.mark.parametrize("ignore", [False, True], ids=["yank", "ignore"])
def test_a_second_withdrawn_package_and_its_return_read_no_plain_file(ignore: bool) -> None:  # noqa: FBT001  a parameter of the test
    store = yanked()
    other = "p07-1.0-0.conda"
    first = len(store.calls)
    order(store, other, ignore=ignore)
    assert set(records(store)) == sharded(store) == {key[9:] for key in keys(20)} - {YANKED, other}
    assert repodata(store)["removed"] == ([YANKED] if ignore else [YANKED, other])
    order(store, other, None, ignore=ignore)
    assert set(records(store)) == sharded(store) == {key[9:] for key in keys(20)} - {YANKED}
    assert repodata(store)["removed"] == [YANKED]
    assert not read(store, first) & PLAIN_FILES
    assert faults(store) == []


def test_a_package_that_was_pruned_again_or_came_back_reads_no_plain_file() -> None:
    store = pruned()
    first = len(store.calls)
    store.upload(f"linux-64/{YANKED}", package(f"linux-64/{YANKED}", depends=["rebuilt"]))
    assert only(index(store, now_ms=NOW_MS + DAY_MS)).added == (YANKED,)
    store.upload(YANKS, encode_withdrawn(WithdrawnPackages()))
    index(store, now_ms=NOW_MS + DAY_MS)
    assert not read(store, first) & PLAIN_FILES
    assert faults(store) == []


def test_another_patch_reads_the_whole_index() -> None:
    store = patched()
    upload_patch(store, {"remove": ["p04-1.0-0.conda"]})
    first = len(store.calls)
    index(store, PATCHING, now_ms=NOW_MS + DAY_MS)
    assert f"linux-64/{names.FROM_PACKAGES}" in read(store, first)
    assert "p04-1.0-0.conda" not in records(store)
    assert faults(store) == []


def test_the_same_patch_given_again_reads_no_plain_file() -> None:
    store = patched()
    fill(store, NEW)
    first = len(store.calls)
    index(store, PATCHING, now_ms=NOW_MS + DAY_MS)
    assert not read(store, first) & PLAIN_FILES
    assert records(store)["p01-1.0-0.conda"]["depends"] == ["fixed >=1"]


def test_a_patch_of_a_new_package_is_applied() -> None:
    store = indexed()
    upload_patch(store, {"packages.conda": {NEW[9:]: {"depends": ["fixed >=1"]}}})
    index(store, PATCHING)
    fill(store, NEW)
    first = len(store.calls)
    index(store, now_ms=NOW_MS + DAY_MS)
    assert not read(store, first) & PLAIN_FILES
    assert records(store)[NEW[9:]]["depends"] == ["fixed >=1"]


def test_a_package_that_a_patch_removes_is_not_read_for_its_metadata() -> None:
    pages = with_outputs(html=True)
    store = indexed(pages)
    upload_patch(store, FIX)
    index(store, replace(pages, repodata_patch=PATCH))
    fill(store, NEW)
    for options in (pages, replace(pages, outputs=replace(pages.outputs, bz2=True))):  # the second one reads all
        first = len(store.calls)
        index(store, options, now_ms=NOW_MS + DAY_MS)
        assert packages_read(store.calls, first) == [NEW] * (options is pages)


def test_an_ignored_package_that_a_run_over_other_packages_kept_leaves_the_index() -> None:
    store = indexed()
    store.upload(YANKS, encode_withdrawn(WithdrawnPackages(ignored={YANKED: Ignore("bad", 1)})))
    fill(store, NEW)
    index(store, replace(PLAIN, packages=frozenset({NEW})))
    assert YANKED in records(store)
    index(store, now_ms=NOW_MS + DAY_MS)
    assert YANKED not in records(store)
    assert faults(store) == []


def test_shards_alone_are_read_and_written_by_name() -> None:
    store = yanked(with_outputs(monolithic=False))
    first = len(store.calls)
    fill(store, NEW)
    index(store, with_outputs(monolithic=False), now_ms=NOW_MS + DAY_MS)
    puts = [call.key for call in store.calls[first:] if call.verb == "PUT" and "/shards/" in call.key]
    assert len(puts) == 1
    assert f"linux-64/{names.FROM_PACKAGES}" not in read(store, first)
    assert sharded(store) == {key[9:] for key in [*keys(20), NEW]} - {YANKED}
    assert faults(store) == []


def test_compressed_records_that_the_last_run_did_not_write_are_not_believed() -> None:
    store = yanked()
    stored = store.objects[UNPATCHED_ZST]
    store.objects[UNPATCHED_ZST] = replaced(stored, body=stored.body[:-9] + bytes(9))  # with the same ETag
    assert any(UNPATCHED_ZST in fault for fault in faults(store))
    fill(store, NEW)
    first = len(store.calls)
    index(store, now_ms=NOW_MS + DAY_MS)
    assert f"linux-64/{names.FROM_PACKAGES}" in read(store, first)
    assert NEW[9:] in records(store)
    assert faults(store) == []


def test_a_check_compares_the_compressed_unpatched_records_with_the_plain_ones() -> None:
    store = yanked()
    assert faults(store) == []
    del store.objects[f"linux-64/{names.FROM_PACKAGES}"]
    (fault,) = (fault for fault in faults(store) if UNPATCHED_ZST in fault)
    assert "exists without repodata_from_packages.json" in fault


def test_without_compressed_files_the_compressed_unpatched_records_are_deleted() -> None:
    store = yanked()
    assert UNPATCHED_ZST in store.bodies()
    index(store, with_outputs(zst=False))
    assert UNPATCHED_ZST not in store.bodies()
    assert set(json.loads(store.bodies()[f"linux-64/{names.FROM_PACKAGES}"])["packages.conda"]) == {
        key[9:] for key in keys(20)
    }


def test_the_source_that_another_program_changed_is_a_conflict_for_a_run_over_a_few_packages() -> None:
    store = yanked()
    source = f"linux-64/{names.FROM_PACKAGES}"
    content = json.loads(store.bodies()[source])
    del content["packages.conda"]["p00-1.0-0.conda"]
    store.upload(source, json.dumps(content).encode())
    fill(store, NEW)
    report = only(index(store, replace(PLAIN, packages=frozenset({NEW}))))
    assert report.attempts > 1
    assert "p00-1.0-0.conda" not in records(store)
