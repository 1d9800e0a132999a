"""Every difference between our index and a peer's has a written reason, or the comparison fails.

    python -m benchmarks.parity PACKAGES_DIR --conda-source DIR --peer-python PYTHON > docs/parity.md

PACKAGES_DIR is laid out as a channel. Its packages are copied into three scratch folders, which are indexed by this
project, by rattler-index and by conda-index. Then each record of ours is compared with the peer's. Exit code 1 if a
difference has no reason, 2 if the comparison could not be made.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.parity.compare import Comparer
from benchmarks.parity.indexes import Index, read_index, specs_of
from benchmarks.parity.report import report, unexplained
from benchmarks.parity.rules import CONDA, EXTENSIONS, RATTLER, SUBDIRS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.parity.compare import Comparison
    from benchmarks.peers import CondaIndex, Outcome


def _packages(source: Path) -> list[Path]:
    """The packages of known subdirs, and none of the index files that may lie beside them."""
    found = (path for subdir in sorted(SUBDIRS) for path in sorted((source / subdir).glob("*")))
    return [path for path in found if path.is_file() and path.name.endswith(EXTENSIONS)]


def _index_all(packages: list[Path], scratch: Path, conda_index: CondaIndex) -> dict[str, Path]:
    tools: dict[str, Callable[[Path], Outcome]] = {
        "indexer": peers.ours,
        RATTLER: peers.rattler_folder,
        CONDA: partial(conda_index.run, comparable=True),
    }
    folders = {name: scratch / name for name in tools}
    for name, tool in tools.items():
        for package in packages:
            place = folders[name] / package.parent.name / package.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package, place)
        outcome = tool(folders[name])
        # Ours says by exit code 3 that it rejected packages: those are then missing, which is a difference.
        if outcome.state not in {"ok", "exit 3" if name == "indexer" else "ok"}:
            message = f"{name} failed ({outcome.state}):\n{outcome.output}"
            raise RuntimeError(message)
    return folders


def compare_folders(folders: Mapping[str, Path]) -> list[Comparison]:
    """Compare the indexed folder of each peer with ours."""
    indexes = {
        name: {subdir: read_index(folder / subdir) for subdir in sorted(SUBDIRS) if (folder / subdir).is_dir()}
        for name, folder in folders.items()
    }
    specs = {spec for subdirs in indexes.values() for index in subdirs.values() for spec in specs_of(index)}
    canonical = peers.canonical_specs(specs)
    comparisons = []
    for peer in (RATTLER, CONDA):
        comparer = Comparer(peer, canonical)
        for subdir in sorted(indexes["indexer"].keys() | indexes[peer].keys()):
            ours, theirs = (indexes[name].get(subdir, Index()) for name in ("indexer", peer))
            comparer.compare(subdir, ours, theirs)
        comparisons.append(comparer.result)
    return comparisons


def main() -> int:
    """Index, compare, print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, metavar="PACKAGES_DIR", help="a folder laid out as a channel")
    peers.add_arguments(parser)
    options = parser.parse_args()
    packages = _packages(options.packages)
    if not packages:
        parser.error("no packages in the known subdirs of that folder")
    try:
        peers.demand_rattler()
        conda_index = peers.conda_index_of(options)
        with tempfile.TemporaryDirectory() as scratch:
            folders = _index_all(packages, Path(scratch), conda_index)
            comparisons = compare_folders(folders)
    except (peers.PeerMissingError, RuntimeError) as error:
        sys.stderr.write(f"benchmarks.parity: {error}\n")
        return 2
    sys.stdout.write(report(comparisons, len(packages)))
    return 1 if unexplained(comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
