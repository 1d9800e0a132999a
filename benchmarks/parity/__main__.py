"""Every difference between our index and a peer's has a written reason, or the comparison fails.

    python -m benchmarks.parity PACKAGES_DIR --conda-source DIR --peer-python PYTHON > docs/parity.md

PACKAGES_DIR is laid out as a channel. Its packages are copied into three scratch folders, which are indexed by this
project, by rattler-index and by conda-index. Then each record of ours is compared with the peer's. Other features are
tried on channels of the fixtures. Exit code 1 if a difference has no reason, 2 if the comparison could not be made.
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
from benchmarks.parity import people
from benchmarks.parity.compare import Comparer
from benchmarks.parity.features import features_table
from benchmarks.parity.fields import fields_table
from benchmarks.parity.indexes import Index, read_index, specs_of
from benchmarks.parity.people import people_table
from benchmarks.parity.report import report, unexplained
from benchmarks.parity.rules import CONDA, EXTENSIONS, RATTLER, SUBDIRS
from benchmarks.parity.trials import OURS, published, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measure import Outcome
    from benchmarks.parity.compare import Comparison
    from benchmarks.peers import CondaIndex


def _packages(source: Path) -> list[Path]:
    """The packages of known subdirs, without index files beside them."""
    results = (path for subdir in sorted(SUBDIRS) for path in sorted((source / subdir).glob("*")))
    return [path for path in results if path.is_file() and path.name.endswith(EXTENSIONS)]


def _index_all(packages: list[Path], scratch: Path, conda_index: CondaIndex) -> dict[str, Path]:
    commands: dict[str, Callable[[Path], Outcome]] = {
        "indexer": peers.ours,
        RATTLER: peers.rattler_folder,
        CONDA: partial(conda_index.run, comparable=True),
    }
    folders = {name: scratch / name for name in commands}
    for name, tool in commands.items():
        for package in packages:
            place = folders[name] / package.parent.name / package.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package, place)
        outcome = tool(folders[name])
        # Exit code 3 of ours means that it rejected packages: they are missing then, which is a difference.
        if outcome.state not in {"ok", "exit 3" if name == "indexer" else "ok"}:
            message = f"{name} failed ({outcome.state}):\n{outcome.output}"
            raise RuntimeError(message)
    return folders


def _read(folder: Path) -> dict[str, Index]:
    """The files that a tool wrote, by subdir."""
    return {subdir: read_index(folder / subdir) for subdir in sorted(SUBDIRS) if (folder / subdir).is_dir()}


def _canonical(indexes: Mapping[str, Mapping[str, Index]]) -> dict[str, str]:
    """Every spec in the indexes, as rattler writes it."""
    specs = {spec for subdirs in indexes.values() for index in subdirs.values() for spec in specs_of(index)}
    return peers.canonical_specs(specs)


def _compared(indexes: Mapping[str, Mapping[str, Index]], canonical: Mapping[str, str]) -> list[Comparison]:
    """The comparison of each peer with ours."""
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
            folders = _index_all(packages, Path(scratch, "real"), conda_index)
            indexes = {name: _read(folder) for name, folder in folders.items()}
            canonical = _canonical(indexes)
            comparisons = _compared(indexes, canonical)
            tried = tools(conda_index)
            full = {tool.name: published(tool, Path(scratch, "full", tool.name)) for tool in tried}
            sections = {
                "Features": features_table(tried, full),
                "Fields of a record": fields_table(indexes, canonical),
                "Files for older clients and for people": people_table(full[OURS], full[CONDA]),
            }
            page = report(comparisons, len(packages), {name: list(lines) for name, lines in sections.items()})
            odd = bool(unexplained(comparisons) or people.unexplained(full[OURS], full[CONDA]))
    except (peers.PeerMissingError, RuntimeError) as error:
        sys.stderr.write(f"benchmarks.parity: {error}\n")
        return 2
    sys.stdout.write(page)
    return int(odd)


if __name__ == "__main__":
    sys.exit(main())
