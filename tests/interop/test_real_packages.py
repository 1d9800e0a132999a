"""Packages that other people built are indexed, all of them, to the same bytes wherever they lie."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer import Target
from indexer.core.model import Outputs
from indexer.core.names import KNOWN_SUBDIRS, STATE_FILE
from indexer.core.report import Outcome
from indexer.extractor.archive import RECIPES, read_tar_bz2
from indexer.extractor.tar_names import RUN_EXPORTS_JSON
from tests.interop.real_packages import WITH_BZ2, Indexed, run
from tests.support.channels import copy, files, lay_out, objects, records

if TYPE_CHECKING:
    from fixtures.bucket import Bucket

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process


def published(content: dict[str, bytes]) -> dict[str, bytes]:
    """What a reader may ask for: neither packages, nor what we keep for ourselves of versions in this store."""
    return {
        key: body
        for key, body in content.items()
        if not key.endswith((".conda", ".tar.bz2", STATE_FILE)) and key.partition("/")[0] in KNOWN_SUBDIRS
    }


def test_a_folder_and_a_bucket_hold_the_same_bytes(
    some: list[Path], in_bucket: Indexed, moto_server: Bucket, tmp_path: Path
) -> None:
    folder = lay_out(tmp_path / "channel", some)
    run(Target(str(folder)))
    existing = published(files(folder))
    here = published(objects(moto_server, "real"))
    assert sorted(existing) == sorted(here)
    assert {key for key in existing if existing[key] != here[key]} == set()


@pytest.mark.parametrize("where", ["folder", "in_bucket"])
def test_no_package_of_a_known_subdir_is_rejected(request: pytest.FixtureRequest, where: str) -> None:
    indexed: Indexed = request.getfixturevalue(where)
    assert {name: sub.rejected for name, sub in indexed.report.subdirs.items() if sub.rejected} == {}
    assert {sub.outcome for sub in indexed.report.subdirs.values()} == {Outcome.PUBLISHED}


def test_every_package_is_in_the_index_with_its_digests(packages: Path, folder: Indexed) -> None:
    manifest: list[dict[str, Any]] = json.loads((packages / "manifest.json").read_bytes())
    expected = {
        entry["file"]: (entry["sha256"], entry["size"])
        for entry in manifest
        if entry["file"].partition("/")[0] in KNOWN_SUBDIRS
    }
    channel = Path(folder.target.location)
    results = {
        f"{subdir}/{name}": (record["sha256"], record["size"])
        for subdir in folder.report.subdirs
        for name, record in records(channel, subdir).items()
    }
    assert results == expected
    assert len(results) > 250


def test_a_second_run_has_nothing_to_do(folder: Indexed, in_bucket: Indexed) -> None:
    for indexed in (folder, in_bucket):
        again = run(indexed.target)
        assert not any(sub.written or sub.deleted for sub in again.subdirs.values())
        assert {name: sub.packages for name, sub in again.subdirs.items()} == {
            name: sub.packages for name, sub in indexed.report.subdirs.items()
        }


def test_a_forced_run_reads_all_and_changes_no_byte(folder: Indexed) -> None:
    before = files(Path(folder.target.location))
    again = run(folder.target, replace(WITH_BZ2, force=True))
    assert sum(way.packages for sub in again.subdirs.values() for way in sub.read.values()) > 250
    assert published(files(Path(folder.target.location))) == published(before)


def test_a_folder_that_is_no_known_subdir_is_left_alone_and_named(folder: Indexed) -> None:
    assert "linux-fake/" in [note.filename for note in folder.report.not_indexed]
    assert not (Path(folder.target.location) / "linux-fake" / "repodata.json").exists()


def test_broken_packages_are_rejected_with_a_reason_and_good_ones_stay(packages: Path, tmp_path: Path) -> None:
    broken = sorted((packages / "broken").glob("*/*"))
    channel = lay_out(tmp_path / "channel", broken)
    copy(packages / "noarch" / "t-unicode-1.0-h4616a5c_0.conda", channel)
    report = run(Target(str(channel)))
    rejected = {f"{name}/{note.filename}": note.reason for name, sub in report.subdirs.items() for note in sub.rejected}
    assert set(rejected) == {f"{path.parent.name}/{path.name}" for path in broken}
    assert all(len(reason) > 10 and "\n" not in reason for reason in rejected.values())
    assert report.exit_code == 3
    assert set(records(channel, "noarch")) == {"t-unicode-1.0-h4616a5c_0.conda"}


def test_an_odd_package_does_not_stop_the_run(packages: Path, tmp_path: Path) -> None:
    odd = sorted((packages / "odd").glob("*/*"))
    channel = lay_out(tmp_path / "channel", odd)
    report = run(Target(str(channel)))
    assert report.exit_code in {0, 3}
    for path in odd:
        sub = report.subdirs[path.parent.name]
        named = path.name in {note.filename for note in sub.rejected}
        assert named is not (path.name in records(channel, path.parent.name)), "indexed or named, never neither"


def test_shards_alone_that_grew_package_by_package_are_those_of_one_run(good: list[Path], tmp_path: Path) -> None:
    options = replace(WITH_BZ2, outputs=Outputs(monolithic=False))
    good = [path for path in good if path.parent.name == "linux-64"]
    late = good[::15]
    whole = lay_out(tmp_path / "whole", good)
    run(Target(str(whole)), options)
    grown = lay_out(tmp_path / "grown", [path for path in good if path not in late])
    run(Target(str(grown)), options)
    for path in late:
        copy(path, grown)
        report = run(Target(str(grown)), options)
        assert report.subdirs["linux-64"].added == (path.name,)
        assert sum(key.startswith("linux-64/shards/") for key in report.subdirs["linux-64"].written) == 1
    existing, here = published(files(whole)), published(files(grown))
    assert {key: here.get(key) for key in existing} == existing
    assert all("/shards/" in key for key in here.keys() - existing.keys()), "old shards stay until a gc"


def test_recipe_and_run_exports_of_each_tar_bz2_are_found(packages: Path) -> None:
    value = 0
    for path in [path for subdir in sorted(KNOWN_SUBDIRS) for path in (packages / subdir).glob("*.tar.bz2")]:
        with tarfile.open(path) as archive:
            existing = {name.removeprefix("./") for name in archive.getnames()} & {*RECIPES, RUN_EXPORTS_JSON}
        with path.open("rb") as file:
            result = read_tar_bz2(file, path.stat().st_size, about=True)
        assert existing & result.keys() & {*RECIPES} or not existing & {*RECIPES}, path.name
        assert (RUN_EXPORTS_JSON in existing) is (RUN_EXPORTS_JSON in result), path.name
        value += bool(existing)
    assert value > 50
