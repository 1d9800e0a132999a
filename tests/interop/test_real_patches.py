"""The same patch instructions in three indexers: what is patched is the same, and each difference is one we mean."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import peers
from indexer import Options, index
from indexer.core.names import CONDA, TAR_BZ2, parse_filename
from tests.support.channels import records_of
from tests.support.memory_channel import PATCH, archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.measure import Outcome

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process

OWN = {
    "packages": {"a-1.0-0.tar.bz2": {"depends": ["libc >=2", "b 1.*"], "constrains": ["d <1"], "license": None}},
    "packages.conda": {"a-1.0-0.conda": {"license": "MIT-0"}, "b-1.0-0.conda": {"track_features": "slow"}},
    "remove": ["c-1.0-0.tar.bz2", "gone-1.0-0.conda"],
    "revoke": ["d-1.0-0.conda"],
}
"""Twins, the order of the two maps, null, and names that are not there."""
OURS = ("a-1.0-0.tar.bz2", "a-1.0-0.conda", "b-1.0-0.conda", "c-1.0-0.tar.bz2", "c-1.0-0.conda", "d-1.0-0.conda")
LONG_AGO = 1_700_000_000
REMOVED = {"c-1.0-0.tar.bz2", "c-1.0-0.conda"}


def lay(folder: Path, filenames: Iterable[str], instructions: Mapping[str, object]) -> Path:
    """A channel of tiny packages and a patch package, which rattler-index wants to hold nothing else."""
    for subdir in ("linux-64", "noarch"):
        (folder / subdir).mkdir(parents=True)
    for filename in filenames:
        parsed = parse_filename(filename)
        assert parsed is not None
        results = {"depends": ["unpatched"], "license": "MIT", "subdir": "linux-64", "build_number": 0}
        _write(folder / "linux-64" / filename, {**results, **parsed._asdict()}, None)
    index_json = {"name": "patch", "version": "1", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    content = {"linux-64/patch_instructions.json": json.dumps(instructions).encode()}
    _write(folder / "noarch" / PATCH, index_json, content)
    return folder


def _write(path: Path, index_json: Mapping[str, object], content: Mapping[str, bytes] | None) -> None:
    fields = {key: value for key, value in index_json.items() if key != "extension"}
    files = {"info/index.json": json.dumps(fields).encode(), "info/paths.json": b'{"paths":[],"paths_version":1}'}
    path.write_bytes(archive(path.name, files, content if content or path.suffix != CONDA else {"README.md": b""}))
    os.utime(path, (LONG_AGO, LONG_AGO))  # so that no record is older than its package


@dataclass(frozen=True)
class Published:
    """What an indexer made of linux-64."""

    records: dict[str, Any]
    removed: set[str]


def published(folder: Path) -> Published:
    content = json.loads((folder / "linux-64" / "repodata.json").read_bytes())
    return Published(records_of(content), set(content.get("removed", ())))


def by_us(folder: Path) -> Published:
    assert index(str(folder), Options(repodata_patch=PATCH)).exit_code == 0
    return published(folder)


def by_rattler(folder: Path) -> Published:
    _done(peers.rattler_folder(folder, PATCH))
    return published(folder)


def by_conda(folder: Path) -> Published:
    source = os.environ.get("CONDA_SOURCE")
    if not source:
        pytest.skip("CONDA_SOURCE names no checkout of conda, which conda-index imports")
    python = os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable)
    _done(peers.CondaIndex(python, Path(source)).run(folder, comparable=True, patch=folder / "noarch" / PATCH))
    return published(folder)


def _done(outcome: Outcome) -> None:
    assert outcome.ok, outcome.output


def meant(records: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that a patch may change, dependencies as rattler understands them; an empty one is none."""
    specs = {spec for item in records.values() for key in ("depends", "constrains") for spec in item.get(key) or ()}
    same = peers.canonical_specs(specs)
    results: dict[str, dict[str, Any]] = {}
    for name, record in records.items():
        parsed = {key: [same[spec] for spec in record.get(key) or ()] for key in ("depends", "constrains")}
        plain = {key: record.get(key) for key in ("license", "license_family", "track_features", "revoked")}
        results[name] = {key: value for key, value in {**parsed, **plain}.items() if value}
    return results


