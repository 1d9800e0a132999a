"""Every difference from rattler-index and conda-index on real packages has a written reason."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import peers
from benchmarks.parity.compare import Comparer, Comparison
from benchmarks.parity.indexes import Index, read_index, specs_of
from benchmarks.parity.rules import CONDA, RATTLER, reason_for
from indexer.core.names import EXTENSIONS
from tests.support.channels import lay_out

if TYPE_CHECKING:
    from benchmarks.measure import Outcome
    from tests.interop.real_packages import Indexed

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process


def packages_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.name.endswith(EXTENSIONS))


def by_conda(folder: Path) -> Outcome:
    source = os.environ.get("CONDA_SOURCE")
    if not source:
        pytest.skip("CONDA_SOURCE names no checkout of conda, which conda-index imports")
    python = os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable)
    return peers.CondaIndex(python, Path(source)).run(folder, comparable=True)


@pytest.fixture
def theirs(peer: str, rattlers: Path, tmp_path: Path) -> Path:
    """The same packages, indexed by a peer."""
    if peer == RATTLER:
        return rattlers
    folder = lay_out(tmp_path / "theirs", packages_in(rattlers))
    outcome = by_conda(folder)
    assert outcome.ok, outcome.output
    return folder


@pytest.mark.parametrize("peer", [RATTLER, CONDA])
def test_each_difference_from_a_peer_is_explained(peer: str, folder: Indexed, theirs: Path) -> None:
    result = compared(peer, Path(folder.target.location), theirs, list(folder.report.subdirs))
    assert result.records >= len(packages_in(theirs))
    unexplained = [difference for difference in result.differences if reason_for(difference) is None]
    assert unexplained == []
    assert result.differences, "there are always some that are explained"


def compared(peer: str, ours: Path, theirs: Path, subdirs: list[str]) -> Comparison:
    indexes: dict[str, tuple[Index, Index]] = {}
    for subdir in subdirs:
        indexes[subdir] = (read_index(ours / subdir), read_index(theirs / subdir))
    specs = {spec for pair in indexes.values() for index in pair for spec in specs_of(index)}
    comparer = Comparer(peer, peers.canonical_specs(specs))
    for subdir, pair in indexes.items():
        comparer.compare(subdir, *pair)
    return comparer.result


def test_a_difference_without_a_reason_is_found(folder: Indexed, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "osx-arm64"
    shutil.copytree(Path(folder.target.location) / "osx-arm64", theirs)
    path = theirs / "repodata.json"
    path.write_bytes(path.read_bytes().replace(b'"build_number":0', b'"build_number":7', 1))
    result = compared(RATTLER, Path(folder.target.location), theirs.parent, ["osx-arm64"])
    assert [difference.key for difference in result.differences] == ["build_number"]
    assert reason_for(result.differences[0]) is None
