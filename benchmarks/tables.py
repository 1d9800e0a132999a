"""Tables and plots of the measured runs: markdown tables of medians.

    python -m benchmarks.tables [--results FILE] [--readme FILE]

Prints the tables, or puts them into their place in a README; every figure and the plots are written beside the results.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import channel, peers, plots, results
from benchmarks.results import NOT_NOTICED
from benchmarks.scenario import ADDED, CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.results import Run

_BEGIN, _END = "<!-- begin: python -m benchmarks.tables -->", "<!-- end -->"
_DETAILS = "tables.md"
_MIB = 2**20
_VERBS = ("GET", "HEAD", "LIST", "PUT", "DELETE")
_TOOLS = (peers.OURS, peers.RATTLER, peers.CONDA)
_LARGE = {
    "large": "21 large, vouched",
    "large-unvouched": "21 large, not vouched",
    "6-subdirs": "6 subdirs of 50",
}


@dataclass(frozen=True)
class Group:
    """All rounds of one tool in one case of one corpus in one place."""

    runs: list[Run]

    def median(self, of: Callable[[Run], float]) -> float | None:
        """The median of the complete runs; None if there is none."""
        values = [of(run) for run in self.runs if run.measured]
        return statistics.median(values) if values else None

    def cell(self, of: Callable[[Run], float], shown: Callable[[float], str]) -> str:
        """The median as a table shows it."""
        value = self.median(of)
        return "-" if value is None else shown(value)

    @property
    def verdict(self) -> str:
        """The remark on the runs; empty if all is well."""
        states = [run.state for run in self.runs]
        if NOT_NOTICED in states:
            return NOT_NOTICED
        return "" if any(run.measured for run in self.runs) else ", ".join(dict.fromkeys(states))


Place = tuple[str, str, float]
"""A corpus, a store and a latency."""


def groups(runs: Iterable[Run]) -> dict[tuple[Place, str, str], Group]:
    """The runs by place, case and tool."""
    values: dict[tuple[Place, str, str], Group] = {}
    for run in runs:
        key = ((run.corpus, run.store, run.latency_ms), run.case, run.tool)
        values.setdefault(key, Group([])).runs.append(run)
    return values


def summary(runs: list[Run]) -> str:
    """The table of the README: a row for each case."""
    by = groups(runs)
    columns = [
        *(f"{tool}, s" for tool in _TOOLS),
        *("faster than rattler-index", "than conda-index"),
        *(f"{tool}, MiB" for tool in _TOOLS[:2]),
        *(f"{tool}, requests" for tool in _TOOLS[:2]),
    ]
    lines = [f"| packages | where | case | {' | '.join(columns)} |", f"|---|---|---|{'---:|' * len(columns)}"]
    for place, case in itertools.product(_places(runs), CASES):
        values = [by.get((place, case, tool), Group([])) for tool in _TOOLS]
        if not any(group.runs for group in values):
            continue
        ours, rattler, _ = values
        cells = [
            *(_time(group) for group in values),
            *(_ratio(group, ours) for group in values[1:]),
            *(group.cell(lambda run: run.together_mib, _whole) for group in (ours, rattler)),
            *(group.cell(lambda run: run.all_requests, _count) for group in (ours, rattler)),
        ]
        lines.append(f"| {_title(place[0])} | {_where(place)} | {case} | {' | '.join(cells)} |")
    return "\n".join([*lines, *_notes(runs)])


def growth(runs: list[Run]) -> str:
    """The table of the costs of `--package` by size."""
    by = groups(run for run in runs if run.tool in peers.BY_NAME)
    columns = ("requests", "GET", "PUT", "read", "written", "CPU s", "wall s", "MiB")
    lines = [f"| packages | files | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    files = {peers.SCOPED: "shards", peers.SCOPED_ALL: "all"}
    for tool, place in itertools.product(peers.BY_NAME, _places(runs)):
        if group := by.get((place, ADDED, tool)):
            cells = [
                group.cell(lambda run: run.all_requests, _count),
                *(group.cell(lambda run, verb=verb: run.requests.get(verb, 0), _count) for verb in ("GET", "PUT")),  # type: ignore[misc]
                group.cell(lambda run: run.bytes_read, _size),
                group.cell(lambda run: run.bytes_written, _size),
                group.cell(lambda run: run.cpu_seconds, _seconds),
                group.cell(lambda run: run.seconds, _seconds),
                group.cell(lambda run: run.together_mib, _whole),
            ]
            lines.append(f"| {_title(place[0])} | {files[tool]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def details(runs: list[Run]) -> str:
    """Every figure: a table for each corpus and place."""
    by = groups(runs)
    columns = [
        *("runs", "wall s", "CPU s", "MiB, largest process", "MiB, all processes", "requests", *_VERBS),
        *("of packages", "read", "written", "load before"),
    ]
    lines = ["# Every figure", "", "Medians. Made by `python -m benchmarks.tables`."]
    for place in _places(runs):
        lines += ["", f"## {_title(place[0])} packages, {_where(place)}", ""]
        lines += [f"| case | tool | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
        tools = dict.fromkeys(run.tool for run in runs)
        for case, tool in itertools.product(CASES, tools):
            if group := by.get((place, case, tool)):
                lines.append(f"| {case} | {tool} | {' | '.join(_cells(group))} |")
    return "\n".join(lines)


def _cells(group: Group) -> list[str]:
    return [
        str(sum(run.measured for run in group.runs)),
        _time(group),
        group.cell(lambda run: run.cpu_seconds, _seconds),
        group.cell(lambda run: run.peak_mib, _whole),
        group.cell(lambda run: run.together_mib, _whole),
        group.cell(lambda run: run.all_requests, _count),
        *(group.cell(lambda run, verb=verb: run.requests.get(verb, 0), _count) for verb in _VERBS),  # type: ignore[misc]
        group.cell(lambda run: sum(run.package_requests.values()), _count),
        group.cell(lambda run: run.bytes_read, _size),
        group.cell(lambda run: run.bytes_written, _size),
        group.cell(lambda run: run.load, "{:.1f}".format),
    ]


def _notes(runs: list[Run]) -> list[str]:
    """The reasons for missing figures, each once."""
    reasons = dict.fromkeys(f"{run.tool}: {run.state}" for run in runs if not run.measured)
    return ["", *(f"- {reason}" for reason in reasons)] if reasons else []


def _places(runs: Iterable[Run]) -> list[Place]:
    """The places in the order of sizes, the large ones last."""
    places = {(run.corpus, run.store, run.latency_ms) for run in runs}
    return sorted(places, key=lambda place: (*_order(place[0]), place[1] != channel.FOLDER, place[2]))


def _order(corpus: str) -> tuple[int, str]:
    return (int(corpus), "") if corpus.isdecimal() else (sys.maxsize, corpus)


def _title(corpus: str) -> str:
    return f"{int(corpus):,}" if corpus.isdecimal() else _LARGE[corpus]


def _where(place: Place) -> str:
    return place[1] if place[1] == channel.FOLDER else f"{place[1]}, {place[2]:g} ms"


def _time(group: Group) -> str:
    shown = group.cell(lambda run: run.seconds, _seconds)
    return f"{shown} ({group.verdict})" if group.verdict == NOT_NOTICED else shown


def _ratio(theirs: Group, ours: Group) -> str:
    ours_seconds, theirs_seconds = (group.median(lambda run: run.seconds) for group in (ours, theirs))
    # The time of a run that did not do its task is no measure.
    if ours_seconds is None or theirs_seconds is None or ours.verdict or theirs.verdict:
        return "-"
    return f"**{theirs_seconds / ours_seconds:.1f}x**"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _count(value: float) -> str:
    # Requests are not counted in a folder.
    return f"{value:,.0f}" if value else "-"


def _size(size: float) -> str:
    if not size:
        return "-"
    if size >= 1000 * _MIB:
        return f"{size / _MIB / 1024:.1f} GiB"
    return f"{size / _MIB:.2f} MiB" if size < 100 * _MIB else f"{size / _MIB:,.0f} MiB"


def _machine() -> str:
    """The machine this runs on, in words."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    processor = next(names, platform.machine())
    return f"{os.cpu_count()} cores ({processor}), {platform.system()}, Python {platform.python_version()}"


def report(runs: list[Run]) -> str:
    """The tables for a README, which has the plots beside them in `results/`."""
    parts = [
        f"Server, proxy and tool shared {_machine()}.",
        summary(runs),
        "![How cost grows with the channel](results/growth.png)",
        "### One package added with `--package`, in a bucket: a channel of shards alone, and one with all files",
        growth(runs),
        "![What `--package` costs](results/package.png)",
    ]
    return "\n\n".join(parts)


def main() -> int:
    """Write tables and plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=results.FILE, metavar="FILE")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="a README that takes the tables in, instead of stdout"
    )
    options = parser.parse_args()
    runs = results.load(options.results)
    if not runs:
        sys.stderr.write(f"benchmarks.tables: no results in {options.results}: python -m benchmarks makes them\n")
        return 2
    folder = options.results.parent
    plots.draw_growth(runs, folder / "growth.png")
    plots.draw_package(runs, folder / "package.png")
    (folder / _DETAILS).write_text(f"{details(runs)}\n")
    if options.readme is None:
        print(report(runs))
    else:
        before, _, rest = options.readme.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        options.readme.write_text(f"{before}{_BEGIN}\n\n{report(runs)}\n\n{_END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