def test_rattler_index_patches_alike_but_offers_removed_packages(tmp_path: Path) -> None:
    ours = by_us(lay(tmp_path / "ours", OURS, OWN))
    theirs = by_rattler(lay(tmp_path / "theirs", OURS, OWN))
    assert ours.records.keys() == theirs.records.keys() - REMOVED
    assert theirs.records.keys() >= REMOVED  # conda installs these: it does not look at `removed`
    assert theirs.removed == ours.removed | {"gone-1.0-0.conda"}
    mine, yours = meant(ours.records), meant(theirs.records)
    revoked = mine.pop("d-1.0-0.conda")
    assert revoked == {
        **yours["d-1.0-0.conda"],
        "depends": [*yours["d-1.0-0.conda"]["depends"], NOBODY],
        "revoked": True,
    }
    assert mine == {name: yours[name] for name in mine}


NOBODY = "package_has_been_revoked"


def test_conda_index_patches_the_same(tmp_path: Path) -> None:
    theirs = by_conda(lay(tmp_path / "theirs", OURS, OWN))
    ours = by_us(lay(tmp_path / "ours", OURS, OWN))
    assert ours.records.keys() == theirs.records.keys()
    assert ours.removed == theirs.removed == REMOVED
    assert meant(ours.records) == meant(theirs.records)


@pytest.fixture(scope="module")
def bioconda(packages: Path) -> dict[str, Any]:
    """Real instructions, of bioconda."""
    path = packages.parent / "real-repodata" / "bioconda-patches" / "linux-64" / "patch_instructions.json"
    if not path.is_file():
        pytest.skip("no instructions of bioconda beside the real packages")
    result: dict[str, Any] = json.loads(path.read_bytes())
    return result


@pytest.mark.parametrize("peer", [by_rattler, by_conda])
def test_real_instructions_come_to_the_same(bioconda: dict[str, Any], tmp_path: Path, peer: Any) -> None:
    filenames = sorted(bioconda["packages"])
    twins = [name.replace(TAR_BZ2, CONDA) for name in filenames[::10]]
    theirs = peer(lay(tmp_path / "theirs", [*filenames, *twins], bioconda))
    ours = by_us(lay(tmp_path / "ours", [*filenames, *twins], bioconda))
    assert len(ours.records) == len(filenames) + len(twins) > 300
    assert meant(ours.records) == meant(theirs.records)
    assert not [name for name, record in ours.records.items() if record["depends"] == ["unpatched"]]


@pytest.mark.parametrize("peer", [by_rattler, by_conda])
def test_what_a_peer_has_patched_is_carried_on_by_us(tmp_path: Path, peer: Any) -> None:
    folder = lay(tmp_path / "channel", OURS, {**OWN, "revoke": []})
    theirs = peer(folder)
    report = index(str(folder))
    if peer is by_rattler:  # it leaves no word of what it did, so we ask
        assert report.exit_code == 6
        report = index(str(folder), Options(repodata_patch=PATCH))
    assert report.exit_code == 0
    if peer is by_conda:  # rattler-index dates nothing: packages that arrived a moment ago are read again
        assert not [sub.read for sub in report.subdirs.values() if sub.read.keys() - {"kept"}]
    ours = published(folder)
    assert ours.removed == REMOVED
    assert meant(ours.records) == meant({name: theirs.records[name] for name in ours.records})
    assert ours.records.keys() == theirs.records.keys() - REMOVED


def test_a_run_of_rattler_index_in_between_undoes_nothing_for_long(tmp_path: Path) -> None:
    folder = lay(tmp_path / "channel", OURS, OWN)
    before = by_us(folder)
    _done(peers.rattler_folder(folder))
    assert published(folder).records.keys() >= REMOVED
    assert index(str(folder)).exit_code == 0
    assert published(folder) == before
