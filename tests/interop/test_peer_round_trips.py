"""A channel goes to another indexer and comes back: no package, date, patch, yank or revision is lost on the way."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import peers
from fixtures.golden import Dated
from indexer import ChannelSettings, Options, RemovalRequest, Successor, Target, check, index, remove, yank
from indexer.core import names
from tests.support.buckets import options_for
from tests.support.channels import PACKAGES, lay_out, lay_up, objects, records, repodata
from tests.support.memory_channel import PATCH, archive
from tests.support.memory_channel import index as by_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Outcome
    from fixtures.bucket import Bucket

SUBDIRS = ("linux-64", "noarch", "osx-arm64")
YANKED = "reedbed-1.0.0-0.conda"
PATCHED = "reedbed-1.1.0-0.conda"
FIX = {"packages.conda": {PATCHED: {"depends": ["mire"]}}, "remove": ["mire-1.0-0.conda"]}
# rattler-index gives up the whole run on run exports of the oldest form, and on parts of a second.
NOT_FOR_RATTLER = {"rush-0.1-0.conda", "mist-1.0-0.conda"}
# It claims what only an indexer may say, and conda-index believes it.
FORGED = "osx-arm64/teal-1.0-0.conda"
LONG_AGO = 1_600_000_000
NOVA = {"name": "nova", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}


def by_rattler(folder: Path) -> Outcome:
    return peers.rattler_folder(folder)


def by_conda(folder: Path) -> Outcome:
    """With its defaults: neither zst nor shards, and ours stay beside its files."""
    return _conda().run(folder, comparable=False)


def by_conda_in_all_forms(folder: Path) -> Outcome:
    return _conda().run(folder, comparable=True)


def _conda() -> peers.CondaIndex:
    source = os.environ.get("CONDA_SOURCE")
    if not source:
        pytest.skip("CONDA_SOURCE names no checkout of conda, which conda-index imports")
    return peers.CondaIndex(os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable), Path(source))


PEERS = [by_rattler, by_conda, by_conda_in_all_forms]


def go(peer: Callable[[Path], Outcome], folder: Path) -> None:
    outcome = peer(folder)
    assert outcome.ok, outcome.output


def lay(folder: Path, peer: Callable[[Path], Outcome]) -> Path:
    """All packages that the peer does not give up on, and a patch package; old, so that their records stand."""
    kept = [item for item in sorted(PACKAGES.glob("*/*")) if peer is not by_rattler or item.name not in NOT_FOR_RATTLER]
    lay_out(folder, kept)
    results = {"name": "patch", "version": "1", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    content = {f"noarch/{names.PATCH_INSTRUCTIONS}": json.dumps(FIX).encode()}
    (folder / "noarch" / PATCH).write_bytes(archive(PATCH, {"info/index.json": json.dumps(results).encode()}, content))
    for path in folder.glob("*/*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def offered(folder: Path) -> dict[str, Any]:
    """The records of all subdirs by key."""
    return {f"{subdir}/{name}": value for subdir in SUBDIRS for name, value in records(folder, subdir).items()}


def revised(folder: Path) -> dict[str, Any]:
    """What stands under v3, as it is spelled there, without what another indexer dated."""
    return {
        subdir: {b: dict(its) for b, its in repodata(folder, subdir).get("v3", {}).items() if its} for subdir in SUBDIRS
    }


def dates(folder: Path) -> dict[str, int | None]:
    return {key: record.get("indexed_timestamp") for key, record in offered(folder).items()}


def faults(folder: Path) -> Iterator[str]:
    for verdict in check(str(folder), deep=True).subdirs.values():
        yield from (str(fault) for fault in verdict.faults if fault.key != FORGED)


def files(folder: Path, name: str) -> dict[str, bytes]:
    return {subdir: (folder / subdir / name).read_bytes() for subdir in SUBDIRS}


@pytest.mark.parametrize("peer", PEERS)
def test_no_package_date_or_revision_is_lost_on_the_way_there_and_back(
    peer: Callable[[Path], Outcome], tmp_path: Path
) -> None:
    folder = lay(tmp_path / "channel", peer)
    assert index(str(folder)).exit_code == 0
    before, dated, under_v3 = offered(folder), dates(folder), revised(folder)
    go(peer, folder)
    assert offered(folder).keys() == before.keys()
    report = index(str(folder))
    assert report.exit_code == 0
    assert offered(folder).keys() == before.keys()
    assert (dates(folder), revised(folder)) == (dated, under_v3)
    assert list(faults(folder)) == []
    # Only what conda-index took out of v3 must be read to know how it belongs there.
    read = {subdir: value.updated for subdir, value in report.subdirs.items() if value.updated}
    assert read == ({} if peer is by_rattler else {"linux-64": ("warbler-3.0.0-h3_0.conda",)})


def in_force(folder: Path, peer: Callable[[Path], Outcome]) -> Path:
    lay(folder, peer)
    index(str(folder), Options(repodata_patch=PATCH))
    yank(str(folder), [f"noarch/{YANKED}"], "broken")
    assert not {YANKED, "mire-1.0-0.conda"} & records(folder, "noarch").keys()
    assert records(folder, "noarch")[PATCHED]["depends"] == ["mire"]
    return folder


def test_after_rattler_index_patch_and_yank_are_restored_byte_for_byte(tmp_path: Path) -> None:
    folder = in_force(tmp_path / "channel", by_rattler)
    before = files(folder, names.REPODATA)
    go(by_rattler, folder)
    assert YANKED in records(folder, "noarch")
    assert index(str(folder)).exit_code == 0
    assert files(folder, names.REPODATA) == before
    assert list(faults(folder)) == []


def test_after_conda_index_patch_and_yank_are_restored(tmp_path: Path) -> None:
    folder = in_force(tmp_path / "channel", by_conda)
    before, dated, removed = offered(folder), dates(folder), repodata(folder, "noarch")["removed"]
    go(by_conda, folder)
    assert YANKED in records(folder, "noarch")
    assert index(str(folder)).exit_code == 0
    assert offered(folder).keys() == before.keys()
    assert records(folder, "noarch")[PATCHED] == before[f"noarch/{PATCHED}"]
    assert (dates(folder), repodata(folder, "noarch")["removed"]) == (dated, removed)
    assert list(faults(folder)) == []


def test_a_patch_emptied_by_conda_index_is_required_and_not_dropped(tmp_path: Path) -> None:
    folder = in_force(tmp_path / "channel", by_conda_in_all_forms)
    before, dated = offered(folder), dates(folder)
    go(by_conda_in_all_forms, folder)
    refused = index(str(folder)).subdirs["noarch"]
    assert "was emptied by conda-index, and a patch was in force" in str(refused.error)
    assert index(str(folder), Options(repodata_patch=PATCH)).exit_code == 0
    assert offered(folder).keys() == before.keys()
    assert records(folder, "noarch")[PATCHED] == before[f"noarch/{PATCHED}"]
    assert dates(folder) == dated
    assert list(faults(folder)) == []


def test_in_a_bucket_patch_and_yank_return_after_rattler_index(bucket: Bucket, tmp_path: Path) -> None:
    folder = lay(tmp_path / "channel", by_rattler)
    url = lay_up(bucket, "a/channel", sorted(path for path in folder.glob("*/*") if path.is_file()))
    target = Target(url, options_for(bucket))
    assert index(target, Options(repodata_patch=PATCH)).exit_code == 0
    yank(target, [f"noarch/{YANKED}"], "broken")
    before = {key: body for key, body in objects(bucket, "a/channel").items() if key.endswith(names.REPODATA)}
    outcome = peers.rattler_bucket(url, {**bucket.environment(), "NO_PROXY": "*", "no_proxy": "*"})
    assert outcome.ok, outcome.output
    between = objects(bucket, "a/channel")
    assert YANKED in json.loads(between[f"noarch/{names.REPODATA}"])["packages.conda"]
    assert index(target).exit_code == 0
    after = objects(bucket, "a/channel")
    assert {key: after[key] for key in before} == before
    assert check(target, deep=True).exit_code == 0


@pytest.mark.parametrize("peer", PEERS)
def test_a_channel_of_another_indexer_is_taken_over_and_handed_back_whole(
    peer: Callable[[Path], Outcome], tmp_path: Path
) -> None:
    folder = lay(tmp_path / "channel", peer)
    go(peer, folder)
    before = offered(folder)
    assert by_date(Dated(folder)).exit_code == 0
    assert list(faults(folder)) == []
    assert offered(folder).keys() == before.keys()
    go(peer, folder)
    assert offered(folder) == before


@pytest.mark.parametrize("peer", [by_rattler, by_conda])
def test_another_indexer_goes_on_with_a_channel_that_was_left_to_it(
    peer: Callable[[Path], Outcome], tmp_path: Path
) -> None:
    folder = lay(tmp_path / "channel", peer)
    every_format = ChannelSettings(html=True, bz2=True, channeldata=True, current_repodata=True, rss=True)
    assert index(str(folder), Options(settings=every_format)).exit_code == 0
    before = offered(folder)
    successor = Successor.RATTLER if peer is by_rattler else Successor.CONDA
    assert remove(str(folder), RemovalRequest(successor, delete=True)).deleted
    left = {path: path.read_bytes() for path in folder.glob("*/*") if "repodata" in path.name}
    new = folder / "noarch" / "nova-1.0-0.conda"
    new.write_bytes(archive(new.name, {"info/index.json": json.dumps(NOVA).encode()}))
    go(peer, folder)
    assert offered(folder).keys() == {*before, f"noarch/{new.name}"}
    assert not list(folder.rglob(".indexer*"))
    # What the other indexer does not write again would be outdated now.
    assert {path for path, body in left.items() if path.parent == new.parent and path.read_bytes() == body} == set()
