"""What indexing a folder costs, side by side: the indexers take turns in one run, so all see the same machine.

    python -m benchmarks.folder --count 2000 --conda-source DIR --peer-python PYTHON

Prints a markdown table of wall time and peak memory for a full index, a second run with nothing new, and a run
after one package was added.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import corpus, peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers import CondaIndex, Outcome

    Tool = Callable[[Path], Outcome]
    Results = dict[tuple[str, str], list[Outcome]]

_CASES = ("full", "unchanged", "one package added")
_MIB = 1024 * 1024


class RunFailedError(Exception):
    """An indexer ended badly, so its numbers would mean nothing."""


def _tools(conda_index: CondaIndex) -> dict[str, Tool]:
    tools: dict[str, Tool] = {
        "rattler-index": peers.rattler_folder,
        "conda-index, comparable outputs": partial(conda_index.run, comparable=True),
        "conda-index, its defaults": partial(conda_index.run, comparable=False),
    }
    if importlib.util.find_spec("indexer.__main__") is None:
        sys.stderr.write("indexer cannot be run yet: only the peers are measured\n")
        return tools
    return {"indexer": peers.ours, **tools}


def _measure_one(tool: Tool, packages: list[Path], source: Path, extra: Path) -> list[Outcome]:
    """The three cases in a fresh folder: they build on one another."""
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        folder = Path(scratch)
        for package in packages:
            _link(package, folder / package.relative_to(source))
        outcomes = [tool(folder), tool(folder)]
        _link(extra, folder / extra.parent.name / extra.name)
        return [*outcomes, tool(folder)]


def _link(package: Path, place: Path) -> None:
    # Links, not copies: all tools then read the same pages, none of them cold.
    place.parent.mkdir(parents=True, exist_ok=True)
    os.link(package, place)


def _measure_all(tools: dict[str, Tool], scratch: Path, options: argparse.Namespace) -> tuple[Results, int]:
    source = scratch / "corpus"
    packages = corpus.make(source, options.seed, range(options.count))
    results: Results = {}
    names = list(tools)
    for lap in range(options.runs):
        # The one to add is made just now, as an upload is: its date is newer than every index.
        extra = corpus.make(scratch / f"extra-{lap}", options.seed, [options.count + lap])[0]
        for name in names:
            for case, outcome in zip(_CASES, _measure_one(tools[name], packages, source, extra), strict=True):
                if not outcome.ok:
                    message = f"{name}, {case}: {outcome.state}\n{outcome.output}"
                    raise RunFailedError(message)
                results.setdefault((case, name), []).append(outcome)
            sys.stderr.write(f"lap {lap + 1} of {options.runs}: {name}\n")
        # Another one begins the next lap, so that nobody always follows the same tool.
        names = names[1:] + names[:1]
    return results, sum(package.stat().st_size for package in packages)


def _table(results: Results, tools: dict[str, Tool]) -> str:
    lines = [
        "| case | tool | wall s, min | wall s, median | peak MiB, min | peak MiB, median |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for case in _CASES:
        for name in tools:
            seconds = [outcome.seconds for outcome in results[case, name]]
            peaks = [outcome.peak_mib for outcome in results[case, name]]
            lines.append(
                f"| {case} | {name} | {min(seconds):.2f} | {statistics.median(seconds):.2f} "
                f"| {min(peaks):.0f} | {statistics.median(peaks):.0f} |"
            )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="packages in the channel")
    parser.add_argument("--runs", type=int, default=3, help="laps, in each of which every tool has its turn")
    parser.add_argument("--seed", type=int, default=1)
    peers.add_arguments(parser)
    options = parser.parse_args()
    try:
        peers.demand_rattler()
        tools = _tools(peers.conda_index_of(options))
        with tempfile.TemporaryDirectory() as scratch:
            results, size = _measure_all(tools, Path(scratch), options)
    except (peers.PeerMissingError, RunFailedError) as error:
        sys.stderr.write(f"benchmarks.folder: {error}\n")
        return 2
    sys.stdout.write(
        f"{options.count} packages, {size / _MIB:.1f} MiB, {options.runs} runs each, taking turns; "
        f"{os.cpu_count()} cores, Python {platform.python_version()}. Wall time has the interpreter's start in it; "
        "peak memory is that of the largest process, so conda-index's workers are not added up.\n\n"
        f"{_table(results, tools)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
